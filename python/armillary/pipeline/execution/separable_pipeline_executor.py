"""Building and running a pipeline from Python step by step, perhaps in several programs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from armillary.pipeline.execution.initialise import initialise_run
from armillary.pipeline.execution.simple_pipeline_executor import raise_failures
from armillary.pipeline.execution.with_registry import run_graph
from armillary.pipeline.quantum_context import ExecutionResources

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef
    from armillary.pipeline.execution.quantum_graph_executor import QuantumGraphExecutor
    from armillary.pipeline.pipeline import Pipeline

__all__ = ["SeparablePipelineExecutor"]


class SeparablePipelineExecutor:
    """Builds, initialises and runs in steps that may happen in different programs.

    Parameters
    ----------
    butler
        The repository, opened with collections to read and a run to write to.
    clobber_output
        Whether to remove outputs of unfinished quanta.
    skip_existing_in
        Collections in which a quantum's metadata mean that it is done.
    resources
        What a quantum may use.
    raise_on_partial_outputs
        Whether partial outputs are a failure.
    retained_dataset_types
        Dataset types that quanta done before must have left; all by default.
    task_factory
        Makes the tasks, to initialise and to run.

    Examples
    --------
    ::

        executor = SeparablePipelineExecutor(butler)
        pipeline = executor.make_pipeline("survey.yaml")
        graph = executor.build_quantum_graph(pipeline, where="visit = 3")
        executor.pre_execute_qgraph(graph, register_dataset_types=True)
        executor.run_pipeline(graph, num_proc=4)
    """

    def __init__(
        self,
        butler: Butler,
        clobber_output: bool = False,
        skip_existing_in: Iterable[str] | None = None,
        retained_dataset_types: Iterable[str] | None = None,
        task_factory: Any = None,
        resources: ExecutionResources | None = None,
        raise_on_partial_outputs: bool = True,
    ) -> None:
        if butler.run is None:
            raise ValueError("the butler has no run to write to; open it with `run=`")
        self._butler = butler
        self._clobber_output = clobber_output
        self._skip_existing_in = list(skip_existing_in or ())
        self._retained = list(retained_dataset_types or ())
        self._resources = resources
        self._task_factory = task_factory
        self._raise_on_partial_outputs = raise_on_partial_outputs

    def make_pipeline(self, pipeline_uri: Any) -> Pipeline:
        """Read a pipeline file."""
        from armillary.pipeline.pipeline import Pipeline

        return Pipeline.from_uri(pipeline_uri)

    def make_quantum_graph_builder(
        self, pipeline: Pipeline, where: str = "", *, builder_class: Any = None, **options: Any
    ) -> Any:
        """Return the builder of the pipeline's quantum graph."""
        if builder_class is None:
            from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder

            builder_class = AllDimensionsQuantumGraphBuilder
        return builder_class(
            pipeline.to_graph(),
            self._butler,
            where=where,
            input_collections=list(self._butler.collections.defaults),
            output_run=self._butler.run,
            skip_existing_in=self._skip_existing_in,
            retained_dataset_types=self._retained,
            clobber=self._clobber_output,
            **options,
        )

    def build_quantum_graph(
        self, pipeline: Pipeline, where: str = "", *, attach_datastore_records: bool = False, **options: Any
    ) -> Any:
        """Build the pipeline's quantum graph."""
        builder = self.make_quantum_graph_builder(pipeline, where, **options)
        return builder.finish(attach_datastore_records=attach_datastore_records).assemble()

    make_quantum_graph = build_quantum_graph

    def pre_execute_qgraph(
        self,
        graph: Any,
        register_dataset_types: bool = False,
        save_init_outputs: bool = True,
        save_versions: bool = True,
    ) -> None:
        """Register dataset types and write init-outputs, configs and software versions."""
        initialise_run(
            graph,
            self._butler,
            register_dataset_types=register_dataset_types,
            extend_run=True,
            skip_init_writes=not save_init_outputs,
            no_versions=not save_versions,
            task_factory=self._task_factory,
        )

    def run_pipeline(
        self,
        graph: Any,
        fail_fast: bool = False,
        graph_executor: QuantumGraphExecutor | None = None,
        num_proc: int = 1,
        *,
        provenance_dataset_ref: DatasetRef | None = None,
    ) -> None:
        """Run the quanta of a graph.

        Parameters
        ----------
        graph
            The quantum graph.
        fail_fast
            Whether the first failure ends the run.
        graph_executor
            Runs the quanta, in place of what `fail_fast` and `num_proc` say.
        num_proc
            How many quanta run at once.
        provenance_dataset_ref
            Dataset, of a registered type with the storage class `ProvenanceQuantumGraph`, as which what became of the
            quanta is kept. Also after a failure.

        Raises
        ------
        Exception
            What a task raised; with several processes an `MPGraphExecutorError` that tells it.
        """
        with _provenance(self._butler, provenance_dataset_ref) as path:
            if graph_executor is not None:
                options = {} if path is None else {"provenance_graph_file": path}
                graph_executor.execute(graph, **options)
                return
            report = run_graph(
                graph,
                self._butler,
                processes=num_proc,
                fail_fast=fail_fast,
                raise_on_partial_outputs=self._raise_on_partial_outputs,
                skip_existing=bool(self._skip_existing_in),
                clobber_outputs=self._clobber_output,
                progress=False,
                resources=self._resources,
                task_factory=self._task_factory,
            )
            if path is not None:
                from armillary.pipeline.provenance.aggregate import aggregate_graph

                aggregate_graph(graph, self._butler, output=path, dry_run=True)  # all is registered
            raise_failures(report)


@contextmanager
def _provenance(butler: Butler, ref: DatasetRef | None) -> Iterator[str | None]:
    """Give a path for a provenance graph, which becomes a dataset in the end; None when there is to be none."""
    if ref is None:
        yield None
        return
    from armillary.butler import FileDataset
    from armillary.pipeline.provenance_formatter import ProvenanceFormatter

    with tempfile.TemporaryDirectory(prefix="armillary-provenance-") as folder:
        path = os.path.join(folder, "provenance.qg")
        try:
            yield path
        finally:
            if os.path.exists(path):
                butler.ingest(FileDataset(path, [ref], formatter=ProvenanceFormatter), transfer="copy")
