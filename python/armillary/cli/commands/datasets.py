"""Commands that change datasets and their types."""

from __future__ import annotations

from typing import Any

import click

from armillary._words import counted, these
from armillary.cli.command import command
from armillary.cli.commands.queries import dataset_table
from armillary.cli.completion import collections as complete_collections
from armillary.cli.completion import dataset_types as complete_dataset_types
from armillary.cli.options import (
    confirm_option,
    durability_option,
    globs,
    repo_argument,
    selection_options,
    split_commas,
    transfer_option,
    where_option,
)
from armillary.cli.output import write_tables

__all__ = [
    "associate",
    "certify_calibrations",
    "prune_datasets",
    "register_dataset_type",
    "remove_dataset_type",
    "retrieve_artifacts",
    "select",
]


@command(
    "butler register-dataset-type REPO measurements ArrowTable instrument visit detector\n"
    "butler register-dataset-type REPO flat FitsImage instrument detector physical_filter --is-calibration"
)
@repo_argument
@click.argument("name", metavar="DATASET_TYPE")
@click.argument("storage_class")
@globs("dimensions", "DIMENSION")
@click.option(
    "--is-calibration/--no-is-calibration", default=False, help="Whether datasets are certified with validity ranges."
)
def register_dataset_type(
    repo: str, name: str, storage_class: str, dimensions: tuple[str, ...], is_calibration: bool
) -> None:
    """Make the dataset type NAME known."""
    from armillary.butler import Butler, DatasetType

    with Butler(repo, writeable=True) as butler:
        made = DatasetType(
            name, split_commas(dimensions), storage_class, universe=butler.dimensions, isCalibration=is_calibration
        )
        new = butler.registry.registerDatasetType(made)
        click.echo(f"{'registered' if new else 'already registered'}: {made}")


@command("butler remove-dataset-type REPO 'test_*'")
@repo_argument
@globs("names", "DATASET TYPE")
def remove_dataset_type(repo: str, names: tuple[str, ...]) -> None:
    """Remove dataset types that match names or globs and have no datasets."""
    from armillary.butler import Butler

    with Butler(repo, writeable=True) as butler:
        butler.registry.removeDatasetType(tuple(split_commas(names)))


def select(
    butler: Any,
    dataset_types: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    find_first: bool,
    limit: int,
    order_by: tuple[str, ...] = (),
) -> list[Any]:
    """Find the datasets that a command works on; sorting is within each dataset type."""
    path, most = split_commas(collections) or "*", None if limit == 0 else limit
    names = split_commas(dataset_types) or "*"
    if not order_by:
        return list(butler.query_all_datasets(path, name=names, where=where, find_first=find_first, limit=most))
    options: dict[str, Any] = {"where": where, "find_first": find_first, "explain": False}
    refs: list[Any] = []
    for found in sorted(butler.registry.queryDatasetTypes(names), key=lambda found: found.name):
        left = None if most is None else abs(most) + 1 - len(refs)
        refs += butler.query_datasets(found.name, path, order_by=split_commas(order_by), limit=left, **options)
    if most is not None and len(refs) > abs(most):
        refs = refs[: abs(most)]
        if most < 0:
            click.echo(f"there are more than {-most} datasets; `--limit 0` takes all", err=True)
    return refs


@command("butler associate REPO u/me/good -d calexp --collections u/me/run --where \"instrument='Cam' AND visit > 10\"")
@repo_argument
@click.argument("collection", shell_complete=complete_collections)
@selection_options(order_by=False)
@durability_option
def associate(
    repo: str,
    collection: str,
    dataset_types: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    limit: int,
    find_first: bool,
) -> None:
    """Put datasets into the TAGGED collection COLLECTION, which is made if needed."""
    from armillary.butler import Butler, CollectionType
    from armillary.butler.collection_journal import CollectionJournal

    with Butler(repo, writeable=True) as butler:
        refs = select(butler, dataset_types, collections, where, find_first, limit)
        journal, types = CollectionJournal(butler), {ref.datasetType.name for ref in refs}
        with journal.noting("associate", collection, types), butler.transaction():
            butler.collections.register(collection, CollectionType.TAGGED)
            butler.registry.associate(collection, refs)
        click.echo(f"{counted(len(refs), 'dataset')} {'is' if len(refs) == 1 else 'are'} in `{collection}`")


@command("butler certify-calibrations REPO u/me/flats LSSTCam/calib flat --begin-date 2025-01-01 --end-date 2025-07-01")
@repo_argument
@click.argument("input_collection", shell_complete=complete_collections)
@click.argument("output_collection", shell_complete=complete_collections)
@click.argument("dataset_type", metavar="DATASET_TYPE_NAME", shell_complete=complete_dataset_types)
@click.option("--begin-date", metavar="TIME", help="ISO time (TAI) from which they are valid; since ever by default.")
@click.option("--end-date", metavar="TIME", help="ISO time (TAI) until which they are valid; for ever by default.")
@click.option("--search-all-inputs", is_flag=True, help="Search a whole chain, not only its first child.")
@durability_option
def certify_calibrations(
    repo: str,
    input_collection: str,
    output_collection: str,
    dataset_type: str,
    begin_date: str | None,
    end_date: str | None,
    search_all_inputs: bool,
) -> None:
    """Declare the datasets of a type in INPUT_COLLECTION valid for a time, in a CALIBRATION collection."""
    from armillary.butler import Butler, Timespan
    from armillary.butler.collection_journal import CollectionJournal
    from armillary.instrument import certify_calibrations as certify

    times = [parse_time(text, option) for text, option in ((begin_date, "--begin-date"), (end_date, "--end-date"))]
    timespan = Timespan(*times)
    if timespan.isEmpty():
        raise click.UsageError(
            f"`--end-date {end_date}` is not after `--begin-date {begin_date}`: the calibrations would never be valid"
        )
    with Butler(repo, writeable=True) as butler:
        noting = CollectionJournal(butler).noting("certify-calibrations", output_collection, [dataset_type])
        with noting, butler.transaction():
            number = certify(
                butler,
                input_collection,
                output_collection,
                dataset_type,
                timespan,
                search_all_inputs=search_all_inputs,
            )
    click.echo(f"{number} `{dataset_type}` are certified in `{output_collection}`")


def parse_time(text: str | None, option: str) -> Any:
    """Read an ISO time of scale TAI."""
    if text is None:
        return None
    from astropy.time import Time

    try:
        return Time(text, scale="tai")
    except ValueError as error:
        raise click.BadParameter(
            f"`{text}` is not an ISO time such as 2025-01-31T12:00:00", param_hint=option
        ) from error


@command(
    "butler prune-datasets REPO u/me/run --datasets 'postISRCCD' --unstore --dry-run\n"
    "butler prune-datasets REPO --purge u/me/run --datasets 'calexp*' --no-confirm"
)
@repo_argument
@globs("collections_searched", "COLLECTION")
@click.option(
    "--datasets",
    "dataset_types",
    multiple=True,
    metavar="GLOB",
    help="Dataset types; all by default.",
    shell_complete=complete_dataset_types,
)
@click.option("--find-all", is_flag=True, help="Every dataset, not only the first of each data ID.")
@where_option
@click.option(
    "--disassociate",
    "tags",
    multiple=True,
    metavar="TAG",
    help="Take them out of these TAGGED collections.",
    shell_complete=complete_collections,
)
@click.option(
    "--purge",
    metavar="RUN",
    help="Remove them altogether: what is in this RUN, or in the runs of the COLLECTIONS if these are given.",
    shell_complete=complete_collections,
)
@click.option("--unstore", is_flag=True, help="Remove files, keep what is known.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@confirm_option
@click.option("--quiet", is_flag=True, help="Say nothing and do not ask.")
@durability_option
def prune_datasets(
    repo: str,
    collections_searched: tuple[str, ...],
    dataset_types: tuple[str, ...],
    where: str,
    purge: str | None,
    unstore: bool,
    tags: tuple[str, ...],
    find_all: bool,
    dry_run: bool,
    confirm: bool,
    quiet: bool,
) -> None:
    """Remove datasets, or only their files, or only their tags."""
    from armillary.butler import Butler

    if not (purge or unstore or tags):
        raise click.UsageError("nothing to do: give `--purge RUN`, `--unstore` or `--disassociate TAG`")
    if purge and tags:
        raise click.UsageError("`--purge` removes datasets altogether, tags included; leave out `--disassociate`")
    if quiet and dry_run:
        raise click.UsageError("`--quiet` and `--dry-run` together would do nothing and say nothing")
    with Butler(repo, writeable=True) as butler:
        path = split_commas(collections_searched) or ([purge] if purge else split_commas(tags))
        refs = select(butler, dataset_types, tuple(path), where, not find_all and bool(path), 0)
        if purge and not collections_searched:
            refs = [ref for ref in refs if ref.run == purge]
        if not quiet:
            _show_doomed(butler, refs)
        if dry_run or not refs:
            return
        if confirm and not quiet:
            click.confirm(f"go on with {these(len(refs), 'dataset')}?", abort=True)
        if purge:
            butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
        else:
            butler.pruneDatasets(refs, disassociate=bool(tags), unstore=unstore, tags=split_commas(tags))
        if not quiet:
            are = "is" if len(refs) == 1 else "are"
            click.echo(f"{counted(len(refs), 'dataset')} {are} {'removed' if purge else 'pruned'}")


def _show_doomed(butler: Any, refs: list[Any]) -> None:
    by_type: dict[str, list[Any]] = {}
    for ref in refs:
        by_type.setdefault(ref.datasetType.name, []).append(ref)
    write_tables([dataset_table(butler, found) for _, found in sorted(by_type.items())])
    if not refs:
        click.echo("nothing matches")


@command(
    "butler retrieve-artifacts REPO here -d calexp --collections u/me/run --where \"instrument='Cam' AND visit=10\"\n"
    "butler retrieve-artifacts REPO here -d raw --collections LSSTCam/raw/all --zip"
)
@repo_argument
@click.argument("destination")
@selection_options(limit=-20000)
@transfer_option
@click.option("-v", "--verbose", is_flag=True, help="Name every file.")
@click.option("--preserve-path/--no-preserve-path", default=True, help="Keep the directories of the repository.")
@click.option("--clobber/--no-clobber", default=False, help="Replace files that are there.")
@click.option("--zip/--no-zip", "as_zip", default=False, help="Make one zip file, which `ingest-zip` takes in.")
def retrieve_artifacts(
    repo: str,
    destination: str,
    dataset_types: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    find_first: bool,
    transfer: str,
    verbose: bool,
    preserve_path: bool,
    clobber: bool,
    as_zip: bool,
) -> None:
    """Copy the files of datasets to the directory DESTINATION."""
    from armillary.butler import Butler
    from armillary.config import local_place

    destination = local_place(destination, "DESTINATION")
    if transfer in ("move", "direct"):
        raise click.UsageError(f"`--transfer {transfer}` would take files out of the repository")
    with Butler(repo) as butler:
        refs = select(butler, dataset_types, collections, where, find_first, limit, order_by)
        if not refs:
            click.echo("nothing matches", err=True)
            return
        if as_zip:
            files = [butler.retrieve_artifacts_zip(refs, destination, overwrite=clobber)]
        else:
            files = butler.retrieveArtifacts(
                refs, destination, transfer=transfer, preserve_path=preserve_path, overwrite=clobber
            )
    if verbose:
        for file in files:
            click.echo(str(file))
    number, noun, place = (len(refs), "dataset", files[0]) if as_zip else (len(files), "file", destination)
    click.echo(f"{counted(number, noun)} {'is' if number == 1 else 'are'} in {place}")
