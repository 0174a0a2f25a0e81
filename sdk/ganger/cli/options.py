"""Options that several commands share, and records of options: a command takes a group of them as one parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, TypeAlias, get_type_hints

import typer
from typer.core import TyperGroup

from ganger.cli.quantities import number
from ganger.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from typer._click.core import Context

BUILT_IN_RESOURCES = ("cpus", "mem", "disk")

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")]


class ListByDefault(TyperGroup):
    """A noun alone lists: `ganger nodes --json` is `ganger nodes list --json`."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Put in `list` where no command stands."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with one option for each field of the records that `command` takes as parameters.

    A record is a dataclass whose fields are annotated as Typer wants options; a field without a default is a required
    one. The record is made from the options when the command is called. Other parameters stay as they are.
    """
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    records: dict[str, type[DataclassInstance]] = {
        each.name: each.annotation
        for each in parameters
        if isinstance(each.annotation, type) and is_dataclass(each.annotation)
    }

    @wraps(command)
    def run(**given: object) -> None:
        for name, record in records.items():
            given[name] = record(**{each.name: given.pop(each.name) for each in fields(record)})
        command(**given)

    flat = [
        option for each in parameters for option in (_options_of(each.annotation) if each.name in records else [each])
    ]
    # Typer reads the signature and the annotations; with `__wrapped__` it would read those of `command`.
    del run.__wrapped__
    run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]  # functions may have one
    run.__annotations__ = {each.name: each.annotation for each in flat}
    return run


def _options_of(record: type[DataclassInstance]) -> Iterator[inspect.Parameter]:
    """Yield the fields of a record as keyword-only parameters, in their order."""
    hints = get_type_hints(record, include_extras=True)
    for each in fields(record):
        yield inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=_default_of(each), annotation=hints[each.name]
        )


def _default_of(each: Field[object]) -> object:
    if each.default_factory is not MISSING:
        return each.default_factory()
    return inspect.Parameter.empty if each.default is MISSING else each.default


def amounts(given_words: list[str]) -> dict[str, float]:
    """Return custom resources, `gpu=1` words, by name. Raises UsageError."""
    given = pairs(given_words, "--resource")
    for name in BUILT_IN_RESOURCES:
        if name in given:
            raise UsageError(f"{name} is not a custom resource; use --{name}", field="--resource")
    try:
        return {name: number(value) for name, value in given.items()}
    except ValueError as error:
        raise UsageError("--resource takes NAME=AMOUNT with a number, such as gpu=1") from error


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """Return `name=value` words by name. Raises UsageError naming the option."""
    return dict(words(given, option))


def words(given: Iterable[str], option: str) -> list[tuple[str, str]]:
    """Return names and values of `name=value` words. Raises UsageError naming the option."""
    split = [(word, *word.partition("=")) for word in given]
    wrong = next((word for word, name, equals, _ in split if not name or not equals), None)
    if wrong is not None:
        raise UsageError(f"{option} takes {'KEY' if option == '--label' else 'NAME'}=VALUE, not {wrong!r}")
    return [(name, value) for _, name, _, value in split]
