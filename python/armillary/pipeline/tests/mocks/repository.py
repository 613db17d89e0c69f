"""Repositories with mock inputs, in which pipelines of test tasks are built and run in a few lines."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from armillary.butler import Butler, CollectionType, DataCoordinate, DatasetRef, DatasetType
from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
from armillary.pipeline.execution.single_quantum_executor import SingleQuantumExecutor
from armillary.pipeline.pipeline_graph import PipelineGraph
from armillary.pipeline.tests.in_memory_limited_butler import InMemoryLimitedButler
from armillary.pipeline.tests.mocks.dataset import MockDataset
from armillary.pipeline.tests.mocks.names import is_mock_name
from armillary.pipeline.tests.mocks.task import (
    DynamicConnectionConfig,
    DynamicTestPipelineTask,
    DynamicTestPipelineTaskConfig,
)

if TYPE_CHECKING:
    from armillary.pipeline.quantum_graph import PredictedQuantumGraph

__all__ = ["DirectButlerRepo", "InMemoryRepo", "MockRepo"]


class MockRepo:
    """A pipeline of test tasks, and a repository that gets mocks of what they read; closed at the end of a `with`.

    Parameters
    ----------
    butler
        The repository, opened for writing.
    input_run
        RUN for the inputs.
    input_chain
        CHAINED collection that graphs are built from; it begins with `input_run`.
    input_children
        More collections for the chain.

    Attributes
    ----------
    pipeline_graph
        The pipeline so far.
    last_auto_task_index, last_auto_dataset_type_index
        Numbers of the last task and dataset type that were given names.
    """

    def __init__(
        self,
        butler: Butler,
        input_run: str = "input_run",
        input_chain: str = "input_chain",
        input_children: Iterable[str] = (),
    ) -> None:
        self.butler = butler
        self.input_run = input_run
        self.input_chain = input_chain
        self.pipeline_graph = PipelineGraph(universe=butler.dimensions)
        self.last_auto_dataset_type_index = 0
        self.last_auto_task_index = 0
        butler.collections.register(input_run)
        butler.collections.register(input_chain, CollectionType.CHAINED)
        children = [input_children] if isinstance(input_children, str) else list(input_children)
        butler.collections.redefine_chain(input_chain, [input_run, *children])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the repository."""
        self.butler.close()

    def add_task(
        self,
        label: str | None = None,
        *,
        task_class: type[DynamicTestPipelineTask] = DynamicTestPipelineTask,
        config: DynamicTestPipelineTaskConfig | None = None,
        dimensions: Iterable[str] | None = None,
        inputs: Mapping[str, DynamicConnectionConfig] | None = None,
        outputs: Mapping[str, DynamicConnectionConfig] | None = None,
        prerequisite_inputs: Mapping[str, DynamicConnectionConfig] | None = None,
        init_inputs: Mapping[str, DynamicConnectionConfig] | None = None,
        init_outputs: Mapping[str, DynamicConnectionConfig] | None = None,
    ) -> None:
        """Add a task; called several times without connections, each task reads what the one before writes.

        Parameters
        ----------
        label
            Label; `task_auto1` and so on by default.
        task_class, config
            The task.
        dimensions
            Dimensions of its quanta, and of connections that are added for it.
        inputs, outputs
            Connections; by default one of each, of types `dataset_auto0` and so on.
        prerequisite_inputs, init_inputs, init_outputs
            More connections.
        """
        made: Any = DynamicTestPipelineTaskConfig() if config is None else config
        if label is None:
            self.last_auto_task_index += 1
            label = f"task_auto{self.last_auto_task_index}"
        if dimensions is not None:
            made.dimensions = list(dimensions)
        if inputs is None:
            inputs = {"input_connection": self._automatic(made.dimensions)}
        if outputs is None:
            self.last_auto_dataset_type_index += 1
            outputs = {"output_connection": self._automatic(made.dimensions)}
        for target, given in (
            (made.inputs, inputs),
            (made.outputs, outputs),
            (made.prerequisite_inputs, prerequisite_inputs),
            (made.init_inputs, init_inputs),
            (made.init_outputs, init_outputs),
        ):
            for name, connection in (given or {}).items():
                target[name] = connection
        self.pipeline_graph.add_task(label, task_class, made)

    def _automatic(self, dimensions: Iterable[str]) -> DynamicConnectionConfig:
        name = f"dataset_auto{self.last_auto_dataset_type_index}"
        return DynamicConnectionConfig(dataset_type_name=name, dimensions=list(dimensions))

    def insert_datasets(
        self, dataset_type: DatasetType | str, register: bool = True, *args: Any, **kwargs: Any
    ) -> list[DatasetRef]:
        """Put a mock of a dataset type for every data ID of the repository.

        Data IDs by pixels of the sky are those of the pixels that may touch a patch or a detector of a visit.

        Parameters
        ----------
        dataset_type
            The dataset type, or its name in the pipeline.
        register
            Whether to register it.
        *args, **kwargs
            Arguments of `Butler.query_data_ids` that limit the data IDs.

        Raises
        ------
        NotImplementedError
            Its dimensions are pixels of the sky and something else.
        """
        if isinstance(dataset_type, str):
            self.pipeline_graph.resolve(self.butler.registry)
            dataset_type = self.pipeline_graph.dataset_types[dataset_type].dataset_type
        if register:
            self.butler.registry.registerDatasetType(dataset_type)
        kwargs.setdefault("explain", False)
        if dataset_type.dimensions.skypix:
            data_ids = self._pixels(dataset_type, *args, **kwargs)
        elif dataset_type.dimensions:
            data_ids = self.butler.query_data_ids(dataset_type.dimensions, *args, limit=None, **kwargs)
        else:
            data_ids = [DataCoordinate.make_empty(self.butler.dimensions)]
        refs = []
        with self.butler.transaction():
            for data_id in data_ids:
                ref = DatasetRef(dataset_type, data_id, self.input_run)
                value: Any = MockDataset.of(ref) if is_mock_name(dataset_type.storageClass_name) else {}
                refs.append(self.butler.put(value, ref))
        return refs

    def _pixels(self, dataset_type: DatasetType, *args: Any, **kwargs: Any) -> list[DataCoordinate]:
        """Return the pixels that patches and detectors of visits may touch."""
        universe = self.butler.dimensions
        name, *more = dataset_type.dimensions.names
        if more:
            raise NotImplementedError(
                f"`{dataset_type.name}` is by pixels of the sky and by {', '.join(more)}: put its datasets yourself"
            )
        pixelization = universe.skypix_dimensions[name].pixelization
        pixels: set[int] = set()
        for element in ("patch", "visit_detector_region"):
            for record in self.butler.query_dimension_records(element, *args, limit=None, **kwargs):
                for begin, end in pixelization.envelope(record.region):
                    pixels.update(range(begin, end))
        return [DataCoordinate.standardize({name: pixel}, universe=universe) for pixel in sorted(pixels)]

    def make_quantum_graph_builder(
        self,
        *,
        output_run: str = "output_run",
        insert_mocked_inputs: bool = True,
        register_output_dataset_types: bool = True,
    ) -> AllDimensionsQuantumGraphBuilder:
        """Make the builder of a graph.

        Parameters
        ----------
        output_run
            RUN of the outputs, which is not made.
        insert_mocked_inputs
            Whether to put mocks of all inputs whose dataset types are not registered.
        register_output_dataset_types
            Whether to register the dataset types of outputs.
        """
        self.pipeline_graph.resolve(self.butler.registry)
        if insert_mocked_inputs:
            known = {found.name for found in self.butler.registry.queryDatasetTypes()}
            for name, _ in self.pipeline_graph.iter_overall_inputs():
                if name not in known:
                    self.insert_datasets(name)
        if register_output_dataset_types:
            self.pipeline_graph.register_dataset_types(self.butler)
        return AllDimensionsQuantumGraphBuilder(
            self.pipeline_graph, self.butler, input_collections=[self.input_chain], output_run=output_run
        )

    def make_quantum_graph(
        self,
        *,
        output: str | None = None,
        output_run: str = "output_run",
        insert_mocked_inputs: bool = True,
        register_output_dataset_types: bool = True,
    ) -> PredictedQuantumGraph:
        """Build a graph; see `make_quantum_graph_builder`."""
        builder = self.make_quantum_graph_builder(
            output_run=output_run,
            insert_mocked_inputs=insert_mocked_inputs,
            register_output_dataset_types=register_output_dataset_types,
        )
        return builder.finish(output=output, attach_datastore_records=False).assemble()

    def make_single_quantum_executor(self, qg: PredictedQuantumGraph) -> tuple[SingleQuantumExecutor, Any]:
        """Make what runs single quanta of a graph, and the butler it writes to."""
        run = qg.header.output_run
        self.butler.collections.register(run)
        butler = self.butler.clone(collections=[run, self.input_chain], run=run)
        return SingleQuantumExecutor(butler=butler), butler


_REGISTRY_DATA = "resource://lsst.daf.butler/tests/registry_data"
"""Where the peer keeps the export files that are in `configs/registry_data` here."""


def _import_files(
    butler: Butler,
    paths: Iterable[Any],
    data_root: Any,
    use_import_collections_as_input: bool | str | Iterable[str],
    input_run: str,
) -> list[str]:
    """Import export files, and return the collections that become inputs."""
    from importlib import resources

    from lsst.resources import ResourcePath

    if str(data_root).rstrip("/") == _REGISTRY_DATA:
        data_root = str(resources.files("armillary") / "configs" / "registry_data")
    root = ResourcePath(data_root, forceDirectory=True)
    for path in paths:
        butler.import_(filename=root.join(path), without_datastore=True)
    if use_import_collections_as_input is True:
        names: list[str] = sorted(butler.collections.query("*", flatten_chains=True))
    elif use_import_collections_as_input is False:
        names = []
    else:
        given = use_import_collections_as_input
        names = [given] if isinstance(given, str) else list(given)
    return [name for name in names if name != input_run]


class InMemoryRepo(MockRepo):
    """A `MockRepo` whose datasets are in memory: graphs are built from a database, quanta run without one.

    Parameters
    ----------
    *args
        Export files (YAML) to import.
    registry_config, dimension_config
        Database and dimensions, if not the usual ones; see `Butler.makeRepo`.
    input_run, input_chain
        See `MockRepo`.
    use_import_collections_as_input
        Collections from these files for the chain; True for all.
    data_root
        Folder of the files; by default that of armillary's own, `base.yaml` (an instrument with four detectors) and
        `spatial.yaml` (two visits of it, and two tracts with their patches).

    Examples
    --------
    >>> with InMemoryRepo("base.yaml") as repo:
    ...     repo.add_task(dimensions=["detector"])
    ...     graph = repo.make_quantum_graph()
    ...     executor, butler = repo.make_single_quantum_executor()
    ...     for quantum in graph.build_execution_quanta().values():
    ...         _ = executor.execute(repo.pipeline_graph.tasks["task_auto1"], quantum)
    >>> len(butler.get_datasets("dataset_auto1"))
    4
    """

    def __init__(
        self,
        *args: Any,
        registry_config: Any = None,
        dimension_config: Any = None,
        input_run: str = "input_run",
        input_chain: str = "input_chain",
        use_import_collections_as_input: bool | str | Iterable[str] = True,
        data_root: Any = _REGISTRY_DATA,
    ) -> None:
        self._root = tempfile.mkdtemp(prefix="armillary-")  # of the database alone
        try:
            config: dict[str, Any] = {
                "datastore": {"cls": "lsst.daf.butler.datastores.inMemoryDatastore.InMemoryDatastore"}
            }
            if registry_config is not None:
                config["registry"] = dict(registry_config)
            Butler.makeRepo(self._root, config=config, dimensionConfig=dimension_config)
            butler = Butler(self._root, writeable=True)
            children = _import_files(butler, args, data_root, use_import_collections_as_input, input_run)
        except BaseException:
            shutil.rmtree(self._root, ignore_errors=True)
            raise
        super().__init__(butler, input_run, input_chain, children)

    def close(self) -> None:
        """Close the repository and remove its database."""
        super().close()
        shutil.rmtree(self._root, ignore_errors=True)

    def make_limited_butler(self) -> InMemoryLimitedButler:
        """Make the butler for running quanta: it has the mocks of the input chain, and no other datasets."""
        butler = InMemoryLimitedButler(self.butler.dimensions, self.butler.registry.queryDatasetTypes())
        for ref in self.butler.query_all_datasets(self.input_chain, limit=None):
            if is_mock_name(ref.datasetType.storageClass_name):
                butler.put(MockDataset.of(ref), ref)
        return butler

    def make_single_quantum_executor(
        self, qg: PredictedQuantumGraph | None = None
    ) -> tuple[SingleQuantumExecutor, InMemoryLimitedButler]:
        """Make what runs single quanta, and the new butler it writes to; the graph does not matter."""
        del qg
        butler = self.make_limited_butler()
        return SingleQuantumExecutor(limited_butler_factory=butler.factory), butler


class DirectButlerRepo(MockRepo):
    """A `MockRepo` on a repository with a database and files.

    Parameters
    ----------
    butler
        The repository, opened for writing.
    *args
        Export files (YAML) to import.
    input_run, input_chain
        See `MockRepo`.
    use_import_collections_as_input
        Collections from these files for the chain; True for all.
    data_root
        Folder of the files; see `InMemoryRepo`.

    Examples
    --------
    >>> from armillary.testing import fill_small_repository
    >>> with DirectButlerRepo.make_temporary() as (repo, _):
    ...     fill_small_repository(repo.butler)
    ...     repo.add_task(dimensions=["detector"])
    ...     repo.add_task(dimensions=["detector"])
    ...     len(repo.make_quantum_graph())
    4
    """

    def __init__(
        self,
        butler: Butler,
        *args: Any,
        input_run: str = "input_run",
        input_chain: str = "input_chain",
        use_import_collections_as_input: bool | str | Iterable[str] = True,
        data_root: Any = _REGISTRY_DATA,
    ) -> None:
        children = _import_files(butler, args, data_root, use_import_collections_as_input, input_run)
        super().__init__(butler, input_run, input_chain, children)

    @classmethod
    @contextmanager
    def make_temporary(
        cls,
        *args: Any,
        input_run: str = "input_run",
        input_chain: str = "input_chain",
        use_import_collections_as_input: bool | str | Iterable[str] = True,
        data_root: Any = _REGISTRY_DATA,
        **kwargs: Any,
    ) -> Iterator[tuple[DirectButlerRepo, str]]:
        """Make one in a temporary folder.

        Parameters
        ----------
        *args, input_run, input_chain, use_import_collections_as_input, data_root
            See the class.
        **kwargs
            More arguments of `Butler.makeRepo`.

        Yields
        ------
        repo, root
            The helper and the folder, which goes away at the end of the block.
        """
        root = tempfile.mkdtemp(prefix="armillary-")
        try:
            Butler.makeRepo(root, **kwargs)
            with Butler(root, writeable=True) as butler:
                yield (
                    cls(
                        butler,
                        *args,
                        input_run=input_run,
                        input_chain=input_chain,
                        use_import_collections_as_input=use_import_collections_as_input,
                        data_root=data_root,
                    ),
                    root,
                )
        finally:
            shutil.rmtree(root, ignore_errors=True)
