"""The list that puts blocks together, as clients of block storage send it.

    <?xml version="1.0" encoding="utf-8"?>
    <BlockList><Latest>MDAw...</Latest><Latest>MDAx...</Latest></BlockList>

The words `Latest`, `Uncommitted` and `Committed` mean the same here: a block of this name that has come. A document type is refused,
so no entity is ever expanded.
"""

from __future__ import annotations

from xml.parsers import expat

from scheduler.errors import InvalidInput
from scheduler.uploads.content import MAX_BLOCK_NAME, MOST_BLOCKS

MAX_BYTES = 16 * 1024 * 1024
"""Of a list: the most blocks there may be, with long names."""

_ROOT = "BlockList"
_ENTRIES = frozenset({"Latest", "Uncommitted", "Committed"})


def read(body: bytes) -> list[str]:
    """Return the names of the blocks, in order. Raises InvalidInput for what is no such list."""
    reader = _BlockListReader()
    try:
        reader.parser.Parse(body, True)  # noqa: FBT003 - the parser's own way of saying that this is all
    except expat.ExpatError as error:
        raise InvalidInput(f"the block list is not XML: {error}") from None
    except (LookupError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the block list cannot be read: {error}") from None
    return reader.names


class _BlockListReader:
    """Collects names while the parser goes through a list."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._open: list[str] = []
        self._text = ""
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take

    def _refuse(self, *_: object) -> None:
        raise InvalidInput("a block list has no document type")

    def _begin(self, name: str, _attributes: object) -> None:
        expected = name == _ROOT if not self._open else len(self._open) == 1 and name in _ENTRIES
        if not expected:
            raise InvalidInput(
                f"a block list is <BlockList> with <Latest>, <Uncommitted> or <Committed>; not <{name[:40]}>"
            )
        self._open.append(name)
        self._text = ""

    def _end(self, _name: str) -> None:
        if self._open.pop() != _ROOT:
            self.names.append(self._text.strip())
            if len(self.names) > MOST_BLOCKS:
                raise InvalidInput(f"a block list names at most {MOST_BLOCKS} blocks")
        self._text = ""

    def _take(self, text: str) -> None:
        self._text += text
        if len(self._text) > MAX_BLOCK_NAME and self._text.strip():
            raise InvalidInput("a name in the block list is too long")
