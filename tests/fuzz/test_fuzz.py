"""Fuzzing with budgets: every hostile input is read or refused, each within its time and memory.

The suite tries a few dozen of each kind, beside all of the corpus; `./run fuzz` tries thousands. What breaks a target is written into
its corpus (`corpus/*.jsonl`, one JSON text of bytes as latin-1 a line), where it stays once the fault is mended.
"""

from __future__ import annotations

import faulthandler
import json
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import requests
from tests.fuzz.targets import TARGETS
from tests.support.api import Api

CORPUS = Path(__file__).with_name("corpus")
EXAMPLES = int(os.environ.get("GANGER_FUZZ_EXAMPLES", "40"))
MOST_S = 10.0
"""An input that takes longer would, made a little larger, take for ever."""
MOST_BYTES = 64 * 1024 * 1024
HANG_S = 300
"""A target that never comes back ends the process with a trace of where it is: nothing else can end a regular expression."""

BUDGET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    derandomize="GANGER_FUZZ_EXAMPLES" not in os.environ,
)


def corpus(name: str) -> list[bytes]:
    file = CORPUS / f"{name}.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line).encode("latin-1") for line in lines if line.strip()]


@contextmanager
def bounded(name: str, data: bytes) -> Iterator[None]:
    """Hold one input to its time and memory; keep it if it breaks something."""
    faulthandler.dump_traceback_later(HANG_S, exit=True, file=2)
    tracemalloc.start()
    began = time.monotonic()
    try:
        yield
        took, used = time.monotonic() - began, tracemalloc.get_traced_memory()[1]
        assert took < MOST_S, f"{took:.1f} s for {len(data)} bytes"
        assert used < MOST_BYTES, f"{used} bytes of memory for {len(data)} bytes"
    except BaseException:
        if data not in corpus(name):
            with (CORPUS / f"{name}.jsonl").open("a") as file:
                file.write(json.dumps(data.decode("latin-1")) + "\n")
        raise
    finally:
        tracemalloc.stop()
        faulthandler.cancel_dump_traceback_later()


def mutated(name: str) -> st.SearchStrategy[bytes]:
    """Inputs of the corpus with pieces of theirs repeated, cut, exchanged and put into each other, and bytes of any kind."""
    seeds = corpus(name) or [b""]
    pieces = st.one_of(
        st.sampled_from(seeds),
        st.binary(max_size=40),
        st.sampled_from([b"{", b"[", b'"', b"%", b"&", b"=", b";", b",", b"-", b"9" * 30]),
    )
    return st.one_of(
        st.binary(max_size=200),
        st.lists(pieces, max_size=6).map(b"".join),
        st.builds(_spliced, st.sampled_from(seeds), st.sampled_from(seeds), st.integers(0, 200), st.integers(0, 200)),
        st.builds(lambda seed, at, piece, times: seed[:at] + piece * times + seed[at:], st.sampled_from(seeds), st.integers(0, 200), pieces, st.integers(1, 300)),
    )  # fmt: skip


def _spliced(one: bytes, other: bytes, until: int, start: int) -> bytes:
    return one[:until] + other[start:]


@pytest.mark.parametrize("name", TARGETS)
def test_a_hostile_input_is_read_or_refused_in_time(name: str) -> None:
    def attempt(data: bytes) -> None:
        with bounded(name, data):
            TARGETS[name](data)

    _tried(name, attempt)


@pytest.mark.parametrize("name", requests.SENDERS)
def test_a_hostile_request_is_answered_in_time_and_never_with_a_500(api: Api, name: str) -> None:
    made = api.send("POST", "/files/", b"content", query={"file_name": "f"}, content_type="application/octet-stream")
    assert made.status_code == 201

    def attempt(data: bytes) -> None:
        with bounded(name, data):
            answer: Any = requests.SENDERS[name](api, data)
            assert answer.status_code < 500, f"{answer.status_code}: {answer.text[:300]}"

    _tried(name, attempt)


def _tried(name: str, attempt: Callable[[bytes], None]) -> None:
    for data in corpus(name):
        attempt(data)
    BUDGET(given(mutated(name))(attempt))()
