"""Commands that bring a camera and its frames in."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from armillary._words import counted
from armillary.cli.command import command
from armillary.cli.completion import collections as complete_collections
from armillary.cli.options import (
    durability_option,
    repo_argument,
    split_commas,
    track_file_attrs_option,
    transfer_option,
    where_option,
)
from armillary.cli.progress import track
from armillary.cli.settings import config_options, configured, given

__all__ = [
    "define_visits",
    "ingest_raws",
    "init",
    "register_instrument",
    "update_dimension_regions",
    "update_exposures_from_raws",
    "write_curated_calibrations",
]

RAW_INGEST_TASK = "lsst.obs.base.RawIngestTask"


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
    A camera that it describes already keeps its description; detectors and filters that are new are added.
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
        for guess in found:
            made, place = guess, f"{repo.rstrip('/')}/instruments/{guess.name}.yaml"
            with contextlib.suppress(LookupError):
                made = DescribedInstrument.of_repository(guess.name, butler.registry).description.extended(guess)
                click.echo(f"`{made.name}` is described already by {place}, which is kept", err=True)
            DescribedInstrument(made).register(butler.registry)
            filters = ", ".join(made.filters)
            click.echo(f"registered `{made.name}`: {counted(len(made.detectors), 'detector')}, filters {filters}")
            click.echo(f"its description is {place}")
            if description is not None:
                with open(description, "x", encoding="utf-8") as stream:
                    stream.write(made.to_yaml())


@command("butler ingest-raws REPO night1/ night2/ -t direct -j 4")
@repo_argument
@click.argument("locations", nargs=-1, required=True)
@click.option("-f", "--regex", "pattern", metavar="REGEX", help="Names of files to look for in directories.")
@config_options
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
@click.option(
    "--ingest-task",
    metavar="CLASS",
    help="Class of the task, for scripts that name `lsst.obs.base.RawIngestTask`; no other is known.",
)
@track_file_attrs_option
@durability_option
def ingest_raws(
    repo: str,
    locations: tuple[str, ...],
    output_run: str | None,
    pattern: str | None,
    ingest_task: str | None,
    config_files: tuple[str, ...],
    settings: tuple[str, ...],
    **options: Any,
) -> int:
    """Take in the raw frames at LOCATIONS, files or directories; a bad file is named and the rest go in."""
    from armillary.butler import Butler
    from armillary.instrument import ingest_raws as ingest

    if ingest_task not in (None, RAW_INGEST_TASK):
        raise click.BadParameter(
            f"there is no task `{ingest_task}`; a camera's headers are understood by its class or description",
            param_hint="--ingest-task",
        )
    if config_files or settings:
        from armillary.instrument.raw_config import RawIngestConfig

        config = configured(RawIngestConfig(), config_files, settings)
        options["fail_fast"] = options["fail_fast"] or config.failFast
        if not given("transfer"):
            options["transfer"] = config.transfer
    if pattern is not None:
        options["pattern"] = pattern
    with Butler(repo, writeable=True) as butler:
        report = ingest(butler, locations, run=output_run, track=track, **options)
    for bad in report.failed:
        click.echo(f"not ingested: `{bad.path}`: {bad.reason}", err=True)
    skipped = f", {len(report.skipped)} were there already" if report.skipped else ""
    failed = f", {len(report.failed)} could not be used" if report.failed else ""
    files, exposures = counted(len(report.ingested), "file"), counted(report.exposures, "exposure")
    click.echo(f"{files} of {exposures} ingested{skipped}{failed}")
    if report.failed:
        click.echo(f"error: {len(report.failed)} of the files could not be ingested; they are named above", err=True)
    return 1 if report.failed else 0


geometry_option = click.option(
    "--geometry",
    "geometry_file",
    metavar="FILE",
    help="Corners of detectors in the focal plane (YAML or CSV), for frames without world coordinates.",
)
raw_collections_option = click.option(
    "--collections",
    multiple=True,
    metavar="NAMES",
    help="Where the raw frames are; `<instrument>/raw/all` by default.",
    shell_complete=complete_collections,
)


@command('butler define-visits REPO Nickel --where "exposure.day_obs = 20190922"')
@repo_argument
@click.argument("instrument")
@config_options
@raw_collections_option
@where_option
@click.option("--update-records", is_flag=True, help="Change visits that exist.")
@click.option("--incremental", is_flag=True, help="Frames may still be coming: make visits that exist anew, too.")
@click.option("--skip-conflicting", is_flag=True, help="Leave out visits that exist with other content.")
@click.option("--prefilter/--no-prefilter", default=False, help="Leave exposures out that are in a visit already.")
@click.option(
    "--check-detector-regions/--no-check-detector-regions",
    default=False,
    help="Add the regions of detectors that visits which exist lack.",
)
@click.option(
    "--grouping",
    type=click.Choice(["one-to-one-and-by-counter", "one-to-one", "by-group-metadata", "by-counter"]),
    help="Which exposures are one visit: each its own and those of one range of counters together (the default), "
    "only the one or the other, or those of one group.",
)
@geometry_option
@durability_option
def define_visits(
    repo: str,
    instrument: str,
    config_files: tuple[str, ...],
    settings: tuple[str, ...],
    collections: tuple[str, ...],
    update_records: bool,
    incremental: bool,
    grouping: str | None,
    geometry_file: str | None,
    **options: Any,
) -> int:
    """Define visits for the exposures of the sky of INSTRUMENT (its name or class), with their regions."""
    from armillary.butler import Butler
    from armillary.instrument import CameraGeometry, Instrument
    from armillary.instrument import define_visits as define
    from armillary.instrument.raw_config import DefineVisitsConfig

    geometry = None if geometry_file is None else CameraGeometry.read(geometry_file)
    with Butler(repo, writeable=True) as butler:
        camera = Instrument.from_string(instrument, butler.registry)
        config = DefineVisitsConfig()
        camera.applyConfigOverrides("defineVisits", config)
        made = configured(config, config_files, settings).options()
        report = define(
            butler,
            camera,
            collections=split_commas(collections) or None,
            update_records=update_records or incremental,
            grouping=grouping or made["grouping"],
            padding=made["padding"],
            geometry=geometry,
            **options,
        )
    return _tell_visits(report, "defined")


@command('butler update-dimension-regions REPO Nickel --where "exposure.day_obs = 20190922"')
@repo_argument
@click.argument("instrument")
@raw_collections_option
@where_option
@geometry_option
def update_dimension_regions(
    repo: str, instrument: str, collections: tuple[str, ...], where: str, geometry_file: str | None
) -> int:
    """Compute the regions of visits of INSTRUMENT that exist anew from their raw frames."""
    from armillary.butler import Butler
    from armillary.instrument import CameraGeometry, Instrument, update_regions

    geometry = None if geometry_file is None else CameraGeometry.read(geometry_file)
    with Butler(repo, writeable=True) as butler:
        camera = Instrument.from_string(instrument, butler.registry)
        searched = split_commas(collections) or None
        report = update_regions(butler, camera, collections=searched, where=where, geometry=geometry)
    return _tell_visits(report, "updated")


@command('butler update-exposures-from-raws REPO Nickel --where "exposure.day_obs = 20190922"')
@repo_argument
@click.argument("instrument")
@raw_collections_option
@click.option("--where", required=True, metavar="TEXT", help="Expression that chooses exposures; it must be given.")
def update_exposures_from_raws(repo: str, instrument: str, collections: tuple[str, ...], where: str) -> int:
    """Read the headers of raw frames of INSTRUMENT again and change exposure records that differ.

    For headers that are understood better than when the frames were ingested. Visits stay as they are; `butler
    define-visits REPO INSTRUMENT --update-records` makes them anew.
    """
    from armillary.butler import Butler
    from armillary.instrument import Instrument, update_exposures

    with Butler(repo, writeable=True) as butler:
        camera = Instrument.from_string(instrument, butler.registry)
        searched = split_commas(collections) or None
        report = update_exposures(butler, camera, where=where, collections=searched, track=track)
    for number, reason in report.failed.items():
        click.echo(f"exposure {number} stays as it is: {reason}", err=True)
    click.echo(f"{counted(len(report.updated), 'exposure')} updated, {len(report.unchanged)} were right already")
    return 1 if report.failed else 0


def _tell_visits(report: Any, what: str) -> int:
    for number, reason in report.failed.items():
        click.echo(f"no visit {number}: {reason}", err=True)
    existing = f", {len(report.existing)} were there already" if report.existing else ""
    click.echo(f"{counted(len(report.defined), 'visit')} {what}{existing}")
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
@durability_option
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
