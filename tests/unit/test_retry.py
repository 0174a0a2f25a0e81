"""When a job gets another try, and how long it waits for it."""

import pytest

from scheduler.rules.lifecycle.failures import BUILT_IN
from scheduler.rules.lifecycle.retry import RetryBackoff, delay_s, may_try_again, wanted

BACKOFF = RetryBackoff(first_s=2.0, factor=3.0, limit_s=60.0)


@pytest.mark.parametrize(
    ("tries", "ceiling"),
    [(1, 2.0), (2, 6.0), (3, 18.0), (4, 54.0), (5, 60.0), (6, 60.0), (10_000, 60.0)],
)
@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_the_delay_is_a_part_of_a_ceiling_that_grows_with_each_try_up_to_a_limit(
    tries: int, ceiling: float, chance: float
) -> None:
    assert delay_s(tries, BACKOFF, lambda: chance) == pytest.approx(chance * ceiling)


@pytest.mark.parametrize(
    ("backoff", "tries", "expected"),
    [
        (RetryBackoff(), 1, 1.0),
        (RetryBackoff(), 4, 8.0),
        (RetryBackoff(), 9, 256.0),
        (RetryBackoff(), 10, 300.0),
        (RetryBackoff(first_s=0.0), 5, 0.0),
        (RetryBackoff(factor=1.0), 7, 1.0),
        (RetryBackoff(first_s=5.0, limit_s=3.0), 1, 3.0),
    ],
)
def test_the_longest_delay_follows_from_the_settings(backoff: RetryBackoff, tries: int, expected: float) -> None:
    assert delay_s(tries, backoff, lambda: 1.0) == pytest.approx(expected)


def test_there_is_no_delay_before_the_first_try_has_failed() -> None:
    with pytest.raises(AssertionError, match="a delay follows a try"):
        delay_s(0, BACKOFF, lambda: 0.5)


@pytest.mark.parametrize(
    ("num_exes", "forgiven", "max_tries", "should_be_retried", "expected"),
    [
        (1, 0, 3, True, True),
        (2, 0, 3, True, True),
        (3, 0, 3, True, False),
        (3, 1, 3, True, True),
        (4, 1, 3, True, False),
        (1, 0, 1, True, False),
        (1, 0, 3, False, False),
    ],
)
def test_a_job_gets_another_try_until_as_many_counted_as_it_may_have(
    num_exes: int, forgiven: int, max_tries: int, should_be_retried: bool, expected: bool
) -> None:
    found = may_try_again(
        num_exes=num_exes, forgiven=forgiven, max_tries=max_tries, should_be_retried=should_be_retried
    )
    assert found is expected


@pytest.mark.parametrize(
    ("retry_on", "name", "category", "by_default", "is_met", "expected"),
    [
        (None, "staging", "SYSTEM", True, False, True),
        (None, "unknown-exit", "ALGORITHM", False, False, False),
        ([], "staging", "SYSTEM", True, False, False),
        (["ALGORITHM"], "unknown-exit", "ALGORITHM", False, False, True),
        (["ALGORITHM"], "staging", "SYSTEM", True, False, False),
        (["bad-data"], "bad-data", "DATA", False, False, True),
        (["bad-data"], "checksum", "DATA", False, False, False),
        ([], "out-of-memory", "ALGORITHM", False, True, True),
    ],
)
def test_a_job_says_after_which_errors_it_wants_another_try_and_else_the_error_does(
    retry_on: list[str] | None, name: str, category: str, by_default: bool, is_met: bool, expected: bool
) -> None:
    found = wanted(retry_on, name=name, category=category, should_be_retried=by_default, is_met=is_met)
    assert found is expected


def test_only_errors_of_the_platform_are_retried_by_default() -> None:
    assert {one.name for one in BUILT_IN if one.should_be_retried} == {
        one.name for one in BUILT_IN if one.category == "SYSTEM"
    }
