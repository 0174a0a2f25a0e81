"""What a request says of itself and is not believed: the name it asks for, its prefix, the urgency of its jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.application import create_app
from scheduler.settings import Settings
from tests.support.api import Api

RAW = "application/octet-stream"


def with_settings(api: Api, **settings: Any) -> Api:
    made = Settings(state_dir=api.rt.settings.state_dir, **settings)
    return replace(api, app=create_app(replace(api.rt, settings=made), background=False))


BELIEVED = [
    "localhost",
    "127.0.0.1:8470",
    "[::1]:8470",
    "10.1.2.3",
    "proxy:8470",
    "ganger-api.jobs.svc",
    "a.b.cluster.local",
    "x.internal",
]
NOT = [
    "evil.example",
    "localhost.evil.example:80",
    "evil.example\\@localhost",
    "127.0.0.1.evil.example",
    "a b",
    "[::1",
    "x/../y",
    "127.0.0.1:port",
]


@pytest.mark.parametrize(("host", "status"), [*((host, 200) for host in BELIEVED), *((host, 400) for host in NOT)])
def test_without_a_setting_only_names_are_believed_that_cannot_be_somebody_elses(
    api: Api, host: str, status: int
) -> None:
    answer = api.with_headers(Host=host).get("/jobs/")
    assert answer.status_code == status, answer.text
    assert api.with_headers(Host=host).get("/health/live").status_code == 200
    if status == 400:
        assert "GANGER_TRUSTED_HOSTS" in answer.text


def test_with_the_setting_only_its_names_are_believed_and_links_are_made_of_no_other(api: Api) -> None:
    chosen = with_settings(api, trusted_hosts=["ganger.example.org", ".ganger.example.net"])
    for host, status in (
        ("ganger.example.org", 200),
        ("eu.ganger.example.net:443", 200),
        ("10.1.2.3", 400),
        ("127.0.0.1:8470", 200),
        ("evil.example", 400),
    ):
        assert chosen.with_headers(Host=host).get("/jobs/").status_code == status
    for _ in range(2):
        api.a_job()
    following = chosen.with_headers(Host="ganger.example.org").get("/jobs/", page_size=1).json["next"]
    assert following.startswith("http://ganger.example.org/jobs/?")


def test_a_prefix_reaches_every_link_but_only_from_a_trusted_proxy(api: Api) -> None:
    said = {"X_Forwarded_Prefix": "/ganger", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "example.localhost"}
    for _ in range(2):
        api.a_job()
    behind = with_settings(api, proxies=1).with_headers(**said)
    made = behind.post("/jobs/", {"command": ["true"]})
    assert made.headers["Location"] == f"https://example.localhost/ganger/jobs/{made.json['id']}/"
    assert behind.get("/jobs/", page_size=1).json["next"].startswith("https://example.localhost/ganger/jobs/?")
    sent = behind.send("POST", "/files/", b"x", query={"file_name": "f"}, content_type=RAW)
    assert sent.headers["Location"].startswith("https://example.localhost/ganger/files/")
    alone = api.with_headers(**said).post("/jobs/", {"command": ["true"]})
    assert alone.headers["Location"] == f"http://localhost/jobs/{alone.json['id']}/"


@pytest.mark.parametrize(("role", "least"), [("submitter", 10), ("operator", 0), ("admin", 0)])
def test_how_urgent_a_job_may_be_depends_on_the_role(api: Api, role: str, least: int) -> None:
    caller = api.as_(role)
    assert caller.post("/jobs/", {"command": ["true"], "priority": least}).status_code == 201
    if not least:
        return
    urgent = {"command": ["true"], "priority": least - 1}
    refused = caller.post("/jobs/", urgent)
    assert (refused.status_code, refused.json["field"]) == (403, "priority"), refused.text
    batch = caller.post("/jobs/", [{"command": ["true"]}, urgent])
    assert (batch.status_code, batch.json["field"]) == (403, "[1].priority"), batch.text
    assert caller.post("/jobs/?dry_run=true", urgent).status_code == 403
    job = api.a_job()
    assert caller.post("/jobs/requeue/", {"job_id": [job["id"]], "priority": 0}).status_code == 403
    assert with_settings(api, submitter_priority=0).as_(role).post("/jobs/", urgent).status_code == 201


@pytest.mark.parametrize(
    ("command", "warned"),
    [
        (["sh", "-c", "cat ${x}"], True), (["/bin/bash", "-euo", "pipefail", "-c", "cat ${x}"], True), (["bash", "-ec", "cat ${x}"], True),
        (["env", "A=b", "sh", "-x", "-c", "cat ${x}"], True), (["timeout", "5", "/usr/bin/dash", "-c", "${x}"], True),
        (["python3", "-c", "print('${x}')"], True), (["python3.11", "-c", "print('${x}')"], True), (["perl", "-e", "print '${x}'"], True),
        (["node", "--eval", "f('${x}')"], True), (["sh", "-c", 'cat "$1"', "sh", "${x}"], False), (["sh", "-c", "cat $${x}"], False),
        (["sh", "script", "${x}"], False), (["cat", "${x}"], False), (["grep", "-c", "${x}"], False), (["python3", "s.py", "-c", "${x}"], False),
        (["sh", "-c", "ls ${job_output_dir}"], False),
    ],
)  # fmt: skip
def test_a_value_that_becomes_the_text_of_a_script_is_warned_of(api: Api, command: list[str], warned: bool) -> None:
    body = {
        "name": "t",
        "version": "1",
        "command": command,
        "interface": {"input_data": [{"name": "x", "type": "property"}]},
    }
    answer = api.post("/job-types/validation/", body)
    assert answer.status_code == 200, answer.text
    assert any("text of a script" in str(one) for one in answer.json["warnings"]) == warned, answer.text
