"""The output of the demo: a live table on a terminal, lines elsewhere, and at the end every job with its result."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from api.demo.results import CheckResult, RunningCase
from ganger import Job
from ganger.cli import screen as shell
from ganger.documents import JsonObject

HEADINGS = ("", "WHAT", "JOB", "STATUS", "TRIES", "NODE", "PRE", "JOB", "POST", "OUTPUTS", "NOTE")
# A whole SHA-256 has 64 digits; a narrow terminal shows the first ones.
WIDE, WHOLE_SHA, SHORT_SHA = 190, 64, 12


class DemoScreen:
    """Prints everything. With `as_json` standard output has one JSON object per result, and nothing else."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._terminal = shell.terminal() and not as_json
        self._began = time.monotonic()
        self._shown: dict[int, str] = {}

    def progress(self, line: str) -> None:
        """Print one line about the progress."""
        shell.note(f"ganger: {line}")

    @contextmanager
    def live(self, running: Sequence[RunningCase]) -> Iterator[Callable[[], None]]:
        """Yield a function that shows how the jobs stand; on a terminal in place, else a line per change."""
        if not self._terminal:
            yield lambda: self._print_changes(running)
            return
        with Live(console=Console(), refresh_per_second=10, transient=True) as drawn:
            yield lambda: drawn.update(_progress(running, time.monotonic() - self._began))

    def show(self, results: Sequence[CheckResult]) -> None:
        """Show every result; complaints stand below their job."""
        if self._as_json:
            for result in results:
                shell.line(_document(result))
        elif self._terminal:
            console = Console()
            console.print(_table(results, sha=WHOLE_SHA if console.width >= WIDE else SHORT_SHA))
            for result in results:
                for complaint in result.complaints:
                    console.print(f"[red]FAIL[/] {shell.escape(result.what)}: {shell.escape(complaint)}")
        else:
            for result in results:
                shell.text("\t".join(_cells(result, sha=WHOLE_SHA)))
                for complaint in result.complaints:
                    shell.text(f"\t{result.what}: {complaint}")

    def show_general(self, results: Sequence[CheckResult]) -> None:
        """Show results that are of no job, a line each."""
        if self._as_json or not self._terminal:
            self.show(results)
            return
        for result in results:
            colour, verdict = ("red", "FAIL") if result.complaints else ("green", "PASS")
            Console().print(f"[{colour}]{verdict}[/]  {shell.escape('; '.join([result.what, *result.complaints]))}")

    def close(self, results: Sequence[CheckResult]) -> None:
        """Print the result of the whole demo."""
        bad = sum(bool(result.complaints) for result in results)
        seconds = time.monotonic() - self._began
        verdict = f"{len(results) - bad} of {len(results)} as it should be, in {seconds:.1f} s"
        if self._as_json:
            shell.line({"passed": bad == 0, "results": len(results), "failed": bad, "seconds": round(seconds, 1)})
        else:
            shell.text(f"{'FAIL' if bad else 'PASS'}: {verdict}")
        sys.stdout.flush()

    def _print_changes(self, running: Sequence[RunningCase]) -> None:
        for each in running:
            status = each.job.status if each.job is not None else "QUEUED"
            if self._shown.get(each.job_id) != status:
                self._shown[each.job_id] = status
                self.progress(
                    f"{time.monotonic() - self._began:5.1f} s  {status:<9}  {each.case.name} (job {each.job_id})"
                )


def _progress(running: Sequence[RunningCase], seconds: float) -> Table:
    counts = Counter(each.job.status if each.job is not None else "QUEUED" for each in running)
    title = ", ".join(f"{count} {shell.status(status)}" for status, count in sorted(counts.items()))
    table = Table(box=None, title=f"{seconds:.0f} s: {title}", title_justify="left", title_style="", pad_edge=False)
    for heading in ("WHAT", "JOB", "STATUS", "TRIES", "NODE"):
        table.add_column(heading)
    for each in running:
        job = each.job
        cells = (job.status, f"{job.num_exes}", str(job.node or "")) if job is not None else ("", "", "")
        table.add_row(each.case.name, str(each.job_id), shell.status(cells[0]), *cells[1:])
    return table


def _table(results: Sequence[CheckResult], *, sha: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for result in results:
        verdict, what, number, status, *rest = _cells(result, sha=sha)
        colour = "green" if verdict == "PASS" else "red"
        table.add_row(
            f"[{colour}]{verdict}[/]", shell.escape(what), number, shell.status(status), *map(shell.escape, rest)
        )
    return table


def _cells(result: CheckResult, *, sha: int) -> list[str]:
    verdict = "FAIL" if result.complaints else "PASS"
    job = result.job
    if job is None:
        return [verdict, result.what, *([""] * (len(HEADINGS) - 3)), result.note]
    latest = job.latest
    phases = [shell.duration(latest.seconds(phase)) if latest else "" for phase in ("pre", "job", "post")]
    return [
        verdict,
        result.what,
        str(job.id),
        job.status,
        f"{job.tries}/{job.max_tries}",
        str((latest.node if latest else None) or ""),
        *phases,
        " ".join(_files(job, sha)),
        result.note,
    ]


def _files(job: Job, sha: int) -> list[str]:
    files = [file for output in job.outputs for file in output.files]
    name = "{0.file_name} " if sha == WHOLE_SHA else ""
    return [f"{name.format(file)}{shell.size(file.file_size)} {(file.sha256 or '')[:sha]}" for file in files]


def _document(result: CheckResult) -> JsonObject:
    return {
        "what": result.what,
        "passed": not result.complaints,
        "complaints": result.complaints,
        "note": result.note,
        "job": result.job.document if result.job is not None else None,
    }
