"""Plots replays as SVG: queue length, share of the fleet in use, and mean waits by class of job; a colour for each policy."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, log10

from scheduler.replay.report import ReplayTimeline, unit_of

_WIDTH, _HEIGHT, _MARGIN, _GAP = 900, 220, 60, 50
_FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', 'Noto Sans', sans-serif"
_COLOURS = ("#0b6e99", "#c4511d", "#5a7d2a", "#7b4fa3", "#8a6d00")

_MOST_TICKS = 8
"""Most parts of an axis: with more, their numbers would touch."""


def as_svg(courses: Mapping[str, ReplayTimeline], title: str = "") -> str:
    """Return an SVG document of its own; times count from the first submission, and the queue is drawn up to its maximum."""
    bars = any(run.classes for run in courses.values())
    height = (3 if bars else 2) * (_HEIGHT + _GAP) - _GAP + 2 * _MARGIN
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
        *([_class_bars(_MARGIN + 2 * (_HEIGHT + _GAP), list(courses.values()))] if bars else []),
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
    lines: Mapping[str, tuple[ReplayTimeline, Sequence[float]]],
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


def _class_bars(top: float, runs: Sequence[ReplayTimeline]) -> str:
    """Return one diagram of the mean waits by class of job: a group of bars for each class, a bar for each policy."""
    names = list(dict.fromkeys(each.name for run in runs for each in run.classes))
    unit, size = unit_of(max(each.mean_wait_s for run in runs for each in run.classes))
    heights = ticks(max(1e-9, *(each.mean_wait_s / size for run in runs for each in run.classes), 0.0))
    bottom, group = top + _HEIGHT, _WIDTH / len(names)
    parts = [
        f'<rect x="{_MARGIN}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999"/>',
        f'<text x="{_MARGIN}" y="{top - 6}">mean wait by class of job, {unit}</text>',
        *(_height(bottom, tick, heights[-1]) for tick in heights),
    ]
    for place, name in enumerate(names):
        left = _MARGIN + place * group
        parts.append(f'<text x="{left + group / 2:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(name)}</text>')
        for number, run in enumerate(runs):
            wait = next((each.mean_wait_s for each in run.classes if each.name == name), 0.0)
            high, width = wait / size / heights[-1] * _HEIGHT, 0.8 * group / len(runs)
            parts.append(
                f'<rect class="wait" x="{left + 0.1 * group + number * width:.1f}" y="{bottom - high:.1f}" '
                f'width="{width:.1f}" height="{high:.1f}" fill="{_COLOURS[number % len(_COLOURS)]}"/>'
            )
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
