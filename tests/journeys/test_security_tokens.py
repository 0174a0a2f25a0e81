"""A token ends when it is revoked, rotated or over: in every process, at once, and in the middle of an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import create_engine, text

from api.up.embedded.servers import ServerSet
from scheduler.admin import tokens
from scheduler.servers import database_address
from tests.support.api_process import serving
from tests.support.servers import Seeds, connect
from tests.support.waiting import eventually

LOG = "/job-executions/{}/logs/combined/"


class Served:
    """An API of two processes, an administrator's client, and an execution that runs for ever."""

    def __init__(self, url: str, database_url: str, secret: str) -> None:
        self.url, self._engine = url, create_engine(database_address.read(database_url))
        self.admin = self.client(secret)
        job = self.admin.post("/jobs/", json={"command": ["true"]}).json()
        self.execution = self.sql(
            """INSERT INTO pools (name) VALUES ('p') ON CONFLICT DO NOTHING;
               INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
               VALUES ('n', (SELECT id FROM pools LIMIT 1), 'n', 'b', 'd', 1, 1, 1);
               INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s)
               VALUES (:job, 1, (SELECT id FROM nodes LIMIT 1), 1, 'RUNNING', 1, 1, 1, 90) RETURNING id""",
            job=job["id"],
        )

    def client(self, secret: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30)

    def a_token(self, **facts: Any) -> dict[str, Any]:
        made = self.admin.post("/admin/tokens/", json={"name": "t", "role": "viewer", **facts})
        assert made.status_code == 201, made.text
        return dict(made.json())

    def sql(self, statements: str, **parameters: Any) -> Any:
        found = None
        with self._engine.begin() as tx:
            for statement in statements.split(";"):
                used = {name: value for name, value in parameters.items() if f":{name}" in statement}
                found = tx.execute(text(statement), used)
            return found.scalar() if found is not None and found.returns_rows else None

    def close(self) -> None:
        self.admin.close()
        self._engine.dispose()


@pytest.fixture(scope="module")
def served(servers: ServerSet, migrated: Seeds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with connect(servers.database_url) as db:
        migrated.restore(db)
    folder = tmp_path_factory.mktemp("api")
    secret = tokens.ensure(
        servers.database_url, kind="user", role="admin", project=None, name="admin", path=folder / "admin"
    )
    with serving(servers.database_url, servers.broker_url, folder, API_WORKERS="2") as url:
        made = Served(url, servers.database_url, secret)
        yield made
        made.close()


def test_what_is_revoked_is_refused_by_every_process_at_once(served: Served) -> None:
    made = served.a_token()
    # Connections of their own spread over the processes; each has seen the token a moment ago.
    clients = [served.client(made["token"]) for _ in range(12)]
    assert {client.get("/jobs/").status_code for client in clients} == {200}
    assert served.admin.delete(f"/admin/tokens/{made['id']}/").status_code == 204
    assert {client.get("/jobs/").status_code for client in clients} == {401}


@pytest.mark.parametrize(
    "end",
    ["UPDATE tokens SET revoked = now() WHERE id = :id", "UPDATE tokens SET expires = now() WHERE id = :id"],
)
def test_a_followed_stream_ends_with_its_token(served: Served, end: str) -> None:
    made = served.a_token()
    events: list[httpx2.ServerSentEvent] = []
    begun = threading.Event()

    def follow() -> None:
        url = LOG.format(served.execution)
        with served.client(made["token"]).stream("GET", url, params={"follow": "true"}) as response:
            begun.set()
            events.extend(httpx2.EventSource(response))

    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(20)
    served.sql(end, id=made["id"])
    thread.join(20)
    assert not thread.is_alive(), "the stream goes on without a token"
    assert (events[-1].event, json.loads(events[-1].data)["kind"]) == ("error", "unauthorized")


def test_an_upload_that_outlasts_its_token_leaves_no_file(served: Served) -> None:
    made = served.a_token(role="submitter")
    ended = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"x" * 200_000
        served.sql("UPDATE tokens SET revoked = now() WHERE id = :id", id=made["id"])
        ended.wait(1.2)  # there is no signal for what must not come: the token is looked at every second
        yield b"x" * 200_000

    headers = {"Content-Type": "text/plain"}
    answer = served.client(made["token"]).post("/files/", params={"file_name": "late"}, content=body(), headers=headers)
    assert answer.status_code == 401
    assert served.admin.get("/files/", params={"file_name": "late"}).json()["count"] == 0


def test_a_token_is_changed_for_another_one_with_the_same_rights(served: Served) -> None:
    first = served.a_token(role="operator")
    rotated = served.client(first["token"]).post("/token/rotation/", json={})
    assert rotated.status_code == 200, rotated.text
    second = rotated.json()
    assert (second["id"], second["role"]) == (first["id"], "operator")
    assert served.client(first["token"]).get("/token/").status_code == 401
    assert served.client(second["token"]).get("/token/").json()["name"] == "t"
    third = served.admin.post(f"/admin/tokens/{first['id']}/rotation/", json={"overlap_s": 600}).json()
    assert {served.client(one["token"]).get("/token/").status_code for one in (second, third)} == {200}
    served.sql("UPDATE tokens SET previous_until = now() WHERE id = :id", id=first["id"])
    late = served.client(second["token"])
    eventually(
        lambda: late.get("/token/").status_code == 401
    )  # what changes in the database itself is seen within a second
    assert third["token"] not in str(served.sql("SELECT string_agg(t::text, ' ') FROM tokens t"))


def test_who_changes_its_own_token_does_not_change_when_it_ends(served: Served) -> None:
    ends = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    first = served.a_token(expires=ends)
    own = served.client(first["token"])
    assert own.post("/token/rotation/", json={"expires": None}).status_code == 400
    assert own.post("/token/rotation/", json={}).json()["expires"] == first["expires"]
    assert (
        served.admin.post(
            f"/admin/tokens/{first['id']}/rotation/", json={"expires": "2001-01-01T00:00:00Z"}
        ).status_code
        == 400
    )
    assert served.admin.delete(f"/admin/tokens/{first['id']}/").status_code == 204
    assert served.admin.post(f"/admin/tokens/{first['id']}/rotation/", json={}).status_code == 409


def ganger(served: Served, secret: str, *words: str, status: int = 0) -> tuple[str, str]:
    environment = {**os.environ, "GANGER_API_URL": served.url, "GANGER_TOKEN": secret, "NO_COLOR": "1"}
    command = [sys.executable, "-m", "ganger", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == status, ended.stderr
    return ended.stdout, ended.stderr


def test_tokens_end_and_are_changed_from_the_command_line_with_a_warning_before(served: Served) -> None:
    admin = served.admin.headers["Authorization"].removeprefix("Bearer ")
    made = json.loads(
        ganger(served, admin, "tokens", "create", "--role", "viewer", "--expires", "10d", "short", "--json")[0]
    )
    ends = datetime.fromisoformat(made["expires"])
    assert timedelta(days=9) < ends - datetime.now(UTC) <= timedelta(days=10)
    listed, quiet = ganger(served, admin, "tokens")
    assert any("short" in line and "ends soon" in line for line in listed.splitlines())
    assert "ends" not in quiet
    _, warned = ganger(served, made["token"], "jobs")
    assert f"the token ends on {made['expires'][:10]}" in warned
    fresh, _ = ganger(served, made["token"], "tokens", "rotate")
    ganger(served, made["token"], "jobs", status=4)
    ganger(served, fresh.strip(), "jobs")
    later = json.loads(ganger(served, admin, "tokens", "rotate", str(made["id"]), "--expires", "90d", "--json")[0])
    assert "ends" not in ganger(served, later["token"], "jobs")[1]
    ganger(served, admin, "tokens", "create", "--role", "viewer", "--expires", "soon", "wrong", status=2)
