"""Measured quantities, in bundles by metric."""

from __future__ import annotations

import json
import math
from collections import UserDict
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from astropy.units import Quantity

__all__ = ["Measurement", "MetricMeasurementBundle"]


class Measurement:
    """One number with a unit, and its name.

    >>> Measurement("scatter", 0.25, "pix")
    Measurement('scatter', <Quantity 0.25 pix>)
    """

    __slots__ = ("_unit", "_value", "metric_name")

    def __init__(self, metric: str, quantity: Any = None, unit: str = "", *, notes: Any = None) -> None:
        self.metric_name = metric
        if hasattr(quantity, "unit"):
            self._value = float(quantity.value)
            self._unit = quantity.unit.to_string()
        else:
            self._value = math.nan if quantity is None else float(quantity)
            self._unit = unit

    @property
    def quantity(self) -> Quantity:
        """The number with its unit, as an `astropy.units.Quantity`."""
        from astropy.units import Quantity, Unit

        return Quantity(self._value, Unit(self._unit))

    @property
    def json(self) -> dict[str, Any]:
        """Plain values for a file; a value that is not a number is null."""
        return {
            "metric": self.metric_name,
            "value": self._value if math.isfinite(self._value) else None,
            "unit": self._unit,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read plain values."""
        return cls(str(content["metric"]), content["value"], str(content.get("unit") or ""))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measurement) and self.json == other.json

    def __hash__(self) -> int:
        return hash(self.metric_name)

    def __repr__(self) -> str:
        return f"Measurement({self.metric_name!r}, {self.quantity!r})"


class MetricMeasurementBundle(UserDict[str, list[Measurement]]):
    """Lists of measurements by the name of their metric; where they were made is in the other attributes.

    >>> bundle = MetricMeasurementBundle({"scatter": [Measurement("g_median", 0.5, "pix")]})
    >>> MetricMeasurementBundle.model_validate_json(bundle.model_dump_json()) == bundle
    True
    >>> bundle
    {'scatter': [Measurement('g_median', <Quantity 0.5 pix>)]}
    """

    _EXTRAS = ("dataset_identifier", "reference_package", "timestamp_version")

    def __init__(self, data: Any = None, **extras: Any) -> None:
        unknown = sorted(extras.keys() - set(self._EXTRAS))
        if unknown:
            raise TypeError(f"a bundle of measurements has no {unknown}")
        super().__init__(data or {})
        for name in self._EXTRAS:
            setattr(self, name, extras.get(name))

    def model_dump_json(self) -> str:
        """The stored form."""
        content: dict[str, Any] = {name: [one.json for one in group] for name, group in self.data.items()}
        for name in self._EXTRAS:
            if getattr(self, name) is not None:
                content[name] = getattr(self, name)
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes) -> Self:
        """Read the stored form. Raises `ValueError` if it is not one."""
        content = json.loads(json_data)
        try:
            groups = {
                str(name): [Measurement.from_json(one) for one in group]
                for name, group in content.items()
                if name not in cls._EXTRAS
            }
            extras = {name: content[name] for name in cls._EXTRAS if name in content}
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"the file does not hold a bundle of measurements: {error!r}") from error
        return cls(groups, **extras)
