"""What belongs to one camera: its name and detectors, its raw frames, its visits, and the sky maps they fall on."""

from __future__ import annotations

from typing import Any

_HOMES = {
    "CameraGeometry": "camera_geometry",
    "DescribedInstrument": "described",
    "Instrument": "instrument",
    "InstrumentDescription": "described",
    "Nickel": "nickel",
    "ObservationDimensionPacker": "dimension_packer",
    "ObservationInfo": "observation_info",
    "SkyMap": "sky_map",
    "TranslationError": "observation_info",
    "Translator": "observation_info",
    "certify_calibrations": "certify",
    "define_visits": "visit_definition",
    "guess_descriptions": "guessing",
    "ingest_raws": "raw_ingest",
    "observation_packer_registry": "dimension_packer",
    "update_exposures": "raw_ingest",
    "update_regions": "visit_definition",
    "write_curated_calibrations": "curated_calibrations",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: cameras must not slow the start of everything else."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
