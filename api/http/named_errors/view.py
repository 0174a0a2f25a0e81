"""Named errors as the API shows them."""

from __future__ import annotations

from typing import Protocol

from api.http.named_errors.schema import ErrorDetail, ErrorView
from scheduler.store.admin.errors import ErrorRow


class WithError(Protocol):
    """A row with the error of a job or of an execution; all its columns are None where there is none."""

    @property
    def error_id(self) -> int | None: ...  # noqa: D102
    @property
    def error_name(self) -> str | None: ...  # noqa: D102
    @property
    def error_title(self) -> str | None: ...  # noqa: D102
    @property
    def error_description(self) -> str | None: ...  # noqa: D102
    @property
    def error_category(self) -> str | None: ...  # noqa: D102
    @property
    def is_builtin(self) -> bool | None: ...  # noqa: D102
    @property
    def should_be_retried(self) -> bool | None: ...  # noqa: D102


def entry(row: WithError) -> ErrorView | None:
    """Return the error of a row, null when it has none."""
    if row.error_id is None:
        return None
    return {
        "id": row.error_id,
        "name": row.error_name or "",
        "title": row.error_title or "",
        "description": row.error_description or "",
        "category": row.error_category or "",
        "is_builtin": bool(row.is_builtin),
        "should_be_retried": bool(row.should_be_retried),
    }


def detail(row: ErrorRow) -> ErrorDetail:
    """Return an error of the catalogue."""
    return {
        "id": row.id,
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "category": row.category,
        "is_builtin": row.is_builtin,
        "should_be_retried": row.should_be_retried,
        "project": row.project,
        "created": row.created,
        "last_modified": row.last_modified,
    }
