"""The OpenAPI document: valid, served, complete, and true: what it promises is what the API does."""

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.app import NOUNS
from tests.support.api import serving


def test_the_document_is_served_and_names_every_route(api):
    document = api.as_(None).get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    served = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    declared = {
        (route.method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule)) for noun in NOUNS for route in noun.routes.all
    }
    assert served == declared


def test_every_operation_says_what_it_answers_and_who_may_ask(api):
    document = api.get("/openapi.json").json
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert operation["x-role"], (method, path)
            good = [status for status in operation["responses"] if status.startswith("2")]
            assert good, (method, path)


def test_every_reference_points_at_something(api):
    document = api.get("/openapi.json").json
    text = api.get("/openapi.json").text
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert names <= set(document["components"]["schemas"])


TAGS = sorted({noun.routes.tag for noun in NOUNS} - {"node protocol"})
"""Nodes speak their protocol with a token of their own, and have tests of their own."""

LEFT_OUT = re.compile(r"/logs/|^/metrics|^/docs/|^/status/")
"""Streams that may stay open, what is no JSON, and the status, which is 503 while no scheduler runs."""


@pytest.mark.parametrize("tag", TAGS)
def test_generated_requests_get_documented_answers(database_url, tmp_path, tag):
    with serving(database_url, tmp_path) as api:
        made = api.a_type(interface={"input_data": [{"name": "n", "required": False}]})
        api.a_job(job_type_id=made["id"])
        schema = schemathesis.openapi.from_wsgi("/openapi.json", api.app)
        headers = {"Authorization": f"Bearer {api.secrets['admin']}", "Accept": "application/json"}
        for found in schema.get_all_operations():
            operation = found.ok()
            if tag in operation.tags and not LEFT_OUT.search(operation.path):
                _try(operation, headers)


def _try(operation, headers):
    """Send requests that the document allows and requests that it forbids; every check of the answers holds."""

    @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    def run(case):
        # What a document can say is allowed may still not be possible, such as a job of a type that is not there.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance, negative_data_rejection])

    run()
