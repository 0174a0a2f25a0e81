"""The bare handlers that our requests are held against: Flask on gunicorn, one INSERT, and one SELECT by key."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import orjson
import psycopg
from flask import Flask, Response, request
from gunicorn.app.base import BaseApplication

app = Flask("bare")
_local = threading.local()


def _db() -> psycopg.Connection:
    if not hasattr(_local, "db"):
        _local.db = psycopg.connect(os.environ["GANGER_DATABASE_URL"], autocommit=True)
    found: psycopg.Connection = _local.db
    return found


@app.post("/")
def insert() -> Response:
    """One row, and its id."""
    body = orjson.loads(request.get_data())
    row: Any = (
        _db().execute("INSERT INTO bare (body) VALUES (%s) RETURNING id", (orjson.dumps(body).decode(),)).fetchone()
    )
    return Response(orjson.dumps({"id": row[0]}), 201, content_type="application/json")


@app.get("/<int:key>")
def select(key: int) -> Response:
    """One row by its id."""
    row: Any = _db().execute("SELECT id, body FROM bare WHERE id = %s", (key,)).fetchone()
    return Response(orjson.dumps({"id": row[0], "body": row[1]}), content_type="application/json")


@app.get("/health/live")
def live() -> dict[str, str]:
    """That it is up."""
    return {"status": "ok"}


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def load_config(self) -> None:
        for name, value in {
            "bind": f"127.0.0.1:{os.environ['GANGER_PORT']}",
            "workers": int(os.environ["GANGER_API_WORKERS"]),
            "worker_class": "gthread",
            "threads": 16,
            "keepalive": 75,
            "control_socket_disable": True,
        }.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return app


def main() -> None:
    with psycopg.connect(os.environ["GANGER_DATABASE_URL"], autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body jsonb)")
        db.execute('INSERT INTO bare (body) SELECT \'{"command": ["/bin/true"]}\' FROM generate_series(1, 1000)')
    sys.argv = sys.argv[:1]
    _Server().run()


if __name__ == "__main__":
    main()
