"""How long a job will probably run, learned from the ends of those before it."""

from math import inf


class Predictor:
    """Run times by project and job type. Ends are told in the order they happen."""

    def __init__(self) -> None:
        self._longest: dict[tuple[int, int], float] = {}

    def expected_s(self, project_id: int, job_type_id: int, timeout_s: float | None) -> float:
        """The probable run time in seconds, never above `timeout_s`; inf where nothing is known and nothing bounds it."""
        known = self._longest.get((project_id, job_type_id), inf)
        return known if timeout_s is None else min(known, timeout_s)

    def learn(self, project_id: int, job_type_id: int, timeout_s: float | None, run_s: float) -> None:
        """Take the run time of an execution that ended by itself into the history of its type."""
        key = (project_id, job_type_id)
        self._longest[key] = max(run_s, self._longest.get(key, 0.0))
