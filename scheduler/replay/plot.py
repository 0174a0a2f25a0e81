"""Plots replays as SVG: the queue length above, the share of the fleet in use below, one line for each policy."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, log10

from scheduler.replay.report import Timeline, unit_of

_WIDTH, _HEIGHT, _MARGIN, _GAP = 900, 220, 60, 50
_FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', 'Noto Sans', sans-serif"
_COLOURS = ("#0b6e99", "#c4511d", "#5a7d2a", "#7b4fa3", "#8a6d00")

_MOST_TICKS = 8
"""Most parts of an axis: with more, their numbers would touch."""


def as_svg(courses: Mapping[str, Timeline], title: str = "") -> str:
    """Return an SVG document of its own; times count from the first submission, and the queue is drawn up to its maximum."""
    height = 2 * _HEIGHT + _GAP + 2 * _MARGIN
    most = max((run.most for run in courses.values()), default=0) or 1
    longest = max((run.step_s * len(run.waiting) for run in courses.values()), default=0.0) or 1.0
    panels = (
        _panel(
            _MARGIN,
            "jobs waiting",
            ticks(most, whole=True),
            {name: (run, run.waiting) for name, run in courses.items()},
            longest,
        ),
        _panel(
            _MARGIN + _HEIGHT + _GAP,
            "share of the fleet in use",
            ticks(1.0),
            {name: (run, run.in_use) for name, run in courses.items()},
            longest,
        ),
    )
    box = f"0 0 {_WIDTH + 2 * _MARGIN} {height}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" font-family="{_FONTS}" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        *([f'<text x="{_MARGIN}" y="24" font-size="16">{escape(title)}</text>'] if title else []),
        *_legend(list(courses)),
        *panels,
        "</svg>",
    ]
    return "\n".join(parts)


def ticks(most: float, *, whole: bool = False) -> list[float]:
    """Return round numbers from 0 up to `most` or just above, at equal distances; with `whole` only whole numbers."""
    rough = most / _MOST_TICKS
    power = 10.0 ** int(log10(rough) // 1)
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, float(ceil(step)))
    return [number * step for number in range(ceil(most / step - 1e-9) + 1)]


def _panel(
    top: float,
    name: str,
    heights: Sequence[float],
    lines: Mapping[str, tuple[Timeline, Sequence[float]]],
    longest: float,
) -> str:
    """Return one diagram: a frame, its scales, and a line for each policy."""
    bottom = top + _HEIGHT
    parts = [
        f'<rect x="{_MARGIN}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999"/>',
        f'<text x="{_MARGIN}" y="{top - 6}">{escape(name)}</text>',
        *(_height(bottom, tick, heights[-1]) for tick in heights),
        *_times(bottom, longest),
    ]
    for number, (run, values) in enumerate(lines.values()):
        points = " ".join(
            f"{_MARGIN + (step + 0.5) * run.step_s / longest * _WIDTH:.1f},"
            f"{bottom - min(1.0, value / heights[-1]) * _HEIGHT:.1f}"
            for step, value in enumerate(values)
        )
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return "\n".join(parts)


def _height(bottom: float, value: float, highest: float) -> str:
    """Return a horizontal line at a value, and its number."""
    y = bottom - value / highest * _HEIGHT
    return (
        f'<path d="M{_MARGIN} {y:.1f}h{_WIDTH}" stroke="#e5e5e5"/>'
        f'<text x="{_MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    )


def _times(bottom: float, longest: float) -> list[str]:
    """Return the time axis: round numbers in a unit that fits, up to the end of the replay."""
    unit, size = unit_of(longest)
    at = [tick for tick in ticks(longest / size) if tick * size <= longest * (1 + 1e-9)]
    places = [(tick, _MARGIN + tick * size / longest * _WIDTH) for tick in at]
    return [
        f'<path d="M{x:.1f} {bottom}v5" stroke="#999"/>'
        f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{f"{tick:g} {unit}" if tick else "0"}</text>'
        for tick, x in places
    ]


def _legend(names: Sequence[str]) -> list[str]:
    return [
        f'<text x="{_MARGIN + _WIDTH - 100 * (len(names) - number)}" y="24" '
        f'fill="{_COLOURS[number % len(_COLOURS)]}">{escape(name)}</text>'
        for number, name in enumerate(names)
    ]
