"""The output of commands: tables and colours on a terminal, tab-separated lines in a pipe, JSON on request.

The answer goes to standard output; notes to the person go to standard error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

STYLES = {
    "COMPLETED": "green",
    "RUNNING": "cyan",
    "QUEUED": "yellow",
    "PENDING": "yellow",
    "BLOCKED": "magenta",
    "FAILED": "red",
    "LOST": "red",
    "CANCELED": "bright_black",
    "WITHDRAWN": "bright_black",
}
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
KIB = 1024
_ZONE = {"utc": False}
# All control characters but tab and line feed.
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def terminal() -> bool:
    """Return whether standard output is a terminal, so that a person reads it."""
    return sys.stdout.isatty()


def text(line: str) -> None:
    """Print one line of the answer."""
    _print(visible(line))


def note(line: str) -> None:
    """Print a line that is not part of the answer."""
    print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - this is the place that prints


def progress(line: str, *, is_last: bool) -> None:
    """Show how far something is, in place of the line before where a person reads it; elsewhere only the last line."""
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{visible(line)}", end="\n" if is_last else "", file=sys.stderr, flush=True)  # noqa: T201 - likewise
    elif is_last:
        note(line)


def document(value: object) -> None:
    """Print one JSON document: indented on a terminal, one line in a pipe."""
    _print(_json(value, indent=2 if terminal() else None))


def line(value: object) -> None:
    """Print one line of JSON lines."""
    _print(_json(value))


def compact(value: object) -> str:
    """Return a value as JSON on one line; nothing for null."""
    return "" if value is None else _json(value)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table; in a pipe tab-separated lines without headings. On a terminal `empty` is printed if there are no rows."""
    if not terminal():
        for row in rows:
            text("\t".join(_plain(cell) for cell in row))
        return
    shown = list(rows)
    if not shown:
        note(empty)
        return
    from rich.table import Table  # noqa: PLC0415 - pipes and JSON do without

    table_drawn = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table_drawn.add_column(heading, overflow="fold")
    for row in shown:
        table_drawn.add_row(*(_styled(cell) for cell in row))
    console().print(table_drawn)


def fields(pairs: Mapping[str, object]) -> None:
    """Print names and values, one pair a line; what is None is left out."""
    given = {name: value for name, value in pairs.items() if value is not None}
    if not terminal():
        for name, value in given.items():
            text(f"{name}\t{_plain(value)}")
        return
    width = max(map(len, given), default=0)
    for name, value in given.items():
        console().print(f"[bold]{name:<{width}}[/]  {_styled(value)}", highlight=False)


def heading(text: str) -> None:
    """Print a heading between parts of an answer, on a terminal only."""
    if terminal():
        console().print(f"\n[bold underline]{text}[/]")


def console(*, stderr: bool = False) -> Console:
    """Return a console of rich."""
    from rich.console import Console  # noqa: PLC0415 - pipes and JSON do without

    return Console(stderr=stderr)


def status(word: str) -> str:
    """Return a status in its colour, for rich."""
    style = STYLES.get(word)
    return f"[{style}]{word}[/]" if style else escape(word)


def escape(text: str) -> str:
    """Return text that rich prints as it is."""
    return text.replace("\\", "\\\\").replace("[", "\\[")


def duration(seconds: float | None) -> str:
    """Return a length of time with the units that a person would use."""
    if seconds is None:
        return ""
    if seconds < 10:  # noqa: PLR2004 - two digits are what a person reads
        return f"{seconds:.2f} s"
    if seconds < MINUTE_S * 2:
        return f"{seconds:.0f} s"
    whole = int(seconds)
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min {whole % MINUTE_S} s"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"
    return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S} h"


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from start to end, to now if it has not ended; None if it has not started."""
    return None if start is None else ((end or datetime.now(UTC)) - start).total_seconds()


def size(count: float | None) -> str:
    """Return a number of bytes with the unit that a person would use."""
    if count is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < KIB:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KIB
    return f"{count:.1f} TiB"


def kept(rows: Iterable[T], where: list[T]) -> Iterator[T]:
    """Yield rows as they come, and add each to a list."""
    for row in rows:
        where.append(row)
        yield row


def use_utc(*, wanted: bool) -> bool:
    """Show all times of this process in UTC if it is wanted; returns whether it is."""
    _ZONE["utc"] = wanted
    return wanted


def moment(when: datetime | None) -> str:
    """Return a time in this machine's zone, or in UTC if that was asked for, and say which zone it is."""
    if when is None:
        return ""
    shown = when.astimezone(UTC if _ZONE["utc"] else None)
    zone = shown.strftime("%z")
    return f"{shown:%Y-%m-%d %H:%M:%S} " + ("UTC" if zone == "+0000" else f"{zone[:3]}:{zone[3:5]}")


def many(count: int, thing: str) -> str:
    """Return a number of things in words: `1 node`, `2 nodes`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def number(value: float | None) -> str:
    """Return an amount without needless decimals."""
    return "" if value is None else f"{value:g}"


def visible(text: str) -> str:
    """Return text without characters that command a terminal: names come from other people, too."""
    return _COMMANDS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _print(line: str) -> None:
    print(line)  # noqa: T201 - likewise


def _json(value: object, indent: int | None = None) -> str:
    """Return JSON with the characters as they are, escaped where the output cannot hold them: it stays JSON."""
    written = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    try:
        written.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, default=str)
    return written


def _plain(cell: object) -> str:
    return visible(" ".join(str(cell).split())) if cell is not None else ""


def _styled(cell: object) -> str:
    text = "" if cell is None else visible(str(cell))
    return status(text) if text in STYLES else escape(text)
