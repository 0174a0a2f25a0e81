"""The record of one dialect, and how it gets into an app.

    routes = Routes("compute")
    dialect = Dialect("compute", (routes,), problems.titled(problems.beneath("/compute")))

Routes of dialects take parameters that they do not know when they are declared with `any_query=True`; a handler without `body` reads
its body itself, or nothing, whatever its media type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask

from api.http import problems, routing
from api.http.problems import ProblemForm
from api.http.routing import Routes


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect: its name, its routes, and the form of every error on its addresses."""

    name: str
    routes: Sequence[Routes]
    problems: ProblemForm


def mount(app: Flask, dialect: Dialect) -> None:
    """Let an app speak a dialect."""
    problems.use(app, dialect.problems)
    for routes in dialect.routes:
        routing.mount(app, routes)
