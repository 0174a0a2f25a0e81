"""The arguments of `ganger worker` for a new node: a name that is free, its pool, amounts and labels."""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal

from scheduler.pools.drivers.driver import NodeTemplate
from scheduler.rules.cluster.resources import THOUSANDTHS

_NO_LETTER = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 100


def fresh_names(stem: str, taken: Collection[str], count: int) -> list[str]:
    """Return `count` names `<stem>-<number>` that are not taken, the smallest numbers first."""
    stem = _NO_LETTER.sub("-", stem).lstrip("._-")[:_LONGEST] or "node"
    found: list[str] = []
    number = 1
    while len(found) < count:
        name = f"{stem}-{number}"
        if name not in taken:
            found.append(name)
        number += 1
    return found


def options(name: str, template: NodeTemplate) -> list[str]:
    """Return the options of `ganger worker` for a node of this name and template."""
    words = ["--name", name, "--pool", template.pool]
    amounts = {} if template.amounts is None else template.amounts.amounts()
    for kind, amount in amounts.items():
        if kind in {"mem", "disk"}:
            words += [f"--{kind}", str(max(amount // THOUSANDTHS, 1))]
        else:
            units = format(Decimal(amount) / THOUSANDTHS, "f")
            words += ["--cpus", units] if kind == "cpus" else ["--resource", f"{kind}={units}"]
    for label, value in sorted(template.labels.items()):
        words += ["--label", f"{label}={value}"]
    return words
