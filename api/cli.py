"""`ganger`: where the command line begins, and how every command ends. The commands are in `api.commands`.

0 done    1 the job failed, or the answer is no    2 used or set up wrongly    3 the API cannot be reached
4 not found, or refused                            130 interrupted
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

INTERRUPTED = 130


def main() -> None:
    """Run a command and end the process as it ended: one clear line for every failure that can be expected."""
    trouble = _foreign_package()
    if trouble is not None:
        sys.stderr.write(f"ganger: {trouble}\n")
        sys.exit(2)
    # Only now: these import `scheduler`, and must not meet another one.
    from api.commands import failures, program  # noqa: PLC0415

    try:
        program.app(prog_name="ganger")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Who reads us has enough (`ganger jobs | head`). Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        known = failures.verdict(error)
        if known is None:
            raise
        sys.stderr.write(f"ganger: {known.line}\n")
        sys.exit(known.code)


def _foreign_package() -> str | None:
    """Return what to say if another distribution's `scheduler` or `workers` is found before ours; None if all is well."""
    home = Path(__file__).resolve().parents[1]
    for name in ("scheduler", "workers"):
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if found is None or found.parent.parent != home:
            return (
                f"the package {name!r} is found at {found or 'no file'}, which is not Ganger's: another distribution "
                "brings one of this name; install Ganger in a virtual environment of its own"
            )
    return None


if __name__ == "__main__":
    main()
