"""Signing in and out."""

from __future__ import annotations

import re

from flask import Response, current_app, request
from werkzeug.exceptions import TooManyRequests
from werkzeug.utils import redirect

from api.http.serving.rate_limit import LocalCounter, RateLimit
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.session import cookies
from scheduler.admin import sessions
from scheduler.errors import Unauthorized

pages = Pages()

TRIES_A_MINUTE = 20
"""Of one address, in each process: enough for people, too few for whoever guesses."""

_OURS = re.compile(r"/ui/[^\\\s]*\Z")
_TRIES = "ganger-sign-ins"


@pages.get("/ui/login", role=None)
def show_login(page: PageRequest) -> PageAnswer:
    """Ask for a token; a one-time code in the fragment of the address is sent by the page itself."""
    if page.session:
        return redirect(f"{request.script_root}{_back(request.args.get('next'))}", 303)
    return _form(why=request.args.get("why", "")[:200], back=_back(request.args.get("next")))


@pages.post("/ui/login", role=None)
def sign_in(page: PageRequest) -> PageAnswer:
    """Begin a session for a token or a one-time code."""
    tries: LocalCounter = current_app.extensions.setdefault(_TRIES, LocalCounter())
    wait_s = tries.spend([RateLimit(f"login:{request.remote_addr}", TRIES_A_MINUTE)])
    if wait_s > 0:
        raise TooManyRequests("too many attempts to sign in; try again in a minute", retry_after=int(wait_s) + 1)
    shown, back = request.form.get("token", "").strip(), _back(request.form.get("next"))
    if not shown or len(shown) > cookies.MOST_LETTERS or not shown.isascii():
        return _form(why="paste a token", back=back, status=401)
    try:
        secret = sessions.begin(page.rt, shown, browser=request.headers.get("User-Agent", ""))
    except Unauthorized as error:
        return _form(why=str(error), back=back, status=401)
    answer = Response("", 303, {"Location": f"{request.script_root}{back}"})
    cookies.keep(answer, secret, longest_s=page.rt.settings.session_s)
    return answer


@pages.post("/ui/logout")
def sign_out(page: PageRequest) -> PageAnswer:
    """End this session."""
    sessions.end(page.rt, page.session)
    return _out()


@pages.post("/ui/logout/everywhere")
def sign_out_everywhere(page: PageRequest) -> PageAnswer:
    """End every session of the token that this one was begun with."""
    sessions.end_all(page.rt, page.caller)
    return _out()


def _out() -> Response:
    answer = Response("", 303, {"Location": f"{request.script_root}/ui/login"})
    cookies.forget(answer)
    return answer


def _form(*, why: str, back: str, status: int = 200) -> PageView:
    return PageView("login.html", {"why": why, "back": back}, status)


def _back(wanted: str | None) -> str:
    """Return where to go on: a page of ours, never another site's, nor the way out."""
    if wanted and len(wanted) <= 2_000 and _OURS.match(wanted) and not wanted.startswith(("/ui/log", "/ui//")):  # noqa: PLR2004 - longer than any address of ours
        return wanted
    return "/ui/"
