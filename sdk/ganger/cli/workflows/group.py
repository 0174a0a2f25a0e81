"""`ganger workflow` with all its commands."""

from __future__ import annotations

from ganger.cli.workflows import again, saved
from ganger.cli.workflows.commands import workflow

__all__ = ["again", "saved", "workflow"]
