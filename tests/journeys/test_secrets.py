"""Secrets reach the job that names them, as files, and nobody and nothing else; of the node's own, nobody learns."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tests.support.installation import Installation
from tests.support.servers import state_folder

# Made anew for each run: written here, they would be found in any readable copy of this file.
OURS, THEIRS, PLANTED, OPEN = (f"{word}-{token_hex(8)}" for word in ("ours", "another-job-s", "planted", "open"))
BEGAN = time.time()  # no file of this installation is older
SEARCH = r"""
import glob, os, sys
words = [word[::-1].encode() for word in sys.argv[3:]]  # reversed, or we would find them in our own arguments
roots, since, found, read = sys.argv[1].split(":"), float(sys.argv[2]), set(), 0
own = {str(os.getpid()), "self", "thread-self"}
def look(path):
    global read
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.read(1 << 20)
    except OSError:
        return
    read += 1
    found.update((word.decode()[::-1], path) for word in words if word in text)
for path in glob.glob("/proc/[0-9]*/*"):
    parts = path.split("/")
    if parts[2] not in own and parts[3] in ("environ", "cmdline", "maps", "stack", "mountinfo"): look(path)
for path in glob.glob("/proc/[0-9]*/fd/*"):
    if path.split("/")[2] not in own and os.path.isfile(path): look(path)
def is_new(path):
    try: return os.lstat(path).st_ctime >= since
    except OSError: return False
for root in roots:
    for folder, inside, files in os.walk(root):
        if folder == "/tmp":  # the rest is of other programs, and may be much
            inside[:] = [name for name in inside if name.startswith("ganger") or is_new("/tmp/" + name)]
        for name in files:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and is_new(path): look(path)
for path in glob.glob("/proc/[0-9]*/mem"):
    if path.split("/")[2] not in own:
        try: open(path, "rb").close(); found.add(("memory", path))
        except OSError: pass
print(read, sorted(found))
"""


@pytest.fixture(scope="module")
def here() -> Iterator[Installation]:
    with state_folder(spaced=True) as root:
        made = Installation(root, GANGER_TEST_CANARY=PLANTED).start()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.stop()


def keep(here: Installation, name: str, value: str) -> None:
    answer = here.api.post("/admin/projects/default/secrets/", json={"name": name, "value": value})
    assert answer.status_code in {200, 201}, answer.text


def said(here: Installation, job: dict[str, Any]) -> str:
    (execution,) = job["job_exes"]
    return str(here.api.get(f"/job-executions/{execution['id']}/logs/stdout/").json()["text"])


def test_a_secret_is_a_file_of_the_job_and_a_row_of_stars_in_its_output(here: Installation) -> None:
    keep(here, "password", OURS)
    script = 'cd "$GANGER_SECRETS_DIR"; stat -c "%a %U" password; ls -la . | head -2 | tail -1; echo "it is $(cat password)."'
    job = here.wait(here.submit("/bin/sh", "-c", script, secrets=["password"]))
    assert job["status"] == "COMPLETED", job
    out = said(here, job)
    if os.geteuid() == 0:  # a job can put nothing beside its secrets, nor change them
        assert out.startswith("440 root\ndrwxr-x---")
    else:
        assert out.startswith("400 ")
    assert f"it is {'*' * len(OURS)}." in out


def test_no_answer_of_the_api_holds_a_value(here: Installation) -> None:
    keep(here, "hidden", THEIRS)
    job_id = here.submit("/bin/true", secrets=["hidden"])
    job = here.wait(job_id)
    paths = [f"/jobs/{job_id}/", f"/jobs/{job_id}/events/", f"/job-executions/{job['job_exes'][0]['id']}/", "/jobs/",
             "/admin/projects/", "/admin/projects/default/secrets/"]  # fmt: skip
    for path in paths:
        answer = here.api.get(path)
        assert answer.status_code == 200, path
        assert THEIRS not in answer.text, path
    assert job["secrets"] == ["hidden"]
    names = [one["name"] for one in here.api.get("/admin/projects/default/secrets/").json()["results"]]
    assert "hidden" in names


def test_a_secret_that_is_not_there_is_refused_at_submission_and_named_if_it_goes_later(here: Installation) -> None:
    answer = here.api.post("/jobs/", json={"command": ["/bin/true"], "secrets": ["nowhere"]})
    assert (answer.status_code, answer.json()["field"]) == (400, "secrets")
    keep(here, "fleeting", "soon gone")
    job_id = here.submit("/bin/true", secrets=["fleeting"], max_tries=1, held=True)
    assert here.api.delete("/admin/projects/default/secrets/fleeting/").status_code == 204
    released = here.api.post("/jobs/release/", json={"job_id": [job_id]})
    assert released.status_code == 202, released.text
    job = here.wait(job_id)
    assert (job["status"], job["error"]["name"]) == ("FAILED", "staging")
    assert "fleeting" in job["job_exes"][0]["message"]


def test_a_value_is_in_no_file_of_the_installation_and_in_no_figure_or_list(here: Installation) -> None:
    """Neither in the database and its write-ahead log, nor in logs, journals and what is left of the job."""
    value = f"at-rest-{token_hex(8)}"
    keep(here, "at-rest", value)
    refused = here.api.post("/admin/projects/default/secrets/", json={"name": "at rest!", "value": value})
    assert (refused.status_code, value in refused.text) == (400, False)
    job = here.wait(here.submit("/bin/sh", "-c", "cat $GANGER_SECRETS_DIR/at-rest", secrets=["at-rest"]))
    assert (job["status"], said(here, job)) == ("COMPLETED", "*" * len(value))
    token = Path(here.ready["token_file"]).read_text().strip()
    for words in (["jobs", "--json"], ["show", str(job["id"]), "--json"], ["nodes", "--json"], ["status", "--json"]):
        told = subprocess.run(
            [sys.executable, "-m", "ganger", *words],
            env={**os.environ, "GANGER_API_URL": here.ready["url"], "GANGER_TOKEN": token},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (told.returncode, value in told.stdout + told.stderr) == (0, False), (words, told.stderr)
    assert value not in here.api.get("/metrics").text
    read, holding = 0, []
    for path in (path for path in here.root.rglob("*") if path.is_file() and not path.is_symlink()):
        read += 1
        if value.encode() in path.read_bytes():
            holding.append(str(path))
    assert (holding, read > 500) == ([], True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only a node of root can keep jobs apart from itself")
def test_a_job_that_looks_everywhere_finds_nothing_of_the_node_s_nor_of_other_jobs(
    here: Installation,
) -> None:
    keep(here, "theirs", THEIRS)
    other = here.submit("/bin/sh", "-c", "cat $GANGER_SECRETS_DIR/theirs > mine; exec sleep 300", secrets=["theirs"])
    here.wait(other, "RUNNING")
    tokens = [path.read_text().strip() for path in (here.root / "tokens").iterdir() if path.is_file()]
    canaries = [THEIRS, PLANTED, *tokens, *passwords(here), OPEN]
    assert len(canaries) >= 6
    roots = f"{here.root}:/dev/shm:/tmp:/var:/run:/home"
    words = [word[::-1] for word in canaries]
    with ExitStack() as stack:
        for folder in ("/dev/shm", "/tmp", "/var/tmp"):  # each job has its own of these
            stack.enter_context(an_open_file(folder))
        lying_open = [str(stack.enter_context(an_open_file("/run")))]
        search = ("/usr/bin/python3", "-c", SEARCH, roots, str(BEGAN), *words)
        job = here.wait(here.submit(*search, timeout=100), within_s=110)
    here.api.patch(f"/jobs/{other}/", json={"status": "CANCELED"})
    _, _, found = said(here, job).partition(" ")
    assert (job["status"], found.strip()) == ("COMPLETED", str([(OPEN[::-1], path) for path in lying_open])), found


def test_an_installation_without_its_key_says_so_instead_of_failing_jobs_and_goes_on_with_it(
    here: Installation,
) -> None:
    keep(here, "kept", OURS)
    assert here.stop() == 0
    key = here.root / "secrets" / "secrets-key"
    assert key.stat().st_mode & 0o777 == 0o600
    aside = key.rename(here.root / "aside")
    with pytest.raises(AssertionError, match=r"secrets are encrypted with the key [0-9a-f]{8}, which .* do not have"):
        here.start()
    aside.rename(key)
    here.start()
    job = here.wait(here.submit("/bin/sh", "-c", "cat $GANGER_SECRETS_DIR/kept", secrets=["kept"]))
    assert said(here, job) == "*" * len(OURS)


@contextmanager
def an_open_file(folder: str) -> Iterator[Path]:
    """A file with a word in it that everybody may read: a search that does not find it proves nothing."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        Path(made).chmod(0o755)
        path = Path(made) / "open"
        path.write_text(OPEN)
        yield path


def passwords(here: Installation) -> list[str]:
    """Return the words by which database and broker are reached."""
    return [path.read_text().strip() for path in (here.root / "secrets").iterdir()]
