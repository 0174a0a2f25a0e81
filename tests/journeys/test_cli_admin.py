"""`ganger projects`, `ganger errors` and the pause of the scheduler, as real commands against a real API."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from scheduler.admin import tokens
from tests.support.api_process import serving

Ganger: TypeAlias = Callable[..., str]


@pytest.fixture
def ganger(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Ganger]:
    """Runs a command as an administrator; returns what it printed, after checking its exit status."""
    secret = tokens.ensure(database_url, kind="user", role="admin", project=None, name="admin", path=tmp_path / "admin")
    with serving(database_url, broker_url, tmp_path, API_WORKERS="1") as url:
        environment = {**os.environ, "GANGER_API_URL": url, "GANGER_TOKEN": secret}

        def run(*words: str, status: int = 0) -> str:
            command = [sys.executable, "-m", "ganger", *words]
            ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert ended.returncode == status, ended.stderr
            return ended.stdout + ended.stderr

        yield run


def test_a_project_from_its_making_to_its_end(ganger: Ganger) -> None:
    made = json.loads(ganger("projects", "create", "maps", "--weight", "2", "--quota", "queued_jobs=5", "--json"))
    assert (made["weight"], made["quota"]["queued_jobs"]) == (2, 5)
    assert (
        ganger("projects", "change", "maps", "--quota", "cpus=1.5", "--quota", "queued_jobs=none")
        == "project maps changed\n"
    )
    ganger("projects", "pause", "maps", "--reason", "unpaid")
    (maps,) = [row.split("\t") for row in ganger("projects").splitlines() if row.startswith("maps")]
    assert maps == ["maps", "2", "0.0%", "", "cpus 1.5", "paused (unpaid)", ""]
    ganger("projects", "resume", "maps")
    ganger("projects", "delete", "maps")
    assert "no project 'maps'" in ganger("projects", "delete", "maps", status=4)
    assert "stays" in ganger("projects", "delete", "default", status=4)


@pytest.mark.parametrize("words", [("--quota", "gpus=1"), ("--quota", "cpus=many"), ("--quota", "cpus"), ()])
def test_a_change_that_says_nothing_right_is_used_wrongly(ganger: Ganger, words: tuple[str, ...]) -> None:
    assert ganger("projects", "change", "default", *words, status=2)


def test_an_error_is_added_changed_and_listed(ganger: Ganger) -> None:
    ganger("errors", "add", "bad-projection", "--category", "DATA", "--no-retry")
    ganger("errors", "change", "bad-projection", "--retry", "--title", "Bad projection")
    (row,) = [row.split("\t") for row in ganger("errors").splitlines() if "bad-projection" in row]
    assert row[1:] == ["bad-projection", "DATA", "yes", "no", "all", "Bad projection"]
    assert "built in" in ganger("errors", "change", "timeout", "--title", "x", status=4)


def test_the_scheduler_is_paused_and_goes_on(ganger: Ganger) -> None:
    """No scheduler runs here, so `ganger status` exits with 1."""
    ganger("pause", "--scheduler", "--reason", "upgrade")
    paused = _status(ganger)
    assert (paused["is_paused"], paused["pause_reason"]) == (True, "upgrade")
    ganger("resume", "--scheduler")
    assert not _status(ganger)["is_paused"]
    ganger("pause", "--scheduler", "--pool", "default", status=2)


def _status(ganger: Ganger) -> dict[str, Any]:
    return dict(json.loads(ganger("status", "--json", status=1))["scheduler"])


def test_how_a_pool_is_filled_is_said_and_shown(ganger: Ganger) -> None:
    def packing() -> str:
        (row,) = [row.split("\t") for row in ganger("pools").splitlines() if row.startswith("default")]
        return row[-2]

    assert packing() == "pack"
    ganger("scale", "default", "--packing", "spread", "--reason", "keep them cool")
    assert packing() == "spread"
    assert "spread" in ganger("pools", "default", "--why")
    ganger("scale", "default", "--packing", "pack")
    assert packing() == "pack"
    assert "spread" in ganger("scale", "default", "--packing", "both", status=2)


def test_the_status_says_whether_more_urgent_jobs_may_stop_others(ganger: Ganger) -> None:
    assert "preemption off, room is kept for up to 4 jobs that cannot start yet" in ganger("status", status=1)
