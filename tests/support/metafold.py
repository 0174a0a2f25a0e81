"""The published `metafold` clients, both releases, unmodified: each in a process with its own libraries, driven by calls.

    with metafold.client("0.15.0", access_token=token, base_url=url, project_id=None) as client:
        project = client.projects.create("alpha")
        client.set_project_id(project["id"])

A call returns what the client returns, objects as dictionaries; what it raises comes as ClientError.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VERSIONS = ("0.13.0", "0.15.0")
ROOT = Path(__file__).parents[1]


SMALL = {"cpus_required": 0.1, "mem_required": 16, "disk_out_const_required": 1, "max_tries": 1}
COPY = {
    "name": "test/copy",
    "command": ["sh", "-c", 'cp "$1" "$2/copy-of-it.bin"; printf \'{"properties": {"said": "%s", "size": {"bytes": 3}}}\' "$3" > "$2/results.json"',
                "sh", "${source}", "${job_output_dir}", "${message}"],
    "interface": {
        "input_data": [
            {"name": "source", "type": "file"},
            {"name": "message", "type": "property", "schema": {"type": "string"}, "default": "nothing"},
            {"name": "times", "type": "property", "schema": {"type": "integer"}, "required": False},
            {"name": "nested", "type": "property", "schema": {"type": "object"}, "required": False},
        ],
        "output_data": [
            {"name": "copy", "type": "file", "glob": "*.bin"},
            {"name": "said", "type": "property", "schema": {"type": "string"}},
            {"name": "size", "type": "property", "schema": {"type": "object"}, "required": False},
        ],
    },
}  # fmt: skip
FAIL = {"name": "test/fail", "command": ["sh", "-c", "echo broken >&2; exit 3"]}
SLEEP = {
    "name": "test/sleep",
    "command": ["sleep", "${seconds}"],
    "interface": {"input_data": [{"name": "seconds", "type": "property", "schema": {"type": "number"}, "default": 60}]},
}
COUNT = {
    "name": "test/count",
    "command": ["sh", "-c", """echo abc > "$1/a.txt"; cat > "$1/results.json" <<'END'
{"properties": {"count": 3, "word": "12", "list": [1, null], "told": "{\\"deep\\": [true]}"}}
END
""", "sh", "${job_output_dir}"],
    "interface": {
        "output_data": [
            {"name": "file", "type": "file", "glob": "*.txt"},
            *({"name": name, "type": "property"} for name in ("count", "word", "list", "told")),
        ],
    },
}  # fmt: skip
"""Job types for it: one whose outputs are of every kind, one that fails, and one that takes its time."""


class ClientError(Exception):
    """What the client raised: the name of the class, and its text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


class Remote:
    """A client in another process, or a part of it."""

    def __init__(self, process: subprocess.Popen[str], path: tuple[str, ...] = ()) -> None:
        self._process, self._path = process, path

    def __getattr__(self, name: str) -> Remote:
        return Remote(self._process, (*self._path, name))

    def __call__(self, *args: Any, **named: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": self._path, "args": args, "named": named}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ClientError(*answer["error"])
        return answer["result"]


@contextmanager
def client(version: str, environment: Mapping[str, str] | None = None, **settings: Any) -> Iterator[Remote]:
    """A client of this release, with these arguments of its constructor; `environment` is added to ours."""
    libraries = Path(sys.prefix) / "clients" / f"metafold-{version}"
    assert libraries.is_dir(), f"{libraries} is missing: ./run test makes it"
    command = [sys.executable, str(ROOT / "clients" / "remote.py"), json.dumps(settings)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {}), "PYTHONPATH": str(libraries), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        yield Remote(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
