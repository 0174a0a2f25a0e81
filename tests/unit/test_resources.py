"""Amounts of resources are exact, whatever is added and taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.rules.cluster.resources import NOTHING, Resources

AMOUNTS = st.builds(
    Resources.from_amounts,
    st.dictionaries(st.sampled_from(["cpus", "mem", "disk", "gpu", "licence"]), st.integers(0, 10**12)),
)


def test_units_become_thousandths_rounded_up() -> None:
    some = Resources.of(cpus="0.5", mem=64, disk=0.0001, custom={"gpu": 1, "none": 0})
    assert some == Resources(500, 64000, 1, (("gpu", 1000),))


@pytest.mark.parametrize("amount", [-1, "nan", "inf", "much"])
def test_what_is_no_amount_is_refused(amount: str | int) -> None:
    with pytest.raises(ValueError, match="is not"):
        Resources.of(cpus=amount)


def test_a_custom_resource_never_stands_for_cpus_mem_or_disk() -> None:
    with pytest.raises(ValueError, match="cpus is not a custom resource"):
        Resources.of(cpus=1, custom={"cpus": 2})
    stored = Resources(1000, 0, 0, (("cpus", 2000), ("gpu", 1000)))
    assert stored.amounts() == {"cpus": 1000, "mem": 0, "disk": 0, "gpu": 1000}
    assert stored.fits(Resources(1000, 0, 0, (("gpu", 1000),)))
    assert not stored.fits(Resources(999, 0, 0, (("cpus", 9000), ("gpu", 1000))))


@given(AMOUNTS, AMOUNTS)
def test_what_is_added_can_be_taken_away(some: Resources, other: Resources) -> None:
    assert some.add(other).subtract(other) == some
    assert some.subtract(some) == NOTHING
    assert other.fits(some.add(other))


@given(AMOUNTS, AMOUNTS)
def test_a_shortage_is_what_would_make_it_fit(some: Resources, room: Resources) -> None:
    missing = some.shortage(room)
    assert some.fits(room) == (not missing)
    assert some.fits(room.add(Resources.from_amounts(missing)))


def test_the_dominant_share_is_the_largest_fraction() -> None:
    fleet = Resources.of(cpus=10, mem=100)
    assert Resources.of(cpus=1, mem=50).dominant_share(fleet) == 0.5
    assert Resources.of(cpus=2, custom={"gpu": 1}).dominant_share(fleet) == 0.2, (
        "nobody has a share of what is not there"
    )
    assert Resources.of(custom={"gpu": 1}).dominant_share(fleet) == 0.0
