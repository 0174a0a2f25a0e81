"""How the size of a pool is decided; a file of its own, so that the tables know the words without numpy."""

from enum import StrEnum


class PoolSizing(StrEnum):
    """How a pool gets its size."""

    FREE = "free"
    """Nodes come and go by themselves; nobody starts or stops any."""
    FIXED = "fixed"
    """As many as an operator said."""
    AUTO = "auto"
    """As many as the waiting jobs need, between a smallest and a largest number."""
