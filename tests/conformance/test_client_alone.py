"""The distribution `ganger` by itself: what comes with it, and that it works in an environment without the server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER_LIBRARIES = {"alembic", "celery", "flask", "kombu", "numpy", "psycopg", "redis", "sqlalchemy"}
SERVER_PACKAGES = {"api", "scheduler", "workers"}
NO_NETWORK = re.compile(r"Could not find a version|No matching distribution|Temporary failure|Connection|Network")
LOOK = """
import importlib.metadata as metadata, importlib.util as util, json, sys
import ganger
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({
    "distributions": sorted(one.name.lower() for one in metadata.distributions()),
    "found": [name for name in sys.argv[1:] if util.find_spec(name) is not None],
    "files": [str(file) for file in metadata.files("ganger")],
    "loaded": loaded,
    "names": [name for name in ganger.__all__ if getattr(ganger, name) is None],
}))
"""
USER_PROGRAM = """
from ganger import Client, JobRequest

def run(url: str) -> int:
    with Client(url, "token") as api:
        job = api.jobs.submit(JobRequest(command=["true"], cpus_required=0.5))
        return api.jobs.wait(job.id).exit_code
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with `ganger` and what it needs, and nothing else."""
    home = tmp_path_factory.mktemp("client alone")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    source = shutil.copytree(ROOT / "sdk", home / "sdk", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    found = home / "venv" / "bin" / "python"
    lock = ROOT / "deploy" / "requirements.lock"
    words: list[str | Path] = ["--python", found, "install", "--quiet", "--constraint", lock, source]
    done = subprocess.run([*pip(), *words], capture_output=True, text=True, check=False)
    if done.returncode and NO_NETWORK.search(done.stderr):
        pytest.skip("NOT TESTED: no package index can be reached, so `ganger` cannot be installed by itself")
    assert done.returncode == 0, done.stderr
    return found


def pip() -> list[str]:
    """A pip that installs into any environment: that of the interpreter below this environment, else one on the PATH."""
    below = [getattr(sys, "_base_executable", sys.executable), "-m", "pip"]
    for words in (below, ["pip3"], ["pip"]):
        if subprocess.run([*words, "--version"], capture_output=True, check=False).returncode == 0:
            return words
    pytest.skip("NOT TESTED: there is no pip outside of this environment")


@pytest.fixture(scope="module")
def seen(python: Path) -> dict[str, list[str]]:
    """What a program in that environment sees."""
    words: list[str | Path] = [python, "-P", "-c", LOOK, *SERVER_LIBRARIES, *SERVER_PACKAGES, "typer"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd="/", env=bare())
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def bare() -> dict[str, str]:
    """Our environment without what leads an interpreter to our own packages or to an API."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GANGER_"))}


def test_it_brings_no_server_and_no_library_of_one(seen: dict[str, list[str]]) -> None:
    assert "ganger" in seen["distributions"]
    assert seen["found"] == []
    assert not SERVER_LIBRARIES & set(seen["distributions"])


def test_it_holds_its_own_package_and_its_types(seen: dict[str, list[str]]) -> None:
    own = [file for file in seen["files"] if not file.startswith(("ganger-", "../"))]
    assert {file.partition("/")[0] for file in own} == {"ganger"}
    assert "ganger/py.typed" in own


def test_importing_it_loads_neither_the_http_library_nor_the_records(seen: dict[str, list[str]]) -> None:
    assert not {"httpx2", "pydantic", "typer", "rich"} & set(seen["loaded"])


def test_every_public_name_is_there(seen: dict[str, list[str]]) -> None:
    assert seen["names"] == []


def test_the_command_says_which_extra_it_needs(python: Path) -> None:
    done = subprocess.run(
        [python.with_name("ganger"), "jobs"], capture_output=True, text=True, check=False, cwd="/", env=bare()
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ganger: the command line needs two more packages: pip install 'ganger[cli]'\n"


def test_a_user_s_program_is_type_checked_against_it(python: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(USER_PROGRAM)
    assert mypy(python, program) == ""
    program.write_text(USER_PROGRAM.replace('["true"]', "17"))
    assert 'Argument "command" to "JobRequest" has incompatible type "int"' in mypy(python, program)


def mypy(python: Path, program: Path) -> str:
    """What mypy finds wrong with a program, seen from the fresh environment; an empty text if nothing."""
    settings = program.with_name("settings.ini")
    settings.write_text("[mypy]\n")
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--python-executable",
        python,
    ]
    done = subprocess.run(
        [*words, "--config-file", settings, program],
        capture_output=True,
        text=True,
        check=False,
        cwd=program.parent,
        env=bare(),
    )
    return done.stdout + done.stderr


def test_both_distributions_have_one_version_and_the_server_asks_for_it() -> None:
    client, server = (
        tomllib.loads((ROOT / path).read_text())["project"] for path in ("sdk/pyproject.toml", "pyproject.toml")
    )
    assert (client["name"], server["name"]) == ("ganger", "ganger-server")
    assert client["version"] == server["version"]
    assert f"ganger[cli]=={client['version']}" in server["dependencies"]
    assert client["optional-dependencies"]["server"] == [f"ganger-server=={server['version']}"]
