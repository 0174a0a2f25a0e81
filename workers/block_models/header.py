"""The header of a file of rows: which of its columns are keys, and which are columns of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.block_models.kinds import ColumnKind
from workers.block_models.problem import BlockModelProblem, shown

INDICES, POINTS = ("i", "j", "k"), ("x", "y", "z")
GEOMETRY = frozenset({*INDICES, *POINTS, "dx", "dy", "dz", "version_id"})
"""Names of columns that say which block a row means, or that the model itself makes."""


@dataclass(frozen=True)
class WantedColumn:
    """A column that a file has to bring: its id, its kind, and the titles under which the file may have it."""

    column_id: str
    kind: ColumnKind
    titles: tuple[str, ...]


@dataclass(frozen=True)
class MatchedHeader:
    """Where in a row the three keys stand, whether they are indices or points, and where the wanted columns stand."""

    keys: tuple[int, int, int]
    by_index: bool
    columns: tuple[int, ...]


def match(
    names: Sequence[str], wanted: Sequence[WantedColumn], known: frozenset[str], renamed: Mapping[str, str]
) -> MatchedHeader:
    """Return where everything stands. `known` are the model's other columns, which a file may have and which are passed over.

    Raises BlockModelProblem for a column twice, an unknown one, missing keys and missing columns.
    """
    titles = [renamed.get(name, name) for name in names]
    places: dict[str, int] = {}
    for number, title in enumerate(titles):
        if title in places:
            raise _problem(number, f"the column {shown(title)} is there twice")
        places[title] = number
    by_index = all(name in places for name in INDICES)
    keys = INDICES if by_index else POINTS
    missing = [name for name in keys if name not in places]
    if missing:
        have = "i, j and k" if any(name in places for name in INDICES) or len(missing) == len(POINTS) else "x, y and z"
        without = [name for name in (INDICES if have[0] == "i" else POINTS) if name not in places]
        raise _problem(None, f"rows are matched to blocks by {have}; there is no column {', '.join(without)}")
    columns = []
    for one in wanted:
        found = [title for title in one.titles if title in places]
        if not found:
            raise _problem(None, f"there is no column {shown(one.titles[0])}, which the update names")
        columns.append(places[found[0]])
    taken = {*columns, *(places[name] for name in keys)}
    for number, title in enumerate(titles):
        if number not in taken and title not in known and title not in GEOMETRY:
            raise _problem(number, f"the column {shown(title)} is neither of the model nor named by the update")
    i, j, k = (places[name] for name in keys)
    return MatchedHeader((i, j, k), by_index, tuple(columns))


def _problem(number: int | None, sentence: str) -> BlockModelProblem:
    where = "" if number is None else f", column {number + 1}"
    return BlockModelProblem("Wrong header", f"line 1{where}: {sentence}")
