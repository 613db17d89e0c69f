"""Commands that ask and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from armillary.cli.options import globs, query_options, repo_argument, split_commas
from armillary.cli.output import print_table

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["query_collections", "query_data_ids", "query_dataset_types", "query_datasets", "query_dimension_records"]


@click.command()
@repo_argument
@globs("patterns", "GLOB")
@click.option("--collection-type", "types", multiple=True, help="Only RUN, TAGGED, CHAINED or CALIBRATION collections.")
@click.option(
    "--chains",
    type=click.Choice(["tree", "table", "flatten", "no-children"], case_sensitive=False),
    default="tree",
    show_default=True,
    help="How to show the children of chains.",
)
def query_collections(repo: str, patterns: tuple[str, ...], types: tuple[str, ...], chains: str) -> None:
    """List the collections that match names or globs; all by default."""
    from armillary.butler import Butler, CollectionType

    with Butler(repo) as butler:
        kinds = CollectionType.from_names(split_commas(types))
        names = butler.collections.query(split_commas(patterns) or "*", kinds, flatten_chains=chains == "flatten")
        rows: list[list[Any]] = []
        for name in names:
            rows.extend(tree(butler, name, 0) if chains == "tree" else flat(butler, name, chains == "table"))
        print_table(["Name", "Type"] + (["Children"] if chains == "table" else []), rows)


def tree(butler: Butler, name: str, depth: int) -> Iterator[list[Any]]:
    """Give rows for a collection and, indented, its children."""
    info = butler.collections.get_info(name)
    yield ["  " * depth + name, info.type.name]
    for child in info.children:
        yield from tree(butler, child, depth + 1)


def flat(butler: Butler, name: str, with_children: bool) -> Iterator[list[Any]]:
    """Give one row for a collection."""
    info = butler.collections.get_info(name)
    yield [name, info.type.name] + ([", ".join(info.children)] if with_children else [])


@click.command()
@repo_argument
@globs("patterns", "GLOB")
@click.option("-v", "--verbose", is_flag=True, help="Show dimensions and storage classes.")
@click.option("--collections", multiple=True, metavar="NAMES", help="Only types that these collections may hold.")
def query_dataset_types(repo: str, patterns: tuple[str, ...], verbose: bool, collections: tuple[str, ...]) -> None:
    """List the dataset types that match names or globs; all by default."""
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
            rows = [[t.name, ", ".join(t.dimensions.names), t.storageClass_name] for t in found]
            print_table(["name", "dimensions", "storage class"], rows)
        else:
            print_table(["name"], [[t.name] for t in found])


def terms(order_by: tuple[str, ...]) -> list[str] | None:
    """Give the terms to sort by, or None."""
    return split_commas(order_by) or None


def most(limit: int) -> int | None:
    """Give the limit as queries take it: 0 on the command line means all."""
    return None if limit == 0 else limit


@click.command()
@repo_argument
@globs("patterns", "DATASET TYPE")
@query_options()
@click.option(
    "--find-first/--no-find-first",
    default=False,
    help="Only the first of each data ID; needs collections without globs.",
)
@click.option("--show-uri", is_flag=True, help="Show where the files are.")
def query_datasets(
    repo: str,
    patterns: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    find_first: bool,
    show_uri: bool,
) -> None:
    """List datasets, a table for each dataset type."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        path = split_commas(collections) or "*"
        for name in split_commas(patterns):
            if not any(character in name for character in "*?["):
                butler.get_dataset_type(name)  # an unknown name is a mistake, a glob that finds nothing is an answer
        types = butler.registry.queryDatasetTypes(split_commas(patterns) or ...)
        shown = 0
        for dataset_type in sorted(types, key=lambda found: found.name):
            refs = butler.query_datasets(
                dataset_type.name,
                path,
                where=where,
                order_by=terms(order_by),
                limit=most(limit),
                find_first=find_first,
                explain=False,
            )
            if not refs:
                continue
            keys = list(dataset_type.dimensions.required.names)
            columns = ["type", "run", "id", *keys] + (["URI"] if show_uri else [])
            rows = [
                [dataset_type.name, ref.run, ref.id, *(ref.dataId[key] for key in keys)]
                + ([butler.getURI(ref)] if show_uri else [])
                for ref in refs
            ]
            if shown:
                click.echo()
            print_table(columns, rows)
            shown += len(rows)
        if not shown:
            explain_nothing(butler, [found.name for found in types], patterns, path, where)


def explain_nothing(butler: Butler, types: list[str], patterns: tuple[str, ...], path: Any, where: str) -> None:
    """Say on standard error why nothing was found."""
    if not types:
        for pattern in split_commas(patterns):
            click.echo(f"no dataset type matches `{pattern}`", err=True)
        return
    for name in types[:3]:
        results = butler.registry.queryDatasets(name, collections=path, where=where)
        for reason in results.explain_no_results():
            click.echo(f"no `{name}`: {reason}", err=True)


def fetch(results: Any, order_by: tuple[str, ...], limit: int, offset: int, what: str) -> list[Any]:
    """Sort, cut and fetch; say on standard error when rows are left out, or why there are none."""
    if order_by:
        results = results.order_by(*split_commas(order_by))
    # One row more than asked for tells whether there are more.
    found = list(results.limit(abs(limit) + (limit < 0) if limit else None, offset))
    if limit < 0 and len(found) > -limit:
        found.pop()
        click.echo(f"there are more than {-limit} {what}; `--limit 0` shows all", err=True)
    if not found:
        for reason in results.explain_no_results():
            click.echo(f"no {what}: {reason}", err=True)
    return found


@click.command()
@repo_argument
@click.argument("dimensions", nargs=-1, required=True)
@query_options()
@click.option("--datasets", multiple=True, metavar="NAMES", help="Only data IDs of existing datasets of these types.")
@click.option("--offset", type=int, default=0, help="Rows to leave out first.")
def query_data_ids(
    repo: str,
    dimensions: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    datasets: tuple[str, ...],
    offset: int,
) -> None:
    """List data IDs for DIMENSIONS."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        results = butler.registry.queryDataIds(
            split_commas(dimensions),
            where=where,
            datasets=split_commas(datasets) or None,
            collections=(split_commas(collections) or "*") if datasets else None,
        )
        found = fetch(results, order_by, limit, offset, "data IDs")
        if not found:
            return
        keys = list(found[0].dimensions.required.names) + list(found[0].dimensions.implied.names)
        print_table(keys, ([data_id[key] for key in keys] for data_id in found))


@click.command()
@repo_argument
@click.argument("element")
@query_options()
@click.option("--datasets", multiple=True, metavar="NAMES", help="Only records of existing datasets of these types.")
@click.option("--offset", type=int, default=0, help="Rows to leave out first.")
@click.option("--no-check", is_flag=True, help="Kept for compatibility; has no effect.")
def query_dimension_records(
    repo: str,
    element: str,
    collections: tuple[str, ...],
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    datasets: tuple[str, ...],
    offset: int,
    no_check: bool,
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
        found = fetch(results, order_by, limit, offset, f"`{element}` records")
        if not found:
            return
        columns = list(found[0].toDict())
        print_table(columns, ([short(value) for value in record.toDict().values()] for record in found))


def short(value: Any) -> Any:
    """Show a region by its type only."""
    return type(value).__name__ if hasattr(value, "encode") and not isinstance(value, str) else value
