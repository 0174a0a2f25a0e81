"""A published client in a process of its own, which does what it is told by lines of JSON: its libraries are not those of the tests.

    {"call": ["projects", "create"], "args": ["alpha"], "named": {"access": "private"}}

The answer is one line: `{"result": ...}`, with objects as dictionaries and times as ISO texts, or `{"error": [class, text]}`.
"""

import datetime as dt
import enum
import importlib.metadata
import io
import json
import sys
from typing import Any

import attr
from metafold import MetafoldClient


def plain(value: Any) -> Any:
    """Return a result as JSON has it."""
    if attr.has(type(value)):
        fields = {field.name: getattr(value, field.name) for field in attr.fields(type(value))}
        return {name: plain(one) for name, one in fields.items() if not name.startswith("_")}
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def argument(value: Any) -> Any:
    """Return an argument: `{"bytes": text}` is a stream without a name."""
    return io.BytesIO(value["bytes"].encode()) if isinstance(value, dict) and set(value) == {"bytes"} else value


def call(client: Any, asked: Any) -> Any:
    """Do one call. `["workflow", "get_asset"]` is a method of the workflow whose id is the first argument."""
    if asked["call"][0] == "workflow":
        workflow = client.workflows.get(asked["args"][0])
        return getattr(workflow, asked["call"][1])(*asked["args"][1:])
    if asked["call"] == ["version"]:
        return importlib.metadata.version("metafold")
    target = client
    for name in asked["call"]:
        target = getattr(target, name)
    return target(*map(argument, asked["args"]), **asked["named"])


def main() -> None:
    """Answer every line."""
    client = MetafoldClient(**json.loads(sys.argv[1]))
    for line in sys.stdin:
        try:
            answer = {"result": plain(call(client, json.loads(line)))}
        except Exception as error:  # noqa: BLE001 - whatever the client raises is what the test wants to see
            answer = {"error": [type(error).__name__, str(error)]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
