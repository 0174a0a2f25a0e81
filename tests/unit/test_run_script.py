"""The `run` script: what it says to people, and how it finds what it needs."""

from __future__ import annotations

import os
import re
import shlex
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


@pytest.mark.parametrize("command", ["sim"])
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
    assert "GANGER_PYTHON=" in told.stderr
    assert not (tmp_path / "venv.lock").exists()


@pytest.mark.parametrize("command", ["demo", "up"])
def test_options_are_told_before_there_is_an_environment_and_are_those_of_the_command(
    command: str, tmp_path: Path
) -> None:
    told = run(command, "--help", GANGER_VENV=str(tmp_path / "venv"))
    assert told.returncode == 0
    assert not (tmp_path / "venv").exists()
    real = subprocess.run(
        [sys.executable, "-m", "ganger", command, "--help"],
        env={**os.environ, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=True,
    )
    options = re.compile(r"--[a-z-]+")
    assert set(options.findall(told.stdout)) == set(options.findall(real.stdout)) - {"--help"}


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
    python = executable(
        tmp_path / "python3", f'case "$*" in "-m pip"*) exit 1 ;; esac; exec {shlex.quote(sys.executable)} "$@"'
    )
    for _ in range(2):
        told = run("up", GANGER_PYTHON=str(python), GANGER_VENV=str(venv), PATH=f"{pip.parent}:{os.environ['PATH']}")
        assert told.returncode == 1
        assert "no network" in told.stderr
        assert "the installation failed" in told.stderr
        assert (venv / ".unfinished").exists()
        assert not list(venv.glob(".made-for-*"))


def checkout(folder: Path) -> Path:
    """A checkout in this folder, as far as `run` looks at it."""
    for name in ("run", "pyproject.toml", "README.md", "sdk/pyproject.toml", "deploy/requirements.lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def recording_tools(folder: Path) -> Path:
    """A python3 whose environments have a `ganger`, and a pip; both write their arguments down, one a line."""
    folder.mkdir()
    executable(
        folder / "python3",
        f"""case "$1 ${{2:-}}" in
"-m pip") shift 2; exec "{folder}/pip3" "$@" ;;
"-m venv") mkdir -p "$4/bin"; ln -s "{folder}/python3" "$4/bin/python"; ln -s "{folder}/ganger" "$4/bin/ganger" ;;
*) exec {shlex.quote(sys.executable)} "$@" ;;
esac""",
    )
    executable(folder / "pip3", f"""[ "$3" = --version ] || printf '%s\\n' "$@" >"{folder}/pip.words" """)
    executable(folder / "ganger", f"""printf '%s\\n' "$@" >"{folder}/ganger.words" """)
    return folder


AWKWARD = ["my work", 'it\'s a "quoted" one', "größe 雪", "$HOME `id`", "star * and ? [a]", "-n dash"]


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("given", [False, True], ids=["its own environment", "GANGER_VENV"])
def test_the_folder_may_have_any_name(tmp_path: Path, name: str, *, given: bool) -> None:
    root = checkout(tmp_path / name / "gan ger")
    venv = tmp_path / f"{name} venv" if given else root / ".venv"
    tools = recording_tools(tmp_path / "tools")
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"} | (
        {"GANGER_VENV": str(venv)} if given else {}
    )
    told = subprocess.run(
        [root / "run", "up", "--state-dir", "a b"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd="/",
    )
    assert told.returncode == 0, told.stderr
    assert (tools / "pip.words").read_text().splitlines() == [
        "--python", f"{venv}/bin/python", "install", "--quiet", "--editable", f"{root}/sdk", "--editable", str(root),
        "--constraint", f"{root}/deploy/requirements.lock",
    ]  # fmt: skip
    assert (tools / "ganger.words").read_text().splitlines() == ["up", "--state-dir", "a b"]


@pytest.mark.parametrize("script", ["run", ".ci/run"])
def test_no_expansion_in_a_shell_script_is_split_at_spaces(script: str) -> None:
    """Within double quotes, in an assignment, and as the word of `case` nothing is split; nowhere else may a `$` stand."""
    split = [
        f"{number}: {line}" for number, line in enumerate((ROOT / script).read_text().splitlines(), 1) if splits(line)
    ]
    assert not split


def splits(line: str) -> bool:
    """Tell whether the line has an expansion that is split; the innermost `$(…)` are judged first, then what holds them."""
    text = re.sub(r"'[^']*'", "", line.partition(" # ")[0])
    if text.lstrip().startswith("#"):
        return False
    while inner := re.search(r"\$\(([^()]*)\)", text):
        if splits(inner[1]):
            return True
        text = text.replace(inner[0], "$_")
    text = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    text = re.sub(r"\$\$|\$#|\\\$|\b\w+=\S*|\bcase \S+ in", "", text)
    return "$" in text


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_real_pip_installs_in_a_folder_with_a_space_and_quotes(tmp_path: Path) -> None:
    """Both distributions without what they need, which takes seconds; so `ganger` itself cannot start."""
    root = tmp_path / 'my "work" größe it\'s'
    root.mkdir()
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in (
        os.fsdecode(name) for name in tracked.split(b"\0") if name.endswith((b".py", b".toml", b".md", b".lock"))
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copy(ROOT / "run", root / "run")
    told = subprocess.run(
        [root / "run", "up"], capture_output=True, text=True, check=False, env={**os.environ, "PIP_NO_DEPS": "1"}
    )
    assert (root / ".venv" / ".made-for-demo").exists(), told.stderr
    here = subprocess.run(
        [root / ".venv/bin/python", "-P", "-c", "import ganger.errors, api; print(ganger.errors.__file__)"],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert here.stdout.strip() == str(root / "sdk/ganger/errors.py"), here.stderr
