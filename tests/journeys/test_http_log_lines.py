"""Lines of logs: the index, parts by offset and limit, the search, over many pieces, cut lines and bytes that are no text."""

from typing import Any

import pytest

from scheduler.executions.logs import patterns
from tests.support.api import Api


@pytest.fixture
def printed(api: Api) -> int:
    """An execution that printed 2,500 lines in pieces that end within lines, the last without a newline."""
    job = api.a_job()["id"]
    api.change(
        "INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk) VALUES ('n', 1, 'n', 'b', 'd', 1, 1, 1)"
    )
    api.change(
        """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, released_at)
           VALUES (:id, 1, (SELECT id FROM nodes), 1, 'COMPLETED', 1, 1, 1, 90, now())""",
        id=job,
    )
    execution = int(api.value("SELECT id FROM executions"))
    whole = text()
    for start in range(0, len(whole), 7_919):
        api.change(
            """INSERT INTO output_chunks (execution_id, phase, stream, "offset", at, data) VALUES (:id, 'job', 'stdout', :at, now(), :data)""",
            id=execution,
            at=start,
            data=whole[start : start + 7_919],
        )
    return execution


def text() -> bytes:
    return b"\n".join(b"line %d%s" % (n, b" needle \xff" if n % 500 == 250 else b"") for n in range(2_501))


def path(execution: int, what: str) -> str:
    return f"/job-executions/{execution}/logs/stdout/{what}"


def whole_index(api: Api, execution: int) -> Any:
    """Ask until all is read: a busy machine reads less in the time of one call."""
    while not (found := api.get(path(execution, "index/")).json)["is_complete"]:
        pass
    return found


def test_the_index_says_where_each_thousandth_line_begins(api: Api, printed: int) -> None:
    whole = text()
    for _ in range(2):
        found = whole_index(api, printed)
        assert (found["lines"], found["size_bytes"], found["every"]) == (2_500, len(whole), 1_000)
        assert [whole[at:].split(b"\n")[0] for at in found["offsets"]] == [b"line 0", b"line 1000", b"line 2000"]
        assert found["is_finished"] is True
    rest = api.get(path(printed, "index/"), skip=2).json
    assert (rest["offsets"], rest["times"], rest["lines"]) == (found["offsets"][2:], found["times"][2:], 2_500)
    assert api.get(path(printed, "index/"), skip=-1).status_code == 400
    assert api.get(path(printed, "index/"), phase="pre").json["size_bytes"] == 0
    assert api.get(f"/job-executions/{printed}/logs/odd/index/").status_code == 404


def test_a_part_is_read_by_offset_and_limit_and_the_end_by_tail(api: Api, printed: int) -> None:
    whole = text()
    part = api.get(path(printed, ""), offset=10_000, limit=9_000, format="txt")
    assert part.data == whole[10_000:19_000]
    assert api.get(path(printed, ""), tail=100, format="txt").data == whole[-100:]
    assert api.get(path(printed, ""), offset=len(whole), limit=5, format="txt").status_code == 204
    assert api.get(path(printed, ""), limit=0).status_code == 400


def test_a_search_names_lines_and_where_they_begin(api: Api, printed: int) -> None:
    def search(**query: Any) -> Any:
        return api.get(path(printed, "search/"), **query).json

    found = search(q="NEEDLE")
    assert [hit["line"] for hit in found["hits"]] == [250, 750, 1_250, 1_750, 2_250]
    assert all(text()[hit["offset"] :].startswith(b"line %d " % hit["line"]) for hit in found["hits"])
    assert (found["next_offset"], found["is_finished"]) == (None, True)
    assert search(q="NEEDLE", any_case="false")["hits"] == []
    assert [hit["line"] for hit in search(q=r"line 2500$", regex="true")["hits"]] == [2_500]
    many = search(q="line")
    assert (len(many["hits"]), many["next_line"]) == (1_000, 1_000)
    rest = search(q="line", offset=many["next_offset"], line=many["next_line"])
    assert rest["hits"][0]["text"] == "line 1000"


@pytest.mark.parametrize("pattern", ["(", "[z", r"(a)\1", "(?=a)b", "((a{200}){200}){200}"])
def test_a_pattern_that_is_none_or_could_take_for_ever_is_refused(api: Api, printed: int, pattern: str) -> None:
    answer = api.get(path(printed, "search/"), q=pattern, regex="true")
    assert (answer.status_code, answer.json["field"]) == (400, "q")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a|b*)*c", "^(a*)*(a*)*x$"])
def test_a_pattern_that_would_double_its_time_with_each_letter_elsewhere_is_searched_for_in_one_pass(
    pattern: str,
) -> None:
    assert list(patterns.matcher(pattern, regex=True, any_case=False).matching("a" * 50_000 + "b\nno")) == []


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [("^b$", [1]), (r"\Ab\z", [1]), ("[^x]c", [2]), ("B", [1, 2]), ("(?-i:B)", []), (r"a\s*b", []), ("^$", [3])],
)
def test_a_pattern_means_in_many_lines_what_it_means_in_each(pattern: str, lines: list[int]) -> None:
    found = patterns.matcher(pattern, regex=True, any_case=True).matching("a\nb\nbc\n")
    assert [number for number, _ in found] == lines


def test_the_last_lines_and_what_was_printed_since_are_read_and_searched(api: Api, printed: int) -> None:
    lines = text().split(b"\n")
    assert api.get(path(printed, ""), tail_lines=3, format="txt").data.split(b"\n") == lines[-3:]
    assert api.get(path(printed, ""), tail_lines=2_400, format="txt").data.split(b"\n") == lines[-2_400:]
    assert api.get(path(printed, ""), tail_lines=9_999, format="txt").data == text()
    assert api.get(path(printed, ""), tail_lines=1, tail=1).status_code == 400
    last = api.value('SELECT max("offset") FROM output_chunks')
    api.change("UPDATE output_chunks SET at = '2026-01-01T00:00:00Z' WHERE \"offset\" < :last", last=last)
    found = api.get(path(printed, "search/"), q="line", started="2026-01-02T00:00:00Z").json
    assert [hit["offset"] + len(hit["text"]) >= last for hit in found["hits"]] == [True] * len(found["hits"])
    assert found["hits"][-1]["line"] == 2_500
    assert found["hits"][0]["line"] == text()[:last].count(b"\n")
    index = whole_index(api, printed)
    assert (index["times"][0], index["is_complete"]) == ("2026-01-01T00:00:00Z", True)


def test_one_search_goes_over_the_tries_of_a_job_the_newest_first(api: Api, printed: int) -> None:
    job = api.value("SELECT job_id FROM executions")
    api.change(
        """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, released_at)
           SELECT job_id, 2, node_id, 1, 'FAILED', 1, 1, 1, 90, now() FROM executions"""
    )
    api.change(
        """INSERT INTO output_chunks (execution_id, phase, stream, "offset", at, data)
           SELECT max(id), 'job', 'stderr', 0, now(), CAST('one\ntwo needles' AS bytea) FROM executions"""
    )

    def found(**query: Any) -> Any:
        return api.get(f"/jobs/{job}/logs/combined/search/", q="needle", **query).json

    assert [(hit["attempt"], hit["line"]) for hit in found()["hits"]] == [
        (2, 1), (1, 250), (1, 750), (1, 1_250), (1, 1_750), (1, 2_250),
    ]  # fmt: skip
    assert (found()["searched"], found()["next_execution_id"]) == (2, None)
    assert found(attempt=2)["hits"][0]["text"] == "two needles"
    many = api.get(f"/jobs/{job}/logs/combined/search/", q="ne").json
    place = {name: many[f"next_{name}"] for name in ("execution_id", "offset", "line")}
    assert (len(many["hits"]), place["line"]) == (1_000, 998)
    rest = api.get(f"/jobs/{job}/logs/combined/search/", q="ne", **place).json
    assert (rest["hits"][0]["line"], rest["hits"][0]["attempt"]) == (998, 1)
    assert api.get("/jobs/9999/logs/combined/search/", q="x").status_code == 404
    assert found(execution_id=9_999)["code"] == 404
