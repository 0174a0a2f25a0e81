"""The first page: how everything stands in one sentence, and what needs somebody."""

from __future__ import annotations

from typing import Any

from api.http.executions import routes as executions
from api.http.jobs import routes as jobs
from api.http.load import routes as load
from api.ui import feed
from api.ui.frame import statuses
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.show import charts

pages = Pages()

SHOWN = 8


@pages.get("/ui/")
def show_overview(page: PageRequest) -> PageAnswer:
    """How the installation stands."""
    status = statuses.read(page)
    running = feed.ask(
        page, jobs.list_jobs, query={"status": "RUNNING", "order": "-last_status_change", "page_size": str(SHOWN)}
    )
    failed = feed.ask(
        page, jobs.list_jobs, query={"status": "FAILED", "order": "-last_modified", "page_size": str(SHOWN)}
    )
    failures = feed.ask(
        page, executions.list_executions,
        query={"status": "FAILED", "started": "PT3H", "order": "-last_modified", "page_size": "200"},
    )  # fmt: skip
    samples = feed.ask(page, load.list_load, query={"started": "PT24H", "order": "-time", "page_size": "1000"})
    facts: dict[str, Any] = {
        "running": running["results"],
        "failed": failed["results"],
        "failures": _by_error(failures["results"]),
        "chart": charts.load(list(reversed(samples["results"]))),
        "sentence": _sentence(status),
        "empty": not running["count"] and not failed["count"] and not any(_open(status)),
    }
    return PageView("overview.html", facts)


def _open(status: dict[str, Any]) -> list[int]:
    jobs_now = status["jobs"]
    names = ("queued", "running", "pending", "blocked", "pending_upload", "completed", "failed", "canceled")
    return [jobs_now[name] for name in names]


def _sentence(status: dict[str, Any]) -> str:
    """Return how it stands, as one would say it."""
    now = status["jobs"]
    runs, waits = now["running"], now["queued"] + now["pending"]
    parts = [f"{_jobs(runs)} {'runs' if runs == 1 else 'run'}", f"{waits:,} {'waits' if waits == 1 else 'wait'}"]
    if now["held"]:
        parts.append(f"{now['held']:,} of these held")
    if now["failed"]:
        parts.append(f"{now['failed']:,} failed in the last 3 hours")
    return ", ".join(parts) + "."


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


def _by_error(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return failed tries counted by error and job type, the most first."""
    counted: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        error = (row["error"] or {}).get("name", "unknown")
        kind = row["job_type"]["name"]
        entry = counted.setdefault((error, kind), {"error": error, "type": kind, "count": 0, "latest": row})
        entry["count"] += 1
    return sorted(counted.values(), key=lambda one: -one["count"])[:SHOWN]
