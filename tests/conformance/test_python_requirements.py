"""A Python job type names what it wants installed; the node makes the environment once and nobody changes it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.wire import ExecutionReport
from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import a_key
from tests.support.node import a_spec
from tests.support.node_process import NodeProcess
from tests.support.servers import state_folder
from workers.paths import ExecutionKey

PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
pytestmark = pytest.mark.skipif(PYTHON is None, reason="there is no system Python that every user can run")


class Bench:
    """A node, what it is told, and a folder of wheels in the place of an index."""

    def __init__(self, root: Path, api: FakeNodeApi, **settings: Any) -> None:
        self.api = api
        self.wheels = root / "wheels"
        self.wheels.mkdir(mode=0o755)
        a_wheel(self.wheels, "gangertest", "1.0", "def double(number=4):\n    return {'twice': 2 * number}\n")
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        self.node = NodeProcess(root, api.url, cpus=4000, pip_variables=pip, **settings)
        self.work = self.node.folder / "x"
        self._numbers = itertools.count(1)

    def run(
        self, *requirements: str, job: str = "gangertest:double", project: str = "p", **more: Any
    ) -> ExecutionReport:
        """Run one job with these requirements; return its report."""
        return self.end(self.place(*requirements, job=job, project=project, **more))

    def place(
        self, *requirements: str, job: str = "gangertest:double", project: str = "p", **more: Any
    ) -> ExecutionKey:
        options = {"requirements": list(requirements), "interpreter": PYTHON} | more.pop("options", {})
        key = a_key(next(self._numbers))
        amounts = {"cpus": 100, "mem": 512_000, "disk": 512_000}
        wanted = a_spec(key, job=[job], runner="python", options=options, amounts=amounts, **more)
        self.api.place(wanted.model_copy(update={"project": project}))
        return key

    def end(self, key: ExecutionKey) -> ExecutionReport:
        return self.api.report(key, timeout=60)

    def environments(self) -> list[Path]:
        """Return the complete environments."""
        return [path.parent.parent for path in self.work.glob(".venvs/*/current/venv")]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """One node for all; what ails pip in this process's own environment does not reach it."""
    with state_folder() as folder:
        folder.chmod(0o711)
        api = FakeNodeApi()
        made = Bench(folder, api)
        made.node.start()
        try:
            yield made
        finally:
            made.node.close()
            api.close()


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


def test_the_job_s_interpreter_is_that_of_an_environment_with_its_requirements(bench: Bench) -> None:
    key = bench.place("gangertest>=1")
    report = bench.end(key)
    assert (report.outcome, report.properties) == ("completed", {"twice": 8}), bench.api.text(key, "pre", "stderr")
    assert report.phases["pre"].exit_code is None
    assert report.phases["pre"].usage["seconds"] > 0


def test_a_second_job_uses_what_the_first_one_made(bench: Bench) -> None:
    bench.run("gangertest>=1")
    before = {path: path.stat().st_ino for path in bench.environments()}
    second = bench.run("gangertest>=1")
    assert second.outcome is Outcome.COMPLETED
    assert "seconds" not in second.phases["pre"].usage
    assert {path: path.stat().st_ino for path in bench.environments()} == before


def test_jobs_that_want_the_same_at_the_same_time_all_get_it(bench: Bench) -> None:
    keys = [bench.place("gangertest!=3") for _ in range(2)]
    assert [bench.end(key).outcome for key in keys] == ["completed"] * 2


def test_two_projects_never_share_an_environment(bench: Bench) -> None:
    bench.run("gangertest>=1")
    before = len(bench.environments())
    assert bench.run("gangertest>=1", project="another").outcome is Outcome.COMPLETED
    assert len(bench.environments()) == before + 1


@pytest.mark.skipif(os.geteuid() != 0, reason="jobs run as the node's own user here")
def test_no_job_can_change_it(bench: Bench) -> None:
    assert bench.run("gangertest>=1").outcome is Outcome.COMPLETED
    for home in bench.environments():
        for path in (home, *home.rglob("*")):
            state = path.lstat()
            assert state.st_uid == 0, path
            assert stat.S_ISLNK(state.st_mode) or not state.st_mode & 0o022, path


def test_requirements_that_do_not_exist_are_named_in_the_output_of_the_pre_phase(bench: Bench) -> None:
    key = bench.place("gangermissing")
    report = bench.end(key)
    assert (report.outcome, report.error) == ("failed", "staging")
    assert "output of the pre phase" in report.message
    assert b"gangermissing" in bench.api.text(key, "pre", "stderr")


def test_the_pre_command_runs_after_the_environment_is_made(bench: Bench) -> None:
    key = bench.place("gangertest>=1", pre=["/bin/sh", "-c", "echo before; exit 7"])
    report = bench.end(key)
    assert (report.error, report.phases["pre"].exit_code) == ("pre-failed", 7)
    assert b"before" in bench.api.text(key, "pre", "stdout")


def test_making_it_is_stopped_with_the_time_of_the_pre_phase(bench: Bench) -> None:
    report = bench.run("gangertest>0.1", limits={"pre_timeout_s": 0.01})
    assert report.error == "pre-timeout"


@pytest.mark.parametrize("requirements", [(), ("gangertest",)])
def test_a_program_that_is_no_interpreter_of_the_node_s_is_never_started(
    bench: Bench, requirements: tuple[str]
) -> None:
    witness = bench.wheels / f"started-{len(requirements)}"
    left = bench.wheels / "python3"  # such as an earlier job may leave in a shared place
    left.write_text(f"#!/bin/sh\ntouch {witness}\n")
    left.chmod(0o755)
    bench.wheels.chmod(0o777)
    report = bench.run(*requirements, options={"interpreter": str(left)})
    assert (report.outcome, report.error) == ("failed", "launch")
    assert "no interpreter" in report.message
    assert "--interpreter" in report.message
    assert not witness.exists()


def test_an_environment_is_made_as_the_job_s_user_in_its_own_tree(bench: Bench) -> None:
    """A source package runs code while it is installed. Pip is told to take none, but for one that is named by its path."""
    source = bench.wheels / "hostile"
    source.mkdir(mode=0o755)
    told = bench.wheels / "told"
    told.touch()
    told.chmod(0o666)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "hostile"\nbackend-path = ["."]\n'
    )
    (source / "hostile.py").write_text(
        f"import os\nopen({str(told)!r}, 'w').write('%d %s' % (os.getuid(), os.environ.get('GANGER_TREE')))\n"
    )
    report = bench.run(f"hostile @ file://{source}")
    assert report.error == "staging"
    said = told.read_text()
    if said:  # this pip refuses it, which is as good
        uid, tree = said.split()
        assert int(uid) != 0 or os.geteuid() != 0
        assert tree.endswith(f"/{report.execution_id}.{report.attempt}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's jobs have a /tmp of their own in any case")
def test_a_node_whose_folder_lies_beneath_tmp_has_environments_too() -> None:
    """Its jobs have a /tmp of their own, in which the environments of the node have to be found."""
    with state_folder() as folder:
        folder.chmod(0o711)
        api = FakeNodeApi()
        bench = Bench(folder, api, shared_folders=[str(folder / "wheels")])
        bench.node.start()
        try:
            report = bench.run("gangertest==1.0")
            assert report.outcome is Outcome.COMPLETED, report
        finally:
            bench.node.close()
            api.close()
