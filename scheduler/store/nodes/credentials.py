"""The credentials of nodes: what each node shows instead of the join token that brought it in. Only digests are kept."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import FileId, NodeId, ProjectId
from scheduler.store import records


class KnownNode(NamedTuple):
    """The node with a credential. `token_id` is the join token it came with; `others`: it has proposed another one, or had one before."""

    node_id: NodeId
    name: str
    token_id: int
    others: bool


class JoinLimits(NamedTuple):
    """What nodes may register with a join token: names (`*` at the end stands for any rest), pools, and whose jobs they get."""

    nodes: list[str] | None
    pools: list[str] | None
    project_ids: list[ProjectId] | None


NO_LIMITS = JoinLimits(None, None, None)

# Revoking a join token ends what came of it; that it expires only means that nobody joins with it any more.
_FIND = text("""
    SELECT n.id AS node_id, n.name, c.token_id,
           EXISTS (SELECT FROM node_credentials o WHERE o.node_id = n.id AND o.sha256 <> c.sha256) AS others
    FROM node_credentials c
    JOIN nodes n ON n.id = c.node_id
    JOIN tokens t ON t.id = c.token_id
    WHERE c.sha256 = :sha256 AND t.revoked IS NULL
""")

_INSERT = text("""
    INSERT INTO node_credentials (sha256, node_id, token_id) VALUES (:sha256, :node_id, :token_id)
    ON CONFLICT (sha256) DO UPDATE SET token_id = EXCLUDED.token_id WHERE node_credentials.node_id = EXCLUDED.node_id
    RETURNING node_id
""")

_DROP = text("DELETE FROM node_credentials WHERE node_id = :node_id AND sha256 <> ALL(:kept)")

# Older by the time of its making: the one that is shown was proposed last, so the agent has it on its disk.
_DROP_OLDER = text("""
    DELETE FROM node_credentials o
    USING node_credentials c
    WHERE c.sha256 = :sha256 AND o.node_id = c.node_id AND o.created < c.created
""")

_OF_NODE = text("SELECT sha256 FROM node_credentials WHERE node_id = :node_id")

_BY_NAME = text("""
    SELECT n.name, array_agg(c.sha256) AS digests
    FROM node_credentials c
    JOIN nodes n ON n.id = c.node_id
    JOIN tokens t ON t.id = c.token_id
    WHERE n.state = 'READY' AND t.revoked IS NULL
    GROUP BY n.name
""")

_LIMITS = text("SELECT nodes, pools, project_ids FROM tokens WHERE id = :id")

_STILL_BY_JOIN = "(n.token_id IS NULL OR n.token_id = :token_id) AND NOT EXISTS (SELECT FROM node_credentials c WHERE c.node_id = n.id)"

_SPEAKS_BY_TOKEN = text(f"SELECT 1 FROM nodes n WHERE n.id = :node_id AND {_STILL_BY_JOIN}")  # noqa: S608 - our own text

# What the jobs of a data set read of it is said when they are claimed, and stands in no job's data.
_READS = text(f"""
    SELECT 1
    FROM nodes n
    JOIN executions x ON x.node_id = n.id AND x.released_at IS NULL AND x.claim_token IS NOT NULL
    JOIN jobs j ON j.id = x.job_id
    JOIN job_specs s ON s.job_id = x.job_id
    WHERE (n.id = :node_id OR CAST(:node_id AS bigint) IS NULL AND {_STILL_BY_JOIN})
      AND EXISTS (SELECT FROM files f WHERE f.id = :file AND f.project_id = j.project_id)
      AND (EXISTS (SELECT FROM data_set_jobs d JOIN data_set_files k ON k.data_set_id = d.data_set_id
                   WHERE d.job_id = x.job_id AND k.file_id = :file)
           OR jsonb_path_exists(s.data, '$.input_data[*].file_id ? (@ == $id)', jsonb_build_object('id', CAST(:file AS bigint)))
           OR jsonb_path_exists(s.data, '$.input_data[*].file_ids[*] ? (@ == $id)',
                                jsonb_build_object('id', CAST(:file AS bigint))))
    LIMIT 1
""")  # noqa: S608 - likewise


def find(tx: Connection, sha256: bytes) -> KnownNode | None:
    """Return the node with this credential, None where there is none or its join token was revoked."""
    return records.read_optional(KnownNode, tx.execute(_FIND, {"sha256": sha256}))


def confirm(tx: Connection, sha256: bytes) -> None:
    """Drop the credentials that a node had before this one, which it has shown now."""
    tx.execute(_DROP_OLDER, {"sha256": sha256})


def give(tx: Connection, node_id: NodeId, token_id: int, sha256: bytes, *, beside: bytes | None) -> bool:
    """Give a node this credential, beside the one that it has shown and in place of all others.

    False, and nothing is given, where another node has it.
    """
    kept = [sha256] if beside is None else [sha256, beside]
    tx.execute(_DROP, {"node_id": node_id, "kept": kept})
    given = tx.execute(_INSERT, {"sha256": sha256, "node_id": node_id, "token_id": token_id}).scalar()
    return given is not None


def drop_all(tx: Connection, node_id: NodeId) -> None:
    """Take all credentials from a node."""
    tx.execute(_DROP, {"node_id": node_id, "kept": []})


def of_node(tx: Connection, node_id: NodeId) -> set[bytes]:
    """Return the digests of a node's credentials; none for a node whose agent is of a release that had no credentials."""
    return {bytes(one) for one in tx.execute(_OF_NODE, {"node_id": node_id}).scalars()}


def by_name(tx: Connection) -> dict[str, list[bytes]]:
    """Return the digests of the credentials of all nodes that are there, by the name of the node."""
    return {name: [bytes(one) for one in digests] for name, digests in tx.execute(_BY_NAME)}


def limits(tx: Connection, token_id: int) -> JoinLimits:
    """Return what may register with a join token."""
    found = records.read_optional(JoinLimits, tx.execute(_LIMITS, {"id": token_id}))
    return NO_LIMITS if found is None else found


def speaks_by_token(tx: Connection, node_id: NodeId, token_id: int) -> bool:
    """Return whether this join token still speaks for the node: its agent has no credential, and came with this token."""
    return tx.execute(_SPEAKS_BY_TOKEN, {"node_id": node_id, "token_id": token_id}).scalar() is not None


def reads(tx: Connection, node_id: NodeId | None, token_id: int, file_id: FileId) -> bool:
    """Return whether an execution that the node has claimed reads this file.

    `node_id` None stands for all nodes for which the join token still speaks.
    """
    parameters = {"node_id": node_id, "token_id": token_id, "file": file_id}
    return tx.execute(_READS, parameters).scalar() is not None
