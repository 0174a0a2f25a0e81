"""The API's own test client on a real database, one token per role.

api             an `Api`: `api.get(...)`, `api.post(path, body)`, ... as the admin; `api.as_("viewer").get(...)`
api.rt          the runtime underneath; `api.nudges` has every topic that was nudged
"""

from __future__ import annotations

import copy
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from api.application import bare_app, create_app
from scheduler import runtime
from scheduler.admin import seed, tokens
from scheduler.identity import Role
from scheduler.keyring import NO_KEYS, Keyring
from scheduler.runtime import Runtime
from scheduler.settings import Settings
from tests.support import documented
from workers.block_models import packed

ROLES = ("viewer", "submitter", "operator", "admin")


class Answer(TestResponse):
    """An answer of which a test looks at the JSON without asking first whether there is any."""

    json: Any


@dataclass(slots=True)
class Api:
    """Requests as one caller. Bodies are sent as JSON unless they are bytes."""

    app: Any
    rt: Runtime
    secrets: dict[str, str]
    nudges: list[str]
    caller: str | None = "admin"
    headers: dict[str, str] = field(default_factory=lambda: {"Accept": "application/json"})

    def as_(self, caller: str | None, **headers: str) -> Api:
        """The same API for another caller: a role, `node`, a name given to `a_token`, or None for nobody."""
        return Api(self.app, self.rt, self.secrets, self.nudges, caller, {**self.headers, **headers})

    def with_headers(self, **headers: str) -> Api:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Api(self.app, self.rt, self.secrets, self.nudges, self.caller, {**self.headers, **named})

    def get(self, path: str, **query: Any) -> Answer:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: Any = None, **query: Any) -> Answer:
        return self.send("POST", path, body, query=query)

    def patch(self, path: str, body: Any = None, **query: Any) -> Answer:
        return self.send("PATCH", path, body, query=query)

    def delete(self, path: str, **query: Any) -> Answer:
        return self.send("DELETE", path, query=query)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Any = None,
        content_type: str | None = "application/json",
    ) -> Answer:
        headers = dict(self.headers)
        if self.caller is not None:
            headers["Authorization"] = f"Bearer {self.secrets[self.caller]}"
        data = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        answer = self.app.test_client().open(
            path,
            method=method,
            data=data,
            query_string=query or None,
            headers=headers,
            content_type=content_type if data is not None else None,
        )
        if answer.is_json:
            documented.check(method, path, answer.status_code, answer.content_type, answer.data)
        return cast("Answer", answer)

    def follow(self, link: str) -> Answer:
        """GET an absolute link of an answer."""
        return self.get(link.removeprefix("http://localhost"))

    def a_token(self, name: str, role: Role | None, project: str | None = None) -> None:
        kind = "node" if role is None else "user"
        self.secrets[name] = tokens.create(self.rt, kind=kind, role=role, project=project, name=name)[1]

    def a_project(self, name: str) -> None:
        with self.rt.db.begin() as tx:
            tx.execute(text("INSERT INTO projects (name) VALUES (:name)"), {"name": name})

    def a_job(self, **fields: Any) -> dict[str, Any]:
        """Submit a job, an ad-hoc command if nothing else is said; return its detail."""
        if not {"job_type", "job_type_id", "command"}.intersection(fields):
            fields["command"] = ["true"]
        answer = self.post("/jobs/", fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json)

    def a_type(self, name: str = "a-type", version: str = "1.0", **fields: Any) -> dict[str, Any]:
        answer = self.post("/job-types/", {"name": name, "version": version, "command": ["true"], **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json)

    def query(self, sql: str, **parameters: Any) -> list[Any]:
        with self.rt.db.begin() as tx:
            return list(tx.execute(text(sql), parameters))

    def change(self, sql: str, **parameters: Any) -> None:
        with self.rt.db.begin() as tx:
            tx.execute(text(sql), parameters)

    def value(self, sql: str, **parameters: Any) -> Any:
        return self.query(sql, **parameters)[0][0]


@cache
def _mounted() -> Flask:
    return bare_app()


def _a_bare_app() -> Flask:
    """Return what `bare_app` returns, with the addresses of one that was made before: to compile them takes longer than most tests."""
    made = copy.copy(_mounted())
    made.extensions, made.config = dict(made.extensions), copy.copy(made.config)
    for name in ("before_request_funcs", "after_request_funcs", "teardown_request_funcs"):
        functions = getattr(made, name)
        setattr(made, name, defaultdict(list, {scope: list(kept) for scope, kept in functions.items()}))
    return made


@contextmanager
def serving(
    database_url: str, state_dir: Path, *, background: bool = False, keys: Keyring = NO_KEYS, **settings: Any
) -> Iterator[Api]:
    """The API on this database with other settings than the usual ones."""
    chosen = Settings(state_dir=state_dir, **{"workspace_roots": (state_dir,), **settings})
    (state_dir / "files").mkdir(parents=True, exist_ok=True)
    engine = runtime.connect(database_url, chosen, name="test-api")
    nudges: list[str] = []
    rt = Runtime(engine, chosen, runtime.utc_now, random.Random(7).random, nudges.append, keyring=keys)
    seed.seed(engine, files_dir=state_dir / "files", block_models=packed.program())
    made = Api(create_app(rt, background=background, bare=_a_bare_app()), rt, {}, nudges)
    for role in ROLES:
        made.a_token(role, Role[role.upper()])
    made.a_token("node", None)
    yield made
    engine.dispose()


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    with serving(database_url, tmp_path) as made:
        yield made
