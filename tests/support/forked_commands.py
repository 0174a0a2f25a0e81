"""Runs many commands at the price of one start: a process that has imported the command line forks for each of them.

Each command gets an environment, arguments and standard streams of its own, as a new interpreter would make them; its
exit status and all that it writes come back as they are.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.waiting import readable

WITHIN_S = 60
MODULES = (
    "typer.rich_utils",
    "ganger.client",
    "ganger.records",
    "api.serve",
    "scheduler.admin.setup",
    "api.demo",
    "rich.table",
)
"""Modules that commands import when they are called."""
PIPE, CLOSED, FULL, GONE = "pipe", "closed", "full", "gone"
"""Kinds of standard output: read by us, closed, on a full disk, and one whose reader has left."""


@dataclass(frozen=True)
class Ended:
    """The end of a command. Text is decoded as Python decodes names of files, so that every byte is there."""

    status: int
    out: str
    err: str


class ForkedCommands:
    """The process that forks. A context manager."""

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", "tests.support.forked_commands"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(WITHIN_S)

    def __call__(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        stdin: str | None = "",
        stdout: str = PIPE,
        stderr: str = PIPE,
        encoding: str = "utf-8",
    ) -> Ended:
        """Run `ganger` with these words in this environment, all of it. Without `stdin`, standard input is closed."""
        case = {"words": words, "environment": dict(environment or {}), "stdin": stdin, "encoding": encoding}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**case, "stdout": stdout, "stderr": stderr}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        return Ended(**json.loads(line))


def _main() -> None:
    from ganger.cli import command, ending, program  # noqa: F401, PLC0415 - what every command imports

    for each in command.every():
        command.add(program.root(), each)
    for module in MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)  # noqa: T201 - to whoever asked


def _run(case: dict[str, object]) -> dict[str, object]:
    """Fork, let the child run the command, and return its end."""
    streams = {1: _output(str(case["stdout"])), 2: _output(str(case["stderr"]))}
    read_in, write_in = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write_in)
        _become(case, {0: None if case["stdin"] is None else read_in, 1: streams[1][1], 2: streams[2][1]})
    os.close(read_in)
    for _, writer in streams.values():
        if writer is not None:
            os.close(writer)
    os.write(write_in, os.fsencode(str(case["stdin"] or "")))
    os.close(write_in)
    texts = _collected(child, [reader for reader, _ in streams.values()])
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"status": status, "out": texts[0], "err": texts[1]}


def _output(kind: str) -> tuple[int | None, int | None]:
    """Return where we read what is written, and where it is written to."""
    if kind == CLOSED:
        return None, None
    if kind == FULL:
        return None, os.open("/dev/full", os.O_WRONLY)
    reader, writer = os.pipe()
    if kind == GONE:
        os.close(reader)
        return None, writer
    return reader, writer


def _collected(child: int, readers: Sequence[int | None]) -> list[str]:
    """Return all that comes out of the pipes; kill the child when it takes too long."""
    found = {reader: b"" for reader in readers if reader is not None}
    waiting, end = set(found), time.monotonic() + WITHIN_S
    while waiting:
        ready = readable(waiting, max(0.0, end - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            break
        for reader in ready:
            piece = os.read(reader, 65536)
            found[reader] += piece
            if not piece:
                waiting.discard(reader)
    for reader in found:
        os.close(reader)
    return ["" if reader is None else os.fsdecode(found[reader]) for reader in readers]


def _become(case: dict[str, object], streams: Mapping[int, int | None]) -> None:
    """Be a new interpreter as far as a command can tell, run it, and end."""
    from ganger import cli  # noqa: PLC0415 - in the child

    for number, descriptor in streams.items():
        os.close(number) if descriptor is None else os.dup2(descriptor, number)
    os.closerange(3, 64)
    encoding = str(case["encoding"])
    sys.stdin = sys.__stdin__ = _opened(streams[0] is not None, 0, "r", encoding)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _opened(streams[1] is not None, 1, "w", encoding)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _opened(streams[2] is not None, 2, "w", encoding, "backslashreplace")  # type: ignore[misc]
    os.environ.clear()
    os.environ.update(case["environment"])  # type: ignore[call-overload]
    sys.argv = ["ganger", *case["words"]]  # type: ignore[misc]
    status: object = 0
    try:
        cli.main()
    except SystemExit as ended:
        status = ended.code
    except BaseException:  # noqa: BLE001 - the interpreter prints them all
        import traceback  # noqa: PLC0415 - in the child

        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()  # type: ignore[union-attr]
        except (OSError, ValueError, AttributeError):
            status = 120  # as the interpreter does
    os._exit(int(str(status or 0)))


def _opened(is_open: bool, number: int, mode: str, encoding: str, errors: str = "strict") -> io.TextIOWrapper | None:
    if not is_open:
        return None
    raw = io.FileIO(number, mode, closefd=False)
    buffered = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding=encoding, errors=errors, line_buffering=number == 2)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "sdk"))
    _main()
