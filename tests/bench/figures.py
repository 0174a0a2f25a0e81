"""How figures are printed: one JSON object a line, with what was measured and in which unit."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence


def figure(part: str, name: str, value: float, unit: str, **facts: object) -> None:
    """Print one figure."""
    sys.stdout.write(json.dumps({"part": part, "name": name, "value": round(value, 3), "unit": unit, **facts}) + "\n")
    sys.stdout.flush()


def quantile(values: Sequence[float], q: float) -> float:
    """Return the value below which a share `q` of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def spread(part: str, name: str, seconds: Sequence[float], **facts: object) -> None:
    """Print median and 99th percentile of durations, in milliseconds."""
    figure(part, f"{name}.p50", quantile(seconds, 0.5) * 1000, "ms", n=len(seconds), **facts)
    figure(part, f"{name}.p99", quantile(seconds, 0.99) * 1000, "ms", n=len(seconds), **facts)
