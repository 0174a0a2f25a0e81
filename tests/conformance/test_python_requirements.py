"""A Python job type names what it wants installed; the node makes the environment once and nobody changes it."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import stat
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.wire import TaskSpec
from tests.support.node import a_spec
from tests.support.servers import state_folder
from workers.paths import Paths
from workers.runners import LaunchRequest, launch, venvs

USER = (65534, 65534) if os.geteuid() == 0 else None
PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
pytestmark = pytest.mark.skipif(PYTHON is None, reason="there is no system Python that every user can run")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A work folder, and a folder of wheels in the place of an index."""
    with state_folder() as folder:
        folder.chmod(0o711)
        wheels = folder / "wheels"
        wheels.mkdir(mode=0o755)
        a_wheel(wheels, "gangertest", "1.0", "def double(number):\n    return {'twice': 2 * number}\n")
        for name in list(os.environ):
            if name.startswith("PIP_"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
        yield folder


def a_wheel(folder: Path, name: str, version: str, code: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(inside, text)
    path.chmod(0o644)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def spec(*requirements: str, job: str = "gangertest:double") -> TaskSpec:
    options = {"requirements": list(requirements), "interpreter": PYTHON}
    return a_spec(job=[job], runner="python", options=options)


def make(wanted: TaskSpec, work: Path) -> Path:
    venvs.make(wanted, str(work), USER, threading.Event())
    return Path(venvs.location(str(work), wanted))


def test_the_job_s_interpreter_is_that_of_an_environment_with_its_requirements(work: Path) -> None:
    venv = make(spec("gangertest>=1"), work)
    program = launch(LaunchRequest(spec("gangertest>=1"), "job", Paths(str(work), "/l"), "n1"))
    assert program.argv[0] == f"{venv}/bin/python"
    code = "import gangertest; print(gangertest.double(21))"
    ran = subprocess.run([program.argv[0], "-c", code], env={}, capture_output=True, text=True, check=True)
    assert ran.stdout == "{'twice': 42}\n"


def test_it_is_made_once_whoever_asks_at_the_same_time(work: Path) -> None:
    threads = [threading.Thread(target=make, args=(spec("gangertest"), work)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    venv = make(spec("gangertest"), work)
    before = (venv / "pyvenv.cfg").stat().st_ino
    assert make(spec("gangertest"), work) == venv
    assert (venv / "pyvenv.cfg").stat().st_ino == before
    assert venv != Path(venvs.location(str(work), spec("gangertest==1.0")))


@pytest.mark.skipif(USER is None, reason="jobs run as the node's own user here")
def test_no_job_can_change_it(work: Path) -> None:
    venv = make(spec("gangertest"), work)
    for path in (venv, *venv.rglob("*")):
        state = path.lstat()
        assert state.st_uid == 0, path
        assert stat.S_ISLNK(state.st_mode) or not state.st_mode & 0o022, path


def test_requirements_that_do_not_exist_are_named(work: Path) -> None:
    with pytest.raises(venvs.VenvError, match="gangermissing"):
        make(spec("gangermissing"), work)
    make(spec("gangertest"), work)


def test_an_interpreter_that_does_not_exist_is_named(work: Path) -> None:
    wanted = spec("gangertest")
    commands = wanted.commands.model_copy(update={"options": {"requirements": ["x"], "interpreter": "/no/python"}})
    with pytest.raises(venvs.VenvError, match="/no/python"):
        make(wanted.model_copy(update={"commands": commands}), work)


def test_making_is_given_up_on_request(work: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(venvs.VenvError, match="stopped"):
        venvs.make(spec("gangertest"), str(work), USER, stop)
