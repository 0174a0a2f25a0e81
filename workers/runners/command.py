"""Runs a command: an argument list with values put in, or, where the job type says so, one line for /bin/sh."""

from __future__ import annotations

from workers.runners import substitution
from workers.runners.launch import Launch, LaunchRefused, LaunchRequest


def launch(order: LaunchRequest) -> Launch:
    """Return the program. With `shell` the line itself is never substituted: inputs come as `GANGER_INPUT_<NAME>`.

    Further words after a shell line become its `$1`, `$2`, …, substituted like any argument. Raises LaunchRefused.
    """
    arguments, environment = order.arguments, order.environment()
    if not arguments:
        raise LaunchRefused("The command is empty.")
    try:
        if not order.spec.commands.shell:
            return Launch(substitution.fill(arguments, order.values()), environment)
        words = substitution.fill(arguments[1:], order.values())
    except substitution.UnknownName as unknown:
        raise LaunchRefused(str(unknown)) from unknown
    return Launch(["/bin/sh", "-c", arguments[0], "sh", *words], {**environment, **order.variables()})
