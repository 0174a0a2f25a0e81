"""Who may speak for a node: join tokens bring nodes in, credentials are of one node alone, copies are refused while the node is heard."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import wire
from scheduler.admin import tokens
from scheduler.admin.tokens import JoinTokenLimits
from scheduler.errors import Forbidden, NodeNameTaken, NotFound, Unauthorized
from scheduler.executions import node_protocol
from scheduler.identifiers import FileId, NodeId
from scheduler.identity import Caller
from scheduler.nodes import identity
from tests.support.cluster import TOKEN, Cluster

FIRST, SECOND = ("gc_" + letter * 40 for letter in "ab")


def join(cluster: Cluster, **limits: Any) -> Caller:
    """A caller with a new join token."""
    made = tokens.create(
        cluster.rt,
        kind="node",
        role=None,
        project=None,
        name="join",
        join=JoinTokenLimits(**limits) if limits else None,
    )
    return tokens.authenticate(cluster.rt, made[1])


def shows(cluster: Cluster, credential: str) -> Caller:
    return tokens.authenticate(cluster.rt, credential)


def fall_silent(cluster: Cluster) -> None:
    cluster.change("UPDATE nodes SET is_silent = true")


def held(ref: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"execution_id": ref[0], "attempt": ref[1], "token": TOKEN}]


def test_a_node_shows_its_own_credential_once_it_has_joined(cluster: Cluster) -> None:
    joining = join(cluster)
    node = cluster.a_node("alpha", caller=joining, credential=FIRST)
    assert node.credential_taken
    alpha = shows(cluster, FIRST)
    assert (alpha.node_id, alpha.node) == (node.node_id, "alpha")
    identity.require(cluster.rt, alpha, node.node_id)
    with pytest.raises(Forbidden):
        identity.require(cluster.rt, joining, node.node_id)
    assert FIRST not in str(cluster.query("SELECT * FROM node_credentials"))


def test_a_credential_is_of_one_node_alone(cluster: Cluster) -> None:
    joining = join(cluster)
    cluster.a_node("alpha", caller=joining, credential=FIRST)
    beta = cluster.a_node("beta", caller=joining, credential=SECOND)
    with pytest.raises(Forbidden):
        identity.require(cluster.rt, shows(cluster, FIRST), beta.node_id)
    with pytest.raises(Forbidden, match="is of the node 'alpha'"):
        cluster.a_node("beta", caller=shows(cluster, FIRST))
    stolen = cluster.a_node("gamma", caller=joining, credential=FIRST)
    assert not stolen.credential_taken, "another node has it"


def test_nothing_that_users_can_read_proves_a_node(cluster: Cluster) -> None:
    """Name, id, epoch, id of the disk and of the boot are in lists; with another join token they open nothing."""
    joining = join(cluster)
    node = cluster.a_node("alpha", caller=joining, credential=FIRST, place="here")
    for caller in (joining, join(cluster)):
        with pytest.raises(NodeNameTaken):
            cluster.a_node("alpha", caller=caller, credential=SECOND, place="here")
        with pytest.raises(NodeNameTaken):
            cluster.a_node("alpha", caller=caller)
    assert cluster.beat(node).epoch == node.epoch


def test_a_registration_whose_answer_was_lost_is_repeated(cluster: Cluster) -> None:
    joining = join(cluster)
    first = cluster.a_node("alpha", caller=joining, credential=FIRST, place="here")
    again = cluster.a_node("alpha", caller=joining, credential=FIRST, place="here")
    assert (again.epoch, again.credential_taken) == (first.epoch, True)


def test_an_agent_that_starts_again_keeps_its_work_and_changes_its_credential(cluster: Cluster) -> None:
    first = cluster.a_node("alpha", caller=join(cluster), credential=FIRST, place="here")
    job_id, ref = cluster.running(first)
    again = cluster.a_node("alpha", caller=shows(cluster, FIRST), credential=SECOND, place="here", held=held(ref))
    assert (again.epoch, len(again.keep)) == (first.epoch, 1)
    assert shows(cluster, FIRST).node_id == first.node_id, "until the new one is shown, its answer may have been lost"
    assert shows(cluster, SECOND).node_id == first.node_id
    with pytest.raises(Unauthorized):
        shows(cluster, FIRST)
    assert cluster.job(job_id).status == "RUNNING"


def test_a_copy_of_a_nodes_folder_is_refused_and_the_nodes_work_goes_on(cluster: Cluster) -> None:
    first = cluster.a_node("alpha", caller=join(cluster), credential=FIRST, place="here")
    job_id, ref = cluster.running(first)
    copies: list[dict[str, Any]] = [{"place": "elsewhere"}, {"place": "here", "boot_id": "another"}]
    for facts in copies:
        with pytest.raises(NodeNameTaken, match="copy of its folder"):
            cluster.a_node("alpha", caller=shows(cluster, FIRST), credential=SECOND, held=held(ref), **facts)
    cluster.report(first, ref)
    assert cluster.job(job_id).status == "COMPLETED"


def test_a_node_that_lost_its_folder_comes_back_by_its_join_token_once_it_is_silent(cluster: Cluster) -> None:
    joining = join(cluster)
    first = cluster.a_node("alpha", caller=joining, credential=FIRST, place="here")
    job_id, _ = cluster.running(first)
    with pytest.raises(NodeNameTaken):
        cluster.a_node("alpha", caller=joining, credential=SECOND, place="new")
    fall_silent(cluster)
    back = cluster.a_node("alpha", caller=joining, credential=SECOND, place="new")
    assert (back.node_id, back.epoch) == (first.node_id, first.epoch + 1)
    assert cluster.job(job_id).status == "QUEUED", "what ran there is lost, as with a lease that has ended"
    with pytest.raises(Unauthorized):
        shows(cluster, FIRST)


def test_a_revoked_join_token_ends_the_nodes_that_came_with_it_and_an_expired_one_does_not(cluster: Cluster) -> None:
    cluster.a_node("alpha", caller=join(cluster), credential=FIRST)
    cluster.change("UPDATE tokens SET expires = now() - interval '1 s'")
    assert shows(cluster, FIRST).node == "alpha"
    cluster.change("UPDATE tokens SET revoked = now()")
    with pytest.raises(Unauthorized):
        shows(cluster, FIRST)


@pytest.mark.parametrize(
    ("limits", "facts", "field"),
    [
        ({"nodes": ["beta"]}, {}, "name"),
        ({"nodes": ["gpu-*", "b"]}, {}, "name"),
        ({"pools": ["fast"]}, {}, "pool"),
        ({"nodes": ["a*"]}, {}, None),
        ({"pools": ["fast"]}, {"pool": "fast"}, None),
    ],
)
def test_a_join_token_lets_in_what_it_is_for(
    cluster: Cluster, limits: dict[str, list[str]], facts: dict[str, Any], field: str | None
) -> None:
    joining = join(cluster, **limits)
    if field is None:
        assert cluster.a_node("alpha", caller=joining, credential=FIRST, **facts).node_id
        return
    with pytest.raises(Forbidden) as refused:
        cluster.a_node("alpha", caller=joining, credential=FIRST, **facts)
    assert refused.value.field == field


def test_a_node_stays_within_the_limits_of_its_join_token_when_it_registers_again(cluster: Cluster) -> None:
    cluster.a_node("alpha", caller=join(cluster, pools=["fast"]), credential=FIRST, pool="fast")
    with pytest.raises(Forbidden):
        cluster.a_node("alpha", caller=shows(cluster, FIRST), credential=SECOND, pool="secret")


def test_a_node_of_one_project_gets_only_that_projects_jobs(cluster: Cluster) -> None:
    cluster.change("INSERT INTO projects (name) VALUES ('maps')")
    node = cluster.a_node("alpha", caller=join(cluster, projects=["maps"]), credential=FIRST)
    job_id = cluster.a_job()
    assert cluster.tick() == 0
    cluster.a_node("beta", caller=join(cluster, projects=["default", "maps"]), credential=SECOND)
    assert cluster.tick() == 1
    assert cluster.value("SELECT node_id FROM executions WHERE job_id = :id", id=job_id) != node.node_id


def test_a_node_of_the_release_before_goes_on_with_the_token_that_it_came_with(cluster: Cluster) -> None:
    joining = join(cluster)
    old = cluster.a_node("alpha", caller=joining)
    assert not old.credential_taken
    identity.require(cluster.rt, joining, old.node_id)
    with pytest.raises(Forbidden):
        identity.require(cluster.rt, join(cluster), old.node_id)
    job_id, ref = cluster.running(old)
    upgraded = cluster.a_node("alpha", caller=joining, credential=FIRST, place="here", held=held(ref))
    assert (upgraded.epoch, upgraded.credential_taken) == (old.epoch, True)
    assert cluster.job(job_id).status == "RUNNING"


def a_file(cluster: Cluster) -> FileId:
    cluster.change("INSERT INTO workspaces (name, url) VALUES ('w', 'file:///nowhere') ON CONFLICT DO NOTHING")
    return FileId(
        cluster.value(
            """INSERT INTO files (project_id, workspace_id, file_name, file_size, sha256, path)
               VALUES (:project, (SELECT id FROM workspaces LIMIT 1), 'f', 1, 'x', gen_random_uuid()::text) RETURNING id""",
            project=cluster.project,
        )
    )


@pytest.mark.parametrize("data", ['{{"name": "f", "file_id": {0}}}', '{{"name": "f", "file_ids": [{0}]}}'])
def test_a_node_reads_the_files_of_what_it_runs_and_no_others(cluster: Cluster, data: str) -> None:
    alpha = cluster.a_node("alpha", caller=join(cluster), credential=FIRST)
    mine, other = a_file(cluster), a_file(cluster)
    job_id, ref = cluster.running(alpha)
    cluster.change(
        "UPDATE job_specs SET data = CAST(:data AS jsonb) WHERE job_id = :id",
        data=f'{{"input_data": [{data.format(mine)}]}}',
        id=job_id,
    )
    cluster.a_node("beta", caller=join(cluster), credential=SECOND)
    caller, neighbour = shows(cluster, FIRST), shows(cluster, SECOND)
    identity.require_file(cluster.rt, caller, mine)
    for who, file in ((caller, other), (neighbour, mine), (join(cluster), mine)):
        with pytest.raises(NotFound):
            identity.require_file(cluster.rt, who, file)
    cluster.report(alpha, ref)
    with pytest.raises(NotFound):
        identity.require_file(cluster.rt, caller, mine)


def _output(ref: tuple[int, int], token: str) -> wire.OutputChunk:
    return wire.OutputChunk.model_validate(
        {
            "execution_id": ref[0], "attempt": ref[1], "phase": "job", "stream": "stdout", "offset": 0, "at": 1.0,
            "data": "aGVsbG8=", "token": token,
        }
    )  # fmt: skip


def test_output_progress_and_reports_are_taken_from_the_node_that_claimed_with_the_token_of_the_claim(
    cluster: Cluster,
) -> None:
    alpha = cluster.a_node("alpha")
    job_id, ref = cluster.running(alpha)
    beta = cluster.a_node("beta")

    def try_all(node: NodeId, token: str, **options: Any) -> tuple[int, Any, bool]:
        chunks = wire.OutputChunks(node_id=node, chunks=[_output(ref, token)])
        node_protocol.store_output(cluster.rt, chunks, **options)
        began = {"pre": wire.PhaseReport(started=5.0)}
        said = wire.Progress.model_validate(
            {"execution_id": ref[0], "attempt": ref[1], "percent": 50, "token": token, "phases": began}
        )
        speaker = alpha if node == alpha.node_id else beta
        beat = wire.HeartbeatBody(node_id=node, epoch=speaker.epoch, holding=0, progress=[said])
        node_protocol.beat(cluster.rt, beat, **options)
        has_begun = cluster.execution(ref[0]).pre_started is not None
        return cluster.value("SELECT count(*) FROM output_chunks"), cluster.job(job_id).percent, has_begun

    for node, token in ((beta.node_id, TOKEN), (alpha.node_id, ""), (alpha.node_id, "another-token-of-16")):
        assert try_all(node, token) == (0, None, False)
    assert try_all(beta.node_id, "", by_token=True) == (0, None, False)
    assert cluster.report(beta, ref).accepted == []
    assert cluster.job(job_id).status == "RUNNING"
    assert try_all(alpha.node_id, "", by_token=True) == (1, 50, True)
    assert cluster.report(alpha, ref).accepted
