//! From a request to its answer.

use super::{
    answer::{DatasetColumns, Meaning, NamedColumn, QueryResult, RecordTable},
    error::{QueryError, QueryProblem},
    plan::Plan,
    predicate::{DatasetField, Owner, Reference, Sort},
    refine::{distinct, refine},
    request::{QueryRequest, ResultKind},
    rows::Distinct,
    skypix::Pixelization,
    statement::{Statement, key_type},
};
use crate::{Catalog, Registry, RegistryError, Store};
use armillary_dimensions::{
    Column, ColumnType, DataCoordinate, ElementIndex, FieldRole, Key, StrColumn, Universe, Value,
};
use std::collections::HashMap;

/// A statement with the positions of what the answer takes from its rows.
pub(crate) struct Query<'a> {
    registry: &'a Registry,
    plan: &'a Plan,
    statement: Statement<'a>,
    keys: Vec<usize>,
    /// Id and run of the dataset.
    dataset: Option<(usize, usize)>,
    /// Where collections compete: what tells data IDs apart, and the collection and id of the dataset.
    ranked: Option<Ranked>,
    columns: Vec<usize>,
    records: Vec<RecordColumns>,
}

/// The columns that decide which collection comes first.
struct Ranked {
    search: usize,
    identity: Vec<usize>,
    collection: usize,
    id: usize,
    /// When the dataset begins to be valid, where the answer says so and it may be certified more than once.
    begin: Option<usize>,
}

/// How the records of an element are found.
enum RecordColumns {
    /// By the number of their row.
    Row(ElementIndex, usize),
    /// All their fields are in the row of the answer.
    Fields(ElementIndex, Vec<usize>),
    /// They say nothing but their key.
    Key(ElementIndex, usize),
}

impl<'a> Query<'a> {
    /// Prepares the statement; records only if wanted, and for a count no more than tells rows apart.
    pub(crate) fn new(
        registry: &'a Registry,
        plan: &'a Plan,
        request: &QueryRequest,
        with_records: bool,
    ) -> Result<Self, RegistryError> {
        let mut statement = Statement::new(plan, registry.store(), registry.ingest_date_is_text(), &request.uploads)?;
        let info = plan.universe.info(plan.output);
        let ranks = plan.find_first.is_some_and(|search| !plan.searches[search].is_single());
        let narrow = !with_records && (has_unique_rows(plan, &statement) || (ranks && plan.gives_datasets));
        let wanted: Vec<ElementIndex> = if narrow { info.required.clone() } else { info.keys().collect() };
        let keys: Vec<usize> = wanted.into_iter().map(|index| statement.select_key(index)).collect();
        let dataset = (plan.gives_datasets && !narrow)
            .then(|| (statement.select_dataset(0, DatasetField::Id), statement.select_dataset(0, DatasetField::Run)));
        let ranked = plan.find_first.filter(|search| !plan.searches[*search].is_single()).map(|search| {
            let found = plan.universe.info(plan.searches[search].dataset_type.group);
            let mut identity: Vec<ElementIndex> = info.required.iter().chain(&found.required).copied().collect();
            identity.sort_unstable();
            identity.dedup();
            Ranked {
                search,
                identity: identity.into_iter().map(|index| statement.select_key(index)).collect(),
                collection: statement.select_dataset(search, DatasetField::Collection),
                id: statement.select_dataset(search, DatasetField::Id),
                begin: (plan.searches[search].has_calibrations() && plan.tells_validity(search))
                    .then(|| statement.select_reference(Reference::Begin(Owner::Search(search)), ColumnType::Int)),
            }
        });
        let columns = plan
            .columns
            .iter()
            .filter(|_| !narrow)
            .map(|(_, reference, sort)| statement.select_reference(*reference, column_type(*sort)))
            .collect();
        let mut query = Self { registry, plan, statement, keys, dataset, ranked, columns, records: Vec::new() };
        match request.result {
            ResultKind::Records(element) if with_records => query.add_result_record(element),
            // Records that do not exist do not count.
            ResultKind::Records(element) if plan.universe.get(element).has_table() => {
                query.statement.table(element);
            }
            _ if narrow => query.statement.drop_tables(),
            _ if with_records && request.with_records => {
                for element in &info.elements {
                    query.add_record(*element);
                }
            }
            _ => {}
        }
        Ok(query)
    }

    fn add_record(&mut self, index: ElementIndex) {
        let columns = if self.plan.universe.get(index).has_table() {
            RecordColumns::Row(index, self.statement.select_row(index, true))
        } else {
            RecordColumns::Key(index, self.statement.select_key(index))
        };
        self.records.push(columns);
    }

    fn add_result_record(&mut self, index: ElementIndex) {
        let element = self.plan.universe.get(index);
        if !element.has_table() {
            return self.add_record(index);
        }
        self.statement.table(index);
        if !(self.is_unique() && self.statement.checks.is_empty()) {
            return self.add_record(index);
        }
        let owner = Owner::Element(index);
        let positions = element
            .fields
            .iter()
            .enumerate()
            .map(|(position, field)| {
                let reference = match field.role {
                    FieldRole::Required(dimension) => Reference::Key(dimension),
                    FieldRole::Region => Reference::Region(index),
                    FieldRole::Timespan => Reference::Timespan(owner),
                    FieldRole::Implied(_) | FieldRole::AlternateKey | FieldRole::Metadata => {
                        Reference::Field(index, position)
                    }
                };
                self.statement.select_reference(reference, field.kind.into())
            })
            .collect();
        self.records.push(RecordColumns::Fields(index, positions));
    }

    /// Whether every row of the statement is another row of the answer.
    fn is_unique(&self) -> bool {
        has_unique_rows(self.plan, &self.statement)
    }

    /// Whether rows must be looked at before they can be counted.
    fn needs_rust(&self) -> bool {
        !self.statement.checks.is_empty() || self.ranked.is_some()
    }

    /// How many rows there are.
    pub(crate) fn count(&self, request: &QueryRequest) -> Result<usize, RegistryError> {
        if self.needs_rust() || self.statement.pairs.is_some() {
            let columns = self.statement.fetch(self.registry.store(), false, None)?;
            let rows = self.choose(&columns)?.len().saturating_sub(request.offset);
            return Ok(request.limit.map_or(rows, |limit| rows.min(limit)));
        }
        let limit = (request.limit.is_some() || request.offset > 0)
            .then(|| (request.limit.unwrap_or(usize::MAX), request.offset));
        let (inner, _) = self.statement.finish(!self.is_unique(), limit);
        let sql = format!("SELECT count(*) FROM ({}) AS counted", inner.text);
        let columns = self.registry.store().select(&sql, &inner.values, &[ColumnType::Int])?;
        Ok(columns.first().map_or(0, |column| match column.get(0) {
            Value::Int(count) => usize::try_from(count).unwrap_or(0),
            _ => 0,
        }))
    }

    /// The text of the statement.
    pub(crate) fn sql(&self) -> String {
        self.statement.finish(!self.is_unique() && !self.needs_rust(), None).0.text
    }

    /// The whole answer.
    pub(crate) fn answer(&self, request: &QueryRequest) -> Result<QueryResult, RegistryError> {
        let store = self.registry.store();
        let limited = request.limit.is_some() || request.offset > 0;
        let in_sql = !self.needs_rust() && (self.is_unique() || limited);
        let columns = if in_sql {
            let limit = limited.then(|| (request.limit.unwrap_or(usize::MAX), request.offset));
            self.statement.fetch(store, !self.is_unique(), limit)?
        } else {
            let columns = self.statement.fetch(store, false, None)?;
            let rows = self.choose(&columns)?;
            let start = request.offset.min(rows.len());
            let end = request.limit.map_or(rows.len(), |limit| (start + limit).min(rows.len()));
            let rows = &rows[start..end];
            if rows.len() == columns[0].len() {
                columns
            } else {
                columns.iter().map(|column| column.take(rows)).collect()
            }
        };
        self.assemble(&columns)
    }

    /// The rows of the answer among those of the statement.
    fn choose(&self, columns: &[Column]) -> Result<Vec<usize>, RegistryError> {
        let plan = self.plan;
        let rows = refine(self.registry.store(), &plan.universe, &self.statement.checks, columns)?;
        let rows = match &self.ranked {
            Some(ranked) => self.first(columns, &rows, ranked)?,
            None => rows,
        };
        if self.ranked.is_some() && self.plan.gives_datasets {
            return Ok(rows);
        }
        if self.is_unique() {
            return Ok(rows);
        }
        let mut identity = self.keys.clone();
        identity.extend(self.dataset.map(|(id, _)| id));
        identity.extend(&self.columns);
        let identity: Vec<&Column> = identity.iter().map(|position| &columns[*position]).collect();
        let mut seen = Distinct::new(&identity, rows.len());
        Ok(rows.into_iter().filter(|row| seen.insert(*row)).collect())
    }

    /// For each data ID the row from the first collection that has one.
    fn first(&self, columns: &[Column], rows: &[usize], ranked: &Ranked) -> Result<Vec<usize>, RegistryError> {
        let places = &self.plan.searches[ranked.search].collections;
        let ranks: HashMap<i64, usize> = places.iter().enumerate().map(|(rank, place)| (place.id, rank)).collect();
        let rank_of = |row: usize| match columns[ranked.collection].get(row) {
            Value::Int(collection) => ranks.get(&collection).copied().unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let identity: Vec<&Column> = ranked.identity.iter().map(|position| &columns[*position]).collect();
        let differ = |a: usize, b: usize| {
            let differ_in = |column: usize| columns[column].get(a) != columns[column].get(b);
            differ_in(ranked.id) || ranked.begin.is_some_and(differ_in)
        };
        let mut seen = Distinct::new(&identity, rows.len());
        let mut best: Vec<(usize, usize, Option<usize>)> = Vec::new();
        for row in rows {
            let position = seen.position(*row);
            let rank = rank_of(*row);
            match best.get_mut(position) {
                None => best.push((*row, rank, None)),
                Some(known) if rank < known.1 => *known = (*row, rank, None),
                Some(known) if rank == known.1 && differ(known.0, *row) => known.2 = Some(*row),
                Some(_) => {}
            }
        }
        if let Some((row, rank, Some(_))) = best.iter().find(|(_, _, rival)| rival.is_some()) {
            return Err(self.ambiguous(columns, *row, ranked.search, *rank).into());
        }
        // The order of the rows is that of the statement, so that sorting is kept.
        let mut chosen: Vec<usize> = best.into_iter().map(|(row, _, _)| row).collect();
        chosen.sort_unstable();
        Ok(chosen)
    }

    fn ambiguous(&self, columns: &[Column], row: usize, search: usize, rank: usize) -> QueryError {
        let plan = self.plan;
        let search = &plan.searches[search];
        let info = plan.universe.info(plan.output);
        let values = self.keys[..info.required.len()]
            .iter()
            .map(|position| columns[*position].get(row).to_key().unwrap_or(Key::Int(0)))
            .collect();
        let data_id = DataCoordinate::from_values(plan.universe.clone(), info, values);
        let collection = search.collections.get(rank).and_then(|place| plan.catalog.collection_by_id(place.id));
        QueryProblem::AmbiguousCalibration {
            dataset_type: search.dataset_type.name.to_string(),
            data_id: data_id.to_string(),
            collection: collection.map_or_else(String::new, |found| found.name.to_string()),
        }
        .into()
    }

    fn assemble(&self, columns: &[Column]) -> Result<QueryResult, RegistryError> {
        let plan = self.plan;
        let rows = columns.first().map_or(0, Column::len);
        let pick = |position: &usize| columns[*position].clone();
        let datasets = match self.dataset {
            None => None,
            Some((id, run)) => Some(DatasetColumns {
                dataset_type: plan.searches[0].dataset_type.clone(),
                ids: columns[id].clone(),
                runs: names_of_runs(&plan.catalog, &columns[run])?,
            }),
        };
        let records: Result<Vec<RecordTable>, RegistryError> =
            self.records.iter().map(|record| self.record_table(record, columns)).collect();
        Ok(QueryResult {
            universe: plan.universe.clone(),
            group: plan.output,
            rows,
            keys: self.keys.iter().map(pick).collect(),
            datasets,
            records: records?,
            columns: plan
                .columns
                .iter()
                .zip(&self.columns)
                .map(|((name, _, sort), position)| named(name, pick(position), *sort))
                .collect(),
            reasons: Vec::new(),
        })
    }

    fn record_table(&self, record: &RecordColumns, columns: &[Column]) -> Result<RecordTable, RegistryError> {
        let universe = &self.plan.universe;
        match record {
            RecordColumns::Row(element, column) => {
                records_by_row(self.registry.store(), universe, *element, &columns[*column])
            }
            RecordColumns::Fields(element, positions) => {
                let rows = columns.first().map_or(0, Column::len);
                Ok(RecordTable {
                    element: *element,
                    rows: (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect(),
                    columns: positions.iter().map(|position| columns[*position].clone()).collect(),
                })
            }
            RecordColumns::Key(element, column) => Ok(records_by_key(universe, *element, &columns[*column])),
        }
    }
}

fn has_unique_rows(plan: &Plan, statement: &Statement) -> bool {
    let searches =
        plan.searches.iter().enumerate().all(|(position, search)| {
            if plan.answers_with(position) { search.is_distinct() } else { search.is_single() }
        });
    searches && statement.is_unique()
}

/// An answer without rows.
pub(crate) fn empty_answer(plan: &Plan, reasons: Vec<String>) -> QueryResult {
    let info = plan.universe.info(plan.output);
    QueryResult {
        universe: plan.universe.clone(),
        group: plan.output,
        rows: 0,
        keys: info.keys().map(|index| Column::new(key_type(plan.universe.get(index)))).collect(),
        datasets: plan.gives_datasets.then(|| DatasetColumns {
            dataset_type: plan.searches[0].dataset_type.clone(),
            ids: Column::new(ColumnType::Uuid),
            runs: Column::new(ColumnType::Str),
        }),
        records: Vec::new(),
        columns: plan
            .columns
            .iter()
            .map(|(name, _, sort)| named(name, Column::new(column_type(*sort)), *sort))
            .collect(),
        reasons,
    }
}

fn named(name: &str, values: Column, sort: Sort) -> NamedColumn {
    let meaning = match sort {
        Sort::Time => Meaning::Time,
        Sort::Region => Meaning::Region,
        Sort::Int | Sort::Float | Sort::Text | Sort::Bool | Sort::Hash | Sort::Uuid | Sort::Timespan => Meaning::Plain,
    };
    NamedColumn { name: name.to_owned(), values, meaning }
}

const fn column_type(sort: Sort) -> ColumnType {
    match sort {
        Sort::Int | Sort::Time => ColumnType::Int,
        Sort::Float => ColumnType::Float,
        Sort::Text => ColumnType::Str,
        Sort::Bool => ColumnType::Bool,
        Sort::Hash | Sort::Region => ColumnType::Bytes,
        Sort::Uuid => ColumnType::Uuid,
        Sort::Timespan => ColumnType::Timespan,
    }
}

fn names_of_runs(catalog: &Catalog, keys: &Column) -> Result<Column, RegistryError> {
    let mut names = StrColumn::default();
    if let Column::Int { values, .. } = keys {
        for key in values {
            let run = catalog.collection_by_id(*key).ok_or_else(|| RegistryError::Corrupt {
                what: "`dataset.run_id`".to_owned(),
                reason: format!("no collection has the number {key}"),
            })?;
            names.push(&run.name);
        }
    }
    Ok(Column::Str(names))
}

/// Fetches records by the numbers of their rows, each once.
fn records_by_row(
    store: &Store,
    universe: &Universe,
    index: ElementIndex,
    numbers: &Column,
) -> Result<RecordTable, RegistryError> {
    let element = universe.get(index);
    let all: Vec<usize> = (0..numbers.len()).collect();
    let wanted = distinct(numbers, &all);
    let dialect = store.dialect();
    let mut sql = format!("SELECT {}", dialect.row_number());
    let mut types = vec![ColumnType::Int];
    for field in &element.fields {
        sql.push_str(", ");
        types.push(field.kind.into());
        if field.role == FieldRole::Timespan {
            sql.push_str(&dialect.timespan_bounds("", &field.name).join(", "));
        } else {
            dialect.identifier(&mut sql, &field.name);
        }
    }
    sql.push_str(" FROM ");
    dialect.identifier(&mut sql, &element.name);
    sql.push_str(" WHERE ");
    sql.push_str(dialect.row_number());
    dialect.in_json_array(&mut sql);
    let values: Vec<Value> = wanted.into_iter().map(Value::Int).collect();
    let array = super::sql::json_array(&values).unwrap_or_default();
    let mut columns = store.select(&sql, &[Value::Str(array.into())], &types)?;
    let found = columns.remove(0);
    let mut positions: hashbrown::HashMap<i64, u32> = hashbrown::HashMap::with_capacity(found.len());
    if let Column::Int { values, .. } = &found {
        positions.extend(values.iter().copied().zip(0..));
    }
    let rows = match numbers {
        Column::Int { values, nulls } => values
            .iter()
            .enumerate()
            .map(|(row, number)| {
                let known = nulls.get(row).is_none_or(|null| !null);
                known.then(|| positions.get(number).copied()).flatten().unwrap_or(RecordTable::NONE)
            })
            .collect(),
        _ => Vec::new(),
    };
    Ok(RecordTable { element: index, rows, columns })
}

/// Records of elements without a table: their key, and the region of a pixel.
fn records_by_key(universe: &Universe, index: ElementIndex, keys: &Column) -> RecordTable {
    let element = universe.get(index);
    let identity = [keys];
    let mut seen = Distinct::new(&identity, keys.len());
    let mut first = Vec::new();
    let mut rows = Vec::with_capacity(keys.len());
    for row in 0..keys.len() {
        let position = seen.position(row);
        if position == first.len() {
            first.push(row);
        }
        rows.push(u32::try_from(position).unwrap_or(RecordTable::NONE));
    }
    let own = keys.take(&first);
    let columns = element
        .fields
        .iter()
        .map(|field| match field.role {
            FieldRole::Region => {
                let mut regions = Column::new(ColumnType::Bytes);
                for row in 0..own.len() {
                    let region = match (Pixelization::of(element), own.get(row)) {
                        (Some(pixelization), Value::Int(pixel)) => pixelization.region(pixel),
                        _ => None,
                    };
                    regions.push(&region.map_or(Value::Null, |region| Value::Bytes(region.encode().into())));
                }
                regions
            }
            _ => own.clone(),
        })
        .collect();
    RecordTable { element: index, rows, columns }
}
