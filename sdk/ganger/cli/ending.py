"""How a command ends: its exit status, and one line on standard error for whatever went wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError

from ganger.cli import failures, program, streams

TRACEBACK = "GANGER_TRACEBACK"
"""Set to anything, the environment variable by which a fault of ours shows where it happened."""


def run(words: Sequence[str]) -> int:
    """Run the command that these words are and return the exit status; everything is written when it returns."""
    streams.prepare()
    try:
        code = _status(words)
        streams.flush()
    except streams.OutputLost as lost:
        streams.abandon()
        if lost.reader_left:  # `ganger jobs | head`: it has enough
            return 0
        sys.stderr.write(f"ganger: {lost}\n")
        return failures.USAGE
    return code


def _status(words: Sequence[str]) -> int:
    try:
        return int(program.root().main(list(words), prog_name="ganger", standalone_mode=False) or 0)
    except typer.Exit as ended:
        return ended.exit_code
    except streams.OutputLost:
        raise
    except Exception as error:  # noqa: BLE001 - the last one to see it, so that nobody meets a traceback
        told = _told(error)
        sys.stderr.write(told.line + "\n")
        return told.code


def _told(error: Exception) -> failures.CommandResult:
    """Return the last line of a command that ended with an error, and its exit status."""
    if isinstance(error, NoArgsIsHelpError):
        return failures.CommandResult(error.format_message(), error.exit_code)
    if isinstance(error, ClickException):
        return failures.CommandResult(f"ganger: {_sentence(error)}", error.exit_code)
    if isinstance(error, typer.Abort):
        return failures.CommandResult("ganger: nothing is changed", failures.FAILED)
    known = failures.verdict(error)
    if known is not None:
        return failures.CommandResult(f"ganger: {known.line}", known.code)
    if TRACEBACK in os.environ:
        traceback.print_exception(error)
    return failures.CommandResult(f"ganger: {_fault(error)}", failures.FAULT)


def _sentence(wrong: ClickException) -> str:
    """Return one line that says what is wrong with the words, and where they are explained."""
    message = " ".join(wrong.format_message().split()).replace("Value error, ", "")  # as pydantic begins it
    context = getattr(wrong, "ctx", None)
    path = context.command_path if context is not None else "ganger"
    return f"{message[:1].lower()}{message[1:].rstrip('.')} ({path} --help explains it)"


def _fault(error: Exception) -> str:
    """Return a line about an error that nobody expected. Its text stays out: it could be anything, a token too."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}:{where.lineno}"  # noqa: PTH119 - a name in a message
    return (
        f"this is a fault of Ganger's, {type(error).__name__} at {place}; with {TRACEBACK}=1 it shows all, for a report"
    )
