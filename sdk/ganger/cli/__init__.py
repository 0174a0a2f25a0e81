"""`ganger`: where the command line begins, and how every command ends.

0 done    1 the job failed, or the answer is no    2 used or set up wrongly    3 the API cannot be reached
4 not found, or refused                            70 a fault of Ganger's own  130 interrupted
"""

from __future__ import annotations

import importlib.util
import os
import sys

MISSING = "the command line needs two more packages: pip install 'ganger[cli]'"
INTERRUPTED = 130


def main() -> None:
    """Run a command and end the process as it ended: one clear line for every failure."""
    if importlib.util.find_spec("typer") is None or importlib.util.find_spec("rich") is None:
        sys.stderr.write(f"ganger: {MISSING}\n")
        sys.exit(2)
    try:
        if not os.environ.get("TERMINAL_WIDTH", "1").isdecimal():
            del os.environ["TERMINAL_WIDTH"]  # Typer would stop at it
        # Only now: without typer these cannot be imported.
        from ganger.cli import ending  # noqa: PLC0415

        code = ending.run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)
