"""kill -9 of every role in turn while a node runs ahead: nothing lost, nothing twice, no try charged that did not start.

The judge is what the jobs themselves have written: one line each time that one is started.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

from tests.support.installation import Installation
from tests.support.servers import state_folder

ROUNDS = max(1, int(os.environ.get("GANGER_TEST_DEATHS", "1")) // 20)
"""How often each role is killed: once in the suite, ten times by `./run chaos`."""
JOBS = 60
"""Of each round and role."""
ROLES = ("agent", "consumer", "scheduler", "api", "valkey", "postgres", "supervisor")
LIMIT_S = 120.0
DIED = {"supervisor-lost", "node-lost", "launch"}
"""A try that ends so may have been charged before its program could write its line."""


@pytest.mark.timeout(LIMIT_S * ROUNDS + 120)
def test_kills_of_every_role_under_run_ahead() -> None:
    with state_folder() as root:
        installation = Installation(root, cpus=2).start()
        try:
            _play(installation)
        finally:
            installation.stop()


def _play(installation: Installation) -> None:
    witness = installation.shared("witness") / "starts"
    witness.touch()
    witness.chmod(0o666)
    job = {
        "command": ["/bin/sh", "-c", f'echo "$GANGER_JOB_ID.$GANGER_ATTEMPT" >> {witness}'],
        "cpus_required": 1,
        "mem_required": 64,
        "disk_out_required": 1,
        "max_tries": 5,
    }
    made = _submit(installation, job, 8)
    installation.until(lambda: _ended(installation, len(made)), "the first jobs, from which the scheduler learns")
    for number in range(ROUNDS * len(ROLES)):
        made += _submit(installation, job, JOBS)
        seen = len(witness.read_text().split())
        installation.until(lambda: len(witness.read_text().split()) >= seen + 5, "some to start")  # noqa: B023
        installation.processes(ROLES[number % len(ROLES)])[0].kill()
    installation.until(lambda: _ended(installation, len(made)), "all jobs to end", LIMIT_S * ROUNDS)
    _judge(installation, made, Counter(witness.read_text().split()))


def _submit(installation: Installation, job: dict[str, Any], count: int) -> list[int]:
    """Hand in jobs, again and again with the same key until there is an answer."""
    key = os.urandom(12).hex()

    def answered() -> list[int] | None:
        answer = installation.api.post("/jobs/", json=[job] * count, headers={"Idempotency-Key": key})
        return list(answer.json()["job_ids"]) if answer.status_code in {200, 201} else None

    return installation.until(answered, "an answer to a submission", LIMIT_S)


def _ended(installation: Installation, count: int) -> bool:
    answer = installation.api.get("/jobs/", params={"status": "COMPLETED", "page_size": "1"})
    return answer.status_code == 200 and answer.json()["count"] >= count


def _judge(installation: Installation, made: list[int], starts: Counter[str]) -> None:
    assert not [one for one, count in starts.items() if count > 1], "an attempt was started twice"
    ahead = 0
    for job_id in made:
        tries = installation.api.get(f"/jobs/{job_id}/executions/").json()["results"]
        begun = {str(one["attempt"]) for one in tries if f"{job_id}.{one['attempt']}" in starts}
        assert next(str(one["attempt"]) for one in tries if one["status"] == "COMPLETED") in begun
        charged = [one for one in tries if one["started"] is not None]
        assert len(charged) == installation.job(job_id)["num_exes"]
        unseen = [one for one in charged if str(one["attempt"]) not in begun]
        assert not [one for one in unseen if one["error"] is None or one["error"]["name"] not in DIED]
        assert begun <= {str(one["attempt"]) for one in charged}, "one was started and not charged"
        detail = installation.api.get(f"/job-executions/{tries[0]['id']}/").json()
        ahead += detail["why"].startswith("next there")
    assert ahead > len(made) // 4, "the node did not run ahead"
