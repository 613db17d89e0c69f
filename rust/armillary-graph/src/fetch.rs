//! The only place that asks the registry.

use crate::GraphError;
use armillary_dimensions::{Column, DimensionGroup, ElementIndex, Key, Timespan, Universe, Value, nearest};
use armillary_registry::{
    Registry,
    query::{Clause, DatasetSearch, QueryRequest, QueryResult, ResultKind, Upload},
};
use std::{collections::HashMap, sync::Arc};

/// A dataset in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDataset {
    /// Required values of its data ID, then the implied ones if they are known.
    pub values: Vec<Key>,
    /// Its id.
    pub id: crate::Id,
    /// Its run.
    pub run: Arc<str>,
}

/// A calibration and the time for which it is certified in one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCalibration {
    /// The dataset.
    pub dataset: FoundDataset,
    /// Position of the collection in the search path.
    pub rank: usize,
    /// When it is valid.
    pub timespan: Timespan,
}

/// The rows of an initial join, and why there are none.
#[derive(Clone, Debug, Default)]
pub struct FoundRows {
    /// One column for each dimension.
    pub columns: Vec<(ElementIndex, Column)>,
    /// Reasons for an empty answer.
    pub reasons: Vec<String>,
}

/// Required values of a data ID and the values of a record.
pub type FoundRecord = (Box<[Key]>, Arc<[Value]>);

/// Which data IDs are asked for: those that satisfy the conditions, have a dataset of each type and are in each table.
#[derive(Clone, Debug, Default)]
pub struct DataIdQuery {
    /// Their dimensions.
    pub group: DimensionGroup,
    /// Dimensions that are joined besides those and the ones that conditions name.
    pub joined: DimensionGroup,
    /// Conditions.
    pub clauses: Vec<Clause>,
    /// Values that dimensions must have.
    pub data_id: Vec<(String, Value)>,
    /// Types of datasets that must exist.
    pub searches: Vec<DatasetSearch>,
    /// Tables of data IDs.
    pub tables: Vec<Upload>,
}

impl From<DataIdQuery> for QueryRequest {
    fn from(query: DataIdQuery) -> Self {
        let mut request = Self::new(ResultKind::DataIds(query.group));
        request.dimensions = query.joined;
        request.clauses = query.clauses;
        request.data_id = query.data_id;
        request.joins = query.searches;
        request.uploads = query.tables;
        request
    }
}

/// What building a graph asks of a repository.
pub trait Fetch: Send + Sync {
    /// The data IDs that are asked for.
    fn data_ids(&self, query: DataIdQuery) -> Result<FoundRows, GraphError>;

    /// All dimensions that take part when these data IDs are looked for.
    fn dimensions(&self, query: &DataIdQuery) -> Result<DimensionGroup, GraphError>;

    /// Whether a dataset type is registered.
    fn is_registered(&self, dataset_type: &str) -> Result<bool, GraphError>;

    /// The name of the registered dataset type that is most like a name, if any is.
    fn nearest_registered(&self, dataset_type: &str) -> Result<Option<String>, GraphError>;

    /// Whether there is a collection of this name.
    fn has_collection(&self, name: &str) -> Result<bool, GraphError>;

    /// Names of the collections that a search looks into, in order.
    fn flatten(&self, names: &[String]) -> Result<Vec<String>, GraphError>;

    /// Datasets with these required values, each in the first collection that has it.
    fn datasets(
        &self,
        search: &DatasetSearch,
        dimensions: &[ElementIndex],
        ids: &[Box<[Key]>],
    ) -> Result<Vec<FoundDataset>, GraphError>;

    /// Calibrations that agree with these values of some of their dimensions, in all collections.
    fn calibrations(
        &self,
        search: &DatasetSearch,
        dimensions: &[ElementIndex],
        ids: &[Box<[Key]>],
    ) -> Result<Vec<FoundCalibration>, GraphError>;

    /// Records of an element.
    fn records(&self, element: ElementIndex, ids: &[Box<[Key]>]) -> Result<Vec<FoundRecord>, GraphError>;
}

impl Fetch for Registry {
    fn data_ids(&self, query: DataIdQuery) -> Result<FoundRows, GraphError> {
        let keys = self.universe().info(query.group);
        let request = QueryRequest::from(query);
        let answer = self.query(&request)?;
        let mut reasons = answer.reasons;
        if answer.rows == 0 && reasons.is_empty() {
            reasons = self.query_explain(&request)?;
        }
        Ok(FoundRows { columns: keys.keys().zip(answer.keys).collect(), reasons })
    }

    fn dimensions(&self, query: &DataIdQuery) -> Result<DimensionGroup, GraphError> {
        Ok(self.query_dimensions(&query.clone().into())?)
    }

    fn is_registered(&self, dataset_type: &str) -> Result<bool, GraphError> {
        Ok(self.catalog()?.dataset_type(dataset_type).is_some())
    }

    fn nearest_registered(&self, dataset_type: &str) -> Result<Option<String>, GraphError> {
        let catalog = self.catalog()?;
        Ok(nearest(dataset_type, catalog.dataset_types().map(|known| &*known.name)))
    }

    fn has_collection(&self, name: &str) -> Result<bool, GraphError> {
        Ok(self.catalog()?.collection(name).is_some())
    }

    fn flatten(&self, names: &[String]) -> Result<Vec<String>, GraphError> {
        let catalog = self.catalog()?;
        let ids = catalog.flatten(names)?;
        Ok(ids.into_iter().filter_map(|id| Some(catalog.collection_by_id(id)?.name.to_string())).collect())
    }

    fn datasets(
        &self,
        search: &DatasetSearch,
        dimensions: &[ElementIndex],
        ids: &[Box<[Key]>],
    ) -> Result<Vec<FoundDataset>, GraphError> {
        if !self.is_registered(&search.dataset_type)? || search.collections.is_empty() {
            return Ok(Vec::new());
        }
        let mut request = QueryRequest::new(ResultKind::Datasets { search: search.clone(), find_first: true });
        request.uploads = upload(dimensions, ids);
        Ok(found(&self.query(&request)?))
    }

    fn calibrations(
        &self,
        search: &DatasetSearch,
        dimensions: &[ElementIndex],
        ids: &[Box<[Key]>],
    ) -> Result<Vec<FoundCalibration>, GraphError> {
        let catalog = self.catalog()?;
        let Some(record) = catalog.dataset_type(&search.dataset_type).cloned() else { return Ok(Vec::new()) };
        let mut rank = HashMap::new();
        for id in catalog.flatten(&search.collections)? {
            if let Some(collection) = catalog.collection_by_id(id) {
                let next = rank.len();
                rank.entry(collection.name.clone()).or_insert(next);
            }
        }
        let name = &search.dataset_type;
        let columns = ["dataset_id", "run", "collection", "timespan"].map(|field| format!("{name}.{field}"));
        let kind = ResultKind::General { dimensions: record.group, columns: columns.to_vec(), find_first: None };
        let mut request = QueryRequest::new(kind).joined(search.clone());
        request.uploads = upload(dimensions, ids);
        let answer = self.query(&request)?;
        let column = |field: &str| {
            let wanted = format!("{name}.{field}");
            let found = answer.columns.iter().find(|column| column.name == wanted);
            found
                .map(|column| &column.values)
                .ok_or(GraphError::Build { reason: format!("the query gave no `{wanted}`") })
        };
        let (ids, runs) = (column("dataset_id")?, column("run")?);
        let (collections, spans) = (column("collection")?, column("timespan")?);
        let mut calibrations = Vec::with_capacity(answer.rows);
        for row in 0..answer.rows {
            let Some(dataset) = dataset(&answer, ids, runs, row) else { continue };
            let Value::Str(collection) = collections.get(row) else { continue };
            // Outside of calibration collections a dataset is always valid.
            let timespan = if let Value::Timespan(span) = spans.get(row) { span } else { Timespan::ALL };
            let rank = rank.get(&collection).copied().unwrap_or(usize::MAX);
            calibrations.push(FoundCalibration { dataset, rank, timespan });
        }
        Ok(calibrations)
    }

    fn records(&self, element: ElementIndex, ids: &[Box<[Key]>]) -> Result<Vec<FoundRecord>, GraphError> {
        let universe: &Universe = self.universe();
        let found = universe.get(element);
        if !found.has_table() {
            // Such an element is nothing but its own value.
            return Ok(ids.iter().map(|key| (key.clone(), key.iter().cloned().map(Value::from).collect())).collect());
        }
        let mut request = QueryRequest::new(ResultKind::Records(element));
        let dimensions: Vec<ElementIndex> = found.required.iter().collect();
        request.uploads = upload(&dimensions, ids);
        let answer = self.query(&request)?;
        let Some(table) = answer.records.iter().find(|table| table.element == element) else { return Ok(Vec::new()) };
        let rows = (0..answer.rows).filter_map(|row| table.rows.get(row).copied());
        let rows = rows.filter(|position| *position != armillary_registry::query::RecordTable::NONE);
        Ok(rows
            .filter_map(|position| {
                let values = table.values(position);
                let key = values[..dimensions.len()].iter().map(Value::to_key).collect::<Option<Box<[Key]>>>()?;
                Some((key, values))
            })
            .collect())
    }
}

/// The data IDs to look up; none at all when there are no dimensions to tell them apart.
fn upload(dimensions: &[ElementIndex], ids: &[Box<[Key]>]) -> Vec<Upload> {
    if dimensions.is_empty() {
        return Vec::new();
    }
    let rows = ids.iter().map(|key| key.iter().cloned().map(Value::from).collect()).collect();
    vec![Upload { dimensions: dimensions.to_vec(), rows }]
}

fn found(answer: &QueryResult) -> Vec<FoundDataset> {
    let Some(columns) = &answer.datasets else { return Vec::new() };
    (0..answer.rows).filter_map(|row| dataset(answer, &columns.ids, &columns.runs, row)).collect()
}

fn dataset(answer: &QueryResult, ids: &Column, runs: &Column, row: usize) -> Option<FoundDataset> {
    let values = answer.keys.iter().map(|column| column.get(row).to_key()).collect::<Option<Vec<Key>>>()?;
    let (Value::Uuid(id), Value::Str(run)) = (ids.get(row), runs.get(row)) else { return None };
    Some(FoundDataset { values, id, run })
}
