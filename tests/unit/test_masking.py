"""Secrets become stars wherever they stand, however they are cut into pieces, and in time that grows with the output alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.keys import FIRST
from workers.output import masking
from workers.output.masking import SecretMask
from workers.paths import Paths

WORDS = st.lists(st.binary(min_size=1, max_size=6).map(lambda word: bytes(b"ab"[one % 2] for one in word)), min_size=1)
TEXTS = st.text("abc", max_size=60).map(str.encode)


def found(words: list[bytes], text: bytes) -> bytes:
    """Return the text with every occurrence of every word as stars, also where they overlap."""
    hidden = bytearray(text)
    for word in words:
        for at in range(len(text) - len(word) + 1):
            if text.startswith(word, at):
                hidden[at : at + len(word)] = b"*" * len(word)
    return bytes(hidden)


@given(WORDS.map(lambda words: [*words, *(b"xyz%d" % number for number in range(20))]), TEXTS)
def test_every_byte_of_every_secret_is_hidden_and_nothing_else(words: list[bytes], text: bytes) -> None:
    assert SecretMask(words).hide(text) == found(words, text)


@given(WORDS, TEXTS)
def test_a_few_secrets_are_hidden_as_well_and_nothing_else_is(words: list[bytes], text: bytes) -> None:
    assert SecretMask(words[:5]).hide(text) == found(words[:5], text)


@given(WORDS, TEXTS)
def test_the_possible_beginning_of_a_secret_at_the_end_is_known(words: list[bytes], text: bytes) -> None:
    lengths = [n for word in words for n in range(1, len(word)) if text.endswith(word[:n])]
    assert SecretMask(words).unsure(text) == max(lengths, default=0)


@pytest.mark.parametrize("words", [[b"a" * 65_536 + b"b"], [b"a" * 60_000 + b"%d" % number for number in range(3)], [b"a" * 255 + b"b", b"a" * 256],
                                   [b"a" * number + b"b" for number in range(8, 400)]])  # fmt: skip
def test_no_output_is_slow_to_mask(words: list[bytes]) -> None:
    """Looking anew at each place, or at each end, would take hours."""
    mask, piece, began = SecretMask(words), b"a" * (256 << 10), time.monotonic()
    mask.hide(piece)
    mask.unsure(piece)
    assert time.monotonic() - began < 60


def test_reading_secrets_neither_waits_nor_follows_what_a_job_left_among_them(tmp_path: Path) -> None:
    """Where jobs run as the node's own user, the folder is theirs as well."""
    paths = Paths(str(tmp_path), "/l", str(tmp_path))
    folder = Path(paths.secrets(FIRST))
    folder.mkdir(parents=True)
    (folder / "real").write_bytes(b"a secret")
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("/etc/passwd")
    with (folder / "huge").open("wb") as file:
        file.truncate(1 << 40)
    mask = masking.read(FIRST, paths)
    assert mask is not None
    assert mask.hide(b"it is a secret: root") == b"it is ********: root"
