"""The definition of a job type's revision: its commands, interface, needs, limits and failures.

The stored document holds every key, amounts in thousandths and times in whole seconds. `read` turns it into a record;
`check` finds what is wrong with a definition that somebody wants to store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypedDict, cast

from scheduler.documents import Document, JsonValue
from scheduler.errors import FaultList, InvalidInput
from scheduler.rules.job_type import interface as interfaces
from scheduler.rules.job_type import parameters, runners
from scheduler.rules.job_type.interface import RESERVED, Interface, SchemaCheck
from scheduler.rules.lifecycle.failures import CATEGORIES

MAX_ARGUMENTS = 1_000
MAX_ARGUMENT = 32_768
"""Characters of one argument; Linux itself takes 128 KiB."""

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
FORBIDDEN_ENVIRONMENT = re.compile(r"(LD_|DYLD_|GANGER_)|(BASH_ENV|ENV|IFS|PYTHONSTARTUP)\Z")
"""Names of variables whose values other programs run as code, and Ganger's own."""

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")


class _Overrides(TypedDict, total=False):
    """The fields that a job does not simply replace, as the API has checked them."""

    command: list[str]
    secrets: list[str]
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class PlacementWishes:
    """The nodes that a program would like, and what becomes of its room; see `rules.cluster.shapes.Shape`."""

    preferences: Sequence[Mapping[str, JsonValue]] = ()
    """Constraints that are preferred, each with a `weight`."""
    apart: str | None = None
    spread: str | None = None
    preemptible: bool = False


@dataclass(frozen=True, slots=True)
class JobOverrides(PlacementWishes):
    """The fields that a job may set itself, beside its command, environment and secrets. None is no limit.

    `runner` and `options` only together with a command of its own.
    """

    runner: str = "command"
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    pre_timeout_s: int | None = 3_600
    post_timeout_s: int | None = 3_600
    pids: int | None = None
    """The most processes and threads at once. None is the setting of the installation, as for the next two."""
    nofile: int | None = None
    grace_s: int | None = None
    on_oom: Mapping[str, int] | None = None
    """See `rules.lifecycle.on_oom`."""
    retry_on: Sequence[str] | None = None
    """Categories and names of the errors after which another try is made; None is what each error says of itself."""


@dataclass(frozen=True, slots=True)
class Definition(JobOverrides):
    """One revision, ready for use. Amounts are thousandths (cpus, MiB, MiB per MiB of input); None is no limit."""

    command: tuple[str, ...] = ()
    shell: bool = False
    pre_command: tuple[str, ...] | None = None
    post_command: tuple[str, ...] | None = None
    cleanup_command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    interface: Interface = field(default_factory=Interface)
    priority: int = 100
    cpus: int = 1_000
    mem: int = 64_000
    mem_mult: int = 0
    disk_out: int = 64_000
    disk_out_mult: int = 0
    custom: Mapping[str, int] = field(default_factory=dict)
    timeout_s: int | None = 1_800
    max_tries: int = 3
    exit_codes: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names of the project's secrets that the program gets as files."""

    def document(self) -> Document:
        """Return the stored form, with every key."""
        plain: Document = {name: getattr(self, name) for name in _PLAIN}
        commands: Document = {name: None if (argv := getattr(self, name)) is None else list(argv) for name in COMMANDS}
        mappings: Document = {name: dict(getattr(self, name)) for name in _MAPPINGS}
        own: Document = {
            "secrets": list(self.secrets),
            "preferences": [dict(one) for one in self.preferences],
            "interface": self.interface.document(),
        }
        return {**commands, **plain, **mappings, **own}

    def with_overrides(self, overrides: Mapping[str, JsonValue]) -> Definition:
        """Return the definition that holds for one job.

        Its own command, environment and limits come before those of the type.
        """
        if not overrides:
            return self
        changes: dict[str, Any] = {name: overrides[name] for name in OVERRIDABLE if name in overrides}
        own = cast("_Overrides", overrides)
        if "command" in own:
            changes["command"] = tuple(own["command"])
        if "secrets" in own:
            changes["secrets"] = tuple(dict.fromkeys((*self.secrets, *own["secrets"])))
        if "environment" in own:
            changes["environment"] = {**self.environment, **own["environment"]}
        return replace(self, **changes) if changes else self


COMMANDS = ("command", "pre_command", "post_command", "cleanup_command")
PLACING = tuple(each.name for each in fields(PlacementWishes))
OVERRIDABLE = tuple(each.name for each in fields(JobOverrides))
_MAPPINGS = ("options", "environment", "custom", "exit_codes")
_RECORDS = ("interface", "preferences", "secrets")
_PLAIN = tuple(each.name for each in fields(Definition) if each.name not in {*COMMANDS, *_MAPPINGS, *_RECORDS})
"""The fields that are stored as they are; the others are read and written by their kind."""


def read(document: Mapping[str, JsonValue]) -> Definition:
    """Return the record of a document; keys that are left out take their defaults. Raises InvalidInput."""
    plain: dict[str, Any] = {name: document[name] for name in (*_PLAIN, *_MAPPINGS) if name in document}
    commands = {name: _argv(document[name]) for name in COMMANDS if name in document}
    commands = {name: argv for name, argv in commands.items() if argv is not None or name != "command"}
    plain["secrets"] = tuple(cast("list[str]", document.get("secrets", [])))
    plain["preferences"] = tuple(cast("list[Document]", document.get("preferences", [])))
    interface = cast("Document", document.get("interface") or {})
    return Definition(interface=interfaces.read(interface), **commands, **plain)  # type: ignore[arg-type]  # a document's values are as they were checked


def check(definition: Definition, *, known_errors: frozenset[str], complaint: SchemaCheck) -> list[str]:
    """Return sentences about likely mistakes. Raises InvalidInput with all that keeps jobs from using a definition."""
    faults = FaultList()
    for name in COMMANDS:
        _check_command(getattr(definition, name), definition.shell, name, faults)
    note_environment(definition.environment, "environment", faults)
    runners.note_faults(definition.runner, definition.options, faults)
    note_retry_on(definition.retry_on, known_errors, faults)
    for code, error in definition.exit_codes.items():
        _check_exit_code(code, error, known_errors, faults)
    for number, declared in enumerate(definition.interface.inputs):
        wrong = complaint(declared.schema, declared.default) if declared.schema and declared.has_default else None
        if wrong is not None:
            where = f"interface.input_data[{number}].default"
            faults.note(f"the default of {declared.name!r} does not fit its schema: {wrong}", field=where)
    faults.raise_all()
    return [*_unknown_parameters(definition), *_doubtful(definition)]


def note_retry_on(retry_on: Sequence[str] | None, known_errors: frozenset[str], faults: FaultList) -> None:
    """Note the words that are neither a category nor the name of an error."""
    for number, word in enumerate(retry_on or ()):
        if word not in CATEGORIES and word not in known_errors:
            sentence = f"{word!r} is neither the name of an error nor one of {', '.join(sorted(CATEGORIES))}"
            faults.note(sentence, field=f"retry_on[{number}]")


def check_argv(argv: Sequence[str], where: str) -> None:
    """Raise InvalidInput for a command that cannot be started as written."""
    if not argv or not argv[0]:
        raise InvalidInput("a command is a list of at least one argument, the program", field=where)
    if len(argv) > MAX_ARGUMENTS or any(len(argument) > MAX_ARGUMENT for argument in argv):
        raise InvalidInput(f"a command has at most {MAX_ARGUMENTS} arguments of {MAX_ARGUMENT} characters", field=where)
    if any("\0" in argument for argument in argv):
        raise InvalidInput("an argument cannot hold a NUL character", field=where)


def note_environment(environment: Mapping[str, str], where: str, faults: FaultList) -> None:
    """Note the variables that are malformed or that would change how programs are loaded."""
    for name, value in environment.items():
        if not ENVIRONMENT_NAME.match(name):
            faults.note(f"{name!r} cannot be the name of an environment variable", field=f"{where}.{name}")
        elif FORBIDDEN_ENVIRONMENT.match(name):
            faults.note(f"the environment variable {name} cannot be set by a job", field=f"{where}.{name}")
        if "\0" in value or len(value) > MAX_ARGUMENT:
            faults.note(f"the value of {name} is too long or holds a NUL character", field=f"{where}.{name}")


def wanted_inputs(definition: Definition) -> dict[str, str]:
    """Return the inputs that the commands ask for as `${name}`, each with the command that asks first."""
    found: dict[str, str] = {}
    for command in COMMANDS:
        for name in parameters.asked_for(_filled(definition, command)):
            if name not in RESERVED:
                found.setdefault(name, command)
    return found


def scaled(multiplier: int, input_mib: int) -> int:
    """Return `multiplier` times `input_mib`, in thousandths; the multiplier is in thousandths too."""
    return multiplier * input_mib


def stepped(amount: int) -> int:
    """Return `amount` rounded up to 5 significant bits: at most 1/16 more, and few distinct values.

    Amounts that depend on the size of inputs are stepped, so that jobs whose inputs differ by a few bytes have the
    same shape.
    """
    step = 1 << max(0, amount.bit_length() - 5)
    return -(-amount // step) * step


def _argv(value: JsonValue) -> tuple[str, ...] | None:
    return None if value is None else tuple(cast("list[str]", value))


def _check_command(argv: tuple[str, ...] | None, shell: bool, name: str, faults: FaultList) -> None:
    if argv is None:
        return
    try:
        check_argv(argv, name)
    except InvalidInput as error:
        faults.add(error)
        return
    if shell and len(argv) != 1:
        faults.note("with shell, a command is a list of exactly one string", field=name)


def _check_exit_code(code: str, error: str, known: frozenset[str], faults: FaultList) -> None:
    where = f"error_mapping.exit_codes.{code}"
    if not (code.isascii() and code.isdigit() and 1 <= int(code) <= 255 and code == str(int(code))):  # noqa: PLR2004
        faults.note(f"{code!r} is not an exit code from 1 to 255", field=where)
    if error not in known:
        faults.note(f"there is no error named {error!r}", field=where)


def _unknown_parameters(definition: Definition) -> list[str]:
    known = {declared.name for declared in definition.interface.inputs} | RESERVED
    words = dict.fromkeys(word for name in COMMANDS for word in parameters.written(_filled(definition, name)))
    return [parameters.warning(word) for word in words if word.rpartition(":")[2] not in known]


def _filled(definition: Definition, name: str) -> Sequence[str]:
    """Return the arguments of a command that values are filled into: not a shell's line, not a Python function's name."""
    arguments: Sequence[str] = getattr(definition, name) or ()
    is_function = name == "command" and definition.runner == runners.PYTHON and _FUNCTION.match("".join(arguments[:1]))
    return () if is_function else arguments[1:] if definition.shell else arguments


def _doubtful(definition: Definition) -> list[str]:
    found = []
    if definition.timeout_s is None:
        found.append("without a timeout a program that hangs holds its room for ever")
    for command in COMMANDS:
        names = parameters.in_code(_filled(definition, command))
        found += [parameters.code_warning(name, command) for name in names if name not in RESERVED]
    if definition.shell and definition.interface.inputs:
        found.append("with shell, inputs reach the command through the environment, not by substitution")
    return found
