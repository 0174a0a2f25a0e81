"""A client of the broker itself, beside Celery: for health, rate limits and the users of nodes."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

ANSWER_WITHIN_S = 5.0
"""A server that takes longer than this to answer is out of reach."""


def connect(url: str, within_s: float = ANSWER_WITHIN_S) -> redis.Redis:
    """Return a client for a broker URL as Celery writes it (redis, rediss, redis+socket); it connects later, and tries once."""
    parts = urlsplit(url)
    once = Retry(NoBackoff(), 0)
    if parts.scheme != "redis+socket":
        return redis.Redis.from_url(url, socket_timeout=within_s, socket_connect_timeout=within_s, retry=once)
    return redis.Redis(
        unix_socket_path=unquote(parts.path),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        db=int(parse_qs(parts.query).get("virtual_host", ["0"])[0]),
        socket_timeout=within_s,
        retry=once,
    )
