"""kill -9 of each process in turn while a job runs, and an emptied broker: nothing lost, nothing run twice.

Every job leaves a line in a witness file outside the system each time its program starts; the file is what counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from scheduler.servers import broker_client
from tests.support.installation import Installation
from tests.support.servers import state_folder

SETTINGS = {"GANGER_LEASE_S": "90"}
"""No execution is given up while a busy machine starts a process again."""
RUN_UNTIL_TOLD = 'echo "$1" >> "$2/starts"; while [ ! -e "$2/go-$1" ]; do sleep 0.05; done; echo "$1" >> "$2/ends"'


class Witness:
    """A folder every job can write to: who started, who ended, and a file per job that lets it end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o777)
        for name in ("starts", "ends"):
            (folder / name).touch()
            (folder / name).chmod(0o666)

    def lines(self, name: str, word: str) -> int:
        return (self.folder / name).read_text().split().count(word)

    def let_end(self, word: str) -> None:
        (self.folder / f"go-{word}").touch()

    def command(self, word: str) -> list[str]:
        return ["/bin/sh", "-c", RUN_UNTIL_TOLD, "job", word, str(self.folder)]


@pytest.fixture(scope="module")
def witness(installation: Installation) -> Witness:
    return Witness(installation.shared("witness"))


def _running(installation: Installation, witness: Witness, word: str, **fields: object) -> int:
    job_id = installation.submit(*witness.command(word), **fields)
    installation.until(lambda: witness.lines("starts", word), f"{word} to start")
    return job_id


@pytest.mark.parametrize("role", ["api", "scheduler", "consumer", "agent"])
def test_a_running_job_outlives_the_death_of(role: str, installation: Installation, witness: Witness) -> None:
    job_id = _running(installation, witness, role, max_tries=1)
    victims = installation.processes(role)
    assert victims, f"there is no {role}"
    for process in victims:
        process.kill()
    installation.until(
        lambda: {p.pid for p in installation.processes(role)} - {p.pid for p in victims}, f"a new {role}"
    )
    witness.let_end(role)
    job = installation.wait(job_id)
    assert (job["status"], job["num_exes"]) == ("COMPLETED", 1)
    assert (witness.lines("starts", role), witness.lines("ends", role)) == (1, 1)


def test_the_death_of_the_supervisor_kills_its_jobs_which_are_tried_again(
    installation: Installation, witness: Witness
) -> None:
    job_id = _running(installation, witness, "supervisor", max_tries=2)
    for process in installation.processes("supervisor"):
        process.kill()
    installation.until(lambda: witness.lines("starts", "supervisor") == 2, "the second try")
    witness.let_end("supervisor")
    job = installation.wait(job_id)
    assert (job["status"], job["num_exes"]) == ("COMPLETED", 2)
    assert [e["error"]["name"] for e in job["job_exes"] if e["error"]] == ["supervisor-lost"]
    assert witness.lines("ends", "supervisor") == 1


def test_an_emptied_broker_loses_nothing(installation: Installation, witness: Witness) -> None:
    client = broker_client.connect(_broker(installation))
    words = [f"flush{number}" for number in range(20)]
    jobs = []
    for word in words:
        jobs.append(installation.submit(*witness.command(word), max_tries=1))
        client.flushall()
        witness.let_end(word)
    for job_id, word in zip(jobs, words, strict=True):
        assert installation.wait(job_id)["status"] == "COMPLETED"
        assert witness.lines("starts", word) == 1
    client.close()


def test_a_broker_at_its_memory_limit_shows_everywhere_and_loses_nothing(
    installation: Installation, witness: Witness
) -> None:
    client = broker_client.connect(_broker(installation))

    def limit(size: str) -> None:
        assert client.config_set("maxmemory", size)

    def ready(word: str) -> dict[str, Any] | None:
        answer = installation.api.get("/health/ready")
        return dict(answer.json()) if (answer.status_code, answer.json()["status"]) == (200, word) else None

    limit("1")
    try:
        with pytest.raises(OutOfMemoryError):
            client.set("any", "value")
        job_id = installation.submit(*witness.command("full"), max_tries=1)
        witness.let_end("full")
        assert installation.wait(job_id)["status"] == "COMPLETED"
        assert witness.lines("starts", "full") == 1
        told = installation.until(lambda: ready("degraded"), "a health that is degraded")
        assert "OOM command not allowed" in told["description"]
        status = installation.api.get("/status/").json()
        assert not status["dependencies"]["broker"]["ok"]
        assert any("OOM command not allowed" in warning for warning in status["warnings"])
        metrics = installation.api.get("/metrics").text
        assert "ganger_broker_up 1.0" in metrics
        assert "ganger_broker_takes_messages 0.0" in metrics
    finally:
        limit("0")
        client.close()
    installation.until(lambda: ready("ok"), "a health that is well again")


@pytest.mark.parametrize("server", ["valkey", "postgres"])
def test_a_running_job_outlives_the_death_of_a_server(
    server: str, installation: Installation, witness: Witness
) -> None:
    job_id = _running(installation, witness, server, max_tries=1)
    victim = installation.processes(server)[0]
    victim.kill()
    installation.until(lambda: {p.pid for p in installation.processes(server)} - {victim.pid}, f"a new {server}")
    witness.let_end(server)
    job = installation.wait(job_id)
    assert (job["status"], job["num_exes"], witness.lines("starts", server)) == ("COMPLETED", 1, 1)


def test_a_restart_on_the_same_folder_goes_on_where_it_stopped(witness: Witness) -> None:
    with state_folder() as root:
        reached = json.dumps([str(root), str(witness.folder)])
        first = Installation(root, GANGER_SHARED_FOLDERS=reached).start()
        done = first.submit("/bin/true")
        first.wait(done)
        interrupted = _running(first, witness, "restart", max_tries=1)
        assert first.stop() == 0
        assert first.left() == []
        second = Installation(root, GANGER_SHARED_FOLDERS=reached).start()
        second.until(lambda: witness.lines("starts", "restart") == 2, "the interrupted job to run again")
        witness.let_end("restart")
        job = second.wait(interrupted)
        assert job["status"] == "COMPLETED", "a try that the stop of its node ended is not charged"
        assert second.job(done)["status"] == "COMPLETED"
        assert second.stop() == 0
        assert second.left() == []


def _broker(installation: Installation) -> str:
    """Return the broker's address as the scheduler was given it."""
    environment = installation.processes("scheduler")[0].environ()
    return str(environment["GANGER_BROKER_URL"])
