"""Bodies that are small on the wire and large inside: refused before they are held, checked or listed."""

from __future__ import annotations

import time

import pytest

from api.http import problems, strict_json
from api.http.files import routes
from scheduler.errors import InvalidInput
from tests.support.api import Api

HANG_S = 60.0
MANY = strict_json.MAX_VALUES + 1
WRONG = problems.MOST_FOUND + 1
BODIES = {
    "empty lists": b"[" + b",".join([b"[]"] * MANY) + b"]",
    "numbers where jobs belong": b"[" + b"1," * (WRONG * 2) + b"1]",
    "jobs with unknown fields": b"[" + b",".join([b'{"command":["true"],"a":1,"b":2,"c":3}'] * 10_000) + b"]",
    "labels": b'{"command":["true"],"labels":{' + b",".join(b'"k%d":1' % number for number in range(50_000)) + b"}}",
    "unknown fields": b"{" + b",".join(b'"k%d":1' % number for number in range(50_000)) + b"}",
    "arguments": b'{"command":[' + b"1," * 900_000 + b"1]}",
    "one number": b'{"command":["true"],"priority":' + b"9" * 4_000_000 + b"}",
    "one fraction": b'{"command":["true"],"cpus_required":0.' + b"1" * 4_000_000 + b"}",
    "depth": b'{"inputs":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "spaces": b" " * 8_000_000 + b"1",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_would_take_long_to_refuse_is_refused_shortly(api: Api, name: str) -> None:
    began = time.monotonic()
    answer = api.send("POST", "/jobs/", BODIES[name])
    assert answer.status_code in {400, 413}, answer.text[:300]
    assert len(answer.data) < 100_000
    assert time.monotonic() - began < HANG_S


def test_many_commas_in_a_text_are_no_values() -> None:
    text = b'{"csv": "' + b'1,2,[\\",' * 200_000 + b'"}'
    assert isinstance(strict_json.loads(text), dict)
    with pytest.raises(InvalidInput, match="values"):
        strict_json.loads(text[:-1] + b', "more": [' + b"1," * MANY + b"1]}")


def test_a_form_that_is_too_large_is_refused_before_it_is_read(api: Api) -> None:
    headers = {"Content-Length": str(routes.MOST_FORM + 1)}
    answer = api.with_headers(**{"Content-Length": headers["Content-Length"]}).send(
        "POST", "/files/", b"--b", content_type="multipart/form-data; boundary=b"
    )
    assert answer.status_code in {400, 413}
