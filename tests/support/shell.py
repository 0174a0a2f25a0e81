"""The command `ganger` as a process, beside an installation: in a pipe, with input, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

from tests.support.installation import Installation

WITHIN_S = 60


@dataclass(frozen=True)
class Shell:
    """Runs `ganger` with the state folder in its environment, as in a terminal beside `ganger up`."""

    installation: Installation
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> tuple[list[str], dict[str, str]]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GANGER_")}
        environment = {**kept, "GANGER_STATE_DIR": str(self.installation.root), **self.environment}
        return [sys.executable, "-m", "ganger", *words], environment

    def __call__(self, *words: str, status: int = 0) -> str:
        """Run a command; return what it printed on stdout."""
        return self.run(*words, status=status).stdout

    def run(self, *words: str, status: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command, environment = self.command(*words)
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False, input=stdin
        )
        assert ended.returncode == status, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended

    def json(self, *words: str, status: int = 0) -> Any:
        return json.loads(self(words[0], *_as_json(words[1:]), status=status))

    def lines(self, *words: str) -> list[Any]:
        return [json.loads(line) for line in self(words[0], *_as_json(words[1:])).splitlines()]

    def on_a_terminal(self, *words: str, answer: str = "") -> str:
        """Run a command on a terminal, on which `answer` is typed; return what it showed."""
        command, environment = self.command(*words)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs, stdin=theirs)
        os.close(theirs)
        os.write(ours, answer.encode())
        shown = b""
        while piece := _read(ours):
            shown += piece
        os.close(ours)
        process.wait(WITHIN_S)
        return shown.decode()


def _as_json(words: tuple[str, ...]) -> tuple[str, ...]:
    """Put --json where it is ours: before the command of a job."""
    at = words.index("--") if "--" in words else len(words)
    return (*words[:at], "--json", *words[at:])


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end was closed
        return b""
