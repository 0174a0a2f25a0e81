"""Lists of tokens, without the digests; and what administrators change of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records
from scheduler.store.paging import Listing, RowCondition, SortKey


@dataclass(frozen=True, slots=True)
class TokenFilter:
    """Which tokens. Values of one field are alternatives, fields narrow; `project_id` bounds what the caller may see."""

    id: tuple[int, ...] = ()
    name: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    is_valid: bool | None = None
    project_id: ProjectId | None = None


class TokenRow(NamedTuple):
    """A token as lists show it: never its digest. `is_valid`: neither revoked nor expired; `projects` limits a node's."""

    id: int
    kind: str
    name: str
    role: str | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None
    project: str | None
    nodes: list[str] | None
    pools: list[str] | None
    projects: list[str] | None
    is_valid: bool


_VALID = "(j.revoked IS NULL AND (j.expires IS NULL OR j.expires > now()))"

_CONDITIONS = {
    "id": "j.id = ANY(:id)",
    "name": "j.name = ANY(:name)",
    "kind": "j.kind = ANY(:kind)",
    "role": "j.role = ANY(:role)",
    "project": "j.project_id = ANY(ARRAY(SELECT id FROM projects WHERE name = ANY(:project)))",
    "is_valid": f"{_VALID} = :is_valid",
    "project_id": "j.project_id = :project_id",
}

TOKENS = Listing(
    TokenRow,
    "tokens j",
    f"""j.id, j.kind, j.name, j.role, j.created, j.expires, j.revoked, j.last_used, p.name AS project, j.nodes, j.pools,
        (SELECT array_agg(o.name ORDER BY o.name) FROM projects o WHERE o.id = ANY(j.project_ids)) AS projects,
        {_VALID} AS is_valid""",  # noqa: S608 - the only text put in is our own
    "tokens j ON j.id = page.id LEFT JOIN projects p ON p.id = j.project_id",
    {
        "id": SortKey("j.id", "bigint"),
        "name": SortKey('j.name COLLATE "C"', "text"),
        "created": SortKey("j.created", "timestamptz"),
        "expires": SortKey("COALESCE(j.expires, 'infinity')", "timestamptz"),
        "last_used": SortKey("COALESCE(j.last_used, '-infinity')", "timestamptz"),
    },
)

_UPDATE = text("UPDATE tokens SET name = :name, expires = :expires WHERE id = :id")

_REVOKE = text("UPDATE tokens SET revoked = now() WHERE id = :id AND revoked IS NULL")


def condition(chosen: TokenFilter) -> RowCondition:
    """Return the filter as SQL."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return RowCondition(" AND ".join(_CONDITIONS[name] for name in given) or "true", parameters)


def update(tx: Connection, token_id: int, *, name: str, expires: datetime | None) -> None:
    """Write a token's name and when it expires."""
    tx.execute(_UPDATE, {"id": token_id, "name": name, "expires": expires})


def revoke(tx: Connection, token_id: int) -> bool:
    """End a token for good; False when that was done before."""
    return bool(tx.execute(_REVOKE, {"id": token_id}).rowcount)


def first(tx: Connection, chosen: TokenFilter) -> TokenRow | None:
    """Return the first token that matches, None when there is none."""
    statement = f"SELECT {TOKENS.columns} FROM tokens j LEFT JOIN projects p ON p.id = j.project_id WHERE "  # noqa: S608
    chosen_by = condition(chosen)
    rows = records.read_all(TokenRow, tx.execute(text(f"{statement}{chosen_by.sql} LIMIT 1"), chosen_by.parameters))
    return rows[0] if rows else None
