"""What the audience sees: a live table on a terminal, lines elsewhere, and at the end every job with its verdict."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ganger import Job
from ganger.cli import screen

if TYPE_CHECKING:
    from api.demo.script import Part

HEADINGS = ("", "WHAT", "JOB", "STATUS", "TRIES", "NODE", "PRE", "JOB", "POST", "OUTPUTS", "NOTE")
# A whole SHA-256 has 64 digits; a narrow terminal shows the first ones.
WIDE, WHOLE_SHA, SHORT_SHA = 190, 64, 12


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said of one thing: a job, or all of them together. Without complaints it is as it should be."""

    what: str
    job: Job | None = None
    complaints: list[str] = field(default_factory=list)
    note: str = ""


class Curtain:
    """Says everything. With `as_json` standard output has one JSON object per finding, and nothing else."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._terminal = screen.terminal() and not as_json
        self._began = time.monotonic()
        self._shown: dict[int, str] = {}

    def tell(self, line: str) -> None:
        """Say one line of what is going on."""
        screen.note(f"ganger: {line}")

    @contextmanager
    def live(self, parts: Sequence[Part]) -> Iterator[Callable[[], None]]:
        """Yield a function that shows how the jobs stand; on a terminal in place, else a line per change."""
        if not self._terminal:
            yield lambda: self._tell_changes(parts)
            return
        with Live(console=Console(), refresh_per_second=10, transient=True) as picture:
            yield lambda: picture.update(_progress(parts, time.monotonic() - self._began))

    def show(self, findings: Sequence[Finding]) -> None:
        """Show every finding; complaints stand below their job."""
        if self._as_json:
            for finding in findings:
                screen.line(_document(finding))
        elif self._terminal:
            console = Console()
            console.print(_table(findings, sha=WHOLE_SHA if console.width >= WIDE else SHORT_SHA))
            for finding in findings:
                for complaint in finding.complaints:
                    console.print(f"[red]FAIL[/] {screen.escape(finding.what)}: {screen.escape(complaint)}")
        else:
            for finding in findings:
                screen.say("\t".join(_cells(finding, sha=WHOLE_SHA)))
                for complaint in finding.complaints:
                    screen.say(f"\t{finding.what}: {complaint}")

    def say(self, findings: Sequence[Finding]) -> None:
        """Show findings that are of no job, a line each."""
        if self._as_json or not self._terminal:
            self.show(findings)
            return
        for finding in findings:
            colour, verdict = ("red", "FAIL") if finding.complaints else ("green", "PASS")
            Console().print(f"[{colour}]{verdict}[/]  {screen.escape('; '.join([finding.what, *finding.complaints]))}")

    def close(self, findings: Sequence[Finding]) -> None:
        """Say how it all went."""
        bad = sum(bool(one.complaints) for one in findings)
        seconds = time.monotonic() - self._began
        verdict = f"{len(findings) - bad} of {len(findings)} as it should be, in {seconds:.1f} s"
        if self._as_json:
            screen.line({"passed": bad == 0, "findings": len(findings), "failed": bad, "seconds": round(seconds, 1)})
        else:
            screen.say(f"{'FAIL' if bad else 'PASS'}: {verdict}")
        sys.stdout.flush()

    def _tell_changes(self, parts: Sequence[Part]) -> None:
        for part in parts:
            status = part.job.status if part.job is not None else "QUEUED"
            if self._shown.get(part.job_id) != status:
                self._shown[part.job_id] = status
                self.tell(f"{time.monotonic() - self._began:5.1f} s  {status:<9}  {part.act.name} (job {part.job_id})")


def _progress(parts: Sequence[Part], seconds: float) -> Table:
    counts = Counter(part.job.status if part.job is not None else "QUEUED" for part in parts)
    title = ", ".join(f"{count} {screen.status(status)}" for status, count in sorted(counts.items()))
    table = Table(box=None, title=f"{seconds:.0f} s: {title}", title_justify="left", title_style="", pad_edge=False)
    for heading in ("WHAT", "JOB", "STATUS", "TRIES", "NODE"):
        table.add_column(heading)
    for part in parts:
        job = part.job
        cells = (job.status, f"{job.num_exes}", str(job.node or "")) if job is not None else ("", "", "")
        table.add_row(part.act.name, str(part.job_id), screen.status(cells[0]), *cells[1:])
    return table


def _table(findings: Sequence[Finding], *, sha: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for finding in findings:
        verdict, what, number, status, *rest = _cells(finding, sha=sha)
        colour = "green" if verdict == "PASS" else "red"
        table.add_row(
            f"[{colour}]{verdict}[/]", screen.escape(what), number, screen.status(status), *map(screen.escape, rest)
        )
    return table


def _cells(finding: Finding, *, sha: int) -> list[str]:
    verdict = "FAIL" if finding.complaints else "PASS"
    job = finding.job
    if job is None:
        return [verdict, finding.what, *([""] * (len(HEADINGS) - 3)), finding.note]
    latest = job.latest
    phases = [screen.duration(latest.seconds(phase)) if latest else "" for phase in ("pre", "job", "post")]
    return [
        verdict,
        finding.what,
        str(job.id),
        job.status,
        f"{job.num_exes}/{job.max_tries}",
        str((latest.node if latest else None) or ""),
        *phases,
        " ".join(_files(job, sha)),
        finding.note,
    ]


def _files(job: Job, sha: int) -> list[str]:
    found = [file for output in job.outputs for file in output.files]
    name = "{0.file_name} " if sha == WHOLE_SHA else ""
    return [f"{name.format(file)}{screen.size(file.file_size)} {(file.sha256 or '')[:sha]}" for file in found]


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "what": finding.what,
        "passed": not finding.complaints,
        "complaints": finding.complaints,
        "note": finding.note,
        "job": finding.job.document if finding.job is not None else None,
    }
