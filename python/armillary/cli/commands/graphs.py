"""Commands that take in what quantum graphs made."""

from __future__ import annotations

import click

__all__ = ["transfer_from_graph"]


@click.command()
@click.argument("graph")
@click.argument("dest")
@click.option("--register-dataset-types", is_flag=True, help="Make new dataset types known.")
@click.option("--update-output-chain", is_flag=True, help="Put the run into the graph's output chain.")
@click.option("--dry-run", is_flag=True, help="Only count.")
def transfer_from_graph(
    graph: str, dest: str, register_dataset_types: bool, update_output_chain: bool, dry_run: bool
) -> None:
    """Register the outputs of the quantum graph GRAPH, which `pipetask run-qbb` wrote, in the repository DEST."""
    from armillary.butler import Butler
    from armillary.pipeline.execution import transfer_from_graph as transfer

    with Butler(dest, writeable=True) as butler:
        number = transfer(
            graph,
            butler,
            register_dataset_types=register_dataset_types,
            update_output_chain=update_output_chain,
            dry_run=dry_run,
        )
    click.echo(f"Number of datasets transferred: {number}")
