"""Marks of states: a shape, a word and a colour each, so that none of the three is needed to tell them apart."""

from __future__ import annotations

from markupsafe import Markup

from api.ui.show import formats

TONES = {
    "QUEUED": ("wait", "queued"), "PENDING": ("wait", "clock"), "PENDING_UPLOAD": ("wait", "upload"),
    "BLOCKED": ("bad", "blocked"), "RUNNING": ("run", "running"), "COMPLETED": ("good", "done"), "SUCCEEDED": ("good", "done"),
    "FAILED": ("bad", "failed"), "CANCELED": ("off", "canceled"), "WITHDRAWN": ("off", "canceled"), "LOST": ("bad", "lost"),
    "SKIPPED": ("off", "canceled"),
    "READY": ("good", "done"), "AVOIDED": ("warn", "warning"), "DEGRADED": ("warn", "warning"), "DRAINING": ("warn", "draining"),
    "PAUSED": ("warn", "paused"), "OFFLINE": ("bad", "lost"), "GONE": ("off", "canceled"), "DEPRECATED": ("off", "canceled"),
    "MISSING": ("bad", "failed"), "STALE": ("bad", "lost"), "HELD": ("warn", "held"),
}  # fmt: skip
"""The tone and the icon of every status of jobs, executions, nodes, operations and the scheduler."""


def tone(word: str) -> str:
    """Return the tone of a status: wait, run, good, bad, warn or off."""
    return TONES.get(word, ("off", "queued"))[0]


def shape(word: str) -> str:
    """Return the name of the icon of a status."""
    return TONES.get(word, ("off", "queued"))[1]


def mark(word: str) -> Markup:
    """Return the mark of a status."""
    kind, drawn = TONES.get(word, ("off", "queued"))
    shown = word.replace("_", " ").capitalize()
    return Markup('<span class="mark {}">{}{}</span>').format(kind, icon(drawn), shown)


def icon(name: str) -> Markup:
    """Return an icon that only repeats the words beside it."""
    return Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="#i-{}"/></svg>').format(name)


def bar(used: float, reserved: float, total: float, *, name: str, unit: str) -> Markup:
    """Return a bar of what is used inside what is reserved inside what there is, with the same in words for who cannot see it."""
    said = f"{formats.resource(unit, reserved)} of {formats.resource(unit, total)} {name} reserved"
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{said}"><title>{said}</title>'
        '<rect class="total" width="100" height="8" rx="1"/><rect class="reserved {full}" width="{reserved:.2f}" height="8" rx="1"/>'
        '<rect class="used" width="{used:.2f}" y="2.5" height="3"/></svg>'
    ).format(
        said=said,
        full="full" if total > 0 and reserved >= total else "",
        reserved=formats.percent(reserved, total),
        used=formats.percent(used, total),
    )
