"""The OpenAPI document: valid, served, complete, and true: what it promises is what the API does."""

import re
from http.client import BAD_REQUEST, REQUEST_ENTITY_TOO_LARGE
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.http.app import NOUNS
from tests.support.api import Api, serving


def test_the_document_is_served_and_names_every_route(api: Api) -> None:
    document = api.as_(None).get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    served = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    declared = {
        (route.method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule)) for noun in NOUNS for route in noun.routes.all
    }
    assert served == declared


def test_every_operation_says_what_it_answers_and_who_may_ask(api: Api) -> None:
    document = api.get("/openapi.json").json
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert operation["x-role"], (method, path)
            good = [status for status in operation["responses"] if status.startswith("2")]
            assert good, (method, path)


def test_every_reference_points_at_something(api: Api) -> None:
    document = api.get("/openapi.json").json
    text = api.get("/openapi.json").text
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert names <= set(document["components"]["schemas"])


TAGS = sorted({noun.routes.tag for noun in NOUNS} - {"node protocol"})
"""Nodes speak their protocol with a token of their own, and have tests of their own."""

LEFT_OUT = re.compile(r"/logs/|^/metrics|^/docs/|^/status/")
"""Streams that may stay open, what is no JSON, and the status, which is 503 while no scheduler runs."""


def _operations(schema: Any) -> list[Any]:
    """Return all operations of a document; an error if one of them is not sound."""
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("tag", TAGS)
def test_generated_requests_get_documented_answers(database_url: str, tmp_path: Path, tag: Any) -> None:
    with serving(database_url, tmp_path) as api:
        made = api.a_type(interface={"input_data": [{"name": "n", "required": False}]})
        api.a_job(job_type_id=made["id"])
        schema = schemathesis.openapi.from_wsgi("/openapi.json", api.app)
        headers = {"Authorization": f"Bearer {api.secrets['admin']}", "Accept": "application/json"}
        for operation in _operations(schema):
            if tag in operation.tags and not LEFT_OUT.search(operation.path):
                _try(operation, headers)


def test_generated_questions_get_documented_answers_from_a_whole_installation(installation: Any) -> None:
    """Over HTTP, through its server; what changes things is tried above, where no node is moved and no job is run."""
    schema = schemathesis.openapi.from_url(f"{installation.ready['url']}/openapi.json")
    headers = {name: installation.api.headers[name] for name in ("authorization", "accept")}
    questions = [one for one in _operations(schema) if one.method.upper() == "GET"]
    asked = [one for one in questions if set(one.tags) & set(TAGS) and not LEFT_OUT.search(one.path)]
    assert len(asked) > 20
    for operation in asked:
        _try(operation, headers)


OF_SCHEMAS = re.compile(r"should (be|have|match)|[Ff]ield required|[Ee]xtra inputs|is not a time|cannot order")
"""Complaints about what a document can say: type, bounds, length, pattern, the words allowed, what must be there."""

BUT = re.compile(
    # JSON Schema takes 1.0 for a whole number, we do not; and it has the largest numbers as floats.
    r"should be a valid (integer|number)|is not a whole number|-?9223372036854775807"
    r"|\[key\]"  # keys, as generated, keep to the pattern but not always to the length
)

EXAMPLES = {"job types": 2}
"""Requests an operation; their bodies take long to make."""


def _try(operation: Any, headers: Any) -> None:
    """Send requests that the document allows and requests that it forbids; every check of the answers holds."""
    examples = min(EXAMPLES.get(tag, 8) for tag in operation.tags)

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case: Any) -> None:
        answer = case.call(headers=headers)
        case.validate_response(answer, headers=headers, excluded_checks=_excluded(operation, case, answer))

    run()


def _excluded(operation: Any, case: Any, answer: Any) -> Any:
    """Return the checks that do not hold for this request, for a reason that no document can give."""
    excluded = []
    if answer.status_code == BAD_REQUEST:
        told = answer.json()["description"]
        if not OF_SCHEMAS.search(told) or BUT.search(told):  # what fields say of each other, and only looking tells
            excluded.append(positive_data_acceptance)
    # In a query string everything is a text, and one value is also a list of one.
    wrong = {place for place, part in case.meta.components.items() if part.mode is GenerationMode.NEGATIVE}
    if not wrong & {ParameterLocation.BODY, ParameterLocation.PATH} or answer.status_code == REQUEST_ENTITY_TOO_LARGE:
        excluded.append(negative_data_rejection)
    return excluded
