"""From the types of answers to their schemas in the document.

An answer is declared once, as a TypedDict: the type checker compares it with what the views return, and the document is
made from it here. A plain text in `Annotated` is the description of that field. Nothing of this runs when a request is answered.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import TypedDictSchema

REFERENCE = "#/components/schemas/{model}"

AnswerType: TypeAlias = object
"""A TypedDict, a model, a union of these (typing has no word for such a value), a ready description, or None for no body."""

JsonSchema: TypeAlias = dict[str, Any]  # its shape is that of the JSON Schema standard


def response(status: int, answer: AnswerType) -> JsonSchema:
    """Return how the document shows an answer: by the name of its type, as it is when it is a mapping, or without a body."""
    shown: JsonSchema = {"description": HTTPStatus(status).phrase}
    if answer is None:
        return shown
    if isinstance(answer, Mapping):
        return {**shown, **answer}
    references = [{"$ref": REFERENCE.format(model=one.__name__)} for one in get_args(answer) or (answer,)]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {**shown, "content": {"application/json": {"schema": schema}}}


def schemas(answers: Iterable[AnswerType]) -> dict[str, JsonSchema]:
    """Return the schemas of these types, and of all types within them, by name; what is no type is passed over."""
    types = dict.fromkeys(one for one in answers if one is not None and not isinstance(one, Mapping))
    return copy.deepcopy(_schemas(tuple(types)))


@cache
def _schemas(answers: tuple[AnswerType, ...]) -> dict[str, JsonSchema]:
    adapters: list[TypeAdapter[Any]] = [TypeAdapter(answer) for answer in answers]  # type: ignore[arg-type]  # see AnswerType
    inputs: list[tuple[int, Literal["serialization"], TypeAdapter[Any]]] = [
        (number, "serialization", adapter) for number, adapter in enumerate(adapters)
    ]
    _, found = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE, schema_generator=_OpenObjects)
    definitions: dict[str, JsonSchema] = found["$defs"]
    return definitions


class _OpenObjects(GenerateJsonSchema):
    """Answers may gain fields in a later release: clients have to expect ones that they do not know."""

    def typed_dict_schema(self, schema: TypedDictSchema) -> JsonSchema:
        shown = super().typed_dict_schema(schema)
        for name, hint in get_type_hints(schema["cls"], include_extras=True).items():
            for text in getattr(hint, "__metadata__", ()):
                if isinstance(text, str):
                    shown["properties"][name]["description"] = text
        return {**shown, "additionalProperties": True}
