"""Commands that bring a camera and its frames in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from armillary.cli.command import command
from armillary.cli.completion import collections as complete_collections
from armillary.cli.options import repo_argument, split_commas, track_file_attrs_option, transfer_option, where_option
from armillary.cli.progress import track

if TYPE_CHECKING:
    from armillary.instrument import SkyMap

__all__ = [
    "define_visits",
    "ingest_raws",
    "init",
    "register_instrument",
    "register_skymap",
    "update_dimension_regions",
    "write_curated_calibrations",
]


@command(
    "butler register-instrument REPO armillary.instrument.Nickel\nbutler register-instrument REPO camera.yaml --update"
)
@repo_argument
@click.argument("instruments", nargs=-1, required=True)
@click.option("--update", is_flag=True, help="Change records that differ.")
def register_instrument(repo: str, instruments: tuple[str, ...], update: bool) -> None:
    """Make INSTRUMENTS known with their detectors and filters.

    Each is the name of a class (module.Class), or a file that describes a camera, such as `butler init` writes.
    """
    from armillary.butler import Butler
    from armillary.instrument import DescribedInstrument, Instrument, InstrumentDescription

    with Butler(repo, writeable=True) as butler:
        for name in split_commas(instruments):
            instrument: Instrument
            if name.endswith((".yaml", ".yml")):
                instrument = DescribedInstrument(InstrumentDescription.read(name))
            else:
                instrument = Instrument.from_string(name, butler.registry)
            instrument.register(butler.registry, update=update)
            click.echo(f"registered `{instrument.getName()}`")


@command("butler init REPO --from night1/\nbutler init REPO --from night1/ --description camera.yaml")
@repo_argument
@click.option(
    "--from", "folders", multiple=True, required=True, metavar="DIR", help="Folder with FITS frames of the camera."
)
@click.option("-f", "--regex", "pattern", metavar="REGEX", help="Names of files to look for.")
@click.option("--description", metavar="FILE", help="Where else to write the description (one camera only).")
@click.option("--dry-run", is_flag=True, help="Only print the description.")
def init(repo: str, folders: tuple[str, ...], pattern: str | None, description: str | None, dry_run: bool) -> None:
    """Make a repository for the camera whose frames are in DIR.

    Its name, detectors, filters and header keywords are guessed and written to `REPO/instruments/NAME.yaml`. Edit it
    where it is wrong, and give it to `butler register-instrument REPO FILE --update`. REPO is made if it is not there.
    """
    from armillary.butler import Butler
    from armillary.instrument import DescribedInstrument, guess_descriptions

    found = guess_descriptions(folders, **({} if pattern is None else {"pattern": pattern}))
    if dry_run:
        click.echo("---\n".join(made.to_yaml() for made in found), nl=False)
        return
    if description is not None and len(found) > 1:
        raise click.UsageError(f"there are frames of {len(found)} cameras; `--description` takes one")
    if not Butler.has_repo_config(repo):
        Butler.makeRepo(repo)
        click.echo(f"made the repository `{repo}`")
    with Butler(repo, writeable=True) as butler:
        for made in found:
            DescribedInstrument(made).register(butler.registry)
            filters = ", ".join(made.filters)
            click.echo(f"registered `{made.name}`: {len(made.detectors)} detectors, filters {filters}")
            click.echo(f"its description is {repo.rstrip('/')}/instruments/{made.name}.yaml")
            if description is not None:
                with open(description, "x", encoding="utf-8") as stream:
                    stream.write(made.to_yaml())


@command("butler ingest-raws REPO night1/ night2/ -t direct -j 4")
@repo_argument
@click.argument("locations", nargs=-1, required=True)
@click.option("-f", "--regex", "pattern", metavar="REGEX", help="Names of files to look for in directories.")
@click.option("--output-run", metavar="RUN", help="RUN to write to; `<instrument>/raw/all` by default.")
@transfer_option
@click.option(
    "-j",
    "--processes",
    "jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Headers to read at once.",
)
@click.option("--fail-fast", is_flag=True, help="Take nothing in if a file cannot be used.")
@click.option("--update-records", is_flag=True, help="Change exposure records that differ.")
@click.option("--skip-existing/--no-skip-existing", default=True, help="Leave out what is there already.")
@click.option(
    "--search-indexes/--no-search-indexes", default=False, help="Take headers from `_index.json` of each folder."
)
@track_file_attrs_option
def ingest_raws(
    repo: str, locations: tuple[str, ...], output_run: str | None, pattern: str | None, **options: Any
) -> int:
    """Take in the raw frames at LOCATIONS, files or directories; a bad file is named and the rest go in."""
    from armillary.butler import Butler
    from armillary.instrument import ingest_raws as ingest

    if pattern is not None:
        options["pattern"] = pattern
    with Butler(repo, writeable=True) as butler:
        report = ingest(butler, locations, run=output_run, track=track, **options)
    for bad in report.failed:
        click.echo(f"not ingested: `{bad.path}`: {bad.reason}", err=True)
    skipped = f", {len(report.skipped)} were there already" if report.skipped else ""
    failed = f", {len(report.failed)} could not be used" if report.failed else ""
    click.echo(f"{len(report.ingested)} files of {report.exposures} exposures ingested{skipped}{failed}")
    if report.failed:
        click.echo(f"error: {len(report.failed)} of the files could not be ingested; they are named above", err=True)
    return 1 if report.failed else 0


@command('butler define-visits REPO Nickel --where "exposure.day_obs = 20190922"')
@repo_argument
@click.argument("instrument")
@click.option(
    "--collections", multiple=True, metavar="NAMES", help="Where the raw frames are; `<instrument>/raw/all` by default."
)
@where_option
@click.option("--update-records", is_flag=True, help="Change visits that exist.")
@click.option("--incremental", is_flag=True, help="Frames may still be coming: make visits that exist anew, too.")
@click.option(
    "--grouping",
    type=click.Choice(["one-to-one", "by-group-metadata", "by-counter"]),
    default="one-to-one",
    show_default=True,
    help="Which exposures are one visit: each its own, those of one group, or those of one range of counters.",
)
@click.option("--skip-conflicting", is_flag=True, help="Leave out visits that exist with other content.")
def define_visits(
    repo: str,
    instrument: str,
    collections: tuple[str, ...],
    where: str,
    update_records: bool,
    incremental: bool,
    grouping: str,
    skip_conflicting: bool,
) -> int:
    """Define visits for the exposures of the sky of INSTRUMENT (its name or class), with their regions."""
    from armillary.butler import Butler
    from armillary.instrument import Instrument
    from armillary.instrument import define_visits as define

    with Butler(repo, writeable=True) as butler:
        camera = Instrument.from_string(instrument, butler.registry)
        report = define(
            butler,
            camera,
            collections=split_commas(collections) or None,
            where=where,
            update_records=update_records or incremental,
            grouping=grouping,
            skip_conflicting=skip_conflicting,
        )
    return _tell_visits(report, "defined")


@command('butler update-dimension-regions REPO Nickel --where "exposure.day_obs = 20190922"')
@repo_argument
@click.argument("instrument")
@click.option(
    "--collections",
    multiple=True,
    metavar="NAMES",
    help="Where the raw frames are; `<instrument>/raw/all` by default.",
    shell_complete=complete_collections,
)
@where_option
def update_dimension_regions(repo: str, instrument: str, collections: tuple[str, ...], where: str) -> int:
    """Compute the regions of visits of INSTRUMENT that exist anew from their raw frames."""
    from armillary.butler import Butler
    from armillary.instrument import Instrument
    from armillary.instrument import define_visits as define

    with Butler(repo, writeable=True) as butler:
        camera = Instrument.from_string(instrument, butler.registry)
        searched = split_commas(collections) or None
        options: dict[str, Any] = {"update_records": True, "only_known": True}
        report = define(butler, camera, collections=searched, where=where, **options)
    return _tell_visits(report, "updated")


def _tell_visits(report: Any, what: str) -> int:
    for number, reason in report.failed.items():
        click.echo(f"no visit {number}: {reason}", err=True)
    existing = f", {len(report.existing)} were there already" if report.existing else ""
    click.echo(f"{len(report.defined)} visits {what}{existing}")
    return 1 if report.failed else 0


@command(
    "butler write-curated-calibrations REPO Nickel --from curated/\n"
    "butler write-curated-calibrations REPO Nickel 2019b --from curated/"
)
@repo_argument
@click.argument("instrument")
@click.argument("labels", nargs=-1)
@click.option(
    "--from",
    "folder",
    required=True,
    metavar="DIR",
    help="Folder with files `TYPE/DETECTOR/DATE.EXTENSION`, such as `defects/S00/20190901T000000.ecsv`.",
)
@click.option(
    "--collection",
    metavar="NAME",
    help="CALIBRATION collection; `<instrument>/calib/<labels>` by default.",
    shell_complete=complete_collections,
)
@click.option("--label", "more_labels", multiple=True, metavar="LABEL", help="More parts of the collections' names.")
@click.option("--prefix", metavar="NAME", help="What collections' names begin with, if not the camera's name.")
def write_curated_calibrations(
    repo: str,
    instrument: str,
    labels: tuple[str, ...],
    folder: str,
    collection: str | None,
    more_labels: tuple[str, ...],
    prefix: str | None,
) -> None:
    """Take calibrations of INSTRUMENT that were made by hand in; each is certified until the next of its kind."""
    from armillary.butler import Butler
    from armillary.instrument import Instrument
    from armillary.instrument import write_curated_calibrations as write

    with Butler(repo, writeable=True) as butler:
        camera = Instrument.from_string(instrument, butler.registry, collection_prefix=prefix)
        every = (*labels, *split_commas(more_labels))
        numbers = write(butler, camera, folder, collection=collection, labels=every)
        target = collection or camera.makeCalibrationCollectionName(*every)
    for name, number in sorted(numbers.items()):
        click.echo(f"{number} `{name}` are certified in `{target}`")


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
@click.option("-C", "--config-file", "config_files", multiple=True, metavar="FILE", help="Configuration in Python.")
@click.option("-c", "--config", "settings", multiple=True, metavar="KEY=VALUE", help="A field of the configuration.")
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
    click.echo(f"`{name}` has {len(sky_map)} tracts" + ("" if new else "; it was registered already"))


def _configured_sky_map(
    name: str | None, config_files: tuple[str, ...], settings: tuple[str, ...]
) -> tuple[str, SkyMap]:
    """The name and the map of a configuration."""
    import ast

    from armillary.instrument.sky_map_config import RegisterSkyMapConfig

    config = RegisterSkyMapConfig()
    for file in config_files:
        config.load(file)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise click.BadParameter(f"`{setting}` is not KEY=VALUE, such as `name=survey`", param_hint="--config")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text  # a word without quotes
        config.update(**{key: value})
    config.validate()
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
