"""Units that values of columns are in, by the ids that clients of block models know: what they measure, and what one of them is.

Any text may be the unit of a column. Only reports compute with units, and only with these.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class DataSetUnitKind(StrEnum):
    """What a unit measures, by the words of the block model API."""

    MASS_PER_MASS = "MASS_PER_MASS"
    MASS_PER_VOLUME = "MASS_PER_VOLUME"
    DIMENSIONLESS = "GENERIC_DIMENSIONLESS"
    MASS = "MASS"
    LENGTH = "LENGTH"
    VOLUME = "VOLUME"
    VALUE_PER_MASS = "VALUE_PER_MASS"
    VALUE = "VALUE"
    CATEGORY = "CATEGORY"
    ANGLE = "ANGLE"


class DataSetUnit(NamedTuple):
    """A unit. `factor` is what one of it is in kilograms, metres, cubic metres, degrees, dollars, and quotients of these."""

    id: str
    symbol: str
    description: str
    kind: DataSetUnitKind
    factor: float


_POUND: Final = 0.45359237
_SHORT_TON: Final = 2000 * _POUND
_TROY_OUNCE: Final = 0.0311034768
_CARAT: Final = 0.0002
_FOOT: Final = 0.3048

_K = DataSetUnitKind
_ALL: Final = (
    DataSetUnit("0.01 ct/t", "cpht", "Carats per hundred tonnes", _K.MASS_PER_MASS, _CARAT / 100_000),
    DataSetUnit("ct/t", "ct/t", "Carats per tonne", _K.MASS_PER_MASS, _CARAT / 1_000),
    DataSetUnit("g/t", "g/t", "Grams per tonne", _K.MASS_PER_MASS, 1e-6),
    DataSetUnit("ug/g", "µg/g", "Micrograms per gram", _K.MASS_PER_MASS, 1e-6),
    DataSetUnit("ug/kg", "µg/kg", "Micrograms per kilogram", _K.MASS_PER_MASS, 1e-9),
    DataSetUnit("mg/g", "mg/g", "Milligrams per gram", _K.MASS_PER_MASS, 1e-3),
    DataSetUnit("mg/kg", "mg/kg", "Milligrams per kilogram", _K.MASS_PER_MASS, 1e-6),
    DataSetUnit("ppb[mass]", "ppb", "Parts per billion", _K.MASS_PER_MASS, 1e-9),
    DataSetUnit("ppm[mass]", "ppm", "Parts per million", _K.MASS_PER_MASS, 1e-6),
    DataSetUnit("%[mass]", "%", "Percent", _K.MASS_PER_MASS, 1e-2),
    DataSetUnit("oz t/ton[US]", "oz/st", "Troy ounces per short ton", _K.MASS_PER_MASS, _TROY_OUNCE / _SHORT_TON),
    DataSetUnit("g/cm3", "g/cm³", "Grams per cubic centimetre", _K.MASS_PER_VOLUME, 1e3),
    DataSetUnit("kg/m3", "kg/m³", "Kilograms per cubic metre", _K.MASS_PER_VOLUME, 1.0),
    DataSetUnit("lbm/ft3", "lb/ft³", "Pounds per cubic foot", _K.MASS_PER_VOLUME, _POUND / _FOOT**3),
    DataSetUnit("ton[US]/ft3", "st/ft³", "Short tons per cubic foot", _K.MASS_PER_VOLUME, _SHORT_TON / _FOOT**3),
    DataSetUnit("t/m3", "t/m³", "Tonnes per cubic metre", _K.MASS_PER_VOLUME, 1e3),
    DataSetUnit("count", "count", "Count", _K.DIMENSIONLESS, 1.0),
    DataSetUnit("ratio", "ratio", "Ratio", _K.DIMENSIONLESS, 1.0),
    DataSetUnit("ct", "ct", "Carats", _K.MASS, _CARAT),
    DataSetUnit("g", "g", "Grams", _K.MASS, 1e-3),
    DataSetUnit("kg", "kg", "Kilograms", _K.MASS, 1.0),
    DataSetUnit("kt", "kt", "Kilotonnes", _K.MASS, 1e6),
    DataSetUnit("Mt", "Mt", "Megatonnes", _K.MASS, 1e9),
    DataSetUnit("ug", "µg", "Micrograms", _K.MASS, 1e-9),
    DataSetUnit("mg", "mg", "Milligrams", _K.MASS, 1e-6),
    DataSetUnit("Mlbm", "Mlb", "Million pounds", _K.MASS, 1e6 * _POUND),
    DataSetUnit("Mton[US]", "Mst", "Million short tons", _K.MASS, 1e6 * _SHORT_TON),
    DataSetUnit("1000000 ozm[troy]", "Moz", "Million troy ounces", _K.MASS, 1e6 * _TROY_OUNCE),
    DataSetUnit("lbm", "lb", "Pounds", _K.MASS, _POUND),
    DataSetUnit("lb", "lb", "Pounds", _K.MASS, _POUND),
    DataSetUnit("ton[US]", "st", "Short tons", _K.MASS, _SHORT_TON),
    DataSetUnit("1000 ct", "kct", "Thousand carats", _K.MASS, 1_000 * _CARAT),
    DataSetUnit("klbm", "klb", "Thousand pounds", _K.MASS, 1_000 * _POUND),
    DataSetUnit("kton[US]", "kst", "Thousand short tons", _K.MASS, 1_000 * _SHORT_TON),
    DataSetUnit("1000 ozm[troy]", "koz", "Thousand troy ounces", _K.MASS, 1_000 * _TROY_OUNCE),
    DataSetUnit("t", "t", "Tonnes", _K.MASS, 1e3),
    DataSetUnit("ozm[troy]", "oz", "Troy ounces", _K.MASS, _TROY_OUNCE),
    DataSetUnit("oz", "oz", "Troy ounces", _K.MASS, _TROY_OUNCE),
    DataSetUnit("cm", "cm", "Centimetres", _K.LENGTH, 1e-2),
    DataSetUnit("ft", "ft", "Feet", _K.LENGTH, _FOOT),
    DataSetUnit("m", "m", "Metres", _K.LENGTH, 1.0),
    DataSetUnit("cm3", "cm³", "Cubic centimetres", _K.VOLUME, 1e-6),
    DataSetUnit("ft3", "ft³", "Cubic feet", _K.VOLUME, _FOOT**3),
    DataSetUnit("m3", "m³", "Cubic metres", _K.VOLUME, 1.0),
    DataSetUnit("$", "$", "Dollars", _K.VALUE, 1.0),
    DataSetUnit("$/ton[US]", "$/st", "Dollars per short ton", _K.VALUE_PER_MASS, 1 / _SHORT_TON),
    DataSetUnit("$/t", "$/t", "Dollars per tonne", _K.VALUE_PER_MASS, 1e-3),
    DataSetUnit("numeric_category", "", "Numeric category", _K.CATEGORY, 1.0),
    DataSetUnit("dega", "°", "Degrees", _K.ANGLE, 1.0),
    DataSetUnit("rad", "rad", "Radians", _K.ANGLE, 57.29577951308232),
    DataSetUnit("rev", "rev", "Revolutions", _K.ANGLE, 360.0),
)

UNITS: Final = {one.id: one for one in _ALL}

CONTENT: Final = {
    DataSetUnitKind.MASS_PER_MASS: (DataSetUnitKind.MASS, "mass"),
    DataSetUnitKind.VALUE_PER_MASS: (DataSetUnitKind.VALUE, "mass"),
    DataSetUnitKind.MASS_PER_VOLUME: (DataSetUnitKind.MASS, "volume"),
}
"""What the sum over blocks of such a unit may be told in, and what of a block each value is multiplied with for it."""
