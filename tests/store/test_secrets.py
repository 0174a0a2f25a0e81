"""Secrets at rest: sealed by who has a key, given to who runs the job, upgraded, moved to a new key, never half done."""

from __future__ import annotations

import logging
from dataclasses import replace
from secrets import token_hex, token_urlsafe
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from scheduler import keyring
from scheduler.admin import secrets
from scheduler.errors import ServiceUnavailable, SetupError
from scheduler.identity import Caller, Role
from scheduler.keyring import Keyring
from tests.support.cluster import Cluster

ADMIN = Caller(token_id=1, name="ann", role=Role.ADMIN)
VALUE = f"value-{token_hex(8)}"


@pytest.fixture
def keys() -> Keyring:
    return keyring.parse(token_urlsafe(32), "test")


@pytest.fixture
def sealed(cluster: Cluster, keys: Keyring) -> Cluster:
    """A world with a key and one secret of the project that jobs of the tests belong to."""
    cluster.rt = replace(cluster.rt, keyring=keys)
    assert secrets.put(cluster.rt, ADMIN, "default", "db", VALUE)
    return cluster


def rows(cluster: Cluster) -> list[Any]:
    return cluster.query("SELECT name, value, key_id, sealed, created, last_modified FROM secrets ORDER BY name")


def given(cluster: Cluster) -> dict[str, str]:
    """Return what the node of a job gets that names the secret."""
    cluster.change("""UPDATE job_type_revisions SET definition = definition || '{"secrets": ["db"]}' WHERE id = :id""",
                   id=cluster.revision)  # fmt: skip
    cluster.change("UPDATE projects SET secret_types = '{plain}' WHERE name = 'default'")
    node = cluster.a_node("n")
    job_id = cluster.a_job()
    cluster.tick()
    answer = cluster.claim(node, cluster.execution_of(job_id))
    return dict(answer.granted[0].secrets)


def test_the_node_of_the_job_gets_what_the_table_does_not_show(sealed: Cluster, keys: Keyring) -> None:
    (row,) = rows(sealed)
    assert (row.value, row.key_id) == (None, keys.keys[0].id)
    assert VALUE.encode() not in bytes(row.sealed)
    assert given(sealed) == {"db": VALUE}


def test_without_a_key_none_is_taken_in_and_the_answer_names_the_setting(cluster: Cluster) -> None:
    with pytest.raises(ServiceUnavailable, match="GANGER_SECRETS_KEY"):
        secrets.put(cluster.rt, ADMIN, "default", "db", VALUE)
    assert not rows(cluster)


@pytest.mark.parametrize("ring", [keyring.NO_KEYS, keyring.parse(token_urlsafe(32), "test")], ids=["none", "another"])
def test_who_lacks_the_key_grants_nothing_and_charges_no_try(sealed: Cluster, keys: Keyring, ring: Keyring) -> None:
    sealed.rt = replace(sealed.rt, keyring=ring)
    with pytest.raises(ServiceUnavailable, match=keys.keys[0].id) as refusal:
        given(sealed)
    assert VALUE not in str(refusal.value)
    assert sealed.query("SELECT status, num_exes FROM jobs") == [("RUNNING", 0)]
    assert sealed.value("SELECT count(*) FROM executions WHERE claim_token IS NOT NULL") == 0


def test_a_row_that_is_put_in_another_s_place_does_not_open(sealed: Cluster) -> None:
    assert secrets.put(sealed.rt, ADMIN, "default", "other", "another value")
    sealed.change("UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'other') WHERE name = 'db'")
    with pytest.raises(ServiceUnavailable):
        given(sealed)


def test_plain_rows_of_an_earlier_release_are_given_out_sealed_at_the_start_and_on_the_next_write(
    cluster: Cluster, keys: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.change("INSERT INTO secrets (project_id, name, value) VALUES (:id, 'db', 'plain'), (:id, 'two', 'plain')",
                   id=cluster.project)  # fmt: skip
    assert secrets.seal_all(cluster.rt.db, keyring.NO_KEYS) == (0, 2)
    assert given(cluster) == {"db": "plain"}
    cluster.rt = replace(cluster.rt, keyring=keys)
    assert not secrets.put(cluster.rt, ADMIN, "default", "two", "anew")
    before = {row.name: row.last_modified for row in rows(cluster)}
    with caplog.at_level(logging.DEBUG):
        assert secrets.seal_all(cluster.rt.db, keys) == (1, 0)
        assert secrets.seal_all(cluster.rt.db, keys) == (0, 0)
    assert "plain" not in caplog.text
    assert {row.name: (row.value, row.last_modified) for row in rows(cluster)} == {
        n: (None, t) for n, t in before.items()
    }
    assert given(cluster) == {"db": "plain"}


def test_a_new_first_key_takes_over_and_then_the_old_one_can_go(sealed: Cluster, keys: Keyring) -> None:
    fresh = keyring.parse(token_urlsafe(32), "test")
    assert secrets.seal_all(sealed.rt.db, Keyring((*keys.keys, *fresh.keys))) == (0, 0)
    assert secrets.seal_all(sealed.rt.db, Keyring((*fresh.keys, *keys.keys))) == (1, 0)
    sealed.rt = replace(sealed.rt, keyring=fresh)
    assert given(sealed) == {"db": VALUE}


def test_a_start_without_the_key_changes_nothing_and_says_what_to_do_until_the_secrets_are_given_up(
    sealed: Cluster, keys: Keyring
) -> None:
    sealed.change("INSERT INTO secrets (project_id, name, value) VALUES (:id, 'kept', 'plain')", id=sealed.project)
    before = rows(sealed)
    for ring in (keyring.NO_KEYS, keyring.parse(token_urlsafe(32), "test")):
        with pytest.raises(SetupError, match=f"{keys.keys[0].id}.*--drop-lost-secrets"):
            secrets.seal_all(sealed.rt.db, ring)
    assert rows(sealed) == before
    assert secrets.drop_lost(sealed.rt.db, keys) == []
    assert secrets.drop_lost(sealed.rt.db, keyring.NO_KEYS) == ["default/db"]
    assert [row.name for row in rows(sealed)] == ["kept"]
    assert sealed.query("SELECT actor, detail->>'name' FROM audit WHERE action = 'secret.delete'") == [("setup", "db")]


@pytest.mark.parametrize("change", ["sealed = NULL, key_id = NULL", "value = 'both'", "key_id = NULL"])
def test_a_row_is_either_plain_or_sealed(sealed: Cluster, change: str) -> None:
    with pytest.raises(IntegrityError):
        sealed.change(f"UPDATE secrets SET {change}")  # noqa: S608 - words of this test
