"""The example that the demo runs, kml-footprint, and its table cut into shards."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ganger.documents import JsonObject
from scheduler.errors import SetupError


@dataclass(frozen=True)
class ExampleTable:
    """A CSV table: its name, its content, and how many rows it has without the heading."""

    name: str
    content: bytes
    rows: int


@dataclass(frozen=True)
class Example:
    """A folder with the job type, the program and the data."""

    folder: Path

    @cached_property
    def job_type(self) -> JsonObject:
        """The definition of the job type."""
        definition: JsonObject = json.loads((self.folder / "job-type.json").read_text())
        return definition

    @property
    def program(self) -> Path:
        """The program that the jobs run."""
        return self.folder / "kml_footprint.py"

    @cached_property
    def table(self) -> ExampleTable:
        """All places."""
        return _table("airports.csv", _read(self.folder / "data" / "airports.csv"))

    def shards(self, count: int) -> Sequence[ExampleTable]:
        """Return the table in so many parts that together hold each row once, their sizes as equal as can be."""
        heading, *places = _read(self.folder / "data" / "airports.csv")
        width = len(str(count))
        return [
            _table(f"airports-{number + 1:0{width}}-of-{count}.csv", [heading, *places[number::count]])
            for number in range(count)
        ]


def require(folder: Path | None = None) -> Example:
    """Return the example, from `folder` or from the clone that this code stands in. Raises SetupError."""
    examples = folder or Path(__file__).resolve().parents[2] / "deploy" / "examples"
    example = Example(examples / "kml-footprint")
    if not (example.folder / "job-type.json").is_file():
        raise SetupError(
            f"there is no example kml-footprint in {examples}; run the demo from a clone, or name its deploy/examples with --examples"
        )
    return example


def _read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _table(name: str, lines: Sequence[Sequence[str]]) -> ExampleTable:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return ExampleTable(name, text.getvalue().encode(), len(lines) - 1)
