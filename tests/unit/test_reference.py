"""The page of the API: every name is a link that leads somewhere, every call has a line of curl and a body that its schema takes."""

from __future__ import annotations

import html
import json
import re
import shlex
from typing import Any

import jsonschema
import pytest

from api.http.document import reference, samples
from api.http.document.type_names import prose, type_html
from tests.support.generated import openapi_document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(openapi_document()))
    return found


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> str:
    return reference.page(document).html


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, item in document["paths"].items() for method, one in item.items()]


def test_every_link_of_the_page_leads_somewhere(page: str) -> None:
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert "schema-JobsBody" in links
    assert links <= set(re.findall(r'id="([^"]+)"', page))


def test_every_body_and_answer_of_a_call_is_a_link(page: str) -> None:
    call = page[page.index('<details id="submit_jobs">') :]
    for name in ("JobsBody", "SubmittedJob", "Problem"):
        assert f'<a href="#schema-{name}">{name}</a>' in call


def test_every_call_has_a_line_for_a_shell(page: str, document: dict[str, Any]) -> None:
    lines = re.findall(r'<pre class="line">(.*?)</pre>', page, re.DOTALL)
    assert len(lines) == len(operations(document))
    for line in map(html.unescape, lines):
        words = shlex.split(line)
        assert words[0] == "curl"
        assert words[-1].startswith("$URL/")
        assert "{" not in words[-1]
        if "--json" in words:
            json.loads(words[words.index("--json") + 1])


def test_every_example_is_taken_by_its_own_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    seen = 0
    for path, method, one in operations(document):
        schema = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None or "node protocol" in one["tags"]:
            continue
        body = samples.sample(schema, schemas, whole=False)
        checked = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
        wrong = [error.message for error in checked.iter_errors(body)]
        assert not wrong, (method, path, body, wrong)
        seen += 1
    assert seen > 15


def test_types_are_written_as_people_write_them() -> None:
    assert type_html({"type": "integer", "minimum": -(2.0**63), "maximum": 2.0**63}) == "integer"
    assert type_html({"type": "integer", "minimum": 1.0, "maximum": 1000.0}) == "integer, 1 to 1,000"
    assert type_html({"type": "number", "minimum": 0.001}) == "number, at least 0.001"
    assert type_html({"type": "boolean", "default": False}) == "boolean, default <code>false</code>"
    assert type_html({"type": "string", "minLength": 0, "maxLength": 256}) == "string, at most 256 characters"
    assert type_html({"type": "array", "items": {"$ref": "#/components/schemas/Job"}, "maxItems": 9}) == (
        'list of <a href="#schema-Job">Job</a>, at most 9 entries'
    )
    assert type_html({"enum": ["<b>", None]}) == "<code>&lt;b&gt;</code> | <code>null</code>"


def test_backticks_are_code_and_everything_else_is_text() -> None:
    assert prose("with `count` < 3") == "with <code>count</code> &lt; 3"


def test_nothing_on_the_page_is_written_as_programs_write_it(page: str) -> None:
    text = re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
    assert not re.findall(
        r"\de\+\d+|\d\.0\b\.\.|= (?:False|True|None)\b|`", re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    )


def test_every_filter_of_jobs_and_files_has_a_sentence(document: dict[str, Any]) -> None:
    for path in ("/jobs/", "/files/"):
        silent = [one["name"] for one in document["paths"][path]["get"]["parameters"] if not one.get("description")]
        assert silent == []
