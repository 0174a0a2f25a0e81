"""The type of what is sent and received as JSON, where no record stands for it. Importing it loads no library."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object as the API sent it. `/openapi.json` describes the fields of each answer; servers may add more of them."""
