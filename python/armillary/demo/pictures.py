"""PNG pictures of coadds and differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Mark = tuple[float, float, str]
"""A circle to draw: x and y in pixels, and its label."""

MASKED_COLOUR = "#20304a"
MARK_COLOUR = "#ff8c1a"


def draw_coadd(path: Path, image: Any, *, title: str, noise: float, marks: Sequence[Mark] = ()) -> None:
    """Draw a coadd (a masked image) with faint and bright stars both visible; `noise` in ADU sets the scale."""
    from matplotlib.colors import AsinhNorm

    _draw(path, image, AsinhNorm(linear_width=3 * noise, vmin=-3 * noise, vmax=100 * noise), title, marks)


def draw_difference(path: Path, image: Any, *, title: str, noise: float, marks: Sequence[Mark] = ()) -> None:
    """Draw a difference from -15 to 15 times the noise: what only the first night shows is white."""
    from matplotlib.colors import Normalize

    _draw(path, image, Normalize(-15 * noise, 15 * noise), title, marks)


def _draw(path: Path, image: Any, scale: Any, title: str, marks: Sequence[Mark]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    pixels = np.where(np.asarray(image.mask) == 0, np.asarray(image.image), np.nan)
    shades = LinearSegmentedColormap.from_list("shades", ["black", "white"]).with_extremes(bad=MASKED_COLOUR)
    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    drawn = axes.imshow(pixels, origin="lower", cmap=shades, norm=scale, interpolation="nearest")
    figure.colorbar(drawn, ax=axes, label="ADU (dark blue: flagged pixels)", extend="both", shrink=0.8)
    outline = [withStroke(linewidth=2.5, foreground="black")]
    for number, (x, y, label) in enumerate(marks):
        above = 12 if number % 2 == 0 else -24  # labels of neighbours lie apart
        axes.plot(x, y, "o", markersize=18, markerfacecolor="none", markeredgecolor=MARK_COLOUR, markeredgewidth=1.5)
        axes.annotate(
            label, (x, y), xytext=(12, above), textcoords="offset points", color=MARK_COLOUR, path_effects=outline
        )
    axes.set(title=title, xlabel="x (pixels; east is left)", ylabel="y (pixels; north is up)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
