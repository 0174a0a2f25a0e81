"""`ganger schedule` against an installation: made, shown, run, paused, deleted, and a job that starts by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.installation import Installation


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
