"""`ganger demo` as a newcomer runs it: everything passes, and nothing is left, also when it is stopped half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.demo import cases, examples
from api.up.embedded import processes
from tests.support.servers import state_folder

WITHIN_S = 110


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[int, list[dict[str, Any]], Path]]:
    """The whole demo: its exit status, its findings, and the folder with the results."""
    with state_folder() as folder:
        ended = subprocess.run(
            [*command(), "--state-dir", str(folder / "state"), "--keep", str(folder / "results"), "--json"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        findings = [json.loads(line) for line in ended.stdout.splitlines()]
        assert findings, ended.stderr
        yield ended.returncode, findings, folder / "results"


def command() -> list[str]:
    return [sys.executable, "-m", "ganger", "demo"]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANGER_")}
    return {**kept, "GANGER_GRACE_S": "2", "GANGER_RETRY_FIRST_S": "0.2"}


@pytest.mark.timeout(WITHIN_S + 10)
def test_everything_ends_as_it_should(played: tuple[int, list[dict[str, Any]], Path]) -> None:
    status, findings, _ = played
    *found, verdict = findings
    assert [(one["what"], one["complaints"]) for one in found if not one["passed"]] == []
    assert verdict["passed"] is True
    assert status == 0
    assert len(found) == cases.SHARDS + 9  # the whole table, five troubles, all together, the workflow, the end


def test_every_trouble_ended_in_its_own_way(played: tuple[int, list[dict[str, Any]], Path]) -> None:
    jobs = {one["what"]: one["job"] for one in played[1] if one.get("job")}
    ended = {name: (jobs[name]["status"], jobs[name]["num_exes"]) for name in jobs if not name.startswith("shard")}
    assert ended == {
        "all airports": ("COMPLETED", 1),
        "third try": ("COMPLETED", 3),
        "never succeeds": ("FAILED", 2),
        "too long": ("FAILED", 1),
        "canceled": ("CANCELED", 1),
        "too large": ("CANCELED", 0),
    }


def test_the_shards_hold_every_place_once(played: tuple[int, list[dict[str, Any]], Path]) -> None:
    results = played[2]
    whole = (results / "all-airports" / "footprint.kml").read_text().splitlines()
    shards = [path.read_text().splitlines() for path in results.glob("shard-*/footprint.kml")]
    assert len(shards) == cases.SHARDS
    placemarks = [line for shard in shards for line in shard if line.startswith("<Placemark>")]
    assert sorted(placemarks) == sorted(line for line in whole if line.startswith("<Placemark>"))


@pytest.mark.timeout(WITHIN_S)
def test_stopped_half_way_it_takes_down_what_it_put_up() -> None:
    with state_folder() as folder:
        state = folder / "state"
        demo = subprocess.Popen(
            [*command(), "--state-dir", str(state)],
            env=environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert demo.stderr is not None
        while "submitted" not in (line := demo.stderr.readline()):
            assert line, "it ended before it had submitted its jobs"
        demo.send_signal(signal.SIGTERM)
        demo.stderr.read()
        assert demo.wait(WITHIN_S) == 130
        assert processes.carrying([str(state)])[str(state)] == []


def test_without_the_examples_it_says_where_they_are_looked_for(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*command(), "--examples", str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert ended.returncode == 2
    assert str(tmp_path) in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_shards_are_of_equal_size_and_hold_each_row_once() -> None:
    example = examples.require()
    shards = example.shards(cases.SHARDS)
    assert sum(shard.rows for shard in shards) == example.table.rows
    assert max(shard.rows for shard in shards) - min(shard.rows for shard in shards) <= 1
    rows = [line for shard in shards for line in shard.content.decode().splitlines()[1:]]
    assert sorted(rows) == sorted(example.table.content.decode().splitlines()[1:])
