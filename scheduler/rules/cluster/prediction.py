"""How long a job will probably run, learned from the ends of those before it.

Three views of the past (all jobs; those of the same project and type; of these, the ones with the same requirements and limit)
each make three guesses: the usual run time, the usual fraction of the time limit, and the last run time. A fourth guess is the
limit itself. Which guess has been nearest of late, on a logarithmic scale, is believed: so a site whose limits are honest uses
them, and one where everybody writes a day learns from what really happened. No figure is fitted to any site.

The order of guesses by their last errors follows Tsafrir, Etsion and Feitelson, "Backfilling using system-generated predictions
rather than user runtime estimates" (2007). Beside the probable run time there are two careful ones: `cautious_s`, which one run in four
outlives, and `longest_s`, which none of the last fifty runs outlived. Promises are made from neither where there is a limit that is earlier.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf, log

from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.short_runs import ShortRuns

_FADE = 0.1
"""The weight of the newest end in an average: about twenty ends matter."""

_ERROR_FADE = 0.01
"""The same for the error that is shown to operators: some two hundred ends."""

_BRIEF_S = 10.0
"""Run times below this count as equal: an error among them costs nobody anything."""

_FIRST_CAUTION = 0.5
"""How far, on a logarithmic scale, a cautious guess stands between the expected time and the limit before anything is learned."""

_OUTLIVED = 0.25
"""The share of runs that outlive the cautious guess once that is learned."""

_CAUTION_STEP = 0.1
"""How far the caution moves towards the limit with a run that outlived the guess. Each other run moves it back by a third of that."""

_HONEST = 0.99
"""Where a run is expected to take this part of its limit, nothing is learned about caution."""

_STEADY = 2.0
"""Runs of one shape are steady if the longest takes at most this many times the expected time."""

_PROVEN_ENDS = 50
"""Ends of one shape after which the longest of them bounds the next: the odds are some two in a hundred that it is longer."""

_LONGEST_FADE = 0.002
"""How much of the longest run is forgotten with every end, as a logarithm."""

_UNBOUNDED_CAUTION = 2.0
"""A cautious guess where there is no limit: twice the expected time."""

_MOST_HISTORIES = 100_000
"""Distinct views kept; beyond that the one longest without an end is forgotten."""


@dataclass(slots=True)
class History:
    """The memory of one group of runs: all values are logarithms of seconds but for `caution`.

    `errors` stand in the order of the guesses, the limit's last. `caution` (None: not learned yet) is how far the cautious guess stands
    between expected time and limit, 0 to 1.
    """

    ends: int = 0
    usual: float = 0.0
    fraction: float = 0.0
    last: float = 0.0
    longest: float = -inf
    caution: float | None = None
    errors: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])


_GUESSES: tuple[Callable[[History, float], float], ...] = (
    lambda history, _limit: history.usual,
    lambda history, limit: limit + history.fraction,
    lambda history, _limit: history.last,
    lambda _history, limit: limit,
)


class Predictor:
    """Run times by project and job type. Ends are told in the order they happen; `version` grows with each."""

    def __init__(self) -> None:
        self.version = 0
        self.ends = 0
        self.error = 0.0
        self._histories: dict[object, History] = {}
        self._short = ShortRuns()

    def expected_s(
        self, project_id: int, job_type_id: int, timeout_s: float | None, requires: Resources | None = None
    ) -> float:
        """The probable run time in seconds, never above `timeout_s`; inf where nothing is known and nothing bounds it."""
        limit = inf if timeout_s is None else _log(timeout_s)
        best, guess = inf, limit
        for key in _keys(project_id, job_type_id, timeout_s, requires):
            history = self._histories.get(key)
            if history is not None:
                best, guess = _better(history, limit, best, guess)
        if guess == inf:
            return inf
        return exp(guess) if timeout_s is None else min(exp(guess), timeout_s)

    def cautious_s(
        self,
        project_id: int,
        job_type_id: int,
        timeout_s: float | None,
        expected_s: float,
        requires: Resources | None = None,
    ) -> float:
        """Return a run time in seconds that three in four jobs do not pass, from `expected_s` to `timeout_s`.

        How far it is from one to the other is learned for each project and job type, and for all together while nothing of them has
        ended. It is the limit if that is at most twice the expected time. Where runs of the very same shape vary by so little that the longest
        took at most twice the expected time, it is the longest. Without a limit it is twice the expected time.
        """
        if timeout_s is None:
            return expected_s * _UNBOUNDED_CAUTION
        if timeout_s <= expected_s * _STEADY:
            return max(expected_s, timeout_s)
        if requires is not None:
            longest = self.longest_s(project_id, job_type_id, timeout_s, requires)
            if expected_s < longest <= expected_s * _STEADY:
                return min(longest, timeout_s)
        caution = self._caution((project_id, job_type_id))
        return float(max(expected_s, 1.0) ** (1 - caution) * timeout_s**caution)

    def longest_s(self, project_id: int, job_type_id: int, timeout_s: float | None, requires: Resources) -> float:
        """The longest run in seconds of jobs of the same project, type, limit and requirements; inf before fifty have ended.

        It fades by 0.2 % with every end.
        """
        history = self._histories.get(((project_id, job_type_id), timeout_s, requires))
        return exp(history.longest) if history is not None and history.ends >= _PROVEN_ENDS else inf

    def short_s(
        self, project_id: int, job_type_id: int, timeout_s: float | None, requires: Resources, most_s: float
    ) -> float:
        """The probable run time in seconds of a shape that is sure to take at most `most_s`; inf for every other."""
        return self._short.expected_s((project_id, job_type_id, timeout_s, requires), most_s)

    def learn(
        self,
        project_id: int,
        job_type_id: int,
        timeout_s: float | None,
        run_s: float,
        requires: Resources | None = None,
    ) -> None:
        """Take the run time of an execution that ended by itself, or by its limit, into the history.

        `error` becomes the fading mean of |ln(expected / actual)|: 0.69 is wrong by a factor of two.
        """
        if requires is not None:
            self._short.learn((project_id, job_type_id, timeout_s, requires), run_s)
        actual, limit = _log(run_s), inf if timeout_s is None else _log(timeout_s)
        expected = self.expected_s(project_id, job_type_id, timeout_s, requires)
        if expected != inf:
            self._learn_caution(project_id, job_type_id, _log(expected), actual, limit)
            self.ends += 1
            self.error += max(_ERROR_FADE, 1 / self.ends) * (abs(_log(expected) - actual) - self.error)
        for key in _keys(project_id, job_type_id, timeout_s, requires):
            history = self._histories.pop(key, None) or History()
            _record_end(history, actual, limit)
            self._histories[key] = history
        while len(self._histories) > _MOST_HISTORIES:
            del self._histories[next(iter(self._histories))]
        self.version += 1

    def _caution(self, alike: tuple[int, int] | None) -> float:
        for key in (alike, None):
            history = self._histories.get(key)
            if history is not None and history.caution is not None:
                return history.caution
        return _FIRST_CAUTION

    def _learn_caution(self, project_id: int, job_type_id: int, expected: float, actual: float, limit: float) -> None:
        """Move the caution of the project and type, and that of all jobs, by whether the run outlived the cautious guess."""
        if limit == inf or expected >= limit + log(_HONEST):
            return
        for key in ((project_id, job_type_id), None):
            caution = self._caution(key)
            outlived = actual > expected + caution * (limit - expected)
            self._histories.setdefault(key, History()).caution = _moved(caution, outlived=outlived)


def _moved(caution: float, *, outlived: bool) -> float:
    """The caution after one more run. It settles where the share of runs that outlive the guess is as wanted (Robbins and Monro, 1951)."""
    return min(1.0, max(0.0, caution + _CAUTION_STEP * (outlived - _OUTLIVED)))


def _keys(project_id: int, job_type_id: int, timeout_s: float | None, requires: Resources | None) -> tuple[object, ...]:
    alike = (project_id, job_type_id)
    return (None, alike, (alike, timeout_s, requires)) if requires is not None else (None, alike)


def _better(history: History, limit: float, best: float, guess: float) -> tuple[float, float]:
    """The better of the best guess so far and the view's own, with its error; a closer view wins only by being better."""
    for error, make in zip(history.errors, _GUESSES, strict=True):
        candidate = make(history, limit)
        if error < best and candidate != inf:
            best, guess = error, candidate
    return best, guess


def _record_end(history: History, actual: float, limit: float) -> None:
    """Judge the view's guesses by what happened, then let it learn."""
    if history.ends:
        weight = max(_FADE, 1 / history.ends)
        for number, make in enumerate(_GUESSES):
            guess = min(make(history, limit), limit)
            error = abs(guess - actual) if guess != inf else _UNKNOWN_ERROR
            history.errors[number] += weight * (error - history.errors[number])
    history.ends += 1
    weight = max(_FADE, 1 / history.ends)
    history.usual += weight * (actual - history.usual)
    history.fraction += weight * ((actual - limit if limit != inf else 0.0) - history.fraction)
    history.last = actual
    history.longest = max(actual, history.longest - _LONGEST_FADE)


_UNKNOWN_ERROR = 100.0
"""The error of a guess that could not be made: worse than any that could."""


def _log(seconds: float) -> float:
    return log(max(seconds, _BRIEF_S))
