"""The deploy files from the outside: names of values are held to, jobs reach little, links and certificates are real."""

from __future__ import annotations

import json
import re
import sys

import pytest
import yaml

from tests.unit.test_deploy_files import CHART, DEPLOY, EVERYTHING, ROOT, passes, rendered


@pytest.mark.parametrize(
    "path",
    ["", "image", "api", "api.service", "api.files", "api.ingress", "api.resources", "scheduler", "pools.default", "pools.default.keda",
     "pools.default.resources", "networkPolicy", "serviceMonitor"],
)  # fmt: skip
def test_a_value_with_a_wrong_name_is_refused(path: str) -> None:
    import jsonschema  # noqa: PLC0415

    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.validate(values, schema)
    place = values
    for name in path.split(".") if path else ():
        place = place[name]
    place["replicsa"] = 2
    with pytest.raises(jsonschema.ValidationError, match="replicsa"):
        jsonschema.validate(values, schema)


def test_jobs_in_pods_reach_neither_the_database_nor_the_metadata_of_a_cloud() -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in rendered(EVERYTHING) if d["kind"] == "NetworkPolicy"}
    names, api, broker, allowed = policies["try-ganger-workers"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert api["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"
    assert broker == {"ports": [{"port": 6380}]}
    blocks = [peer["ipBlock"] for peer in allowed["to"]]
    assert all("169.254.0.0/16" in block["except"] or ":" in block["cidr"] for block in blocks)
    assert "10.0.0.0/8" in blocks[0]["except"]
    for peer in policies["try-ganger-servers"]["egress"][1]["to"]:
        assert "except" in peer["ipBlock"]


def test_the_chart_names_the_drivers_that_it_makes_and_trusts_the_name_of_its_ingress() -> None:
    assert "--driver default" in (CHART / "values.yaml").read_text()
    (api,) = [d for d in rendered(EVERYTHING) if d["kind"] == "Deployment" and d["metadata"]["name"].endswith("-api")]
    variables = {one["name"]: one.get("value") for one in api["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert variables["GANGER_PROXIES"] == "1"
    assert {"ganger.example.org", "try-ganger-api", "try-ganger-api.jobs.svc"} <= set(
        variables["GANGER_TRUSTED_HOSTS"].split(",")
    )
    pods = [d["spec"]["template"]["spec"] for d in rendered(EVERYTHING) if "template" in d.get("spec", {})]
    assert all("our-authority" in str(pod["volumes"]) and "/run/ganger-ca" in str(pod["containers"]) for pod in pods)


def test_units_link_to_pages_that_are_installed_beside_them() -> None:
    guide = (ROOT / "docs/operate.md").read_text()
    assert "install -D -m 0644 -t /usr/share/doc/ganger docs/*.md" in guide
    for unit in (DEPLOY / "systemd").glob("*.service"):
        found = re.search(r"^Documentation=file:///usr/share/doc/ganger/(\S+)$", unit.read_text(), re.MULTILINE)
        assert found is not None, unit
        assert (ROOT / "docs" / found.group(1)).is_file(), unit


def test_the_examples_reach_database_and_broker_with_tls_and_verify_both() -> None:
    lines = (DEPLOY / "systemd/ganger.env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert "sslmode=verify-full" in given["GANGER_DATABASE_URL"]
    assert given["GANGER_BROKER_URL"].startswith("rediss://")
    made = {name: value for name, value in given.items() if name.startswith("GANGER_")}
    passes(
        sys.executable,
        "-c",
        "from scheduler.settings import read_settings as r; assert r().trusted_hosts == ['ganger.example.org']",
        **made,
    )
