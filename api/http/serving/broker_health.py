"""The broker as the API sees it: whether it answers, and whether it takes messages. Nothing that the API decides depends on it.

A broker that has reached its memory limit, is a read-only copy, or cannot write its own disk still answers to a ping. So the
check writes a small value, which the broker forgets by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import redis
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError

from api.http.serving.ttl_cache import TtlCache
from scheduler.servers import broker_client
from scheduler.settings import Settings

CHECK_EVERY_S = 5.0
ANSWER_WITHIN_S = 1.0
"""Probes of the API's health have little patience; the scheduler has more."""
CONSEQUENCE = "nodes hear of new work only with their next heartbeat"
_KEY, _KEPT_S = "ganger.health", 60
_CODES: dict[type[Exception], str] = {OutOfMemoryError: "OOM ", ReadOnlyError: "READONLY "}
"""The words that operators look for, which the library takes away."""


@dataclass(frozen=True, slots=True)
class BrokerHealth:
    """The state of the broker. `latency_s` is None where it does not answer; `refusal` is its reason to take no message."""

    latency_s: float | None = None
    refusal: str | None = None

    @property
    def trouble(self) -> str | None:
        """The trouble in one line; None while nothing is."""
        if self.latency_s is None:
            return "it does not answer"
        return None if self.refusal is None else f"it takes no messages: {self.refusal}"


class BrokerMetrics(Collector):  # type: ignore[misc]  # prometheus-client has no types
    """The state of the broker for monitoring; nothing where this process was told of none."""

    def __init__(self, broker: Callable[[], BrokerHealth | None]) -> None:
        self._broker = broker

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        health = self._broker()
        if health is not None:
            answers, takes = health.latency_s is not None, health.trouble is None
            yield GaugeMetricFamily("ganger_broker_up", "Whether the broker answers.", float(answers))
            yield GaugeMetricFamily(
                "ganger_broker_takes_messages", "Whether it answers and takes messages.", float(takes)
            )

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering the collector must not ask the broker."""
        return ()


def watch(settings: Settings) -> TtlCache[BrokerHealth | None]:
    """Return a way to ask how the broker is, None where this process was told of none."""
    url = settings.broker_url
    client = None if url is None else broker_client.connect(url.get_secret_value(), within_s=ANSWER_WITHIN_S)
    return TtlCache(lambda: None if client is None else _check(client), CHECK_EVERY_S)


def _check(client: redis.Redis) -> BrokerHealth:
    refusal = None
    began = time.perf_counter()
    try:
        client.set(_KEY, "1", ex=_KEPT_S)
    except NoPermissionError:
        pass  # it answers, and who may write which keys is its operator's affair
    except redis.ResponseError as error:
        refusal = _CODES.get(type(error), "") + str(error).partition("\n")[0].rstrip(".")
    except (redis.RedisError, OSError):
        return BrokerHealth()
    return BrokerHealth(time.perf_counter() - began, refusal)
