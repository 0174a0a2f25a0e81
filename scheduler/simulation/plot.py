"""The course of replays as a picture: queue length above, share of the fleet in use below, one line per policy."""

from collections.abc import Mapping, Sequence
from html import escape

from scheduler.simulation.report import Course

_WIDTH, _HEIGHT, _MARGIN, _GAP = 900, 220, 60, 50
_FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', 'Noto Sans', sans-serif"
_COLOURS = ("#0b6e99", "#c4511d", "#5a7d2a", "#7b4fa3", "#8a6d00")


def as_svg(courses: Mapping[str, Course], title: str = "") -> str:
    """An SVG document that stands alone; times are days from the first submission."""
    height = 2 * _HEIGHT + _GAP + 2 * _MARGIN
    most = max((max(run.waiting, default=0.0) for run in courses.values()), default=0.0) or 1.0
    longest = max((run.step_s * len(run.waiting) for run in courses.values()), default=0.0) or 1.0
    panels = (
        _panel(_MARGIN, "jobs waiting", most, {name: (run, run.waiting) for name, run in courses.items()}, longest),
        _panel(
            _MARGIN + _HEIGHT + _GAP,
            "share of the fleet in use",
            1.0,
            {name: (run, run.in_use) for name, run in courses.items()},
            longest,
        ),
    )
    box = f"0 0 {_WIDTH + 2 * _MARGIN} {height}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" font-family="{_FONTS}" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_MARGIN}" y="24" font-size="16">{escape(title)}</text>',
        *_legend(list(courses)),
        *panels,
        "</svg>",
    ]
    return "\n".join(parts)


def _panel(
    top: float, name: str, most: float, lines: Mapping[str, tuple[Course, Sequence[float]]], longest: float
) -> str:
    """One diagram: a frame, its scale, and a line per policy."""
    bottom, right = top + _HEIGHT, _MARGIN + _WIDTH
    parts = [
        f'<rect x="{_MARGIN}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999"/>',
        f'<text x="{_MARGIN}" y="{top - 6}">{escape(name)}</text>',
        f'<text x="{_MARGIN - 6}" y="{top + 12}" text-anchor="end">{most:.4g}</text>',
        f'<text x="{_MARGIN - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{longest / 86_400:.3g} days</text>',
    ]
    for number, (run, values) in enumerate(lines.values()):
        points = " ".join(
            f"{_MARGIN + (step + 0.5) * run.step_s / longest * _WIDTH:.1f},"
            f"{bottom - min(1.0, value / most) * _HEIGHT:.1f}"
            for step, value in enumerate(values)
        )
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return "\n".join(parts)


def _legend(names: Sequence[str]) -> list[str]:
    return [
        f'<text x="{_MARGIN + _WIDTH - 100 * (len(names) - number)}" y="24" '
        f'fill="{_COLOURS[number % len(_COLOURS)]}">{escape(name)}</text>'
        for number, name in enumerate(names)
    ]
