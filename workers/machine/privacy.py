"""Privacy of a process: other processes of the same user can read neither its memory nor its environment.

This matters where the node does not run as root and jobs run as the node's own user.
"""

from __future__ import annotations

import ctypes

_PR_SET_DUMPABLE = 4


def protect() -> None:
    """Hide this process from all but root, and let it leave no core file. Programs that it starts are not affected."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
