"""Files that are made from the code: `python -m tests.support.generated` writes them anew, a house rule compares.

docs/lifecycle.md                the drawings between the two marks
api/http/document/openapi.json  the API's description
"""

from __future__ import annotations

import json
from pathlib import Path

from scheduler.rules.lifecycle import moves

ROOT = Path(__file__).parents[2]
REMEDY = "write it anew: .venv/bin/python -m tests.support.generated"
BEGIN, END = "<!-- drawing: begin -->", "<!-- drawing: end -->"


def openapi() -> str:
    """Return the API's OpenAPI document as it is served, with sorted keys."""
    from api.http import app  # noqa: PLC0415 - whoever only compares the drawing needs no web framework

    return json.dumps(app.openapi_document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    page = ROOT / "docs" / "lifecycle.md"
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{moves.drawing()}\n{END}{after}")
    (ROOT / "api" / "http" / "document" / "openapi.json").write_text(openapi())


if __name__ == "__main__":
    main()
