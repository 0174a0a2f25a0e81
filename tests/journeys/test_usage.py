"""A program burns cpu and takes memory, and while it does so, everybody sees it: API, command line and page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import chromium
from tests.support.installation import Installation
from tests.support.servers import state_folder

browser = chromium.browser  # pytest finds it here
WORKS = """
import time
kept = bytearray(b"x") * (96 << 20)
while True:
    until = time.monotonic() + 0.1
    while time.monotonic() < until: pass
    time.sleep(0.1)
"""
ENOUGH = 2
PHONE = 360


@pytest.fixture(scope="module")
def sampled() -> Iterator[Installation]:
    """An installation whose node looks every second."""
    with state_folder() as root:
        made = Installation(root, GANGER_NODE_SAMPLE_S="1").start()
        yield made
        assert made.stop() == 0
        assert made.left() == []


@pytest.fixture(scope="module")
def busy(sampled: Installation) -> dict[str, Any]:
    """A job that works, of which there is a line by now."""
    (node,) = sampled.api.get("/nodes/").json()["results"]
    if any("emory" in sentence for sentence in node["powers"]["missing"]):
        pytest.skip("NOT TESTED: memory is measured by cgroups, which cannot be made here")
    job_id = sampled.submit("/usr/bin/python3", "-c", WORKS, cpus_required=1, mem_required=256)
    sampled.wait(job_id, "RUNNING")

    def line() -> dict[str, Any] | None:
        execution = sampled.job(job_id)["job_exes"][0]["id"]
        found = sampled.api.get(f"/job-executions/{execution}/usage/").json()
        return {"job": job_id, **found} if len(found["points"]) >= ENOUGH else None

    return sampled.until(line, "samples")


def ganger(installation: Installation, *arguments: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANGER_")}
    return subprocess.run(
        [sys.executable, "-m", "ganger", *arguments],
        env={**kept, "GANGER_STATE_DIR": str(installation.root)}, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip


def test_what_a_job_uses_is_seen_while_it_runs(busy: dict[str, Any]) -> None:
    assert (busy["asked"]["cpus"], busy["asked"]["mem"]) == (1.0, 256.0)
    assert 96 <= busy["peak"]["mem"] < 256
    assert 0.1 < busy["points"][-1]["cpus"] < 0.95
    assert busy["points"][0]["time"] < busy["points"][1]["time"]
    assert busy["message"] is None


def test_the_command_line_prints_it(sampled: Installation, busy: dict[str, Any]) -> None:
    rows = [line.split("\t") for line in ganger(sampled, "usage", str(busy["job"])).splitlines()]
    assert len(rows) >= ENOUGH
    assert all(len(row) == 5 and row[3].endswith("MiB") for row in rows)
    assert '"peak"' in ganger(sampled, "usage", str(busy["job"]), "--json")


def test_a_new_agent_goes_on_where_the_last_one_was_killed(sampled: Installation, busy: dict[str, Any]) -> None:
    (agent,) = sampled.processes("agent")
    agent.kill()
    more = busy["points"][-1]["seconds"] + 12

    def later() -> dict[str, Any] | None:
        found = sampled.api.get(f"/job-executions/{busy['execution_id']}/usage/").json()
        return found if found["points"][-1]["seconds"] > more else None

    found = sampled.until(later, "samples of the new agent")
    assert sampled.job(busy["job"])["num_exes"] == 1
    assert all(one["cpus"] is not None and one["cpus"] < 1.2 for one in found["points"])


def test_a_short_job_has_its_peaks_and_says_why_it_has_no_more(sampled: Installation) -> None:
    job_id = sampled.submit("/bin/true", max_tries=1)
    job = sampled.wait(job_id)
    found = sampled.api.get(f"/job-executions/{job['job_exes'][0]['id']}/usage/").json()
    assert found["points"] == []
    assert "less than 10 seconds" in found["message"]
    assert found["peak"]["mem"] is not None


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_draws_it_in_both_themes_and_on_a_phone_without_script(
    browser: Any, sampled: Installation, busy: dict[str, Any], theme: str
) -> None:
    context = browser.new_context(
        java_script_enabled=False, color_scheme=theme, viewport={"width": PHONE, "height": 740}
    )
    page = context.new_page()
    page.goto(f"{sampled.ready['url']}/ui/jobs/{busy['job']}")
    page.fill("#token", Path(sampled.ready["token_file"]).read_text().strip())
    page.click("text=Sign in")
    page.wait_for_url(f"**/ui/jobs/{busy['job']}")
    assert page.locator("#usage svg.chart").count() >= ENOUGH
    lines = page.locator("#usage svg.chart path.running")
    assert all((lines.nth(n).bounding_box() or {"height": 0})["height"] > 0 for n in range(lines.count()))
    page.locator("#usage-numbers summary").click()
    assert page.locator("#usage-numbers tbody tr").count() >= ENOUGH
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    context.close()
