"""Each execution has a user and devices to itself, also over a new life of the agent."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from scheduler.identifiers import Epoch
from tests.support.keys import FIRST, a_key
from tests.support.node import World, a_spec
from workers import commands
from workers.agent.slots import ExecutionSlot, PositionFile, SlotAllocator
from workers.events import PlacementsReceived
from workers.machine import gpus

SMI = """#!/bin/sh
[ "$1" = "--query-gpu=index,name,memory.total" ] || exit 9
echo "0, NVIDIA A100-SXM4-40GB, 40960"
echo "1, NVIDIA A100-SXM4-80GB, 81920"
"""


def test_users_differ_and_the_one_freed_longest_ago_comes_back_first() -> None:
    slots = SlotAllocator((7, 7), (100, 4))
    assert [slots.allocate(a_key(n, 1)).user for n in range(4)] == [(100 + n, 100 + n) for n in range(4)]
    for n in (3, 1, 0):
        slots.free(a_key(n, 1))
    assert [slots.allocate(a_key(n, 2)).user for n in range(2)] == [(103, 103), (101, 101)]


def test_no_two_executions_share_a_user_and_a_node_claims_no_more_than_it_has_users_for() -> None:
    slots = SlotAllocator((7, 7), (100, 1))
    slots.allocate(FIRST)
    assert slots.is_exhausted(0)
    with pytest.raises(IndexError):
        slots.allocate(a_key(2, 1))
    world = World(slots=(100, 2)).up()
    world.tell(PlacementsReceived(world.machine.epoch or Epoch(0), [a_key(n, 1) for n in range(3)]))
    assert len(world.all(commands.SendClaim)) == 2


def test_the_turn_of_user_ids_goes_on_in_the_next_life(tmp_path: Path) -> None:
    file = PositionFile(tmp_path)
    slots = SlotAllocator(None, (0, 1000), position=file.read())
    given = [slots.allocate(FIRST).user]
    file.write(slots.new_reserve() or 0)
    assert slots.new_reserve() is None
    again = SlotAllocator(None, (0, 1000), position=PositionFile(tmp_path).read())
    assert again.allocate(a_key(2, 1)).user not in given
    file.write(1234567)
    assert SlotAllocator(None, (0, 1000), position=file.read()).allocate(FIRST).user == (567, 567)


def test_asking_again_gives_the_same_and_freeing_may_be_repeated() -> None:
    slots = SlotAllocator(None, (100, 2), ("0",))
    assert slots.allocate(FIRST, 500) == slots.allocate(FIRST) == ExecutionSlot((100, 100), ("0",))
    for _ in range(2):
        slots.free(FIRST)
    assert {slots.allocate(a_key(n, 2)).user for n in range(2)} == {(100, 100), (101, 101)}


def test_devices_are_whole_and_no_two_jobs_have_the_same() -> None:
    slots = SlotAllocator(None, None, ("0", "1", "2"))
    assert slots.allocate(FIRST, 2000).gpus == ("0", "1")
    assert slots.allocate(a_key(2, 1)).gpus == ()
    assert slots.allocate(a_key(3, 1), 500).gpus == ("2",)
    slots.free(FIRST)
    assert slots.allocate(a_key(4, 1), 1000).gpus == ("0",)


def test_what_an_earlier_life_gave_away_is_not_given_again() -> None:
    slots = SlotAllocator(None, (100, 3), ("0", "1"))
    slots.restore(FIRST, ExecutionSlot((101, 101), ("0",)))
    assert slots.allocate(a_key(2, 1), 1000) == ExecutionSlot((100, 100), ("1",))
    assert slots.allocate(a_key(3, 1), 1000) == ExecutionSlot((102, 102), ())


def test_a_restarted_core_knows_whose_is_whose() -> None:
    world = World(slots=(100, 2)).up()
    world.grant(a_spec(FIRST))
    world.staged(FIRST)
    again = world.reborn().up(runs=[(FIRST, "job")])
    again.grant(a_spec(a_key(2, 1)))
    assert again.all(commands.StageInputs)[-1].uid == 101


def test_nvidia_smi_is_believed(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found = gpus.list_gpus(f"{tmp_path}:/usr/bin:/bin")
    assert [gpu.index for gpu in found] == ["0", "1"]
    assert gpus.labels(found) == {"gpu.model": "NVIDIA-A100-SXM4-40GB", "gpu.mem_mib": "40960", "gpu.count": "2"}
    assert gpus.environment(("1",))["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho 'No devices were found'\n", "#!/no/such\n"])
def test_an_nvidia_smi_without_devices_means_none(tmp_path: Path, script: str) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(script)
    program.chmod(0o755)
    assert gpus.list_gpus(str(tmp_path) + ":/bin") == []
    assert gpus.labels([]) == {}
