"""Dataset references without a registry."""

from __future__ import annotations

import pytest

from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse


@pytest.fixture(scope="session")
def universe():
    return DimensionUniverse()


def _record(universe, element, values, fields):
    """A record of an element, its identity and implied values taken from `values`."""
    definition = universe[element]
    known = {str(name): values[str(name)] for name in definition.required.names if str(name) != element}
    known |= {str(name): values[str(name)] for name in definition.implied.names if str(name) in values}
    key = "name" if isinstance(values[element], str) else "id"
    return definition.RecordClass(**known, **{key: values[element]}, **fields)


@pytest.fixture(scope="session")
def make_ref(universe):
    """Make a reference: `make_ref("int", run="r", dimensions=[...], mapping={...}, records={element: fields})`.

    With `records` the data ID is expanded: every dimension gets a record, with these fields.
    """

    def make(storage_class, *, name="thing", run="run", dimensions=(), mapping=None, records=None, parent=None):
        dataset_type = DatasetType(name, dimensions, storage_class, universe=universe, parentStorageClass=parent)
        group = dataset_type.dimensions
        data_id = DataCoordinate.standardize(mapping or {}, dimensions=group)
        if records is not None:
            made = {}
            for element in map(str, group.elements):
                is_dimension = element in mapping and not element.startswith(("htm", "healpix"))
                made[element] = _record(universe, element, mapping, records.get(element, {})) if is_dimension else None
            data_id = data_id.expanded(made)
        return DatasetRef(dataset_type, data_id, run=run)

    return make
