"""What surrounds block models: health, units and reports.

Units are names here and nothing more, and no reports are made: lists of them are empty, and asking for one is refused.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Never

from werkzeug.exceptions import NotImplemented as NotMade

from api.dialects import paging
from api.dialects.blockmodel import place
from api.dialects.paging import OffsetQuery
from api.http.answers import Answer
from api.http.links import signed
from api.http.routing import ApiCall, Routes
from scheduler.admin import health
from scheduler.identity import Role

routes = Routes("block model service")

_REPORTS = f"{place.MODEL}/report-specifications"


@routes.get("/blockmodel/health_check", role="public", any_query=True)
def block_model_health(call: ApiCall) -> Answer[dict[str, Any]]:
    """Whether block models can be worked with: 200, or 503 when the database cannot be reached."""
    dependencies = {"database": _word(health.database(call.rt)), "links": _word(signed.can_sign(call.rt))}
    status = "pass" if set(dependencies.values()) == {"pass"} else "degraded"
    if dependencies["database"] == "fail":
        status = "fail"
    body = {"status": status, "version": version("ganger-server"), "dependencies": dependencies}
    return Answer(body, 503 if status == "fail" else 200)


@routes.get(f"{place.ORGANIZATION}/units", role=Role.VIEWER, any_query=True)
def list_units(call: ApiCall, org: str) -> list[Any]:
    """The units that are known: none; any name may be a unit."""
    place.organization(call, org)
    return []


@routes.get(_REPORTS, role=Role.VIEWER, any_query=True)
def list_report_specifications(
    call: ApiCall, org: str, workspace: str, model: str, query: OffsetQuery
) -> dict[str, Any]:
    """The reports of a block model: none."""
    place.model(call, org, workspace, model)
    return {**paging.part(query, []), "referenced_units": []}


@routes.post(_REPORTS, role=Role.SUBMITTER, any_query=True)
def create_report_specification(call: ApiCall, org: str, workspace: str, model: str) -> Never:
    """Refused with 501: no reports are made here."""
    place.model(call, org, workspace, model)
    raise NotMade("no reports are made here; query the columns and compute them")


def _word(is_well: bool) -> str:
    return "pass" if is_well else "fail"
