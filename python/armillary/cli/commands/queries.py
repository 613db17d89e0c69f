"""Commands that ask and change nothing."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from armillary._words import did_you_mean
from armillary.cli.command import command
from armillary.cli.completion import dimensions as complete_dimensions
from armillary.cli.options import (
    collections_option,
    combined,
    explain_option,
    find_first_option,
    globs,
    query_options,
    repo_argument,
    split_commas,
)
from armillary.cli.output import Table, format_option, record, write_tables

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["query_collections", "query_data_ids", "query_dataset_types", "query_datasets", "query_dimension_records"]

CHAINS = ("table", "inverse-table", "tree", "inverse-tree", "flatten", "no-children")


@command(
    "butler query-collections REPO\n"
    "butler query-collections REPO 'u/*' --collection-type run\n"
    "butler query-collections REPO --chains table -t --format json"
)
@repo_argument
@globs("patterns", "COLLECTION GLOB")
@click.option(
    "--collection-type", "types", multiple=True, help="Only `run`, `tagged`, `chained` or `calibration` collections."
)
@click.option(
    "--chains",
    type=click.Choice(CHAINS, case_sensitive=False),
    default="tree",
    show_default=True,
    help="Show children (`inverse`: parents) below each collection, in a column, in place of their chain, or not.",
)
@click.option("-t", "--show-dataset-types", is_flag=True, help="Show which dataset types each may hold.")
@click.option(
    "--exclude-dataset-types",
    default="*_config,*_log,*_metadata,packages",
    show_default=True,
    metavar="GLOBS",
    help="Dataset types that `-t` leaves out.",
)
@format_option
def query_collections(
    repo: str,
    patterns: tuple[str, ...],
    types: tuple[str, ...],
    chains: str,
    show_dataset_types: bool,
    exclude_dataset_types: str,
    form: str,
) -> None:
    """List the collections that match names or globs; all by default."""
    from armillary.butler import Butler, CollectionType

    with Butler(repo) as butler:
        kinds = CollectionType.from_names(split_commas(types))
        names = butler.collections.query(split_commas(patterns) or "*", kinds, flatten_chains=chains == "flatten")
        if chains.endswith(("tree", "table")):
            names = sorted(names)
        listing = _CollectionListing(butler, chains, show_dataset_types, split_commas(exclude_dataset_types))
        if names or form != "table":
            write_tables([listing.table(names)], form)
        if not names:
            kind = " or ".join(found.name for found in sorted(kinds)) + " collection" if types else "collection"
            say_that_no_collection_matches(butler, patterns, kind)


def say_that_no_collection_matches(butler: Butler, patterns: tuple[str, ...], kind: str) -> None:
    """Say on standard error that nothing of a kind has such a name, and which name is the nearest."""
    known = set(butler.collections.query("*"))
    for pattern in split_commas(patterns) or ["*"]:
        ending = "" if fnmatch.filter(known, pattern) else did_you_mean(pattern, known)
        click.echo(f"no {kind} matches `{pattern}`{ending}", err=True)


class _CollectionListing:
    """Collections as `--chains` asks for them."""

    def __init__(self, butler: Butler, chains: str, with_types: bool, excluded: list[str]):
        self._butler = butler
        self._inverse = chains.startswith("inverse")
        self._tree = chains.endswith("tree")
        self._related = ("Parents" if self._inverse else "Children") if chains.endswith("table") else None
        self._with_types = with_types
        self._excluded = excluded

    def table(self, names: Iterable[str]) -> Table:
        """A line for each collection, more where it has several children or dataset types."""
        columns = ["Name", "Type", *([self._related] if self._related else [])]
        columns += ["Dataset Types"] if self._with_types else []
        rows: list[list[Any]] = []
        records: list[dict[str, Any]] = []
        for name in names:
            for depth, info, related in self._lines(name, 0):
                types = self._types(info)
                lists = ([related] if self._related else []) + ([types] if self._with_types else [])
                for line in range(max([1, *map(len, lists)])):
                    first = ["  " * depth + info.name, info.type.name] if line == 0 else ["", ""]
                    rows.append([*first, *(items[line] if line < len(items) else "" for items in lists)])
                made: dict[str, Any] = {"name": info.name, "type": info.type.name, "depth": depth}
                made |= {"parents" if self._inverse else "children": related}
                records.append(made | ({"dataset_types": types} if self._with_types else {}))
        return Table(columns, rows, records)

    def _lines(self, name: str, depth: int) -> Iterator[tuple[int, Any, list[str]]]:
        info = self._butler.collections.get_info(name, include_summary=self._with_types)
        related = sorted(self._butler.registry.getCollectionParentChains(name)) if self._inverse else info.children
        yield depth, info, list(related)
        for other in related if self._tree else ():
            yield from self._lines(other, depth + 1)

    def _types(self, info: Any) -> list[str]:
        if not self._with_types or (self._tree and info.type.name == "CHAINED"):
            return []
        held = sorted(info.dataset_types or ())
        return [name for name in held if not any(fnmatch.fnmatchcase(name, glob) for glob in self._excluded)]


@command("butler query-dataset-types REPO\nbutler query-dataset-types REPO 'raw*' -v --collections LSSTCam/raw/all")
@repo_argument
@globs("patterns", "GLOB")
@click.option("-v", "--verbose", is_flag=True, help="Show dimensions and storage classes.")
@collections_option
@format_option
def query_dataset_types(
    repo: str, patterns: tuple[str, ...], verbose: bool, collections: tuple[str, ...], form: str
) -> None:
    """List the dataset types that match names or globs; all by default, or those that `--collections` may hold."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        found = butler.registry.queryDatasetTypes(split_commas(patterns) or ...)
        if collections:
            held = {
                dataset_type.name
                for name in butler.collections.query(split_commas(collections), flatten_chains=True)
                for dataset_type in butler.registry.getCollectionSummary(name).dataset_types
            }
            found = [dataset_type for dataset_type in found if dataset_type.name in held]
        found = sorted(found, key=lambda dataset_type: dataset_type.name)
        if verbose:
            table = Table(
                ["name", "dimensions", "storage class"],
                [[t.name, ", ".join(t.dimensions.names), t.storageClass_name] for t in found],
                [
                    {
                        "name": t.name,
                        "dimensions": list(t.dimensions.names),
                        "storage_class": t.storageClass_name,
                        "is_calibration": t.isCalibration(),
                    }
                    for t in found
                ],
            )
        else:
            table = Table(["name"], [[t.name] for t in found])
        if found or form != "table":
            write_tables([table], form)
        else:
            say_that_none_matches(butler, patterns, collections)


def say_that_none_matches(butler: Butler, patterns: tuple[str, ...], collections: tuple[str, ...] = ()) -> None:
    """Say on standard error that no dataset type has such a name, and which name is the nearest."""
    known = [dataset_type.name for dataset_type in butler.registry.queryDatasetTypes(...)]
    place = " in " + ", ".join(f"`{name}`" for name in split_commas(collections)) if collections else ""
    for pattern in split_commas(patterns) or ["*"]:
        ending = "" if pattern in known else did_you_mean(pattern, known)
        click.echo(f"no dataset type matches `{pattern}`{place}{ending}", err=True)


def terms(order_by: tuple[str, ...]) -> list[str] | None:
    """Give the terms to sort by, or None."""
    return split_commas(order_by) or None


@command(
    "butler query-datasets REPO raw --collections LSSTCam/raw/all --where \"instrument='LSSTCam' AND exposure > 100\"\n"
    "butler query-datasets REPO 'calexp*' --collections u/me/run --find-first --show-uri\n"
    "butler query-datasets REPO raw --collections LSSTCam/raw/all --limit 0 --format parquet > raws.parquet"
)
@repo_argument
@globs("patterns", "DATASET TYPE")
@query_options()
@find_first_option()
@click.option("--show-uri", is_flag=True, help="Show where the files are.")
@explain_option
@format_option
def query_datasets(
    repo: str,
    patterns: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    find_first: bool,
    show_uri: bool,
    explain: bool,
    form: str,
) -> None:
    """List datasets, a table for each dataset type."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        path = split_commas(collections) or "*"
        for name in split_commas(patterns):
            if not any(character in name for character in "*?["):
                butler.get_dataset_type(name)  # an unknown name is a mistake, a glob that finds nothing is an answer
        types = butler.registry.queryDatasetTypes(split_commas(patterns) or ...)
        if explain:
            for dataset_type in sorted(types, key=lambda found: found.name):
                write_funnel(
                    butler.registry.queryDatasets(
                        dataset_type.name, collections=path, where=where, findFirst=find_first
                    ),
                    form,
                )
            return
        names = sorted(found.name for found in types)
        found = datasets_by_type(
            butler, names, path, limit, where=where, order_by=terms(order_by), find_first=find_first
        )
        tables = [dataset_table(butler, refs, show_uri=show_uri) for refs in found]
        if tables or form != "table":
            write_tables(tables, form)
        if not tables:
            explain_nothing(butler, [found.name for found in types], patterns, path, where)


def datasets_by_type(
    butler: Butler, types: Iterable[str], collections: Any, limit: int, **options: Any
) -> Iterator[Sequence[Any]]:
    """Give the datasets of one type after the other, none that are empty, up to a limit on all of them together.

    A negative limit says on standard error when there are more; 0 is none.
    """
    options["explain"] = False
    left = abs(limit)
    for name in types:
        if limit == 0:
            refs = butler.query_datasets(name, collections, limit=None, **options)
        else:
            refs = butler.query_datasets(name, collections, limit=left + 1, **options)
            if more := len(refs) > left:
                refs = butler.query_datasets(name, collections, limit=left, **options)
            left -= len(refs)
        if refs:
            yield refs
        if limit and more:
            if limit < 0:
                click.echo(f"there are more than {-limit} datasets; `--limit 0` shows all", err=True)
            return


def dataset_table(butler: Butler, refs: Sequence[Any], *, show_uri: bool = False) -> Table:
    """Give a table of datasets of one type: type, run, id, dimension values and, if asked, where the files are."""
    dimensions = refs[0].datasetType.dimensions
    keys = list(dimensions.required.names)
    if refs[0].dataId.hasFull():
        keys += dimensions.implied.names
    places = butler.get_many_uris(refs, allow_missing=True) if show_uri else {}
    rows = [
        [ref.datasetType.name, ref.run, ref.id, *(ref.dataId[key] for key in keys)]
        + ([_place(places.get(ref))] if show_uri else [])
        for ref in refs
    ]
    columns = ["type", "run", "id", *keys, *(["URI"] if show_uri else [])]
    return Table(columns, rows, to_arrow=_dataset_columns(refs, rows, with_uri=show_uri))


def _dataset_columns(refs: Any, rows: list[list[Any]], *, with_uri: bool) -> Any:
    """A function that gives the datasets of a query as Arrow columns; None for a plain list."""

    def to_arrow() -> Any:
        import pyarrow as pa

        found = refs.to_arrow()
        return found.append_column("uri", pa.array([row[-1] for row in rows])) if with_uri else found

    return to_arrow if hasattr(refs, "to_arrow") else None


def _place(uris: Any) -> str:
    """The URI of a dataset, those of its components, or nothing for one that has no file."""
    if uris is None:
        return ""
    if uris.primaryURI is not None:
        return str(uris.primaryURI)
    return " ".join(str(uri) for _, uri in sorted(uris.componentURIs.items()))


def explain_nothing(butler: Butler, types: list[str], patterns: tuple[str, ...], path: Any, where: str) -> None:
    """Say on standard error why nothing was found."""
    if not types:
        say_that_none_matches(butler, patterns)
        return
    for name in types[:3]:
        results = butler.registry.queryDatasets(name, collections=path, where=where)
        for reason in results.explain_no_results():
            click.echo(f"no `{name}`: {reason}", err=True)


def write_funnel(results: Any, form: str) -> None:
    """Show what each condition and search leaves, and on standard error why there is nothing at last."""
    write_tables([Table(["rows", "left by"], [[count, text] for text, count in results.explain()])], form)
    for reason in results.explain_no_results():
        click.echo(reason, err=True)


def fetch(results: Any, order_by: tuple[str, ...], limit: int, offset: int, what: str) -> tuple[list[Any], Any]:
    """Sort, cut and fetch; say on standard error when rows are left out, or why there are none.

    Gives the rows, and a function that gives them as Arrow columns.
    """
    if order_by:
        results = results.order_by(*split_commas(order_by))
    # One row more than asked for tells whether there are more.
    limited = results.limit(abs(limit) + (limit < 0) if limit else None, offset)
    found = list(limited)
    if limit < 0 and len(found) > -limit:
        found.pop()
        click.echo(f"there are more than {-limit} {what}; `--limit 0` shows all", err=True)
    if not found:
        for reason in results.explain_no_results():
            click.echo(f"no {what}: {reason}", err=True)
    return found, lambda: limited.to_arrow().slice(0, len(found))


dimension_options = combined(
    query_options(),
    click.option("--datasets", multiple=True, metavar="NAMES", help="Only those of existing datasets of these types."),
    click.option("--offset", type=int, default=0, help="Rows to leave out first."),
    explain_option,
)


@command(
    "butler query-data-ids REPO visit detector --where \"instrument='LSSTCam' AND band='r'\"\n"
    "butler query-data-ids REPO exposure --datasets raw --collections LSSTCam/raw/all --format csv"
)
@repo_argument
@globs("dimensions", "DIMENSION")
@dimension_options
@format_option
def query_data_ids(
    repo: str,
    dimensions: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    datasets: tuple[str, ...],
    offset: int,
    explain: bool,
    form: str,
) -> None:
    """List data IDs for DIMENSIONS, or for those of the `--datasets` if none are given."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        asked: Any = split_commas(dimensions)
        if not asked:
            asked = {name for item in split_commas(datasets) for name in butler.get_dataset_type(item).dimensions.names}
        if not asked:
            click.echo("a data ID without dimensions has no values: give DIMENSIONS or `--datasets`", err=True)
            return
        results = butler.registry.queryDataIds(
            asked,
            where=where,
            datasets=split_commas(datasets) or None,
            collections=(split_commas(collections) or "*") if datasets else None,
        )
        if explain:
            write_funnel(results, form)
            return
        found, to_arrow = fetch(results, order_by, limit, offset, "data IDs")
        if not found and form == "table":
            return
        group = butler.dimensions.conform(asked)
        keys = [*group.required.names, *group.implied.names]
        rows = [[data_id[key] for key in keys] for data_id in found]
        write_tables([Table(keys, rows, to_arrow=to_arrow)], form)


@command(
    "butler query-dimension-records REPO detector --where \"instrument='LSSTCam' AND detector < 9\"\n"
    "butler query-dimension-records REPO exposure --order-by=-timespan.begin --limit 10 --format json"
)
@repo_argument
@click.argument("element", shell_complete=complete_dimensions)
@dimension_options
@click.option("--no-check", is_flag=True, help="Kept for compatibility; has no effect.")
@format_option
def query_dimension_records(
    repo: str,
    element: str,
    collections: tuple[str, ...],
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    datasets: tuple[str, ...],
    offset: int,
    explain: bool,
    no_check: bool,
    form: str,
) -> None:
    """List the records of a dimension ELEMENT."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        results = butler.registry.queryDimensionRecords(
            element,
            where=where,
            datasets=split_commas(datasets) or None,
            collections=(split_commas(collections) or "*") if datasets else None,
        )
        if explain:
            write_funnel(results, form)
            return
        found, to_arrow = fetch(results, order_by, limit, offset, f"`{element}` records")
        if not found and form == "table":
            return
        values = [item.toDict() for item in found]
        columns = list(values[0]) if values else []
        write_tables(
            [
                Table(
                    ["timespan (TAI)" if name == "timespan" else name for name in columns],
                    [[short(value) for value in row.values()] for row in values],
                    [record(row.items()) for row in values] if form != "table" else None,
                    to_arrow,
                )
            ],
            form,
        )


def short(value: Any) -> Any:
    """Show a region by its type only."""
    return type(value).__name__ if hasattr(value, "encode") and not isinstance(value, str) else value
