"""`./run bench [PART ...]`: measure, and print one JSON line per figure. Nothing here passes or fails.

Figures of different machines, or of one machine at different times, do not compare; ratios taken in one run do.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

PARTS = {
    path.stem: (importlib.import_module(f"tests.bench.{path.stem}").__doc__ or "").strip().partition("\n")[0]
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if not path.stem.startswith("_") and path.stem != "figures"
}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _options(asked: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return by part what was asked of it; what was not asked is left to the part."""
    rounds = {} if asked.rounds is None else {"rounds": asked.rounds}
    return {
        "scale": {"changes": asked.changes},
        "agreement": {"cases": asked.cases},
        "peers": {**rounds, **({} if asked.jobs is None else {"jobs": asked.jobs})},
        "requests": {**rounds, "profile": asked.profile},
        "depth": {name: value for name in ("queued", "finished") if (value := getattr(asked, name)) is not None},
    }


def main() -> int:
    described = "\n".join(f"  {name:<12} {line}" for name, line in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description=f"{__doc__}\n\nparts:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="which parts to run (default: all)")
    parser.add_argument(
        "--changes", type=int, default=0, metavar="N", help="part scale: also N changes of a pool's size under load"
    )
    parser.add_argument(
        "--cases", type=int, default=1000, metavar="N", help="part agreement: so many random clusters (default: 1000)"
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="parts peers, requests: so many rounds (default: 5)"
    )
    parser.add_argument("--jobs", type=_positive, metavar="N", help="part peers: so many jobs a round (default: 1000)")
    parser.add_argument("--queued", type=_positive, metavar="N", help="part depth: jobs that wait (default: 1000000)")
    parser.add_argument(
        "--finished", type=_positive, metavar="N", help="part depth: jobs that have ended (default: 10000000)"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="part requests: also a profile of the API's functions, kind of request by kind",
    )
    asked = parser.parse_args()
    options = _options(asked)
    for part in asked.part or PARTS:
        importlib.import_module(f"tests.bench.{part}").main(**options.get(part, {}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
