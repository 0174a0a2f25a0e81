"""Editing a job type as JSON in the user's editor: what can be changed is shown, and what was changed is found."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ganger.documents import JsonObject
from ganger.errors import UsageError

_NOT_CHANGEABLE = frozenset(
    {
        "id", "name", "version", "project", "is_system", "uses_docker", "docker_privileged", "docker_image", "revision_num",
        "created", "archived", "paused", "last_modified",
    }
)  # fmt: skip
"""Fields of a type that say what it is, or follow from others."""


@dataclass(frozen=True, slots=True)
class TypeChanges:
    """What was changed, by field, and the text in which it was."""

    fields: JsonObject
    text: str

    def keep(self) -> Path:
        """Write the text to a file that nobody else can read; return where."""
        handle, name = tempfile.mkstemp(prefix="ganger-type-", suffix=".json")
        with os.fdopen(handle, "w") as file:
            file.write(self.text)
        return Path(name)


def edited(document: JsonObject) -> TypeChanges | None:
    """Let the user edit what can be changed of a type; return what was changed, None for nothing. Raises UsageError."""
    before = {name: value for name, value in document.items() if name not in _NOT_CHANGEABLE}
    text = _in_editor(json.dumps(before, indent=2, ensure_ascii=False) + "\n")
    if not text.strip():
        return None
    try:
        after = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"that is not JSON: {error}; what you wrote is kept in {TypeChanges({}, text).keep()}"
        ) from error
    if not isinstance(after, dict):
        raise UsageError("a job type is a JSON object")
    changes = {name: value for name, value in after.items() if name not in before or before[name] != value}
    gone = sorted(set(before) - set(after))
    if gone:
        kept = TypeChanges({}, text).keep()
        raise UsageError(
            f"a field is changed, not taken out: {', '.join(gone)}; null takes a limit away. What you wrote is kept in {kept}"
        )
    return TypeChanges(changes, text) if changes else None


def _in_editor(text: str) -> str:
    """Return a text as the user's editor leaves it. Raises UsageError if there is no editor, or it fails."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="ganger-") as folder:
        path = Path(folder) / "type.json"
        path.write_text(text)
        try:
            status = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
        except OSError as error:
            raise UsageError(f"the editor {editor!r} cannot be started ({error.strerror}); set EDITOR") from error
        if status != 0:
            raise UsageError(f"the editor {editor!r} ended with status {status}; nothing was changed")
        return path.read_text()
