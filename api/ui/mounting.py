"""The pages within the application: addresses, sessions, the policy that browsers keep, and errors that people can read."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

import orjson
from flask import Flask, Response, g, redirect, request
from werkzeug.wrappers import Response as PlainResponse

from api.http import api_runtime, auth, transfer
from api.http.files import routes as files
from api.ui import frame
from api.ui.live import broadcaster
from api.ui.live import routes as live
from api.ui.live.broadcaster import PageBroadcaster
from api.ui.pages import PageRequest, PageRoute, PageView
from api.ui.rooms import ALL
from api.ui.session import cookies, forgery, preferences
from api.ui.show import assets, templating
from scheduler.admin import sessions
from scheduler.errors import Unauthorized
from scheduler.identity import Caller

PREFIX = "/ui/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NOBODY = Caller(0, "anonymous", None)
FOR_EVER = "public, max-age=31536000, immutable"


def install(app: Flask) -> None:
    """Mount every page, and read every template and file before the first request."""
    templating.environment()
    assets.by_address()
    by_endpoint: dict[str, PageRoute] = {}
    for route in ALL:
        endpoint = f"ui {route.method} {route.rule}"
        by_endpoint[endpoint] = route
        app.add_url_rule(route.rule, endpoint=endpoint, methods=[route.method], view_func=_view(route))
    app.extensions[broadcaster.ROUTES] = by_endpoint
    app.add_url_rule("/ui/static/<name>", endpoint="ui static", view_func=_static, methods=["GET"])
    app.after_request(_finish)


def connect(app: Flask) -> None:
    """Start the broadcaster of this process, on the feed of the runtime that the app is connected to."""
    app.extensions[live.BROADCASTER] = PageBroadcaster(app, api_runtime.of(app).feed)


def _view(route: PageRoute) -> Callable[..., PlainResponse]:
    def view(**path: int | str) -> PlainResponse:
        page = _page(route)
        g.page = page
        if route.takes_file:
            transfer.expect_file(min(page.rt.settings.max_upload, files.MOST_FORM))
        if route.method == "POST":
            forgery.check(page.session) if route.role is not None else forgery.check_origin()
        answer = route.function(page, **path)
        if isinstance(answer, PageView):
            return templating.respond(page, answer, frame.of(page))
        return answer

    view.__name__ = route.function.__name__
    return view


def _page(route: PageRoute) -> PageRequest:
    """Return the request with its caller: that of the session, or nobody on a page that everybody may see."""
    rt = api_runtime.of_this_app().rt
    liked = preferences.read()
    secret = cookies.read()
    if secret is None or not auth.is_session(secret):
        if route.role is not None:
            raise Unauthorized("sign in first")
        return PageRequest(rt, NOBODY, "", liked)
    try:
        caller = sessions.recognise(rt, secret)
    except Unauthorized:
        if route.role is not None:
            raise
        return PageRequest(rt, NOBODY, "", liked)
    g.session, g.caller = secret, caller
    page = PageRequest(rt, caller, secret, liked)
    if route.role is not None:
        g.page = page
        auth.permit(caller, route.role)
    return page


def _static(name: str) -> Response:
    file = assets.by_address().get(name)
    if file is None:
        return Response(status=404)
    packed = request.accept_encodings["gzip"] > 0
    answer = Response(file.packed if packed else file.data, content_type=file.media_type)
    answer.headers["Cache-Control"] = FOR_EVER
    answer.vary.add("Accept-Encoding")
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def _finish(response: Response) -> Response:
    """Give answers beneath `/ui/` the policy of pages, and make errors pages: the API's own are JSON."""
    if not request.path.startswith(PREFIX):
        return response
    if response.status_code >= 400 and response.mimetype == "application/json" and not g.get("is_error_page"):  # noqa: PLR2004
        g.is_error_page = True
        response = _without_slash() if _has_slash(response) else _error_page(response)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "private, no-store")
    response.vary.add("Cookie")
    return response


def _has_slash(response: Response) -> bool:
    """Return whether somebody asked for a page with a slash at the end, which addresses of pages do not have."""
    return response.status_code == 404 and request.method == "GET" and request.path.endswith("/")  # noqa: PLR2004


def _without_slash() -> Response:
    query = request.query_string.decode("ascii", "replace")
    to = request.script_root + quote(request.path.rstrip("/"))
    made = redirect(f"{to}?{query}" if query else to, 308)
    return Response(made.get_data(), made.status_code, dict(made.headers))


def _error_page(response: Response) -> Response:
    told = orjson.loads(response.get_data())
    if response.status_code == 401:  # noqa: PLR2004 - Unauthorized
        return _to_login(told["description"])
    page: PageRequest | None = g.get("page")
    view = PageView("error.html", {"told": told}, response.status_code, part="alert")
    made = templating.respond(page, view, frame.of(page))
    for name in ("Retry-After", "Allow"):
        if name in response.headers:
            made.headers[name] = response.headers[name]
    return made


def _to_login(why: str) -> Response:
    """Lead to the page for signing in, and from there back to what was asked for."""
    back = request.full_path.rstrip("?") if request.method == "GET" else PREFIX
    answer = redirect(f"{request.script_root}/ui/login?{_query(back, why)}", 303)
    if request.headers.get(templating.PART):
        answer = PlainResponse(why, 401, content_type="text/plain; charset=utf-8")
    made = Response(answer.get_data(), answer.status_code, dict(answer.headers))
    if (secret := cookies.read()) is not None and secret:
        cookies.forget(made)
    return made


def _query(back: str, why: str) -> str:
    return urlencode({"next": back, **({"why": why} if why != "sign in first" else {})})
