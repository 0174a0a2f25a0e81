"""The objects of this dialect. Clients build theirs from all keys of an answer, and fail at one that they do not know."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, JsonValue, StringConstraints
from typing_extensions import TypedDict

from api.http.schema.fields import LEFT_OUT, Body, ChangeBody, Query, Title

ACCESS = Literal["private", "public", "org"]
KIND = Literal["unspecified", "digital_test_bench_experiment"]
MOST_NAMES = 1_000

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Names = Annotated[dict[str, str], Field(max_length=MOST_NAMES)]


class MetafoldQuery(Query):
    """What a list is narrowed and ordered by; see `search`."""

    sort: Annotated[str, Field(max_length=64)] | None = None
    q: Annotated[str, Field(max_length=4_000)] | None = None


class AssetQuery(Query):
    """How one asset is asked for: with `download=true` the answer has a link to its content."""

    download: str = "false"


class MetafoldProjectBody(Body):
    """A new project; with `source` it begins as a copy of that one."""

    name: Annotated[Title, Field(min_length=1)]
    access: ACCESS = "private"
    type: KIND | None = None
    project: JsonValue = None
    graph: JsonValue = None
    source: Annotated[str, Field(max_length=128)] | None = None


class MetafoldProjectChange(ChangeBody):
    """Changes to a project; what is left out stays."""

    name: Annotated[Title, Field(min_length=1)] = LEFT_OUT
    access: ACCESS = LEFT_OUT
    type: KIND = LEFT_OUT
    project: JsonValue = None
    graph: JsonValue = None


class MetafoldJobBody(Body):
    """A job of its own. Values of parameters may be nested; an input that takes files is given a file's name."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    parameters: Annotated[dict[str, JsonValue], Field(max_length=MOST_NAMES)] | None = None
    assets: Names | None = None
    name: Name | None = None


class MetafoldWorkflowBody(Body):
    """A workflow: its definition as YAML, and what its jobs are given, each as `job.name`: texts, or values that become such."""

    definition: Annotated[str, StringConstraints(min_length=1, max_length=2 * 1024 * 1024)]
    parameters: Annotated[dict[str, JsonValue], Field(max_length=10_000)] | None = None
    assets: Annotated[dict[str, str], Field(max_length=10_000)] | None = None


class MetafoldProject(TypedDict):
    """A project. `access` is kept and shown; it opens nothing to anybody."""

    id: str
    user: str
    name: str
    access: str
    created: str
    modified: str
    type: str
    thumbnail: str | None
    project: JsonValue
    graph: JsonValue


class MetafoldAsset(TypedDict):
    """A file of a project."""

    id: str
    filename: str
    size: int
    checksum: str
    created: str
    modified: str
    project_id: str
    job_id: str | None


class AssetLink(MetafoldAsset):
    """A file, with the address of its content."""

    link: str


class ValuesOfJob(TypedDict):
    """What a job was given, or made: texts and files by name."""

    params: dict[str, str]
    assets: dict[str, MetafoldAsset]


class MetafoldJob(TypedDict):
    """A job. `parameters`, `meta` and `assets` repeat what stands in `inputs` and `outputs`, for older clients."""

    id: str
    name: str | None
    type: str
    state: str
    created: str
    started: str | None
    finished: str | None
    error: str | None
    inputs: ValuesOfJob
    outputs: ValuesOfJob
    needs: list[str]
    project_id: str
    workflow_id: str | None
    assets: list[MetafoldAsset]
    parameters: dict[str, str]
    meta: dict[str, str]


class LinkedJob(MetafoldJob):
    """A job that was just made, with the address that tells when it has ended."""

    link: str


class MetafoldWorkflow(TypedDict):
    """A workflow, with the ids of its jobs."""

    id: str
    state: str
    created: str
    started: str | None
    finished: str | None
    definition: str
    project_id: str
    jobs: list[str]
    link: NotRequired[str]


class GrantedToken(TypedDict):
    """A token."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
