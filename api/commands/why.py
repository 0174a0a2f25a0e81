"""`ganger why`: why a job waits, where it ran, why it failed."""

from __future__ import annotations

from typing import Any

from api.commands import connection, screen
from api.commands.options import JobId, Json, StateDir, Token, Url

# What the API says in words stands before what it says in values.
SENTENCES = ("summary", "description", "sentence", "advice", "remedy")


def why(
    job_id: JobId,
    *,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Say why a job waits, where it ran, or why it failed.

    [bold]ganger why 12[/]
    """
    with connection.client(url, token, state_dir) as api:
        told = api.jobs.explain(job_id)
    if as_json:
        screen.document(told)
        return
    for line in _lines(told):
        screen.say(line)


def _lines(told: dict[str, Any]) -> list[str]:
    """Return the sentence first, then what stands behind it, a line each."""
    lines = [str(told[name]) for name in SENTENCES if told.get(name)]
    for name, value in told.items():
        if name not in SENTENCES and value not in (None, [], {}, ""):
            lines += _detail(name.replace("_", " "), value)
    return lines


def _detail(name: str, value: Any) -> list[str]:
    if isinstance(value, list):
        return [f"  {name}: {_text(entry)}" for entry in value]
    return [f"  {name}: {_text(value)}"]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_text(part)}" for name, part in value.items() if part is not None)
    return value if isinstance(value, str) else screen.compact(value)
