"""Why a job waits for its inputs: each that is awaited in a sentence, until when, and how it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from scheduler.explain import forecast_json
from scheduler.explain.explanation_json import ReasonView
from scheduler.explain.words import AWAITED
from scheduler.identifiers import JobId
from scheduler.rules.explain import wording
from scheduler.rules.job_type.awaited import AwaitedInput
from scheduler.store.uploads import uploads
from scheduler.store.uploads.uploads import UploadRow


def reasons(tx: Connection, job_id: JobId) -> list[ReasonView]:
    """Return a sentence for each input that a job awaits still, those that it cannot do without first.

    Where nothing is missing, the job waits for the word that all is uploaded.
    """
    rows = uploads.of_jobs(tx, [job_id])
    missing = sorted((row for row in rows if row.came is None), key=lambda row: row.is_optional)
    told = [forecast_json.reason(AWAITED, _sentence(row)) for row in missing if not row.is_optional]
    if told or not rows:
        return told
    word = f"nobody has said yet that all is uploaded; it waits for that until {_at(rows[0].expires)}: ganger upload {job_id}"
    optional = [forecast_json.reason(AWAITED, _sentence(row)) for row in missing]
    return [forecast_json.reason(AWAITED, word), *optional]


def trial(awaits: Sequence[AwaitedInput], expires: datetime, wait_s: float) -> list[ReasonView]:
    """Return the same for a job that is only tried, and would await these inputs until then."""
    lasts = _lasts(timedelta(seconds=wait_s))
    required = [one for one in awaits if not one.optional]
    told = [f"it awaits the input {one.name!r}, for {lasts}, until {_at(expires)}" for one in required]
    return [
        forecast_json.reason(AWAITED, one) for one in told or [f"it awaits the word that it may begin, for {lasts}"]
    ]


def _sentence(row: UploadRow) -> str:
    so_far = f"; {row.staged_blocks} blocks of it have come" if row.staged_blocks else ""
    if row.is_optional:
        return f"the input {row.name!r} may be uploaded until {_at(row.expires)}, and need not be{so_far}"
    how = f"ganger upload {row.job_id} {row.name}=FILE"
    return f"the input {row.name!r} has not been uploaded; it is awaited until {_at(row.expires)}{so_far}: {how}"


def _at(moment: datetime) -> str:
    return wording.moment(moment.timestamp())


def _lasts(span: timedelta) -> str:
    hours, seconds = divmod(round(span.total_seconds()), 3600)
    if hours and not seconds:
        return f"{hours} h"
    return f"{seconds} s" if not hours and seconds < 120 else f"{hours * 60 + seconds // 60} min"  # noqa: PLR2004
