"""Refusals of a field of a new job, put in terms of the option that the user wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from ganger.cli.submit.field_options import fields_set
from ganger.cli.submit.need_options import FollowOptions
from ganger.cli.submit.options import NeedOptions, TryOptions, WhereOptions
from ganger.cli.submit.program_options import LikingOptions, LimitOptions, RunnerOptions
from ganger.errors import UsageError

GROUPS = (NeedOptions, RunnerOptions, LimitOptions, LikingOptions, WhereOptions, TryOptions, FollowOptions)
_NAMES_SOMETHING = frozenset({"secrets"})
OPTIONS = {"name": "--name", "labels": "--label"} | {
    sets.field: f"--{option.rstrip('_').replace('_', '-')}"
    for group in GROUPS
    for option, sets in fields_set(group).items()
    if sets.field not in _NAMES_SOMETHING
}
"""The option of each field that takes its value from the command line unchanged.

Fields that name something in the API (a project, a secret) are left out: a name that does not exist is no wrong use."""

_FIELD = re.compile(r"(?:\[\d+\]\.)?((\w+).*)", re.DOTALL)


@contextmanager
def of_options(*, strict: bool = False) -> Iterator[None]:
    """Turn a refusal of a field into an UsageError that names its option; other refusals go through."""
    from ganger import InvalidRequest  # noqa: PLC0415 - whoever submits has it already

    try:
        yield
    except UsageError as wrong:
        found = _FIELD.fullmatch(wrong.field or "")
        if found is None or found[2] not in OPTIONS:
            raise
        raise UsageError(f"{OPTIONS[found[2]]}: {str(wrong).removeprefix(f'{wrong.field}: ')}") from None
    except InvalidRequest as refused:
        match = _FIELD.fullmatch(refused.field or "")
        option = OPTIONS.get(match[2]) if match is not None else None
        if match is None or option is None or refused.status != HTTPStatus.BAD_REQUEST:
            raise
        sentence = re.sub(r"^entry \d+: ", "", str(refused))
        for path in (match[0], match[1]):
            sentence = sentence.removeprefix(f"{path}: ")
        if strict:  # what is asked for may well be written rightly, and more than there is
            raise InvalidRequest(f"{option}: {sentence}", status=refused.status, field=option) from None
        raise UsageError(f"{option}: {sentence}", field=option) from None
