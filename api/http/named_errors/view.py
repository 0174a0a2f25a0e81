"""Named errors as the API shows them."""

from __future__ import annotations

from typing import Any


def entry(row: Any) -> dict[str, Any] | None:
    """Return the error of a row, null when it has none."""
    if row.error_id is None:
        return None
    return {
        "id": row.error_id,
        "name": row.error_name,
        "title": row.error_title,
        "description": row.error_description,
        "category": row.error_category,
        "is_builtin": row.is_builtin,
        "should_be_retried": row.should_be_retried,
    }


def detail(row: Any) -> dict[str, Any]:
    """Return an error of the catalogue."""
    return {
        "id": row.id,
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "category": row.category,
        "is_builtin": row.is_builtin,
        "should_be_retried": row.should_be_retried,
        "created": row.created,
        "last_modified": row.last_modified,
    }
