"""The pages for readers, as their code blocks: what is run as written, what cannot be run here, and why.

A block is fenced and names its language. HTML comments right before it, which readers do not see, say what a test needs:

    <!-- not run: REASON -->        the block needs what no test has
    <!-- before: COMMANDS -->       run first: they bring about what the text presupposes
    <!-- reading: 33=$JOB a=b -->   words of the block that stand for what is different on every installation
    <!-- in: FOLDER -->             the folder of the project in which the page's commands run
    <!-- fails -->                  the last line ends with an error, as the text says
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNNABLE = {"sh", "console", "python"}
SHOWN = {"text", "toml", "mermaid"}
PAGES = (
    "README.md",
    "deploy/examples/kml-footprint/README.md",
    "deploy/examples/python-client/README.md",
    "sdk/README.md",
    "docs/node.md",
    "docs/scheduling.md",
    "docs/uploads.md",
    "docs/workflows.md",
    "docs/block-models.md",
    "docs/operate.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
)
"""In the order in which they are run: the ids in the first are those of a new installation, the last changes its pools."""

_BLOCK = re.compile(
    r"(?P<marks>(?:^<!--(?:(?!-->).)*-->\n)*)^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_MARK = re.compile(r"<!-- (?P<name>not run|before|reading|in|fails)(?:: (?P<value>.*?))? -->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """One block of a page."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str]

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return self.language in RUNNABLE and "not run" not in self.marks

    def script(self) -> str:
        """Return the block as lines for bash, with what is to be run before it."""
        text = self.text
        for pair in shlex.split(self.marks.get("reading", "")):
            word, _, meaning = pair.partition("=")
            text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", lambda _, to=meaning: to, text)  # type: ignore[misc]
        if self.language == "python":
            lines = [f"python - <<'END OF PYTHON'\n{text}\nEND OF PYTHON"]
        elif self.language == "console":
            lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
        else:
            lines = [_tolerant(line) for line in text.splitlines()]
        if "fails" in self.marks:
            lines[-1] = f"if\n{lines[-1]}\nthen echo it works >&2; exit 1\nfi"
        folder = [f'cd "$ROOT/{self.marks["in"]}"'] if "in" in self.marks else []
        return "\n".join([f"echo '## {self.where}' >&2", *folder, self.marks.get("before", ""), *lines])


def blocks(page: str) -> list[CodeBlock]:
    """Return the blocks of a page in their order."""
    text = (ROOT / page).read_text()
    return [
        CodeBlock(
            page,
            text.count("\n", 0, found.start("text")),
            found["language"],
            found["text"].rstrip("\n"),
            {mark["name"]: mark["value"] or "" for mark in _MARK.finditer(found["marks"])},
        )
        for found in _BLOCK.finditer(text)
    ]


def script(found: Iterable[CodeBlock]) -> str:
    """Return all that is run of a page, as one script: variables of one block hold in the next, as in a reader's shell."""
    of_json = "its_id() { python -c 'import json, sys; print(json.load(sys.stdin)[\"id\"])'; }"
    curl = 'curl() { command curl --silent --fail-with-body "$@"; }'
    return "\n".join(["set -eu", of_json, curl, *(block.script() for block in found if block.is_run)])


def _tolerant(line: str) -> str:
    """A line that prints the exit status of its command may fail, as long as the status is what its comment says."""
    command, mark, said = line.partition("; echo $?")
    if not mark:
        return line
    status = said.partition("#")[2].strip()
    return f"code=0; {command} || code=$?; [ $code = {status} ] || {{ echo exited with $code >&2; exit 1; }}"
