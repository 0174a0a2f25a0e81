"""Who may speak for a node: whoever shows the credential that this node alone has.

A join token brings a node in: with it the node proposes a credential, which it has made at random and written to its disk
before. From then on it shows that one, and the token opens nothing of the node any more. Nothing that other users can read
(its id, the id of its disk) is a proof of anything.
"""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler.errors import Forbidden, NotFound
from scheduler.identifiers import FileId, NodeId
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.nodes import credentials
from scheduler.store.nodes.credentials import JoinLimits


def require(rt: Runtime, caller: Caller, node_id: NodeId) -> None:
    """Raise Forbidden unless the caller is this node. It costs nothing for a node with a credential of its own.

    An agent of the release before has none: it goes on with the token that it registered with, until it is replaced.
    """
    if caller.node_id is not None:
        if caller.node_id != node_id:
            raise Forbidden("the credential is another node's")
        return
    with rt.db.begin() as tx:
        if not credentials.speaks_by_token(tx, node_id, caller.token_id):
            raise Forbidden("a join token only registers nodes; this node shows a credential of its own")


def require_file(rt: Runtime, caller: Caller, file_id: FileId) -> None:
    """Raise NotFound unless an execution that the caller has claimed reads this file."""
    with rt.db.begin() as tx:
        if not credentials.reads(tx, caller.node_id, caller.token_id, file_id):
            raise NotFound(f"there is no file {file_id} that an execution of this node reads")


def joins(tx: Connection, caller: Caller, *, name: str, pool: str) -> JoinLimits:
    """Return the limits of the caller's join token. Raises Forbidden if they do not let in a node of this name and pool."""
    if caller.node is not None and caller.node != name:
        raise Forbidden(f"the credential is of the node {caller.node!r}, not of {name!r}")
    limits = credentials.limits(tx, caller.token_id)
    if limits.nodes is not None and not any(_covers(one, name) for one in limits.nodes):
        raise Forbidden(f"the join token is for nodes named {', '.join(limits.nodes)}, not for {name!r}", field="name")
    if limits.pools is not None and pool not in limits.pools:
        raise Forbidden(f"the join token is for the pool {', '.join(limits.pools)}, not for {pool!r}", field="pool")
    return limits


def _covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
