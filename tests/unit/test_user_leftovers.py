"""A user id does not come round again while a process, a file or a segment of it is left outside of its directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.identifiers import Epoch
from tests.support.keys import a_key
from tests.support.node import World
from tests.support.servers import state_folder
from workers import commands
from workers.agent.slots import SlotAllocator
from workers.events import PlacementsReceived, SlotsWithheld, Tick
from workers.machine import user_leftovers

UID = 0x7ABCDE00
SEGMENT = """
import ctypes, os, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
ctypes.CDLL(None).shmget(0, 4096, 0o600 | 0o1000)
print("made", flush=True)
sys.stdin.read()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other user ids")


@pytest.fixture
def folder() -> Iterator[Path]:
    with state_folder() as made:
        yield made


@as_root
def test_a_process_and_what_it_leaves_are_seen_and_what_nobody_holds_is_removed(folder: Path) -> None:
    ids, places = range(UID, UID + 10), [str(folder)]
    with subprocess.Popen(
        [sys.executable, "-c", SEGMENT.format(uid=UID)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        file = folder / "left"
        file.mkdir()
        os.chown(file, UID, UID)
        assert user_leftovers.look(ids, places) == {UID: f"process {process.pid}"}
        user_leftovers.clear({UID: ""}, places)
        assert file.exists(), "what belongs to a process that lives may be another node's"
        process.stdin.close()
        process.wait()
    assert user_leftovers.look(ids, places)[UID] == str(file)
    user_leftovers.clear({UID: ""}, places)
    assert user_leftovers.look(ids, places) == {}
    assert not file.exists()


@as_root
def test_what_an_account_of_this_machine_has_is_no_leftover(folder: Path) -> None:
    (folder / "file").touch()
    os.chown(folder / "file", 65534, 65534)
    assert user_leftovers.look([65534, UID + 1], [str(folder)]) == {}


def test_an_id_of_which_something_is_left_is_given_to_nobody_until_that_is_gone() -> None:
    slots = SlotAllocator((7, 7), (100, 2))
    slots.withhold({100})
    assert slots.allocate(a_key(1, 1)).user == (101, 101)
    assert slots.is_exhausted(0)
    assert slots.free_users == {100}
    slots.withhold(())
    assert slots.allocate(a_key(2, 1)).user == (100, 100)


def test_the_node_looks_before_ids_come_round_and_again_for_what_it_withholds() -> None:
    world = World(slots=(100, 4)).up()
    world.tell(PlacementsReceived(Epoch(1), [a_key(1, 1)]))
    world.tell(SlotsWithheld(frozenset({100, 101, 102, 103})))
    world.tell(PlacementsReceived(Epoch(1), [a_key(2, 1)]))
    assert [one.claim.execution_id for one in world.all(commands.SendClaim)] == [1]
    world.tell(Tick())
    assert world.all(commands.KeepSlotPosition)[-1].free == {100, 101, 102, 103}
    looks = len(world.all(commands.KeepSlotPosition))
    world.tell(Tick())
    assert len(world.all(commands.KeepSlotPosition)) == looks
    world.tell(SlotsWithheld(frozenset()))
    world.tell(PlacementsReceived(Epoch(1), [a_key(2, 1)]))
    assert [one.claim.execution_id for one in world.all(commands.SendClaim)] == [1, 2]
