"""How a person likes to see things, kept in plain cookies of the browser: theme, time zone, clock, density."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from flask import Response, request

THEMES = ("system", "light", "dark")
CLOCKS = ("24", "12")
DENSITIES = ("dense", "roomy")
KEYS = ("on", "off")
KEPT_S = 400 * 24 * 3600
"""The longest time that browsers keep a cookie."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """The choices of one browser. An unknown word in a cookie counts as the first of its list."""

    theme: str = "system"
    zone: str = "UTC"
    clock: str = "24"
    density: str = "dense"
    keys: str = "on"

    @property
    def tz(self) -> ZoneInfo:
        """The zone that times are shown in."""
        return _zone(self.zone)


@cache
def zones() -> tuple[str, ...]:
    """Return the names of all time zones, UTC first."""
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def read() -> Preferences:
    """Return the choices that this request's cookies say."""
    zone = request.cookies.get("ganger-zone", "UTC").replace("%2F", "/")
    return Preferences(
        _one(request.cookies.get("ganger-theme"), THEMES),
        zone if zone in zones() else "UTC",
        _one(request.cookies.get("ganger-clock"), CLOCKS),
        _one(request.cookies.get("ganger-density"), DENSITIES),
        _one(request.cookies.get("ganger-keys"), KEYS),
    )


def keep(response: Response, chosen: Preferences) -> None:
    """Have the browser keep these choices."""
    values = {
        "theme": chosen.theme, "zone": chosen.zone, "clock": chosen.clock,
        "density": chosen.density, "keys": chosen.keys,
    }  # fmt: skip
    for name, value in values.items():
        response.set_cookie(f"ganger-{name}", value, max_age=KEPT_S, samesite="Lax", secure=request.is_secure)


def chosen(form: dict[str, str]) -> Preferences:
    """Return the choices of a form; a word that is none counts as the first of its list."""
    zone = form.get("zone", "UTC")
    return Preferences(
        _one(form.get("theme"), THEMES),
        zone if zone in zones() else "UTC",
        _one(form.get("clock"), CLOCKS),
        _one(form.get("density"), DENSITIES),
        _one(form.get("keys"), KEYS),
    )


def _one(word: str | None, words: tuple[str, ...]) -> str:
    return word if word in words else words[0]
