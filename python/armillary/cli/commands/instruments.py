"""Commands that bring a camera and its frames in."""

from __future__ import annotations

from typing import Any

import click

from armillary.cli.command import command
from armillary.cli.options import repo_argument, split_commas, track_file_attrs_option, transfer_option, where_option

__all__ = ["define_visits", "ingest_raws", "register_instrument", "register_skymap"]


@command("butler register-instrument REPO armillary.instrument.Nickel")
@repo_argument
@click.argument("instruments", nargs=-1, required=True)
@click.option("--update", is_flag=True, help="Change records that differ.")
def register_instrument(repo: str, instruments: tuple[str, ...], update: bool) -> None:
    """Make INSTRUMENTS, given by class name (module.Class), known with their detectors and filters."""
    from armillary.butler import Butler
    from armillary.instrument import Instrument

    with Butler(repo, writeable=True) as butler:
        for name in split_commas(instruments):
            instrument = Instrument.from_string(name, butler.registry)
            instrument.register(butler.registry, update=update)
            click.echo(f"registered `{instrument.getName()}`")


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
        report = ingest(butler, locations, run=output_run, **options)
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
@click.option("--skip-conflicting", is_flag=True, help="Leave out visits that exist with other content.")
def define_visits(
    repo: str, instrument: str, collections: tuple[str, ...], where: str, update_records: bool, skip_conflicting: bool
) -> int:
    """Define a visit for each exposure of the sky of INSTRUMENT (its name or class), with its region."""
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
            update_records=update_records,
            skip_conflicting=skip_conflicting,
        )
    for number, reason in report.failed.items():
        click.echo(f"no visit {number}: {reason}", err=True)
    existing = f", {len(report.existing)} were there already" if report.existing else ""
    click.echo(f"{len(report.defined)} visits defined{existing}")
    return 1 if report.failed else 0


@command("butler register-skymap REPO coadds --kind around-visits --pixel-scale 0.37")
@repo_argument
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["discrete", "rings", "around-visits"]),
    default="discrete",
    show_default=True,
    help="Where tracts are.",
)
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
@click.option("--pixel-scale", type=float, help="Arcseconds per pixel.")
@click.option("--patch-size", type=int, help="Pixels along a side of a patch.")
@click.option(
    "--patch-border", type=int, default=0, show_default=True, help="Pixels that a patch shares with its neighbours."
)
def register_skymap(
    repo: str,
    name: str,
    kind: str,
    centres: tuple[tuple[float, float], ...],
    radius: float | None,
    ring_count: int,
    pixel_scale: float | None,
    patch_size: int | None,
    patch_border: int,
) -> None:
    """Make the sky map NAME known, with its tracts and patches."""
    from armillary.butler import Butler
    from armillary.instrument import SkyMap

    options: dict[str, Any] = {"patch_border": patch_border}
    if pixel_scale is not None:
        options["pixel_scale"] = pixel_scale
    if patch_size is not None:
        options["patch_size"] = patch_size
    if kind == "discrete" and (not centres or radius is None):
        raise click.UsageError("a discrete map needs `--centre RA DEC` for each tract, and `--radius`")
    with Butler(repo, writeable=True) as butler:
        if kind == "around-visits":
            regions = [
                visit.region for visit in butler.registry.queryDimensionRecords("visit") if visit.region is not None
            ]
            sky_map = SkyMap.around(regions, **options)
        elif kind == "rings":
            sky_map = SkyMap.rings(ring_count, **options)
        else:
            assert radius is not None
            sky_map = SkyMap.discrete(list(centres), radius=radius, **options)
        new = sky_map.register(name, butler)
    click.echo(f"`{name}` has {len(sky_map)} tracts" + ("" if new else "; it was registered already"))
