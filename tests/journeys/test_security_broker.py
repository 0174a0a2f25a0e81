"""A node at the broker: it reaches its own queue and nothing else, and it stops doing so when it is turned out.

The attacker here has taken over a node: they hold its credential, and speak to the broker as its consumer does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from scheduler import broker_protocol
from scheduler.servers import broker_client
from tests.support.installation import Installation
from tests.support.waiting import eventually
from workers.link import broker_login

USER = "ganger.node."


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    running = Installation(tmp_path_factory.mktemp("broker users"), nodes=2)
    yield running.start()
    assert running.stop() == 0


def _told(place: Installation, variable: str) -> str:
    """Return what the scheduler was told; an agent lets nobody read its own environment."""
    return str(place.processes("scheduler")[0].environ()[variable])


def _operator(place: Installation) -> redis.Redis:
    return broker_client.connect(_told(place, "GANGER_BROKER_URL"))


def _taken_over(place: Installation, node: str) -> redis.Redis:
    """Return the broker as the consumer of this node sees it, from what lies in the node's own folder."""
    kept = json.loads((place.root / "nodes" / node / "credential").read_text())
    password = broker_protocol.password(hashlib.sha256(kept["taken"].encode()).digest())
    return broker_client.connect(broker_login.with_login(_told(place, "GANGER_NODE_BROKER_URL"), USER + node, password))


def _users(place: Installation) -> set[str]:
    return {name.decode() if isinstance(name, bytes) else name for name in _operator(place).acl_users()}


def test_a_node_gets_an_address_without_a_login_and_a_user_of_its_own(place: Installation) -> None:
    first, second = place.ready["nodes"]
    assert "@" not in _told(place, "GANGER_NODE_BROKER_URL")
    assert {USER + first, USER + second} <= _users(place)
    assert _taken_over(place, first).ping()


def test_what_a_consumer_does_is_what_its_user_may(place: Installation) -> None:
    """Placements come through the broker, and no command of Celery's transport was refused on the way."""
    operator = _operator(place)
    operator.acl_log_reset()
    answer = place.api.post("/jobs/", json=[{"command": ["true"]} for _ in range(40)])
    assert answer.status_code == 201, answer.text
    eventually(lambda: place.api.get("/jobs/", params={"status": "COMPLETED"}).json()["count"] >= 40)
    assert operator.acl_log() == []
    logs = [path.read_text(errors="replace") for path in (place.root / "logs").glob("worker-*.log")]
    lines = [
        line
        for log in logs
        for line in log.splitlines()
        if "broker.unreachable" in line or "consumer.restarted" in line
    ]
    assert not [line for line in lines if "another login" not in line]  # which is what a late registration brings


@pytest.mark.parametrize(
    "attempt",
    [
        lambda broker, other: broker.lrange(f"node.{other}", 0, -1),
        lambda broker, other: broker.rpop(f"node.{other}"),
        lambda broker, other: broker.brpop([f"node.{other}"], timeout=1),
        lambda broker, other: broker.lpush(f"node.{other}", "{}"),
        lambda broker, other: broker.delete(f"node.{other}"),
        lambda broker, other: broker.hget(f"unacked.node.{other}", "x"),
        lambda broker, other: broker.delete(f"unacked.node.{other}"),
        lambda broker, other: broker.eval("return redis.call('RPOP', KEYS[1])", 1, f"node.{other}"),
        lambda broker, other: broker.eval(f"return redis.call('DEL', 'node.{other}')", 0),
        lambda broker, _other: broker.eval("return redis.call('KEYS', '*')", 0),
        lambda broker, _other: broker.get("ganger.health"),
        lambda broker, _other: broker.keys("*"),
        lambda broker, _other: broker.scan(),
        lambda broker, _other: broker.flushall(),
        lambda broker, _other: broker.config_get("requirepass"),
        lambda broker, _other: broker.acl_users(),
        lambda broker, _other: broker.acl_setuser("mine", enabled=True, nopass=True, commands=["+@all"], keys=["*"]),
        lambda broker, _other: broker.client_list(),
        lambda broker, _other: broker.monitor().__enter__(),
        lambda broker, _other: broker.publish("celery.pidbox", "{}"),
        lambda broker, _other: broker.shutdown(nosave=True),
        lambda broker, _other: broker.slaveof("127.0.0.1", 1),
    ],
)
def test_a_node_reaches_nothing_of_another_and_nothing_of_the_broker(
    place: Installation, attempt: Callable[[redis.Redis, str], object]
) -> None:
    first, second = place.ready["nodes"]
    with pytest.raises(redis.ResponseError, match=r"(?i)permission|acl"):
        attempt(_taken_over(place, first), second)


def test_a_node_whose_name_begins_like_anothers_is_another(place: Installation) -> None:
    """The second node of an installation is called like the first, with `-2` at the end."""
    first, second = place.ready["nodes"]
    assert second.startswith(first)
    with pytest.raises(redis.ResponseError, match=r"(?i)permission"):
        _taken_over(place, first).llen(f"node.{second}")


def test_a_broker_that_has_forgotten_its_users_is_told_again(place: Installation) -> None:
    first, _ = place.ready["nodes"]
    _operator(place).acl_deluser(USER + first)
    eventually(lambda: USER + first in _users(place), 30)
    assert _taken_over(place, first).ping()


def test_a_node_whose_join_token_is_revoked_loses_its_user(place: Installation) -> None:
    _, second = place.ready["nodes"]
    broker = _taken_over(place, second)
    assert broker.ping()
    tokens = place.api.get("/admin/tokens/", params={"page_size": 100}).json()["results"]
    (token,) = [one["id"] for one in tokens if one["name"] == second]
    assert place.api.delete(f"/admin/tokens/{token}/").status_code in {200, 204}
    eventually(lambda: USER + second not in _users(place), 30)
    with pytest.raises(redis.RedisError):
        broker.ping()


def test_a_broker_without_users_serves_nodes_by_the_login_of_their_address(tmp_path: Path) -> None:
    """What is set off, or refused by the broker, is not half on: the node has the login, and its placements come."""
    folder = tmp_path / "shared login"
    folder.mkdir()
    running = Installation(folder, GANGER_BROKER_USERS="false").start()
    try:
        assert "@" in _told(running, "GANGER_NODE_BROKER_URL")
        assert running.api.post("/jobs/", json={"command": ["true"]}).status_code == 201
        eventually(lambda: running.api.get("/jobs/", params={"status": "COMPLETED"}).json()["count"] == 1)
        assert not [user for user in _users(running) if user.startswith(USER)]
        log = (running.root / "logs" / f"worker-{running.ready['nodes'][0]}.log").read_text()
        assert "broker.unreachable" not in log
    finally:
        assert running.stop() == 0
