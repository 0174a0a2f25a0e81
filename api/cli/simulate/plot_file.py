"""The picture that `ganger simulate --plot` draws: whether it can be, before anything is replayed; and the drawing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ganger.errors import UsageError

if TYPE_CHECKING:
    from scheduler.replay.report import ReplayTimeline


def drawer(path: Path | None) -> Callable[[dict[str, ReplayTimeline]], None] | None:
    """Return what draws courses into a file, None without one. Raises before anything is replayed where it could not."""
    if path is None:
        return None
    kind = path.suffix.lower()
    if kind not in {".svg", ".png"}:
        raise UsageError("a plot is an .svg or a .png file", field="--plot")
    _try(path)
    rasterise = _rasteriser() if kind == ".png" else None

    def draw(courses: dict[str, ReplayTimeline]) -> None:
        from scheduler.replay.plot import as_svg  # noqa: PLC0415 - likewise

        drawn = as_svg(courses)
        path.write_bytes(drawn.encode() if rasterise is None else rasterise(drawn))

    return draw


def _try(path: Path) -> None:
    """Open a file for writing and leave it as it was. Raises UsageError."""
    new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as trouble:
        raise UsageError(f"--plot: {path} cannot be written: {trouble.strerror}", field="--plot") from None
    if new:
        path.unlink()


def _rasteriser() -> Callable[[str], bytes]:
    try:
        import resvg_py  # noqa: PLC0415 - optional
    except ImportError:
        raise UsageError(
            "a PNG needs one more package: pip install 'ganger-server[plot]'; an SVG needs nothing"
        ) from None
    return lambda drawn: bytes(resvg_py.svg_to_bytes(svg_string=drawn, background="white"))
