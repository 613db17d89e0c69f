"""Commands that change datasets and their types."""

from __future__ import annotations

from typing import Any

import click

from armillary.cli.options import globs, query_options, repo_argument, split_commas

__all__ = [
    "associate",
    "certify_calibrations",
    "prune_datasets",
    "register_dataset_type",
    "remove_dataset_type",
    "retrieve_artifacts",
]


@click.command()
@repo_argument
@click.argument("name")
@click.argument("storage_class")
@click.argument("dimensions", nargs=-1)
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


@click.command()
@repo_argument
@globs("names", "NAME")
def remove_dataset_type(repo: str, names: tuple[str, ...]) -> None:
    """Remove dataset types that match names or globs and have no datasets."""
    from armillary.butler import Butler

    with Butler(repo, writeable=True) as butler:
        butler.registry.removeDatasetType(tuple(split_commas(names)))


def select(
    butler: Any, dataset_types: tuple[str, ...], collections: tuple[str, ...], where: str, find_first: bool, limit: int
) -> list[Any]:
    """Find the datasets that a command works on."""
    return list(
        butler.query_all_datasets(
            split_commas(collections) or "*",
            name=split_commas(dataset_types) or "*",
            where=where,
            find_first=find_first,
            limit=None if limit == 0 else limit,
        )
    )


@click.command()
@repo_argument
@click.argument("collection")
@click.option("-d", "--dataset-type", "dataset_types", multiple=True, metavar="GLOB", help="Dataset types.")
@query_options(limit=0)
@click.option("--find-first/--no-find-first", default=False, help="Only the first of each data ID.")
def associate(
    repo: str,
    collection: str,
    dataset_types: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    find_first: bool,
) -> None:
    """Put datasets into the TAGGED collection COLLECTION, which is made if needed."""
    from armillary.butler import Butler, CollectionType

    with Butler(repo, writeable=True) as butler:
        refs = select(butler, dataset_types, collections, where, find_first, limit)
        with butler.transaction():
            butler.collections.register(collection, CollectionType.TAGGED)
            butler.registry.associate(collection, refs)
        click.echo(f"{len(refs)} datasets are in `{collection}`")


@click.command()
@repo_argument
@click.argument("input_collection")
@click.argument("output_collection")
@click.argument("dataset_type")
@click.option("--begin-date", metavar="TIME", help="ISO time (TAI) from which they are valid; since ever by default.")
@click.option("--end-date", metavar="TIME", help="ISO time (TAI) until which they are valid; for ever by default.")
@click.option("--search-all-inputs", is_flag=True, help="Search a whole chain, not only its first child.")
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
    from armillary.instrument import certify_calibrations as certify

    times = [parse_time(text, option) for text, option in ((begin_date, "--begin-date"), (end_date, "--end-date"))]
    with Butler(repo, writeable=True) as butler, butler.transaction():
        number = certify(
            butler,
            input_collection,
            output_collection,
            dataset_type,
            Timespan(*times),
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


@click.command()
@repo_argument
@globs("collections_searched", "COLLECTION")
@click.option("--datasets", "dataset_types", multiple=True, metavar="GLOB", help="Dataset types; all by default.")
@click.option("--where", default="", help="Expression that must hold.")
@click.option("--purge", metavar="RUN", help="Remove what is in this RUN altogether.")
@click.option("--unstore", is_flag=True, help="Remove files, keep what is known.")
@click.option("--disassociate", "tags", multiple=True, metavar="TAG", help="Take them out of these TAGGED collections.")
@click.option("--find-all", is_flag=True, help="Every dataset, not only the first of each data ID.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--confirm/--no-confirm", default=True, help="Ask before anything is removed.")
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
) -> None:
    """Remove datasets, or only their files."""
    from armillary.butler import Butler

    if not (purge or unstore or tags):
        raise click.UsageError("nothing to do: give `--purge RUN`, `--unstore` or `--disassociate TAG`")
    with Butler(repo, writeable=True) as butler:
        path = collections_searched or ((purge,) if purge else tags)
        refs = select(butler, dataset_types, tuple(path), where, not find_all and bool(path), 0)
        if purge:
            refs = [ref for ref in refs if ref.run == purge]
        click.echo("\n".join(str(ref) for ref in refs) or "nothing matches")
        if dry_run or not refs:
            return
        if confirm:
            click.confirm(f"go on with these {len(refs)} datasets?", abort=True)
        if purge:
            butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
        else:
            butler.pruneDatasets(refs, disassociate=bool(tags), unstore=unstore, tags=split_commas(tags))


@click.command()
@repo_argument
@click.argument("destination")
@click.option("-d", "--dataset-type", "dataset_types", multiple=True, metavar="GLOB", help="Dataset types.")
@query_options(limit=0)
@click.option("--find-first/--no-find-first", default=True, help="Only the first of each data ID.")
@click.option("-t", "--transfer", default="auto", show_default=True, help="How files get there.")
@click.option("--preserve-path/--no-preserve-path", default=True, help="Keep the directories of the repository.")
@click.option("--clobber", is_flag=True, help="Replace files that are there.")
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
    preserve_path: bool,
    clobber: bool,
) -> None:
    """Copy the files of datasets to the directory DESTINATION."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        refs = select(butler, dataset_types, collections, where, find_first and bool(collections), limit)
        files = butler.retrieveArtifacts(
            refs, destination, transfer=transfer, preserve_path=preserve_path, overwrite=clobber
        )
        click.echo(f"{len(files)} files are in {destination}")
