//! Dataset types, records and datasets of a `Registry`.

use crate::{
    call::enter,
    collections::kind_from_number,
    data_coordinate::{PyDataCoordinate, standardize},
    dataset_ref::PyDatasetRef,
    dataset_type::{DatasetTypeParts, PyDatasetType, split_name},
    datastore::{self, PyFileRecord},
    errors::{ErrorClass, raise, to_python},
    group::{PyDimensionGroup, same_universe},
    record::record_from_python,
    registry::PyRegistry,
    timespan::PyTimespan,
    values::{shown, value_to_python},
};
use armillary_dimensions::{DataCoordinate, DimensionGroup, Timespan, Value};
use armillary_registry::{
    CollectionKind, Dataset, DatasetTypeRecord, Expanded, IdMode, InsertMode, RegistryError, Synced,
};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyDict, PyString},
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

/// A dataset, the name of the collection it is in, and when it is valid there.
pub(crate) type Associated = (PyDatasetRef, String, Option<PyTimespan>);

/// What a dataset type was when its Python object was made, and the object.
pub(crate) struct KnownType {
    record: DatasetTypeRecord,
    object: Py<PyDatasetType>,
}

/// The Python object of a dataset type; the same one as long as the definition stays.
pub(crate) fn wrap_type(
    registry: &PyRegistry,
    py: Python<'_>,
    record: &DatasetTypeRecord,
) -> PyResult<Py<PyDatasetType>> {
    let known = || registry.dataset_types.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().get(&record.id).filter(|found| found.record == *record) {
        return Ok(found.object.clone_ref(py));
    }
    // Made without the lock: making an object may run anything, even this.
    let made = PyDatasetType::new(&DatasetTypeParts {
        name: &record.name,
        universe: registry.registry.universe(),
        group: record.group,
        storage_class: &record.storage_class,
        parent_storage_class: None,
        is_calibration: record.calibs_table.is_some(),
    });
    let object = Py::new(py, made)?;
    let replaced = known().insert(record.id, KnownType { record: record.clone(), object: object.clone_ref(py) });
    drop(replaced); // an object dies here, after the lock is gone
    Ok(object)
}

fn stored_type(registry: &PyRegistry, py: Python<'_>, name: &str, recent: bool) -> PyResult<Py<PyDatasetType>> {
    let record = enter(py, || {
        let registry = &registry.registry;
        let catalog = if recent { registry.recent_catalog_with(name)? } else { registry.catalog()? };
        Ok::<_, RegistryError>(catalog.require_dataset_type(name)?.clone())
    })?;
    wrap_type(registry, py, &record)
}

/// The dataset type called `name`; a name with a dot is that of a component.
pub(crate) fn dataset_type(
    registry: &PyRegistry,
    py: Python<'_>,
    name: &str,
    recent: bool,
) -> PyResult<Py<PyDatasetType>> {
    let (parent, component) = split_name(name);
    let parent = stored_type(registry, py, parent, recent)?;
    match component {
        None => Ok(parent),
        Some(component) => {
            let made = parent.bind(py).call_method1("makeComponentDatasetType", (component,))?;
            Ok(made.cast_into::<PyDatasetType>()?.unbind())
        }
    }
}

pub(crate) fn register_dataset_type(registry: &PyRegistry, py: Python<'_>, given: &PyDatasetType) -> PyResult<bool> {
    same_universe(py, registry.registry.universe(), given.universe_arc())?;
    let (name, group) = (given.name_arc(), given.info().group);
    let (storage_class, calibration) = (given.storage_class_str(), given.calibration());
    enter(py, || registry.registry.register_dataset_type(name, group, storage_class, calibration))
}

fn rows(
    registry: &PyRegistry,
    py: Python<'_>,
    element: &str,
    objects: &[Bound<'_, PyAny>],
) -> PyResult<Vec<Arc<[Value]>>> {
    let universe = registry.registry.universe();
    let element = universe.element(element).map_err(|error| to_python(py, &error))?;
    objects.iter().map(|object| record_from_python(universe, element, object).map(|r| r.values().clone())).collect()
}

pub(crate) fn insert_records(
    registry: &PyRegistry,
    py: Python<'_>,
    element: &str,
    objects: &Bound<'_, PyAny>,
    replace: bool,
    skip_existing: bool,
) -> PyResult<()> {
    let mode = match (replace, skip_existing) {
        (false, false) => InsertMode::Plain,
        (true, false) => InsertMode::Replace,
        (false, true) => InsertMode::SkipExisting,
        (true, true) => {
            let message = "`replace` and `skip_existing` contradict each other; give one of them";
            return Err(raise(py, ErrorClass::ArgumentError, message));
        }
    };
    let objects: Vec<Bound<'_, PyAny>> = objects.try_iter()?.collect::<PyResult<_>>()?;
    let rows = rows(registry, py, element, &objects)?;
    enter(py, || registry.registry.insert_records(element, &rows, mode))
}

/// True if the record is new, false if it was there, or a dict of the old values of the fields that changed.
pub(crate) fn sync_record<'py>(
    registry: &PyRegistry,
    py: Python<'py>,
    element: &str,
    object: &Bound<'py, PyAny>,
    update: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let row = rows(registry, py, element, std::slice::from_ref(object))?.remove(0);
    let synced = enter(py, || registry.registry.sync_record(element, &row, update))?;
    let flag = |value| Ok(PyBool::new(py, value).to_owned().into_any());
    let old = match synced {
        Synced::Inserted => return flag(true),
        Synced::Unchanged => return flag(false),
        Synced::Updated(old) => old,
    };
    let element = registry.registry.universe().element(element).map_err(|error| to_python(py, &error))?;
    let changed = PyDict::new(py);
    for (name, value) in old {
        let Some(field) = element.field(&name) else { continue };
        changed.set_item(&name, value_to_python(py, field.kind, &value)?)?;
    }
    Ok(changed.into_any())
}

/// A data ID with whatever dimensions it has.
pub(crate) fn any_data_id(
    registry: &PyRegistry,
    py: Python<'_>,
    object: &Bound<'_, PyAny>,
) -> PyResult<PyDataCoordinate> {
    standardize(py, Some(object), None, Some(registry.registry.universe()), None, None)
}

/// A data ID with these dimensions; others that the object has are dropped.
fn data_id_of(
    registry: &PyRegistry,
    py: Python<'_>,
    object: &Bound<'_, PyAny>,
    group: DimensionGroup,
) -> PyResult<PyDataCoordinate> {
    if let Ok(data_id) = object.cast::<PyDataCoordinate>()
        && data_id.get().id.group() == group
    {
        same_universe(py, registry.registry.universe(), data_id.get().id.universe())?;
        return Ok(data_id.get().clone());
    }
    let dimensions = Bound::new(py, PyDimensionGroup::new(registry.registry.universe(), group))?;
    standardize(py, Some(object), Some(dimensions.as_any()), Some(registry.registry.universe()), None, None)
}

/// Expands data IDs; those that are expanded already stay as they are.
pub(crate) fn expand(
    registry: &PyRegistry,
    py: Python<'_>,
    given: Vec<PyDataCoordinate>,
) -> PyResult<Vec<PyDataCoordinate>> {
    expand_by(py, given, |bare| registry.registry.expand_data_ids(bare))
}

/// As [`expand`], for datasets that are to be written.
pub(crate) fn expand_to_write(
    registry: &PyRegistry,
    py: Python<'_>,
    given: Vec<PyDataCoordinate>,
) -> PyResult<Vec<PyDataCoordinate>> {
    expand_by(py, given, |bare| bare.iter().map(|id| registry.registry.expand_to_write(id)).collect())
}

fn expand_by(
    py: Python<'_>,
    given: Vec<PyDataCoordinate>,
    expand: impl FnOnce(&[DataCoordinate]) -> Result<Vec<Expanded>, RegistryError> + Send,
) -> PyResult<Vec<PyDataCoordinate>> {
    let bare: Vec<_> = given.iter().filter(|id| id.records.is_none()).map(|id| id.id.clone()).collect();
    if bare.is_empty() {
        return Ok(given);
    }
    let mut expanded = enter(py, || expand(&bare))?.into_iter();
    let one = |id: PyDataCoordinate| match id.records {
        Some(_) => Some(id),
        None => expanded.next().map(|found| PyDataCoordinate::new(found.data_id, Some(found.records))),
    };
    Ok(given.into_iter().filter_map(one).collect())
}

/// The datasets that references stand for; a component stands for its parent.
pub(crate) fn plain(registry: &PyRegistry, py: Python<'_>, refs: &[Bound<'_, PyDatasetRef>]) -> PyResult<Vec<Dataset>> {
    let mut names: HashMap<Arc<str>, Arc<str>> = HashMap::new();
    refs.iter()
        .map(|found| {
            let found = found.get();
            same_universe(py, registry.registry.universe(), found.data_id().id.universe())?;
            let name = found.dataset_type().name_arc();
            let parent = names.entry(name.clone()).or_insert_with(|| split_name(name).0.into());
            Ok(Dataset {
                id: found.id_bytes(),
                dataset_type: parent.clone(),
                run: found.run_arc().clone(),
                data_id: found.data_id().id.clone(),
            })
        })
        .collect()
}

fn type_name(object: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(dataset_type) = object.cast::<PyDatasetType>() {
        return Ok(dataset_type.get().name_arc().to_string());
    }
    let name = object.cast::<PyString>().map_err(|_| {
        PyTypeError::new_err(format!("`{}` is neither a `DatasetType` nor the name of one", shown(object)))
    })?;
    Ok(name.to_str()?.to_owned())
}

#[expect(clippy::too_many_arguments, reason = "those of the Python method")]
pub(crate) fn insert_datasets(
    registry: &PyRegistry,
    py: Python<'_>,
    dataset_type: &Bound<'_, PyAny>,
    run: &str,
    data_ids: &[Bound<'_, PyAny>],
    ids: Option<Vec<Bound<'_, PyAny>>>,
    mode: i64,
    expanded: bool,
) -> PyResult<Vec<PyDatasetRef>> {
    let name = type_name(dataset_type)?;
    let object = stored_type(registry, py, &name, false)?;
    let group = object.get().info().group;
    let mut data_ids: Vec<PyDataCoordinate> =
        data_ids.iter().map(|id| data_id_of(registry, py, id, group)).collect::<PyResult<_>>()?;
    if expanded {
        data_ids = expand_by(py, data_ids, |bare| registry.registry.expand_new(bare))?;
    }
    let mode = IdMode::from_number(mode).map_err(|error| to_python(py, &error))?;
    let plain: Vec<_> = data_ids.iter().map(|id| id.id.clone()).collect();
    let given = ids.map(|ids| datastore::ids(&ids)).transpose()?;
    let run_name: Arc<str> = run.into();
    let entered = enter(py, || match given {
        None => registry.registry.insert_datasets(&name, run, &plain, mode),
        Some(ids) if ids.len() != plain.len() => Err(RegistryError::BadArgument {
            reason: format!("{} ids were given for {} data IDs", ids.len(), plain.len()),
        }),
        Some(ids) => {
            let one = |(id, data_id): (&[u8; 16], &DataCoordinate)| Dataset {
                id: *id,
                dataset_type: name.as_str().into(),
                run: run_name.clone(),
                data_id: data_id.clone(),
            };
            let datasets: Vec<_> = ids.iter().zip(&plain).map(one).collect();
            registry.registry.import_datasets(&datasets).map(|()| ids)
        }
    })?;
    let run: Arc<str> = run.into();
    Ok(entered
        .into_iter()
        .zip(data_ids)
        .map(|(id, data_id)| PyDatasetRef::new(object.clone_ref(py), data_id.id, data_id.records, run.clone(), id))
        .collect())
}

/// The reference of a dataset, and the records of its files if `table` names where they are.
pub(crate) fn find(
    registry: &PyRegistry,
    py: Python<'_>,
    dataset_type: &str,
    data_id: &Bound<'_, PyAny>,
    collections: &[String],
    timespan: Option<&Bound<'_, PyTimespan>>,
    table: Option<&str>,
) -> PyResult<Option<(Py<PyAny>, Vec<PyFileRecord>)>> {
    let (parent, component) = split_name(dataset_type);
    let object = stored_type(registry, py, parent, false)?;
    let data_id = data_id_of(registry, py, data_id, object.get().info().group)?;
    let timespan = timespan.map(|timespan| timespan.get().0);
    let found = enter(py, || {
        if let Some(table) = table {
            return registry.registry.find_records(parent, &data_id.id, collections, timespan, table);
        }
        let found = registry.registry.find_dataset(parent, &data_id.id, collections, timespan)?;
        Ok(found.map(|dataset| armillary_registry::Found { dataset, files: Vec::new() }))
    })?;
    let Some(found) = found else { return Ok(None) };
    let dataset = found.dataset;
    let whole = PyDatasetRef::new(object, data_id.id, data_id.records, dataset.run, dataset.id);
    let whole = Bound::new(py, whole)?;
    let found_ref = match component {
        Some(component) => whole.call_method1("makeComponentRef", (component,))?,
        None => whole.into_any(),
    };
    Ok(Some((found_ref.unbind(), found.files.into_iter().map(PyFileRecord::from).collect())))
}

/// References of datasets as the database has them.
fn refs(registry: &PyRegistry, py: Python<'_>, datasets: Vec<Dataset>) -> PyResult<Vec<PyDatasetRef>> {
    let mut types: HashMap<Arc<str>, Py<PyDatasetType>> = HashMap::new();
    datasets
        .into_iter()
        .map(|dataset| {
            let object = if let Some(object) = types.get(&dataset.dataset_type) {
                object.clone_ref(py)
            } else {
                let object = stored_type(registry, py, &dataset.dataset_type, false)?;
                types.insert(dataset.dataset_type.clone(), object.clone_ref(py));
                object
            };
            Ok(PyDatasetRef::new(object, dataset.data_id, None, dataset.run, dataset.id))
        })
        .collect()
}

pub(crate) fn get_datasets(
    registry: &PyRegistry,
    py: Python<'_>,
    objects: &[Bound<'_, PyAny>],
) -> PyResult<Vec<Option<PyDatasetRef>>> {
    let ids = datastore::ids(objects)?;
    let found = enter(py, || registry.registry.get_datasets(&ids))?;
    let known: Vec<bool> = found.iter().map(Option::is_some).collect();
    let mut refs = refs(registry, py, found.into_iter().flatten().collect())?.into_iter();
    Ok(known.into_iter().map(|known| if known { refs.next() } else { None }).collect())
}

pub(crate) fn decertify(
    registry: &PyRegistry,
    py: Python<'_>,
    collection: &str,
    dataset_type: &str,
    timespan: Timespan,
    data_ids: Option<Vec<Bound<'_, PyAny>>>,
) -> PyResult<()> {
    let group = stored_type(registry, py, dataset_type, false)?.get().info().group;
    let data_ids: Option<Vec<_>> = data_ids
        .map(|ids| ids.iter().map(|id| data_id_of(registry, py, id, group).map(|id| id.id)).collect::<PyResult<_>>())
        .transpose()?;
    enter(py, || registry.registry.decertify(collection, dataset_type, timespan, data_ids.as_deref()))
}

pub(crate) fn associations(
    registry: &PyRegistry,
    py: Python<'_>,
    dataset_type: &str,
    collections: &[String],
    kinds: Option<Vec<i64>>,
) -> PyResult<Vec<Associated>> {
    let kinds = match kinds {
        Some(kinds) => kinds.into_iter().map(|kind| kind_from_number(py, kind)).collect::<PyResult<_>>()?,
        None => vec![CollectionKind::Run, CollectionKind::Tagged, CollectionKind::Calibration],
    };
    let found = enter(py, || registry.registry.dataset_associations(dataset_type, collections, &kinds))?;
    let mut places = Vec::with_capacity(found.len());
    let mut datasets = Vec::with_capacity(found.len());
    for association in found {
        places.push((association.collection.to_string(), association.timespan.map(PyTimespan)));
        datasets.push(association.dataset);
    }
    let refs = refs(registry, py, datasets)?;
    Ok(refs.into_iter().zip(places).map(|(found, (collection, timespan))| (found, collection, timespan)).collect())
}
