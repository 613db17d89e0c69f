"""The hash by which the Rubin stack knows a sky map: of the name of its class and its parameters.

The bytes are those of `lsst.skymap`, little-endian: the class, what tells how patches are cut, overlap (degrees), pixel
scale (arcseconds), three letters of projection, rotation (degrees), and the values of the kind. Two hashes of real
repositories, HSC's `hsc_rings_v1` and `lsst_cells_v1`, come out.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

__all__ = ["PatchCells", "rubin_hash"]


@dataclass(frozen=True)
class PatchCells:
    """How patches are cut into cells: pixels along a cell and its border, cells along a patch and in its border.

    >>> PatchCells().patch_size, PatchCells().patch_border
    (3000, 200)
    """

    size: int = 150
    border: int = 50
    per_patch: int = 20
    in_border: int = 1

    @property
    def patch_size(self) -> int:
        """Pixels along a patch."""
        return self.size * self.per_patch

    @property
    def patch_border(self) -> int:
        """Pixels that a patch shares with its neighbours."""
        return self.size * self.in_border + self.border


def rubin_hash(
    kind: str,
    patches: PatchCells | tuple[int, int],
    overlap: float,
    pixel_scale: float,
    projection: str,
    own: bytes,
) -> bytes:
    """Give the 20 bytes for a map of north-up tracts.

    Parameters
    ----------
    kind
        Name of the class, such as `RingsSkyMap`.
    patches
        How patches are cut: cells, or size and border in pixels.
    overlap
        Degrees.
    pixel_scale
        Arcseconds.
    projection
        FITS code of three letters.
    own
        The values of the kind, packed.

    Examples
    --------
    >>> rubin_hash("RingsSkyMap", (4000, 100), 1 / 60, 0.168, "TAN", struct.pack("<id", 120, 0.0)).hex()[:8]
    'e29fe9f1'
    """
    if isinstance(patches, PatchCells):
        cut = struct.pack("<iiiii", patches.size, patches.size, patches.border, patches.per_patch, patches.in_border)
    else:
        cut = struct.pack("<iii", patches[0], patches[0], patches[1])
    shape = struct.pack("<dd3sd", overlap, pixel_scale, projection.encode("ascii"), 0.0)
    return hashlib.sha1(kind.encode() + cut + shape + own, usedforsecurity=False).digest()
