"""Alerts and dashboard speak of metrics that there are: every name is looked up in what `/metrics` would say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.http import telemetry
from api.http.db_metrics import DatabaseMetrics
from api.http.serving.broker_health import BrokerHealth, BrokerMetrics
from tests.support.cluster import Cluster
from tests.support.rows import Rows

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def samples(cluster: Cluster) -> dict[str, set[str]]:
    """Names of all samples, with the labels each may have."""
    rows = Rows(cluster)
    rows.pool(size=1)
    cluster.a_job()
    rows.step(3)
    telemetry._REQUESTS.labels("GET", "/", "200").inc()
    telemetry._DURATION.labels("GET", "/").observe(0.1)
    found: dict[str, set[str]] = {}
    broker = BrokerMetrics(lambda: BrokerHealth(latency_s=0.1))
    figures = telemetry.exposition(DatabaseMetrics(cluster.rt), broker)
    for family in text_string_to_metric_families(figures.decode()):
        # A family without a sample yet has its name all the same.
        names = {family.name, f"{family.name}_total"} if family.type == "counter" else {family.name}
        for name in names | {sample.name for sample in family.samples}:
            found.setdefault(name, set())
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return found


def expressions() -> list[str]:
    board = json.loads((DEPLOY / "grafana" / "ganger.json").read_text())
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [*asked, *(rule["expr"] for group in groups for rule in group["rules"])]


def test_every_metric_that_is_asked_for_exists(samples: dict[str, set[str]]) -> None:
    asked = {name for expression in expressions() for name in re.findall(r"\bganger_\w+", expression)}
    assert asked
    assert asked <= set(samples)


def test_every_label_that_is_asked_for_exists(samples: dict[str, set[str]]) -> None:
    wrong = [
        (name, label)
        for expression in expressions()
        for name, chosen in re.findall(r"\b(ganger_\w+)\{([^}]*)\}", expression)
        for label in re.findall(r"(\w+)\s*(?:=|!)", chosen)
        if samples[name] and label not in samples[name]
    ]
    assert not wrong
