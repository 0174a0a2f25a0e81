"""Awaited inputs on an installation: the Python client and the command line send them, and go on after what breaks in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ganger import Client
from ganger.endpoints import uploads
from ganger.endpoints.uploads import UploadProgress
from ganger.errors import ClientError, Conflict, InvalidRequest
from ganger.requests import JobRequest
from tests.support.installation import Installation

SIZE = {"name": "size-of", "version": "1.0", "command": ["sh", "-c", 'wc -c <"$1"', "sh", "${data}"], "cpus_required": 0.1,
        "mem_required": 16, "max_tries": 1, "interface": {"input_data": [{"name": "data", "type": "file"}]}}  # fmt: skip


BLOCK_BYTES = 256 * 1024


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks of few bytes: what is said of them is the same."""
    monkeypatch.setattr(uploads, "BLOCK_BYTES", BLOCK_BYTES)


@pytest.fixture(scope="module")
def client(installation: Installation) -> Client:
    made = installation.api.post("/job-types/", json=SIZE)
    assert made.status_code == 201, made.text
    token = Path(installation.ready["token_file"]).read_text().strip()
    return Client(installation.ready["url"], token)


def large(tmp_path: Path, blocks: float = 20.5) -> Path:
    source = tmp_path / "large.bin"
    source.write_bytes(os.urandom(int(BLOCK_BYTES * blocks)))
    return source


def awaiting(client: Client, **asked: Any) -> int:
    return client.jobs.submit(JobRequest(job_type="size-of", awaits=[{"name": "data", **asked}])).id


def test_a_file_is_sent_in_blocks_and_the_job_runs_with_it(client: Client, tmp_path: Path) -> None:
    source, seen = large(tmp_path), list[UploadProgress]()
    job_id = awaiting(client)
    client.uploads.send(job_id, "data", source, changed=seen.append)
    assert client.uploads.done(job_id).status in {"QUEUED", "RUNNING"}
    done = client.jobs.wait(job_id, timeout_s=60)
    assert (done.status, client.logs.read(done.job_exes[0].id).strip()) == ("COMPLETED", str(source.stat().st_size))
    assert [one.done for one in seen][-1] == seen[-1].total == source.stat().st_size
    assert client.uploads.done(job_id).status == "COMPLETED"
    with pytest.raises(ClientError, match="no upload"):
        client.uploads.send(job_id, "data", source)


def test_an_upload_that_was_cut_off_goes_on_where_it_was(client: Client, tmp_path: Path) -> None:
    class CutOff(Exception):
        """The client is gone."""

    def cut(_progress: UploadProgress) -> None:
        raise CutOff

    source, seen = large(tmp_path), list[UploadProgress]()
    job_id = awaiting(client)
    with pytest.raises(CutOff):
        client.uploads.send(job_id, "data", source, changed=cut)
    client.uploads.send(job_id, "data", source, changed=seen.append)
    assert BLOCK_BYTES <= seen[-1].resumed < seen[-1].total
    changed = bytearray(source.read_bytes())
    changed[0] ^= 1
    source.write_bytes(changed)
    client.uploads.send(job_id, "data", source)
    assert client.uploads.done(job_id).status in {"QUEUED", "RUNNING"}


def test_what_is_too_large_or_not_awaited_is_refused(client: Client, tmp_path: Path) -> None:
    source = large(tmp_path, 1.2)
    job_id = awaiting(client, max_size=BLOCK_BYTES)
    with pytest.raises(InvalidRequest) as refused:
        client.uploads.send(job_id, "data", source)
    assert refused.value.status == 413
    with pytest.raises(ClientError, match="awaits no input 'other'"):
        client.uploads.send(job_id, "other", source)
    plain = client.jobs.submit(JobRequest(command=["true"])).id
    with pytest.raises(Conflict):
        client.uploads.done(plain)


def test_the_token_never_goes_to_where_files_are_sent(client: Client, installation: Installation) -> None:
    awaited = client.jobs.get(awaiting(client)).awaits[0]
    assert awaited.upload_url is not None
    url = urlsplit(awaited.upload_url)
    assert "Authorization" not in client._transport.without_token(awaited.upload_url)._headers
    assert f"{url.scheme}://{url.netloc}" == installation.ready["url"]


def test_an_api_that_dies_in_the_middle_loses_nothing_and_keeps_nothing_half(
    client: Client, installation: Installation, tmp_path: Path
) -> None:
    source, staged = large(tmp_path, 60), installation.root / "files" / "staged"
    before = {*staged.iterdir()}  # of jobs that go on waiting
    job_id = awaiting(client)
    killed: list[int] = []

    def kill(_progress: UploadProgress) -> None:
        if not killed:
            killed.append(1)
            for process in installation.processes("api"):
                process.send_signal(signal.SIGKILL)

    patient = Client(installation.ready["url"], client._transport._headers["Authorization"].split()[1], patience_s=60)
    patient.uploads.send(job_id, "data", source, changed=kill)
    assert patient.uploads.done(job_id).status in {"QUEUED", "RUNNING"}
    done = patient.jobs.wait(job_id, timeout_s=60)
    assert (done.status, patient.logs.read(done.job_exes[0].id).strip()) == ("COMPLETED", str(source.stat().st_size))
    installation.until(lambda: {*staged.iterdir()} <= before, "the folder of the stage to be gone")
    assert not [*(installation.root / "files").rglob("*.part")]


def test_the_command_line_submits_sends_and_tells(installation: Installation, client: Client, tmp_path: Path) -> None:
    source = large(tmp_path, 40)  # more than one block of the command's own size

    def ganger(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ganger", *words], capture_output=True, text=True, check=False, env=environment
        )

    environment = {
        **os.environ,
        "GANGER_URL": installation.ready["url"],
        "GANGER_TOKEN_FILE": installation.ready["token_file"],
    }
    made = ganger("submit", "size-of", "--await", "data")
    job_id = made.stdout.strip()
    assert (made.returncode, f"ganger upload {job_id} data=FILE" in made.stderr) == (0, True)
    assert "the input 'data' has not been uploaded" in ganger("why", job_id).stdout
    wrong = ganger("upload", job_id, f"other={source}")
    assert (wrong.returncode, "awaits no input 'other' (it awaits: data)" in wrong.stderr) == (2, True)
    assert ganger("upload", job_id, "data=/nowhere").returncode == 2
    held_back = ganger("upload", job_id, f"data={source}", "--more")
    assert (held_back.returncode, "not told yet" in held_back.stderr) == (0, True)
    again = ganger("upload", job_id, f"data={source}")
    assert (again.returncode, "were there already" in again.stderr) == (0, True)
    assert again.stdout.startswith(f"job {job_id} is ")
    assert client.jobs.wait(int(job_id), timeout_s=60).status == "COMPLETED"
    failed = json.loads(ganger("submit", "size-of", "--await", "data", "--json").stdout)
    told = ganger("upload", str(failed["id"] if isinstance(failed, dict) else failed))
    assert (told.returncode, "'data' was not uploaded" in told.stdout) == (1, True)
