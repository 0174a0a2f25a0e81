"""Reasons of waiting in general words, without the numbers of the moment: for the history of a wait."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import WithJsonSchema

from scheduler.explain.words import AWAITED, BLOCKED, NEEDS, REASONS
from scheduler.rules.cluster.reasons import NO_NODES, Reason
from scheduler.rules.explain.wording import slug
from scheduler.rules.lifecycle.waits import WaitWords

STARTING: Final = "starting"
UNRECORDED: Final = "unrecorded"

WORDS = WaitWords(
    upload=AWAITED,
    needs=NEEDS,
    blocked=BLOCKED,
    not_before=slug(Reason.NOT_BEFORE),
    held=slug(Reason.HELD),
    next=slug(Reason.NEXT),
    behind=slug(Reason.BEHIND),
    starting=STARTING,
    in_turn=slug(Reason.DATA_SET),
    unrecorded=UNRECORDED,
)

WaitWord: TypeAlias = Annotated[
    str, WithJsonSchema({"type": "string", "enum": sorted({*REASONS, STARTING, UNRECORDED})})
]
"""Why a job waited in a stretch of time."""

_SAID = {
    AWAITED: "its input was awaited",
    NEEDS: "what it needs had not ended",
    BLOCKED: "something it needs had ended badly",
    STARTING: "its node had not started it yet",
    UNRECORDED: "no reason was recorded: no scheduler was at work, or the job asked for something else then",
    NO_NODES: "there was no node",
    slug(Reason.HELD): "it was held",
    slug(Reason.NOT_BEFORE): "its time had not come",
    slug(Reason.SCHEDULER_PAUSED): "the scheduler was paused",
    slug(Reason.PROJECT_PAUSED): "its project was paused",
    slug(Reason.TYPE_PAUSED): "its job type was paused",
    slug(Reason.TYPE_LIMIT): "as many jobs of its type were scheduled as may be",
    slug(Reason.PROJECT_QUOTA): "the quota of its project was used up",
    slug(Reason.DATA_SET): "another job changed the same data set",
    slug(Reason.NODE_NOT_READY): "nodes were not ready",
    slug(Reason.NODE_PAUSED): "nodes were paused",
    slug(Reason.NODE_DRAINING): "nodes were draining",
    slug(Reason.NODE_FAILING): "nodes had failed to start jobs",
    slug(Reason.POOL_PAUSED): "its pool was paused",
    slug(Reason.OTHER_POOL): "nodes were in other pools",
    slug(Reason.OTHER_PROJECT): "nodes served other projects only",
    slug(Reason.CONSTRAINT): "no node met its constraints",
    slug(Reason.TOO_SMALL): "every node was too small for it",
    slug(Reason.APART): "it was kept apart from others of its kind",
    slug(Reason.NO_ROOM): "no node had room for it",
    slug(Reason.RESERVED): "the room was kept for another job",
    slug(Reason.GANG): "there was not room for all members at once",
    slug(Reason.BEHIND): "others went first",
    slug(Reason.NEXT): "it was about to be placed",
}


def said(word: str) -> str:
    """Return what a reason was, as a sentence without capital letter and full stop."""
    return _SAID.get(word, word.replace("-", " "))
