"""The two ways in which this dialect writes a time, whole seconds both: as its documents say, and as its Python client reads.

Documents and browsers have ISO 8601. Every release of the Python client reads RFC 1123 alone, and says nothing of itself but
`Python/3.11.7`; what else is known of that word (curl, requests, urllib, browsers) sends something longer or other. The setting
GANGER_METAFOLD_DATES forces either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TypeAlias

from flask import request

from api.http import api_runtime

DateForm: TypeAlias = Callable[[datetime], str]

_CLIENT = re.compile(r"Python/\d+\.\d+")


def iso(moment: datetime) -> str:
    """Return a time as `2006-01-02T22:04:05+00:00`."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


def rfc1123(moment: datetime) -> str:
    """Return a time as `Mon, 02 Jan 2006 22:04:05 GMT`."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def form() -> DateForm:
    """Return how the answer to this request writes times."""
    setting = api_runtime.of_this_app().rt.settings.metafold_dates
    if setting == "auto":
        return rfc1123 if _CLIENT.match(request.headers.get("User-Agent", "")) else iso
    return rfc1123 if setting == "rfc1123" else iso
