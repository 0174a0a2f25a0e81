"""`ganger projects`, `errors`, `types`, `secrets` and the pause of the scheduler, as real commands against a real API."""

import json
import os
import re
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
    with serving(database_url, broker_url, tmp_path, API_WORKERS="1", SECRETS_KEY="A" * 43) as url:
        environment = {**os.environ, "GANGER_API_URL": url, "GANGER_TOKEN": secret}

        def run(*words: str, status: int = 0, typed: str = "", editor: str = "true") -> str:
            command = [sys.executable, "-m", "ganger", *words]
            ended = subprocess.run(
                command, env={**environment, "VISUAL": editor}, input=typed, capture_output=True, text=True, timeout=60, check=False
            )  # fmt: skip
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


def test_job_types_are_edited_replaced_archived_and_restored(ganger: Ganger, tmp_path: Path) -> None:
    path = tmp_path / "edited.json"
    path.write_text(json.dumps({"name": "edited", "version": "1.9", "command": ["echo", "1"], "title": "One"}))
    ganger("types", "add", str(path))
    assert ganger("types", "edit", "edited", editor="sed -i s/One/Two/") == "edited:1.9\n"
    assert json.loads(ganger("types", "show", "edited", "--json"))["title"] == "Two"
    assert "nothing was changed" in ganger("types", "edit", "edited")
    refused = ganger("types", "edit", "edited", editor="""sed -i 's/"priority": 100/"priority": -1/'""", status=2)
    (kept,) = re.findall(r"kept in (\S+\.json)", refused)
    assert "priority" in refused
    assert '"priority": -1' in Path(kept).read_text()
    assert "cannot be started" in ganger("types", "edit", "edited", editor="/nowhere/editor", status=2)
    path.write_text(json.dumps({"name": "edited", "version": "1.9", "command": ["echo", "2"]}))
    assert ganger("types", "replace", str(path)) == "edited:1.9\n"
    replaced = json.loads(ganger("types", "show", "edited", "--json"))
    assert (replaced["title"], replaced["command"], replaced["revision_num"]) == ("", ["echo", "2"], 2)
    path.write_text(json.dumps({"name": "edited", "version": "1.10", "command": ["true"]}))
    ganger("types", "replace", str(path))
    assert ganger("types", "archive", "edited") == "edited:1.10 archived\n"
    assert json.loads(ganger("types", "show", "edited", "--json"))["version"] == "1.9"
    assert "which version" in ganger("types", "restore", "edited", status=2)
    assert ganger("types", "restore", "edited:1.10") == "edited:1.10 restored\n"
    assert json.loads(ganger("types", "show", "edited", "--json"))["version"] == "1.10"


def test_secrets_come_from_standard_input_or_a_file_and_never_out_again(ganger: Ganger, tmp_path: Path) -> None:
    assert ganger("secrets", "set", "typed", typed="hush hush\n") == "secret typed of project default set\n"
    path = tmp_path / "value"
    path.write_bytes(b"two\nlines\n")
    ganger("secrets", "set", "filed", "--from-file", str(path))
    listed = ganger("secrets", "--json")
    assert [json.loads(line)["name"] for line in listed.splitlines()] == ["filed", "typed"]
    assert "hush" not in listed
    assert "typed" in ganger("secrets")
    assert "is empty" in ganger("secrets", "set", "nothing", status=2)
    path.write_bytes(b"\xff")
    assert "UTF-8" in ganger("secrets", "set", "odd", "--from-file", str(path), status=2)
    assert ganger("secrets", "remove", "typed") == "secret typed of project default removed\n"
    ganger("secrets", "remove", "typed", status=4)
    assert "no project" in ganger("secrets", "list", "--project", "nowhere", status=4)
