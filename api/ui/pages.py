"""How a page is written: a function of the request, declared with the role that it needs; it returns a template and its facts.

    pages = Pages()

    @pages.get("/ui/jobs/<id:job_id>", role=Role.VIEWER)
    def show_job(page: PageRequest, job_id: int) -> PageAnswer:
        return Shown("job.html", {"job": feed.ask(page, jobs.show_job, job_id=job_id)})

A page asks the API's own routes (`api.ui.feed`), so it can do what they can, under the same roles, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from werkzeug.wrappers import Response

from api.ui.session.preferences import Preferences
from scheduler.identity import Caller, Role
from scheduler.runtime import Runtime


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for a page: who asks, in which session, and how they like to see things. `caller` is None on public pages."""

    rt: Runtime
    caller: Caller
    session: str
    preferences: Preferences

    def may(self, role: str) -> bool:
        """Tell whether the caller's role reaches; pages show no button that would be refused."""
        return self.caller.role is not None and self.caller.role >= Role[role.upper()]

    @property
    def everywhere(self) -> bool:
        """Whether the caller reaches every project, and so what concerns all of them."""
        return self.caller.project_id is None


@dataclass(frozen=True, slots=True)
class PageView:
    """A template with the facts that it shows; `part` is the block that is shown alone when the page only renews itself."""

    template: str
    facts: Mapping[str, object]
    status: int = 200
    part: str = "live"


PageAnswer: TypeAlias = PageView | Response
PageFunction: TypeAlias = Callable[..., PageAnswer]
P = TypeVar("P", bound=PageFunction)


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One method of one address beneath `/ui/`; `role` None is a page that everybody may see. `takes_file`: a form with a file in it."""

    method: str
    rule: str
    function: PageFunction
    role: Role | None
    takes_file: bool = False


@dataclass(slots=True)
class Pages:
    """The pages of one room; `api.ui.mounting` mounts them."""

    all: list[PageRoute] = field(default_factory=list)

    def get(self, rule: str, *, role: Role | None = Role.VIEWER) -> Callable[[P], P]:
        """Declare what is shown at this address."""
        return self._declare("GET", rule, role)

    def post(self, rule: str, *, role: Role | None = Role.VIEWER, takes_file: bool = False) -> Callable[[P], P]:
        """Declare what a form that is sent to this address does."""
        return self._declare("POST", rule, role, takes_file=takes_file)

    def _declare(self, method: str, rule: str, role: Role | None, *, takes_file: bool = False) -> Callable[[P], P]:
        def declare(function: P) -> P:
            self.all.append(PageRoute(method, rule, function, role, takes_file))
            return function

        return declare
