"""How far one star list is shifted from another, without knowing which star is which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.float64]
"""Star positions in pixels, `(stars, 2)`: x, y."""


@dataclass(frozen=True)
class Shift:
    """Where stars of a list lie, less where they lie in the reference (pixels).

    `matched` counts the star pairs behind it and `scatter_x`, `scatter_y` are their spread (1.4826 times the median
    absolute deviation).
    """

    x: float
    y: float
    matched: int
    scatter_x: float
    scatter_y: float


class AlignmentError(ValueError):
    """Two star lists have too little in common."""


def measure_shift(
    stars: Positions,
    reference: Positions,
    largest: float = 80.0,
    tolerance: float = 2.0,
    brightest: int = 60,
    fewest: int = 5,
) -> Shift:
    """Find the shift that brings most stars onto stars of the reference.

    Both lists are sorted by falling brightness. All pairs within `largest` pixels vote for their offset; the fullest
    place wins, and the pairs within `tolerance` of it give the answer by their median. Raises `AlignmentError` when
    fewer than `fewest` stars agree.

    >>> import numpy as np
    >>> reference = np.random.default_rng(1).uniform(0, 500, (30, 2))
    >>> shift = measure_shift(reference + [3.25, -20.5], reference)
    >>> round(shift.x, 2), round(shift.y, 2), shift.matched
    (3.25, -20.5, 30)
    """
    here, there = stars[:brightest], reference[:brightest]
    offsets = (here[:, None, :] - there[None, :, :]).reshape(-1, 2)
    offsets = offsets[np.all(np.abs(offsets) <= largest, axis=1)]
    if len(offsets) < fewest:
        raise AlignmentError(f"{len(stars)} and {len(reference)} stars have no {fewest} pairs within {largest} pixels")
    guess = _fullest_place(offsets, tolerance)
    matched = np.empty((0, 2))
    for _ in range(3):
        matched = _matched_offsets(here, there, guess, tolerance)
        if len(matched) < fewest:
            raise AlignmentError(f"only {len(matched)} stars agree on a shift; at least {fewest} are needed")
        guess = np.median(matched, axis=0)
    spread = 1.4826 * np.median(np.abs(matched - guess), axis=0)
    return Shift(float(guess[0]), float(guess[1]), len(matched), float(spread[0]), float(spread[1]))


def flux_ratio(
    stars: Positions,
    flux: NDArray[np.float64],
    reference: Positions,
    reference_flux: NDArray[np.float64],
    shift: Shift,
    tolerance: float = 2.0,
    brightest: int = 20,
) -> float:
    """Give the median flux of matched stars over their flux in the reference, for the `brightest` matches.

    Clouds and airmass dim all stars of a frame alike: dividing a frame by this brings it to the reference's scale.

    >>> import numpy as np
    >>> places, flux = np.array([[1.0, 2.0], [50.0, 9.0]]), np.array([200.0, 100.0])
    >>> flux_ratio(places, flux / 2, places, flux, Shift(0.0, 0.0, 2, 0.0, 0.0))
    0.5
    """
    here, there = _matched_pairs(stars, reference, np.array([shift.x, shift.y]), tolerance)
    usable = (flux[here] > 0) & (reference_flux[there] > 0)
    here, there = here[usable], there[usable]
    if not len(here):
        raise AlignmentError("no matched star has a positive flux in both lists")
    order = np.argsort(-reference_flux[there], kind="stable")[:brightest]
    return float(np.median(flux[here[order]] / reference_flux[there[order]]))


def _fullest_place(offsets: Positions, radius: float) -> Positions:
    near = np.sum((offsets[:, None, :] - offsets[None, :, :]) ** 2, axis=2) <= radius**2
    votes = near.sum(axis=1)
    place: Positions = offsets[near[int(np.argmax(votes))]].mean(axis=0)
    return place


def _matched_offsets(stars: Positions, reference: Positions, shift: Positions, tolerance: float) -> Positions:
    here, there = _matched_pairs(stars, reference, shift, tolerance)
    offsets: Positions = stars[here] - reference[there]
    return offsets


def _matched_pairs(
    stars: Positions, reference: Positions, shift: Positions, tolerance: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give indices of the pairs that are each other's nearest after the shift and within the tolerance."""
    distance = np.sum((stars[:, None, :] - reference[None, :, :] - shift) ** 2, axis=2)
    nearest = distance.argmin(axis=1)
    rows = np.arange(len(stars))
    mutual = (distance.argmin(axis=0)[nearest] == rows) & (distance[rows, nearest] <= tolerance**2)
    return rows[mutual], nearest[mutual]
