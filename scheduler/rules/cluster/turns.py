"""Turns: of waiting jobs that run one after the other, the one that is next.

They go in the order in which they were submitted, whatever they ask for: a large one that finds no room, or whose next try is not
due yet, keeps its turn, so that no later one passes it. A job that is held has none until it is released.
"""


class TurnOrder:
    """Who is next, and who is behind, by the number that such jobs share.

    `behind` has the jobs that wait for their turn. Not safe for concurrent use.
    """

    def __init__(self) -> None:
        self.behind: set[int] = set()
        self._first: dict[int, int] = {}
        self._waiting: dict[int, set[int]] = {}
        self._number_of: dict[int, int] = {}

    def first(self, number: int) -> int | None:
        """Return the job that is next; None where none waits."""
        return self._first.get(number)

    def join(self, job_id: int, number: int) -> int | None:
        """Let a job wait for its turn; return the job that was next until now and is behind this one, if there is one."""
        self._number_of[job_id] = number
        self._waiting.setdefault(number, set()).add(job_id)
        first = self._first.setdefault(number, job_id)
        if first < job_id:
            self.behind.add(job_id)
        if first <= job_id:
            return None
        self._first[number] = job_id
        self.behind.add(first)
        return first

    def leave(self, job_id: int) -> int | None:
        """Let a job wait no longer, whether it did or not; return the job whose turn comes by that, if there is one."""
        number = self._number_of.pop(job_id, None)
        if number is None:
            return None
        waiting = self._waiting[number]
        waiting.discard(job_id)
        if job_id in self.behind:
            self.behind.discard(job_id)
            return None
        if not waiting:
            del self._waiting[number], self._first[number]
            return None
        first = self._first[number] = min(waiting)
        self.behind.discard(first)
        return first
