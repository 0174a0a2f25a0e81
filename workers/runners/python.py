"""The Python runner: a function named `module:function`, or a script, by one of the node's interpreters.

A function gets the job's inputs by name (properties as values, files as paths, several files as a list of paths); a
dictionary that it returns becomes the output properties; a result that cannot is refused by name, never dropped. Options: `interpreter` (default `python3`; a name or
path that the node knows, see `interpreters`), `requirements` (installed beforehand, see `venvs`), `path` (folders to import from). Phases other than the job are ordinary commands.
"""

from __future__ import annotations

import re

import orjson

from scheduler.wire import InputSpec
from workers.runners import command, interpreters, substitution, venvs
from workers.runners.launch import Launch, LaunchRefused, LaunchRequest

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")

_CALL = """\
import importlib, json, math, os, sys
name = sys.argv[1]
def refuse(why):
    sys.exit("ganger: " + name + " " + why)
def check(value, path):
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                refuse("returned the key %r%s; keys of output properties are texts" % (key, path and " in " + path))
            check(part, path + "." + key if path else key)
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            check(part, "%s[%d]" % (path, number))
    elif isinstance(value, int):
        if abs(value) >= 2 ** 63:
            refuse("returned an integer beyond 64 bits as %s; return it as a text" % path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            refuse("returned %r as %s, which JSON does not have; return None or a text" % (value, path))
    elif value is not None and not isinstance(value, str):
        refuse("returned a %s as %s, which JSON does not have" % (type(value).__name__, path))
sys.path[:0] = json.loads(os.environ.pop("GANGER_PYTHON_PATH", "[]")) + [os.getcwd()]
module, _, attribute = name.partition(":")
function = importlib.import_module(module)
for part in attribute.split("."):
    function = getattr(function, part)
result = function(**json.loads(os.environ.pop("GANGER_INPUTS", "{}")))
if result is not None and not isinstance(result, dict):
    refuse("returned a %s; a dictionary becomes the output properties, None sets none" % type(result).__name__)
manifest = os.path.join(os.environ["GANGER_OUTPUT_DIR"], "results.json")
if result:
    if os.path.lexists(manifest):
        refuse("returned a dictionary, and wrote results.json as well: one would be lost")
    check(result, "")
    with open(manifest, "w", encoding="utf-8") as file:
        json.dump({"properties": result}, file)
"""
"""The program of a function job. It is passed as text, because the job's user may not be able to read this package."""

_MOST_INPUT_BYTES = 120_000
"""Linux takes at most 128 KiB in one environment variable."""


def launch(request: LaunchRequest) -> Launch:
    """Return the interpreter with the function or script. Raises LaunchRefused."""
    if request.phase != "job":
        return command.launch(request)
    arguments, options = request.arguments, request.spec.commands.options
    if not arguments:
        raise LaunchRefused("A Python job needs module:function or a script.")
    if venvs.is_wanted(request.spec):
        interpreter = f"{venvs.location(request.paths.work, request.spec)}/bin/python"
    else:
        try:
            interpreter = interpreters.choose(request.python.interpreters, venvs.interpreter(options))
        except interpreters.UnknownInterpreter as unknown:
            raise LaunchRefused(str(unknown), of_job=False) from unknown
    environment = {**request.environment(), **request.variables(), "PYTHONUNBUFFERED": "1"}
    if _FUNCTION.match(arguments[0]) is None:
        try:
            return Launch([interpreter, *substitution.fill(arguments, request.values())], environment)
        except substitution.UnknownValue as unknown:
            raise LaunchRefused(str(unknown)) from unknown
    inputs = orjson.dumps({one.name: _value(request, one) for one in request.spec.inputs}).decode()
    if len(inputs) > _MOST_INPUT_BYTES:
        raise LaunchRefused("The inputs are too long to hand to a function; give large values as a file.")
    environment |= {"GANGER_INPUTS": inputs, "GANGER_PYTHON_PATH": orjson.dumps(options.get("path", [])).decode()}
    return Launch([interpreter, "-c", _CALL, arguments[0]], environment)


def _value(request: LaunchRequest, one: InputSpec) -> object:
    folder = f"{request.paths.inputs(request.key)}/{one.name}"
    match one.type:
        case "property":
            return one.value
        case "file":
            return f"{folder}/{one.files[0].file_name}" if one.files else None
        case "files":
            return [f"{folder}/{file.file_name}" for file in one.files]
