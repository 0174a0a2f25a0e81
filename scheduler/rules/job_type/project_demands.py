"""What a project demands of all its jobs: nodes that keep jobs apart well enough, and images from registries that it trusts.

The first becomes a constraint of each job, so that placement and explanations know it as one. The second is checked when
a job is submitted. Both hold for jobs that are submitted from then on.
"""

from __future__ import annotations

from typing import Final

from scheduler.documents import ConstraintDocument, DemandsDocument
from scheduler.errors import FaultList
from scheduler.rules.job_type import runners

ISOLATIONS: Final = ("none", "account", "namespaces", "users")
"""How nodes keep jobs apart, the weakest first; the value of their label `isolation`."""

_LABEL: Final = "isolation"
_DEFAULT_REGISTRY: Final = "docker.io"
_OWN: Final = "localhost"


def constraints(demands: DemandsDocument) -> list[ConstraintDocument]:
    """Return what the project demands of a node's labels."""
    least = demands.get("isolation")
    if least is None:
        return []
    return [{"label": _LABEL, "op": "in", "value": list(ISOLATIONS[ISOLATIONS.index(least) :])}]


def refusal(runner: str, options: object, demands: DemandsDocument) -> str | None:
    """Return why a program's image may not be had in the project, None if it may or there is none."""
    allowed = demands.get("registries")
    image = options.get("image") if isinstance(options, dict) else None
    if allowed is None or runner != "container" or not isinstance(image, str) or image.startswith(runners.FOLDER):
        return None
    where = _full_name(image)
    if any(_is_beneath(where, one) for one in allowed):
        return None
    known = ", ".join(allowed) or "none"
    return f"the image {image[:200]!r} comes from none of the registries that the project allows: {known}"


def note_fault(runner: str, options: object, demands: DemandsDocument, found: FaultList) -> None:
    """Note why a program's image may not be had in the project, if so."""
    wrong = refusal(runner, options, demands)
    if wrong is not None:
        found.note(wrong, field="options.image")


def _is_beneath(where: str, allowed: str) -> bool:
    """Return whether an image is one of these. After a host comes a slash: a colon would be another port of it."""
    ends = ("/", ":", "@") if "/" in allowed else ("/",)
    return where == allowed or where.startswith(tuple(allowed + end for end in ends))


def _full_name(image: str) -> str:
    """Return an image's reference with its registry: the first part is one if it looks like a host."""
    first, _, rest = image.partition("/")
    if rest and ("." in first or ":" in first or first == _OWN):
        return image
    return f"{_DEFAULT_REGISTRY}/{image if rest else f'library/{image}'}"
