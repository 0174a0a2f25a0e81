"""What a job asks for is what its program meets, and how far it is, is seen while it runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.installation import Installation

LOOK = 'ulimit -n; echo "$GANGER_CPUS $GANGER_MEM_MIB"'
FORKS = "i=0; while [ $i -lt 40 ]; do sleep 3 & i=$((i+1)); done; wait"


def said(installation: Installation, job_id: int) -> str:
    execution = installation.job(job_id)["job_exes"][0]["id"]
    return str(installation.api.get(f"/job-executions/{execution}/logs/stdout/").json()["text"])


def test_progress_is_seen_while_the_job_runs(installation: Installation) -> None:
    job_id = installation.submit("/bin/sh", "-c", "echo GANGER_PROGRESS 40 reading; exec sleep 60", grace=0)
    job = installation.until(lambda: (j := installation.job(job_id))["percent"] and j, "progress")
    assert (job["status"], job["percent"], job["note"]) == ("RUNNING", 40, "reading")
    installation.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
    installation.wait(job_id, "CANCELED")


def test_phases_and_the_command_as_it_is_run_are_seen_while_the_job_runs(installation: Installation) -> None:
    interface = {"input_data": [{"name": "seconds"}]}
    command = ["/bin/sleep", "${seconds}"]
    made = installation.api.post(
        "/job-types/",
        json={"name": "sleep", "version": "1", "command": command, "interface": interface, "mem_required": 16},
    )
    body = {"job_type_id": made.json()["id"], "inputs": {"seconds": 60}, "disk_out_required": 1}
    job_id = installation.api.post("/jobs/", json=body).json()["id"]
    job = installation.until(
        lambda: (j := installation.job(job_id))["job_exes"] and j["job_exes"][0]["job_started"] and j, "its start"
    )
    (execution,) = job["job_exes"]
    assert (job["status"], execution["status"]) == ("RUNNING", "RUNNING")
    assert execution["pre_started"] <= execution["pre_completed"] <= execution["job_started"]
    assert (execution["job_completed"], execution["post_started"]) == (None, None)
    assert execution["command_arguments"] == "60"
    assert job["job_type_rev"]["interface"]["command_arguments"] == "${seconds}"
    installation.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
    ended = installation.wait(job_id, "CANCELED")["job_exes"][0]
    assert (ended["command_arguments"], ended["job_started"]) == ("60", execution["job_started"])


def test_limits_reach_the_program_and_usage_comes_back(installation: Installation) -> None:
    job_id = installation.submit("/bin/sh", "-c", LOOK, max_open_files=77, cpus_required=0.5, mem_required=48)
    job = installation.wait(job_id)
    assert (job["status"], said(installation, job_id)) == ("COMPLETED", "77\n0.5 48\n")
    used = job["job_exes"][0]["usage"]["job"]
    assert {"seconds", "cpu_s", "peak_mem_mib", "read_bytes", "written_bytes"} <= set(used)


@pytest.mark.skipif(os.geteuid() != 0, reason="processes are limited by cgroups, which need root here")
def test_no_more_processes_than_asked_for(installation: Installation) -> None:
    (node,) = installation.api.get("/nodes/").json()["results"]
    for sentence in node["powers"]["missing"]:
        if "rocesses" in sentence:
            pytest.skip(f"NOT TESTED: {sentence}")
    job_id = installation.submit("/bin/sh", "-c", FORKS, max_processes=10, max_tries=1)
    job = installation.wait(job_id)
    assert (job["status"], job["error"]["name"]) == ("FAILED", "unknown-exit")


def test_a_job_for_containers_waits_where_no_node_runs_them_and_says_why(installation: Installation) -> None:
    (node,) = installation.api.get("/nodes/").json()["results"]
    job_id = installation.submit("true", image="registry.invalid/x:1")
    wanted = [one["label"] for one in installation.job(job_id)["constraints"]]
    assert wanted == ["runner.container", "runner.container.fetch"]
    if "runner.container.fetch" not in node["labels"]:
        assert installation.job(job_id)["status"] == "QUEUED"
    installation.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})


@pytest.mark.parametrize("how", [[], ["--follow"]])
def test_a_pipe_gets_the_very_bytes_that_the_program_wrote(installation: Installation, how: list[str]) -> None:
    """Bytes that are no text, and a letter that is cut in two by a pause."""
    script = (
        "import os, time\n"
        "os.write(1, bytes(range(256)) + b'\\xc3')\n"
        "time.sleep(1.5)\n"  # longer than the node gathers output
        "os.write(1, b'\\xa4\\r\\n\\xff end')\n"
    )
    job_id = installation.submit("/usr/bin/python3", "-c", script)
    installation.wait(job_id)
    command = [sys.executable, "-m", "ganger", "logs", *how, str(job_id)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANGER_")}
    environment = {**kept, "GANGER_STATE_DIR": str(installation.root)}
    printed = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True).stdout
    assert printed == bytes(range(256)) + "ä".encode() + b"\r\n\xff end"
