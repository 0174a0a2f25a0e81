"""What surrounds block models: health, and the units that reports compute with."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from api.dialects.blockmodel import place, report_view
from api.http.answers import Answer
from api.http.links import signed
from api.http.routing import ApiCall, Routes
from scheduler.admin import health
from scheduler.identity import Role
from scheduler.rules.data_sets.units import UNITS

routes = Routes("block model service")


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
    """The units that are known; any other name may be the unit of a column, too."""
    place.organization(call, org)
    return [report_view.unit(one) for one in UNITS]


def _word(is_well: bool) -> str:
    return "pass" if is_well else "fail"
