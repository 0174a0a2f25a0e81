"""Whose things are whose: for each kind of object and each verb, who may, with two projects and the installation.

`mine` is the project of the callers, `foreign` another one. A route that is in none of the tables fails the first test: whoever
adds one says here whose things it touches.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest

from api.http.app import NOUNS
from scheduler import keyring
from scheduler.identity import Role
from scheduler.store.feed.changes import read_position
from tests.support.api import Api, serving

ROUTES = {f"{route.method} {route.rule}": route for noun in NOUNS for route in noun.routes.all}

WORKFLOW = "jobs: {one: {command: ['true']}}"
GRID = {"blocks": [2, 2, 2], "size": [1, 1, 1]}
OF_ONE_THING = {
    "job": {
        "GET /jobs/<id:job_id>/", "PATCH /jobs/<id:job_id>/", "GET /jobs/<id:job_id>/events/", "GET /jobs/<id:job_id>/explain/",
        "GET /jobs/<id:job_id>/executions/", "POST /jobs/<id:job_id>/uploaded/", "GET /jobs/<id:job_id>/explain/nodes/", "GET /jobs/<id:job_id>/waits/",
        "POST /jobs/<id:job_id>/done/", "GET /jobs/<id:job_id>/logs/<stream>/search/", "POST /jobs/<id:job_id>/explain/trial/",
    },
    "operation": {"GET /operations/<id:operation_id>/", "GET /operations/<id:operation_id>/processes/"},
    "execution": {
        "GET /job-executions/<id:execution_id>/", "GET /job-executions/<id:execution_id>/usage/", "GET /job-executions/<id:execution_id>/logs/<stream>/",
        "GET /job-executions/<id:execution_id>/logs/<stream>/index/", "GET /job-executions/<id:execution_id>/logs/<stream>/search/",
    },
    "schedule": {
        "GET /schedules/<id:schedule_id>/", "PATCH /schedules/<id:schedule_id>/", "DELETE /schedules/<id:schedule_id>/",
        "GET /schedules/<id:schedule_id>/firings/", "POST /schedules/<id:schedule_id>/trigger/",
        "POST /schedules/<id:schedule_id>/backfill/", "DELETE /schedules/<id:schedule_id>/backfill/",
    },
    "workflow": {
        "GET /workflows/<id:workflow_id>/", "DELETE /workflows/<id:workflow_id>/", "GET /workflows/<id:workflow_id>/graph/",
        "GET /workflows/<id:workflow_id>/jobs/", "POST /workflows/<id:workflow_id>/cancel/", "POST /workflows/<id:workflow_id>/hold/",
        "POST /workflows/<id:workflow_id>/restart/", "POST /workflows/<id:workflow_id>/rerun/", "GET /workflows/<id:workflow_id>/events/",
    },
    "workflow type": {
        "GET /workflow-types/<id:workflow_type_id>/", "DELETE /workflow-types/<id:workflow_type_id>/",
        "GET /workflow-types/<id:workflow_type_id>/revisions/", "POST /workflow-types/<id:workflow_type_id>/revisions/",
        "GET /workflow-types/<id:workflow_type_id>/revisions/<id:revision_num>/",
    },
    "job type": {
        "GET /job-types/<id:job_type_id>/", "PATCH /job-types/<id:job_type_id>/", "GET /job-types/<id:job_type_id>/revisions/",
        "GET /job-types/<id:job_type_id>/revisions/<id:revision_num>/", "GET /job-types/<words:name>/<version>/",
        "PATCH /job-types/<words:name>/<version>/", "GET /job-types/<words:name>/<version>/revisions/",
        "GET /job-types/<words:name>/<version>/revisions/<id:revision_num>/", "GET /job-types/<id:job_type_id>/statistics/",
    },
    "error": {"GET /errors/<id:error_id>/", "PATCH /errors/<id:error_id>/"},
    "file": {"GET /files/<id:file_id>/", "DELETE /files/<id:file_id>/", "GET /files/<id:file_id>/content/"},
    "data set": {
        "GET /data-sets/<id:data_set_id>/", "DELETE /data-sets/<id:data_set_id>/", "POST /data-sets/<id:data_set_id>/restore/",
        "GET /data-sets/<id:data_set_id>/versions/", "GET /data-sets/<id:data_set_id>/versions/<id:number>/",
        "POST /data-sets/<id:data_set_id>/updates/", "POST /data-sets/<id:data_set_id>/queries/",
    },
    "token": {
        "GET /admin/tokens/<id:token_id>/", "PATCH /admin/tokens/<id:token_id>/", "DELETE /admin/tokens/<id:token_id>/",
        "POST /admin/tokens/<id:token_id>/rotation/",
    },
    "project": {
        "GET /admin/projects/<name>/", "PATCH /admin/projects/<name>/", "GET /admin/projects/<name>/secrets/",
        "POST /admin/projects/<name>/secrets/", "DELETE /admin/projects/<name>/secrets/<secret>/",
    },
}  # fmt: skip
"""Routes of one thing that a project owns: another project's is not found."""

LISTS = {
    "GET /jobs/", "GET /jobs/updates/", "GET /jobs/changes/", "GET /jobs/executions/", "GET /job-executions/", "GET /job-types/",
    "GET /job-types/status/", "GET /job-types/running/", "GET /files/", "GET /errors/", "GET /admin/tokens/",
    "GET /admin/projects/", "GET /data-sets/", "GET /schedules/", "GET /workflows/", "GET /operations/", "GET /workflow-types/",
}  # fmt: skip
"""Lists of things that projects own: nothing of another project is in them."""

MADE = {
    "POST /jobs/": {"command": ["true"]},
    "POST /queue/new-job/": None,
    "POST /job-types/": {"name": "new", "version": "1", "command": ["true"]},
    "POST /job-types/validation/": {"name": "new", "version": "1", "command": ["true"]},
    "POST /errors/": {"name": "new", "title": "New", "category": "DATA"},
    "POST /admin/tokens/": {"name": "new", "role": "viewer"},
    "POST /files/": b"x",
    "POST /data-sets/": {"name": "new", "grid": GRID},
    "POST /schedules/": {"name": "new", "cron": "@daily", "job": {"command": ["true"]}},
    "POST /workflows/": {"definition": WORKFLOW},
    "POST /workflow-types/": {"name": "new", "definition": WORKFLOW},
    "POST /workflows/validate/": {"definition": WORKFLOW},
}
"""Routes that make something in a project: none is made in another one, and without a word it is the caller's own."""

OWN = {
    "GET /token/", "POST /token/rotation/", "GET /me/", "GET /me/sessions/", "DELETE /me/sessions/", "POST /me/login-codes/",
}  # fmt: skip
"""Routes of the token that asks."""

QUESTIONS = {
    "GET /jobs/groups/", "GET /jobs/export/", "GET /search/", "POST /schedules/preview/", "GET /queue/head/", "GET /queue/balance/", "GET /queue/balance/history/",
}  # fmt: skip
"""Routes that only reckon, from what the caller sees: a test of their own has what they say of another project."""

OF_STATE = {
    "POST /jobs/<id:job_id>/done/", "DELETE /workflows/<id:workflow_id>/", "POST /workflows/<id:workflow_id>/restart/",
    "POST /schedules/<id:schedule_id>/trigger/", "POST /jobs/<id:job_id>/explain/trial/",
}  # fmt: skip
"""Routes that a thing's state may refuse (409): who is told that is let to them."""

BULK = {
    "POST /jobs/cancel/", "POST /jobs/requeue/", "POST /jobs/hold/", "POST /jobs/release/", "POST /jobs/pin/", "POST /jobs/unpin/",
    "POST /queue/requeue-jobs/", "DELETE /cache/",
}  # fmt: skip
"""Verbs for many jobs: they end at the project's border."""

INSTALLATION = {
    "PATCH /nodes/<id:node_id>/": {"is_paused": True},
    "POST /pools/": {"name": "new"},
    "PATCH /pools/<name>/": {"is_paused": True},
    "PATCH /scheduler/": {"is_paused": True},
    "POST /workspaces/": {"name": "new", "url": "file:///nowhere"},
    "PATCH /workspaces/<id:workspace_id>/": {"is_active": False},
    "POST /admin/projects/": {"name": "new"},
    "DELETE /admin/projects/<name>/": None,
    "GET /metrics": None,
    "GET /audit/": None,
    "GET /admin/purge/": None,
    "POST /admin/purge/": {"dry_run": True},
}
"""Routes that concern everybody: a token of one project is refused, whatever its role."""

OF_NODES = {
    "POST /node/register/", "POST /node/beat/", "POST /node/claim/", "POST /node/report/", "POST /node/output/",
    "POST /node/exchange/", "POST /node/leave/", "GET /node/files/<id:file_id>/content/", "POST /node/files/", "POST /node/files/bulk/",
}  # fmt: skip
"""Calls of a node for itself alone: `test_security_nodes.py` has another one try each of them."""

SEEN_BY_ALL = {
    "GET /nodes/", "GET /nodes/status/", "GET /nodes/<id:node_id>/", "GET /pools/", "GET /pools/<name>/",
    "GET /pools/<name>/events/", "GET /pools/<name>/wanted/", "GET /scheduler/", "GET /status/", "GET /load/",
    "GET /queue/status/", "GET /workspaces/", "GET /workspaces/<id:workspace_id>/",
}  # fmt: skip
"""What the machines are and how busy they are."""


def test_every_route_says_whose_things_it_touches() -> None:
    listed = [
        *LISTS,
        *OWN,
        *QUESTIONS,
        *MADE,
        *BULK,
        *INSTALLATION,
        *SEEN_BY_ALL,
        *(one for kind in OF_ONE_THING.values() for one in kind),
    ]
    of_users = {name for name, route in ROUTES.items() if isinstance(route.role, Role)}
    assert sorted(listed) == sorted(of_users)
    assert {name for name, route in ROUTES.items() if route.role == "node"} == OF_NODES


class Things:
    """One thing of every kind in `mine`, in `foreign` and of the installation, as what an address is filled with."""

    def __init__(self, api: Api) -> None:
        self.api = api
        pool = (
            api.value("SELECT id FROM pools LIMIT 1")
            if api.query("SELECT 1 FROM pools")
            else api.value("INSERT INTO pools (name) VALUES ('default') RETURNING id")
        )
        self.node = api.value(
            """INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
               VALUES ('n', :pool, 'n', 'b', 'd', 1, 1, 1) RETURNING id""",
            pool=pool,
        )
        for project in ("mine", "foreign"):
            api.a_project(project)
            for role in Role:
                api.a_token(f"{project} {role.name.lower()}", role, project)
        self.of = {owner: self._made(owner) for owner in ("mine", "foreign", None)}

    def address(self, route: str, owner: str | None) -> tuple[str, str]:
        method, rule = route.split(" ")
        things = {**self.of[owner], "node_id": self.node, "stream": "stdout", "revision_num": 1, "workspace_id": 1}
        things["name"] = (
            things["type_name"] if rule.startswith("/job-types") else "default" if "pools" in rule else owner
        )
        return method, re.sub(r"<(?:id:|words:)?(\w+)>", lambda found: str(things[found[1]]), rule)

    def _made(self, owner: str | None) -> dict[str, Any]:
        api, there = self.api, {} if owner is None else {"project": owner}
        job = api.a_job(**there)
        execution = api.value(
            """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s)
               VALUES (:id, 1, :node, 1, 'RUNNING', 1, 1, 1, 90) RETURNING id""",
            id=job["id"], node=self.node,
        )  # fmt: skip
        api.change(
            """INSERT INTO uploads (job_id, project_id, workspace_id, name, file_name, max_size, is_optional, mem_grows, disk_grows, taken)
               SELECT j.id, j.project_id, (SELECT min(id) FROM workspaces), 'x', 'x', 1, false, false, false, now() FROM jobs j WHERE j.id = :id""",
            id=job["id"],
        )
        named = f"type-of-{owner}"
        file = api.send("POST", "/files/", b"x", query={"file_name": "f", **there}, content_type="text/plain").json
        kind = api.a_type(named, **there)
        error = api.post("/errors/", {"name": "odd", "title": "Odd", "category": "DATA", **there}).json
        token = api.post("/admin/tokens/", {"name": "t", "role": "viewer", **there}).json
        api.post(f"/admin/projects/{owner or 'default'}/secrets/", {"name": "s", "value": "v"})
        operation = api.as_(f"{owner} admin" if owner else "admin").post("/jobs/hold/", {"job_id": job["id"]}).json
        data_set = api.value(
            """INSERT INTO data_sets (project_id, kind, name, definition, latest, created_by, created_by_name, modified_by, modified_by_name)
               SELECT id, 'block-model', :name, CAST(:definition AS jsonb), 1, 1, 'x', 1, 'x' FROM projects WHERE name = :project
               RETURNING id""",
            name=named, project=owner or "default", definition=json.dumps({"grid": {**GRID, "origin": [0, 0, 0], "rotation": []}}),
        )  # fmt: skip
        api.change(
            """INSERT INTO data_set_versions (uuid, data_set_id, number, parent, job_id, created_by, created_by_name)
               VALUES (gen_random_uuid(), :id, 1, 0, 1, 1, 'x')""",
            id=data_set,
        )
        own = api.as_(f"{owner} admin" if owner else "admin")
        schedule = own.post("/schedules/", {"name": named, "cron": "@daily", "job": {"command": ["true"]}}).json
        workflow = own.post("/workflows/", {"definition": WORKFLOW, "name": named}).json
        kept = own.post("/workflow-types/", {"name": named, "definition": WORKFLOW}).json
        return {
            "workflow_type_id": kept["id"], "schedule_id": schedule["id"], "workflow_id": workflow["id"],
            "data_set_id": data_set, "number": 1, "job_id": job["id"], "execution_id": execution, "file_id": file["id"], "job_type_id": kind["id"], "type_name": named,
            "version": "1.0", "error_id": error["id"], "token_id": token["id"], "operation_id": operation["id"], "secret": "s",
        }  # fmt: skip


BODIES = {
    "POST /jobs/<id:job_id>/explain/trial/": {},
    "PATCH /jobs/<id:job_id>/": {"status": "CANCELED"},
    "POST /data-sets/<id:data_set_id>/updates/": {"new": [{"title": "v", "data_type": "Int8"}]},
    "POST /data-sets/<id:data_set_id>/queries/": {},
    "PATCH /schedules/<id:schedule_id>/": {"is_paused": True},
    "POST /schedules/<id:schedule_id>/trigger/": {},
    "POST /schedules/<id:schedule_id>/backfill/": {
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-01-02T00:00:00Z",
        "dry_run": True,
    },
    "POST /workflows/<id:workflow_id>/cancel/": {},
    "POST /workflows/<id:workflow_id>/restart/": {},
    "POST /workflows/<id:workflow_id>/hold/": {"held": False},
    "POST /workflows/<id:workflow_id>/rerun/": {"from": ["one"]},
    "POST /workflow-types/<id:workflow_type_id>/revisions/": {"definition": WORKFLOW},
    "POST /jobs/<id:job_id>/done/": {"reason": "it is"},
    "PATCH /admin/projects/<name>/": {"title": "Changed"},
    "POST /admin/projects/<name>/secrets/": {"name": "s", "value": "w"},
    "PATCH /admin/tokens/<id:token_id>/": {"name": "renamed"},
    "POST /admin/tokens/<id:token_id>/rotation/": {"overlap_s": 5},
}
CHANGED = {"title": "Changed"}


@pytest.fixture
def things(database_url: str, tmp_path: Path) -> Iterator[Things]:
    with serving(database_url, tmp_path, keys=keyring.parse(token_urlsafe(32), "test")) as api:
        yield Things(api)


def sent(things: Things, caller: str, route: str, owner: str | None) -> int:
    method, path = things.address(route, owner)
    body = BODIES.get(route, CHANGED) if method in {"PATCH", "POST"} else None
    query = {"q": "x"} if path.endswith("/search/") else None
    return things.api.as_(caller).send(method, path, body, query=query).status_code


def in_order(routes: set[str]) -> list[str]:
    """What deletes comes last, and a part before its whole."""
    return sorted(routes, key=lambda route: (route.startswith("DELETE"), -route.count("/"), route))


def holds(things: Things, caller: str, owner: str | None, expected: Callable[[str], set[int]]) -> list[Any]:
    """Return what is answered otherwise than expected; a route of which nothing is expected is left alone."""
    wrong = []
    for kind, routes in OF_ONE_THING.items():
        for route in in_order({route for route in routes if expected(route)}):
            status = sent(things, caller, route, owner)
            if status == 409 and route in OF_STATE and 200 in expected(route):
                continue
            if status not in expected(route):
                wrong.append((kind, caller, route, owner, status))
    return wrong


def test_a_thing_of_another_project_is_not_found_whatever_the_role(things: Things) -> None:
    assert holds(things, "mine admin", "foreign", lambda _: {404}) == []
    assert holds(things, "foreign admin", "foreign", lambda _: {200, 201, 204}) == []


def test_a_thing_of_ones_own_project_is_for_the_roles_that_the_route_names(things: Things) -> None:
    for role in Role:

        def expected(route: str, role: Role = role) -> set[int]:
            needed = ROUTES[route].role
            return {403} if role < needed else {200, 201, 204} if role == needed else set()

        assert holds(things, f"mine {role.name.lower()}", "mine", expected) == []


def test_what_the_installation_owns_is_seen_by_every_project_and_changed_by_none(things: Things) -> None:
    wrong: list[Any] = []
    for kind in ("job type", "error"):
        for route in sorted(OF_ONE_THING[kind]):
            expected = {200} if route.startswith("GET") else {403}
            if (status := sent(things, "mine admin", route, None)) not in expected:
                wrong.append((route, status))
            if (status := sent(things, "operator", route, None)) != 200:
                wrong.append((route, "operator of everything", status))
    assert wrong == []
    for route in ("GET /admin/tokens/<id:token_id>/", "DELETE /admin/tokens/<id:token_id>/"):
        assert sent(things, "mine admin", route, None) == 404, route


def test_lists_hold_nothing_of_another_project(things: Things) -> None:
    mine = things.api.as_("mine admin")
    for route in LISTS - {"GET /job-types/running/", "GET /jobs/changes/"}:
        path = route.removeprefix("GET ")
        seen, there = mine.get(path), things.api.get(path)
        assert "foreign" not in seen.text, route
        assert seen.status_code == 200, (route, seen.text)
        if "count" in seen.json:
            assert 0 < seen.json["count"] < there.json["count"], route
        else:  # of what is read from the newest on, nobody counts all
            assert 0 < len(seen.json["results"]) < len(there.json["results"]), route
    cursor = read_position(mine.get("/jobs/changes/").json["cursor"])
    assert cursor is not None
    changes = {
        "after": replace(cursor, xid=1, open=()).written()
    }  # a cursor that somebody made up: from the beginning on
    seen, there = mine.get("/jobs/changes/", **changes), things.api.get("/jobs/changes/", **changes)
    assert "foreign" not in seen.text
    assert 0 < len(seen.json["results"]) < len(there.json["results"])
    things.api.change("UPDATE jobs SET status = 'RUNNING', attempt = 1")
    assert [one["count"] for one in mine.get("/job-types/running/").json["results"]] == [
        mine.get("/jobs/").json["count"]
    ]


def test_what_is_counted_and_found_is_of_ones_own_project(things: Things) -> None:
    mine = things.api.as_("mine admin")
    counted = mine.get("/jobs/groups/", group_by="project").json["results"]
    assert [one["value"] for one in counted] == ["mine"]
    assert mine.get("/search/", q="type-of-foreign").json["results"] == []
    assert mine.get("/search/", q="type-of-mine").json["results"] != []


def test_nothing_is_made_in_another_project_and_without_a_word_in_ones_own(things: Things) -> None:
    mine = things.api.as_("mine admin")
    for route, body in MADE.items():
        path = route.removeprefix("POST ")
        if isinstance(body, bytes):
            there = mine.send(
                "POST", path, body, query={"file_name": "f", "project": "foreign"}, content_type="text/plain"
            )
            own = mine.send("POST", path, body, query={"file_name": "f"}, content_type="text/plain")
        elif body is None:  # the older form names no project: what it names is the type
            there, own = (
                mine.post(path, {"job_type_id": things.of[owner]["job_type_id"]}) for owner in ("foreign", "mine")
            )
        else:
            there, own = mine.post(path, {**body, "project": "foreign"}), mine.post(path, body)
        assert there.status_code in {400, 403}, (route, there.status_code)
        assert own.status_code < 300, (route, own.text)
        assert own.json.get("project", "mine") == "mine", route


def test_verbs_for_many_end_at_the_border(things: Things) -> None:
    mine, theirs = things.api.as_("mine admin"), things.of["foreign"]["job_id"]
    own = mine.get("/jobs/").json["count"]
    assert own < things.api.get("/jobs/").json["count"]
    for route in BULK - {"POST /queue/requeue-jobs/", "DELETE /cache/"}:
        path = route.removeprefix("POST ")
        assert mine.post(path, {"all": True, "dry_run": True}).json["count"] <= own, route
        assert mine.post(path, {"job_id": theirs, "dry_run": True}).json["count"] == 0, route
    assert mine.post("/queue/requeue-jobs/", {"job_ids": [theirs]}).status_code == 404
    assert mine.delete("/cache/?project=foreign").status_code == 403, "test_workflow_reuse.py has the rest"


def test_what_concerns_everybody_is_not_changed_with_a_token_of_one_project(things: Things) -> None:
    for route, body in INSTALLATION.items():
        method, path = things.address(route, "mine")
        assert things.api.as_("mine admin").send(method, path, body).status_code == 403, route


def test_an_admin_of_a_project_changes_its_title_but_not_its_weight(things: Things) -> None:
    mine = things.api.as_("mine admin")
    refused = mine.patch("/admin/projects/mine/", {"title": "T", "weight": 9})
    assert (refused.status_code, refused.json["field"]) == (403, "weight")
    assert mine.patch("/admin/projects/mine/", {"title": "T"}).json["title"] == "T"
