"""What units and compose file would run, run: their command lines and environments as processes, until the demo passes.

Paths of the files lead into a folder of the test; nothing else of a command line is changed. Not proved by this: what
systemd and containers add around the processes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.up.embedded.servers import ServerSet
from tests.support.roles import Roles
from tests.support.servers import state_folder

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROGRAM = "/opt/ganger/bin/ganger"
PLACES = re.compile(r"^(--\S+=)?(/var/lib/ganger|/etc/ganger|/run/ganger)(?=/|$)")


@dataclass(frozen=True)
class Written:
    """The command line and the settings of each role, as one way of deploying has them."""

    words: dict[str, list[str]]
    settings: dict[str, dict[str, str]]
    umasks: dict[str, int]
    admin: str
    node: str


@pytest.fixture
def roles(servers: ServerSet, database_url: str, broker_url: str) -> Iterator[Roles]:
    with state_folder() as folder, Roles(folder, database_url, broker_url) as made:
        yield made


def units() -> Written:
    words, settings, umasks = {}, {}, {}
    for role in ("setup", "api", "scheduler", "worker"):
        text = (DEPLOY / "systemd" / f"ganger-{role}.service").read_text()
        line = re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)
        assert line is not None
        found = dict(re.findall(r"^Environment=(\w+)=(.+)$", text, re.MULTILINE))
        example = "worker.env.example" if role == "worker" else "ganger.env.example"
        said = re.findall(r"^(\w+)=(.*)$", (DEPLOY / "systemd" / example).read_text(), re.MULTILINE)
        filled_in = {name: " ".join(shlex.split(value)) for name, value in said}  # as systemd and a shell read it
        settings[role] = {**filled_in, **found}
        expanded = [
            settings[role].get(word[1:], word) if word.startswith("$") else word for word in shlex.split(line[1])
        ]
        assert expanded[0] == PROGRAM
        umasks[role] = int(re.findall(r"^UMask=(\d+)$", text, re.MULTILINE)[0], 8)
        words[role] = [
            part for word in expanded[1:] for part in (shlex.split(word) if word.startswith("--pool") else [word])
        ]
    return Written(words, settings, umasks, "/var/lib/ganger/tokens/admin", "/var/lib/ganger/tokens/node")


def compose() -> Written:
    told = subprocess.run(
        [Path(sys.executable).with_name("docker-compose"), "-f", DEPLOY / "compose.yaml", "config", "--format", "json"],
        capture_output=True,
        check=True,
        env={**os.environ, "POSTGRES_PASSWORD": "one", "BROKER_PASSWORD": "two"},
    )
    services = json.loads(told.stdout)["services"]
    chosen = ("setup", "api", "scheduler", "worker")
    return Written(
        {role: services[role]["command"] for role in chosen},
        {role: services[role]["environment"] for role in chosen},
        {},
        "/run/ganger/admin/token",
        "/run/ganger/node/token",
    )


def test_the_units_pass_the_demo_and_a_restart_of_the_worker_leaves_its_jobs_alone(roles: Roles) -> None:
    found = units()
    start(roles, found)
    pass_the_demo(roles, found)
    restart_the_worker_under_a_job(roles, found)
    stop(roles)


def test_the_services_of_the_compose_file_pass_the_demo(roles: Roles) -> None:
    found = compose()
    start(roles, found)
    pass_the_demo(roles, found)
    stop(roles)


def start(roles: Roles, found: Written) -> None:
    """Start everything in the order of the guide; `setup` may be repeated."""
    for _ in range(2):
        roles.once(here(roles, found.words["setup"]), environment(roles, found, "setup"))
    put_node_token(roles, found)
    for role, count in (("api", 1), ("scheduler", 2), ("worker", 1)):
        for number in range(count):
            start_role(roles, found, role, number)
    roles.serve(admin_token(roles, found))
    roles.until(lambda: roles.nodes() or None, "the node")


def pass_the_demo(roles: Roles, found: Written) -> None:
    assert [job["status"] for job in roles.run_jobs(3, "echo", "hello")] == ["COMPLETED"] * 3
    roles.once(["demo", "--url", roles.url], {"GANGER_TOKEN": admin_token(roles, found)})


def restart_the_worker_under_a_job(roles: Roles, found: Written) -> None:
    """`systemctl restart`: SIGTERM to the main process alone, which is what KillMode=process means, then a new start."""
    job = {"command": ["sleep", "4"], "cpus_required": 0.2, "mem_required": 16, "disk_out_required": 1, "max_tries": 1}
    look = f"/jobs/{roles.api.post('/jobs/', json=job).json()['id']}/"
    roles.until(lambda: roles.api.get(look).json()["num_exes"] == 1 or None, "the job to run")
    assert roles.stop("worker-0") == 0
    start_role(roles, found, "worker")
    roles.until(lambda: roles.api.get(look).json()["status"] == "COMPLETED" or None, "the job to end")
    assert len(roles.api.get(look).json()["job_exes"]) == 1


def stop(roles: Roles) -> None:
    """End everything, the worker first: it signs off with the API."""
    for name in sorted(roles.processes, key=lambda name: not name.startswith("worker")):
        assert roles.stop(name, signal.SIGUSR2 if name.startswith("worker") else signal.SIGTERM) == 0
    assert supervisors(roles) == []


def start_role(roles: Roles, found: Written, role: str, number: int = 0) -> None:
    words, umask = here(roles, found.words[role]), found.umasks.get(role, -1)
    roles.start(f"{role}-{number}", words, environment(roles, found, role), umask=umask)


def admin_token(roles: Roles, found: Written) -> str:
    return Path(place(roles, found.admin)).read_text().strip()


def here(roles: Roles, words: list[str]) -> list[str]:
    return [place(roles, word) for word in words]


def place(roles: Roles, word: str) -> str:
    """Lead a path of the deployment into the test's folder."""
    return PLACES.sub(lambda found: f"{found[1] or ''}{roles.folder}{found[2]}", word)


def environment(roles: Roles, found: Written, role: str) -> dict[str, str]:
    """Return the role's settings, with the addresses of this test in place of the examples'."""
    given = {name: place(roles, value) for name, value in found.settings[role].items()}
    ours = roles.node if role == "worker" else roles.server
    assert set(given) & {"GANGER_DATABASE_URL"} == set(ours) & {"GANGER_DATABASE_URL"}
    state = given.get("GANGER_STATE_DIR", f"{roles.folder}/{role}")
    return {**given, **ours, "GANGER_STATE_DIR": state}


def put_node_token(roles: Roles, found: Written) -> None:
    """Do what the guide says: copy the node token to where the worker looks for it."""
    source = Path(place(roles, found.node))
    target = Path(place(roles, found.settings["worker"]["GANGER_NODE_TOKEN_FILE"]))
    if source != target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text())


def supervisors(roles: Roles) -> list[str]:
    return [
        line
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(roles.folder) in (line := _line(entry)) and "supervisor" in line
    ]


def _line(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""
