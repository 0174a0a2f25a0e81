"""The users of nodes at the broker: each node reads and writes its own queue there, and nothing else.

A node's user has a password that node and API make from the node's credential, so none is handed around. The API admits a
node when it registers; the leader keeps the list: a broker that was started anew knows its users again, and a node that
left, or whose join token was revoked, loses its user and its connections. The broker keeps no more than digests.

A broker that does not let us manage users (no rights, or too old) serves its nodes by the login in their own address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import redis
from redis.exceptions import NoPermissionError

from scheduler import broker_protocol
from scheduler.broker_protocol import queue_name
from scheduler.events import BROKER_USERS_OFF
from scheduler.identifiers import NodeId
from scheduler.log import log
from scheduler.runtime import Runtime
from scheduler.servers import broker_client
from scheduler.store.nodes import credentials

_PREFIX: Final = "ganger.node."

_COMMANDS: Final = (
    "-@all", "+auth", "+hello", "+select", "+ping", "+info", "+client|setinfo", "+client|setname",
    "+multi", "+exec", "+discard", "+watch", "+unwatch", "+brpop", "+rpop", "+rpush", "+lpush", "+llen", "+exists",
    "+hget", "+hset", "+hdel", "+zadd", "+zrem", "+zrange", "+set", "+get", "+del", "+pexpire", "+evalsha", "+eval", "+script|load",
)  # fmt: skip
"""All that Celery's transport needs to consume one queue, and to send canaries to it."""

_PRIORITIES: Final = (0, 3, 6, 9)
"""The steps of priority, for each of which Celery's transport asks a list of its own."""

WITHIN_S: Final = 1.0
"""A registration waits no longer for the broker; the leader makes up for it."""
EVERY_S: Final = 10.0
"""Time between two looks at the list."""


def keep(rt: Runtime, users: BrokerUsers | None, leads: Callable[[], bool]) -> float:
    """Keep the list of users while this process leads; return the time until the next look."""
    if users is not None and leads():
        users.synchronize(rt)
    return EVERY_S


class BrokerUsers:
    """Manages the users of nodes at one broker. `are_managed` turns false, for good, when the broker refuses to let us."""

    def __init__(self, url: str) -> None:
        """Connect with the first call."""
        self._client = broker_client.connect(url, WITHIN_S)
        self.are_managed = True

    def admit(self, rt: Runtime, node_id: NodeId, name: str) -> str | None:
        """Give a node its user and return the user's name; None where the node has to use the login of its address.

        A broker that cannot be reached now is told by the leader later.
        """
        with rt.db.begin() as tx:
            digests = credentials.of_node(tx, node_id)
        if digests:
            self._let(lambda: self._set({name: digests}))
        return _user(name) if digests and self.are_managed else None

    def synchronize(self, rt: Runtime) -> None:
        """Make the broker's list of nodes' users that of our nodes: add the missing ones, delete the others."""
        self._let(lambda: self._synchronize(rt))

    def _synchronize(self, rt: Runtime) -> None:
        # The broker is asked first: whoever has a user there has registered before, and is found among our nodes now.
        there = {user for user in map(_text, self._client.acl_users()) if user.startswith(_PREFIX)}
        with rt.db.begin() as tx:
            nodes = credentials.by_name(tx)
        wanted = {_user(name): name for name in nodes}
        self._set({name: nodes[name] for user, name in wanted.items() if user not in there})
        gone = there - wanted.keys()
        if gone:
            self._client.acl_deluser(*gone)

    def _set(self, nodes: Mapping[str, Iterable[bytes]]) -> None:
        """Make or change the users of these nodes, in one trip."""
        if not nodes:
            return
        with self._client.pipeline(transaction=False) as trip:
            for name, digests in nodes.items():
                trip.execute_command("ACL", "SETUSER", _user(name), *_rules(name, digests))  # type: ignore[no-untyped-call]  # redis has no types here
            trip.execute()

    def _let(self, change: Callable[[], None]) -> None:
        if not self.are_managed:
            return
        try:
            change()
        except redis.ResponseError as refusal:
            if not isinstance(refusal, NoPermissionError) and "unknown" not in str(refusal):
                return  # it is no matter of rights or of its age, and the leader tries again
            self.are_managed = False
            log.warning(
                BROKER_USERS_OFF, why=str(refusal), remedy="nodes need a login of the broker in GANGER_BROKER_URL"
            )
        except (redis.RedisError, OSError):
            pass  # it is away: the leader tries again


def _rules(name: str, digests: Iterable[bytes]) -> list[str]:
    passwords = [f"#{hashlib.sha256(broker_protocol.password(one).encode()).hexdigest()}" for one in digests]
    queue = queue_name(name)
    lists = [queue if step == 0 else f"{queue}\x06\x16{step}" for step in _PRIORITIES]
    keys = [f"~{key}" for key in (*lists, *broker_protocol.unacknowledged_keys(name).values())]
    return ["reset", "on", *passwords, *keys, *_COMMANDS]


def _user(name: str) -> str:
    return f"{_PREFIX}{name}"


def _text(user: bytes | str) -> str:
    return user if isinstance(user, str) else user.decode("utf-8", "replace")
