"""What the agent knows is not for the processes of its own user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workers.machine import privacy

# The text itself: nobody may be allowed to read this folder.
KEEPER = f"{Path(privacy.__file__).read_text()}\nimport sys; protect(); print('closed', flush=True); sys.stdin.read()\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two processes of somebody else")
def test_another_process_of_the_same_user_cannot_read_the_environment() -> None:
    somebody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "env": {"SECRET": "canary"},
        "cwd": "/",
    }
    with subprocess.Popen(["/usr/bin/env", "python3", "-c", KEEPER], **somebody, **pipes) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"closed\n"
        reader = [sys.executable, "-c", f"print(open('/proc/{keeper.pid}/environ').read())"]
        got = subprocess.run(
            ["/usr/bin/env", "python3", *reader[1:]], **somebody, capture_output=True, check=False, cwd="/"
        )
        keeper.communicate()
    assert b"canary" not in got.stdout
    assert b"PermissionError" in got.stderr
