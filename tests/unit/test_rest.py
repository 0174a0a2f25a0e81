"""How long the leader's duties pause while nothing waits and nothing runs."""

from scheduler.leader import rest
from scheduler.settings import Settings


def test_a_busy_leader_keeps_its_usual_pace() -> None:
    assert rest.pause_s(1.0, Settings(), is_idle=False) == 1.0


def test_an_idle_one_rests_but_notices_a_silent_node_in_time() -> None:
    assert 1.0 < rest.pause_s(1.0, Settings(suspect_s=10.0), is_idle=True) <= 10.0 / 3
    assert rest.pause_s(1.0, Settings(suspect_s=1.0), is_idle=True) == 1.0


def test_a_duty_that_is_seldom_anyway_stays_as_it_is() -> None:
    assert rest.pause_s(60.0, Settings(), is_idle=True) == 60.0
