"""Commands for looking into a repository: one dataset, one dataset type, what is there, how much space it takes."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import click

from armillary._words import counted
from armillary.cli.command import command
from armillary.cli.commands.queries import (
    dataset_table,
    datasets_by_type,
    say_that_no_collection_matches,
    say_that_none_matches,
)
from armillary.cli.completion import dataset_types as complete_dataset_types
from armillary.cli.options import collections_option, globs, limit_option, repo_argument, split_commas, where_option
from armillary.cli.output import Table, format_option, write_tables
from armillary.cli.progress import track

__all__ = ["describe", "du", "get", "ls", "show"]

SHOWN_ROWS = 20
"""Rows of a table that `show` prints, unless told otherwise."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def key_values(words: Iterable[str]) -> dict[str, Any]:
    """Read `visit=10`, `band=r`; whole numbers are numbers.

    Raises
    ------
    click.BadParameter
        If one is not `KEY=VALUE`.

    Examples
    --------
    >>> key_values(["visit=10", "instrument=Cam"])
    {'visit': 10, 'instrument': 'Cam'}
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"`{word}` is not KEY=VALUE, such as `visit=10`")
        value = value.strip().strip("'\"")
        found[key.strip()] = int(value) if value.removeprefix("-").isdecimal() else value
    return found


def _find(butler: Any, what: str, words: tuple[str, ...], collections: tuple[str, ...]) -> Any:
    """The dataset that a UUID, or a dataset type and a data ID, name."""
    from armillary.errors import DatasetNotFoundError

    try:
        dataset_id = uuid.UUID(what)
    except ValueError:
        searched = split_commas(collections)
        if not searched:
            raise click.UsageError("give `--collections NAMES`: where to search; or a dataset's UUID") from None
        data_id = key_values(words)
        ref = butler.find_dataset(what, data_id, collections=searched)
        if ref is None:
            told = ", ".join(f"{key}={value}" for key, value in data_id.items()) or "no data ID"
            raise DatasetNotFoundError(
                f"there is no `{what}` with {told} in {', '.join(f'`{name}`' for name in searched)}"
            ) from None
        return ref
    ref = butler.get_dataset(dataset_id)
    if ref is None:
        raise DatasetNotFoundError(f"no dataset has the id `{dataset_id}`")
    return ref


@command(
    "butler show REPO metrics instrument=Cam visit=10 detector=1 --collections u/me\n"
    "butler show REPO 019c2f6e-9a1b-7c5d-8e2f-0123456789ab --rows 100"
)
@repo_argument
@click.argument("what", metavar="TYPE|UUID", shell_complete=complete_dataset_types)
@click.argument("data_id", nargs=-1, metavar="[KEY=VALUE]...")
@collections_option
@click.option("--component", metavar="NAME", help="Read only this component.")
@click.option("--rows", type=int, default=SHOWN_ROWS, show_default=True, help="Rows of a table to show; 0 for all.")
def show(
    repo: str, what: str, data_id: tuple[str, ...], collections: tuple[str, ...], component: str | None, rows: int
) -> None:
    """Read a dataset and print what it holds: text, numbers, the first rows of a table, the statistics of an image."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        ref = _find(butler, what, data_id, collections)
        held = butler.get(ref if component is None else ref.makeComponentRef(component))
    click.echo(f"# {ref}", err=True)
    _print_object(held, rows)


def _print_object(held: Any, rows: int) -> None:
    if hasattr(held, "cards"):  # a FITS header, whose text has no line breaks
        click.echo(repr(held))
        return
    if isinstance(held, dict | list):
        from armillary import _yaml

        try:
            click.echo(_yaml.dump(held), nl=False)
        except Exception:  # not plain values
            click.echo(str(held))
        return
    columns = _columns(held)
    if columns is not None:
        names = list(columns)
        number = len(next(iter(columns.values()))) if columns else 0
        kept = range(number if rows == 0 else min(rows, number))
        write_tables([Table(names, [[columns[name][i] for name in names] for i in kept])])
        if len(kept) < number:
            click.echo(f"{counted(number - len(kept), 'more row')}; `--rows 0` shows all", err=True)
        return
    array = getattr(held, "array", getattr(held, "image", held))
    if hasattr(array, "dtype") and hasattr(array, "shape") and array.dtype.names is None and array.size:
        _print_pixels(held, array)
        return
    click.echo(str(held))


def _print_pixels(held: Any, array: Any) -> None:
    """Print the size and the statistics of an array; of an image with a mask, those of what is not flagged."""
    import numpy as np

    click.echo(f"{type(held).__name__} of {' x '.join(map(str, array.shape))} {array.dtype}")
    mask = getattr(held, "mask", None)
    flagged = isinstance(mask, np.ndarray) and mask.shape == array.shape and mask.dtype.kind in "iu"
    values = array[mask == 0] if flagged else array
    if np.issubdtype(array.dtype, np.number) and values.size and not np.isnan(values).all():
        low, middle, high = (function(values) for function in (np.nanmin, np.nanmedian, np.nanmax))
        click.echo(f"least {low:g}, median {middle:g}, greatest {high:g}, mean {np.nanmean(values):g}")
    if flagged:
        planes = getattr(held, "mask_planes", {})
        told = [f"{name} {int(np.count_nonzero(mask & (1 << bit)))}" for name, bit in planes.items()]
        number = array.size - values.size
        pixels = f"{counted(number, 'pixel')} {'is' if number == 1 else 'are'} flagged"
        click.echo(f"{pixels}{' and left out' if number else ''}: {', '.join(told) or 'no planes'}")


def _columns(held: Any) -> dict[str, list[Any]] | None:
    """The columns of a table of any kind, as lists; None for anything else."""
    names = getattr(held, "column_names", None) or getattr(held, "colnames", None)
    if names is None and hasattr(held, "dtype"):
        names = getattr(held.dtype, "names", None)
    if names is None and hasattr(held, "iloc"):
        names = list(held.columns)
    if names is None:
        return None
    return {str(name): [*getattr(held[name], "tolist", getattr(held[name], "to_pylist", list))()] for name in names}


@command(
    "butler get REPO calexp instrument=Cam visit=10 detector=1 --collections u/me/run -o calexp.fits\n"
    "butler get REPO metrics instrument=Cam visit=10 detector=1 --collections u/me -o - | head"
)
@repo_argument
@click.argument("what", metavar="TYPE|UUID", shell_complete=complete_dataset_types)
@click.argument("data_id", nargs=-1, metavar="[KEY=VALUE]...")
@collections_option
@click.option(
    "-o", "--output", default=".", metavar="PATH", help="File or directory to write to; `-` for standard output."
)
@click.option("--clobber/--no-clobber", default=False, help="Replace a file that is there.")
def get(
    repo: str, what: str, data_id: tuple[str, ...], collections: tuple[str, ...], output: str, clobber: bool
) -> None:
    """Copy the file of a dataset out, and print where it is."""
    from armillary.butler import Butler

    with Butler(repo) as butler:
        ref = _find(butler, what, data_id, collections)
        uris = butler.getURIs(ref)
        sources = {"": uris.primaryURI} if uris.primaryURI is not None else dict(uris.componentURIs)
        if len(sources) > 1 and (output == "-" or not Path(output).is_dir()):
            raise click.UsageError(
                f"the dataset has a file for each of {', '.join(sorted(sources))}: `--output` must be a directory"
            )
        for source in sources.values():
            name = _file_name(source)
            target = Path(output, name) if Path(output).is_dir() else Path(output)
            if output != "-" and target.exists() and not clobber:
                raise FileExistsError(f"`{target}` is there already; `--clobber` replaces it")
            with _own_file(butler, ref, source, name) as local:
                if output == "-":
                    sys.stdout.buffer.write(Path(local).read_bytes())
                    continue
                _copy(local, target)
            click.echo(str(target))


def _file_name(source: Any) -> str:
    """What a dataset's file is called; in a zip file it is a member."""
    member = source.fragment.partition("zip-path=")[2]
    return str(source.basename()) if not member else unquote(member).rpartition("/")[2]


@contextmanager
def _own_file(butler: Any, ref: Any, source: Any, name: str) -> Iterator[str]:
    """Give a path of this machine at which a dataset's file is, taken out of a zip file or fetched if need be."""
    if "zip-path=" not in source.fragment:
        with source.as_local() as local:
            yield local.ospath
        return
    with TemporaryDirectory() as folder:
        butler.retrieveArtifacts([ref], folder, transfer="copy", preserve_path=False)
        yield str(Path(folder, name))


def _copy(source: str, target: Path) -> None:
    """Copy a file whole or not at all."""
    import os
    import shutil

    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@command("butler describe REPO calexp\nbutler describe REPO calexp --format json")
@repo_argument
@click.argument("name", metavar="TYPE", shell_complete=complete_dataset_types)
@format_option
def describe(repo: str, name: str, form: str) -> None:
    """Tell all about a dataset type: dimensions, storage, components, and which runs have how many of it."""
    from armillary.butler import Butler, CollectionType
    from armillary.storage.storage_class import find_storage_class

    with Butler(repo) as butler:
        found = butler.get_dataset_type(name)
        storage_class = find_storage_class(str(found.storageClass_name))
        facts = {
            "dataset type": found.name,
            "dimensions": list(found.dimensions.required.names),
            "implied dimensions": list(found.dimensions.implied.names),
            "calibration": found.isCalibration(),
            "storage class": storage_class.name,
            "Python type": storage_class.pytype_name,
            "components": sorted(storage_class.allComponents()),
            "parameters": sorted(storage_class.knownParameters()),
        }
        counts = []
        for run in butler.collections.query("*", CollectionType.RUN):
            if found.name in (butler.collections.get_info(run, include_summary=True).dataset_types or ()):
                number = butler.registry.queryDatasets(found.name, collections=[run]).count()
                counts.append([run, number])
    if form == "table":
        for key, value in facts.items():
            if isinstance(value, list):
                value = ", ".join(value) or "none"
            elif isinstance(value, bool):
                value = "yes" if value else "no"
            click.echo(f"{key + ':':<20}{value}")
        if counts:
            click.echo()
    made = [{**facts, "run": run, "datasets": number} for run, number in counts] or [dict(facts)]
    records = [{key.lower().replace(" ", "_"): value for key, value in item.items()} for item in made]
    if counts or form != "table":
        write_tables([Table(["run", "datasets"], counts, records)], form)


@command(
    "butler ls REPO instrument=Cam visit=10\n"
    "butler ls REPO visit=10 instrument=Cam --type 'calexp*' --collections u/me/run --format json"
)
@repo_argument
@click.argument("data_id", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--type", "types", multiple=True, metavar="GLOB", help="Dataset types.", shell_complete=complete_dataset_types
)
@collections_option
@where_option
@click.option("--show-uri", is_flag=True, help="Show where the files are.")
@limit_option(-20000)
@format_option
def ls(
    repo: str,
    data_id: tuple[str, ...],
    types: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    show_uri: bool,
    limit: int,
    form: str,
) -> None:
    """List every dataset, of all types, that has the values KEY=VALUE."""
    from armillary.butler import Butler

    values = key_values(data_id)
    with Butler(repo) as butler:
        path = split_commas(collections) or "*"
        for key in values:
            butler.dimensions[key]  # says at once if it is unknown
        held = _types_held(butler, path, split_commas(types))
        names = (found.name for found in held if set(values) <= set(found.dimensions.names))
        found = datasets_by_type(butler, names, path, limit, data_id=values, where=where, find_first=False)
        tables = [dataset_table(butler, refs, show_uri=show_uri) for refs in found]
        if tables or form != "table":
            write_tables(tables, form)
        if not tables:
            _say_why_nothing(butler, types, values)


def _say_why_nothing(butler: Any, types: tuple[str, ...], values: dict[str, Any]) -> None:
    """Say on standard error why `ls` found no dataset."""
    if types and not list(butler.registry.queryDatasetTypes(split_commas(types))):
        say_that_none_matches(butler, types)
        return
    click.echo("nothing has these values", err=True)
    results = butler.registry.queryDataIds(list(values), dataId=values)
    for reason in results.explain_no_results() if values and not results.any() else ():
        click.echo(reason, err=True)


def _types_held(butler: Any, collections: Any, types: list[str]) -> Iterator[Any]:
    """Dataset types that collections may hold, by name."""
    held: set[str] = set()
    for name in butler.collections.query(collections, flatten_chains=True):
        held |= butler.collections.get_info(name, include_summary=True).dataset_types or set()
    for found in sorted(butler.registry.queryDatasetTypes(types or ...), key=lambda found: found.name):
        if found.name in held:
            yield found


@command("butler du REPO\nbutler du REPO 'u/*' --by type")
@repo_argument
@globs("patterns", "COLLECTION GLOB")
@click.option(
    "--by",
    type=click.Choice(["run", "type", "both"]),
    default="run",
    show_default=True,
    help="Add up by run, by dataset type, or by both.",
)
@format_option
def du(repo: str, patterns: tuple[str, ...], by: str, form: str) -> None:
    """Tell how much space the files of runs take; a file with several datasets counts once."""
    from armillary.butler import Butler

    sums: dict[tuple[str, str], list[int]] = {}
    seen: set[str] = set()
    with Butler(repo) as butler:
        runs = [
            name
            for name in butler.collections.query(split_commas(patterns) or "*", flatten_chains=True)
            if butler.collections.get_info(name).type.name == "RUN"
        ]
        if not runs:
            say_that_no_collection_matches(butler, patterns, "run")
        for run in track(runs, "adding up"):
            refs = {ref.id: ref for ref in butler.query_all_datasets([run], find_first=False, limit=None)}
            for record in butler._datastore.records(butler._core_registry, list(refs)):
                kind = refs[record.dataset_id].datasetType.name
                key = ("" if by == "type" else run, "" if by == "run" else kind)
                total = sums.setdefault(key, [0, 0])
                file = record.path.partition("#")[0]  # the part of a zip file that holds the dataset comes after it
                if file not in seen:
                    seen.add(file)
                    total[0] += 1
                    total[1] += max(record.file_size, 0)
    if sums or form != "table":
        _write_sums(sums, by, form)


def _write_sums(sums: dict[tuple[str, str], list[int]], by: str, form: str) -> None:
    named = [name for name in ("run", "type") if by in (name, "both")]
    rows: list[list[Any]] = []
    records: list[dict[str, Any]] = []
    for (run, kind), (files, size) in sorted(sums.items(), key=lambda item: -item[1][1]):
        values = {"run": run, "type": kind}
        names = [values[name] for name in named]
        rows.append([*names, files, human_size(size)])
        records.append(dict(zip(named, names, strict=True)) | {"files": files, "bytes": size})
    if form == "table" and len(rows) > 1:
        files, size = (sum(total[i] for total in sums.values()) for i in (0, 1))
        rows.append([*["total", *[""] * (len(named) - 1)], files, human_size(size)])
    write_tables([Table([*named, "files", "size"], rows, records)], form)


def human_size(size: float) -> str:
    """Give a size in the unit that fits it.

    >>> human_size(999), human_size(12_345_678)
    ('999 B', '12.3 MB')
    """
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
