"""What a type's owner decides once its jobs run: which secrets they get, and whose errors their exit codes mean."""

from dataclasses import replace
from secrets import token_urlsafe
from typing import Any

import pytest

from scheduler import keyring
from scheduler.admin import secrets
from scheduler.identity import Caller, Role
from tests.support.cluster import Cluster


@pytest.fixture
def safe(cluster: Cluster) -> Cluster:
    """The cluster with a key, a secret of the default project, and a type that names it."""
    cluster.rt = replace(cluster.rt, keyring=keyring.parse(token_urlsafe(32), "test"))
    secrets.put(cluster.rt, Caller(1, "admin", Role.ADMIN), "default", "password", "open sesame")
    cluster.change(
        """UPDATE job_type_revisions SET definition = definition || '{"secrets": ["password"]}' WHERE id = :id""",
        id=cluster.revision,
    )
    return cluster


def given(cluster: Cluster, overrides: str = "{}") -> Any:
    node = cluster.a_node()
    job_id = cluster.a_job()
    cluster.change("UPDATE job_specs SET overrides = CAST(:own AS jsonb) WHERE job_id = :id", own=overrides, id=job_id)
    cluster.tick()
    return cluster.claim(node, cluster.execution_of(job_id)).granted[0].secrets


def test_a_type_of_the_installation_gets_nothing_once_the_leave_is_withdrawn(safe: Cluster) -> None:
    assert given(safe) == {}


def test_a_type_of_the_installation_gets_secrets_by_the_projects_leave(safe: Cluster) -> None:
    safe.change("UPDATE projects SET secret_types = '{plain}'")
    assert given(safe) == {"password": "open sesame"}


def test_a_type_of_the_project_gets_its_secrets(safe: Cluster) -> None:
    safe.change("UPDATE job_types SET project_id = :id", id=safe.project)
    assert given(safe) == {"password": "open sesame"}


def test_a_job_that_names_the_secret_itself_gets_it(safe: Cluster) -> None:
    assert given(safe, '{"secrets": ["password"]}') == {"password": "open sesame"}


def error_of(cluster: Cluster, **facts: Any) -> str:
    node = cluster.a_node()
    job_id, ref = cluster.running(node, max_tries=1)
    cluster.report(node, ref, "failed", **facts)
    return str(
        cluster.value("SELECT e.title FROM errors e JOIN jobs j ON j.error_id = e.id WHERE j.id = :id", id=job_id)
    )


@pytest.mark.parametrize(("owned", "title"), [(True, "Ours"), (False, "Everybody's")])
def test_an_exit_code_means_the_error_of_the_types_owner_before_the_installations(
    cluster: Cluster, owned: bool, title: str
) -> None:
    cluster.change("""INSERT INTO errors (name, title, category) VALUES ('odd', 'Everybody''s', 'DATA')""")
    cluster.change(
        "INSERT INTO errors (name, title, category, project_id) VALUES ('odd', 'Ours', 'DATA', :id)", id=cluster.project
    )
    cluster.change("""UPDATE job_type_revisions SET definition = definition || '{"exit_codes": {"3": "odd"}}'""")
    if owned:
        cluster.change("UPDATE job_types SET project_id = :id", id=cluster.project)
    assert error_of(cluster, phases={"job": {"exit_code": 3}}) == title


def test_what_a_node_names_is_the_installations_error_whatever_a_project_called_so(cluster: Cluster) -> None:
    cluster.change("UPDATE job_types SET project_id = :id", id=cluster.project)
    cluster.change(
        "INSERT INTO errors (name, title, category, project_id) VALUES ('timeout', 'Ours', 'DATA', :id)",
        id=cluster.project,
    )
    assert error_of(cluster, error="timeout") != "Ours"
