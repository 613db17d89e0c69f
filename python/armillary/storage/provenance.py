"""Where a dataset comes from: the quantum and the inputs, as plain keys that files can hold."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from armillary.storage.serialized import SerializedDatasetRef, plain_schema

__all__ = ["DatasetProvenance"]


@dataclass
class DatasetProvenance:
    """The quantum that made a dataset, the datasets it read, and more about each of these.

    >>> DatasetProvenance().to_flat_dict(None)
    {'n_inputs': 0}
    """

    inputs: list[Any] = field(default_factory=list)
    quantum_id: uuid.UUID | None = None
    extras: dict[uuid.UUID, dict[str, Any]] = field(default_factory=dict)

    def add_input(self, ref: Any) -> None:
        """Add a dataset that was read; a second time does nothing."""
        if all(known.id != ref.id for known in self.inputs):
            self.inputs.append(ref)

    def add_extra_provenance(self, dataset_id: uuid.UUID, extra: Mapping[str, Any]) -> None:
        """Say more about an input. Raises `ValueError` if the dataset is not an input."""
        if all(known.id != dataset_id for known in self.inputs):
            raise ValueError(f"dataset `{dataset_id}` is not an input, so nothing more can be said about it")
        self.extras.setdefault(dataset_id, {}).update(extra)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As a dictionary of plain data."""
        inputs = [one if isinstance(one, SerializedDatasetRef) else one.to_simple() for one in self.inputs]
        return {
            "inputs": [SerializedDatasetRef.model_validate(one).model_dump() for one in inputs],
            "quantum_id": self.quantum_id,
            "extras": {key: dict(extra) for key, extra in self.extras.items()},
        }

    def model_dump_json(self, **options: Any) -> str:
        """As JSON."""
        plain = self.model_dump()
        plain["extras"] = {str(key): extra for key, extra in plain["extras"].items()}
        return json.dumps(plain, default=str, ensure_ascii=False)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> DatasetProvenance:
        """Make it from what `model_dump` gives; inputs become plain references. Raises `ValueError` for all else."""
        if isinstance(obj, cls):
            return obj
        if not isinstance(obj, Mapping) or obj.keys() - {"inputs", "quantum_id", "extras"}:
            raise ValueError(f"`{obj!r}` does not say where a dataset comes from")
        quantum = obj.get("quantum_id")
        return cls(
            inputs=[SerializedDatasetRef.model_validate(one) for one in obj.get("inputs") or ()],
            quantum_id=None if quantum is None else uuid.UUID(str(quantum)),
            extras={uuid.UUID(str(key)): dict(extra) for key, extra in (obj.get("extras") or {}).items()},
        )

    @classmethod
    def model_validate_json(cls, json_data: str | bytes, **options: Any) -> DatasetProvenance:
        """Make it from JSON."""
        return cls.model_validate(json.loads(json_data))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return plain_schema(cls)

    def to_flat_dict(
        self,
        ref: Any | None,
        /,
        *,
        prefix: str = "",
        sep: str = ".",
        simple_types: bool = False,
        use_upper: bool | None = None,
        max_inputs: int | None = None,
        store_minimalist_inputs: bool = False,
    ) -> dict[str, Any]:
        """Make flat keys for a file header.

        `ref` is the dataset itself. Keys are upper case if `use_upper`, or by the case of `prefix`. With
        `simple_types` ids become strings. More inputs than `max_inputs` are only counted; with
        `store_minimalist_inputs` run and dataset type of the inputs are left out.
        """
        upper = use_upper if use_upper is not None else prefix.isupper()

        def key(*parts: Any) -> str:
            text = sep.join(str(part) for part in parts)
            text = text.upper() if upper else text.lower()
            return f"{prefix}{sep}{text}" if prefix else text

        def simple(value: Any) -> Any:
            return str(value) if simple_types and isinstance(value, uuid.UUID) else value

        flat: dict[str, Any] = {}
        if ref is not None:
            flat[key("id")] = simple(ref.id)
            flat[key("run")] = ref.run
            flat[key("datasettype")] = ref.datasetType.name
            required = {str(name): value for name, value in ref.dataId.required.items()}
            for name in sorted(required):
                flat[key("dataid", name)] = required[name]
        if self.quantum_id is not None:
            flat[key("quantum")] = simple(self.quantum_id)
        flat[key("n_inputs")] = len(self.inputs)
        if max_inputs is not None and len(self.inputs) > max_inputs:
            return flat
        for position, known in enumerate(self.inputs):
            flat[key("input", position, "id")] = simple(known.id)
            if not store_minimalist_inputs:
                flat[key("input", position, "run")] = known.run
                flat[key("input", position, "datasettype")] = known.datasetType.name
            for name, value in self.extras.get(known.id, {}).items():
                flat[key("input", position, name)] = simple(value)
        return flat

    @staticmethod
    def _prefix(flat: Mapping[str, Any]) -> tuple[str, str] | None:
        """The prefix with its separator, and the separator inside keys, found by the key that is always there."""
        for name in flat:
            if name.lower().endswith("n_inputs"):
                head = name[: -len("n_inputs")]
                return head, head[-1:] or "."
        return None

    @classmethod
    def strip_provenance_from_flat_dict(cls, prov_dict: MutableMapping[str, Any]) -> None:
        """Remove the keys `to_flat_dict` makes, whatever their prefix."""
        found = cls._prefix(prov_dict)
        if found is None:
            return
        head, sep = found
        whole = {"id", "run", "datasettype", "quantum", "n_inputs"}
        beginnings = (f"dataid{sep}", f"input{sep}")
        for name in list(prov_dict):
            rest = name[len(head) :].lower() if name.startswith(head) else ""
            if rest in whole or rest.startswith(beginnings):
                del prov_dict[name]

    @classmethod
    def from_flat_dict(cls, prov_dict: Mapping[str, Any], butler: Any) -> tuple[DatasetProvenance, Any | None]:
        """Read the keys back, looking the datasets up in a butler; returns it and the dataset itself, or None.

        Raises `ValueError` if an input is not known to the butler.
        """
        found = cls._prefix(prov_dict)
        made = cls()
        if found is None:
            return made, None
        head, sep = found
        flat = {name[len(head) :].lower(): value for name, value in prov_dict.items() if name.startswith(head)}
        if "quantum" in flat:
            made.quantum_id = uuid.UUID(str(flat["quantum"]))
        for position in range(int(flat["n_inputs"])):
            beginning = f"input{sep}{position}{sep}"
            own = {name[len(beginning) :]: value for name, value in flat.items() if name.startswith(beginning)}
            if "id" not in own:
                continue
            known = butler.get_dataset(uuid.UUID(str(own["id"])))
            if known is None:
                raise ValueError(f"input dataset `{own['id']}` is not in this repository")
            made.add_input(known)
            extra = {name: value for name, value in own.items() if name not in ("id", "run", "datasettype")}
            if extra:
                made.add_extra_provenance(known.id, extra)
        own_id = flat.get("id")
        return made, None if own_id is None else butler.get_dataset(uuid.UUID(str(own_id)))
