"""Building and running a pipeline from Python in a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from armillary.errors import MPGraphExecutorError
from armillary.pipeline.execution.initialise import initialise_run
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.with_registry import run_graph
from armillary.pipeline.quantum_context import ExecutionResources

if TYPE_CHECKING:
    from armillary.butler import Butler
    from armillary.pipeline.pipeline import Pipeline
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = ["SeparablePipelineExecutor", "SimplePipelineExecutor"]


def raise_failures(report: RunReport) -> None:
    """Raise the exception of the first quantum that failed, if any did.

    Raises
    ------
    MPGraphExecutorError
        A quantum failed in another process.
    """
    for outcome in report.outcomes:
        if outcome.state.is_failure:
            _raise(outcome)


def _raise(outcome: QuantumOutcome) -> None:
    if outcome.error is not None:
        raise outcome.error
    said = "" if outcome.exception is None else f": {outcome.exception.type_name}: {outcome.exception.message}"
    raise MPGraphExecutorError(f"a quantum of task `{outcome.label}` {outcome.state.value}{said}")


class SimplePipelineExecutor:
    """Runs a pipeline in this process: one call builds the quantum graph, another runs it.

    Parameters
    ----------
    quantum_graph
        What to run.
    butler
        The repository, opened with the run to write to.
    resources
        What a quantum may use.
    raise_on_partial_outputs
        Whether partial outputs are a failure.

    Examples
    --------
    ::

        butler = SimplePipelineExecutor.prep_butler("repo", inputs=["raws"], output="u/me/first")
        executor = SimplePipelineExecutor.from_pipeline_filename("survey.yaml#isr", where="visit = 3", butler=butler)
        executor.run(register_dataset_types=True)
    """

    def __init__(
        self,
        quantum_graph: Any,
        butler: Butler,
        resources: ExecutionResources | None = None,
        raise_on_partial_outputs: bool = True,
    ) -> None:
        self._graph = quantum_graph
        self.butler = butler
        self.resources = resources
        self.raise_on_partial_outputs = raise_on_partial_outputs

    @property
    def quantum_graph(self) -> Any:
        """What is run."""
        return self._graph

    @classmethod
    def prep_butler(cls, root: str, inputs: Iterable[str], output: str, output_run: str | None = None) -> Butler:
        """Open a repository for writing to a new run, and make the run and its chain.

        Parameters
        ----------
        root
            The repository.
        inputs
            Input collections.
        output
            Chain that begins with the new run and goes on with the inputs.
        output_run
            Name of the run; by default `output` with the time.
        """
        from armillary.butler import Butler
        from armillary.pipeline.output_collections import OutputCollections

        with Butler(root, writeable=True) as butler:
            planned = OutputCollections.plan(butler, inputs=list(inputs), output=output, output_run=output_run)
            planned.register(butler)
        return Butler(root, writeable=True, collections=[planned.run, *planned.inputs], run=planned.run)

    @classmethod
    def from_pipeline_filename(cls, pipeline_filename: str, **options: Any) -> SimplePipelineExecutor:
        """Build the graph of a pipeline file; for the options see `from_pipeline_graph`."""
        from armillary.pipeline.pipeline import Pipeline

        return cls.from_pipeline(Pipeline.fromFile(pipeline_filename), **options)

    @classmethod
    def from_task_class(
        cls, task_class: type[PipelineTask], config: Any = None, label: str | None = None, **options: Any
    ) -> SimplePipelineExecutor:
        """Build the graph of one task; for the options see `from_pipeline_graph`."""
        from armillary.pipeline.pipeline_graph import PipelineGraph

        graph = PipelineGraph()
        graph.add_task(label, task_class, config)
        return cls.from_pipeline_graph(graph, **options)

    @classmethod
    def from_pipeline(cls, pipeline: Pipeline, **options: Any) -> SimplePipelineExecutor:
        """Build the graph of a pipeline; for the options see `from_pipeline_graph`."""
        return cls.from_pipeline_graph(pipeline.to_graph(), **options)

    @classmethod
    def from_pipeline_graph(
        cls,
        pipeline_graph: PipelineGraph,
        *,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        butler: Butler,
        resources: ExecutionResources | None = None,
        raise_on_partial_outputs: bool = True,
        attach_datastore_records: bool = False,
        output: str | None = None,
        output_run: str | None = None,
    ) -> SimplePipelineExecutor:
        """Build the quantum graph of a pipeline graph.

        Parameters
        ----------
        pipeline_graph
            The tasks.
        where, bind
            Which data to run on.
        butler
            The repository; its collections are read, its run is written to.
        resources
            What a quantum may use.
        raise_on_partial_outputs
            Whether partial outputs are a failure.
        attach_datastore_records
            Whether the graph says where its inputs are.
        output, output_run
            Chain and run noted in the graph; by default the butler's run.
        """
        from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder

        builder = AllDimensionsQuantumGraphBuilder(
            pipeline_graph,
            butler,
            where=where,
            bind=bind,
            input_collections=list(butler.collections.defaults),
            output_run=output_run or butler.run,
        )
        components = builder.finish(output=output, attach_datastore_records=attach_datastore_records)
        return cls(components.assemble(), butler, resources, raise_on_partial_outputs)

    def run(self, register_dataset_types: bool = False, save_versions: bool = True) -> list[Any]:
        """Run all quanta.

        Parameters
        ----------
        register_dataset_types
            Whether to register missing dataset types.
        save_versions
            Whether to write the software versions.

        Returns
        -------
        quanta
            The quanta that were run, in order.

        Raises
        ------
        Exception
            What a task raised; the quanta before it are registered.
        """
        return list(self.as_generator(register_dataset_types, save_versions))

    def as_generator(self, register_dataset_types: bool = False, save_versions: bool = True) -> Iterator[Any]:
        """Run all quanta, giving each when the whole run has ended well; see `run`."""
        initialise_run(
            self._graph,
            self.butler,
            register_dataset_types=register_dataset_types,
            extend_run=True,
            no_versions=not save_versions,
        )
        report = run_graph(
            self._graph,
            self.butler,
            fail_fast=True,
            raise_on_partial_outputs=self.raise_on_partial_outputs,
            progress=False,
            resources=self.resources,
        )
        raise_failures(report)
        ended = [outcome.quantum_id for outcome in report.outcomes if outcome.state is not QuantumState.SKIPPED]
        quanta = self._graph.build_execution_quanta(ended)
        yield from (quanta[quantum_id] for quantum_id in ended)


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
        )

    def run_pipeline(self, graph: Any, fail_fast: bool = False, graph_executor: Any = None, num_proc: int = 1) -> None:
        """Run the quanta of a graph.

        Raises
        ------
        Exception
            What a task raised; with several processes an `MPGraphExecutorError` that tells it.
        """
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
        )
        raise_failures(report)
