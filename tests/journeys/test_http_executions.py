"""Executions, output, events and explanations over HTTP."""

import base64
from typing import Any

import orjson
import pytest

from tests.support.api import Api
from tests.support.cluster import Cluster

TOKEN = "token-of-sixteen-or-more"


@pytest.fixture
def running(api: Api, cluster: Cluster) -> Any:
    """A job that runs on a node: (job id, (execution id, attempt), node)."""
    node = cluster.a_node("n1")
    job = api.a_job(command=["echo", "a b", "c"], mem_required=0, name="the job")
    cluster.tick()
    ref = cluster.execution_of(job["id"])
    assert cluster.claim(node, ref).granted
    return job["id"], ref, node


def print_out(api: Api, node: Any, ref: Any, *pieces: Any) -> None:
    chunks = [
        {"execution_id": ref[0], "attempt": ref[1], "phase": phase, "stream": stream, "offset": offset, "at": 1.0, "data": base64.b64encode(data).decode()}
        for phase, stream, offset, data in pieces
    ]  # fmt: skip
    answer = api.as_("node").post("/node/output/", {"node_id": node.node_id, "chunks": chunks})
    assert answer.status_code == 200, answer.text


def events(answer: Any) -> Any:
    """Read a stream of server-sent events to its end."""
    found = []
    for block in answer.get_data(as_text=True).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], fields.get("id"), orjson.loads(fields["data"])))
    return found


def test_an_execution_is_listed_by_itself_and_with_its_job(api: Api, running: Any) -> None:
    job_id, ref, node = running
    for path in ("/job-executions/", f"/jobs/{job_id}/executions/"):
        (one,) = api.get(path).json["results"]
        assert (one["id"], one["status"], one["attempt"], one["job"]["id"], one["node"]["id"]) == (
            ref[0],
            "RUNNING",
            1,
            job_id,
            node.node_id,
        )
        assert one["command_arguments"] == "'a b' c"
        assert (one["job_started"], one["pre_exit_code"], one["error"]) == (None, None, None)
    shown = api.get(f"/job-executions/{ref[0]}/").json
    assert (shown["command"], shown["cpus_scheduled"], shown["status"]) == (["echo", "a b", "c"], 1, "RUNNING")
    assert api.get(f"/jobs/{job_id}/").json["job_exes"][0]["id"] == ref[0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "RUNNING"}, 1), ({"status": "FAILED"}, 0), ({"status": ["FAILED", "RUNNING"]}, 1), ({"node": "n1"}, 1), ({"node": "n2"}, 0),
        ({"node_id": "1"}, 1), ({"job_type_name": "command"}, 1), ({"job_type_name": "other"}, 0), ({"error_category": "SYSTEM"}, 0),
        ({"started": "PT1H"}, 1), ({"order": "-created"}, 1),
    ],
)  # fmt: skip
def test_executions_are_filtered_by_their_own_fields_and_the_type_of_their_job(
    api: Api, running: Any, query: dict[str, Any], found: int
) -> None:
    assert api.get("/job-executions/", **query).json["count"] == found


def test_unknown_executions_jobs_and_words_are_refused(api: Api, running: Any) -> None:
    _, ref, _ = running
    assert api.get("/job-executions/999/").status_code == 404
    assert api.get("/job-executions/999/logs/stdout/").status_code == 404
    assert api.get(f"/job-executions/{ref[0]}/logs/stdin/").status_code == 404
    assert api.get("/jobs/999/executions/").status_code == 404
    assert api.get("/jobs/999/events/").status_code == 404
    assert api.get("/jobs/999/explain/").status_code == 404
    assert api.get("/job-executions/", status="PENDING").status_code == 400
    assert api.get(f"/job-executions/{ref[0]}/logs/stdout/", phase="main").status_code == 400
    assert api.get(f"/job-executions/{ref[0]}/logs/stdout/", offset="-1").status_code == 400


def test_a_heartbeat_tells_the_phases_of_what_runs_and_of_nothing_else(
    api: Api, cluster: Cluster, running: Any
) -> None:
    _, ref, node = running
    phases = {
        "pre": {"started": 1000.0, "completed": 1001.0, "exit_code": 0},
        "job": {"started": 1002.0, "arguments": ["sleep", "a b"]},
    }
    said = {"execution_id": ref[0], "attempt": ref[1], "token": TOKEN, "phases": phases}
    cluster.beat(node, progress=[{**said, "attempt": 9}])
    assert api.get(f"/job-executions/{ref[0]}/").json["pre_started"] is None
    cluster.beat(node, progress=[said])
    shown = api.get(f"/job-executions/{ref[0]}/").json
    assert (shown["pre_started"], shown["pre_exit_code"]) == ("1970-01-01T00:16:40Z", 0)
    assert (shown["job_started"], shown["job_completed"]) == ("1970-01-01T00:16:42Z", None)
    assert (shown["command"], shown["command_arguments"]) == (["sleep", "a b"], "'a b'")
    cluster.beat(node, progress=[{**said, "phases": {"job": {"started": 1002.0}}}])
    assert api.get(f"/job-executions/{ref[0]}/").json["pre_exit_code"] == 0
    cluster.report(node, ref, "failed", phases={"job": {"started": 1002.0, "exit_code": 1}})
    cluster.beat(node, progress=[{**said, "phases": {"post": {"started": 1003.0}}}])
    ended = api.get(f"/job-executions/{ref[0]}/").json
    assert (ended["post_started"], ended["command_arguments"]) == (None, "'a b'")


def test_what_a_program_says_of_its_own_files_is_kept_and_of_no_other(api: Api, cluster: Cluster, running: Any) -> None:
    job_id, ref, node = running
    for name, execution in (("mine", ref[0]), ("other", 999)):
        api.change(
            """INSERT INTO files (project_id, workspace_id, file_name, file_size, sha256, path, job_id, execution_id, output, is_published)
               VALUES (1, 1, :name, 3, 'x', 'p', :job, :execution, 'out', false)""",
            name=name, job=job_id, execution=execution,
        )  # fmt: skip
    mine, other = (api.value("SELECT id FROM files WHERE file_name = :name", name=name) for name in ("mine", "other"))
    point = {"type": "Point", "coordinates": [1.0, 2.0]}
    facts = [
        {"file_id": mine, "data_started": "2026-01-01T00:00:00Z", "geometry": point},
        {"file_id": other, "geometry": point},
    ]
    cluster.report(node, ref, "completed", outputs=[{"name": "out", "file_id": mine, "facts": facts}])
    shown = api.get(f"/files/{mine}/").json
    assert (shown["data_started"], shown["data_ended"], shown["geometry"]) == ("2026-01-01T00:00:00Z", None, point)
    assert api.value("SELECT geometry FROM files WHERE id = :id", id=other) is None
    assert api.get(f"/jobs/{job_id}/").json["results"]["output_data"] == [{"name": "out", "file_id": mine}]


# --- output -----------------------------------------------------------------------------------------------


def test_nothing_printed_is_no_content(api: Api, running: Any) -> None:
    _, ref, _ = running
    answer = api.get(f"/job-executions/{ref[0]}/logs/stdout/")
    assert (answer.status_code, answer.data) == (204, b"")


def test_output_is_read_whole_by_phase_and_from_any_byte(api: Api, running: Any) -> None:
    _, ref, node = running
    print_out(
        api, node, ref,
        ("pre", "stdout", 0, b"ready\n"), ("job", "stdout", 0, b"one\n"), ("job", "stderr", 0, b"oops\n"), ("job", "stdout", 4, b"two\n"),
    )  # fmt: skip
    print_out(api, node, ref, ("job", "stdout", 4, b"two\n"))
    text = api.with_headers(Accept="text/plain")
    path = f"/job-executions/{ref[0]}/logs"
    assert text.get(f"{path}/stdout/").text == "ready\none\ntwo\n"
    assert text.get(f"{path}/stdout/").content_type.startswith("text/plain")
    assert text.get(f"{path}/combined/").text == "ready\none\noops\ntwo\n"
    assert text.get(f"{path}/stderr/").text == "oops\n"
    assert text.get(f"{path}/stdout/", phase="job").text == "one\ntwo\n"
    assert text.get(f"{path}/stdout/", phase="job", offset=2).text == "e\ntwo\n"
    assert text.get(f"{path}/stdout/", offset=8).text == "e\ntwo\n"
    assert text.get(f"{path}/stdout/", offset=14).status_code == 204
    shown = api.get(f"{path}/stdout/", phase="job", offset=4).json
    assert (shown["text"], shown["offset"], shown["next_offset"], shown["is_finished"]) == ("two\n", 4, 8, False)


def test_markup_in_output_stays_text(api: Api, running: Any) -> None:
    _, ref, node = running
    print_out(api, node, ref, ("job", "stdout", 0, b"<script>alert(1)</script>\x1b[31m\xff"))
    answer = api.with_headers(Accept="text/html").get(f"/job-executions/{ref[0]}/logs/stdout/")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.data.endswith(b"\xff")


def test_the_form_of_a_log_is_asked_for_by_name_whatever_the_client_accepts(api: Api, running: Any) -> None:
    _, ref, node = running
    path = f"/job-executions/{ref[0]}/logs/combined/"
    assert api.get(path, format="html").status_code == 204
    print_out(
        api, node, ref, ("job", "stdout", 0, b"<b>\xc3"), ("job", "stderr", 0, b"oops"), ("job", "stdout", 4, b"\xbc")
    )
    text = api.get(path, format="txt")
    assert (text.mimetype, text.data) == ("text/plain", b"<b>\xc3oops\xbc")
    assert api.with_headers(Accept="text/plain").get(path, format="json").json["text"]
    page = api.get(path, format="html")
    assert page.mimetype == "text/html"
    assert '&lt;b&gt;<span class="stderr">oops</span>\u00fc' in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert api.get(path, format="xml").json["field"] == "format"
    assert api.get(path, format="txt", follow="true").status_code == 400


def test_output_is_read_from_a_time_on(api: Api, running: Any) -> None:
    _, ref, node = running
    print_out(api, node, ref, ("job", "stdout", 0, b"old\n"), ("job", "stdout", 4, b"new\n"))
    api.change(
        "UPDATE output_chunks SET at = CAST('2026-01-01T00:00:00Z' AS timestamptz) + \"offset\" * interval '1 day'"
    )
    path = f"/job-executions/{ref[0]}/logs/stdout/"
    late = api.get(path, started="2026-01-02T00:00:00Z", format="json").json
    assert (late["text"], late["next_offset"]) == ("new\n", 8)
    assert api.get(path, started="2026-01-01T00:00:00Z", format="txt").text == "old\nnew\n"
    assert api.get(path, started="yesterday").json["field"] == "started"


def test_a_followed_log_comes_as_events_and_ends_with_the_execution(api: Api, cluster: Cluster, running: Any) -> None:
    _, ref, node = running
    print_out(
        api,
        node,
        ref,
        ("job", "stdout", 0, "gr\u00fc".encode()[:3]),
        ("job", "stdout", 3, "gr\u00fc".encode()[3:] + b"n\n"),
    )
    cluster.report(node, ref, "failed", phases={"job": {"exit_code": 3}})
    answer = api.get(f"/job-executions/{ref[0]}/logs/stdout/", follow="true")
    assert answer.content_type.startswith("text/event-stream")
    assert events(answer) == [
        ("log", "3", {"phase": "job", "stream": "stdout", "offset": 0, "text": "gr", "base64": "Z3LD"}),
        ("log", "6", {"phase": "job", "stream": "stdout", "offset": 3, "text": "\u00fcn\n", "base64": "vG4K"}),
        ("end", None, {"status": "FAILED", "exit_code": 3}),
    ]
    resumed = api.with_headers(Last_Event_ID="3").get(f"/job-executions/{ref[0]}/logs/stdout/", follow="true")
    assert [one[1] for one in events(resumed)] == ["6", None]
    assert (
        api.with_headers(Last_Event_ID="x").get(f"/job-executions/{ref[0]}/logs/stdout/", follow="true").status_code
        == 400
    )


def test_a_stream_shows_what_is_written_while_it_is_open(api: Api, cluster: Cluster, running: Any) -> None:
    _, ref, node = running
    print_out(api, node, ref, ("job", "stdout", 0, b"first\n"))
    answer = api.get(f"/job-executions/{ref[0]}/logs/stdout/", follow="true")
    stream = iter(answer.response)
    assert next(stream) == b": open\n\n"
    assert b"first" in next(stream)
    print_out(api, node, ref, ("job", "stdout", 6, b"second\n"))
    assert b"second" in next(stream)
    cluster.report(node, ref, "completed")
    assert b"event: end" in next(stream)
    answer.close()


def test_streams_leave_request_threads_for_the_others(api: Api, running: Any) -> None:
    _, ref, _ = running
    most = api.rt.settings.api_threads // 2
    path = f"/job-executions/{ref[0]}/logs/stdout/"
    open_ = [api.get(path, follow="true") for _ in range(most)]
    refused = api.get(path, follow="true")
    assert (refused.status_code, refused.json["kind"]) == (503, "unavailable")
    for answer in open_:
        answer.close()
    again = api.get(path, follow="true")
    assert again.status_code == 200
    again.close()


# --- events and explanations ------------------------------------------------------------------------------


def test_events_tell_every_change_of_status(api: Api, cluster: Cluster, running: Any) -> None:
    job_id, ref, node = running
    cluster.report(node, ref, "failed", error="launch", message="no such program")
    api.patch(f"/jobs/{job_id}/", {"status": "CANCELED"})
    found = api.get(f"/jobs/{job_id}/events/").json["results"]
    assert [(one["event"], one["from"], one["to"], one["attempt"]) for one in found] == [
        ("SUBMIT", None, "QUEUED", 0), ("PLACE", "QUEUED", "RUNNING", 1), ("RETRY", "RUNNING", "QUEUED", 1), ("CANCEL", "QUEUED", "CANCELED", 1),
    ]  # fmt: skip
    assert found[0]["actor"] == found[-1]["actor"] == "admin"
    assert "no such program" in found[2]["reason"]
    assert all(one["at"] for one in found)


def test_explain_says_where_a_job_runs_and_why_it_failed(api: Api, cluster: Cluster, running: Any) -> None:
    job_id, ref, node = running
    found = api.get(f"/jobs/{job_id}/explain/").json
    assert (found["summary"], found["reasons"], found["placement"]["node"]["name"]) == ("It runs on node n1.", [], "n1")
    api.change("UPDATE jobs SET max_tries = 1 WHERE id = :id", id=job_id)
    cluster.report(node, ref, "failed", error="out-of-memory", message="killed at 64 MiB")
    found = api.get(f"/jobs/{job_id}/explain/").json
    assert found["summary"].startswith("It failed: Out of memory.")
    assert (found["failure"]["error"], found["failure"]["category"]) == ("out-of-memory", "ALGORITHM")
    assert found["tries"] == {"done": 1, "forgiven": 0, "max": 1, "withdrawn": 0}


def test_explain_says_why_a_job_waits(api: Api, cluster: Cluster) -> None:
    cluster.a_node(cpus=2000)
    made = api.a_type(max_scheduled=1, mem_required=0)
    first, second = api.a_job(job_type_id=made["id"]), api.a_job(job_type_id=made["id"])
    cluster.tick()
    assert api.get(f"/jobs/{first['id']}/").json["status"] == "RUNNING"

    def kinds(job_id: Any) -> Any:
        return [one["kind"] for one in api.get(f"/jobs/{job_id}/explain/").json["reasons"]]

    assert kinds(second["id"]) == ["job-type-limit"]
    api.change("UPDATE leader SET is_paused = true, pause_reason = 'upgrade'")
    assert kinds(second["id"]) == ["scheduler-paused", "job-type-limit"]
    held = api.a_job(held=True, cpus_required=50)
    assert kinds(held["id"]) == ["held", "scheduler-paused", "node-too-small"]
