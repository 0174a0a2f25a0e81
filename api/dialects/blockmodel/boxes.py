"""Boxes: bounds on three axes, by the indices of blocks or by coordinates along the model's axes."""

from __future__ import annotations

from collections.abc import Mapping

from api.dialects.blockmodel.bodies import RangeBody
from scheduler.errors import InvalidInput
from scheduler.rules.data_sets.documents import RangeDocument

_AXES = ("ijk", "xyz")


def bbox_of(given: Mapping[str, RangeBody] | None) -> dict[str, RangeDocument] | None:
    """Return a box as it is kept: of whole indices, or of coordinates. Raises InvalidInput."""
    if given is None:
        return None
    for axes in _AXES:
        if set(given) == {f"{name}_minmax" for name in axes}:
            break
    else:
        raise InvalidInput("a box has i_minmax, j_minmax and k_minmax, or the same of x, y and z", field="bbox")
    for name, bounds in given.items():
        if name[0] in "ijk" and not (bounds.min.is_integer() and bounds.max.is_integer()):
            raise InvalidInput("indices are whole numbers", field=f"bbox.{name}")
        if bounds.min != bounds.min or bounds.max != bounds.max:
            raise InvalidInput("it must be a number", field=f"bbox.{name}")
    whole = "i_minmax" in given
    return {
        name: {"min": int(one.min), "max": int(one.max)} if whole else {"min": one.min, "max": one.max}
        for name, one in given.items()
    }
