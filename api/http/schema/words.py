"""Words for programs to branch on, in queries and answers. Those of explanations are in `scheduler.explain.words`."""

from __future__ import annotations

from typing import Literal, TypeAlias

CategoryWord: TypeAlias = Literal["SYSTEM", "DATA", "ALGORITHM"]
"""The side that an error is the fault of: the platform, the data, or the program."""
