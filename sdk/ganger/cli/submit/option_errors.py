"""Refusals of a field of a new job, put in terms of the option that the user wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from ganger.errors import UsageError

OPTIONS = {
    "apart": "--apart", "constraints": "--constraint", "count": "--count", "cpus_required": "--cpus",
    "disk_out_required": "--disk", "environment": "--env", "grace": "--grace", "hold_reason": "--hold-reason",
    "idempotency_key": "--key", "image": "--image", "labels": "--label", "max_open_files": "--max-open-files",
    "max_processes": "--max-processes", "max_tries": "--max-tries", "mem_required": "--mem", "name": "--name",
    "not_before": "--not-before", "on_oom": "--on-oom", "pool": "--pool", "post_timeout": "--post-timeout",
    "pre_timeout": "--pre-timeout", "preferences": "--prefer", "priority": "--priority", "resources": "--resource",
    "spread": "--spread", "timeout": "--timeout",
}  # fmt: skip
"""The option of each field that takes its value from the command line unchanged.

Fields that name something in the API (a project, a job type) are left out: a name that does not exist is no wrong use."""

_FIELD = re.compile(r"(?:\[\d+\]\.)?((\w+).*)", re.DOTALL)


@contextmanager
def of_options() -> Iterator[None]:
    """Turn a refusal of a field into an UsageError that names its option; other refusals go through."""
    from ganger import InvalidRequest  # noqa: PLC0415 - whoever submits has it already

    try:
        yield
    except InvalidRequest as refused:
        match = _FIELD.fullmatch(refused.field or "")
        option = OPTIONS.get(match[2]) if match is not None else None
        if match is None or option is None or refused.status != HTTPStatus.BAD_REQUEST:
            raise
        sentence = re.sub(r"^entry \d+: ", "", str(refused))
        for path in (match[0], match[1]):
            sentence = sentence.removeprefix(f"{path}: ")
        raise UsageError(f"{option}: {sentence}", field=option) from None
