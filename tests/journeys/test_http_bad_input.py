"""What strangers send: each case with the answer it gets, nothing stored, and never a 500."""

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from api.http import api_runtime
from scheduler import runtime
from scheduler.jobs import queries
from scheduler.runtime import Runtime
from tests.support import documented
from tests.support.api import Api

JOB = {"command": ["true"]}


def job(**fields: Any) -> Any:
    return json.dumps({**JOB, **fields}).encode()


BODIES = {
    "S2 a form": (b"command=true", "application/x-www-form-urlencoded", 415),
    "S2 a multipart form": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415),
    "S2 no media type": (job(), None, 415),
    "S2 text": (job(), "text/plain", 415),
    "S3 nested 100,000 deep": (b"[" * 100_000, "application/json", 400),
    "S3 nested 100,000 objects deep": (b'{"data":' * 100_000, "application/json", 400),
    "S3 nested 40 deep inside": (job(inputs={"a": json.loads("[" * 40 + "]" * 40)}), "application/json", 400),
    "S4 NaN": (b'{"command": ["true"], "cpus_required": NaN}', "application/json", 400),
    "S4 Infinity": (b'{"command": ["true"], "cpus_required": Infinity}', "application/json", 400),
    "S4 1e999": (b'{"command": ["true"], "cpus_required": 1e999}', "application/json", 400),
    "S5 5,000 digits": (b'{"command": ["true"], "priority": ' + b"9" * 5_000 + b"}", "application/json", 400),
    "S6 duplicate keys": (b'{"command": ["true"], "cpus_required": 1, "cpus_required": 99}', "application/json", 400),
    "S7 true for a number": (job(cpus_required=True), "application/json", 400),
    "S7 true for a priority": (job(priority=True), "application/json", 400),
    "S7 a number for a string": (job(name=5), "application/json", 400),
    "S7 null": (job(name=None), "application/json", 400),
    "S7 a number in argv": (b'{"command": ["true", 5]}', "application/json", 400),
    "S8 NUL": (b'{"command": ["true"], "name": "a\\u0000b"}', "application/json", 400),
    "S8 half a surrogate": (b'{"command": ["true"], "name": "\\ud800"}', "application/json", 400),
    "S8 bidi": (job(name="\u202egnp.exe"), "application/json", 400),
    "S8 control": (job(name="a\x1b[31m"), "application/json", 400),
    "S8 control in a label": (job(labels={"a": "b\nc"}), "application/json", 400),
    "S8 NUL in argv": (b'{"command": ["true\\u0000"]}', "application/json", 400),
    "S9 negative": (job(mem_required=-1), "application/json", 400),
    "S9 no cpus": (job(cpus_required=0), "application/json", 400),
    "S9 1e308": (job(mem_required=1e308), "application/json", 400),
    "S9 finer than a thousandth": (job(cpus_required=0.0001), "application/json", 400),
    "S10 no tries": (job(max_tries=0), "application/json", 400),
    "S10 -1 tries": (job(max_tries=-1), "application/json", 400),
    "S10 10^9 tries": (job(max_tries=10**9), "application/json", 400),
    "S10 no timeout": (job(timeout=0), "application/json", 400),
    "S10 10^12 s": (job(timeout=10**12), "application/json", 400),
    "S10 half a second": (job(timeout=0.5), "application/json", 400),
    "S11 an exponent in a string": (job(priority="1e3"), "application/json", 400),
    "S11 unicode digits": (job(cpus_required="\u0661"), "application/json", 400),
    "S11 a negative priority": (job(priority=-1), "application/json", 400),
    "S11 a huge priority": (job(priority=2**31), "application/json", 400),
    "S12 one wrong in many": (json.dumps([JOB] * 10 + [{"command": 5}]).encode(), "application/json", 400),
    "S21 status": (job(status="COMPLETED"), "application/json", 400),
    "S21 tries": (job(num_exes=0), "application/json", 400),
    "S21 project_id": (job(project_id=1), "application/json", 400),
    "S21 node": (job(node="n1"), "application/json", 400),
    "S21 node_id": (job(node_id=1), "application/json", 400),
    "not an object": (b'"job"', "application/json", 400),
    "a number": (b"5", "application/json", 400),
    "null": (b"null", "application/json", 400),
    "an array of arrays": (b"[[]]", "application/json", 400),
    "nothing": (b"", "application/json", 400),
    "not JSON": (b"{", "application/json", 400),
    "not UTF-8": (b'{"command": ["\xff"]}', "application/json", 400),
    "UTF-16": (json.dumps(JOB).encode("utf-16"), "application/json", 400),
    "a BOM": (b"\xef\xbb\xbf" + job(), "application/json", 400),
    "S32 LD_PRELOAD": (job(environment={"LD_PRELOAD": "/x.so"}), "application/json", 400),
    "S32 a name with =": (job(environment={"A=B": "x"}), "application/json", 400),
    "S52 in a hundred years": (job(not_before="2126-01-01T00:00:00Z"), "application/json", 400),
    "S52 the year 10000": (job(not_before="10000-01-01T00:00:00Z"), "application/json", 400),
    "S52 without zone": (job(not_before="2027-01-01T00:00:00"), "application/json", 400),
    "S51 a key of 10 KB": (job(idempotency_key="k" * 10_000), "application/json", 400),
    "too many labels": (job(labels={f"l{n}": "x" for n in range(100)}), "application/json", 400),
    "an argument of a MiB": (job(command=["x" * 1_000_000]), "application/json", 400),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused_and_nothing_is_stored(api: Api, case: Any) -> None:
    body, content_type, status = BODIES[case]
    answer = api.send("POST", "/jobs/", body, content_type=content_type)
    assert answer.status_code == status, answer.text
    assert set(answer.json) == {"code", "name", "description", "kind", "field", "faults", "request_id"}
    assert answer.json["code"] == status
    assert api.value("SELECT count(*) FROM jobs") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/cancel/",
        "/job-types/",
        "/job-types/validation/",
        "/queue/new-job/",
        "/queue/requeue-jobs/",
        "/jobs/requeue/",
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'"x"',
        b"\xff",
        b"NaN",
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        b'{"a": "\\u0000"}',
    ],
)
def test_every_body_is_held_to_the_same_rules(api: Api, path: str, body: Any) -> None:
    answer = api.send("POST", path, body)
    assert answer.status_code == 400, answer.text
    assert answer.json["kind"] == "invalid-input"


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("order", "status", "cursor", "job_id", "page", "started", "job_type_id") for value in ("'; DROP TABLE jobs; --", "1 OR 1=1", "\\", "%00", "a\0b")],
)  # fmt: skip
def test_injections_into_parameters_are_malformed_parameters(api: Api, name: Any, value: Any) -> None:
    assert api.get("/jobs/", **{name: value}).status_code == 400


@pytest.mark.parametrize("name", ["job_type_name", "job_type_category", "node", "pool", "project"])
@pytest.mark.parametrize("value", ["'; DROP TABLE jobs; --", "%", "_", "\\", "a' OR 'a'='a", ".*" * 100, "ü" * 1_000])
def test_injections_into_text_filters_are_text_that_matches_nothing(api: Api, name: str, value: Any) -> None:
    api.a_job()
    assert api.get("/jobs/", **{name: value}).json["count"] == 0


def test_deep_pages_and_huge_sizes_are_refused_or_past_the_end(api: Api) -> None:
    assert api.get("/jobs/", page_size=10**9).status_code == 400
    assert api.get("/jobs/", page=10**9).status_code == 404
    assert api.get("/jobs/", page="9" * 40).status_code == 400


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_the_one_that_was_sent(api: Api, header: str) -> None:
    made = api.a_job()
    answer = api.as_("admin", **{header: "PATCH"}).post(f"/jobs/{made['id']}/", {"status": "CANCELED"})
    assert answer.status_code == 405
    assert "PATCH" in answer.headers["Allow"]
    assert api.send("TRACE", "/jobs/").status_code == 405
    assert api.send("DELETE", f"/jobs/{made['id']}/").status_code == 405
    assert api.get(f"/jobs/{made['id']}/").json["status"] == "QUEUED"


def test_nothing_is_redirected_but_to_the_same_path_with_its_slash(api: Api) -> None:
    for path in ("/jobs", "/job-types", "/jobs/updates"):
        answer = api.get(path, next="http://evil.example")
        assert answer.status_code == 308
        assert answer.headers["Location"].startswith(f"http://localhost{path}/")
    assert api.get("//evil.example/jobs").status_code in {400, 404, 308}, "refused at the latest by its host"


def test_names_that_reach_headers_are_encoded(api: Api) -> None:
    refused = api.send("POST", "/files/", b"x", query={"file_name": 'a"\r\nSet-Cookie: x'}, content_type="text/plain")
    assert refused.status_code == 400
    file = api.send("POST", "/files/", b"x", query={"file_name": 'a";x=y'}, content_type="text/plain").json
    assert (
        api.get(f"/files/{file['id']}/content/").headers["Content-Disposition"]
        == "attachment; filename*=UTF-8''a%22%3Bx%3Dy"
    )


def test_a_request_id_from_outside_is_taken_only_if_it_is_plain(api: Api) -> None:
    assert api.with_headers(X_Request_Id="abc-1").get("/jobs/").headers["X-Request-Id"] == "abc-1"
    assert api.with_headers(X_Request_Id="a b<script>").get("/jobs/").headers["X-Request-Id"] != "a b<script>"


def test_answers_may_not_be_framed_sniffed_or_kept(api: Api) -> None:
    for answer in (api.get("/jobs/"), api.get("/nothing/"), api.get("/version/")):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_text_by_default_json_if_asked_on_the_job_services_paths(api: Api) -> None:
    plain = api.with_headers(Accept="*/*")
    answer = plain.get("/jobs/999/")
    assert (answer.status_code, answer.content_type, answer.text) == (
        404,
        "text/plain; charset=utf-8",
        "there is no job 999\n",
    )
    assert plain.get("/job-types/999/").json["kind"] == "not-found"
    for accept in ("application/json", "text/html, application/problem+json;q=0.5"):
        assert api.with_headers(Accept=accept).get("/jobs/999/").json["code"] == 404
    assert plain.get("/jobs/").content_type == "application/json"


def test_a_failure_inside_says_nothing_of_the_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("SELECT secret FROM tokens")

    monkeypatch.setattr(queries, "job", fail)
    with documented.broken_inside():
        answer = api.get("/jobs/1/")
    assert (answer.status_code, answer.json["kind"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_a_database_that_is_away_is_said_so(api: Api) -> None:
    api.rt.db.dispose()
    made = api.a_job()
    url = api.rt.db.url.set(host="/nowhere", query={"host": "/nowhere"})
    engine = runtime.connect(url.render_as_string(hide_password=False), api.rt.settings)
    api_runtime.of(api.app).rt = Runtime(engine, api.rt.settings, api.rt.now, api.rt.chance)
    answer = api.get(f"/jobs/{made['id']}/")
    assert (answer.status_code, answer.json["kind"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert api.get("/health/live").status_code == 200
    assert api.get("/health/ready").status_code == 503


# --- over a real socket -----------------------------------------------------------------------------------


@pytest.fixture
def socket_to(api: Api) -> Iterator[Any]:
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def connect() -> Any:
        return http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)

    yield connect
    server.shutdown()
    thread.join()


def test_a_body_announced_as_a_gigabyte_is_refused_before_it_is_read(api: Api, socket_to: Any) -> None:
    for path, kind in (("/jobs/", "application/json"), ("/job-types/", "application/json")):
        connection = socket_to()
        connection.putrequest("POST", path)
        for name, value in (
            ("Content-Length", str(2**30)),
            ("Content-Type", kind),
            ("Accept", "application/json"),
            ("Authorization", f"Bearer {api.secrets['admin']}"),
        ):
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


def test_a_body_over_the_limit_of_its_route_is_too_large(api: Api) -> None:
    padded = json.dumps({"name": "t", "version": "1", "command": ["true"], "description": "x" * 1_100_000}).encode()
    assert api.send("POST", "/job-types/", padded).status_code == 413
    many = json.dumps([{"command": ["x" * 30_000]}] * 100).encode()
    assert len(many) > api.rt.settings.max_body
    assert api.send("POST", "/jobs/", many).status_code == 201
