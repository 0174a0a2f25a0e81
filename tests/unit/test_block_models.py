"""The program of block models, run as a node runs it: files in directories, a request in a variable, an answer in a file."""

import csv
import json
import os
import random
import subprocess
import sys
import zipfile
from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zlib import decompress

import pytest

from workers.block_models import __main__ as program
from workers.block_models import packed
from workers.block_models.kinds import KINDS

PARQUET = Path(__file__).parents[1] / "support" / "parquet"
GRID = {"blocks": [4, 5, 2], "size": [1.0, 2.0, 0.5], "origin": [10.0, -3.0, 0.25]}
ALL = [(i, j, k) for k in range(2) for j in range(5) for i in range(4)]


class Bench:
    """The directories of one job after the other; what one has written the next finds."""

    def __init__(self, root: Path) -> None:
        self.root, self._number = root, 0
        self.columns: dict[str, tuple[str, Path]] = {}

    def run(self, request: dict[str, Any], uploaded: bytes | None = None) -> dict[str, Any]:
        """Return the properties that the program reports."""
        self._number += 1
        inputs, outputs = (self.root / str(self._number) / name for name in ("in", "out"))
        (inputs / "columns").mkdir(parents=True)
        outputs.mkdir()
        for column_id, (_, path) in self.columns.items():
            (inputs / "columns" / f"{column_id}.column").symlink_to(path)
        if uploaded is not None:
            (inputs / "data").mkdir()
            (inputs / "data" / "file").write_bytes(uploaded)
        variables = {
            "GANGER_INPUT_DIR": str(inputs),
            "GANGER_OUTPUT_DIR": str(outputs),
            "GANGER_INPUT_REQUEST": json.dumps(request),
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            assert program.main() == 0
        self.out = outputs
        return dict(json.loads((outputs / "results.json").read_text())["properties"])

    def update(self, kinds: dict[str, str], uploaded: bytes, *, merge: bool = True, **said: Any) -> dict[str, Any]:
        """Write columns whose ids are their titles; they are there from then on, unless there was a problem."""
        known = said.pop("known", [])
        wanted = [
            {"id": title, "kind": kind, "titles": [title], "base": title in self.columns}
            for title, kind in kinds.items()
        ]
        request = {"do": "update", "base": 1, "grid": GRID, "merge": merge, "columns": wanted, "known": known,
                   "input": {"file_format": "csv", **said}}  # fmt: skip
        told = self.run(request, uploaded)
        if "result" in told:
            self.columns |= {title: (kind, self.out / f"{title}.column") for title, kind in kinds.items()}
        else:
            assert not list(self.out.glob("*.column"))
        return told

    def query(self, *titles: str, **said: Any) -> list[list[str]]:
        """Return the rows of a CSV file without its header, which has to be the right one."""
        told = self.run(
            {
                "do": "query",
                "grid": GRID,
                "columns": [{"id": t, "kind": self.columns[t][0], "name": t} for t in titles],
                "file_format": "csv",
                "file_name": "blocks.csv",
                **said,
            }
        )
        assert "result" in told, told
        rows = list(csv.reader((self.out / "blocks.csv").open(encoding="utf-8")))
        keys = ["x", "y", "z"] if said.get("geometry") == "coordinates" else ["i", "j", "k"]
        assert rows[0] == [*keys, *titles]
        assert told["result"]["rows"] == len(rows) - 1
        return rows[1:]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def text(header: str, *rows: str) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


VALUES: dict[str, Sequence[str]] = {
    "Boolean": ("true", "false"),
    "Int8": ("-128", "127", "0"),
    "Int16": ("-32768", "32767"),
    "Int32": ("-2147483648", "2147483647"),
    "Int64": ("-9223372036854775808", "9223372036854775807"),
    "UInt8": ("0", "255"),
    "UInt16": ("65535",),
    "UInt32": ("4294967295",),
    "UInt64": ("18446744073709551615",),
    "Float16": ("0.5", "65500.0", "-0.1"),
    "Float32": ("0.1", "-1.5e-20", "nan", "inf"),
    "Float64": ("0.1", "1e+300", "-inf", "nan", "5e-324"),
    "Utf8": ("Fels", "a,b", 'say "so"', "▸ ☃", "line\nline"),
    "Date32": ("1969-12-31", "0001-01-01", "9999-12-31"),
    "Timestamp": ("1969-12-31T23:59:59.999999Z", "2026-02-28T12:00:00Z"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_every_kind_come_back_as_they_were_written_and_nulls_stay_null(bench: Bench, kind: str) -> None:
    given = [*VALUES[kind], ""]
    rows = [[*map(str, ALL[at]), value] for at, value in enumerate(given)]
    told = bench.update({"v": kind}, _csv([["i", "j", "k", "v"], *rows]))
    assert told["result"]["rows"] == len(given)
    assert [row[3] for row in bench.query("v", exclude_null_rows=False)][: len(given)] == given
    assert len(bench.query("v")) == len(VALUES[kind])


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("i,j,k,v", "0,0,0,abc", "line 3, column 4 (v): 'abc' is not a number"),
        ("i,j,k,v", "0,0,,1", "line 3, column 3 (k): this key is missing"),
        ("i,j,k,v", "4,0,0,1", "line 3, column 1 (i): the block is outside of the grid: i is 4"),
        ("i,j,k,v", "0,0,-1,1", "line 3, column 1 (i): the block is outside of the grid: k is -1"),
        ("i,j,k,v", "1,1,1,1", "line 3: the block of this row was there before"),
        ("i,j,k,v", "0,0,0", "line 3: there are 3 values, and the header has 4"),
        ("i,j,k,v", "0,0,0,1_0", "line 3, column 4 (v): '1_0' is not a number"),
        ("i,j,k,v", "0.5,0,0,1", "line 3, column 1 (i): '0.5' is not a whole number"),
        ("i,j,k,v", '0,0,0,"1', "this is not CSV"),
        ("i,j,k,w", "0,0,0,1", "there is no column 'v', which the update names"),
        ("i,j,k,v,w", "0,0,0,1,1", "line 1, column 5: the column 'w' is neither of the model nor named by the update"),
        ("i,j,k,v,v", "0,0,0,1,1", "line 1, column 5: the column 'v' is there twice"),
        ("i,j,v", "0,0,1", "rows are matched to blocks by i, j and k; there is no column k"),
        (
            "x,y,z,v",
            "10.5,-2,9,1",
            "line 3, column 1 (x): the point (10.5, -2.0, 9.0) is outside of the grid, by its z",
        ),
        ("x,y,z,v", "10.9,-2,0.5,1", "is not the centre of a block, by its x"),
        ("x,y,z,v", "nan,-2,0.5,1", "is outside of the grid, by its x"),
        ("v", "1", "there is no column i, j, k"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line_and_column(
    bench: Bench, header: str, row: str, said: str
) -> None:
    first = {"x": "11.5,0,0.5,1,1", "i": "1,1,1,1,1", "v": "1"}[header[0]]
    told = bench.update({"v": "Float64"}, text(header, ",".join(first.split(",")[: header.count(",") + 1]), row))
    assert said in told["problem"]["detail"], told


@pytest.mark.parametrize(
    ("kind", "value"),
    [("Int8", "128"), ("UInt8", "-1"), ("UInt64", str(2**64)), ("Int64", str(2**63)), ("Float16", "65520"),
     ("Float32", "1e39"), ("Boolean", "maybe"), ("Date32", "2026-02-30"), ("Date32", "20260101"),
     ("Timestamp", "yesterday"), ("Int32", "1.5"), ("Int32", "٣"), ("Float64", "1,5"), ("Float64", "0x1"),
     ("Timestamp", "9999-12-31T23:59:59-14:00x")],
)  # fmt: skip
def test_values_beyond_their_kind_are_refused(bench: Bench, kind: str, value: str) -> None:
    told = bench.update({"v": kind}, _csv([["i", "j", "k", "v"], ["0", "0", "0", value]]))
    assert told["problem"]["detail"].startswith("line 2, column 4 (v): "), told


@pytest.mark.parametrize(
    ("uploaded", "said"),
    [
        (b"", "line 1: the file has no header"),
        (b"i,j,k,v\n0,0,0,\xff\n", "line 2: this is not UTF-8"),
        (b"i,j,k,v\n0,0,0,1\n\x00\n", "line 3"),
        (b"i,j,k,v\n0,0,0," + b"9" * 9_000_000, "line 2: it is longer than"),
        (b'i,j,k,v\n0,0,0,"' + b"9\n" * 2_000_000, "this is not CSV"),
        (b"i,j,k,v," + b"," * 10_001, "line 1: there are more than 10000 columns"),
        (b"PAR1" + bytes(100), "line 1"),
    ],
)
def test_hostile_files_end_in_a_sentence(bench: Bench, uploaded: bytes, said: str) -> None:
    told = bench.update({"v": "Float64"}, uploaded)
    assert said in told["problem"]["detail"], told


def test_lines_count_as_in_an_editor_where_values_hold_line_ends_and_lines_are_empty(bench: Bench) -> None:
    rows = ['0,0,0,"two\nlines",1', "", "1,0,0,one,x"]
    told = bench.update({"t": "Utf8", "v": "Int8"}, text("i,j,k,t,v", *rows))
    assert told["problem"]["detail"].startswith("line 5, column 5 (v): 'x' is not a whole number")


def test_a_file_says_its_own_way_of_writing(bench: Bench) -> None:
    uploaded = "made by hand\nI;J;K;Gehalt\nunits;;;\n0;0;0;1,5\n3;4;1;'2,5'\n".encode("utf-8-sig")
    said: dict[str, Any] = {"delimiter": ";", "decimal_char": ",", "quote_char": "'", "skip_rows": 1, "skip_rows_after_headers": 1,
            "renamed": {"I": "i", "J": "j", "K": "k", "Gehalt": "v"}}  # fmt: skip
    assert bench.update({"v": "Float64"}, uploaded, **said)["result"]["rows"] == 2
    assert bench.query("v") == [["0", "0", "0", "1.5"], ["3", "4", "1", "2.5"]]


def test_rows_are_merged_into_the_values_that_are_there_or_replace_them(bench: Bench) -> None:
    kinds = {"v": "Int32", "t": "Utf8"}
    bench.update(kinds, text("i,j,k,v,t", "0,0,0,1,a", "1,0,0,2,b"))
    told = bench.update(kinds, text("i,j,k,v,t", "1,0,0,,c", "2,0,0,3,d"))
    assert told["result"]["bbox"]["i_minmax"] == {"min": 1, "max": 2}
    assert bench.query("v", "t") == [["0", "0", "0", "1", "a"], ["1", "0", "0", "", "c"], ["2", "0", "0", "3", "d"]]
    told = bench.update({"v": "Int32"}, text("i,j,k,v,t", "3,0,0,9,x"), merge=False, known=["t"])
    assert told["result"]["bbox"]["k_minmax"] == {"min": 0, "max": 1}
    assert bench.query("v") == [["3", "0", "0", "9"]]


@pytest.mark.parametrize(
    ("bbox", "blocks"),
    [
        ({"i_minmax": {"min": 1, "max": 2}, "j_minmax": {"min": 4, "max": 4}, "k_minmax": {"min": 0, "max": 1}},
         [(1, 4, 0), (2, 4, 0), (1, 4, 1), (2, 4, 1)]),
        ({"x_minmax": {"min": 11.5, "max": 12.4}, "y_minmax": {"min": -99, "max": -2}, "z_minmax": {"min": 0, "max": 9}},
         [(1, 0, 0), (1, 0, 1)]),
        ({"x_minmax": {"min": -1e308, "max": 1e308}, "y_minmax": {"min": -2.5, "max": -1}, "z_minmax": {"min": 0.6, "max": 1e308}},
         [(i, 0, 1) for i in range(4)]),
        ({"x_minmax": {"min": 90, "max": 91}, "y_minmax": {"min": 0, "max": 1}, "z_minmax": {"min": 0, "max": 1}}, []),
    ],
)  # fmt: skip
def test_a_box_selects_blocks_by_index_or_by_centre(bench: Bench, bbox: Any, blocks: list[Any]) -> None:
    bench.update({"v": "Int32"}, _csv([["i", "j", "k", "v"], *([*map(str, one), "1"] for one in ALL)]))
    assert [tuple(map(int, row[:3])) for row in bench.query("v", bbox=bbox)] == blocks


def test_points_mean_blocks_in_rotated_grids_as_well(bench: Bench) -> None:
    turned = {**GRID, "rotation": [{"axis": "z", "angle": 30.0}, {"axis": "x", "angle": 20.0}]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(GRID, "rotation", turned["rotation"])
        bench.update(
            {"v": "Int32"}, _csv([["i", "j", "k", "v"], *([*map(str, one), str(n)] for n, one in enumerate(ALL))])
        )
        points = bench.query("v", geometry="coordinates")
        assert points[0][:3] != ["10.5", "-2.0", "0.5"]
        bench.update({"w": "Int32"}, _csv([["x", "y", "z", "w"], *points]), known=["v"])
        assert [row[3] == row[4] for row in bench.query("v", "w")] == [True] * len(ALL)


@pytest.mark.parametrize("name", ["usual", "pages2-gzip", "plain"])
def test_parquet_of_another_writer_is_read_without_its_library(bench: Bench, name: str) -> None:
    uploaded = (PARQUET / f"{name}.parquet").read_bytes()
    told = bench.update({kind: kind for kind in KINDS}, uploaded, file_format="parquet")
    assert told["result"]["rows"] == 40, told
    rows = bench.query(*KINDS, exclude_null_rows=False)
    assert [row[3:] == [""] * len(KINDS) for row in rows] == [number % 7 == 3 for number in range(40)]
    wanted = [
        "false",
        *["38"] * 7,
        str(2**64 - 38),
        "9.25",
        "4.625",
        "3.7",
        "Fels ▸ 2",
        "1970-01-31",
        "1969-12-31T23:37:00.000037Z",
    ]
    assert rows[37][3:] == wanted


@pytest.mark.parametrize(
    ("uploaded", "said"),
    [
        ((PARQUET / "zstd.parquet").read_bytes(), "compressed with Zstandard"),
        ((PARQUET / "nested.parquet").read_bytes(), "nested"),
        ((PARQUET / "usual.parquet").read_bytes()[:-9], "not a Parquet file that can be read"),
        (b"i,j,k,v\n", "not a Parquet file that can be read"),
        (b"", "the file is empty"),
    ],
)
def test_parquet_that_cannot_be_read_is_told_in_a_sentence(bench: Bench, uploaded: bytes, said: str) -> None:
    told = bench.update({"Int8": "Int8"}, uploaded, file_format="parquet", known=[*KINDS])
    assert said in told["problem"]["detail"], told


def test_no_damage_to_a_parquet_file_brings_the_program_down(bench: Bench) -> None:
    whole = (PARQUET / "usual.parquet").read_bytes()
    chance = random.Random(5)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(whole))] = chance.randrange(256)
        told = bench.update({"w": "Float64"}, bytes(damaged), file_format="parquet", known=[*KINDS],
                            renamed={"Float64": "w"})  # fmt: skip
        assert told.keys() & {"result", "problem"}
        bench.columns.clear()


def test_a_column_of_text_takes_no_number_and_none_that_would_change(bench: Bench) -> None:
    uploaded = (PARQUET / "usual.parquet").read_bytes()
    known = [*KINDS]
    told = bench.update({"Utf8": "Float64"}, uploaded, file_format="parquet", known=known)
    assert "the column 'Utf8' has values of Utf8, and Float64 is wanted" in told["problem"]["detail"]
    told = bench.update({"Float64": "Int8"}, uploaded, file_format="parquet", known=known)
    assert "row 2, column Float64: '0.1' cannot be a value of Int8" in told["problem"]["detail"]
    assert "result" in bench.update({"Int8": "Float64"}, uploaded, file_format="parquet", known=known)


def test_what_is_written_as_parquet_is_read_again(bench: Bench) -> None:
    bench.update({kind: kind for kind in KINDS}, (PARQUET / "plain.parquet").read_bytes(), file_format="parquet")
    before = bench.query(*KINDS)
    columns = [{"id": kind, "kind": kind, "name": kind} for kind in KINDS]
    bench.run(
        {"do": "query", "grid": GRID, "columns": columns, "file_format": "parquet", "file_name": "blocks.parquet"}
    )
    again = (bench.out / "blocks.parquet").read_bytes()
    bench.columns.clear()
    assert bench.update({kind: kind for kind in KINDS}, again, file_format="parquet")["result"]["rows"] == len(before)
    assert bench.query(*KINDS) == before


def test_the_program_is_complete_in_the_text_that_travels_with_a_job(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(BytesIO(decompress(b64decode(packed.program()))))
    assert packed.program() == packed.program()
    archive.extractall(tmp_path / "program")
    (tmp_path / "out").mkdir()
    variables = {"GANGER_INPUT_DIR": str(tmp_path), "GANGER_OUTPUT_DIR": str(tmp_path / "out"), "PATH": os.environ["PATH"],
                 "GANGER_INPUT_REQUEST": json.dumps({"do": "create", "grid": GRID})}  # fmt: skip
    start = (
        f"import sys, runpy; sys.path.insert(0, {str(tmp_path / 'program')!r});"
        "runpy.run_module('workers.block_models', run_name='__main__', alter_sys=True)"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", start], env=variables, check=True, cwd=tmp_path)
    assert json.loads((tmp_path / "out" / "results.json").read_text())["properties"] == {"result": {"blocks": 40}}


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    held = StringIO()
    csv.writer(held).writerows(rows)
    return held.getvalue().encode()
