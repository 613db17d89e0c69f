"""Regions are read from and written to the bytes that a repository stores."""

from __future__ import annotations

import json
import struct

import lsst.sphgeom as sphgeom
import pytest

from armillary import _core
from armillary.errors import RegistryConsistencyError


def payload(tag: bytes, *numbers: float) -> bytes:
    return tag + struct.pack(f"<{len(numbers)}d", *numbers)


def test_every_stored_region_survives_reading_and_writing(shared_path):
    vectors = json.loads(shared_path("contract-fixtures", "vectors", "regions.json").read_text())
    stored = {name: bytes.fromhex(vector["hex"]) for name, vector in vectors.items() if "hex" in vector}
    assert len(stored) >= 12
    assert {value[:1] for value in stored.values()} == {b"b", b"c", b"e", b"p", b"u", b"i"}
    assert {name: _core.region_recode(value) for name, value in stored.items()} == stored


@pytest.mark.parametrize("kind", ["circle", "box", "polygon", "ellipse", "union", "intersection"])
def test_random_regions_survive_reading_and_writing(shapes, kind):
    make = shapes(seed=3)
    stored = [getattr(make, kind)(make.direction(), make.scale()).encode() for _ in range(300)]
    assert [_core.region_recode(value) for value in stored] == stored


@pytest.mark.parametrize(
    "box",
    [(7.0, 8.0, 0.0, 1.0), (-1.0, 2.0, 0.0, 1.0), (1.0, 2.0, -3.0, 3.0), (1.0, 2.0, 1.0, 0.0), (0.0, 7.0, 0.0, 1.0)],
)
def test_boxes_beyond_the_sphere_are_brought_back_as_the_library_does(box):
    stored = payload(b"b", *box)
    assert _core.region_recode(stored) == sphgeom.Region.decode(stored).encode() != stored


def test_unions_of_unions_are_dissolved_as_the_library_does():
    inner = sphgeom.UnionRegion(sphgeom.Box.full()).encode()
    stored = b"u" + len(inner).to_bytes(8, "little") + inner
    assert _core.region_recode(stored) == sphgeom.Region.decode(stored).encode() != stored


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"", "an encoded region has at least one byte, found none"),
        (b"x", "no region is encoded with the first byte `x`; known are `b`, `c`, `e`, `p`, `u` and `i`"),
        (b"\x80abc", r"no region is encoded with the first byte `\\x80`"),
        (b"b123", "an encoded Box has 33 bytes, found 4"),
        (payload(b"c", 1, 0, 0, 1), "an encoded Circle has 41 bytes, found 33"),
        (payload(b"p", 1, 0, 0, 0, 1, 0), r"an encoded ConvexPolygon has 1 \+ 24n \(n at least 3\) bytes, found 49"),
        (
            payload(b"p", 1, 0, 0, 0, 1, 0, float("nan"), 0, 1),
            "a coordinate of an encoded ConvexPolygon is not a finite",
        ),
        (
            payload(b"p", 1, 0, 0, 0, 1, 0, 0, 0, 5),
            "a direction of an encoded ConvexPolygon is a vector of length `5`, not 1",
        ),
        (payload(b"b", 20, 1, 0, 1), "no longitude interval runs from `20` to `1` radians"),
        (b"u" + b"\xff" * 8, "an encoded UnionRegion has the stated number of bytes, found 9"),
        (b"i\0\0", "an encoded IntersectionRegion has the stated number of bytes, found 3"),
    ],
)
def test_bytes_that_are_no_region_are_explained(stored, message):
    with pytest.raises(RegistryConsistencyError, match=message):
        _core.region_recode(stored)
