"""The `run` script: what it says to people, and how it finds what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "run", *words], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_help_explains_every_command() -> None:
    told = run("help")
    assert told.returncode == 0
    for command in ("demo", "up", "test", "fast", "check", "bench", "sim", "model", "chaos", "help"):
        assert f"\n  {command} " in told.stdout


def test_no_command_is_a_question_for_help() -> None:
    assert run().stdout == run("help").stdout


def test_an_unknown_command_is_named() -> None:
    told = run("dmeo")
    assert told.returncode == 2
    assert "there is no command 'dmeo'" in told.stderr


@pytest.mark.parametrize("command", ["sim", "model", "chaos"])
def test_what_is_not_there_yet_says_so(command: str) -> None:
    told = run(command)
    assert told.returncode == 2
    assert "comes with a later release" in told.stderr


def test_an_older_python_is_passed_over_and_none_at_all_is_said(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "mkdir", "rm", "cat", "cksum"):
        (tools / name).symlink_to(shutil.which(name) or name)
    executable(tools / "python3", "exit 1")
    told = run("up", PATH=str(tools), GANGER_VENV=str(tmp_path / "venv"))
    assert told.returncode == 1
    assert "no Python >= 3.11 was found" in told.stderr
    assert not (tmp_path / "venv.lock").exists()


def test_a_python_that_was_asked_for_must_be_new_enough(tmp_path: Path) -> None:
    old = executable(tmp_path / "python", "exit 1")
    told = run("up", GANGER_PYTHON=str(old), GANGER_VENV=str(tmp_path / "venv"))
    assert told.returncode == 1
    assert f"GANGER_PYTHON={old} is not a Python >= 3.11" in told.stderr


def test_a_place_that_cannot_be_written_is_said() -> None:
    told = run("up", GANGER_VENV="/proc/venv")
    assert told.returncode == 1
    assert "cannot write to /proc" in told.stderr


def test_the_lock_of_one_that_died_is_broken(tmp_path: Path) -> None:
    lock = tmp_path / "venv.lock"
    lock.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (lock / "pid").write_text(f"{gone.pid}\n")
    told = run("up", GANGER_PYTHON="/bin/false", GANGER_VENV=str(tmp_path / "venv"))
    assert "is not a Python" in told.stderr
    assert not lock.exists()


def test_a_failing_installation_is_not_taken_for_an_environment(tmp_path: Path) -> None:
    """The first run breaks off in pip, the second begins anew."""
    venv = tmp_path / "venv"
    pip = executable(tmp_path / "pip3", 'case "$*" in *--version*) exit 0 ;; esac; echo no network >&2; exit 1')
    python = executable(tmp_path / "python3", f'case "$*" in "-m pip"*) exit 1 ;; esac; exec {sys.executable} "$@"')
    for _ in range(2):
        told = run("up", GANGER_PYTHON=str(python), GANGER_VENV=str(venv), PATH=f"{pip.parent}:{os.environ['PATH']}")
        assert told.returncode == 1
        assert "no network" in told.stderr
        assert "the installation failed" in told.stderr
        assert (venv / ".unfinished").exists()
        assert not list(venv.glob(".made-for-*"))
