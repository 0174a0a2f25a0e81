"""The command runner: an argument list with values filled in, or, if the job type says so, a line for /bin/sh."""

from __future__ import annotations

from workers.runners import substitution
from workers.runners.launch import Launch, LaunchRefused, LaunchRequest


def launch(request: LaunchRequest) -> Launch:
    """Return the program. Raises LaunchRefused.

    With `shell` nothing is filled into the line itself: inputs are the variables `GANGER_INPUT_<NAME>`. The words that
    follow the line become its `$1`, `$2`, …, with values filled in as in any argument.
    """
    arguments, environment = request.arguments, request.environment()
    if not arguments:
        raise LaunchRefused("The command is empty.")
    try:
        if not request.spec.commands.shell:
            return Launch(substitution.fill(arguments, request.values()), environment)
        words = substitution.fill(arguments[1:], request.values())
    except substitution.UnknownValue as unknown:
        raise LaunchRefused(str(unknown)) from unknown
    return Launch(["/bin/sh", "-c", arguments[0], "sh", *words], {**environment, **request.variables()})
