"""Files of others are what their packages hold, and our scripts and templates keep the rules of the pages' policy."""

import hashlib
import re
from pathlib import Path

import pytest

from api.ui.show import assets

UI = assets.FOLDER.parent
VENDOR = assets.FOLDER / "vendor"
ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(?P<file>[^`]+)` \|.*`(?P<digest>[0-9a-f]{64})` \|$", re.MULTILINE)
WRITES_MARKUP = re.compile(
    r"(?:inner|outer)HTML[\"']?\]?\s*\+?=(?!=)|insertAdjacentHTML|setHTMLUnsafe|document\.write|\beval\(|new Function"
)
TEMPLATES = sorted((UI / "templates").rglob("*.html"))


@pytest.mark.parametrize("folder", [VENDOR, ROOT / "tests" / "support" / "vendor"], ids=["pages", "tests"])
def test_every_vendored_file_is_the_one_that_its_note_names(folder: Path) -> None:
    told = {found["file"]: found["digest"] for found in ROW.finditer((folder / "README.md").read_text())}
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.suffix in {".js", ".css"}
    }
    assert told == there


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.name))
def test_templates_have_nothing_that_the_policy_would_have_to_excuse(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|\|\s*safe\b|hx-on|hx-vals=.js:", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


def test_our_scripts_write_no_markup() -> None:
    """What the server has rendered may be read; only htmx puts it into the page."""
    for path in assets.FOLDER.glob("*.js"):
        assert not WRITES_MARKUP.search(path.read_text()), path


@pytest.mark.parametrize("script", ["a.innerHTML = b", "a.outerHTML=b", 'a["innerHTML"] += b', "a.setHTMLUnsafe(b)"])
def test_writing_markup_is_seen(script: str) -> None:
    assert WRITES_MARKUP.search(script)
    assert not WRITES_MARKUP.search("return fresh.body.innerHTML; if (a.innerHTML === b) return;")


def test_a_file_is_named_by_its_content_and_imports_others_by_theirs() -> None:
    app = assets.all_files()["app.js"]
    assert assets.address("live.js").encode() in app.data
    assert b'"./live.js"' not in app.data
