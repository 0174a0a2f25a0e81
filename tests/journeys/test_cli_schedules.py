"""`ganger schedule` against an installation: made, shown, run, paused, deleted, and a job that starts by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.installation import Installation

WORKFLOW = """
inputs: {whom: property}
jobs:
  greet: {command: [sh, -c, "test -n \\"$GANGER_NOMINAL_TIME\\""]}
"""


def test_a_schedule_is_made_and_its_job_starts_by_itself(installation: Installation) -> None:
    token = Path(installation.ready["token_file"]).read_text().strip()
    environment = {**os.environ, "GANGER_URL": installation.ready["url"], "GANGER_TOKEN": token}

    def ganger(*words: str, status: int = 0) -> Any:
        told = subprocess.run(
            [sys.executable, "-m", "ganger", "schedule", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == status, told.stderr
        return told.stdout + told.stderr

    made = json.loads(ganger("create", "often", "--every", "1s", "--overlap", "allow", "--json", "--", "true"))
    first = installation.until(
        lambda: installation.api.get(f"/schedules/{made['id']}/firings/").json()["results"], "a run"
    )[-1]
    assert installation.wait(first["job"])["environment"]["GANGER_SCHEDULE"] == "often"
    key = str(made["id"])
    assert "REGULAR" in ganger("show", key)
    assert "paused (enough)" in ganger("pause", key, "--reason", "enough")
    assert "often" in ganger("list")
    assert ganger("trigger", key, "--force").startswith("job ")
    assert "zone" in ganger("next", "--cron", "30 2 * * *", status=2)
    assert ganger("next", "--cron", "30 2 * * *", "--zone", "Europe/Berlin").count("T02:30") == 5
    ganger("delete", key)
    assert "often" not in ganger("list")

    installation.api.post("/workflow-types/", json={"name": "greet", "definition": WORKFLOW})
    wanted = ("--every", "1s", "--workflow", "greet", "-i", "whom=everybody", "--overlap", "allow")
    key = str(json.loads(ganger("create", "greetings", *wanted, "--json"))["id"])
    run = installation.until(
        lambda: [
            one for one in installation.api.get(f"/schedules/{key}/firings/").json()["results"] if one["workflow"]
        ],
        "a run of the workflow",
    )[-1]["workflow"]
    assert f"\t\t{run}\t" in ganger("show", key)
    assert ganger("trigger", key, "--force").startswith("workflow ")
    ganger("delete", key)
    ended = installation.until(
        lambda: (found := installation.api.get(f"/workflows/{run}/").json())["ended"] and found, "its end"
    )
    assert (ended["state"], ended["inputs"]) == ("COMPLETED", {"whom": "everybody"})
    assert "--workflow" in ganger("create", "none", "--every", "1s", status=2)
    assert "-i, -p and -a" in ganger("create", "none", "--every", "1s", "-i", "a=b", "--", "true", status=2)
