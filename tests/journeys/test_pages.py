"""The pages for readers as a newcomer runs them: every shell and Python block, as written, in order, on one installation."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import pages
from tests.support.installation import Installation
from tests.support.servers import state_folder

FOREIGN = ("GANGER_URL", "GANGER_TOKEN", "GANGER_TOKEN_FILE", "GANGER_API_URL")


@pytest.fixture
def two_nodes() -> Iterator[Installation]:
    """A new installation, whose ids begin at 1."""
    with state_folder() as root:
        made = Installation(root, cpus=4, nodes=2).start()
        yield made
        if made.process is not None and made.process.poll() is None:
            assert made.stop() == 0
        assert made.left() == []


@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages say that their lines over HTTP need curl")
def test_every_line_of_the_pages_works_as_written(two_nodes: Installation, tmp_path: Path) -> None:
    host = socket.gethostname()
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment |= {
        "GANGER_STATE_DIR": str(two_nodes.root),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ROOT": str(checkout(tmp_path / "a clone")),
        "NODE": host,
        "OTHER": f"{host}-2",
    }
    for page in pages.PAGES:
        told = subprocess.run(
            ["bash", "-c", pages.script(pages.blocks(page))],
            env=environment,
            cwd=environment["ROOT"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert told.returncode == 0, f"{page}\n{told.stdout[-3000:]}\n{told.stderr[-3000:]}"


def checkout(folder: Path) -> Path:
    """A place with the project's files where the lines may write; its name has a space."""
    for name in ("deploy/examples", "deploy/prometheus"):
        shutil.copytree(pages.ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    return folder
