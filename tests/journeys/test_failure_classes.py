"""Every named way to fail, brought about for real in a whole installation, and what the API then says of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from scheduler.rules.lifecycle.failures import BUILT_IN_NAMES
from tests.support.installation import Installation
from tests.support.puppet import Puppet
from tests.support.servers import state_folder

_numbers = itertools.count(1)
SH = "/bin/sh"
EAT = "import os; x = bytearray(256 << 20); os._exit(0)"
FILE = {"name": "in", "type": "file"}
OUT = {"name": "out", "type": "file", "glob": "out.txt"}


@pytest.fixture(scope="module")
def here() -> Iterator[Installation]:
    """An installation that gives a node up after 15 s of silence."""
    with state_folder() as root:
        made = Installation(root, GANGER_LEASE_S="15").start()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.stop()


@pytest.fixture
def puppet(here: Installation) -> Iterator[Puppet]:
    made = Puppet(here, f"puppet-{next(_numbers)}")
    yield made
    made.close()


def failed(here: Installation, job_id: int, within_s: float = 40) -> dict[str, Any]:
    """Return the only execution of a job that has failed."""
    job = here.wait(job_id, within_s=within_s)
    assert job["status"] == "FAILED", job
    (execution,) = job["job_exes"]
    assert job["error"] == execution["error"]
    return dict(execution)


def of_type(here: Installation, command: list[str], inputs: dict[str, Any] | None = None, **fields: Any) -> int:
    """Submit a job of a type made for it."""
    name = f"fails-{next(_numbers)}"
    body = {"name": name, "version": "1", "command": command, "max_tries": 1, "mem_required": 32, "cpus_required": 0.1}
    made = here.api.post("/job-types/", json={**body, **fields})
    assert made.status_code == 201, made.text
    job = here.api.post("/jobs/", json={"job_type": {"name": name}, "inputs": inputs or {}})
    assert job.status_code == 201, job.text
    return int(job.json()["id"])


def a_file(here: Installation, content: bytes) -> tuple[int, Path]:
    """Upload a file; return its id and where the workspace keeps it."""
    made = here.api.post("/files/", params={"file_name": "x.txt"}, content=content).json()
    (workspace,) = here.api.get("/workspaces/").json()["results"]
    folder = Path(unquote(urlsplit(workspace["url"]).path))
    (kept,) = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == content]
    return int(made["id"]), kept


COMMANDS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "unknown-exit": (["/bin/sh", "-c", "exit 3"], {}),
    "signaled": ([SH, "-c", "kill -SEGV $$"], {}),
    "timeout": (["/bin/sleep", "60"], {"timeout": 1, "grace": 0}),
    "pre-timeout": (["/bin/true"], {"pre_command": ["/bin/sleep", "60"], "pre_timeout": 1, "grace": 0}),
    "post-timeout": (["/bin/true"], {"post_command": ["/bin/sleep", "60"], "post_timeout": 1, "grace": 0}),
    "pre-failed": (["/bin/true"], {"pre_command": ["/bin/false"]}),
    "post-failed": (["/bin/true"], {"post_command": ["/bin/false"]}),
    "out-of-memory": (["/usr/bin/python3", "-c", EAT], {}),
    "disk-full": ([SH, "-c", "head -c 9000000 /dev/zero > big; exec sleep 60"], {"disk_out_const_required": 4}),
    "launch": (["/no/such/program"], {}),
    "missing-output": (["/bin/true"], {"interface": {"output_data": [OUT]}}),
    "invalid-output": ([SH, "-c", 'ln -s /etc/passwd "$1/out.txt"', "sh", "${job_output_dir}"],
                       {"interface": {"output_data": [OUT]}}),
}  # fmt: skip


def skip_unless_memory_is_limited(here: Installation) -> None:
    listed = here.api.get("/nodes/").json()["results"]
    (node,) = (node for node in listed if not node["name"].startswith("puppet-"))
    for sentence in node["powers"]["missing"]:
        if "emory" in sentence and "not limited" in sentence:
            pytest.skip(f"NOT TESTED: {sentence}")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_program_s_own_end_is_named(name: str, here: Installation) -> None:
    if name == "out-of-memory":
        skip_unless_memory_is_limited(here)
    command, fields = COMMANDS[name]
    execution = failed(here, of_type(here, command, **fields))
    assert execution["error"]["name"] == name, execution
    assert execution["message"]
    if name == "signaled":
        assert execution["usage"]["job"]["signal"] == 11
    if name == "disk-full":
        assert execution["usage"]["job"]["peak_disk_mib"] > 4


def test_an_input_that_changed_behind_our_back_is_a_checksum_error(here: Installation) -> None:
    file_id, kept = a_file(here, b"as it was stored")
    kept.chmod(0o600)
    kept.write_bytes(b"as it was stareD")
    job_id = of_type(here, ["/bin/true"], {"in": file_id}, interface={"input_data": [FILE]})
    assert failed(here, job_id)["error"]["name"] == "checksum"


def test_an_input_that_is_gone_is_a_staging_error(here: Installation) -> None:
    file_id, kept = a_file(here, b"soon gone")
    kept.unlink()
    job_id = of_type(here, ["/bin/true"], {"in": file_id}, interface={"input_data": [FILE]})
    assert failed(here, job_id)["error"]["name"] == "staging"


def test_the_death_of_the_supervisor_is_named(here: Installation) -> None:
    job_id = here.submit("/bin/sleep", "60", max_tries=1)
    here.until(lambda: here.job(job_id)["job_exes"] and here.job(job_id)["job_exes"][0]["status"] == "RUNNING", "it")
    here.wait(job_id, "RUNNING")
    for process in here.processes("supervisor"):
        process.kill()
    assert failed(here, job_id)["error"]["name"] == "supervisor-lost"


def test_a_name_that_nobody_knows_is_unknown(here: Installation, puppet: Puppet) -> None:
    job_id = puppet.job(max_tries=1)
    puppet.report(puppet.claim(), error="of-a-newer-release", message="It is new.")
    assert failed(here, job_id)["error"]["name"] == "unknown"


def test_a_node_that_falls_silent_is_lost_with_its_executions(here: Installation, puppet: Puppet) -> None:
    job_id = puppet.job(max_tries=1)
    puppet.claim()
    assert failed(here, job_id, within_s=60)["error"]["name"] == "node-lost"


def test_every_built_in_class_is_brought_about_above() -> None:
    elsewhere = {"checksum", "staging", "supervisor-lost", "unknown", "node-lost"}
    elsewhere |= {
        "input-missing",
        "input-refused",
        "needs-timeout",
    }  # test_http_uploads.py, test_workflow_runs.py, test_http_needs.py
    elsewhere |= {
        "refused-data",
        "unsound-result",
    }  # of data sets: test_evo_blockmodels.py, tests/store/test_data_sets.py
    assert set(COMMANDS) | elsewhere == BUILT_IN_NAMES


def test_a_job_that_starved_runs_with_more_memory_the_next_time(here: Installation) -> None:
    skip_unless_memory_is_limited(here)
    wish = {"mem_factor": 20, "mem_max": 512}
    job_id = here.submit("/usr/bin/python3", "-c", EAT, mem_required=32, max_tries=2, on_oom=wish)
    job = here.wait(job_id)
    assert (job["status"], job["num_exes"], job["mem_required"], job["on_oom"]) == ("COMPLETED", 2, 512, wish)
    assert [e["error"] and e["error"]["name"] for e in reversed(job["job_exes"])] == ["out-of-memory", None]
    assert job["job_exes"][0]["usage"]["job"]["peak_mem_mib"] > 256
    events = here.api.get(f"/jobs/{job_id}/events/").json()
    assert "asks for 512 MiB of memory instead of 32" in str(events)
