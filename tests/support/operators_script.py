"""An operator's own program for the command driver: keeps its nodes as processes, one record each, in STAND_IN_FOLDER."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

FOLDER = Path(__file__).parent if len(sys.argv) < 2 else Path(sys.argv[1])
STAND_IN = [sys.executable, "-c", "import signal; signal.pause()"]


def begin(name: str) -> None:
    words = os.environ["GANGER_WORKER_OPTIONS"]
    process = subprocess.Popen([*STAND_IN, words, name], start_new_session=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    (FOLDER / name).write_text(str(process.pid))


def running(name: str) -> bool:
    try:
        state = Path(f"/proc/{(FOLDER / name).read_text()}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return False
    return state != "Z"


def main() -> None:
    verb, words = sys.argv[2], sys.argv[3:]
    if (FOLDER / ".broken").exists():
        sys.exit("the cloud is down")
    if verb == "start":
        taken = {*os.environ["GANGER_TAKEN"].split(), *(path.name for path in FOLDER.iterdir())}
        fresh = [name for name in (f"cloud-{n}" for n in range(1, 100)) if name not in taken]
        for name in fresh[: int(words[0])]:
            begin(name)
            sys.stdout.write(f"{name}\n")
    elif verb == "revive":
        for name in (name for name in words if not running(name)):
            begin(name)
    elif verb == "retire":
        for name in (name for name in words if (FOLDER / name).exists()):
            with suppress(ProcessLookupError):
                os.kill(int((FOLDER / name).read_text()), signal.SIGKILL)
            (FOLDER / name).unlink()
    elif verb == "list":
        for path in sorted(FOLDER.iterdir()):
            sys.stdout.write(f"{path.name} {'' if running(path.name) else 'gone'}\n")


if __name__ == "__main__":
    main()
