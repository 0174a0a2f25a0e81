"""Secrets: values of a project that its jobs get as files. A value can be set, and is never shown again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from ganger import paging
from ganger.records import Record
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class SecretsEndpoint:
    """The secrets of projects."""

    _transport: Transport

    def list(self, project: str) -> Iterator[Record]:
        """Yield the names of a project's secrets with the times when they were set, page by page. Raises NotFound."""
        return paging.every(self._transport, Record, _secrets(project), ())

    def set(self, project: str, name: str, value: str) -> None:
        """Set a secret, new or anew. Raises NotFound, InvalidRequest."""
        self._transport.send(Call("POST", _secrets(project), body={"name": name, "value": value}, repeatable=True))

    def remove(self, project: str, name: str) -> None:
        """Delete a secret; jobs that name it fail from now on. Raises NotFound."""
        self._transport.send(Call("DELETE", f"{_secrets(project)}{quote(name, safe='')}/", repeatable=False))


def _secrets(project: str) -> str:
    return f"/admin/projects/{quote(project, safe='')}/secrets/"
