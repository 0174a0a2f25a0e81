"""The server of the API's benchmark: the real application with one more route, the bare request."""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy import text

from api import serve
from api.http import app
from api.http.routing import ApiCall, Routes, mount
from api.http.serving import server
from scheduler.identity import Role
from scheduler.settings import read_settings

routes = Routes("bench")
_bare_app = app.bare_app


@routes.get("/bench/select-1/", role=Role.VIEWER)
def select_1(call: ApiCall) -> Any:
    """The least that any request costs: route, token, transaction, and the shortest of statements."""
    with call.rt.db.begin() as tx:
        return {"one": tx.execute(text("SELECT 1")).scalar()}


def with_bare_request() -> Any:
    made = _bare_app()
    mount(made, routes)
    return made


def main() -> int:
    app.bare_app = with_bare_request
    settings = read_settings()
    return server.serve(("127.0.0.1", settings.port), settings, None, lambda: serve.api_runtime(settings))


if __name__ == "__main__":
    sys.exit(main())
