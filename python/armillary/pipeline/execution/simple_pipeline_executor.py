"""Building and running a pipeline from Python in a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from armillary.errors import MPGraphExecutorError
from armillary.pipeline.execution.initialise import initialise_run
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.with_registry import iterate_graph, run_graph
from armillary.pipeline.quantum_context import ExecutionResources

if TYPE_CHECKING:
    from armillary.butler import Butler
    from armillary.pipeline.pipeline import Pipeline
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = ["SimplePipelineExecutor", "raise_failures"]


def raise_failures(report: RunReport) -> None:
    """Raise the exception of the first quantum that failed, if any did.

    Raises
    ------
    MPGraphExecutorError
        A quantum failed in another process.
    """
    for outcome in report.outcomes:
        if outcome.state.is_failure:
            raise_failure(outcome)


def raise_failure(outcome: QuantumOutcome) -> NoReturn:
    """Raise the exception of a quantum that failed."""
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
        self._initialise(register_dataset_types, save_versions)
        report = run_graph(self._graph, self.butler, progress=False, **self._control)
        raise_failures(report)
        ended = [outcome.quantum_id for outcome in report.outcomes if outcome.state is not QuantumState.SKIPPED]
        quanta = self._graph.build_execution_quanta(ended)
        return [quanta[quantum_id] for quantum_id in ended]

    def as_generator(self, register_dataset_types: bool = False, save_versions: bool = True) -> Iterator[Any]:
        """Run the quanta one by one, each when the iterator is asked for it; see `run`.

        What belongs to the whole run is written at once, what a quantum wrote is registered when it is given.
        """
        self._initialise(register_dataset_types, save_versions)
        return self._run_one_by_one()

    def _run_one_by_one(self) -> Iterator[Any]:
        outcomes = iterate_graph(self._graph, self.butler, progress=False, **self._control)
        for outcome in outcomes:
            if outcome.state.is_failure:
                outcomes.close()
                raise_failure(outcome)
            yield self._graph.build_execution_quanta([outcome.quantum_id])[outcome.quantum_id]

    @property
    def _control(self) -> dict[str, Any]:
        return {
            "fail_fast": True,
            "raise_on_partial_outputs": self.raise_on_partial_outputs,
            "resources": self.resources,
        }

    def _initialise(self, register_dataset_types: bool, save_versions: bool) -> None:
        initialise_run(
            self._graph,
            self.butler,
            register_dataset_types=register_dataset_types,
            extend_run=True,
            no_versions=not save_versions,
        )

    def use_local_butler(
        self, root: str, register_dataset_types: bool = True, transfer_dimensions: bool = True
    ) -> Butler:
        """Copy all inputs to a repository of one's own, and read from and write to that from here on.

        The collections of the inputs are not copied. A TAGGED collection, `<output>/inputs`, gathers the inputs; it
        stands after the run in the output chain. Calibrations of which several have one data ID, because each is
        valid at other times, are copied but not tagged.

        Parameters
        ----------
        root
            The repository; made if it is not there.
        register_dataset_types
            Whether to register dataset types there.
        transfer_dimensions
            Whether to copy dimension records.

        Returns
        -------
        butler
            The repository, opened for writing.

        Examples
        --------
        ::

            executor = SimplePipelineExecutor.from_pipeline_filename("p.yaml", where="visit = 3", butler=butler)
            local = executor.use_local_butler("/tmp/visit3")
            executor.run(register_dataset_types=True)
        """
        from armillary.pipeline.execution.local_copy import local_copy

        self.butler = local_copy(
            self._graph,
            self.butler,
            root,
            register_dataset_types=register_dataset_types,
            transfer_dimensions=transfer_dimensions,
        )
        return self.butler
