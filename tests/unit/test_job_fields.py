"""A field of a job stands in every face, or here with the reason why not.

The faces: the body, what the scheduler is asked for, the client's request and record, the options of `ganger submit`, and the
answers. What derives one from another needs no test; these are the places where a field is written once more.
"""

from dataclasses import fields
from typing import get_type_hints

import pytest

from api.http.jobs import new_job as conversion
from api.http.jobs.answer_schema import JobDetail
from api.http.jobs.program_schema import RENAMED, ProgramFields, ProgramView
from api.http.jobs.schema import JobBody
from ganger.cli.submit.field_options import fields_set
from ganger.cli.submit.option_errors import GROUPS, OPTIONS
from ganger.records import Job
from ganger.requests import JobRequest
from scheduler.jobs.new_job import NewJob
from scheduler.rules.job_type import definition
from scheduler.rules.job_type.definition import OVERRIDABLE, Definition
from scheduler.store.jobs.submissions import JobGroup
from scheduler.store.schema.tables import job_specs, jobs
from tests.support.generated import openapi_document

BODY = set(JobBody.model_fields)

NOT_IN_THE_CLIENT = {
    "job_type_id",  # a program names its type by name and version
}
ONLY_IN_THE_CLIENT = {
    "version",  # of the type, inside of job_type in the body
}
NO_OPTION = {
    "command", "job_type", "version",  # the words of the command line themselves
    "inputs",  # --input NAME=VALUE, read by the interface of the type
    "name", "labels", "project",  # options of the command itself, not of a group
    "data",  # the older form of inputs
    "key",  # for the others of a batch, which is JSON
    "runner", "options",  # made of --python, --interpreter, --require and --network
}  # fmt: skip
NOT_SHOWN = {
    "job_type_id",  # job_type.id
    "image",  # options.image
    "held",  # is_held: also what was held later
    "idempotency_key",  # of the request, not of the job
    "key",  # a name within the request
}


def test_every_field_of_the_body_is_carried_to_the_scheduler() -> None:
    plain = {RENAMED.get(name, name) for name in conversion.PLAIN}
    assert plain == {each.name for each in fields(NewJob)} - {
        "type_name",
        "type_version",
        "overrides",
        "needs",
        "serial",
        "wiring",
        "conditions",
        "expansion",
        "cache",
    }
    carried = {*conversion.PLAIN, *conversion.OVERRIDES, *conversion.SPLIT, *conversion.NOT_ASKED}
    assert carried == BODY


def test_what_a_job_may_say_over_its_type_is_in_the_body_and_is_stored() -> None:
    stored = {RENAMED.get(name, name) for name in conversion.OVERRIDES}
    assert stored == {*OVERRIDABLE, "secrets", "image"}
    changed = Definition().with_overrides(dict.fromkeys(OVERRIDABLE))
    assert {name for name in OVERRIDABLE if getattr(changed, name) is None} == set(OVERRIDABLE)
    assert set(Definition().document()) == {each.name for each in fields(Definition)}


def test_names_that_differ_are_names_of_fields() -> None:
    assert RENAMED.keys() <= BODY
    assert set(RENAMED.values()) <= {each.name for each in fields(NewJob)} | set(OVERRIDABLE)
    assert set(definition.PLACING) <= set(OVERRIDABLE)


def test_a_group_of_jobs_has_columns_of_the_tables() -> None:
    names = {each.name for each in fields(JobGroup)}
    assert names - set(jobs.c.keys()) == {"overrides"} <= set(job_specs.c.keys())


def test_the_client_asks_for_what_the_api_takes() -> None:
    asked = {each.name for each in fields(JobRequest)}
    assert asked - BODY == ONLY_IN_THE_CLIENT
    assert BODY - asked == NOT_IN_THE_CLIENT


def test_every_field_of_the_client_has_an_option() -> None:
    given = [sets.field for group in GROUPS for sets in fields_set(group).values()]
    assert len(given) == len(set(given))
    assert {each.name for each in fields(JobRequest)} - set(given) == NO_OPTION
    assert OPTIONS.keys() <= {each.name for each in fields(JobRequest)}


def test_a_job_shows_what_it_was_asked_for() -> None:
    shown = set(get_type_hints(JobDetail))
    assert BODY - shown == NOT_SHOWN
    assert set(get_type_hints(ProgramView)) == set(ProgramFields.model_fields) - {"image"}


def test_the_clients_record_has_fields_of_the_answer() -> None:
    assert set(Job.model_fields) <= set(get_type_hints(JobDetail))


@pytest.mark.parametrize("schema", ["JobBody", "JobDetail"])
def test_the_document_has_the_same_fields(schema: str) -> None:
    described = set(openapi_document()["components"]["schemas"][schema]["properties"])
    assert described == (BODY if schema == "JobBody" else set(get_type_hints(JobDetail)))
