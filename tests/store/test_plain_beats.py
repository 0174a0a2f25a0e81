"""Heartbeats with nothing new to say, gathered: what they count, what they answer, and which ones they leave to the long way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduler.executions.plain_beats import HeartbeatGathering
from scheduler.rules.lifecycle import heartbeats
from scheduler.store.nodes.beats import PlainHeartbeat
from tests.support.cluster import Cluster

DIGEST = b"d" * 32


def a_node(cluster: Cluster, name: str = "n1") -> PlainHeartbeat:
    """A node with a credential, as its next heartbeat."""
    node = cluster.a_node(name)
    token = (
        cluster.value("SELECT id FROM tokens LIMIT 1")
        if cluster.query("SELECT 1 FROM tokens")
        else cluster.value("INSERT INTO tokens (kind, name, sha256) VALUES ('node', 'join', 'x') RETURNING id")
    )
    digest = DIGEST + name.encode()
    cluster.change(
        "INSERT INTO node_credentials (sha256, node_id, token_id) VALUES (:sha256, :node, :token)",
        sha256=digest, node=node.node_id, token=token,
    )  # fmt: skip
    return PlainHeartbeat(node.node_id, node.epoch, 0, {"cpu": 0.5}, None, is_leaving=False, credential=digest)


def seq(cluster: Cluster, beat: PlainHeartbeat) -> int:
    return int(cluster.value("SELECT seq FROM beats WHERE node_id = :id", id=beat.node_id))


def test_a_plain_heartbeat_is_counted_by_one_statement(cluster: Cluster) -> None:
    beat = a_node(cluster)
    before = seq(cluster, beat)
    heard = HeartbeatGathering(cluster.rt).hear(beat)
    assert heard is not None
    assert (heard.node_id, heard.is_draining, heard.instructions) == (beat.node_id, False, [])
    assert seq(cluster, beat) == before + 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE nodes SET epoch = epoch + 1",
        "UPDATE nodes SET is_silent = true",
        "UPDATE nodes SET degraded = 'full'",
        "UPDATE nodes SET is_leaving = true",
        "UPDATE tokens SET revoked = now()",
        "DELETE FROM node_credentials",
    ],
)
def test_what_says_something_new_or_may_not_speak_is_left_to_the_long_way(cluster: Cluster, change: str) -> None:
    beat = a_node(cluster)
    cluster.change(change)
    before = seq(cluster, beat)
    assert HeartbeatGathering(cluster.rt).hear(beat) is None
    assert seq(cluster, beat) == before


def test_the_credential_of_one_node_counts_for_no_other(cluster: Cluster) -> None:
    one, other = a_node(cluster, "n1"), a_node(cluster, "n2")
    assert HeartbeatGathering(cluster.rt).hear(one._replace(credential=other.credential)) is None


def test_heartbeats_of_many_nodes_at_once_are_each_answered(cluster: Cluster) -> None:
    beats = [a_node(cluster, f"n{n}") for n in range(20)]
    gathering = HeartbeatGathering(cluster.rt)
    with ThreadPoolExecutor(8) as pool:
        heard = [*pool.map(gathering.hear, beats * 3)]
    assert [one.node_id for one in heard if one is not None] == [beat.node_id for beat in beats * 3]
    assert {seq(cluster, beat) for beat in beats} == {seq(cluster, beats[0])}


def test_the_more_nodes_the_seldomer_each_speaks_as_far_as_the_lease_allows() -> None:
    usual = {"beat_s": 2.0, "lease_s": 90.0}
    assert [heartbeats.interval_s(nodes, **usual) for nodes in (1, 500, 1_000, 100_000)] == [2.0, 2.0, 4.0, 15.0]
    assert heartbeats.silent_after_s(1, suspect_s=10, **usual) == 10
    assert heartbeats.silent_after_s(100_000, suspect_s=10, **usual) == 45
