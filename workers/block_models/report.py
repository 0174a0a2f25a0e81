"""Report: the mass of blocks and the sums or averages of their values, by category and above each cut-off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from math import isfinite
from pathlib import Path
from typing import Any

from workers.block_models import columns as files
from workers.block_models import grid
from workers.block_models.kinds import KINDS
from workers.block_models.problem import BlockModelProblem
from workers.block_models.query import column_batches

_MOST_CELLS = 20_000
"""Figures of one report: it is kept in the database, and people read it."""

_LONGEST = 100
"""Characters of a category that is worth a row."""

Row = tuple[Any, ...]


class _ReportSum:
    """What is summed up of one column in one row."""

    __slots__ = ("count", "invalid", "total", "weight")

    def __init__(self) -> None:
        self.total = self.weight = 0.0
        self.count = 0
        self.invalid = False

    def add(self, other: _ReportSum) -> None:
        self.total += other.total
        self.weight += other.weight
        self.count += other.count
        self.invalid = self.invalid or other.invalid

    def told(self, how: str, factor: float) -> list[Any]:
        """Return value and status."""
        if self.invalid:
            return [None, "INVALID"]
        if not self.count or (how == "average" and not self.weight):
            return [None, "NO_DATA"]
        value = self.total / self.weight if how == "average" else self.total
        return [value * factor, "OK"]


def _too_much() -> BlockModelProblem:
    return BlockModelProblem("Too much to tell", f"the report would have more than {_MOST_CELLS} figures")


class _LeftOut(Exception):
    """A block does not count."""


class _Reporter:
    """Sums up blocks, one after the other."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._asked = request
        self._cutoff = request["cutoff"]
        self._cutoffs: list[float | None] = sorted(self._cutoff["values"]) if self._cutoff else [None]
        self._sets: list[dict[Row, list[_ReportSum]]] = [{} for _ in self._cutoffs]
        self.warnings: Counter[str] = Counter()
        self._wide = 1 + len(request["values"])
        self._allowed = [None if one["values"] is None else frozenset(one["values"]) for one in request["categories"]]

    def add(self, block: Sequence[Any]) -> None:
        """Count one block by the values of its columns."""
        try:
            key = self._key(block)
            mass, cut = self._mass(block), self._cut(block)
            values = [self._value(block[one["column"]], "COLUMN") for one in self._asked["values"]]
        except _LeftOut:
            return
        for least, rows in zip(self._cutoffs, self._sets, strict=True):
            if least is not None and isinstance(cut, float) and cut < least:
                break  # they are in order
            cells = rows.get(key)
            if cells is None:
                cells = rows[key] = [_ReportSum() for _ in range(self._wide)]
                if sum(map(len, self._sets)) * self._wide > _MOST_CELLS:
                    raise _too_much()
            self._sum(cells, mass, values, is_invalid=cut == "invalid")

    def told(self) -> dict[str, Any]:
        """Return all rows: those of each category, after them the totals of what they have in common, at last that of all."""
        ways = [("sum", self._asked["mass_factor"]), *((one["how"], one["factor"]) for one in self._asked["values"])]
        sets, count = [], 0
        for least, rows in zip(self._cutoffs, self._sets, strict=True):
            everything = self._with_totals(rows)
            shown = [
                {"categories": [*key], "values": [cell.told(*way) for cell, way in zip(cells, ways, strict=True)]}
                for key, cells in sorted(everything.items(), key=lambda pair: _order(pair[0]))
            ]
            sets.append({"cutoff": least, "rows": shown})
            count += len(shown)
            if count * self._wide > _MOST_CELLS:
                raise _too_much()  # with the totals
        return {"sets": sets, "warnings": dict(self.warnings)}

    def _with_totals(self, rows: Mapping[Row, list[_ReportSum]]) -> dict[Row, list[_ReportSum]]:
        depth = len(self._asked["categories"])
        found = {**rows}
        found.setdefault((None,) * depth, [_ReportSum() for _ in range(self._wide)])
        for key, cells in rows.items():
            for kept in range(depth):
                total = found.setdefault(
                    (*key[:kept], *[None] * (depth - kept)), [_ReportSum() for _ in range(self._wide)]
                )
                for into, cell in zip(total, cells, strict=True):
                    into.add(cell)
        return found

    def _key(self, block: Sequence[Any]) -> Row:
        key = []
        for one, allowed in zip(self._asked["categories"], self._allowed, strict=True):
            value = block[one["column"]]
            if value is None or value == "":
                self.warnings["INVALID_CATEGORY_VALUE"] += 1
                raise _LeftOut
            if isinstance(value, str) and len(value) > _LONGEST:
                self.warnings["LONG_CATEGORY_VALUE"] += 1
                raise _LeftOut
            if allowed is not None and _word(value) not in allowed:
                raise _LeftOut
            key.append(value)
        return tuple(key)

    def _mass(self, block: Sequence[Any]) -> float:
        said = self._asked["density"]
        density = None if said["column"] is None else block[said["column"]]
        if density is not None and isfinite(density) and density > 0:
            return float(density * said["factor"] * self._asked["volume"])
        if said["column"] is not None:
            self.warnings["INVALID_DENSITY_VALUE"] += 1
        if said["otherwise"] is None:
            raise _LeftOut
        return float(said["otherwise"] * self._asked["volume"])

    def _cut(self, block: Sequence[Any]) -> float | str | None:
        if not self._cutoff:
            return None
        value = self._value(block[self._cutoff["column"]], "CUTOFF")
        if value is None:
            raise _LeftOut
        return value

    def _value(self, value: float | None, of: str) -> float | str | None:
        """Return a value as it counts: None where it does not, "invalid" where it spoils its row."""
        if value is None or not isfinite(value):
            self.warnings[f"NULL_{of}_VALUE"] += 1
            return _by_policy(self._asked["nulls"])
        if value < 0 and self._asked["negatives"] != "USE":
            self.warnings[f"NEGATIVE_{of}_VALUE"] += 1
            return _by_policy(self._asked["negatives"])
        return float(value)

    def _sum(
        self, cells: list[_ReportSum], mass: float, values: Sequence[float | str | None], *, is_invalid: bool
    ) -> None:
        cells[0].total += mass
        cells[0].count += 1
        cells[0].invalid |= is_invalid
        weights = {"average": mass, "mass": mass, "volume": self._asked["volume"], "sum": 1.0}
        for cell, one, value in zip(cells[1:], self._asked["values"], values, strict=True):
            cell.invalid |= is_invalid or value == "invalid"
            if isinstance(value, float):
                weight = weights[one["how"]]
                cell.total += value * weight
                cell.weight += weight
                cell.count += 1


def report(request: Mapping[str, Any], inputs: Path, _outputs: Path, progress: Callable[[int], None]) -> dict[str, Any]:
    """Return the figures of a report."""
    model = grid.read(request["grid"])
    reporter = _Reporter(request)
    rows = 0
    with ExitStack() as stack:
        open_files = []
        for one in request["columns"]:
            column = files.open_column(inputs / "columns" / files.file_name(one["id"]), KINDS[one["kind"]], model.count)
            stack.callback(column.close)
            open_files.append(column)
        for blocks in _blocks(column_batches(model, model.within(request["bbox"]), open_files)):
            for block in blocks:
                reporter.add(block)
                rows += 1
            progress(rows)
    return {"rows": rows, **reporter.told()}


def _blocks(batches: Iterator[list[Sequence[Any]]]) -> Iterator[Iterator[tuple[Any, ...]]]:
    return (zip(*columns, strict=True) for columns in batches)


def _by_policy(policy: str) -> float | str | None:
    if policy == "ZERO":
        return 0.0
    if policy == "IGNORE_BLOCK":
        raise _LeftOut
    return "invalid" if policy == "MARK_AS_INVALID" else None


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _order(key: Row) -> list[tuple[bool, float, str]]:
    return [(one is None, one if isinstance(one, (int, float)) else 0, "" if one is None else str(one)) for one in key]
