"""The report on executed graphs as plain data: counts, and the data IDs that need a look.

The JSON form is that of `lsst.pipe.base.quantum_provenance_graph.Summary`, so that reports of either program can be
read and added up by the other.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TypeAlias

from armillary.errors import ValidationError
from armillary.pipeline.status import ExceptionInfo, QuantumSuccessCaveats

__all__ = [
    "CursedDatasetSummary",
    "DatasetTypeSummary",
    "ExceptionInfoSummary",
    "Summary",
    "TaskSummary",
    "UnsuccessfulQuantumSummary",
]

DataId: TypeAlias = dict[str, int | str]
Table: TypeAlias = tuple[list[str], list[list[Any]]]


@dataclasses.dataclass
class UnsuccessfulQuantumSummary:
    """A quantum that failed or is wonky.

    Attributes
    ----------
    data_id
        Required values by dimension.
    runs
        Name of its state in each run.
    messages
        Errors that were logged, or what is inconsistent.
    """

    data_id: DataId
    runs: dict[str, str] = dataclasses.field(default_factory=dict)
    messages: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class ExceptionInfoSummary:
    """An exception that a quantum raised, though it may count as successful."""

    quantum_id: uuid.UUID
    data_id: DataId
    run: str
    exception: ExceptionInfo

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Make one from its JSON form."""
        exception = ExceptionInfo(**plain["exception"])
        return cls(uuid.UUID(str(plain["quantum_id"])), dict(plain["data_id"]), plain["run"], exception)


@dataclasses.dataclass
class CursedDatasetSummary:
    """A dataset that can be found although its quantum did not succeed."""

    producer_data_id: DataId
    data_id: DataId
    runs_produced: dict[str, bool]
    run_visible: str | None = None
    messages: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class TaskSummary:
    """What became of the quanta of one task, over all runs.

    Examples
    --------
    >>> TaskSummary(n_successful=2, n_expected=3, failed_quanta=[UnsuccessfulQuantumSummary({"detector": 1})]).n_failed
    1
    """

    n_successful: int = 0
    n_blocked: int = 0
    n_unknown: int = 0
    n_expected: int = 0
    caveats: dict[str, list[DataId]] = dataclasses.field(default_factory=dict)
    exceptions: dict[str, list[ExceptionInfoSummary]] = dataclasses.field(default_factory=dict)
    failed_quanta: list[UnsuccessfulQuantumSummary] = dataclasses.field(default_factory=list)
    recovered_quanta: list[DataId] = dataclasses.field(default_factory=list)
    wonky_quanta: list[UnsuccessfulQuantumSummary] = dataclasses.field(default_factory=list)

    @property
    def n_wonky(self) -> int:
        """How many quanta are wonky."""
        return len(self.wonky_quanta)

    @property
    def n_failed(self) -> int:
        """How many quanta failed."""
        return len(self.failed_quanta)

    @property
    def n_total(self) -> int:
        """How many quanta are in any state; differs from `n_expected` only if something was counted wrongly."""
        return self.n_successful + self.n_blocked + self.n_unknown + self.n_wonky + self.n_failed

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Make one from its JSON form."""
        values = _known(cls, plain)
        for name in ("failed_quanta", "wonky_quanta"):
            values[name] = [UnsuccessfulQuantumSummary(**one) for one in plain.get(name, ())]
        raised = plain.get("exceptions", {})
        values["exceptions"] = {
            kind: [ExceptionInfoSummary.from_plain(one) for one in found] for kind, found in raised.items()
        }
        return cls(**values)

    def add(self, other: TaskSummary) -> None:
        """Take in the counts of other quanta of the same task."""
        for name in ("n_successful", "n_blocked", "n_unknown", "n_expected"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("failed_quanta", "recovered_quanta", "wonky_quanta"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("caveats", "exceptions"):
            mine = getattr(self, name)
            for key, found in getattr(other, name).items():
                mine.setdefault(key, []).extend(found)

    def caveats_cell(self) -> str:
        """The caveats in one cell of a table: `CODE(N)`, or `(multiple)`."""
        if not self.caveats:
            return ""
        if len(self.caveats) > 1:
            return "(multiple)"
        ((code, data_ids),) = self.caveats.items()
        return f"{code}({len(data_ids)})"


@dataclasses.dataclass
class DatasetTypeSummary:
    """What became of the datasets of one type, over all runs."""

    producer: str = ""
    n_visible: int = 0
    n_shadowed: int = 0
    n_predicted_only: int = 0
    n_expected: int = 0
    cursed_datasets: list[CursedDatasetSummary] = dataclasses.field(default_factory=list)
    unsuccessful_datasets: list[DataId] = dataclasses.field(default_factory=list)

    @property
    def n_cursed(self) -> int:
        """How many datasets are cursed."""
        return len(self.cursed_datasets)

    @property
    def n_unsuccessful(self) -> int:
        """How many datasets were not made because their quanta did not succeed."""
        return len(self.unsuccessful_datasets)

    @property
    def n_total(self) -> int:
        """How many datasets are in any state."""
        return self.n_visible + self.n_shadowed + self.n_predicted_only + self.n_cursed + self.n_unsuccessful

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Make one from its JSON form."""
        values = _known(cls, plain)
        values["cursed_datasets"] = [CursedDatasetSummary(**one) for one in plain.get("cursed_datasets", ())]
        return cls(**values)

    def add(self, other: DatasetTypeSummary) -> None:
        """Take in the counts of other datasets of the same type."""
        for name in ("n_visible", "n_shadowed", "n_predicted_only", "n_expected"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.cursed_datasets.extend(other.cursed_datasets)
        self.unsuccessful_datasets.extend(other.unsuccessful_datasets)


@dataclasses.dataclass
class Summary:
    """What became of quanta and datasets, by task and by dataset type.

    Examples
    --------
    >>> summary = Summary({"isr": TaskSummary(n_successful=2, n_expected=2)})
    >>> Summary.from_json(summary.to_json()) == summary
    True
    >>> Summary.aggregate([summary, summary]).tasks["isr"].n_successful
    4
    """

    tasks: dict[str, TaskSummary] = dataclasses.field(default_factory=dict)
    datasets: dict[str, DatasetTypeSummary] = dataclasses.field(default_factory=dict)

    @classmethod
    def aggregate(cls, summaries: Sequence[Summary]) -> Summary:
        """Add up summaries on disjoint sets of data IDs.

        Raises
        ------
        ValidationError
            A dataset type is said to be written by different tasks.
        """
        total = cls()
        for summary in summaries:
            for label, task in summary.tasks.items():
                total.tasks.setdefault(label, TaskSummary()).add(task)
            for name, datasets in summary.datasets.items():
                known = total.datasets.setdefault(name, DatasetTypeSummary(producer=datasets.producer))
                if known.producer != datasets.producer:
                    raise ValidationError(
                        f"the reports disagree on what writes `{name}`: `{known.producer}` or `{datasets.producer}`"
                    )
                known.add(datasets)
        return total

    def to_json(self) -> str:
        """Return the JSON form."""
        plain = dataclasses.asdict(self)
        for label, task in self.tasks.items():
            plain["tasks"][label] |= {"n_wonky": task.n_wonky, "n_failed": task.n_failed}
        for name, datasets in self.datasets.items():
            plain["datasets"][name] |= {"n_cursed": datasets.n_cursed, "n_unsuccessful": datasets.n_unsuccessful}
        return json.dumps(plain, default=str)

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "the report") -> Summary:
        """Read the JSON form.

        Raises
        ------
        ValidationError
            It is something else; the message begins with `source`.
        """
        try:
            plain = json.loads(text)
            return cls(
                {label: TaskSummary.from_plain(task) for label, task in plain["tasks"].items()},
                {name: DatasetTypeSummary.from_plain(datasets) for name, datasets in plain["datasets"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValidationError(
                f"{source} is no JSON report of `pipetask report`: {type(error).__name__}: {error}; such a report is "
                "made with `--force-v2 --full-output-filename FILE.json`"
            ) from error

    # -- tables: column names and rows

    def quantum_table(self) -> Table:
        """Counts of quanta, a row per task."""
        columns = ["Task", "Unknown", "Successful", "Caveats", "Blocked", "Failed", "Wonky", "TOTAL", "EXPECTED"]
        rows = [
            [
                label,
                task.n_unknown,
                task.n_successful,
                task.caveats_cell(),
                task.n_blocked,
                task.n_failed,
                task.n_wonky,
                task.n_total,
                task.n_expected,
            ]
            for label, task in self.tasks.items()
        ]
        return columns, rows

    def dataset_table(self) -> Table:
        """Counts of datasets, a row per dataset type."""
        columns = ["Dataset", "Visible", "Shadowed", "Predicted Only", "Unsuccessful", "Cursed", "TOTAL", "EXPECTED"]
        rows = [
            [
                name,
                one.n_visible,
                one.n_shadowed,
                one.n_predicted_only,
                one.n_unsuccessful,
                one.n_cursed,
                one.n_total,
                one.n_expected,
            ]
            for name, one in self.datasets.items()
        ]
        return columns, rows

    def exception_table(self) -> Table:
        """Counts of exceptions, a row per task and class of exception."""
        rows: list[list[Any]] = []
        for label, task in self.tasks.items():
            rows.extend([label, kind, len(found)] for kind, found in sorted(task.exceptions.items()))
        return ["Task", "Exception", "Count"], rows

    def bad_quantum_tables(self) -> dict[str, Table]:
        """Failed and wonky quanta, and those that wrote partial outputs; a table per task that has any."""
        tables: dict[str, Table] = {}
        for label, task in self.tasks.items():
            rows: list[tuple[str, str, DataId, str]] = []
            for state, quanta in (("FAILED", task.failed_quanta), ("WONKY", task.wonky_quanta)):
                rows.extend((state, "", one.data_id, "; ".join(one.messages)) for one in quanta)
            for kind, raised in task.exceptions.items():
                partial = f"SUCCESSFUL({QuantumSuccessCaveats.PARTIAL_OUTPUTS_ERROR.concise()})"
                rows.extend((partial, kind, one.data_id, one.exception.message) for one in raised)
            if rows:
                names = list(rows[0][2])
                table = [[state, kind, *data_id.values(), text] for state, kind, data_id, text in rows]
                tables[label] = (["Status(Caveats)", "Exception", *names, "Message"], table)
        return tables

    def bad_dataset_tables(self) -> dict[str, Table]:
        """Cursed datasets, and those whose quanta did not succeed; a table per dataset type that has any."""
        tables: dict[str, Table] = {}
        for name, one in self.datasets.items():
            rows = [("UNSUCCESSFUL", data_id, "") for data_id in one.unsuccessful_datasets]
            rows += [("CURSED", cursed.data_id, "; ".join(cursed.messages)) for cursed in one.cursed_datasets]
            if rows:
                table = [[state, *data_id.values(), text] for state, data_id, text in rows]
                tables[name] = (["Status", *rows[0][1], "Message"], table)
        return tables

    # -- the same as `astropy` tables, as users of the peer know them

    def make_quantum_table(self) -> Any:
        """Return `quantum_table` as an `astropy.table.Table`."""
        return to_astropy(self.quantum_table())

    def make_dataset_table(self) -> Any:
        """Return `dataset_table` as an `astropy.table.Table`."""
        return to_astropy(self.dataset_table())

    def make_exception_table(self) -> Any:
        """Return `exception_table` as an `astropy.table.Table`."""
        return to_astropy(self.exception_table())

    def make_bad_quantum_tables(self) -> dict[str, Any]:
        """Return `bad_quantum_tables` as `astropy.table.Table` objects."""
        return {label: to_astropy(table) for label, table in self.bad_quantum_tables().items()}

    def make_bad_dataset_tables(self) -> dict[str, Any]:
        """Return `bad_dataset_tables` as `astropy.table.Table` objects."""
        return {name: to_astropy(table) for name, table in self.bad_dataset_tables().items()}


def _known(kind: Any, plain: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass; counts that follow from them are left out."""
    names: Iterable[str] = (field.name for field in dataclasses.fields(kind))
    return {name: plain[name] for name in names if name in plain}


def rows_of(table: Table) -> list[dict[str, Any]]:
    """Return the rows of a table by name of the column."""
    columns, rows = table
    return [dict(zip(columns, row, strict=True)) for row in rows]


def to_astropy(table: Table) -> Any:
    """Return a table as an `astropy.table.Table`."""
    from astropy.table import Table as AstropyTable

    columns, rows = table
    return AstropyTable(rows=rows or None, names=columns)
