"""The builder that gets all data IDs of a graph from one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from armillary.pipeline.quantum_graph_builder import QuantumGraphBuilder, QuantumGraphBuilderError

if TYPE_CHECKING:
    from astropy.table import Table

    from armillary.butler import Butler
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = ["AllDimensionsQuantumGraphBuilder", "DatasetQueryConstraintVariant", "QuantumGraphBuilderError"]


class DatasetQueryConstraintVariant(Sequence[str]):
    """Which existing datasets limit the data IDs of a graph: `ALL`, `OFF`, or `LIST(names)`.

    Examples
    --------
    >>> DatasetQueryConstraintVariant.fromExpression("raw, bias")
    LIST(raw, bias)
    >>> DatasetQueryConstraintVariant.fromExpression("off") is DatasetQueryConstraintVariant.OFF
    True
    """

    ALL: ClassVar[DatasetQueryConstraintVariant]
    OFF: ClassVar[DatasetQueryConstraintVariant]

    def __init__(self, names: Iterable[str] = (), name: str = "list") -> None:
        self.name = name
        self._names = list(names)

    @classmethod
    def LIST(cls, names: Iterable[str]) -> DatasetQueryConstraintVariant:
        """Only these dataset types."""
        return cls(names)

    @classmethod
    def fromExpression(cls, expression: str) -> DatasetQueryConstraintVariant:
        """Understand `all`, `off`, or names with commas between them.

        Raises
        ------
        ValueError
            The text is empty.
        """
        if expression.strip() in ("all", "off"):
            return {"all": cls.ALL, "off": cls.OFF}[expression.strip()]
        names = [name.strip() for name in expression.split(",") if name.strip()]
        if not names:
            raise ValueError("a query constraint is `all`, `off` or names of dataset types with commas between them")
        return cls(names)

    def __getitem__(self, index: Any) -> Any:
        return self._names[index]

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __repr__(self) -> str:
        return f"LIST({', '.join(self._names)})" if self.name == "list" else self.name.upper()


DatasetQueryConstraintVariant.ALL = DatasetQueryConstraintVariant(name="all")
DatasetQueryConstraintVariant.OFF = DatasetQueryConstraintVariant(name="off")


class AllDimensionsQuantumGraphBuilder(QuantumGraphBuilder):
    """Builds a graph from one query per independent part of the pipeline.

    Every condition holds for all data IDs of a part: with `where="patch = 40"`, a tract's catalogue is made from that
    patch alone, and detectors that touch no patch are not in a graph that coadds. With `tract_slicing=False` they are.

    Parameters
    ----------
    pipeline_graph, butler
        The pipeline, and the repository to read.
    where
        Condition on data IDs.
    dataset_query_constraint
        Which existing inputs limit the data IDs: `"all"`, `"off"`, or names of dataset types.
    bind
        Values of the `:names` in `where`.
    data_id_tables
        Tables whose columns are dimensions (`astropy.table.Table`): only data IDs that are in each of them are used.
    kwargs
        See `QuantumGraphBuilder`.

    Examples
    --------
    >>> builder = AllDimensionsQuantumGraphBuilder(  # doctest: +SKIP
    ...     pipeline.to_graph(), butler, where="visit = 903334", input_collections=["HSC/raw"], output_run="u/me/run"
    ... )
    >>> builder.finish(attach_datastore_records=False).write("run.qg")  # doctest: +SKIP

    With detectors that touch no tract:

    >>> builder = AllDimensionsQuantumGraphBuilder(  # doctest: +SKIP
    ...     pipeline.to_graph(), butler, tract_slicing=False, input_collections=["HSC/raw"], output_run="u/me/run"
    ... )
    """

    def __init__(
        self,
        pipeline_graph: PipelineGraph,
        butler: Butler,
        *,
        where: str = "",
        dataset_query_constraint: Any = DatasetQueryConstraintVariant.ALL,
        bind: Mapping[str, Any] | None = None,
        data_id_tables: Iterable[Table] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pipeline_graph,
            butler,
            where=where,
            bind=bind,
            dataset_query_constraint=dataset_query_constraint,
            data_id_tables=data_id_tables,
            **kwargs,
        )
