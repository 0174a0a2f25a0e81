"""Puts a provider's programs where the servers' account can run them.

An ordinary user runs them in place. Root's servers run as another account, which may not reach a virtual environment
under /root; so they run from a copy in the state folder. The copy belongs to root and is read-only to the servers, and
an upgrade of the environment does not pull the programs from under a running server.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from api.up.embedded.providers import Provider
from api.up.embedded.state import StateFolder

# Needed to build against PostgreSQL, not to run it: a third of the wheel.
SUPERFLUOUS = shutil.ignore_patterns("*.a", "include", "__pycache__", "*.py", "*.pyi", "pkgconfig")


def runnable(provider: Provider, folder: StateFolder) -> Path:
    """Return the server program to start; copies the provider's trees on first use, safe to repeat."""
    if folder.account is None or not provider.trees:
        return provider.program
    home = folder.servers / "programs" / provider.label
    if not home.is_dir():
        _copy(provider.trees, home)
    anchor = provider.trees[0].parent
    return home / provider.program.relative_to(anchor)


def _copy(trees: tuple[Path, ...], home: Path) -> None:
    """Copy under another name first, so that a copy that was broken off is never taken for a whole one."""
    home.parent.mkdir(exist_ok=True)
    home.parent.chmod(0o755)
    draft = Path(tempfile.mkdtemp(dir=home.parent, prefix=f".{home.name}."))
    try:
        for tree in trees:
            shutil.copytree(tree, draft / tree.name, ignore=SUPERFLUOUS, symlinks=True)
        _open_to_readers(draft)
        draft.replace(home)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _open_to_readers(top: Path) -> None:
    """The copy carries no secrets; whatever the umask at installation was, the servers' account must read it."""
    for folder, _, files in os.walk(top):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
