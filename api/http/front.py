"""The address of the API itself: a person who opens it in a browser is led to the pages, a program finds nothing."""

from __future__ import annotations

from flask import Flask, redirect, request
from werkzeug.wrappers import Response

PAGE = "ui/"


def install(app: Flask) -> None:
    """Lead browsers away from `/`. It is no address of the API: nothing is there for programs, and so it is no route."""
    app.before_request(_lead)


def _lead() -> Response | None:
    if request.path != "/" or request.method != "GET":
        return None
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        return None
    answer = redirect(f"{request.script_root}/{PAGE}", 303)
    answer.headers["Vary"] = "Accept"
    return answer
