"""Images on astropy: pixels with masks and variances, their place on the sky, and boxes of pixels.

Pixel coordinates are integers (x, y), x along a row. An image that was cut out of a larger one keeps the coordinates
of the larger one: its lower left pixel is `(x0, y0)`, and element `array[0, 0]` is that pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from astropy.wcs import WCS

__all__ = ["Box", "Image", "MaskedImage"]

Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A rectangle of pixels; all four limits are inside it, and x comes before y.

    >>> box = Box(0, 9, 0, 4)
    >>> box.width, box.height, box.shape
    (10, 5, (5, 10))
    """

    x_min: int
    x_max: int
    y_min: int
    y_max: int

    def __post_init__(self) -> None:
        if self.x_max < self.x_min or self.y_max < self.y_min:
            raise ValueError(f"the box x {self.x_min}..{self.x_max}, y {self.y_min}..{self.y_max} holds no pixel")

    @classmethod
    def from_shape(cls, shape: tuple[int, ...], x0: int = 0, y0: int = 0) -> Self:
        """Make the box of an array of `shape` (rows, columns) whose lower left pixel is (x0, y0)."""
        height, width = shape
        return cls(int(x0), int(x0) + int(width) - 1, int(y0), int(y0) + int(height) - 1)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Make a box of a box, four limits in a sequence or mapping, or an object of the peer's kind.

        A sequence has x_min, x_max, y_min, y_max in this order, all inside. One that holds a single row or column is
        refused, since it rather is two corners, or a corner and a size.

        >>> Box.of((0, 9, 0, 4)) == Box.of({"x_min": 0, "x_max": 9, "y_min": 0, "y_max": 4})
        True
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            missing = [name for name in ("x_min", "x_max", "y_min", "y_max") if name not in value]
            if missing:
                raise ValueError(f"a box has the limits x_min, x_max, y_min, y_max; `{value}` lacks `{missing[0]}`")
            return cls(*(int(value[name]) for name in ("x_min", "x_max", "y_min", "y_max")))
        if hasattr(value, "beginX"):  # the ends of these are outside
            return cls(int(value.beginX), int(value.endX) - 1, int(value.beginY), int(value.endY) - 1)
        if hasattr(value, "x_min"):
            return cls(int(value.x_min), int(value.x_max), int(value.y_min), int(value.y_max))
        limits = [int(limit) for limit in value]
        if len(limits) != 4:
            raise ValueError(f"a box has the limits x_min, x_max, y_min, y_max; got `{value}`")
        x_min, x_max, y_min, y_max = limits
        if x_max <= x_min or y_max <= y_min:
            raise ValueError(
                f"four limits are read as x_min, x_max, y_min, y_max, and `{value}` would be x {x_min} to {x_max}, "
                f"y {y_min} to {y_max}; name them, as in `Box(x_min=0, x_max=9, y_min=0, y_max=4)`"
            )
        return cls(*limits)

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self.x_max - self.x_min + 1

    @property
    def height(self) -> int:
        """Rows."""
        return self.y_max - self.y_min + 1

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as arrays have it."""
        return self.height, self.width

    def contains(self, other: Box) -> bool:
        """Tell whether every pixel of `other` is in this box."""
        return (
            self.x_min <= other.x_min
            and other.x_max <= self.x_max
            and self.y_min <= other.y_min
            and other.y_max <= self.y_max
        )

    def intersection(self, other: Box) -> Box | None:
        """The pixels in both, or None if there are none."""
        x_min, x_max = max(self.x_min, other.x_min), min(self.x_max, other.x_max)
        y_min, y_max = max(self.y_min, other.y_min), min(self.y_max, other.y_max)
        return Box(x_min, x_max, y_min, y_max) if x_min <= x_max and y_min <= y_max else None

    def slices(self, within: Box) -> tuple[slice, slice]:
        """Index the pixels of this box in an array that holds `within`.

        Raises `ValueError` if some of them are outside.
        """
        if not within.contains(self):
            raise ValueError(f"{self} is not inside {within}")
        rows = slice(self.y_min - within.y_min, self.y_max - within.y_min + 1)
        return rows, slice(self.x_min - within.x_min, self.x_max - within.x_min + 1)

    def model_dump_json(self) -> str:
        """The stored form."""
        return f'{{"x_min":{self.x_min},"x_max":{self.x_max},"y_min":{self.y_min},"y_max":{self.y_max}}}'


def shift_wcs(wcs: WCS | None, box: Box, within: Box) -> WCS | None:
    """The sky coordinates of a cut-out: the reference pixel moves, the sky does not."""
    if wcs is None or box == within:
        return wcs
    return wcs.slice(box.slices(within))


class _Placed:
    """What all images share: a place in pixel coordinates and on the sky, and a header."""

    x0: int
    y0: int
    wcs: WCS | None
    header: Header

    def _place(self, wcs: Any, header: Any, x0: int, y0: int) -> None:
        from astropy.io.fits import Header

        self.wcs = wcs
        self.header = header if isinstance(header, Header) else Header(dict(header or {}))
        self.x0, self.y0 = int(x0), int(y0)


class Image(_Placed):
    """One plane of pixels.

    >>> image = Image(np.zeros((4, 6), np.float32))
    >>> image.bbox, image[Box(2, 3, 1, 1)].array.shape
    (Box(x_min=0, x_max=5, y_min=0, y_max=3), (1, 2))
    """

    def __init__(self, array: Any, wcs: WCS | None = None, header: Any = None, *, x0: int = 0, y0: int = 0) -> None:
        self.array: Pixels = np.asarray(array)
        if self.array.ndim != 2:
            raise ValueError(f"an image has two dimensions, not the shape {self.array.shape}")
        self._place(wcs, header, x0, y0)

    @property
    def bbox(self) -> Box:
        """The box of its pixels."""
        return Box.from_shape(self.array.shape, self.x0, self.y0)

    def __getitem__(self, box: Any) -> Image:
        """Cut out a box; pixels are shared, not copied."""
        wanted, own = Box.of(box), self.bbox
        cut = self.array[wanted.slices(own)]
        return Image(cut, shift_wcs(self.wcs, wanted, own), self.header.copy(), x0=wanted.x_min, y0=wanted.y_min)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Image)
            and (self.x0, self.y0) == (other.x0, other.y0)
            and np.array_equal(self.array, other.array, equal_nan=self.array.dtype.kind == "f")
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Image({self.array.dtype}, {self.bbox})"


class MaskedImage(_Placed):
    """Pixels with the bits that flag them and the variances of their values.

    Parameters
    ----------
    image
        2-D array of values, usually float32.
    mask
        2-D array of int32, a bit for each kind of flag; zero if None.
    variance
        2-D array of the squared uncertainties, in the square of the unit of `image`; zero if None.
    wcs
        Place on the sky, or None.
    header
        `astropy.io.fits.Header` or mapping.
    x0, y0
        Coordinates of the lower left pixel.
    mask_planes
        Name of a flag -> number of its bit.

    Examples
    --------
    >>> masked = MaskedImage(np.ones((4, 6), np.float32), mask_planes={"SATURATED": 1})
    >>> masked.mask[0, 0] |= masked.bit("SATURATED")
    >>> int(masked.mask[0, 0]), masked[Box(0, 2, 0, 1)].image.shape
    (2, (2, 3))

    """

    def __init__(
        self,
        image: Any,
        mask: Any = None,
        variance: Any = None,
        wcs: WCS | None = None,
        header: Any = None,
        *,
        x0: int = 0,
        y0: int = 0,
        mask_planes: Mapping[str, int] | None = None,
    ) -> None:
        self.image: Pixels = np.asarray(image)
        if self.image.ndim != 2:
            raise ValueError(f"an image has two dimensions, not the shape {self.image.shape}")
        self.mask: Pixels = np.zeros(self.image.shape, np.int32) if mask is None else np.asarray(mask)
        self.variance: Pixels = np.zeros(self.image.shape, np.float32) if variance is None else np.asarray(variance)
        for name, plane in (("mask", self.mask), ("variance", self.variance)):
            if plane.shape != self.image.shape:
                raise ValueError(f"the {name} has the shape {plane.shape} and the image {self.image.shape}")
        if self.mask.dtype.kind not in "iu":
            raise ValueError(f"a mask holds integers, not `{self.mask.dtype}`")
        self.mask_planes: dict[str, int] = dict(mask_planes or {})
        self._place(wcs, header, x0, y0)

    @property
    def bbox(self) -> Box:
        """The box of its pixels."""
        return Box.from_shape(self.image.shape, self.x0, self.y0)

    def bit(self, name: str) -> int:
        """The value that flags a pixel in a mask plane, made if the name is new."""
        if name not in self.mask_planes:
            taken = set(self.mask_planes.values())
            self.mask_planes[name] = next(number for number in range(31) if number not in taken)
        return 1 << self.mask_planes[name]

    def __getitem__(self, box: Any) -> MaskedImage:
        """Cut out a box; pixels are shared, not copied. Raises `ValueError` if it is not all inside."""
        wanted, own = Box.of(box), self.bbox
        index = wanted.slices(own)
        return MaskedImage(
            self.image[index],
            self.mask[index],
            self.variance[index],
            shift_wcs(self.wcs, wanted, own),
            self.header.copy(),
            x0=wanted.x_min,
            y0=wanted.y_min,
            mask_planes=self.mask_planes,
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MaskedImage)
            and (self.x0, self.y0, self.mask_planes) == (other.x0, other.y0, other.mask_planes)
            and np.array_equal(self.image, other.image, equal_nan=True)
            and np.array_equal(self.mask, other.mask)
            and np.array_equal(self.variance, other.variance, equal_nan=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MaskedImage({self.image.dtype}, {self.bbox})"
