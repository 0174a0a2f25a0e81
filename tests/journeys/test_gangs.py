"""A gang on three real nodes: its members meet, fail together, are cancelled together, and are told of as one job."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import psutil
import pytest

from tests.support.installation import Installation
from tests.support.servers import state_folder

MEET = """
cd "$1"
echo "$GANGER_NODE" > "node-$GANGER_MEMBER"
n=0
while [ $n -lt "$GANGER_MEMBERS" ]; do
    [ -e "node-$n" ] && n=$((n+1)) || sleep 0.05
done
cat node-0 node-1 node-2 | paste -sd, > "seen-$GANGER_MEMBER"
echo "$GANGER_GANG_NODES" > "told-$GANGER_MEMBER"
printf '{"properties": {"speaker": "%s"}}' "$GANGER_MEMBER" > "$GANGER_OUTPUT_DIR/results.json"
echo "member $GANGER_MEMBER has met the others"
"""

# Each try leaves its marks; member 1 of the first one fails once all are there, and the others would go on for ever.
FAIL_ONCE = """
cd "$1"
echo $$ > "try-$GANGER_ATTEMPT-$GANGER_MEMBER"
all() { [ -e "try-$GANGER_ATTEMPT-0" ] && [ -e "try-$GANGER_ATTEMPT-1" ] && [ -e "try-$GANGER_ATTEMPT-2" ]; }
until all; do sleep 0.05; done
[ "$GANGER_ATTEMPT" -gt 1 ] && exit 0
[ "$GANGER_MEMBER" = 1 ] && exit 7
exec sleep 600
"""

RUN_ON = 'cd "$1"; echo $$ > "pid-$GANGER_MEMBER"; exec sleep 600'
GANG = {"count": 3, "together": True, "apart": "node"}


@pytest.fixture(scope="module")
def three() -> Iterator[Installation]:
    """Three nodes of one machine."""
    with state_folder() as root:
        made = Installation(root, cpus=3, nodes=3).start()
        yield made
        assert made.stop() == 0
        assert made.left() == []


@pytest.fixture
def meeting(three: Installation) -> Path:
    """A new folder that all members reach."""
    return three.shared(f"meeting-{token_hex(4)}")


def _sh(script: str, folder: Path) -> list[str]:
    return ["/bin/sh", "-c", script, "member", str(folder)]


def _read(folder: Path, stem: str) -> list[str]:
    return [(folder / f"{stem}-{n}").read_text().strip() for n in range(3)]


def test_members_on_three_nodes_meet_each_other(three: Installation, meeting: Path) -> None:
    job = three.wait(three.submit(*_sh(MEET, meeting), **GANG, max_tries=1))
    assert (job["status"], job["num_exes"]) == ("COMPLETED", 1)
    nodes = _read(meeting, "node")
    assert len(set(nodes)) == 3
    assert _read(meeting, "seen") == _read(meeting, "told") == [",".join(nodes)] * 3
    assert [one["node"]["name"] for one in job["job_exes"]] == nodes
    assert job["results"]["properties"] == {"speaker": "0"}
    logs = [three.api.get(f"/job-executions/{one['id']}/logs/stdout/").json()["text"] for one in job["job_exes"]]
    assert logs == [f"member {n} has met the others\n" for n in range(3)]


def test_when_one_member_fails_all_are_stopped_before_all_start_again(three: Installation, meeting: Path) -> None:
    job = three.wait(three.submit(*_sh(FAIL_ONCE, meeting), **GANG, max_tries=2, retry_on=["ALGORITHM"], grace=0))
    assert (job["status"], job["num_exes"], job["attempt"]) == ("COMPLETED", 2, 2)
    first = sorted((one for one in job["job_exes"] if one["attempt"] == 1), key=lambda one: one["member"])
    second = [one for one in job["job_exes"] if one["attempt"] == 2]
    assert [one["status"] for one in first] == ["CANCELED", "FAILED", "CANCELED"]
    assert [one["status"] for one in second] == ["COMPLETED"] * 3
    assert max(one["ended"] for one in first) <= min(one["created"] for one in second)
    (retry,) = [e for e in three.api.get(f"/jobs/{job['id']}/events/").json()["results"] if e["event"] == "RETRY"]
    assert retry["reason"].startswith("unknown-exit: member 1 of 3")


def test_a_cancel_leaves_no_member_alive(three: Installation, meeting: Path) -> None:
    job_id = three.submit(*_sh(RUN_ON, meeting), **GANG, grace=0)
    three.until(lambda: len(list(meeting.glob("pid-*"))) == 3, "three members to run")
    running = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "600"] and _of(p, three)]
    assert len(running) == 3
    assert three.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"}).status_code == 200
    psutil.wait_procs(running, timeout=30)
    assert not [p for p in running if p.is_running()]
    three.until(
        lambda: [one["status"] for one in three.job(job_id)["job_exes"]] == ["CANCELED"] * 3,
        "three members to be canceled",
    )


def test_a_gang_waits_whole_while_one_place_is_taken(three: Installation, meeting: Path) -> None:
    blocker = three.submit("/bin/sleep", "600", cpus_required=1, grace=0)
    three.wait(blocker, "RUNNING")
    job_id = three.submit(*_sh(MEET, meeting), **GANG, cpus_required=1)
    told = three.until(lambda: three.api.get(f"/jobs/{job_id}/explain/").json(), "an explanation")
    assert told["summary"] == "It waits: it needs 3 places at once; 2 are free."
    assert list(meeting.iterdir()) == []
    three.api.patch(f"/jobs/{blocker}/", json={"status": "CANCELED"})
    assert three.wait(job_id)["status"] == "COMPLETED"


def test_the_command_line_submits_a_gang_and_shows_its_members(three: Installation, meeting: Path) -> None:
    common = ["--url", three.ready["url"], "--token", Path(three.ready["token_file"]).read_text().strip()]

    def ganger(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ganger", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    asked = ["--cpus", "0.1", "--mem", "16", "--disk", "1"]
    done = ganger(
        "submit", *common, *asked, "--count", "3", "--together", "--wait", "--json", "--", *_sh(MEET, meeting)
    )
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert (job["count"], job["status"]) == (3, "COMPLETED")
    tries = [line.split("\t")[0] for line in ganger("show", *common, str(job["id"])).stdout.splitlines()]
    assert {"1.0", "1.1", "1.2"} <= set(tries)
    logs = ganger("logs", *common, "--member", "2", str(job["id"]))
    assert logs.stdout == "member 2 has met the others\n"


def _of(process: psutil.Process, installation: Installation) -> bool:
    try:
        return any(str(installation.root) in value for value in process.environ().values())
    except psutil.Error:
        return False
