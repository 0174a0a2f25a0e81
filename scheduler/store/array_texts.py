"""Arrays of texts and of whole numbers as PostgreSQL reads them, made in one go.

The driver makes them element by element, and looks at each character that it has to escape: a JSON document of a report took it
longer than all else that the API does with that report.
"""

from __future__ import annotations

from types import NoneType
from typing import Any

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper

_TEXTS = ({str}, {str, NoneType})


class PlainListDumper(ListDumper):
    """Dumps a flat list of texts, some of them None perhaps, or of whole numbers; the driver's own way takes all others."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """Return the array as text. Raises what the driver raises for the same list."""
        kinds = set(map(type, obj))
        if kinds == {int}:
            return f"{{{','.join(map(str, obj))}}}".encode()
        if kinds in _TEXTS:
            quoted = ",".join(["NULL" if one is None else f'"{_escaped(one)}"' for one in obj])
            if "\0" not in quoted:  # which the driver refuses, and says so
                return f"{{{quoted}}}".encode()
        return super().dump(obj)


def register(connection: Connection[Any]) -> None:
    """Let a connection, which speaks UTF-8, send lists so."""
    if connection.info.encoding == "utf-8":
        connection.adapters.register_dumper(list, PlainListDumper)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
