"""Containers on a real node: a runtime from the system, a root file system made from the machine's own files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.wire import OutputSpec, TaskSpec
from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import FIRST, a_key
from tests.support.node import a_spec
from tests.support.node_process import NodeProcess, an_input
from tests.support.servers import state_folder
from workers.runners import images, oci

CONTENT = b"from outside\n"
TOOLS = ("sh", "cat", "id", "sleep", "touch", "ls")


def _why_not() -> str | None:
    user = (65534, 65534) if os.geteuid() == 0 else None
    with state_folder() as folder:
        return oci.trouble(user, str(folder))


WHY_NOT = _why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=f"no containers run here: {WHY_NOT}")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A root file system with a few of this machine's programs and the libraries that they want."""
    with state_folder() as folder:
        for name in ("bin", "lib", "lib64", "proc", "sys", "dev", "tmp", "etc"):
            (folder / name).mkdir()
        for tool in TOOLS:
            path = shutil.which(tool, path="/usr/bin:/bin")
            assert path is not None
            shutil.copy(path, folder / "bin" / tool)
            told = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
            for library in {word for word in told.split() if word.startswith("/")}:
                target = folder / library.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, target)
        folder.chmod(0o755)
        (folder / "etc/marker").write_text("of the image\n")
        yield folder


@pytest.fixture(scope="module", params=["folder", "podman"])
def image(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The root file system as it lies there, and as an image that this machine's podman has."""
    if request.param == "folder":
        yield f"dir:{folder}"
        return
    tool = images.tool() or ""
    if Path(tool).name != "podman":
        pytest.skip(f"no podman works here: {shutil.which('podman') or 'it is not installed'}")
    name = f"localhost/ganger-test-{token_hex(6)}:1"
    made = 'tar --create --directory "$1" . | "$2" import --quiet - "$3"'
    subprocess.run(["sh", "-c", made, "sh", str(folder), tool, name], check=True, capture_output=True)
    yield name
    subprocess.run([tool, "rmi", "--force", name], check=True, capture_output=True)


@pytest.fixture
def api() -> Iterator[FakeNodeApi]:
    api = FakeNodeApi()
    api.files[7] = CONTENT
    yield api
    api.close()


@pytest.fixture
def node(api: FakeNodeApi) -> Iterator[NodeProcess]:
    with state_folder() as folder:
        node = NodeProcess(folder, api.url).start()
        yield node
        node.close()


def in_image(image: str, *job: str, **more: Any) -> TaskSpec:
    options = {"image": image, **more.pop("options", {})}
    return a_spec(job=job, runner="container", options=options, **more)


def test_the_node_says_that_it_runs_containers(api: FakeNodeApi, node: NodeProcess) -> None:
    api.wait(lambda: api.registers)
    assert api.registers[0].labels["runner.container"] in oci.ENGINES


def test_it_sees_the_image_its_own_directories_and_nothing_of_the_node(
    api: FakeNodeApi, node: NodeProcess, image: str
) -> None:
    script = "cat /etc/marker ${in}; ls ${job_work_dir}; [ -e /var ] || [ -e /home ] || echo $MINE $GANGER_JOB_ID; cat ${in} > ${job_output_dir}/copy.txt"
    api.place(
        in_image(
            image, "sh", "-c", script, environment={"MINE": "yes"}, inputs=[an_input("in", 7, CONTENT, None)],
            outputs=[OutputSpec(name="copy", type="file", glob="copy.txt")],
        )
    )  # fmt: skip
    report = api.report()
    assert report.outcome == Outcome.COMPLETED, (report, api.text(stream="stderr"))
    assert api.text() == b"of the image\nfrom outside\nyes 1\n"
    assert list(api.files.values()).count(CONTENT) == 2
    api.wait(lambda: not node.leftovers())


def test_root_inside_is_nobody_outside_and_exit_codes_come_through(
    api: FakeNodeApi, node: NodeProcess, image: str
) -> None:
    api.place(in_image(image, "sh", "-c", "id -u; touch /etc/x || exit 7"))
    report = api.report()
    assert (report.outcome, report.phases["job"].exit_code, api.text()) == ("failed", 7, b"0\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="memory is limited by cgroups, which need root here")
def test_it_has_the_limits_and_the_accounting_of_every_job(api: FakeNodeApi, node: NodeProcess, image: str) -> None:
    eat = "x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done"
    api.place(in_image(image, "sh", "-c", eat, amounts={"cpus": 1000, "mem": 64_000, "disk": 64_000}))
    report = api.report()
    assert report.error == "out-of-memory", report
    assert report.phases["job"].usage["peak_mem_mib"] > 60


def test_a_cancel_kills_all_of_it(api: FakeNodeApi, node: NodeProcess, image: str) -> None:
    script = "trap '' TERM; echo up; sleep 100 & sleep 100"
    api.place(in_image(image, "sh", "-c", script, limits={"grace_s": 0.2}))
    api.wait(lambda: api.text() == b"up\n")
    api.cancel(FIRST, grace_s=0.2)
    assert api.report().outcome == Outcome.CANCELED
    api.wait(lambda: not node.leftovers())


def test_without_network_there_is_none(api: FakeNodeApi, node: NodeProcess, image: str) -> None:
    api.place(in_image(image, "sh", "-c", "cat /proc/net/dev", options={"network": "none"}))
    assert api.report().outcome == Outcome.COMPLETED
    assert b"eth" not in api.text()


@pytest.mark.parametrize("image", ["podman"], indirect=True)
def test_an_image_is_exported_once_leaves_no_container_and_serves_when_its_registry_does_not(
    api: FakeNodeApi, node: NodeProcess, image: str
) -> None:
    tool, elsewhere = images.tool() or "", f"registry.invalid/ganger-test-{token_hex(6)}:1"
    subprocess.run([tool, "tag", image, elsewhere], check=True)
    try:
        for number, name in enumerate((image, elsewhere, image), start=1):
            api.place(in_image(name, "cat", "/etc/marker", key=(number, 1)))
            assert api.report(a_key(number, 1)).outcome == Outcome.COMPLETED
    finally:
        subprocess.run([tool, "untag", image, elsewhere], check=True)
    listed = subprocess.run(
        [tool, "ps", "--all", "--noheading", "--filter", f"ancestor={image}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout == ""
    assert len([one for one in node.folder.rglob("rootfs") if one.parent.parent.name == ".images"]) == 1


@pytest.mark.parametrize("image", ["dir:/no/such/folder", "registry.invalid/no:such"])
def test_an_image_that_cannot_be_had_is_a_launch_failure(api: FakeNodeApi, node: NodeProcess, image: str) -> None:
    api.place(in_image(image, "/bin/true"))
    report = api.report()
    assert (report.outcome, report.error) == ("failed", "launch"), report
    assert Path("/no").exists() is False
