"""`ganger`: where the command line begins, and how every command ends.

0 done    1 the job failed, or the answer is no    2 used or set up wrongly    3 the API cannot be reached
4 not found, or refused                            130 interrupted
"""

from __future__ import annotations

import importlib.util
import os
import sys

MISSING = "the command line needs two more packages: pip install 'ganger[cli]'"


def main() -> None:
    """Run a command and end the process as it ended: one clear line for every failure that can be expected."""
    if importlib.util.find_spec("typer") is None or importlib.util.find_spec("rich") is None:
        sys.stderr.write(f"ganger: {MISSING}\n")
        sys.exit(2)
    # Only now: without typer these cannot be imported.
    from ganger.cli import failures, program  # noqa: PLC0415

    try:
        program.app(prog_name="ganger")
    except KeyboardInterrupt:
        sys.exit(failures.INTERRUPTED)
    except BrokenPipeError:
        # The program that reads our output has enough (`ganger jobs | head`). Python would complain when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        known = failures.verdict(error)
        if known is None:
            raise
        sys.stderr.write(f"ganger: {known.line}\n")
        sys.exit(known.code)
