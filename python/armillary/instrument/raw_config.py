"""The configurations of ingesting raw frames and defining visits, in the words of files for the Rubin stack."""

from __future__ import annotations

from typing import Any

from lsst.pex.config import Config, ConfigChoiceField, Field

from armillary.instrument.visit_definition import DEFAULT_GROUPING, GROUPINGS

__all__ = ["DefineVisitsConfig", "RawIngestConfig"]


class RawIngestConfig(Config):  # type: ignore[misc]  # lsst.pex.config has no types
    """How raw frames are ingested."""

    transfer = Field[str](doc="How files get there.", default="auto")
    failFast = Field[bool](doc="Whether nothing is taken in if a file cannot be used.", default=False)


class GroupingConfig(Config):  # type: ignore[misc]
    """A way of grouping exposures; none has anything to be set."""


class SingleRawWcsConfig(Config):  # type: ignore[misc]
    """Regions from the world coordinates of raw frames."""

    padding = Field[int](doc="Pixels by which the regions of detectors are widened.", default=0)
    mergeExposures = Field[bool](doc="Whether all exposures of a visit count, as they do here.", default=True)


class DefineVisitsConfig(Config):  # type: ignore[misc]
    """How visits are defined."""

    groupExposures = ConfigChoiceField(
        doc="Which exposures are one visit.",
        typemap=dict.fromkeys(GROUPINGS, GroupingConfig),
        default=DEFAULT_GROUPING,
    )
    computeVisitRegions = ConfigChoiceField(
        doc="Where regions come from.", typemap={"single-raw-wcs": SingleRawWcsConfig}, default="single-raw-wcs"
    )
    ignoreNonScienceExposures = Field[bool](doc="Leave out what is no frame of the sky, as always here.", default=True)
    updateObsCoreTable = Field[bool](doc="Nothing here keeps such a table.", default=True)

    def options(self) -> dict[str, Any]:
        """Give the arguments of `define_visits`."""
        return {"grouping": self.groupExposures.name, "padding": float(self.computeVisitRegions.active.padding)}
