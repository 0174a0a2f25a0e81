"""Files that are made from the code: `python -m tests.support.generated` writes them anew, a house rule compares.

docs/lifecycle.md                the drawings between the two marks
api/http/document/openapi.json  the API's description
sdk/ganger/answers.py            the types of answers that the client hands out as they came
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scheduler.rules.lifecycle import moves
from tests.support import answer_types

ROOT = Path(__file__).parents[2]
REMEDY = "write it anew: .venv/bin/python -m tests.support.generated"
BEGIN, END = "<!-- drawing: begin -->", "<!-- drawing: end -->"


def openapi() -> str:
    """Return the API's OpenAPI document, with sorted keys."""
    return json.dumps(openapi_document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@cache
def openapi_document() -> dict[str, Any]:
    """Return the document as the routes are now; nobody may change it."""
    from api.http import app  # noqa: PLC0415 - whoever only compares the drawing needs no web framework
    from api.http.document import openapi as document  # noqa: PLC0415

    return document.document_of([noun.routes for noun in app.NOUNS], version("ganger-server"))


def answers() -> str:
    """Return the client's module of answer types, formatted."""
    text = answer_types.module(json.loads(openapi())["components"]["schemas"])
    ruff = str(Path(sys.executable).with_name("ruff"))
    command = [ruff, "format", "--stdin-filename", "sdk/ganger/answers.py", "-"]
    return str(subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


def main() -> None:
    page = ROOT / "docs" / "lifecycle.md"
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{moves.drawing()}\n{END}{after}")
    (ROOT / "api" / "http" / "document" / "openapi.json").write_text(openapi())
    (ROOT / "sdk" / "ganger" / "answers.py").write_text(answers())


if __name__ == "__main__":
    main()
