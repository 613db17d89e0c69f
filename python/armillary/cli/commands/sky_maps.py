"""Commands that make sky maps known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from armillary._words import counted
from armillary.cli.command import command
from armillary.cli.completion import collections as complete_collections
from armillary.cli.completion import dataset_types as complete_dataset_types
from armillary.cli.options import repo_argument, split_commas
from armillary.cli.settings import config_options, configured

if TYPE_CHECKING:
    from armillary.instrument import SkyMap

__all__ = ["make_discrete_skymap", "register_dcr_subfilters", "register_skymap"]

KINDS = ("discrete", "rings", "dodeca", "healpix", "equat", "around-visits")


@command(
    "butler register-skymap REPO coadds --kind around-visits --pixel-scale 0.37\n"
    "butler register-skymap REPO hsc_rings_v1 --kind rings --pixel-scale 0.168 --patch-border 100\n"
    "butler register-skymap REPO -C makeSkyMap.py -c name=lsst_cells_v1"
)
@repo_argument
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(KINDS), default="discrete", show_default=True, help="Where tracts are.")
@click.option(
    "--centre",
    "centres",
    multiple=True,
    nargs=2,
    type=float,
    metavar="RA DEC",
    help="Middle of a tract of a discrete map (degrees).",
)
@click.option("--radius", type=float, help="How far a tract of a discrete map reaches (degrees).")
@click.option("--rings", "ring_count", type=int, default=120, show_default=True, help="Rings between the poles.")
@click.option("--log2-nside", type=int, default=0, show_default=True, help="Depth of a HEALPix map.")
@click.option("--tracts", "tract_count", type=int, default=4, show_default=True, help="Tracts along the equator.")
@click.option("--pixel-scale", type=float, help="Arcseconds per pixel.")
@click.option("--patch-size", type=int, help="Pixels along a side of a patch.")
@click.option(
    "--patch-border", type=int, default=0, show_default=True, help="Pixels that a patch shares with its neighbours."
)
@config_options
def register_skymap(
    repo: str, name: str | None, config_files: tuple[str, ...], settings: tuple[str, ...], **options: Any
) -> None:
    """Make the sky map NAME known, with its tracts and patches.

    It is described by options, or by a configuration as the Rubin stack has it, which gives the name, too.
    """
    from armillary.butler import Butler

    with Butler(repo, writeable=True) as butler:
        if config_files or settings:
            name, sky_map = _configured_sky_map(name, config_files, settings)
        elif name is None:
            raise click.UsageError("give the NAME of the map, or its configuration with `-C` or `-c`")
        else:
            sky_map = _described_sky_map(butler, **options)
        new = sky_map.register(name, butler)
    click.echo(f"`{name}` has {counted(len(sky_map), 'tract')}" + ("" if new else "; it was registered already"))


def _configured_sky_map(
    name: str | None, config_files: tuple[str, ...], settings: tuple[str, ...]
) -> tuple[str, SkyMap]:
    """The name and the map of a configuration."""
    from armillary.instrument.sky_map_config import RegisterSkyMapConfig

    config = configured(RegisterSkyMapConfig(), config_files, settings)
    if name is None and config.name is None:
        raise click.UsageError("the configuration does not name the map: add `-c name=NAME`")
    return str(name or config.name), config.skyMap.active.make()


def _described_sky_map(
    butler: Any,
    *,
    kind: str,
    centres: tuple[tuple[float, float], ...],
    radius: float | None,
    ring_count: int,
    log2_nside: int,
    tract_count: int,
    **pixels: Any,
) -> SkyMap:
    """The map that options describe."""
    from armillary.instrument import SkyMap

    options = {name: value for name, value in pixels.items() if value is not None}
    if kind == "around-visits":
        visits = butler.registry.queryDimensionRecords("visit")
        return SkyMap.around([visit.region for visit in visits if visit.region is not None], **options)
    if kind == "rings":
        return SkyMap.rings(ring_count, **options)
    if kind == "dodeca":
        return SkyMap.dodecahedron(**options)
    if kind == "healpix":
        return SkyMap.healpix(log2_nside, **options)
    if kind == "equat":
        return SkyMap.equatorial(tract_count, **options)
    if not centres or radius is None:
        raise click.UsageError("a discrete map needs `--centre RA DEC` for each tract, and `--radius`")
    return SkyMap.discrete(list(centres), radius=radius, **options)


@command("butler make-discrete-skymap REPO Nickel --collections processed --skymap-id fields -c borderSize=0.01")
@repo_argument
@click.argument("instrument")
@config_options
@click.option(
    "--collections",
    multiple=True,
    required=True,
    metavar="NAMES",
    help="Where the exposures are: names or globs, with commas.",
    shell_complete=complete_collections,
)
@click.option(
    "-d",
    "--dataset-type",
    default="calexp",
    show_default=True,
    metavar="NAME",
    help="Dataset type of the exposures.",
    shell_complete=complete_dataset_types,
)
@click.option("--skymap-id", default="discrete", show_default=True, metavar="NAME", help="Name of the map.")
@click.option("--old-skymap-id", metavar="NAME", help="Map whose tracts come first, if the configuration appends.")
def make_discrete_skymap(
    repo: str,
    instrument: str,
    config_files: tuple[str, ...],
    settings: tuple[str, ...],
    collections: tuple[str, ...],
    dataset_type: str,
    skymap_id: str,
    old_skymap_id: str | None,
) -> None:
    """Make a sky map of one tract that holds the exposures of INSTRUMENT in collections.

    The regions of their visits and detectors tell where they are; no exposure is read.
    """
    from armillary.butler import Butler
    from armillary.instrument import Instrument, SkyMap
    from armillary.instrument.sky_map_config import MakeDiscreteSkyMapConfig

    config = MakeDiscreteSkyMapConfig()
    with Butler(repo, writeable=True) as butler:
        camera = Instrument.from_string(instrument, butler.registry)
        camera.applyConfigOverrides("makeDiscreteSkyMap", config)
        configured(config, config_files, settings)
        if config.doAppend and old_skymap_id is None:
            raise click.UsageError("to add a tract, name the map that has the others with `--old-skymap-id`")
        searched = split_commas(collections)
        refs = butler.registry.queryDatasets(
            dataset_type, collections=searched, instrument=camera.getName(), findFirst=True
        )
        regions = [ref.dataId.region for ref in refs.expanded()]
        before = None
        if config.doAppend:
            before = SkyMap.from_dict(butler.get("skyMap", skymap=old_skymap_id, collections=[*searched, "skymaps"]))
        sky_map = config.make([region for region in regions if region is not None], before)
        new = sky_map.register(skymap_id, butler)
    click.echo(f"`{skymap_id}` has {counted(len(sky_map), 'tract')}" + ("" if new else "; it was registered already"))


@command("butler register-dcr-subfilters REPO 3 g r")
@repo_argument
@click.argument("number", metavar="NUM_SUBFILTERS", type=click.IntRange(min=1))
@click.argument("bands", metavar="BAND_NAMES...", nargs=-1, required=True)
def register_dcr_subfilters(repo: str, number: int, bands: tuple[str, ...]) -> None:
    """Make NUM_SUBFILTERS subfilters of each band known, for models of differential chromatic refraction."""
    from armillary.butler import Butler

    with Butler(repo, writeable=True) as butler, butler.transaction():
        for band in split_commas(bands):
            added = [
                subfilter
                for subfilter in range(number)
                if butler.registry.syncDimensionData("subfilter", {"band": band, "id": subfilter})
            ]
            there = "" if len(added) == number else f"; {number - len(added)} were there already"
            click.echo(f"`{band}`: {counted(len(added), 'subfilter')} registered{there}")
