"""Quanta of a provenance graph by how they ended, as JSON and as tables of data IDs."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armillary.pipeline.provenance.summary import Table, rows_of, to_astropy
from armillary.pipeline.status import QuantumSuccessCaveats

if TYPE_CHECKING:
    from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantum

__all__ = ["ProvenanceReport", "print_tables"]


@dataclasses.dataclass(frozen=True)
class ProvenanceReport:
    """Quanta by task label, name of the state, and class of the exception (`"None"` without one).

    Attributes
    ----------
    root
        The quanta.

    Examples
    --------
    >>> ProvenanceReport({}).model_dump_json()
    '{}'
    """

    root: Mapping[str, Mapping[str, Mapping[str, list[ProvenanceQuantum]]]]

    def model_dump(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return {
            label: {
                state: {kind: [_plain(quantum) for quantum in quanta] for kind, quanta in kinds.items()}
                for state, kinds in states.items()
            }
            for label, states in self.root.items()
        }

    def model_dump_json(self, *, indent: int | None = None) -> str:
        """Return JSON text."""
        separators = (",", ":") if indent is None else None
        return json.dumps(self.model_dump(), indent=indent, separators=separators, ensure_ascii=False)

    def write_data_id_tables(self, folder: str | os.PathLike[str]) -> None:
        """Write an ECSV table for each task, state and class of exception, which graph builders take.

        Parameters
        ----------
        folder
            Gets a folder for each task, with one for each state.
        """
        from astropy.table import Table

        for label, states in self.root.items():
            for state, kinds in states.items():
                for kind, quanta in kinds.items():
                    place = os.path.join(folder, label, state)
                    os.makedirs(place, exist_ok=True)
                    name = "UNKNOWN" if kind == "None" else kind.replace(os.sep, "_")
                    table = Table(rows=[quantum.data_id for quantum in quanta])
                    table.write(os.path.join(place, f"{name}.ecsv"), overwrite=True)


def print_tables(tables: Mapping[str, Table | None], form: str, legend: bool = True) -> None:
    """Print tables of counts for people (`"table"`), or one document (`"json"`); those that are None are left out.

    Raises
    ------
    ValueError
        The form is another.
    """
    if form not in ("json", "table"):
        raise ValueError(f"`{form}` is no form of a report; there are `json` and `table`")
    given = {name: table for name, table in tables.items() if table is not None}
    if form == "json":
        plain: dict[str, Any] = {name: rows_of(table) for name, table in given.items()}
        print(json.dumps(plain | ({"legend": QuantumSuccessCaveats.legend()} if legend else {})))
        return
    for number, table in enumerate(table for table in given.values() if table[1]):
        print("\n" * min(number, 1) + "\n".join(to_astropy(table).pformat(max_lines=-1, max_width=-1)))
    if legend and given:
        print("\n" + "\n".join(f"{code}: {text}" for code, text in QuantumSuccessCaveats.legend().items()))


def _plain(quantum: ProvenanceQuantum) -> dict[str, Any]:
    return {
        "quantum_id": str(quantum.quantum_id),
        "data_id": quantum.data_id,
        "attempts": [attempt.to_plain() for attempt in quantum.attempts],
    }
