"""an update of 1,000,000 blocks x 5 columns from CSV and from Parquet, a merge into them, and queries: rate and peak memory."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.figures import figure
from workers.block_models.parquet.writer import ParquetFileWriter

SIDE = 100
ROWS = SIDE**3
KINDS = {"grade": "Float64", "count": "Int32", "is_ore": "Boolean", "rock": "Utf8", "density": "Float32"}
GRID = {"blocks": [SIDE] * 3, "size": [1.0] * 3, "origin": [0.0] * 3}
_RUN = """
import resource, sys
from workers.block_models.__main__ import main
status = main()
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which begins with what the process had that started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
sys.stderr.write(f"{used.ru_utime + used.ru_stime} {peak}")
sys.exit(status)
"""


def main() -> None:
    """Print for each piece of work its rows a second of cpu time, and the most memory that its process had."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_csv(root / "ordered.csv", range(ROWS))
        numbers = list(range(ROWS))
        random.Random(1).shuffle(numbers)
        _write_csv(root / "shuffled.csv", numbers)
        _write_parquet(root / "ordered.parquet")
        first = _update(root, "csv", root / "ordered.csv")
        _update(root, "csv_in_any_order", root / "shuffled.csv")
        _update(root, "csv_merged", root / "ordered.csv", base=first)
        _update(root, "parquet", root / "ordered.parquet")
        for form in ("csv", "parquet"):
            _query(root, form, first)


def _update(root: Path, name: str, uploaded: Path, base: Path | None = None) -> Path:
    place = Path(tempfile.mkdtemp(dir=root))
    (place / "in" / "data").mkdir(parents=True)
    (place / "in" / "data" / "file").symlink_to(uploaded)
    if base is not None:
        (place / "in" / "columns").symlink_to(base)
    columns = [
        {"id": title, "kind": kind, "titles": [title], "base": base is not None} for title, kind in KINDS.items()
    ]
    request = {"do": "update", "base": 1, "grid": GRID, "merge": True, "columns": columns, "known": [],
               "input": {"file_format": uploaded.suffix[1:]}}  # fmt: skip
    _run(f"update.{name}", request, place)
    return place / "out"


def _query(root: Path, form: str, base: Path) -> None:
    place = Path(tempfile.mkdtemp(dir=root))
    (place / "in").mkdir()
    (place / "in" / "columns").symlink_to(base)
    columns = [{"id": title, "kind": kind, "name": title} for title, kind in KINDS.items()]
    request = {"do": "query", "grid": GRID, "columns": columns, "file_format": form, "file_name": f"blocks.{form}"}
    _run(f"query.{form}", request, place)


def _run(name: str, request: dict[str, Any], place: Path) -> None:
    (place / "out").mkdir()
    variables = {
        "GANGER_INPUT_DIR": str(place / "in"),
        "GANGER_OUTPUT_DIR": str(place / "out"),
        "GANGER_INPUT_REQUEST": json.dumps(request),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    told = subprocess.run([sys.executable, "-c", _RUN], env=variables, capture_output=True, text=True, check=True)
    answer = json.loads((place / "out" / "results.json").read_text())["properties"]
    assert answer["result"]["rows"] == ROWS, answer
    cpu_s, peak_kib = map(float, told.stderr.split())
    figure(
        "block_models",
        name,
        ROWS / cpu_s,
        "rows a second of cpu",
        cpu_s=round(cpu_s, 2),
        peak_mib=round(peak_kib / 1024),
    )


def _values(numbers: Iterator[int]) -> Iterator[tuple[int, int, int, float, int, bool, str, float]]:
    chance = random.Random(7)
    for n in numbers:
        yield (
            n % SIDE, n // SIDE % SIDE, n // SIDE**2,
            chance.random(), n % 1000, n % 2 == 0, f"rock{n % 7}", chance.randrange(10**6) / 8,
        )  # fmt: skip


def _write_csv(path: Path, numbers: Any) -> None:
    with path.open("w") as file:
        file.write(",".join(["i", "j", "k", *KINDS]) + "\n")
        for i, j, k, grade, count, is_ore, rock, density in _values(iter(numbers)):
            file.write(f"{i},{j},{k},{grade},{count},{'true' if is_ore else 'false'},{rock},{density}\n")


def _write_parquet(path: Path) -> None:
    keys = [(name, "UInt32", False) for name in "ijk"]
    with ParquetFileWriter(path, [*keys, *((title, kind, True) for title, kind in KINDS.items())]) as writer:
        held: list[Any] = []
        for row in _values(iter(range(ROWS))):
            held.append(row)
            if len(held) == 1 << 16:
                writer.write([list(column) for column in zip(*held, strict=True)])
                held.clear()
        writer.write([list(column) for column in zip(*held, strict=True)])
