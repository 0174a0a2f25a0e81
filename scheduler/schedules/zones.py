"""Zones of time from the package `tzdata`, whatever the machine has: every process of an installation knows the same."""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from scheduler.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}\Z")


@cache
def names() -> frozenset[str]:
    """Return the names of all zones."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


@cache
def zone(name: str) -> tzinfo:
    """Return the zone of this name; raises InvalidInput."""
    if name == "UTC":
        return UTC
    if not _NAME.match(name) or name not in names():
        raise InvalidInput(f"there is no zone {name[:80]!r}; zones have names such as Europe/Berlin", field="zone")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
