"""The program as one text, in which it travels with the job types: its package as a zip file, deflated as a whole, in base64.

The same sources make the same text, so that a job type gets a new revision only where its program has changed.
"""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from pathlib import Path

_NO_TIME = (1980, 1, 1, 0, 0, 0)


def program() -> str:
    """Return this package as a text."""
    folder = Path(__file__).parent
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "workers/__init__.py", b"")
        for path in sorted(folder.rglob("*.py")):
            _add(archive, f"workers/{folder.name}/{path.relative_to(folder)}", path.read_bytes())
    return base64.b64encode(zlib.compress(held.getvalue(), 9)).decode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _NO_TIME), content)
