"""Problems: what is wrong with a request or with a file that somebody uploaded, in a sentence for people."""

from __future__ import annotations


class BlockModelProblem(Exception):
    """The work cannot be done because of what was asked for or uploaded; `title` names the kind, str() is the sentence."""

    def __init__(self, title: str, detail: str) -> None:
        super().__init__(detail)
        self.title = title


class CellProblem(Exception):
    """One value of a column does not fit; `offset` counts within the batch, str() says what is wrong with the value."""

    def __init__(self, offset: int, detail: str) -> None:
        super().__init__(detail)
        self.offset = offset


def shown(value: object) -> str:
    """Return a value as a message shows it: quoted, and not longer than a line."""
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")  # noqa: PLR2004 - what fits in a sentence
