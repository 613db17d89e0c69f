"""Commands that bring files in and take them to other repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from armillary._words import counted
from armillary.cli.command import command
from armillary.cli.commands.datasets import select
from armillary.cli.commands.looking import key_values
from armillary.cli.completion import collections as complete_collections
from armillary.cli.completion import dataset_types as complete_dataset_types
from armillary.cli.completion import repositories as complete_repositories
from armillary.cli.options import (
    dataset_type_option,
    durability_option,
    globs,
    repo_argument,
    selection_options,
    split_commas,
    track_file_attrs_option,
    transfer_dimensions_option,
    transfer_option,
)

__all__ = ["export_calibs", "import_", "ingest_files", "ingest_zip", "transfer_datasets"]

dry_run_option = click.option("--dry-run/--no-dry-run", default=False, help="Only say what would be done.")


@command("butler import REPO exported -t copy\nbutler import REPO exported -s instrument,detector", name="import")
@repo_argument
@click.argument("directory")
@transfer_option
@click.option("--export-file", metavar="FILE", help="The export to read, if not `export.yaml` in DIRECTORY.")
@click.option("-s", "--skip-dimensions", multiple=True, metavar="NAMES", help="Dimensions whose records are left out.")
@track_file_attrs_option
@durability_option
def import_(
    repo: str,
    directory: str,
    export_file: str | None,
    transfer: str,
    skip_dimensions: tuple[str, ...],
    track_file_attrs: bool,
) -> None:
    """Take in the datasets and records that an export in DIRECTORY holds."""
    from armillary.butler import Butler

    options: dict[str, Any] = {"transfer": transfer, "skip_dimensions": set(split_commas(skip_dimensions))}
    with Butler(repo, writeable=True) as butler:
        butler.import_(directory=directory, filename=export_file, record_validation_info=track_file_attrs, **options)


@command("butler export-calibs REPO calibs LSSTCam/calib -t copy\nbutler export-calibs REPO calibs -d 'flat,bias'")
@repo_argument
@click.argument("directory")
@globs("collections", "COLLECTION")
@dataset_type_option
@transfer_option
def export_calibs(
    repo: str, directory: str, collections: tuple[str, ...], dataset_types: tuple[str, ...], transfer: str
) -> None:
    """Export the calibrations of COLLECTIONS (all by default), with their validity ranges, to a new DIRECTORY."""
    from armillary.butler import Butler, CollectionType

    if Path(directory).exists():
        raise FileExistsError(f"`{directory}` is there already; an export needs a new directory")
    with Butler(repo) as butler:
        found = butler.collections.query(split_commas(collections) or "*", flatten_chains=True, include_chains=True)
        kinds = {name: butler.collections.get_info(name).type for name in found}
        sources = [name for name, kind in kinds.items() if kind is CollectionType.CALIBRATION]
        chains = [name for name, kind in kinds.items() if kind is CollectionType.CHAINED and collections]
        types = [t for t in butler.registry.queryDatasetTypes(split_commas(dataset_types) or ...) if t.isCalibration()]
        refs = {
            item.ref.id: item.ref
            for dataset_type in types
            for item in (butler.registry.queryDatasetAssociations(dataset_type, sources) if sources else ())
        }
        if not refs:
            raise LookupError("no calibrations are certified there; `butler query-datasets` shows what is")
        Path(directory).mkdir(parents=True)
        with butler.export(directory=directory, transfer=transfer) as export:
            export.saveDatasets(refs.values())
            for name in [*sources, *chains]:
                export.saveCollection(name)
    found, searched = counted(len(refs), "calibration"), counted(len(sources), "collection")
    click.echo(f"{found} of {searched} {'is' if len(refs) == 1 else 'are'} in {directory}")


@command(
    "butler ingest-files REPO gaia_dr3 refcats/gaia shards.ecsv -t direct\n"
    "butler ingest-files REPO flat u/me/flats flats.csv --data-id instrument=LSSTCam --prefix /data/flats"
)
@repo_argument
@click.argument("dataset_type", shell_complete=complete_dataset_types)
@click.argument("run", shell_complete=complete_collections)
@click.argument("table_file")
@click.option("--formatter", metavar="CLASS", help="Class that reads the files; the configured one by default.")
@click.option(
    "--id-generation-mode",
    type=click.Choice(["UNIQUE", "DATAID_TYPE", "DATAID_TYPE_RUN"], case_sensitive=False),
    default="UNIQUE",
    show_default=True,
    help="Whether the same data give the same dataset ID everywhere.",
)
@click.option("--data-id", "fixed", multiple=True, metavar="KEY=VALUE", help="Values that all files share.")
@click.option("--prefix", metavar="DIRECTORY", help="Where relative paths in the table begin, if not here.")
@track_file_attrs_option
@transfer_option
@durability_option
def ingest_files(repo: str, dataset_type: str, run: str, table_file: str, transfer: str, **options: Any) -> None:
    """Take in the files that a table lists: paths in its first column, values of dimensions in the others.

    TABLE_FILE is anything that `astropy.table` reads (CSV, ECSV, FITS, ...). Files with the same path hold several
    datasets. The dataset type and the dimension records must be there already.
    """
    from astropy.table import Table

    from armillary.butler import Butler, DataCoordinate, DatasetIdGenEnum, DatasetRef, FileDataset

    fixed = key_values(split_commas(options["fixed"]))
    table = Table.read(table_file)
    mode = DatasetIdGenEnum[options["id_generation_mode"].upper()]
    prefix = options["prefix"] or ""
    with Butler(repo, writeable=True) as butler:
        found = butler.get_dataset_type(dataset_type)
        rows: dict[str, list[Any]] = {}
        for row in table:
            values = dict(zip(table.colnames, (_python_value(value) for value in row), strict=True))
            path = str(values.pop(table.colnames[0]))
            data_id = DataCoordinate.standardize(
                {**fixed, **values}, dimensions=found.dimensions, universe=butler.dimensions
            )
            rows.setdefault(_below(prefix, path), []).append(
                DatasetRef(found, data_id, run=run, id_generation_mode=mode)
            )
        datasets = [FileDataset(path=path, refs=refs, formatter=options["formatter"]) for path, refs in rows.items()]
        butler.ingest(*datasets, transfer=transfer, record_validation_info=options["track_file_attrs"])
    click.echo(f"{counted(len(table), 'dataset')} of {counted(len(datasets), 'file')} ingested")


def _python_value(value: Any) -> Any:
    """A value of an astropy table without numpy."""
    return value.tolist() if hasattr(value, "tolist") else value


def _below(prefix: str, path: str) -> str:
    """A path of the table where it is: below the prefix or the current directory, or as it stands if absolute."""
    if "://" in path or "://" not in prefix:
        return path if "://" in path else str(Path(prefix, path).absolute())
    return prefix.rstrip("/") + "/" + path


@command("butler ingest-zip REPO here/1e8af24a-6d31-5f6d-a4d1-1a4b2c3d4e5f.zip -t copy")
@repo_argument
@click.argument("zip_file", metavar="ZIP")
@transfer_option
@transfer_dimensions_option(default=False)
@dry_run_option
@durability_option
def ingest_zip(repo: str, zip_file: str, transfer: str, transfer_dimensions: bool, dry_run: bool) -> None:
    """Take in a zip file that `retrieve-artifacts --zip` made."""
    from armillary.butler import Butler

    with Butler(repo, writeable=True) as butler:
        butler.ingest_zip(zip_file, transfer=transfer, transfer_dimensions=transfer_dimensions, dry_run=dry_run)


@command(
    "butler transfer-datasets SOURCE DEST -d raw --collections LSSTCam/raw/all --register-dataset-types\n"
    "butler transfer-datasets SOURCE DEST --collections u/me/run --register-dataset-types --dry-run"
)
@click.argument("source", shell_complete=complete_repositories)
@click.argument("dest", shell_complete=complete_repositories)
@selection_options(limit=-20000)
@transfer_option
@click.option("--register-dataset-types", is_flag=True, help="Make dataset types known that DEST lacks.")
@transfer_dimensions_option(default=True)
@dry_run_option
@durability_option
def transfer_datasets(
    source: str,
    dest: str,
    dataset_types: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    find_first: bool,
    order_by: tuple[str, ...],
    limit: int,
    **options: Any,
) -> None:
    """Copy datasets of the repository SOURCE, with their files, to the repository DEST; runs keep their names."""
    from armillary.butler import Butler

    with Butler(source) as from_butler, Butler(dest, writeable=True) as butler:
        refs = select(from_butler, dataset_types, collections, where, find_first, limit, order_by)
        moved = butler.transfer_from(from_butler, refs, skip_missing=False, **options)
    click.echo(f"Number of datasets transferred: {len(moved)}")
