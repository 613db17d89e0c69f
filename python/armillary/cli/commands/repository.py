"""Commands for whole repositories."""

from __future__ import annotations

from typing import Any

import click

from armillary.cli.options import repo_argument

__all__ = ["create", "import_"]


@click.command()
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


@click.command(name="import")
@repo_argument
@click.argument("directory")
@click.option("--export-file", metavar="FILE", help="The export to read, if not `export.yaml` in DIRECTORY.")
@click.option("-t", "--transfer", default="auto", show_default=True, help="How files get into the repository.")
@click.option("-s", "--skip-dimensions", multiple=True, metavar="NAME", help="Dimensions whose records are left out.")
def import_(
    repo: str, directory: str, export_file: str | None, transfer: str, skip_dimensions: tuple[str, ...]
) -> None:
    """Take in the datasets and records that an export in DIRECTORY holds."""
    from armillary.butler import Butler

    options: dict[str, Any] = {"transfer": transfer, "skip_dimensions": set(skip_dimensions)}
    with Butler(repo, writeable=True) as butler:
        butler.import_(directory=directory, filename=export_file, **options)
