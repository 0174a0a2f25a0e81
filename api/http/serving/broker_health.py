"""The broker as the API sees it: only whether it answers. Nothing that the API decides depends on it."""

from __future__ import annotations

import time

import redis

from api.http.serving.ttl_cache import TtlCache
from api.up.embedded import external
from scheduler.settings import Settings

LOOK_EVERY_S = 5.0


def watch(settings: Settings) -> TtlCache[float | None]:
    """Return a way to ask how long the broker takes to answer, in seconds; None when it does not."""
    url = settings.broker_url
    client = external.broker_client(url.get_secret_value()) if url is not None else None
    return TtlCache(lambda: _ping(client), LOOK_EVERY_S)


def _ping(client: redis.Redis | None) -> float | None:
    if client is None:
        return None
    began = time.perf_counter()
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return None
    return time.perf_counter() - began
