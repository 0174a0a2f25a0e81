"""Where a request is: the organization, the workspace (a project of ours) and the block model that its address names; and its body.

What is no id, or an id of somebody else's, is not there: 404.
"""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from flask import request
from pydantic import BaseModel

from api.http import routing
from api.http.links import public
from api.http.routing import ApiCall
from scheduler.admin import projects
from scheduler.data_sets import changing
from scheduler.errors import NotFound
from scheduler.store.data_sets.sets import DataSetRow

B = TypeVar("B", bound=BaseModel)

ORGANIZATION = "/blockmodel/orgs/<org>"
MODELS = f"{ORGANIZATION}/workspaces/<workspace>/block-models"
MODEL = f"{MODELS}/<model>"


def organization(call: ApiCall, word: str) -> UUID:
    """Return the organization that an address names. Raises NotFound unless it is this installation's."""
    own = call.rt.settings.organization
    if uuid(word, "organization") != own:
        raise NotFound(f"there is no organization {word}")
    return own


def project(call: ApiCall, org: str, workspace: str) -> tuple[int, str, UUID]:
    """Return id, name and UUID of the project that an address names; raises NotFound."""
    organization(call, org)
    found = projects.by_uuid(call.rt, call.caller, uuid(workspace, "workspace"))
    if found is None:
        raise NotFound(f"there is no workspace {workspace}")
    return found.id, found.name, found.uuid


def model(call: ApiCall, org: str, workspace: str, word: str, *, deleted: bool = False) -> DataSetRow:
    """Return the block model that an address names; raises NotFound, for a deleted one unless `deleted`."""
    _, name, _ = project(call, org, workspace)
    return changing.get(call.rt, call.caller, uuid(word, "block model"), name, deleted=deleted)


def uuid(word: str, noun: str) -> UUID:
    """Return an id of an address; raises NotFound for what is none."""
    try:
        return UUID(word)
    except ValueError:
        raise NotFound(f"there is no {noun} {word[:80]!r}") from None


def job_url(call: ApiCall, workspace: UUID, model_uuid: UUID, job_uuid: UUID) -> str:
    """Return the absolute address of a job; clients take its last part for the job's id."""
    base = f"/blockmodel/orgs/{call.rt.settings.organization}/workspaces/{workspace}/block-models"
    return public.url(f"{base}/{model_uuid}/jobs/{job_uuid}")


def body(call: ApiCall, kind: type[B]) -> B:
    """Return the body of a request all of whose fields may be left out: clients that say nothing send none."""
    is_empty = not request.content_length and "Transfer-Encoding" not in request.headers
    return kind() if is_empty else routing.read_body(call.rt, kind, None)
