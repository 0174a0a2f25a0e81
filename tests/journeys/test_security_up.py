"""`ganger up` that root has started: what answers requests is not root, wherever the state folder lies."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as root")
ROOT = Path(__file__).parents[2]
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def hidden() -> Iterator[Installation]:
    """An installation whose code and state folder only root can reach, with a file of root's from an earlier release."""
    with tempfile.TemporaryDirectory(prefix="ganger-hidden-") as parent:  # 0700
        root = Path(parent) / "state"
        (root / "files/uploads").mkdir(parents=True)
        (root / "files/uploads/old").write_text("old")
        (root / "files/trap").symlink_to("/etc/hostname")
        code = Path(parent) / "code"
        for package in ("scheduler", "workers", "api", "sdk/ganger"):
            shutil.copytree(ROOT / package, code / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
        before = os.umask(0)  # whoever starts it may have any
        try:
            made = Installation(root, PYTHONPATH=str(code)).start()
        finally:
            os.umask(before)
        yield made
        made.stop()


def test_the_api_is_an_unprivileged_account_and_does_its_work(hidden: Installation) -> None:
    uids = {uid for process in hidden.processes("api") for uid in process.uids()}
    assert uids
    assert 0 not in uids
    assert {pwd.getpwuid(uid).pw_name for uid in uids} <= {"ganger", "daemon", "nobody"}
    sent = hidden.api.post("/files/", params={"file_name": "a"}, content=b"content", headers=RAW)
    assert sent.status_code == 201, sent.text
    assert hidden.api.get(f"/files/{sent.json()['id']}/content/").content == b"content"
    for page in ("/metrics", "/status/", "/docs/", "/openapi.json", "/health/ready"):
        assert hidden.api.get(page).status_code == 200, page
    assert hidden.api.delete(f"/files/{sent.json()['id']}/").status_code == 204


def test_files_of_before_are_handed_over_and_what_links_lead_to_is_not(hidden: Installation) -> None:
    (account,) = {uid for process in hidden.processes("api") for uid in process.uids()}
    assert (hidden.root / "files/uploads/old").stat().st_uid == account
    assert (hidden.root / "files/trap").stat().st_uid == 0


def test_a_workspace_lies_where_the_state_folder_or_the_operator_says(hidden: Installation) -> None:
    for place in ("/etc", "/", f"{hidden.root}", f"{hidden.root}/tokens", "/tmp"):
        assert hidden.api.post("/workspaces/", json={"name": "w", "url": f"file://{place}"}).status_code == 400
    folder = hidden.root / "workspaces/data"
    folder.mkdir()
    folder.chmod(0o777)
    made = hidden.api.post("/workspaces/", json={"name": "w", "url": folder.as_uri()})
    assert made.status_code == 201, made.text
    (folder / "shadow").symlink_to("/etc/shadow")
    (folder / "hard").write_text("x")
    for path, status in (("shadow", 404), ("hard", 201)):
        answer = hidden.api.post("/files/", params={"workspace_id": made.json()["id"], "path": path})
        assert answer.status_code == status, answer.text


def test_what_is_written_to_the_state_folder_is_for_nobody_else(hidden: Installation) -> None:
    """Whatever the umask of whoever starts it: only the programs of the servers, which come from a package, are for all."""
    job = hidden.submit(
        "/bin/sh",
        "-c",
        "umask 0; echo out; echo made > $GANGER_OUTPUT_DIR/file; echo '{}' > $GANGER_OUTPUT_DIR/results.json",
    )
    assert hidden.wait(job)["status"] == "COMPLETED"
    assert hidden.api.post("/files/", params={"file_name": "a"}, content=b"content", headers=RAW).status_code == 201
    not_ours = {"up.log", "files", "uploads", "old", "hard", "data"}  # these the tests have made
    opened = [
        str(path.relative_to(hidden.root))
        for path in hidden.root.rglob("*")
        if "programs" not in path.parts and path.name not in not_ours and is_for_all(path)
    ]
    assert opened == []


def is_for_all(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return not stat.S_ISLNK(found.st_mode) and bool(found.st_mode & 0o006)
