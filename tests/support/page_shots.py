"""`./run ui-shots [FOLDER]`: a picture of every page in both themes and on a phone, of an installation that is started for them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.support import chromium
from tests.support.installation import Installation
from tests.support.servers import state_folder

PAGES = ("", "jobs", "jobs/1", "jobs/1/find?q=tile", "jobs/2", "jobs/3", "jobs/4", "jobs/4/trial", "executions/1/log", "executions/2/log", "submit", "queue", "types",
         "types/command/1.0", "errors", "workflows", "workflows/1", "schedules", "schedules/1", "schedules/new", "data-sets", "data-sets/1", "jobs/5", "nodes", "nodes/1", "pools", "pools/default", "operations", "operations/1",
         "bulk/cancel?q=status:queued", "admin", "admin/projects/default", "admin/workspaces", "audit", "me", "help", "nowhere")  # fmt: skip

WORKS = """
import random, time
kept = []
while True:
    kept = kept[-60:] + [bytearray(1 << 20) for _ in range(random.randrange(8))]
    until = time.monotonic() + random.random() / 8
    while time.monotonic() < until: pass
    time.sleep(0.1)
"""
"""Takes and drops memory, and is busy now and then."""

ENOUGH = 4
PHONE = 360
LOOKS = (("light", "light", 1360), ("dark", "dark", 1360), ("phone", "light", PHONE))


def main(folder: Path) -> int:
    lacking = chromium.missing()
    if lacking is not None:
        sys.stderr.write(f"{lacking}\n")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    with state_folder() as root, chromium.launched() as browser:
        installation = Installation(root, GANGER_NODE_SAMPLE_S="1").start()
        try:
            _populate(installation)
            for look, theme, width in LOOKS:
                page = chromium.signed_in(browser, installation, color_scheme=theme)
                page.set_viewport_size({"width": width, "height": 740 if width == PHONE else 900})
                for address in PAGES:
                    page.goto(f"{installation.ready['url']}/ui/{address}")
                    page.wait_for_timeout(400)  # charts and the first live part
                    name = "".join(letter if letter.isalnum() else "-" for letter in address) or "overview"
                    page.screenshot(path=folder / f"{name}-{look}.png", full_page=not address.endswith("/log"))
                page.context.close()
        finally:
            installation.stop()
    sys.stderr.write(f"{len(PAGES) * len(LOOKS)} pictures in {folder}\n")
    return 0


def _populate(installation: Installation) -> None:
    done = installation.submit(
        "sh", "-c", "seq -f 'tile %g rendered' 400", name="render tiles", labels={"run": "7", "team": "maps"}
    )
    failed = installation.submit(
        "sh", "-c", "echo opening the input; echo no such tile >&2; exit 3", name="check tiles", labels={"run": "7"}
    )
    running = installation.submit("/usr/bin/python3", "-c", WORKS, name="simulate the river", mem_required=128)
    installation.submit("sleep", "600", name="train the model", resources={"gpu": 1})
    installation.submit("sleep", "600", name="the whole country", cpus_required=8)
    installation.submit("true", name="after the delivery", held=True, hold_reason="waiting for the new data")
    workflow = {
        "jobs": {
            "fetch": {"command": ["true"]},
            "tile": {"command": ["sh", "-c", "echo no such tile >&2; exit 3"], "needs": ["fetch"]},
            "relief": {"command": ["sleep", "600"], "needs": ["fetch"]},
            "merge": {"command": ["true"], "needs": ["tile", "relief"]},
        }
    }
    installation.api.post("/workflows/", json={"definition": workflow}).raise_for_status()
    nightly = {
        "name": "nightly",
        "cron": "30 2 * * *",
        "zone": "Europe/Berlin",
        "job": {"command": ["backup", "--all"]},
    }
    made = installation.api.post("/schedules/", json=nightly).raise_for_status().json()
    installation.api.post(f"/schedules/{made['id']}/trigger/", json={}).raise_for_status()
    grid = {"name": "ore body", "description": "what was drilled", "grid": {"blocks": [4, 4, 4], "size": [5, 5, 5]}}
    installation.api.post("/data-sets/", json=grid).raise_for_status()
    old = [installation.submit("true", name=f"old tile {n}", held=True, labels={"run": "6"}) for n in range(3)]
    named = {"job_id": old, "reason": "run 6 is wanted no more"}
    installation.api.post("/jobs/cancel/", json=named).raise_for_status()
    installation.wait(done)
    installation.wait(failed)
    installation.wait(running, "RUNNING")
    installation.until(lambda: _has_line(installation, running), "samples of what it uses", within_s=90)


def _has_line(installation: Installation, job_id: int) -> bool:
    """Return whether what a job uses can be drawn."""
    execution = installation.job(job_id)["job_exes"][0]["id"]
    return len(installation.api.get(f"/job-executions/{execution}/usage/").json()["points"]) >= ENOUGH


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="./run ui-shots", description="A picture of every page in both themes, and on a phone."
    )
    parser.add_argument("folder", nargs="?", default="ui-shots", type=Path, help="where they go; default: ui-shots")
    sys.exit(main(parser.parse_args().folder))
