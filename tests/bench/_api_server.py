"""The server of the API's benchmark: the real application with one more route, the bare request.

With GANGER_BENCH_PROFILE=FILE each request is profiled, one at a time, by the processor time of its thread, from the application on (the
HTTP server's own share is not in it);
`GET /bench/profile/` writes what there is into the file and begins anew.
"""

from __future__ import annotations

import cProfile
import os
import sys
import threading
import time
from collections.abc import Iterable
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


class Profiled:
    """An application that is profiled in whichever thread it is called: a profiler is a thread's, so there is one call at a time."""

    def __init__(self, application: Any, file: str) -> None:
        self._application, self._file = application, file
        self._one = threading.Lock()
        self._profile = cProfile.Profile(time.thread_time)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._one:
            if environ["PATH_INFO"] != "/bench/profile/":
                answer: Iterable[bytes] = self._profile.runcall(self._application, environ, start_response)
                return answer
            self._profile.dump_stats(self._file)
            self._profile = cProfile.Profile(time.thread_time)
        start_response("200 OK", [("Content-Length", "0")])
        return []


def with_bare_request() -> Any:
    made = _bare_app()
    mount(made, routes)
    file = os.environ.get("GANGER_BENCH_PROFILE")
    if file:
        made.wsgi_app = Profiled(made.wsgi_app, file)  # type: ignore[method-assign]  # as Flask says to
    return made


def main() -> int:
    app.bare_app = with_bare_request
    settings = read_settings()
    return server.serve(("127.0.0.1", settings.port), settings, None, lambda: serve.api_runtime(settings))


if __name__ == "__main__":
    sys.exit(main())
