"""The README as a newcomer runs it: its shell and Python blocks, line by line as written, on a new installation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installation import Installation

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = {
    "./run demo": "tests/journeys/test_demo.py runs the demo, and this is the suite",
    "./run up": "the fixture is `ganger up`; tests/unit/test_run_script.py starts it by ./run",
    ". .venv/bin/activate": "the environment of the tests is active",
}
"""Lines, and blocks that begin with them, which are not run here, and why."""


def blocks() -> list[tuple[str, str]]:
    """Return language and text of each block to run; lines of NOT_RUN are taken out."""
    found = []
    for language, text in BLOCK.findall((ROOT / "README.md").read_text()):
        lines = [line for line in text.splitlines() if not any(line.startswith(start) for start in NOT_RUN)]
        if language == "python" or lines[:1] != ["./run test     # all tests"]:
            found.append((language, "\n".join(lines)))
    return [(language, text) for language, text in found if text.strip()]


def strict(text: str) -> str:
    """Return the block as a script that ends at the first line that fails; one that prints its own status may fail."""
    lines = [
        f"{{ {line.partition('  # ')[0]}; }} || true" if "; echo $?" in line else line for line in text.splitlines()
    ]
    return "\n".join(["set -e", "alias curl='curl --fail-with-body'", *lines])


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the README says that its lines over HTTP need curl")
def test_every_line_works_as_written(installation: Installation) -> None:
    """Job ids in the text are those of a new installation, so all blocks run in order on one."""
    environment = {**os.environ, "GANGER_STATE_DIR": str(installation.root)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for name in ("GANGER_URL", "GANGER_TOKEN", "GANGER_TOKEN_FILE", "GANGER_API_URL"):
        environment.pop(name, None)
    languages = []
    for language, text in blocks():
        languages.append(language)
        command = [sys.executable, "-c", text]
        if language == "sh":
            command = ["bash", "-O", "expand_aliases", "-c", strict(text)]
        told = subprocess.run(
            command, env=environment, cwd=installation.root, capture_output=True, text=True, timeout=200, check=False
        )
        assert told.returncode == 0, f"{text}\n{told.stdout}\n{told.stderr}"
    assert languages == ["sh", "sh", "python"]
    assert installation.job(15)["status"] == "CANCELED"
