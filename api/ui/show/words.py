"""Sentences about waiting that are put together from several facts of an explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_NAMED = 3


def start_basis(why: Mapping[str, Any]) -> str:
    """Return what an expected start rests on, in one sentence: room that is kept, who goes first, what has to end."""
    parts = []
    kept, queue, share, nodes = why["reservation"], why["queue"], why["share"], why["nodes"]
    if kept:
        named = ", ".join(node["name"] for node in kept["nodes"][:MOST_NAMED])
        more = len(kept["nodes"]) - MOST_NAMED
        parts.append(f"room is kept for it on {named}{f' and {more} more' if more > 0 else ''}")
    if queue and queue["ahead"]:
        parts.append(f"{queue['ahead']:,} job{'' if queue['ahead'] == 1 else 's'} before it by priority and age")
    if share and share["projects_ahead"]:
        count = share["projects_ahead"]
        parts.append(
            f"{count} project{'' if count == 1 else 's'} first by share and what {'it is' if count == 1 else 'they are'} owed"
        )
    if nodes and not nodes["usable"] and nodes["short_of"]:
        short = ", ".join(sorted(nodes["short_of"], key=lambda name: -nodes["short_of"][name])[:MOST_NAMED])
        parts.append(f"no node has enough {short} free until something there ends")
    expected = why["expected_start"]
    known = expected and expected["earliest"]
    if not parts:
        return "It rests on how long what runs has proved to take." if known else ""
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}{', by how long what runs has proved to take' if known else ''}."
