"""How long the leader's duties pause while nothing waits and nothing runs."""

from scheduler.leader import rest
from scheduler.settings import Settings


def test_a_busy_leader_keeps_its_usual_pace() -> None:
    assert rest.pause_s(1.0, Settings(), is_idle=False) == 1.0


def test_an_idle_one_rests_but_notices_a_silent_node_in_time() -> None:
    assert 1.0 < rest.pause_s(1.0, Settings(suspect_s=10.0), is_idle=True, watches_nodes=True) <= 10.0 / 3
    assert rest.pause_s(1.0, Settings(suspect_s=1.0), is_idle=True, watches_nodes=True) == 1.0
    assert rest.pause_s(1.0, Settings(suspect_s=10.0), is_idle=True) > 10.0 / 3


def test_nothing_rests_after_a_nudge_until_a_tick_that_began_later_has_looked() -> None:
    resting = rest.LeaderRest(Settings(), lambda: True)
    assert resting.pause("scaling", 1.0) > 1.0
    looked = resting.looking()
    assert resting.over() == {"scaling"}
    looked()
    assert resting.pause("scaling", 1.0) == 1.0
    resting.looking()()
    assert resting.pause("scaling", 1.0) > 1.0


def test_a_duty_that_is_seldom_anyway_stays_as_it_is() -> None:
    assert rest.pause_s(60.0, Settings(), is_idle=True) == 60.0


def test_a_tick_after_a_quiet_moment_waits_for_nothing() -> None:
    pace = rest.TickPace()
    for number in range(100):  # one small job follows the other: ticks of 4 ms, 6 ms apart
        began = number * 0.01
        assert pace.owed_s(began) == 0.0
        pace.spend(began, began + 0.004)


def test_ticks_under_load_take_half_of_the_time() -> None:
    pace, now, busy = rest.TickPace(), 100.0, 0.0
    for _ in range(1000):
        now += pace.owed_s(now)
        pace.spend(now, now + 0.02)
        now, busy = now + 0.02, busy + 0.02
    assert 0.49 < busy / (now - 100.0) < 0.51


def test_no_pause_is_longer_than_a_tenth_of_a_second() -> None:
    pace = rest.TickPace()
    pace.spend(0.0, 30.0)
    assert pace.owed_s(30.0) == 0.1
