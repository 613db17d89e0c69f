//! `Registry`: the database of one repository.

use crate::{
    call::enter,
    collections,
    data_coordinate::PyDataCoordinate,
    dataset_ref::PyDatasetRef,
    dataset_type::PyDatasetType,
    datasets::{self, Associated},
    datastore::{self, DatasetIds, PyFileRecord},
    errors::{os_error, to_python},
    timespan::PyTimespan,
    universe::{PyDimensionUniverse, wrap_universe},
};
use armillary_registry::{ChainEdit, Durability, Place, PostgresPlace, Registry, RegistryError, WriteError};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex},
};

/// The database of one repository; safe to use from many threads.
#[pyclass(name = "Registry", frozen, module = "armillary._core")]
pub(crate) struct PyRegistry {
    pub(crate) registry: Arc<Registry>,
    /// The Python object of each dataset type that was asked for.
    pub(crate) dataset_types: Mutex<HashMap<i64, datasets::KnownType>>,
}

fn server(url: &str, password: Option<&str>, namespace: Option<&str>) -> Result<Place, RegistryError> {
    PostgresPlace::new(url, password, namespace).map(|place| Place::Server(Box::new(place)))
}

#[pymethods]
impl PyRegistry {
    #[staticmethod]
    fn create(py: Python<'_>, path: PathBuf, universe: &Bound<'_, PyDimensionUniverse>) -> PyResult<()> {
        let universe = universe.get().universe.clone();
        enter(py, || Registry::create(&path, &universe))
    }

    #[staticmethod]
    #[pyo3(signature = (path, *, writeable, durability = "full"))]
    fn open(py: Python<'_>, path: PathBuf, writeable: bool, durability: &str) -> PyResult<Self> {
        let registry = enter(py, || {
            let durability: Durability = durability.parse()?;
            Registry::open_with(&Place::File(path), writeable, durability)
        })?;
        Ok(Self { registry: Arc::new(registry), dataset_types: Mutex::default() })
    }

    #[staticmethod]
    #[pyo3(signature = (url, universe, *, password = None, namespace = None))]
    fn create_on_server(
        py: Python<'_>,
        url: &str,
        universe: &Bound<'_, PyDimensionUniverse>,
        password: Option<&str>,
        namespace: Option<&str>,
    ) -> PyResult<()> {
        let universe = universe.get().universe.clone();
        enter(py, || Registry::create_at(&server(url, password, namespace)?, &universe))
    }

    #[staticmethod]
    #[pyo3(signature = (url, *, writeable, password = None, namespace = None, durability = "full"))]
    fn open_on_server(
        py: Python<'_>,
        url: &str,
        writeable: bool,
        password: Option<&str>,
        namespace: Option<&str>,
        durability: &str,
    ) -> PyResult<Self> {
        let registry = enter(py, || {
            let durability: Durability = durability.parse()?;
            Registry::open_with(&server(url, password, namespace)?, writeable, durability)
        })?;
        Ok(Self { registry: Arc::new(registry), dataset_types: Mutex::default() })
    }

    #[getter]
    fn universe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDimensionUniverse>> {
        wrap_universe(py, self.registry.universe())
    }

    #[getter]
    fn writeable(&self) -> bool {
        self.registry.store().writeable()
    }

    #[getter]
    fn path(&self) -> String {
        self.registry.store().place().shown()
    }

    fn __repr__(&self) -> String {
        let mode = if self.writeable() { "writeable" } else { "read-only" };
        format!("Registry('{}', {mode})", self.path())
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.registry.close());
    }

    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.registry.begin())
    }

    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.registry.commit())
    }

    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.registry.rollback())
    }

    fn row_counts(&self, py: Python<'_>) -> PyResult<BTreeMap<String, i64>> {
        enter(py, || self.registry.row_counts())
    }

    // -- collections

    #[pyo3(signature = (name, kind, doc = None))]
    fn register_collection(&self, py: Python<'_>, name: &str, kind: i64, doc: Option<&str>) -> PyResult<bool> {
        let kind = collections::kind_from_number(py, kind)?;
        enter(py, || self.registry.register_collection(name, kind, doc))
    }

    fn check_collection(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        enter(py, || self.registry.check_collection(name))
    }

    fn collection(&self, py: Python<'_>, name: &str) -> PyResult<collections::Described> {
        enter(py, || collections::describe(&self.registry, name))
    }

    #[pyo3(signature = (patterns = None, kinds = None, *, flatten_chains = false, include_chains = None, dataset_type = None))]
    fn query_collections(
        &self,
        py: Python<'_>,
        patterns: Option<Vec<String>>,
        kinds: Option<Vec<i64>>,
        flatten_chains: bool,
        include_chains: Option<bool>,
        dataset_type: Option<String>,
    ) -> PyResult<Vec<String>> {
        let kinds = kinds.map(|kinds| kinds.into_iter().map(|kind| collections::kind_from_number(py, kind)).collect());
        let filter = armillary_registry::CollectionFilter {
            patterns,
            kinds: kinds.transpose()?,
            flatten_chains,
            include_chains,
            dataset_type,
        };
        enter(py, || self.registry.query_collections(&filter))
    }

    fn flatten_collections(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Vec<String>> {
        enter(py, || collections::flatten(&self.registry, &names))
    }

    fn parents(&self, py: Python<'_>, name: &str) -> PyResult<Vec<String>> {
        enter(py, || collections::parents(&self.registry, name))
    }

    fn check_not_chained(&self, py: Python<'_>, names: Vec<String>) -> PyResult<()> {
        enter(py, || self.registry.check_not_chained(&names))
    }

    #[pyo3(signature = (name, doc))]
    fn set_collection_doc(&self, py: Python<'_>, name: &str, doc: Option<&str>) -> PyResult<()> {
        enter(py, || self.registry.set_collection_doc(name, doc))
    }

    fn set_chain(&self, py: Python<'_>, parent: &str, children: Vec<String>) -> PyResult<()> {
        enter(py, || self.registry.edit_chain(parent, &children, ChainEdit::Redefine))
    }

    fn extend_chain(&self, py: Python<'_>, parent: &str, children: Vec<String>) -> PyResult<()> {
        enter(py, || self.registry.edit_chain(parent, &children, ChainEdit::Extend))
    }

    fn prepend_chain(&self, py: Python<'_>, parent: &str, children: Vec<String>) -> PyResult<()> {
        enter(py, || self.registry.edit_chain(parent, &children, ChainEdit::Prepend))
    }

    fn remove_from_chain(&self, py: Python<'_>, parent: &str, children: Vec<String>) -> PyResult<()> {
        enter(py, || self.registry.edit_chain(parent, &children, ChainEdit::Remove))
    }

    fn remove_collection(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        enter(py, || self.registry.remove_collection(name))
    }

    #[pyo3(signature = (*names))]
    fn collection_summary<'py>(
        &self,
        py: Python<'py>,
        names: Vec<String>,
    ) -> PyResult<(Vec<String>, Bound<'py, PyDict>)> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (dataset_types, governors) = enter(py, || self.registry.collection_summary(&names))?;
        let by_governor = PyDict::new(py);
        for (governor, values) in governors {
            by_governor.set_item(governor, values)?;
        }
        Ok((dataset_types, by_governor))
    }

    fn refresh_summaries(&self, py: Python<'_>) -> PyResult<usize> {
        enter(py, || self.registry.refresh_summaries())
    }

    // -- dataset types

    fn register_dataset_type(&self, py: Python<'_>, dataset_type: &Bound<'_, PyDatasetType>) -> PyResult<bool> {
        datasets::register_dataset_type(self, py, dataset_type.get())
    }

    #[pyo3(signature = (name, *, recent = false))]
    fn dataset_type(&self, py: Python<'_>, name: &str, recent: bool) -> PyResult<Py<PyDatasetType>> {
        datasets::dataset_type(self, py, name, recent)
    }

    #[pyo3(signature = (patterns = None))]
    fn query_dataset_types(&self, py: Python<'_>, patterns: Option<Vec<String>>) -> PyResult<Vec<Py<PyDatasetType>>> {
        let found = enter(py, || self.registry.query_dataset_types(patterns.as_deref()))?;
        found.iter().map(|record| datasets::wrap_type(self, py, record)).collect()
    }

    fn remove_dataset_type(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        enter(py, || self.registry.remove_dataset_type(name))
    }

    // -- dimension records

    #[pyo3(signature = (element, rows, *, replace = false, skip_existing = false))]
    fn insert_records(
        &self,
        py: Python<'_>,
        element: &str,
        rows: &Bound<'_, PyAny>,
        replace: bool,
        skip_existing: bool,
    ) -> PyResult<()> {
        datasets::insert_records(self, py, element, rows, replace, skip_existing)
    }

    #[pyo3(signature = (element, row, *, update = false))]
    fn sync_record<'py>(
        &self,
        py: Python<'py>,
        element: &str,
        row: &Bound<'py, PyAny>,
        update: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        datasets::sync_record(self, py, element, row, update)
    }

    #[pyo3(signature = (data_id, *, to_write = false))]
    fn expand_data_id(&self, py: Python<'_>, data_id: &Bound<'_, PyAny>, to_write: bool) -> PyResult<PyDataCoordinate> {
        let given = vec![datasets::any_data_id(self, py, data_id)?];
        let mut expanded =
            if to_write { datasets::expand_to_write(self, py, given)? } else { datasets::expand(self, py, given)? };
        Ok(expanded.remove(0))
    }

    fn expand_data_ids(&self, py: Python<'_>, ids: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<PyDataCoordinate>> {
        let ids = ids.iter().map(|id| datasets::any_data_id(self, py, id)).collect::<PyResult<_>>()?;
        datasets::expand(self, py, ids)
    }

    // -- datasets

    #[pyo3(signature = (dataset_type, run, data_ids, *, ids = None, mode = 0, expand = false))]
    #[expect(clippy::too_many_arguments, reason = "those of the Python method")]
    fn insert_datasets(
        &self,
        py: Python<'_>,
        dataset_type: &Bound<'_, PyAny>,
        run: &str,
        data_ids: Vec<Bound<'_, PyAny>>,
        ids: Option<Vec<Bound<'_, PyAny>>>,
        mode: i64,
        expand: bool,
    ) -> PyResult<Vec<PyDatasetRef>> {
        datasets::insert_datasets(self, py, dataset_type, run, &data_ids, ids, mode, expand)
    }

    fn import_datasets<'py>(
        &self,
        py: Python<'py>,
        refs: Vec<Bound<'py, PyDatasetRef>>,
    ) -> PyResult<Vec<Bound<'py, PyDatasetRef>>> {
        let plain = datasets::plain(self, py, &refs)?;
        enter(py, || self.registry.import_datasets(&plain))?;
        Ok(refs)
    }

    #[pyo3(signature = (dataset_type, data_id, collections, *, timespan = None))]
    fn find_dataset(
        &self,
        py: Python<'_>,
        dataset_type: &str,
        data_id: &Bound<'_, PyAny>,
        collections: Vec<String>,
        timespan: Option<&Bound<'_, PyTimespan>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let found = datasets::find(self, py, dataset_type, data_id, &collections, timespan, None)?;
        Ok(found.map(|(found, _)| found))
    }

    #[pyo3(signature = (dataset_type, data_id, collections, *, timespan = None, table = "file_datastore_records"))]
    fn find_records(
        &self,
        py: Python<'_>,
        dataset_type: &str,
        data_id: &Bound<'_, PyAny>,
        collections: Vec<String>,
        timespan: Option<&Bound<'_, PyTimespan>>,
        table: &str,
    ) -> PyResult<Option<(Py<PyAny>, Vec<PyFileRecord>)>> {
        datasets::find(self, py, dataset_type, data_id, &collections, timespan, Some(table))
    }

    fn get_dataset(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Option<PyDatasetRef>> {
        Ok(datasets::get_datasets(self, py, std::slice::from_ref(id))?.pop().flatten())
    }

    fn get_datasets(&self, py: Python<'_>, ids: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<Option<PyDatasetRef>>> {
        datasets::get_datasets(self, py, &ids)
    }

    fn run_dataset_ids<'py>(&self, py: Python<'py>, run: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let ids = enter(py, || self.registry.run_dataset_ids(run))?;
        ids.iter().map(|id| crate::values::uuid_to_python(py, id)).collect()
    }

    fn packed_dataset_ids<'py>(&self, py: Python<'py>, runs: Vec<String>) -> PyResult<Bound<'py, PyBytes>> {
        let ids =
            enter(py, || runs.iter().map(|run| self.registry.run_dataset_ids(run)).collect::<Result<Vec<_>, _>>())?;
        Ok(PyBytes::new(py, ids.concat().as_flattened()))
    }

    fn remove_datasets(&self, py: Python<'_>, refs: Vec<Bound<'_, PyDatasetRef>>) -> PyResult<()> {
        let ids: Vec<_> = refs.iter().map(|found| found.get().id_bytes()).collect();
        enter(py, || self.registry.remove_datasets(&ids))
    }

    fn associate(&self, py: Python<'_>, collection: &str, refs: Vec<Bound<'_, PyDatasetRef>>) -> PyResult<()> {
        let plain = datasets::plain(self, py, &refs)?;
        enter(py, || self.registry.associate(collection, &plain))
    }

    fn disassociate(&self, py: Python<'_>, collection: &str, refs: Vec<Bound<'_, PyDatasetRef>>) -> PyResult<()> {
        let plain = datasets::plain(self, py, &refs)?;
        enter(py, || self.registry.disassociate(collection, &plain))
    }

    fn certify(
        &self,
        py: Python<'_>,
        collection: &str,
        refs: Vec<Bound<'_, PyDatasetRef>>,
        timespan: &Bound<'_, PyTimespan>,
    ) -> PyResult<()> {
        let (plain, timespan) = (datasets::plain(self, py, &refs)?, timespan.get().0);
        enter(py, || self.registry.certify(collection, &plain, timespan))
    }

    #[pyo3(signature = (collection, dataset_type, timespan, data_ids = None))]
    fn decertify(
        &self,
        py: Python<'_>,
        collection: &str,
        dataset_type: &str,
        timespan: &Bound<'_, PyTimespan>,
        data_ids: Option<Vec<Bound<'_, PyAny>>>,
    ) -> PyResult<()> {
        datasets::decertify(self, py, collection, dataset_type, timespan.get().0, data_ids)
    }

    #[pyo3(signature = (dataset_type, collections, kinds = None))]
    fn dataset_associations(
        &self,
        py: Python<'_>,
        dataset_type: &str,
        collections: Vec<String>,
        kinds: Option<Vec<i64>>,
    ) -> PyResult<Vec<Associated>> {
        datasets::associations(self, py, dataset_type, &collections, kinds)
    }

    // -- what datastores keep

    #[pyo3(signature = (table = "file_datastore_records"))]
    fn prepare_datastore(&self, py: Python<'_>, table: &str) -> PyResult<()> {
        enter(py, || self.registry.prepare_datastore(table))
    }

    fn begin_write(&self, py: Python<'_>, datastore_name: &str, paths: Vec<String>) -> PyResult<i64> {
        enter(py, || self.registry.begin_write(datastore_name, &paths))
    }

    #[pyo3(signature = (datastore_name, root, path, content, *, durable))]
    fn write_announced(
        &self,
        py: Python<'_>,
        datastore_name: &str,
        root: PathBuf,
        path: &str,
        content: &[u8],
        durable: bool,
    ) -> PyResult<Option<i64>> {
        let written = py.detach(|| self.registry.write_announced(datastore_name, &root, path, content, durable));
        written.map_err(|error| match error {
            WriteError::Registry(error) => to_python(py, &error),
            WriteError::File(error) => os_error(&error, &root.join(path)),
        })
    }

    #[pyo3(signature = (intent, datastore_name, refs, records, *, register, table = "file_datastore_records"))]
    #[expect(clippy::too_many_arguments, reason = "one call carries all rows of a write")]
    fn finish_write(
        &self,
        py: Python<'_>,
        intent: Option<i64>,
        datastore_name: &str,
        refs: Vec<Bound<'_, PyDatasetRef>>,
        records: Vec<Bound<'_, PyFileRecord>>,
        register: bool,
        table: &str,
    ) -> PyResult<()> {
        let plain = datasets::plain(self, py, &refs)?;
        let records: Vec<_> = records.iter().map(|record| record.get().record.clone()).collect();
        enter(py, || self.registry.finish_write(intent, datastore_name, table, &plain, &records, register))
    }

    fn abandon_write(&self, py: Python<'_>, intent: i64) -> PyResult<()> {
        enter(py, || self.registry.abandon_write(intent))
    }

    fn begin_recovery(
        &self,
        py: Python<'_>,
        tables: BTreeMap<String, String>,
    ) -> PyResult<Vec<(i64, String, Vec<String>)>> {
        let stale = enter(py, || self.registry.begin_recovery(&tables))?;
        Ok(stale.into_iter().map(|intent| (intent.id, intent.datastore_name, intent.orphans)).collect())
    }

    fn end_recovery(&self, py: Python<'_>, undone: Vec<i64>) -> PyResult<()> {
        enter(py, || self.registry.end_recovery(&undone))
    }

    fn announced_files(&self, py: Python<'_>) -> PyResult<Vec<(String, String, bool)>> {
        let found = enter(py, || self.registry.announced_files())?;
        Ok(found.into_iter().map(|file| (file.datastore_name, file.path, file.stale)).collect())
    }

    #[pyo3(signature = (ids, *, table = "file_datastore_records"))]
    #[expect(clippy::needless_pass_by_value, reason = "that is how arguments come")]
    fn records(&self, py: Python<'_>, ids: DatasetIds, table: &str) -> PyResult<Vec<PyFileRecord>> {
        let found = enter(py, || self.registry.file_records(table, &ids.0))?;
        Ok(found.into_iter().map(PyFileRecord::from).collect())
    }

    #[pyo3(signature = (ids, *, table = "file_datastore_records"))]
    #[expect(clippy::needless_pass_by_value, reason = "that is how arguments come")]
    fn file_paths(&self, py: Python<'_>, ids: DatasetIds, table: &str) -> PyResult<Vec<String>> {
        enter(py, || self.registry.file_paths(table, &ids.0))
    }

    #[pyo3(signature = (ids, datastore_name = None))]
    fn locations<'py>(
        &self,
        py: Python<'py>,
        ids: Vec<Bound<'py, PyAny>>,
        datastore_name: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        datastore::locations(self, py, &ids, datastore_name)
    }

    #[pyo3(signature = (datastore_name, ids, *, purge, table = "file_datastore_records"))]
    #[expect(clippy::needless_pass_by_value, reason = "that is how arguments come")]
    fn unstore(&self, py: Python<'_>, datastore_name: &str, ids: DatasetIds, purge: bool, table: &str) -> PyResult<()> {
        enter(py, || self.registry.unstore(datastore_name, table, &ids.0, purge))
    }

    #[pyo3(signature = (paths, *, table = "file_datastore_records"))]
    #[expect(clippy::needless_pass_by_value, reason = "that is how arguments come")]
    fn unnamed_files(&self, py: Python<'_>, paths: Vec<String>, table: &str) -> PyResult<Vec<String>> {
        enter(py, || self.registry.unnamed_files(table, &paths))
    }

    #[pyo3(signature = (datastore_name, *, table = "file_datastore_records"))]
    fn trashed(&self, py: Python<'_>, datastore_name: &str, table: &str) -> PyResult<Vec<PyFileRecord>> {
        let found = enter(py, || self.registry.trashed(datastore_name, table))?;
        Ok(found.into_iter().map(PyFileRecord::from).collect())
    }

    #[pyo3(signature = (datastore_name, ids, *, table = "file_datastore_records"))]
    fn empty_trash(&self, py: Python<'_>, datastore_name: &str, ids: DatasetIds, table: &str) -> PyResult<()> {
        enter(py, || self.registry.empty_trash(datastore_name, table, &ids.0))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFileRecord>()?;
    module.add_class::<PyRegistry>()
}
