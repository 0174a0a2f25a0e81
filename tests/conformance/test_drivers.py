"""What every driver promises, proved on real processes, a real sshd, and a served stand-in for Kubernetes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from scheduler.errors import SetupError
from scheduler.pools.drivers.command import CommandDriver
from scheduler.pools.drivers.context import DriverContext
from scheduler.pools.drivers.driver import Driver, DriverTrouble, NodeTemplate
from scheduler.pools.drivers.kubernetes import KubernetesServer, PodDriver, StatefulSetDriver
from scheduler.pools.drivers.local import LocalDriver
from scheduler.pools.drivers.registry import DriverRegistry, read
from scheduler.pools.drivers.ssh import RemoteHost, SshDriver
from scheduler.rules.cluster.resources import Resources
from tests.support import operators_script
from tests.support.served_kubernetes import served_kubernetes
from tests.support.sshd import missing, sshd

STAND_IN = [sys.executable, "-c", "import signal; signal.pause()"]
TEMPLATE = NodeTemplate("night", Resources.of(cpus="1.5", mem=512, disk=100, custom={"gpu": 1}), {"zone": "a b"})
WITHIN_S = 20.0


@dataclass
class Bench:
    """One kind of driver under test. `make` makes a new object for the same place, as a restarted scheduler does."""

    make: Callable[[], Driver]
    taken: set[str] = field(default_factory=set)
    kill: Callable[[str], None] | None = None
    break_it: Callable[[], None] | None = None
    mend: Callable[[], None] | None = None
    told: Callable[[str], list[str]] | None = None
    tokens: Path | None = None


def context(folder: Path, taken: set[str]) -> DriverContext:
    tokens = folder / "tokens"
    tokens.mkdir(exist_ok=True)

    def token_for(name: str) -> Path:
        (tokens / name).write_text("gn_secret-of-" + name)
        return tokens / name

    def drop(name: str) -> None:
        (tokens / name).unlink(missing_ok=True)

    return DriverContext("http://127.0.0.1:1", "redis://:word@127.0.0.1:2/0", folder, token_for, drop, lambda: taken)


def local(stack: ExitStack, folder: Path) -> Bench:
    taken: set[str] = set()
    return Bench(
        lambda: LocalDriver("night", context(folder, taken), STAND_IN),
        taken,
        kill=lambda name: _kill(str(folder / "nodes" / name)),
        told=lambda name: _words(str(folder / "nodes" / name)),
        tokens=folder / "tokens",
    )


def ssh(stack: ExitStack, folder: Path) -> Bench:
    if reason := missing():
        pytest.skip(f"NOT TESTED: {reason}")
    server = stack.enter_context(sshd(folder))
    taken: set[str] = set()
    hosts, program = [RemoteHost(server.address, "left", 4)], list(server.ssh)
    place = program.index("-p") + 1
    root = folder / "remote"

    def make() -> Driver:
        return SshDriver("night", context(folder, taken), hosts, ssh=program, ganger=STAND_IN, folder=str(root))

    return Bench(
        make,
        taken,
        kill=lambda name: _kill(str(root / "night" / name / "node")),
        break_it=lambda: program.__setitem__(place, "1"),
        mend=lambda: program.__setitem__(place, server.ssh[place]),
        told=lambda name: _words(str(root / "night" / name / "node")),
        tokens=folder / "tokens",
    )


def command(stack: ExitStack, folder: Path) -> Bench:
    records, taken = folder / "records", set[str]()
    records.mkdir()
    argv = [sys.executable, operators_script.__file__, str(records)]
    return Bench(
        lambda: CommandDriver("night", context(folder, taken), argv),
        taken,
        kill=lambda name: os.kill(int((records / name).read_text()), signal.SIGKILL),
        break_it=(records / ".broken").touch,
        mend=lambda: (records / ".broken").unlink(missing_ok=True),
        told=lambda name: psutil.Process(int((records / name).read_text())).cmdline()[3].split(),
    )


def statefulset(stack: ExitStack, folder: Path) -> Bench:
    cluster = stack.enter_context(served_kubernetes())
    (folder / "token").write_text(cluster.token + "\n")
    server = KubernetesServer(cluster.url, "jobs", folder / "token")
    return Bench(lambda: StatefulSetDriver(server, "ganger-worker"), break_it=lambda: setattr(cluster, "broken", True))


def pods(stack: ExitStack, folder: Path) -> Bench:
    cluster = stack.enter_context(served_kubernetes())
    (folder / "token").write_text(cluster.token + "\n")
    server = KubernetesServer(cluster.url, "jobs", folder / "token")
    return Bench(lambda: PodDriver(server, "night", "ganger-node"), break_it=lambda: setattr(cluster, "broken", True))


@pytest.fixture(params=[local, ssh, command, statefulset, pods], ids=lambda make: make.__name__)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        made: Bench = request.param(stack, tmp_path)
        yield made
        if made.mend is not None:
            made.mend()
        try:
            driver = made.make()
            driver.retire([instance.name for instance in driver.listing().instances])
        except DriverTrouble:
            return  # the test broke it on purpose, and nothing real is behind it


def listed(driver: Driver) -> dict[str, bool]:
    return {instance.name: instance.running for instance in driver.listing().instances}


def test_what_is_started_is_listed_and_what_is_retired_is_gone(bench: Bench) -> None:
    driver = bench.make()
    assert driver.starts
    names = driver.start(2, TEMPLATE)
    assert listed(driver) == dict.fromkeys(names, True)
    driver.retire(names[1:])
    assert listed(driver) == {names[0]: True}
    driver.retire(names)
    assert listed(driver) == {}


def test_everything_may_be_repeated_and_unknown_names_are_fine(bench: Bench) -> None:
    driver = bench.make()
    names = driver.start(1, TEMPLATE)
    driver.revive(names, TEMPLATE)
    assert listed(driver) == {names[0]: True}
    driver.retire(["nobody", *names])
    driver.retire(names)
    assert listed(driver) == {}


def test_nodes_outlive_the_scheduler_that_started_them(bench: Bench) -> None:
    names = bench.make().start(2, TEMPLATE)
    again = bench.make()
    assert listed(again) == dict.fromkeys(names, True)
    again.retire(names)
    assert listed(again) == {}


def test_names_in_use_are_not_given_twice(bench: Bench) -> None:
    driver = bench.make()
    first = driver.start(1, TEMPLATE)
    bench.taken |= {name[:-1] + "2" for name in first}
    second = driver.start(1, TEMPLATE)
    assert not set(second) & (set(first) | bench.taken)


def test_one_that_died_is_listed_as_not_running_and_can_be_revived(bench: Bench) -> None:
    if bench.kill is None:
        pytest.skip("the platform looks after this by itself")
    driver = bench.make()
    name = driver.start(1, TEMPLATE)[0]
    bench.kill(name)
    until(lambda: listed(driver) == {name: False})
    driver.revive([name], TEMPLATE)
    assert listed(driver) == {name: True}


def test_a_new_node_is_told_pool_size_and_labels(bench: Bench) -> None:
    if bench.told is None:
        pytest.skip("the platform's own template says this")
    name = bench.make().start(1, TEMPLATE)[0]
    words = " ".join(bench.told(name))
    for option in ("--pool night", "--cpus 1.5", "--mem 512", "--disk 100", "--resource gpu=1", "zone=a b"):
        assert option in words.replace("'", "")


def test_no_secret_is_in_any_argument_list(bench: Bench) -> None:
    if bench.told is None:
        pytest.skip("the platform's own template says this")
    name = bench.make().start(1, TEMPLATE)[0]
    shown = [word for process in psutil.process_iter() for word in _cmdline(process)]
    assert not [word for word in shown if f"gn_secret-of-{name}" in word or ":word@" in word]


def test_retiring_drops_the_token(bench: Bench) -> None:
    if bench.tokens is None:
        pytest.skip("the platform has tokens of its own")
    driver = bench.make()
    names = driver.start(1, TEMPLATE)
    assert [path.name for path in bench.tokens.iterdir()] == names
    driver.retire(names)
    assert not list(bench.tokens.iterdir())


def test_a_place_that_is_away_is_said_in_a_sentence(bench: Bench) -> None:
    if bench.break_it is None:
        pytest.skip("this machine is never away")
    driver = bench.make()
    driver.start(1, TEMPLATE)
    bench.break_it()
    with pytest.raises(DriverTrouble) as trouble:
        bench.make().start(1, TEMPLATE)
    assert str(trouble.value)
    assert away(bench.make())


def test_a_local_node_that_speaks_to_an_old_address_is_started_anew(tmp_path: Path) -> None:
    place = context(tmp_path, set())
    names = LocalDriver("night", place, STAND_IN).start(1, TEMPLATE)
    moved = LocalDriver("night", DriverContext("http://127.0.0.1:3", *_rest(place)), STAND_IN)
    assert listed(moved) == {names[0]: False}
    moved.revive(names, TEMPLATE)
    assert listed(moved) == {names[0]: True}
    moved.retire(names)


def test_hosts_are_filled_evenly_and_no_further(tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(f"NOT TESTED: {reason}")
    with sshd(tmp_path) as server:
        host = RemoteHost(server.address, "left", 2)
        driver = SshDriver(
            "p", context(tmp_path, set()), [host], ssh=server.ssh, ganger=STAND_IN, folder=str(tmp_path / "r")
        )
        names = driver.start(5, TEMPLATE)
        assert len(names) == 2
        with pytest.raises(DriverTrouble, match="every host has all its nodes"):
            driver.start(1, TEMPLATE)
        driver.retire(names)


def test_a_file_describes_drivers_and_its_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "drivers.toml"
    path.write_text(
        '[driver.rack]\nkind = "ssh"\nhosts = ["ganger@10.0.0.5", {address = "10.0.0.6", name = "big", nodes = 2}]\n'
        '[driver.cloud]\nkind = "command"\nargv = ["/etc/ganger/cloud"]\nnode = {cpus = 4, mem = 8000}\n'
        '[driver.cluster]\nkind = "kubernetes"\nstatefulset = "w"\nserver = "https://k8s"\n'
    )
    registry = DriverRegistry(context(tmp_path, set()), read(path))
    assert registry.names == ["local", "external", "cloud", "cluster", "rack"]
    opened = [registry.open(name, "p") for name in registry.names]
    assert [type(driver).__name__ for driver in opened] == [
        "LocalDriver",
        "ExternalDriver",
        "CommandDriver",
        "StatefulSetDriver",
        "SshDriver",
    ]
    assert opened[2] is not None
    assert opened[2].template() == Resources.of(cpus=4, mem=8000)
    assert registry.open("nobody", "p") is None
    for wrong, said in (
        ('[driver.local]\nkind = "command"\nargv = ["x"]\n', "built in"),
        ('[driver.a]\nkind = "command"\nargv = []\n', "driver.a"),
        ('[driver.a]\nkind = "teleport"\n', "driver.a"),
        ("[driver", "cannot be read"),
    ):
        path.write_text(wrong)
        with pytest.raises(SetupError, match=said):
            read(path)


def away(driver: Driver) -> str | None:
    """What the driver says of a place that is away: with its list, or instead of one."""
    try:
        return driver.listing().trouble
    except DriverTrouble as trouble:
        return str(trouble)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)  # another machine's process table has no signal for us


def _rest(place: DriverContext) -> tuple[Any, ...]:
    return (place.broker_url, place.state_dir, place.token_for, place.drop_token, place.taken)


def _kill(folder: str) -> None:
    for process in _processes(folder):
        process.kill()


def _words(folder: str) -> list[str]:
    """Return the command line of the process on this folder."""
    return _cmdline(_processes(folder)[0])


def _processes(folder: str) -> list[psutil.Process]:
    """Return those on this folder, at least one: what was started just now may not show its command line yet."""
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = [process for process in psutil.process_iter() if folder in _cmdline(process)]
        return bool(found)

    until(look)
    return found


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
