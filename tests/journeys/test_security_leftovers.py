"""An attacker's script: what a job leaves and writes neither stops nor holds up its node, and is charged to the job."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.installation import Installation
from tests.support.servers import state_folder

SH, PYTHON = "/bin/sh", "/usr/bin/python3"
_numbers = itertools.count(1)
FILES = {"output_data": [{"name": "all", "type": "files", "glob": "**/*.txt", "required": False}]}
OUT = "import os; os.chdir(os.environ['GANGER_OUTPUT_DIR']); "
NEST = "\nfor _ in range(2000):\n os.mkdir('d' * 200); os.chdir('d' * 200)"


@pytest.fixture(scope="module")
def here() -> Iterator[Installation]:
    with state_folder() as root:
        made = Installation(root).start()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.stop()


def run(here: Installation, command: list[str], **fields: Any) -> dict[str, Any]:
    """Run a job of a type made for it; return its only execution."""
    body = {"name": f"attack-{next(_numbers)}", "version": "1.0.0", "command": command, "max_tries": 1,
            "mem_required": 64, "cpus_required": 0.1, "disk_out_const_required": 64, "timeout": 60}  # fmt: skip
    made = here.api.post("/job-types/", json={**body, **fields})
    assert made.status_code == 201, made.text
    job = here.api.post("/jobs/", json={"job_type_id": made.json()["id"]})
    assert job.status_code == 201, job.text
    (execution,) = here.wait(job.json()["id"], within_s=90)["job_exes"]
    return dict(execution)


def check_node(here: Installation) -> None:
    """The node takes work as before, and has nothing against it."""
    job_id = here.submit("/bin/true")
    assert here.wait(job_id)["status"] == "COMPLETED"
    (node,) = here.api.get("/nodes/").json()["results"]
    assert (node["state"], node.get("degraded")) == ("READY", None), node


def output(here: Installation, execution: dict[str, Any]) -> str:
    return here.api.get(f"/job-executions/{execution['id']}/logs/combined/", headers={"Accept": "text/plain"}).text


LEFT = {
    "folders nested too deep for any path": [PYTHON, "-c", f"import os{NEST}"],
    "names of any bytes": [PYTHON, "-c", "import os\nfor n in (b'\\xff', b'\\n', b'-rf', b' '): os.mkdir(n); open(n + b'/f', 'w')"],
    "a closed folder": [SH, "-c", "mkdir -p a/b; touch a/b/c; chmod 0 a/b a"],
    "a thousand folders": [SH, "-c", "mkdir $(seq 1000)"],
    "fifos and links": [SH, "-c", "mkfifo f progress; ln -s / root; ln -s loop loop"],
    "all of it closed": [SH, "-c", "chmod 0 ../in ../out .. ."],
}  # fmt: skip


@pytest.mark.parametrize("mischief", LEFT)
def test_what_a_job_leaves_holds_up_nobody(here: Installation, mischief: str) -> None:
    assert run(here, LEFT[mischief])["status"] == "COMPLETED"
    check_node(here)


WRITTEN = {
    "a file of terabytes that takes no disk": ("open('a.txt', 'wb').truncate(1 << 42)", "disk-full"),
    "folders nested too deep": (f"pass{NEST}", "invalid-output"),
    "a fifo for an output": ("os.mkfifo('a.txt')", "invalid-output"),
    "a link for an output": ("os.symlink('/proc/1/environ', 'a.txt')", "invalid-output"),
    "a fifo for the manifest": ("os.mkfifo('results.json')", "invalid-output"),
    "a link for the manifest": ("os.symlink('/proc/self/fd/0', 'results.json')", "invalid-output"),
    "a manifest of terabytes": ("open('results.json', 'wb').truncate(1 << 42)", "invalid-output"),
    "an output folder that is none": ("os.rmdir('../out'); os.symlink('/etc', '../out')", "invalid-output"),
}


@pytest.mark.parametrize("mischief", WRITTEN)
def test_what_a_job_writes_is_refused_with_its_own_reason(here: Installation, mischief: str) -> None:
    script, error = WRITTEN[mischief]
    execution = run(here, [PYTHON, "-c", OUT + script], interface=FILES)
    assert execution["error"]["name"] == error, execution
    assert "nobody expected" not in execution["message"]
    check_node(here)


def test_a_glob_that_a_regular_expression_would_need_for_ever_for_is_matched_at_once(here: Installation) -> None:
    interface = {"output_data": [{"name": "all", "type": "files", "glob": "*a" * 40 + "b", "required": False}]}
    assert run(here, [PYTHON, "-c", OUT + "open('a' * 250, 'w')"], interface=interface)["status"] == "COMPLETED"
    check_node(here)


@pytest.mark.parametrize(
    "spoil", ["cd /; rm -rf $GANGER_WORK_DIR", "rmdir $GANGER_WORK_DIR; ln -s /nowhere $GANGER_WORK_DIR"]
)
def test_a_job_that_spoils_its_work_folder_pays_for_it_and_is_cleaned_up_all_the_same(
    here: Installation, spoil: str
) -> None:
    for field, error in (("pre_command", "pre-failed"), ("command", "post-failed")):
        commands = {"pre_command": ["/bin/true"], "command": ["/bin/true"], "post_command": ["/bin/true"],
                    "cleanup_command": [SH, "-c", "pwd; echo tidied > here && cat here"], field: [SH, "-c", spoil]}  # fmt: skip
        execution = run(here, commands.pop("command"), **commands)
        assert execution["error"]["name"] == error, execution
        assert "has removed, replaced or closed its work directory" in execution["message"]
        assert "tidied" in output(here, execution)
        check_node(here)


def test_a_cleanup_that_cannot_run_is_said(here: Installation) -> None:
    execution = run(here, ["/bin/false"], cleanup_command=["/no/such/cleanup"])
    assert execution["error"]["name"] == "unknown-exit"
    assert "The cleanup command was not run" in execution["message"]
    assert "/no/such/cleanup" in execution["message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only where jobs are users of their own is anything kept from them")
def test_the_folder_of_its_secrets_is_not_the_job_s(here: Installation) -> None:
    assert (
        here.api.post("/admin/projects/default/secrets/", json={"name": "s", "value": "hidden-away"}).status_code < 300
    )
    script = 'cd "$GANGER_SECRETS_DIR"; cat s | wc -c; mkfifo f; touch x; mkdir d; chmod u+w s; echo y > s; cd ..; touch z; echo end'
    job = here.wait(here.submit(SH, "-c", script, secrets=["s"]))
    said = output(here, job["job_exes"][0])
    assert said.startswith("11\n") or "\n11\n" in said
    refusals = ("ermission denied", "not permitted", "Read-only file system")
    assert sum(said.count(refusal) for refusal in refusals) == 6, said
    assert "end" in said


def test_a_job_sees_nothing_of_what_runs_beside_it(here: Installation) -> None:
    """A command line is often a secret, an argument of another project's job, and /proc showed everybody all of them."""
    beside = here.submit("/bin/sleep", "300.4242")
    here.wait(beside, "RUNNING")
    seen = "import glob\nfor p in glob.glob('/proc/[0-9]*/cmdline'):\n try: print(open(p).read().replace(chr(0), ' '))\n except OSError: pass"
    told = output(here, run(here, [PYTHON, "-c", seen]))
    assert here.api.patch(f"/jobs/{beside}/", json={"status": "CANCELED"}).status_code == 200
    assert "import glob" in told
    if os.geteuid() == 0:
        assert not [
            line for line in told.splitlines() if line.strip() and not line.startswith((PYTHON, " ", "import", "for"))
        ]
        assert "300.4242" not in told
