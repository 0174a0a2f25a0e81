"""The picture of the queue agrees with a plain list, whatever comes and goes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.identifiers import ShapeId
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.resources import NOTHING, Resources
from scheduler.rules.cluster.shape_index import MOST_IDLE
from scheduler.rules.cluster.shapes import Shape

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["add", "hold", "sleep", "discard"]),
        st.integers(1, 12),
        st.integers(1, 2),
        st.integers(0, 9),
    ),
    max_size=120,
)


def a_queue() -> Queue:
    queue = Queue()
    for shape_id in (1, 2):
        queue.add_shape(Shape(ShapeId(shape_id), NOTHING))
    return queue


@given(CHANGES)
def test_lines_keep_age_order_through_any_changes(changes: list[tuple[str, int, int, int]]) -> None:
    queue, expected = a_queue(), dict[int, tuple[int, int, bool]]()
    for change, job_id, shape_id, at in changes:
        if change == "discard":
            queue.discard(job_id)
            expected.pop(job_id, None)
        else:
            held, not_before = ("why" if change == "hold" else None), (50.0 if change == "sleep" else None)
            queue.add(job_id, shape_id, float(at), held=held, not_before=not_before)
            expected[job_id] = (shape_id, at, change == "add")
    for shape_id in (1, 2):
        stand = sorted((at, job) for job, (shape, at, on) in expected.items() if shape == shape_id and on)
        line = queue.groups[shape_id]
        assert queue.list_oldest(line, line.first, 99)[0] == [job for _, job in stand]
        assert queue.list_newest(line, len(line.ids), 99)[0] == [job for _, job in reversed(stand)]
        assert queue.count(shape_id) == len(stand)
        assert [queue.position(job) for _, job in stand] == list(range(len(stand)))
        assert [queue.position(job, newest=True) for _, job in reversed(stand)] == list(range(len(stand)))
    assert len(queue) == len(expected)


def test_a_bulk_load_is_as_good_as_single_adds() -> None:
    queue = a_queue()
    queue.load(np.array([5, 3, 4]), np.array([1, 2, 1]), np.array([9.0, 7.0, 8.0]), np.array([0, 2, 0]))
    assert queue.list_oldest(queue.groups[1], 0, 9)[0] == [4, 5]
    assert queue[3].attempt == 2
    assert queue[5].queued_at == 9.0


def test_a_job_wakes_when_its_time_has_come() -> None:
    queue = a_queue()
    queue.add(1, 1, 5.0, not_before=100.0)
    queue.release_due(99.0)
    assert queue.count(1) == 0
    queue.release_due(100.0)
    assert queue.count(1) == 1


def test_only_jobs_queued_until_a_moment_are_taken_when_asked() -> None:
    queue = a_queue()
    for job_id in range(1, 6):
        queue.add(job_id, 1, float(job_id))
    assert queue.list_oldest(queue.groups[1], 0, 9, until=3.0) == ([1, 2, 3], 3)


def test_a_shape_is_found_again_by_what_it_asks_for() -> None:
    queue, need = Queue(), Resources.of(cpus=2)
    queue.add_shape(Shape(ShapeId(5), need))
    assert queue.matching_shape_id(Shape(ShapeId(0), need)) == 5
    assert queue.matching_shape_id(Shape(ShapeId(5), need, priority=1)) is None
    queue.remove_shape(5)
    assert (queue.matching_shape_id(Shape(ShapeId(0), need)), dict(queue.groups)) == (None, {})


def test_shapes_long_idle_are_forgotten_and_may_be_learned_again() -> None:
    queue = Queue()
    shapes = [Shape(ShapeId(number), Resources(cpus=number)) for number in range(MOST_IDLE + 10)]
    for shape in shapes:
        queue.add_shape(shape)
    assert len(queue.groups) == len(shapes), "no shape goes between being learned and its first job"
    queue.add(1, 0, 5.0)
    queue.add(2, 1, 5.0, held="why")
    queue.load([3], [2], [5.0])
    queue.discard(3)
    queue.release_due(6.0)
    assert len(queue.groups) == MOST_IDLE + 2
    assert [number in queue.groups for number in (0, 1, 2, 3, 10, 11, MOST_IDLE + 9)] == [
        True, True, True, False, False, True, True,
    ]  # fmt: skip
    queue.add_shape(shapes[3])
    queue.add(4, 3, 7.0)
    assert queue.count(3) == 1
    queue.discard(1)
    queue.release_due(8.0)
    assert queue.matching_shape_id(Shape(ShapeId(99), Resources(cpus=0))) == 0, "it has only just become idle"


@given(CHANGES)
def test_of_jobs_that_run_one_after_the_other_only_the_first_submitted_is_ready(
    changes: list[tuple[str, int, int, int]],
) -> None:
    queue, expected = Queue(), dict[int, tuple[int, int, str]]()
    for shape_id in (1, 2):
        queue.add_shape(Shape(ShapeId(shape_id), NOTHING, serial=7))
    for change, job_id, shape_id, at in changes:
        queue.discard(job_id)
        expected.pop(job_id, None)
        if change != "discard":
            held, not_before = ("why" if change == "hold" else None), (50.0 if change == "sleep" else None)
            queue.add(job_id, shape_id, float(at), held=held, not_before=not_before)
            expected[job_id] = (shape_id, at, change)
    turns = sorted(job for job, (_, _, change) in expected.items() if change != "hold")
    first = turns[0] if turns else None
    ready = [first] if first is not None and expected[first][2] == "add" else []
    for _ in range(2):
        lines = [queue.list_oldest(line, line.first, 99)[0] for line in queue.ready_groups.values()]
        assert [job for line in lines for job in line] == ready
        queue.release_due(60.0)
        ready = turns[:1]
    assert queue.next_of(7) == first
    assert queue.count_blocked()[2] == max(0, len(turns) - 1)


def test_a_bulk_load_leaves_one_of_each_row_ready() -> None:
    queue = Queue()
    queue.add_shape(Shape(ShapeId(1), NOTHING, serial=7))
    queue.add_shape(Shape(ShapeId(2), NOTHING, serial=8))
    queue.load(np.array([5, 3, 4, 9]), np.array([1, 1, 1, 2]), np.array([1.0, 7.0, 8.0, 2.0]))
    assert [queue.count(1), queue.count(2)] == [1, 1]
    assert queue.position(3) == 0
    assert queue.position(5) is None
