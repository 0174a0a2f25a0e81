"""Shared by the commands of administrators: the fields that were given, and the line about a change."""

from __future__ import annotations

from ganger.cli import screen
from ganger.documents import JsonObject


def given(**fields: object) -> dict[str, object]:
    """Return the fields that are not None: those that the user named."""
    return {name: value for name, value in fields.items() if value is not None}


def print_changed(document: JsonObject, sentence: str, *, as_json: bool) -> None:
    """Print what was made or changed: as JSON in full, else one sentence."""
    if as_json:
        screen.document(document)
    else:
        screen.text(sentence)
