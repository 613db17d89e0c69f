"""The Rust core. Users find these names in `armillary.butler` and `armillary.pipeline`."""

def _error_classes() -> list[str]:
    """Names of the exception classes the core may raise."""

def region_relate(a: bytes, b: bytes) -> int:
    """How two encoded regions lie to each other: bits 1 disjoint, 2 `a` contains `b`, 4 `a` is within `b`."""

def region_overlaps(a: bytes, b: bytes) -> bool:
    """Whether two encoded regions may have a point in common."""

def region_relate_pairs(a: list[bytes], b: list[bytes]) -> bytes:
    """`region_relate` of each pair, one byte per pair."""

def region_contains(region: bytes, x: float, y: float, z: float) -> bool:
    """Whether a direction of length one is in an encoded region."""

def region_recode(region: bytes) -> bytes:
    """Decode a region and encode it again: equal bytes for all that the peer writes."""

def region_from_ivoa_pos(pos: str) -> bytes:
    """Encode the region of an SIA `POS` text: `CIRCLE lon lat radius`, `RANGE ...` or `POLYGON ...`, in degrees."""

def skypix_envelope(system: str, level: int, region: bytes) -> list[tuple[int, int]]:
    """Ranges (first, last + 1) of the pixels of `htm` or `healpix` that an encoded region may touch, ascending."""

def skypix_index(system: str, level: int, x: float, y: float, z: float) -> int:
    """Index of the pixel of `htm` or `healpix` that a direction lies in."""
