"""Requests and answers about content that moves by links."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.http.schema.fields import Query


class PutQuery(Query):
    """What is sent, beside the link's own parameters."""

    comp: Literal["block", "blocklist"] | None = Field(
        default=None, description="one block, or the list that puts blocks together; without it the whole content"
    )
    blockid: str | None = Field(default=None, max_length=256, description="the name of the block")


class ReadQuery(Query):
    """What is asked for, beside the link's own parameters."""

    comp: Literal["blocklist"] | None = Field(
        default=None, description="what has come of an upload so far; with a link to send it to"
    )


class BlockView(TypedDict):
    """A block that has come."""

    id: Annotated[str, "as the client named it"]
    size: int


class UploadState(TypedDict):
    """What has come of an upload: blocks, in the order in which they did, and the content that is there as a whole."""

    blocks: list[BlockView]
    max_size: int
    size: Annotated[int | None, "of the whole content; null while there is none"]
    sha256: str | None
    received: datetime | None
