"""Parameters: which values a command asks for as `${name}`, so that a job that lacks one is refused when it is submitted.

A node fills them in when it starts the command (`workers/runners/substitution.py`, which reads arguments in the same way) and
refuses a name that the job does not have. A shell's `${x}` looks the same, and is the usual mistake.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from scheduler.errors import FaultList
from scheduler.rules.job_type.interface import RESERVED

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}\Z")


def asked_for(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the names that a node will look up; `$${x}` is a literal, and what cannot be a name stays as it stands."""
    return (name for name in written(arguments) if _NAME.match(name))


def written(arguments: Sequence[str]) -> Iterator[str]:
    """Yield what stands between the braces of every `${...}` that is not escaped."""
    for argument in arguments:
        if "${" in argument:
            for found in _REFERENCE.finditer(argument):
                start = found.start()
                if start == 0 or argument[start - 1] != "$":
                    yield found.group(1)


def warning(name: str) -> str:
    """Return the sentence for a command of a job type that asks for what the type does not have."""
    if _NAME.match(name):
        return f"${{{name}}} is not an input: jobs of this type are refused; $${{{name}}} stands for the text itself"
    return f"${{{name}}} is not the name of an input; it is left as it stands"


def in_code(arguments: Sequence[str]) -> list[str]:
    """Return the names that are filled into a text which a shell or another interpreter then reads as a program.

    The value of an input would be program text there: `sh -c 'rm ${file}'` removes what the value says, and runs it. As an argument
    of its own (`sh -c 'rm "$1"' sh ${file}`) it is only a value. The time grows with the length of the arguments, however many
    interpreters stand among them.
    """
    texts: dict[str, None] = {}
    before = ""
    waiting: set[re.Pattern[str]] = set()
    for place, word in enumerate(arguments):
        if met := {option for option in waiting if option.match(word)}:
            texts.update(dict.fromkeys(arguments[place : place + 2]))
            waiting -= met
        if not word.startswith(("-", "+")) and not before.endswith(("o", "O", "W", "X")):  # options with a value
            waiting.clear()
        if option := _CODE_OPTIONS.get(_interpreter(word)):
            waiting.add(option)
        before = word
    return list(dict.fromkeys(asked_for(list(texts))))


def _interpreter(word: str) -> str:
    """Return the name of a program without its folder and version."""
    return word.rpartition("/")[2].removesuffix(".exe").rstrip("0123456789.")


_SHELL, _SCRIPT, _EVALUATED = (
    re.compile(r"[-+][A-Za-z]*c"),
    re.compile(r"-[A-Za-z]*c"),
    re.compile(r"-[A-Za-z]*[eE]|--eval|-p|--print|-r"),
)
_CODE_OPTIONS = {
    **dict.fromkeys(
        ("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "su", "runuser"), _SHELL
    ),
    **dict.fromkeys(("python", "pypy"), _SCRIPT),
    **dict.fromkeys(("perl", "ruby", "node", "nodejs", "Rscript", "php", "lua"), _EVALUATED),
}
"""Programs that take program text as an argument, and the option before it."""


def code_warning(name: str, command: str) -> str:
    """Return the sentence for a value that becomes program text."""
    return (
        f"the {command} fills ${{{name}}} into the text of a script: whoever submits a job decides what the script does; "
        f'pass it as an argument of its own and use "$1", or its environment variable, there'
    )


def note_missing(wanted: Mapping[str, str], given: Collection[str], faults: FaultList) -> None:
    """Note each input that a command asks for and that the job does not have. `wanted` has the command by name."""
    missing = [(name, command) for name, command in wanted.items() if name not in given]
    known = ", ".join(sorted({*given, *RESERVED})) if missing else ""
    for name, command in faults.first(missing):
        sentence = f"the {command} asks for ${{{name}}}, which this job does not have (it has: {known})"
        hint = f"a variable of the program's own, such as a shell's, is written $${{{name}}}"
        faults.note(f"{sentence}; {hint}", field=command)
