"""Results that may be reused: requests and answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from api.http.schema.fields import Query


class ForgetQuery(Query):
    """Whose results are forgotten."""

    job_type: Annotated[
        str | None,
        StringConstraints(min_length=1, max_length=256),
        Field(description="name, or name:version; all without one"),
    ] = None
    project: Annotated[str | None, Field(description="of this project; all that the token may see without one")] = None


class ForgottenView(TypedDict):
    """The results of how many jobs nobody reuses any more."""

    count: int
