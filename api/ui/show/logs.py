"""What programs print, as plain text: progress bars folded to what they last said, colours and other control sequences left out."""

from __future__ import annotations

import re

from api.ui.show.formats import plain

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
MOST_IN_LINE = 10_000


def readable(text: str) -> str:
    """Return output for people: what a terminal would have left standing of each line, without colours."""
    return "\n".join(line(one) for one in text.split("\n"))


def line(text: str) -> str:
    """Return one line as a terminal would have left it; what is too long is cut."""
    bare = _ESCAPE.sub("", text).rstrip("\r")
    last = bare.rsplit("\r", 1)[-1]
    shown = "\t".join(plain(part) for part in last.split("\t"))
    return (
        shown
        if len(shown) <= MOST_IN_LINE
        else f"{shown[:MOST_IN_LINE]} … ({len(shown) - MOST_IN_LINE:,} more letters)"
    )
