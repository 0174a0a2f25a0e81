"""The pages for readers: each code block says what it is, and is run by a test or says why it cannot be."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from tests.house.source import text_of, tracked_files
from tests.support.pages import PAGES, RUNNABLE, SHOWN, CodeBlock, blocks, script

INDENTED = re.compile(r"(?:\A|\n)\n {4}(?! )\S")
EVERY_PAGE = sorted(str(path) for path in tracked_files() if path.suffix == ".md" and path.name != "CHANGELOG.md")


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_blocks_are_fenced_and_name_their_language(page: str) -> None:
    assert not INDENTED.search(text_of_page(page)), "fence it, so that it can say what it is"
    assert not [block.where for block in blocks(page) if block.language not in RUNNABLE | SHOWN]


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_what_could_be_run_is_run_or_says_why_not(page: str) -> None:
    for block in blocks(page):
        if block.language in RUNNABLE:
            assert page in PAGES or "not run" in block.marks, block.where
            assert block.is_run or len(block.marks["not run"].split()) > 2, f"{block.where}: give the reason"


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_configuration_that_is_shown_can_be_read(page: str) -> None:
    for block in blocks(page):
        if block.language == "toml":
            tomllib.loads(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_that_asks_over_http_says_where_address_and_token_come_from(page: str) -> None:
    """By the same names everywhere: $URL and $TOKEN, out of the state folder."""
    text = "\n".join(block.text for block in blocks(page))
    assert not re.search(r"\$(?:API|AUTH)\b", text)
    if re.search(r"\$(?:URL|TOKEN)\b", text):
        assert 'URL=$(cat "$STATE/url"' in text
        assert 'TOKEN=$(cat "$STATE/tokens/admin")' in text


@pytest.mark.parametrize(
    ("text", "marks", "works"),
    [
        ("true", {}, True),
        ("false\ntrue", {}, False),
        ("echo $NOWHERE_DEFINED", {}, False),
        ("false   # refused", {"fails": ""}, True),
        ("true", {"fails": ""}, False),
        ("sh -c 'exit 3'; echo $?    # 3", {}, True),
        ("sh -c 'exit 3'; echo $?    # 4", {}, False),
        ("test 33 = 5", {"before": "JOB=5", "reading": "33=$JOB"}, True),
    ],
)
def test_a_line_that_does_not_work_is_noticed(text: str, marks: dict[str, str], works: bool) -> None:
    block = CodeBlock("a page", 1, "sh", text, marks)
    told = subprocess.run(["bash", "-c", script([block])], capture_output=True, text=True, check=False)
    assert (told.returncode == 0) is works, told.stderr


def text_of_page(page: str) -> str:
    return next(text_of(path) for path in tracked_files() if str(path) == page)
