"""I-W8: a run is cancelled while one of the roles is killed: nothing of it starts afterwards but what runs finally, and all of it is dead in time.

The judge is what the steps themselves have written, a line each time that one is started, and the processes of the machine. A node that holds a
step ahead of its room may begin it in the moment before it hears of the cancel; that is told, and it is dead as soon as all the others.
"""

from __future__ import annotations

import os
import shlex
from datetime import datetime
from typing import Any

import httpx2
import psutil
import pytest

from tests.support.installation import Installation
from tests.support.servers import state_folder

ROLES = ("scheduler", "agent", "api", "supervisor", "postgres")
ROUNDS = max(1, int(os.environ.get("GANGER_TEST_DEATHS", "1")) // 20)
"""How often each role is killed: once in the suite, ten times by `./run chaos`."""
DEAD_WITHIN_S = 40.0
"""The grace of two seconds, and as long as a role takes to come back on a busy machine."""
SHARDS = 5


@pytest.mark.timeout(90 * ROUNDS * len(ROLES))
def test_nothing_of_a_cancelled_run_starts_or_stays_whoever_dies_meanwhile() -> None:
    with state_folder() as root:
        installation = Installation(root, cpus=2).start()
        try:
            for number in range(ROUNDS * len(ROLES)):
                _cancelled_while(installation, ROLES[number % len(ROLES)], number)
        finally:
            installation.stop()


def _cancelled_while(installation: Installation, role: str, number: int) -> None:
    witness = installation.shared("witness") / f"starts-{number}"
    witness.touch()
    witness.chmod(0o666)
    mark = f"{7000 + number}.{os.getpid()}"
    run_id = _run(installation, _definition(str(witness), mark), f"run-{number}-{os.getpid()}")
    installation.until(lambda: len(_starts(witness, "shard")) >= 2, "two shards to start")
    installation.processes(role)[0].kill()
    _cancel(installation, run_id)
    installation.until(
        lambda: not _alive(mark), f"all trees of the run to be dead after {role} was killed", DEAD_WITHIN_S
    )
    installation.until(lambda: _detail(installation, run_id).get("ended"), "the run to end", DEAD_WITHIN_S)
    assert not _alive(mark), "something was started again"
    _judge(installation, run_id, witness, role)


def _definition(witness: str, mark: str) -> dict[str, Any]:
    say = f'echo "$0 $GANGER_JOB_ID.$GANGER_ATTEMPT" >> {shlex.quote(witness)}'
    shard = f"{say}; setsid sleep {mark} & exec sleep {mark}"
    small = {"cpus": 1, "mem": 16, "disk": 1, "max_tries": 5}
    return {
        "jobs": {
            "shard": {"command": ["/bin/sh", "-c", shard, "shard"], "for_each": {"values": [*range(SHARDS)]}, **small},
            "after": {"command": ["/bin/sh", "-c", say, "after"], "needs": ["shard"], **small},
            "last": {"command": ["/bin/sh", "-c", say, "last"], "finally": True, **small},
        }
    }


def _run(installation: Installation, definition: dict[str, Any], key: str) -> int:
    def answered() -> int | None:
        body, headers = {"definition": definition}, {"Idempotency-Key": key}
        answer = installation.api.post("/workflows/", json=body, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
        return int(answer.json()["id"])

    return installation.until(answered, "an answer to the submission of a run")


def _cancel(installation: Installation, run_id: int) -> None:
    """Cancel once: a second time would stop what runs finally, too. An answer that was lost may have been a yes."""

    def done() -> bool:
        if _statuses(installation, run_id, "after") == {"CANCELED"}:
            return True
        try:
            answer = installation.api.post(f"/workflows/{run_id}/cancel/", json={})
        except httpx2.TransportError:
            return False
        return answer.status_code == 200

    installation.until(done, "the run to be cancelled")


def _detail(installation: Installation, run_id: int) -> dict[str, Any]:
    answer = installation.api.get(f"/workflows/{run_id}/")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _jobs(installation: Installation, run_id: int) -> list[dict[str, Any]]:
    answer = installation.api.get("/jobs/", params={"workflow_id": run_id, "page_size": 100})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def _statuses(installation: Installation, run_id: int, step: str) -> set[str]:
    return {one["status"] for one in _jobs(installation, run_id) if one["name"] == step}


def _starts(witness: Any, step: str) -> list[str]:
    return [line.split()[1] for line in witness.read_text().splitlines() if line.split()[0] == step]


def _alive(mark: str) -> list[int]:
    """Return the processes of the run's programs; zombies do nothing any more."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if "sleep" in words and mark in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def _judge(installation: Installation, run_id: int, witness: Any, role: str) -> None:
    jobs = _jobs(installation, run_id)
    by_step: dict[str, list[dict[str, Any]]] = {}
    for one in jobs:
        by_step.setdefault(one["name"].partition("[")[0], []).append(one)
    assert {one["status"] for one in by_step["shard"]} == {"CANCELED"}, (role, by_step)
    assert _starts(witness, "after") == []
    assert [one["status"] for one in by_step["last"]] == ["COMPLETED"]
    assert _starts(witness, "last"), "what runs finally ran"
    for job in by_step["shard"]:
        over = datetime.fromisoformat(job["last_status_change"])
        tries = installation.api.get(f"/jobs/{job['id']}/executions/").json()["results"]
        begun = {f"{job['id']}.{one['attempt']}" for one in tries if one["started"]}
        mine = {line for line in _starts(witness, "shard") if line.startswith(f"{job['id']}.")}
        assert mine <= begun, f"{role}: a shard was started whose try never began"
        for one in tries:
            if one["started"] and datetime.fromisoformat(one["started"]) > over:
                why = installation.api.get(f"/job-executions/{one['id']}/").json()["why"]
                assert why.startswith("next there"), f"{role}: a try was handed out after the job was cancelled: {one}"
