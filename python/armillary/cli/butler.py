"""The program `butler`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from armillary.cli.lazy import LazyGroup, configure_logging, logging_options, run

__all__ = ["main"]

_HERE = "armillary.cli.commands"

COMMANDS = {
    "create": (f"{_HERE}.repository:create", "Make a new repository."),
    "init": (f"{_HERE}.instruments:init", "Make a repository for the camera of a folder of frames."),
    "config-dump": (f"{_HERE}.repository:config_dump", "Write a repository's configuration out."),
    "config-validate": (f"{_HERE}.repository:config_validate", "Check templates and formatters of dataset types."),
    "fsck": (f"{_HERE}.repository:fsck", "Compare the files of a repository with its records."),
    "register-instrument": (f"{_HERE}.instruments:register_instrument", "Make instruments known."),
    "ingest-raws": (f"{_HERE}.instruments:ingest_raws", "Take raw frames in."),
    "define-visits": (f"{_HERE}.instruments:define_visits", "Define visits from exposures."),
    "write-curated-calibrations": (
        f"{_HERE}.instruments:write_curated_calibrations",
        "Take calibrations that were made by hand in.",
    ),
    "update-dimension-regions": (f"{_HERE}.instruments:update_dimension_regions", "Compute regions of visits anew."),
    "update-exposures-from-raws": (
        f"{_HERE}.instruments:update_exposures_from_raws",
        "Read the headers of raw frames again.",
    ),
    "register-skymap": (f"{_HERE}.sky_maps:register_skymap", "Make a sky map with its tracts and patches known."),
    "make-discrete-skymap": (f"{_HERE}.sky_maps:make_discrete_skymap", "Make a sky map around exposures."),
    "register-dcr-subfilters": (f"{_HERE}.sky_maps:register_dcr_subfilters", "Make subfilters of bands known."),
    "register-dataset-type": (f"{_HERE}.datasets:register_dataset_type", "Make a dataset type known."),
    "remove-dataset-type": (f"{_HERE}.datasets:remove_dataset_type", "Remove dataset types that have no datasets."),
    "certify-calibrations": (f"{_HERE}.datasets:certify_calibrations", "Declare calibrations valid for a time."),
    "associate": (f"{_HERE}.datasets:associate", "Put datasets into a TAGGED collection."),
    "collection-chain": (f"{_HERE}.collections:collection_chain", "Make or change a chain of collections."),
    "remove-collections": (f"{_HERE}.collections:remove_collections", "Remove collections that are not runs."),
    "undo": (f"{_HERE}.collections:undo", "Undo the last edit of a collection."),
    "remove-runs": (f"{_HERE}.collections:remove_runs", "Remove runs with their datasets and files."),
    "query-collections": (f"{_HERE}.queries:query_collections", "List collections."),
    "query-dataset-types": (f"{_HERE}.queries:query_dataset_types", "List dataset types."),
    "query-datasets": (f"{_HERE}.queries:query_datasets", "List datasets."),
    "query-data-ids": (f"{_HERE}.queries:query_data_ids", "List data IDs."),
    "query-dimension-records": (f"{_HERE}.queries:query_dimension_records", "List dimension records."),
    "ls": (f"{_HERE}.looking:ls", "List every dataset that has given values."),
    "show": (f"{_HERE}.looking:show", "Print what a dataset holds."),
    "get": (f"{_HERE}.looking:get", "Copy the file of a dataset out."),
    "describe": (f"{_HERE}.looking:describe", "Tell all about a dataset type."),
    "du": (f"{_HERE}.looking:du", "Tell how much space files take."),
    "prune-datasets": (f"{_HERE}.datasets:prune_datasets", "Remove datasets or their files."),
    "retrieve-artifacts": (f"{_HERE}.datasets:retrieve_artifacts", "Copy files of datasets out."),
    "ingest-files": (f"{_HERE}.moving:ingest_files", "Take in the files that a table lists."),
    "ingest-zip": (f"{_HERE}.moving:ingest_zip", "Take in a zip file of datasets."),
    "import": (f"{_HERE}.moving:import_", "Take in what an export holds."),
    "export-calibs": (f"{_HERE}.moving:export_calibs", "Export calibrations with their validity ranges."),
    "transfer-datasets": (f"{_HERE}.moving:transfer_datasets", "Copy datasets to another repository."),
    "transfer-from-graph": (
        f"{_HERE}.graphs:transfer_from_graph",
        "Register the outputs of a quantum graph that was run without a registry.",
    ),
    "aggregate-graph": (
        f"{_HERE}.graphs:aggregate_graph",
        "Register what a quantum graph left, and write its provenance graph.",
    ),
    "ingest-graph": (f"{_HERE}.graphs:ingest_graph", "Take a provenance graph in."),
    "provenance-report": (f"{_HERE}.graphs:provenance_report", "Tell what a provenance graph knows of its quanta."),
    "lineage": (f"{_HERE}.graphs:lineage", "Tell what a dataset was made from, or what was made from it."),
    "zip-from-graph": (f"{_HERE}.graphs:zip_from_graph", "Put what a quantum graph wrote into one zip file."),
    "retrieve-artifacts-for-quanta": (
        f"{_HERE}.graphs:retrieve_artifacts_for_quanta",
        "Copy the files of the inputs and outputs of quanta out.",
    ),
}


@click.command(cls=LazyGroup, table=COMMANDS, plugins=True, context_settings={"help_option_names": ["-h", "--help"]})
@logging_options
@click.version_option(package_name="armillary", message="%(version)s")
def cli(**logging: Any) -> None:
    """Find, read, write and move survey data."""
    configure_logging(**logging)


def main(args: Sequence[str] | None = None) -> int:
    """Run `butler` and give its exit code."""
    from armillary.lsst_alias import activate_if_free

    activate_if_free()
    return run(cli, "butler", args)
