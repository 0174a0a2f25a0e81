"""Keys of secrets: what they seal opens with them alone and in its own place, and what is wrong with a key is said."""

from __future__ import annotations

import threading
from pathlib import Path
from secrets import token_urlsafe

import pytest

from scheduler import keyring
from scheduler.errors import SetupError
from scheduler.keyring import KeyMissingError

OLD, NEW = token_urlsafe(32), token_urlsafe(32)


def test_the_first_key_seals_and_every_key_opens() -> None:
    old, both = keyring.parse(OLD, "x"), keyring.parse(f"{NEW},\n {OLD}\n", "x")
    sealed_before, sealed = old.seal("päss", "1/db"), both.seal("päss", "1/db")
    assert sealed_before is not None
    assert sealed is not None
    assert (sealed[0], sealed_before[0]) == (both.keys[0].id, both.keys[1].id)
    assert both.open(*sealed_before, "1/db") == both.open(*sealed, "1/db") == "päss"
    with pytest.raises(KeyMissingError) as missing:
        old.open(*sealed, "1/db")
    assert missing.value.key_id == both.keys[0].id


def test_the_same_text_is_never_sealed_the_same_way_and_does_not_show() -> None:
    ring = keyring.parse(OLD, "x")
    sealed = [ring.seal("the very same", "1/db") for _ in range(20)]
    assert len(set(sealed)) == 20
    assert not [one for one in sealed if one and b"very" in one[1]]


def test_what_is_altered_cut_or_put_in_another_place_does_not_open() -> None:
    ring = keyring.parse(OLD, "x")
    sealed = ring.seal("text", "1/db")
    assert sealed is not None
    key_id, data = sealed
    wrong = [(data, "2/db"), (data, "1/other"), (data[:-1], "1/db"), (b"", "1/db"), (data[:12], "1/db")]
    wrong += [(bytes([*data[:n], data[n] ^ 1, *data[n + 1 :]]), "1/db") for n in range(len(data))]
    for bad, context in wrong:
        with pytest.raises(KeyMissingError):
            ring.open(key_id, bad, context)


def test_without_a_key_nothing_is_sealed() -> None:
    assert keyring.NO_KEYS.seal("text", "1/db") is None
    with pytest.raises(KeyMissingError):
        keyring.NO_KEYS.open("12345678", b"x" * 40, "1/db")


@pytest.mark.parametrize("text", ["", " ,\n", "short", "!" * 43, OLD[:-1], f"{NEW} {OLD}x", "ä" * 43], ids=range(7))
def test_what_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SetupError) as refusal:
        keyring.parse(text, "THE_SETTING")
    assert "THE_SETTING" in str(refusal.value)
    assert not [word for word in text.replace(",", " ").split() if word in str(refusal.value)]


def test_a_ring_shows_no_key() -> None:
    ring = keyring.parse(f"{NEW} {OLD}", "x")
    assert not [word for word in (OLD, NEW) if word in repr(ring) or word in str(ring)]


def test_a_missing_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(keyring.ensure(path).keys[0].id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert set(made) == {keyring.read(path).keys[0].id}
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [one.name for one in path.parent.iterdir()] == ["key"]


def test_a_file_that_is_there_is_taken_at_its_word_and_an_empty_one_is_filled(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{NEW}\n{OLD}\n")
    assert len(keyring.ensure(path).keys) == 2
    path.write_text("")
    assert len(keyring.ensure(path).keys) == 1
    path.write_bytes(b"\xff")
    with pytest.raises(SetupError, match=r"cannot be read: it is no text"):
        keyring.ensure(path)
    with pytest.raises(SetupError, match=r"cannot be read: No such file"):
        keyring.read(tmp_path / "nowhere")
