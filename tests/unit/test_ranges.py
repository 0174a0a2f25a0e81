"""Conditions and ranges as RFC 9110 has them: which part of a file a request gets, if any."""

import pytest
from werkzeug.datastructures import ETags
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable
from werkzeug.http import parse_etags

from api.http import ranges
from api.http.ranges import RangeConditions

TAG, SIZE = "abc", 10


def asked(
    range_: str | None = None,
    *,
    method: str = "GET",
    match: str | None = None,
    none: str = "",
    if_range: str | None = None,
) -> RangeConditions:
    tags: ETags = parse_etags(match)
    return RangeConditions(method, match is not None, tags, parse_etags(none), if_range, range_)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", (0, 10)), ("bytes=0-9", (0, 10)), ("bytes=0-99", (0, 10)), ("bytes=3-5", (3, 6)), ("bytes=9-", (9, 10)),
        ("bytes=-3", (7, 10)), ("bytes=-10", (0, 10)), ("bytes=-11", (0, 10)), ("bytes=-" + "9" * 5000, (0, 10)),
        ("BYTES=3-5", (3, 6)), ("bytes = 3-5", (3, 6)), ("bytes=03-005", (3, 6)), ("bytes=0-" + "9" * 5000, (0, 10)),
        ("bytes=5-3", None), ("bytes=3", None), ("bytes=-", None), ("bytes=a-b", None), ("lines=1-2", None), ("bytes=1-2,4-5", None),
        ("bytes=--3", None), ("bytes=1-2-3", None), ("", None), (None, None), ("bytes=\u0663-\u0665", None), ("bytes=+1-2", None),
    ],
)  # fmt: skip
def test_one_range_of_bytes_is_read_and_everything_else_is_ignored(
    header: str | None, part: tuple[int, int] | None
) -> None:
    assert ranges.part(asked(header), TAG, SIZE) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=" + "9" * 5000 + "-"])
def test_a_range_beyond_the_end_cannot_be_had(header: str) -> None:
    with pytest.raises(RequestedRangeNotSatisfiable):
        ranges.part(asked(header), TAG, SIZE)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_an_empty_file_has_no_ranges(header: str) -> None:
    with pytest.raises(RequestedRangeNotSatisfiable):
        ranges.part(asked(header), TAG, 0)


@pytest.mark.parametrize(
    ("if_range", "counts"),
    [('"abc"', True), ('W/"abc"', False), ('"abd"', False), ("Mon, 30 Nov 2026 10:00:00 GMT", False), ("abc", False), ("*", False), ("", False)],
)  # fmt: skip
def test_a_range_counts_only_for_the_file_that_if_range_names_strongly(if_range: str, counts: bool) -> None:
    assert (ranges.part(asked("bytes=1-2", if_range=if_range), TAG, SIZE) is not None) == counts


def test_a_range_counts_for_get_alone() -> None:
    assert ranges.part(asked("bytes=1-2", method="HEAD"), TAG, SIZE) is None


@pytest.mark.parametrize(
    ("none", "known"),
    [('"abc"', True), ('W/"abc"', True), ('"x", W/"abc"', True), ("*", True), ('"x"', False), ("", False)],
)
def test_if_none_match_compares_weakly(none: str, known: bool) -> None:
    assert ranges.is_known(asked(none=none), TAG) == known


@pytest.mark.parametrize(
    ("match", "met"),
    [('"abc"', True), ("*", True), ('"x", "abc"', True), ('W/"abc"', False), ('"x"', False), ("", False)],
)
def test_if_match_compares_strongly_and_goes_first(match: str, met: bool) -> None:
    question = asked(match=match, none='"abc"')
    if met:
        assert ranges.is_known(question, TAG)
    else:
        with pytest.raises(PreconditionFailed):
            ranges.is_known(question, TAG)
