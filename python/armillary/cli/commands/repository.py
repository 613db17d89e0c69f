"""Commands for whole repositories."""

from __future__ import annotations

from typing import IO, Any

import click

from armillary.cli.command import command
from armillary.cli.completion import dataset_types as complete_dataset_types
from armillary.cli.options import repo_argument, split_commas
from armillary.cli.output import Table, format_option, write_tables

__all__ = ["config_dump", "config_validate", "create", "fsck"]


@command("butler create REPO\nbutler create REPO --seed-config postgres.yaml")
@repo_argument
@click.option("--seed-config", metavar="FILE", help="Configuration to start from.")
@click.option("--dimension-config", metavar="FILE", help="Dimension document, if not the current one.")
@click.option("--standalone", is_flag=True, help="Write every default out.")
@click.option("--override", is_flag=True, help="Keep the places that the seed configuration names.")
@click.option("-f", "--outfile", metavar="FILE", help="Where to write the configuration instead.")
def create(
    repo: str,
    seed_config: str | None,
    dimension_config: str | None,
    standalone: bool,
    override: bool,
    outfile: str | None,
) -> None:
    """Make a new repository in the directory REPO."""
    from armillary.butler import Butler

    Butler.makeRepo(
        repo,
        config=seed_config,
        dimensionConfig=dimension_config,
        standalone=standalone,
        forceConfigRoot=not override,
        outfile=outfile,
    )


@command("butler config-dump REPO -s .datastore.root\nbutler config-dump REPO --file full.yaml")
@repo_argument
@click.option("-s", "--subset", metavar="KEY", help="Only this part, such as `datastore` or `.datastore.root`.")
@click.option(
    "-p", "--searchpath", "paths", multiple=True, metavar="DIRECTORY", help="More places for configuration files."
)
@click.option("--file", "outfile", type=click.File("w"), default="-", metavar="FILE", help="Where to write it.")
def config_dump(repo: str, subset: str | None, paths: tuple[str, ...], outfile: IO[str]) -> None:
    """Write the configuration of a repository, defaults included, as YAML."""
    from armillary import _yaml
    from armillary.config import ButlerConfig, Config
    from armillary.repository_config import find_repository

    config = ButlerConfig(Config(find_repository(repo).config_file), searchPaths=split_commas(paths))
    if subset is None:
        outfile.write(_yaml.dump(config.toDict()))
        return
    if subset not in config:
        from armillary._words import did_you_mean

        known = [name for key in config for name in (key, *(f".{key}.{sub}" for sub in _keys(config[key])))]
        raise LookupError(f"the configuration has no `{subset}`{did_you_mean(subset, known)}")
    found = config[subset]
    if hasattr(found, "toDict"):
        outfile.write(_yaml.dump(found.toDict()))
    else:
        outfile.write(f"{subset}: {found}\n")


def _keys(section: Any) -> list[str]:
    return list(section) if hasattr(section, "keys") else []


@command("butler config-validate REPO\nbutler config-validate REPO -d calexp,raw")
@repo_argument
@click.option("-q", "--quiet", is_flag=True, help="Only the exit code tells.")
@click.option(
    "-d",
    "--dataset-type",
    "dataset_types",
    multiple=True,
    metavar="NAMES",
    help="Check only these.",
    shell_complete=complete_dataset_types,
)
@click.option("-i", "--ignore", multiple=True, metavar="NAMES", help="Dataset types to leave out.")
def config_validate(repo: str, quiet: bool, dataset_types: tuple[str, ...], ignore: tuple[str, ...]) -> int:
    """Check that every dataset type has a template and a formatter that work for it; exit code 1 if one has not."""
    from armillary.butler import Butler, ValidationError

    with Butler(repo) as butler:
        names = split_commas(dataset_types)
        try:
            butler.validateConfiguration(
                logFailures=not quiet,
                datasetTypeNames=tuple(names) or None,
                ignore=split_commas(ignore) or None,
            )
        except ValidationError as error:
            if not quiet:
                click.echo(str(error))
            return 1
    click.echo("No problems encountered with configuration.")
    return 0


@command("butler fsck REPO\nbutler fsck REPO --checksums --repair")
@repo_argument
@click.option("--checksums", is_flag=True, help="Read every file whose record has a checksum, and compare.")
@click.option(
    "--repair",
    is_flag=True,
    help="Put files without records aside, into `.armillary/lost`, and finish removals; nothing else is deleted.",
)
@click.option(
    "--older-than",
    type=float,
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="Leave files alone that were changed later than that: somebody may be writing them.",
)
@format_option
def fsck(repo: str, checksums: bool, repair: bool, older_than: float, form: str) -> int:
    """Compare the files of a repository with its records; exit code 1 if something is wrong.

    It finds files that are missing or have another size or content than recorded, files without records, removals and
    writes that were never finished.
    """
    from armillary.butler import Butler
    from armillary.butler.checking import check_repository

    with Butler(repo, writeable=repair) as butler:
        report = check_repository(butler, checksums=checksums, repair=repair, older_than=older_than)
    solved = set(report.solved)
    rows = [
        [item.kind, item.path, "" if item.dataset_id is None else str(item.dataset_id), item.detail, item.datastore]
        + (["yes" if item in solved else "no"] if repair else [])
        for item in report.problems
    ]
    columns = ["problem", "path", "dataset", "detail", "datastore", *(["repaired"] if repair else [])]
    if rows or form != "table":
        write_tables([Table(columns, rows)], form)
    for path, place in report.moved.items():
        click.echo(f"`{path}` is now `{place}`", err=True)
    for path, reason in report.not_moved.items():
        click.echo(f"`{path}` stays where it is: {reason}", err=True)
    for name, reason in report.not_walked.items():
        click.echo(f"files without records were not looked for in `{name}`, which cannot be listed: {reason}", err=True)
    left = len(report.remaining)
    click.echo(
        f"{report.n_datasets} datasets, {report.n_files} files looked at: {left or 'no'} problem{'s' * (left != 1)}"
        + (f", {len(solved)} repaired" if repair else ""),
        err=True,
    )
    return 1 if left else 0
