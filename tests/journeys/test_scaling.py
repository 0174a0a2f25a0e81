"""Pools of real nodes on one machine: `ganger up`, scaled over HTTP and from the shell, under load, through crashes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.installation import Installation
from tests.support.pooling import (
    SMALL,
    agents,
    all_completed,
    change,
    executions,
    local_nodes,
    look,
    nodes,
    nothing_left,
    ready,
    statuses,
    storm,
    submit,
    tries,
)
from tests.support.servers import state_folder

pytestmark = pytest.mark.timeout(400)
QUICK = {"idle_s": 1, "shrink_pause_s": 0, "target_wait_s": 5, "start_s": 2}


@pytest.fixture(scope="module")
def up() -> Iterator[Installation]:
    with state_folder(spaced=True) as root:
        made = Installation(root, cpus=2, GANGER_SCALING_S="0.25").start()
        yield made
        assert made.stop() == 0
        assert made.left() == []
        assert _of(root) == []


@pytest.fixture
def pool(up: Installation, request: pytest.FixtureRequest) -> Iterator[str]:
    """A pool of its own for the test; at its end no node, process or folder of it is left."""
    name = request.node.name.removeprefix("test_")[:40].replace("[", "-").strip("-_]")
    answer = up.api.post("/pools/", json={"name": name, "size": 0, "drivers": [{"driver": "local"}], "template": SMALL})
    assert answer.status_code == 201, answer.text
    yield name
    change(up, name, size=0, settings={"drain_s": 2})
    up.until(lambda: not nodes(up, name) and not local_nodes(up, name), f"pool {name} to be empty", 60)
    assert [path for path in (up.root / "nodes").iterdir() if f"-{name}-" in path.name] == []


def test_scaling_up_gives_nodes_that_work_spreads_over(up: Installation, pool: str, record_property: Any) -> None:
    change(up, pool, size=3)
    record_property("seconds until three nodes are ready", round(ready(up, pool, 3), 2))
    ids = submit(up, pool, 6, "sleep", "2")
    up.until(lambda: statuses(up, ids)["RUNNING"] == 6 or None, "six to run at once")
    used = {up.job(job_id)["node"]["name"] for job_id in ids}
    assert len(used) == 3
    all_completed(up, ids)


def test_scaling_down_under_load_stops_nothing_before_its_end(up: Installation, pool: str) -> None:
    change(up, pool, size=3)
    ready(up, pool, 3)
    ids = submit(up, pool, 10, "sleep", "3", max_tries=1)
    up.until(lambda: statuses(up, ids)["RUNNING"] == 6 or None, "six to run at once")
    change(up, pool, size=1)
    all_completed(up, ids)
    ready(up, pool, 1)
    assert executions(up, ids)["COMPLETED"] == 10
    assert set(executions(up, ids)) <= {"COMPLETED", "WITHDRAWN"}
    assert {up.job(job_id)["num_exes"] for job_id in ids} == {1}


def test_what_outlives_the_deadline_is_returned_uncharged(up: Installation, pool: str) -> None:
    change(up, pool, size=1, settings={"drain_s": 1})
    ready(up, pool, 1)
    job_id = submit(up, pool, 1, "sh", "-c", "sleep 60", max_tries=1)[0]
    up.wait(job_id, "RUNNING")
    up.until(lambda: up.job(job_id)["num_exes"] == 1 or None, "the claim")
    change(up, pool, size=0)
    up.wait(job_id, "QUEUED")
    up.until(lambda: not nodes(up, pool) or None, "the node to leave")
    change(up, pool, size=1)
    up.wait(job_id, "RUNNING")
    up.until(lambda: up.job(job_id)["num_exes"] == 2 or None, "a second try of the only one it may have")
    assert [execution["status"] for execution in up.job(job_id)["job_exes"]] == ["RUNNING", "CANCELED"]
    assert up.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"}).status_code == 200


def test_a_pool_follows_a_burst_from_zero_and_back(up: Installation, pool: str, record_property: Any) -> None:
    began = time.monotonic()
    change(up, pool, min=0, max=3, settings=QUICK, template={"cpus": 10, "mem": 1024, "disk": 1024})
    ids = submit(up, pool, 500, "sleep", "1", cpus_required=0.5)
    up.until(lambda: look(up, pool)["nodes"]["ready"] or None, "the first node")
    grew = time.monotonic() - began
    all_completed(up, ids, 300)
    ended = time.monotonic() - began
    up.until(lambda: look(up, pool)["nodes"]["total"] == 0 or None, "the pool to be empty again", 60)
    record_property("seconds until the first node", round(grew, 2))
    record_property("seconds until 500 jobs have ended", round(ended, 1))
    record_property("seconds until the pool is empty", round(time.monotonic() - began, 1))
    why = [
        event["reason"]
        for event in up.api.get(f"/pools/{pool}/events/").json()["results"]
        if event["event"] == "decide"
    ]
    assert any("would wait longer" in reason for reason in why)
    assert any("idle" in reason for reason in why)
    assert executions(up, ids[::25])["COMPLETED"] == 20


def test_nodes_survive_the_scheduler_and_are_scaled_by_the_next(up: Installation, pool: str) -> None:
    change(up, pool, size=2)
    ready(up, pool, 2)
    before = {p.pid for p in agents(up, pool)}
    up.processes("scheduler")[0].kill()
    ids = submit(up, pool, 2, "true")
    all_completed(up, ids)
    assert {p.pid for p in agents(up, pool)} == before
    change(up, pool, size=1)
    ready(up, pool, 1)


def test_a_killed_agent_is_started_again_and_its_job_goes_on(up: Installation, pool: str) -> None:
    change(up, pool, size=1)
    ready(up, pool, 1)
    job_id = submit(up, pool, 1, "sleep", "6", max_tries=1)[0]
    up.wait(job_id, "RUNNING")
    up.until(lambda: up.job(job_id)["num_exes"] == 1 or None, "the claim")
    agents(up, pool)[0].kill()
    assert up.wait(job_id)["status"] == "COMPLETED"
    assert len(up.job(job_id)["job_exes"]) == 1


def test_a_node_drained_by_hand_leaves_and_is_replaced(up: Installation, pool: str) -> None:
    change(up, pool, size=1)
    ready(up, pool, 1)
    first = nodes(up, pool)[0]
    job_id = submit(up, pool, 1, "sleep", "2", max_tries=1)[0]
    up.wait(job_id, "RUNNING")
    done = ganger(up, "drain", first["name"], "--reason", "new disk")
    assert f"{first['name']} draining" in done
    assert up.wait(job_id)["status"] == "COMPLETED"
    up.until(lambda: any(n["state"] == "READY" and n["registered"] != first["registered"] for n in nodes(up, pool)) or None,
             "another node")  # fmt: skip


def test_the_shell_scales_pauses_and_explains(up: Installation, pool: str) -> None:
    assert "1, " in ganger(up, "scale", pool, "1", "--reason", "a try")
    ready(up, pool, 1)
    assert "an operator asked for 1" in ganger(up, "pools", pool, "--why")
    ganger(up, "pause", "--pool", pool, "--reason", "storm")
    job_id = submit(up, pool, 1, "true")[0]
    assert look(up, pool)["pause_reason"] == "storm"
    assert up.job(job_id)["status"] == "QUEUED"
    ganger(up, "resume", "--pool", pool)
    assert up.wait(job_id)["status"] == "COMPLETED"
    assert pool in ganger(up, "pools")


def test_random_sizes_under_load_lose_no_try_and_leave_nothing(
    up: Installation, pool: str, record_property: Any
) -> None:
    """Changes come faster than nodes. A thousand of them: `./run bench scale --changes 1000`."""
    began = time.monotonic()
    ids = storm(up, pool, changes=120, seed=3)
    record_property("seconds for 120 changes", round(time.monotonic() - began, 1))
    change(up, pool, size=2)
    all_completed(up, ids)
    assert tries(up, ids) == Counter({1: len(ids)})
    assert set(executions(up, ids)) <= {"COMPLETED", "WITHDRAWN"}
    change(up, pool, size=0)
    up.until(lambda: not nodes(up, pool) and not local_nodes(up, pool), "the pool to be empty", 60)
    up.until(lambda: nothing_left(up, pool), "its processes to end")


def ganger(up: Installation, *words: str) -> str:
    environment = {**os.environ, "GANGER_STATE_DIR": str(up.root)}
    done = subprocess.run(
        [sys.executable, "-m", "ganger", *words], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _of(root: Path) -> list[str]:
    return [" ".join(p.cmdline()) for p in psutil.process_iter() if any(str(root) in word for word in _words(p))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_the_node_that_up_started_may_be_scaled_away_and_stays_away(up: Installation) -> None:
    """The last test here: the pool `default` is the one whose first node `ganger up` keeps alive."""
    change(up, "default", size=0)
    up.until(lambda: not nodes(up, "default") or None, "the pool to be empty")
    up.until(lambda: not agents(up, "default") or None, "no agent to run")
    job_id = submit(up, "default", 1, "true")[0]
    change(up, "default", size=1)
    assert up.wait(job_id)["status"] == "COMPLETED"
    assert local_nodes(up, "default") == [nodes(up, "default")[0]["name"]]
    change(up, "default", size=0)
    up.until(lambda: not nodes(up, "default") and not local_nodes(up, "default"), "the pool to be empty")
