"""Every file of `deploy/` is what its program takes: judged offline by the programs themselves where a wheel brings them.

Not proved here, since nothing in the tests can run a container: that the images exist under their tags, and that the
image builds. What the containers run is started as processes in tests/journeys/test_deployment.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.pools.drivers import registry, remote_script

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "ganger"
BIN = Path(sys.executable).parent
PASSWORDS = {"POSTGRES_PASSWORD": "one", "BROKER_PASSWORD": "two"}
KUBERNETES = "1.34"
GIVEN = {"databaseUrl": "postgresql://ganger@db/ganger", "brokerUrl": "redis://:word@broker:6379/0"}
EVERYTHING = {
    **GIVEN,
    "settings": {"GANGER_LEASE_S": "120"},
    "api": {"ingress": {"enabled": True, "className": "nginx", "tlsSecret": "ganger-tls"}},
    "scheduler": {"scalesStatefulSets": True},
    "pools": {
        "default": {"keda": {"enabled": True, "min": 0}},
        "big": {"replicas": 1, "cpus": 7.5, "mem": 30000, "disk": 100000, "labels": {"zone": "a"}, "resources": {}},
    },
    "serviceMonitor": {"enabled": True},
    "networkPolicy": {"clientNamespaces": [{"team": "research"}], "brokerPort": 6380},
    "caSecret": "our-authority",
}
# Kinds that Kubernetes itself does not know: what their own documentation asks for.
FOREIGN = {
    "ScaledObject": {
        "type": "object",
        "required": ["scaleTargetRef", "triggers"],
        "additionalProperties": False,
        "properties": {
            "scaleTargetRef": {"type": "object", "required": ["name"]},
            "minReplicaCount": {"type": "integer", "minimum": 0},
            "maxReplicaCount": {"type": "integer", "minimum": 1},
            "pollingInterval": {"type": "integer", "minimum": 1},
            "advanced": {"type": "object"},
            "triggers": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["type", "metadata"],
                    "properties": {
                        "type": {"const": "metrics-api"},
                        "metricType": {"enum": ["AverageValue", "Value"]},
                        "metadata": {
                            "type": "object",
                            "required": ["url", "valueLocation", "targetValue"],
                            "additionalProperties": {"type": "string"},
                        },
                        "authenticationRef": {"type": "object", "required": ["name"]},
                    },
                },
            },
        },
    },
    "TriggerAuthentication": {
        "type": "object",
        "required": ["secretTargetRef"],
        "properties": {
            "secretTargetRef": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["parameter", "name", "key"],
                    "additionalProperties": {"type": "string"},
                },
            }
        },
    },
    "ServiceMonitor": {
        "type": "object",
        "required": ["selector", "endpoints"],
        "properties": {
            "endpoints": {"type": "array", "items": {"type": "object", "required": ["port", "path"]}},
            "selector": {"type": "object", "required": ["matchLabels"]},
        },
    },
}


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        cwd=ROOT,
        timeout=60,
    )


def passes(*words: str | Path, **environment: str) -> str:
    done = run(*words, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- compose and image -----------------------------------------------------------------------------------------


def composed(**environment: str) -> dict[str, Any]:
    told = passes(BIN / "docker-compose", "-f", DEPLOY / "compose.yaml", "config", "--format", "json", **environment)
    found: dict[str, Any] = json.loads(told)
    return found


def test_compose_reads_the_file() -> None:
    services = composed(**PASSWORDS)["services"]
    assert set(services) == {"postgres", "valkey", "setup", "api", "scheduler", "proxy", "worker"}
    assert [services[role]["deploy"]["replicas"] for role in ("api", "scheduler")] == [2, 2]


def test_compose_refuses_to_start_without_passwords() -> None:
    done = run(
        BIN / "docker-compose", "-f", DEPLOY / "compose.yaml", "config", "-q", POSTGRES_PASSWORD="", BROKER_PASSWORD=""
    )
    assert done.returncode != 0
    assert "choose one in deploy/.env" in done.stderr


def test_workers_in_containers_know_no_database() -> None:
    worker = composed(**PASSWORDS)["services"]["worker"]
    assert "GANGER_DATABASE_URL" not in worker["environment"]
    assert "servers" not in worker["networks"]


def test_every_image_is_pinned_to_a_release() -> None:
    images = {service["image"] for service in composed(**PASSWORDS)["services"].values()}
    images |= set(re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    assert not [image for image in images if not re.search(r":\d+\.\d+", image)]


def test_the_dockerfile_is_well_made() -> None:
    passes(BIN / "hadolint", DEPLOY / "Dockerfile")


def test_the_image_runs_as_nobody_in_particular() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users == ["10001:10001"]


# --- systemd ---------------------------------------------------------------------------------------------------

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT TESTED: there is no systemd-analyze here")
    program = tmp_path / "ganger"  # systemd would read a space in the clone's path as the end of the program's
    program.symlink_to(BIN / "ganger")
    for each in UNITS:  # units name each other
        (tmp_path / each.name).write_text(each.read_text().replace("/opt/ganger/bin/ganger", str(program)))
    done = run("systemd-analyze", "verify", "--man=no", tmp_path / unit.name)
    # Says what it does not know, and ends well all the same.
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.parametrize("name", ["ganger-api", "ganger-scheduler", "ganger-setup"])
def test_server_units_are_hardened(name: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT TESTED: there is no systemd-analyze here")
    done = run(
        "systemd-analyze", "security", "--offline=true", "--threshold=30", DEPLOY / "systemd" / f"{name}.service"
    )
    assert done.returncode == 0, done.stdout.splitlines()[-1:]


def test_an_upgrade_of_the_worker_leaves_its_jobs_running() -> None:
    text = (DEPLOY / "systemd" / "ganger-worker.service").read_text()
    for line in ("KillMode=process", "Delegate=yes", "Restart=on-failure"):
        assert f"\n{line}\n" in text
    assert "--leave-running" in text


def test_the_example_of_drivers_is_one(tmp_path: Path) -> None:
    assert set(registry.read(DEPLOY / "systemd" / "drivers.toml.example")) == {"rack", "cloud"}
    inside = registry.__doc__ or ""
    (tmp_path / "inside.toml").write_text(
        "\n".join(line.strip() for line in inside[inside.index("[driver") :].splitlines())
    )
    assert set(registry.read(tmp_path / "inside.toml")) == {"rack", "cloud", "cluster"}


def test_shell_scripts_are_sound(tmp_path: Path) -> None:
    command = ["/opt/ganger/bin/ganger", "worker", "--label", "zone=a b"]
    environment = {"GANGER_API_URL": "http://api:8470"}
    written = {
        "start.sh": remote_script.start("a folder/p", "n-1", token="secret", environment=environment, command=command),
        "list.sh": remote_script.listing("/srv/p"),
        "retire.sh": remote_script.retire("/srv/p", ["n-1", "n-2"], within_s=5.0),
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)
        passes(BIN / "shellcheck", "--shell=sh", "--exclude=SC2016,SC2317,SC2329", tmp_path / name)
    passes(BIN / "shellcheck", ROOT / "run")


# --- Kubernetes ------------------------------------------------------------------------------------------------


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    from helm_python import Chart  # noqa: PLC0415 - a quarter of a gigabyte that only these tests need

    with Chart.load(str(CHART)) as chart:
        made = chart.render(values, name="try", namespace="jobs")
    texts = [text for path, text in made.items() if path.endswith(".yaml")]
    documents = [d for text in texts for d in yaml.safe_load_all(text) if isinstance(d, dict)]
    assert documents
    return documents


@pytest.mark.parametrize("values", [GIVEN, EVERYTHING], ids=["plain", "everything"])
def test_helm_finds_no_fault_with_the_chart(values: dict[str, Any]) -> None:
    from helm_python import lint  # noqa: PLC0415 - likewise

    report = lint(str(CHART), values, strict=True)
    assert [m for m in report["messages"] if m["severity"] >= 2] == []
    assert report["errors"] in ([], None)


@pytest.mark.parametrize("values", [GIVEN, EVERYTHING], ids=["plain", "everything"])
def test_what_the_chart_makes_is_valid_kubernetes(values: dict[str, Any]) -> None:
    import jsonschema  # noqa: PLC0415
    import kubernetes_validate  # noqa: PLC0415

    for document in rendered(values):
        if document["kind"] in FOREIGN:
            jsonschema.validate(document["spec"], FOREIGN[document["kind"]])
        else:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_pods_have_no_rights_and_only_a_scaling_scheduler_speaks_to_kubernetes() -> None:
    for values, speaking in ((GIVEN, set()), (EVERYTHING, {"try-ganger-scheduler"})):
        documents = rendered(values)
        pods = {
            d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in documents if "template" in d.get("spec", {})
        }
        assert {name for name, pod in pods.items() if pod["automountServiceAccountToken"]} == speaking
        for pod in pods.values():
            assert pod["securityContext"]["runAsNonRoot"]
            for container in pod["containers"]:
                held = container["securityContext"]
                assert (held["allowPrivilegeEscalation"], held["readOnlyRootFilesystem"]) == (False, True)
    rules = [rule for d in rendered(EVERYTHING) if d["kind"] == "Role" for rule in d["rules"]]
    assert [(rule["resources"], rule["verbs"]) for rule in rules] == [(["statefulsets/scale"], ["get", "patch"])]


def test_workers_in_pods_know_no_database_and_drain_before_they_go() -> None:
    workers = [d for d in rendered(EVERYTHING) if d["kind"] == "StatefulSet"]
    assert {d["metadata"]["name"] for d in workers} == {"try-ganger-default", "try-ganger-big"}
    for worker in workers:
        pod = worker["spec"]["template"]["spec"]
        names = [variable["name"] for variable in pod["containers"][0]["env"]]
        assert "GANGER_DATABASE_URL" not in names
        assert "kill -USR2 1" in pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][2]
        assert pod["terminationGracePeriodSeconds"] > 3600


def test_the_drivers_that_the_chart_writes_are_read(tmp_path: Path) -> None:
    texts = [d["data"]["drivers.toml"] for d in rendered(EVERYTHING) if d["kind"] == "ConfigMap"]
    (tmp_path / "drivers.toml").write_text(texts[0])
    assert set(registry.read(tmp_path / "drivers.toml")) == {"default", "big"}


def test_every_value_of_the_chart_is_explained_and_no_template_uses_an_unknown_one() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    used = set()
    for template in (CHART / "templates").iterdir():
        used |= set(re.findall(r"(?:\$|\s|\()\.Values\.(\w+)", template.read_text()))
    assert used <= set(values)
    lines = (CHART / "values.yaml").read_text().splitlines()
    for name in values:
        at = lines.index(next(line for line in lines if line.startswith(f"{name}:")))
        assert name in {"api", "scheduler"} or lines[at - 1].startswith("#"), name


# --- monitoring and proxy --------------------------------------------------------------------------------------


def test_the_files_are_tidy_yaml() -> None:
    lengths = "line-length: {max: 140, allow-non-breakable-inline-mappings: true}"
    spaces = "comments: {min-spaces-from-content: 1}, braces: {max-spaces-inside: 1}"
    rules = (
        f"{{extends: default, rules: {{{lengths}, {spaces}, document-start: disable, truthy: {{check-keys: false}}}}}}"
    )
    files = [
        *DEPLOY.glob("*.yaml"),
        *(DEPLOY / "prometheus").glob("*.yaml"),
        CHART / "values.yaml",
        CHART / "Chart.yaml",
    ]
    passes(BIN / "yamllint", "--strict", "-d", rules, *files)


def test_alerts_are_complete() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        assert balanced(rule["expr"])


def test_the_guide_says_what_to_do_about_each_alert() -> None:
    guide = (ROOT / "docs" / "operate.md").read_text()
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    assert not [rule["alert"] for group in groups for rule in group["rules"] if rule["alert"] not in guide]


def test_the_dashboard_fits_on_its_grid() -> None:
    board = json.loads((DEPLOY / "grafana" / "ganger.json").read_text())
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
        assert all(balanced(target["expr"]) for target in panel["targets"])


def test_nginx_takes_its_files(tmp_path: Path) -> None:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.access(program, os.X_OK):
        pytest.skip("NOT TESTED: there is no nginx here")
    passes("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=ganger",
           "-keyout", tmp_path / "privkey.pem", "-out", tmp_path / "fullchain.pem")  # fmt: skip
    site = (DEPLOY / "nginx" / "ganger.conf").read_text().replace("/etc/ssl/ganger", str(tmp_path))
    if version(passes_err(program, "-v")) < (1, 25, 1):
        site = site.replace("    http2 on;\n", "")
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; events {{}} http {{ include {tmp_path}/site.conf; }}")
    done = run(program, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf")
    assert "test is successful" in done.stderr, done.stderr


def test_no_proxy_buffers_what_is_followed_live() -> None:
    for path in (DEPLOY / "nginx").iterdir():
        text = path.read_text()
        assert text.count("{") == text.count("}")
        assert "proxy_buffering off;" in text
        assert "proxy_request_buffering off;" in text


def version(told: str) -> tuple[int, ...]:
    found = re.search(r"/(\d+)\.(\d+)\.(\d+)", told)
    assert found is not None
    return tuple(int(part) for part in found.groups())


def passes_err(*words: str | Path) -> str:
    return run(*words).stderr


def balanced(expression: str) -> bool:
    """Whether brackets and quotes pair up: the least that PromQL asks for."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return '"' not in bare and all(bare.count(a) == bare.count(b) for a, b in ("()", "[]", "{}"))
