//! From a request to its answer.

use super::{
    answer::{Alike, DatasetColumns, Meaning, NamedColumn, QueryResult, RecordTable},
    error::{QueryError, QueryProblem},
    lookup::{Fields, is_found_by_key, records_by_key, records_by_row, records_without_table},
    parts::{Found, Implied, Parts, name_of_run, names_of_runs, spread, unknown},
    plan::Plan,
    predicate::{DatasetField, Owner, Reference, Sort},
    refine::refine,
    request::{QueryRequest, ResultKind},
    rows::Distinct,
    search::Place,
    statement::{Statement, key_type},
};
use crate::{CollectionKind, Registry, RegistryError};
use armillary_dimensions::{
    Column, ColumnType, DataCoordinate, DimensionGroup, ElementIndex, FieldRole, Key, StrColumn, Value,
};
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashMap};

/// A statement with the positions of what the answer takes from its rows.
pub(crate) struct Query<'a> {
    registry: &'a Registry,
    plan: &'a Plan,
    statement: Statement<'a>,
    /// Values of dimensions: the required ones, and those of the implied ones that the rows tell.
    keys: IndexMap<ElementIndex, usize>,
    /// Elements whose records tell the other implied ones, each found by what comes before it.
    implying: Vec<ElementIndex>,
    /// Id and run of the dataset.
    dataset: Option<(usize, Run)>,
    /// Where collections compete: what tells data IDs apart, and the collection and id of the dataset.
    ranked: Option<Ranked>,
    /// Whether only data IDs are counted: it does not matter which collection has one first.
    counts_data_ids: bool,
    columns: Vec<usize>,
    records: Vec<RecordColumns>,
}

/// How the run of a dataset is known.
#[derive(Clone, Copy)]
enum Run {
    /// From its key in a column.
    Column(usize),
    /// By its key: nothing else is searched.
    Only(i64),
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
    /// By the values of dimensions, when the rows are known.
    Keys(ElementIndex),
    /// By the number of their row.
    Row(ElementIndex, usize),
    /// All their fields are in the row of the answer.
    Fields(ElementIndex, Vec<usize>),
    /// They say nothing but their key.
    WithoutTable(ElementIndex),
}

/// Rows to give at least for what they imply to be looked up afterwards; for fewer, one statement is quicker.
const MANY_ROWS: usize = 1000;

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
        let is_short = request.limit.is_some_and(|limit| limit < MANY_ROWS);
        statement.know(registry.known_keys(plan, !is_short)?);
        let ranking = plan.find_first.filter(|search| !plan.searches[*search].is_single());
        // Of calibrations, two may be valid at a time, which is an error.
        let counts_data_ids = !with_records
            && plan.gives_datasets
            && ranking.is_some_and(|search| !plan.searches[search].has_calibrations());
        let narrow = !with_records && (has_unique_rows(plan, &statement) || (ranking.is_some() && plan.gives_datasets));
        let mut keys: IndexMap<ElementIndex, usize> =
            info.required.iter().map(|index| (*index, statement.select_key(*index))).collect();
        if with_records && is_short {
            keys.extend(info.implied.iter().map(|index| (*index, statement.select_key(*index))));
        }
        let dataset = (plan.gives_datasets && !narrow).then(|| {
            let id = statement.select_dataset(0, DatasetField::Id);
            let run = match plan.searches[0].collections[..] {
                [Place { id, kind: CollectionKind::Run }] => Run::Only(id),
                _ => Run::Column(statement.select_dataset(0, DatasetField::Run)),
            };
            (id, run)
        });
        let ranked = ranking.filter(|_| !counts_data_ids).map(|search| {
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
        let implying = Vec::new();
        let mut query = Self {
            registry,
            plan,
            statement,
            keys,
            implying,
            dataset,
            ranked,
            counts_data_ids,
            columns,
            records: Vec::new(),
        };
        match request.result {
            ResultKind::Records(element) if with_records => query.add_result_record(element),
            // Records that do not exist do not count.
            ResultKind::Records(element) if plan.universe.get(element).has_table() => {
                query.statement.table(element);
                return Ok(query);
            }
            _ if with_records && request.with_records => {
                for element in &info.elements {
                    query.add_record(*element);
                }
            }
            _ => {}
        }
        if with_records {
            query.leave_implied();
        } else {
            query.statement.drop_tables(|_| true);
        }
        Ok(query)
    }

    /// Leaves for later what the records of distinct keys tell, and adds the other implied values.
    fn leave_implied(&mut self) {
        let universe = &self.plan.universe;
        self.implying = self.statement.drop_tables(|element| is_found_by_key(universe, element));
        let mut lacking = DimensionGroup::EMPTY;
        for index in &universe.info(self.plan.output).implied {
            if self.keys.contains_key(index) {
                continue;
            }
            if self.statement.gives(*index) {
                self.keys.insert(*index, self.statement.select_key(*index));
            } else {
                lacking = lacking.union(DimensionGroup::single(*index));
            }
        }
        self.implying.retain(|index| !universe.get(*index).implied.intersection(lacking).is_empty());
    }

    fn add_record(&mut self, index: ElementIndex) {
        let element = self.plan.universe.get(index);
        let columns = if is_found_by_key(&self.plan.universe, element) {
            RecordColumns::Keys(index)
        } else if element.has_table() {
            RecordColumns::Row(index, self.statement.select_row(index, true))
        } else {
            RecordColumns::WithoutTable(index)
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
        !self.counts_data_ids && has_unique_rows(self.plan, &self.statement)
    }

    /// Whether rows must be looked at before they can be counted, or are quicker counted so.
    fn needs_rust(&self) -> bool {
        let slowly_in_sql = self.counts_data_ids && !self.registry.store().dialect().tells_rows_apart_quickly();
        !self.statement.checks.is_empty() || self.ranked.is_some() || slowly_in_sql
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
        let nothing = request.limit == Some(0); // so no rows can be ambiguous
        let in_sql = nothing || (!self.needs_rust() && (self.is_unique() || limited));
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
        let implied = self.look_up_implied(&columns)?;
        if implied.is_complete() {
            return self.assemble(columns, implied);
        }
        // Without a record there is no such data ID, as a join would have it.
        let known = implied.known_rows();
        let columns: Vec<Column> = columns.iter().map(|column| column.take(&known)).collect();
        let implied = self.look_up_implied(&columns)?;
        self.assemble(columns, implied)
    }

    /// Looks up what the rows imply but do not tell.
    fn look_up_implied(&self, columns: &[Column]) -> Result<Implied, RegistryError> {
        let universe = &self.plan.universe;
        let mut implied = Implied::default();
        for index in &self.implying {
            let with_record =
                self.records.iter().any(|record| matches!(record, RecordColumns::Keys(of) if of == index));
            let fields = if with_record { Fields::All } else { Fields::Implied };
            let table =
                self.look_up(*index, fields, |key| implied.values.get(&key).or_else(|| self.key(columns, key)))?;
            let names = fields.of(universe.get(*index)).zip(&table.columns);
            for (field, values) in names {
                if let FieldRole::Implied(dimension) = field.role
                    && !self.keys.contains_key(&dimension)
                {
                    implied.values.insert(dimension, spread(values, &table.rows));
                }
            }
            implied.tables.push(table);
        }
        Ok(implied)
    }

    /// Which rows imply the same: those with one record, if it tells everything else, by way of others if need be.
    fn alike(&self, implied: &Implied) -> Option<Alike> {
        let info = self.plan.universe.info(self.plan.output);
        let first = implied.tables.first()?;
        let mut told = self.plan.universe.get(first.element).required;
        for table in &implied.tables {
            let element = self.plan.universe.get(table.element);
            if !element.required.is_subset(told) {
                return None;
            }
            told = told.union(element.implied);
        }
        let all = info.implied.iter().all(|index| told.contains(*index));
        all.then(|| Alike { dimensions: told, rows: first.rows.clone() })
    }

    /// The column of the rows with the values of a dimension.
    fn key<'c>(&self, columns: &'c [Column], index: ElementIndex) -> Option<&'c Column> {
        self.keys.get(&index).map(|position| &columns[*position])
    }

    fn look_up<'c>(
        &self,
        index: ElementIndex,
        fields: Fields,
        key: impl Fn(ElementIndex) -> Option<&'c Column>,
    ) -> Result<RecordTable, RegistryError> {
        let universe = &self.plan.universe;
        let element = universe.get(index);
        let keys: Vec<&Column> = element.required.iter().filter_map(key).collect();
        if keys.len() < element.required.len() {
            let what = format!("records of `{}` for data IDs that do not tell which", element.name);
            return Err(QueryError::from(QueryProblem::Unsupported { what }).into());
        }
        records_by_key(self.registry.store(), universe, index, &keys, fields)
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
        let mut identity: Vec<usize> = self.keys.values().copied().collect();
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
        // Neighbours are mostly of one collection.
        let mut last = None;
        let mut rank_of = |row: usize| {
            let Column::Int { values, .. } = &columns[ranked.collection] else { return usize::MAX };
            match last {
                Some((collection, rank)) if collection == values[row] => rank,
                _ => last.insert((values[row], ranks.get(&values[row]).copied().unwrap_or(usize::MAX))).1,
            }
        };
        let identity = ranked.identity.iter().map(|position| &columns[*position]);
        let identity: Vec<&Column> = identity.filter(|column| !column.is_constant()).collect();
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
            .values()
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

    /// The records of the answer, but for columns that are moved into it.
    fn record_tables(
        &self,
        columns: &[Column],
        implied: &BTreeMap<ElementIndex, Column>,
        mut tables: Vec<RecordTable>,
    ) -> Result<Vec<Found<'_>>, RegistryError> {
        let (store, universe) = (self.registry.store(), &self.plan.universe);
        let key = |index: ElementIndex| implied.get(&index).or_else(|| self.key(columns, index));
        let mut found = Vec::with_capacity(self.records.len());
        for record in &self.records {
            found.push(Found::Table(match record {
                RecordColumns::Keys(element) => match tables.iter().position(|table| table.element == *element) {
                    Some(known) => tables.swap_remove(known),
                    None => self.look_up(*element, Fields::All, key)?,
                },
                RecordColumns::Row(element, column) => records_by_row(store, universe, *element, &columns[*column])?,
                RecordColumns::WithoutTable(element) => {
                    let unknown = Column::new(key_type(universe.get(*element)));
                    records_without_table(universe, *element, key(*element).unwrap_or(&unknown))
                }
                RecordColumns::Fields(element, positions) => {
                    found.push(Found::Fields(*element, positions));
                    continue;
                }
            }));
        }
        Ok(found)
    }

    /// How often the answer takes each column.
    fn uses(&self, columns: usize) -> Vec<usize> {
        let mut uses = vec![0; columns];
        let fields = self.records.iter().flat_map(|record| match record {
            RecordColumns::Fields(_, positions) => &positions[..],
            _ => &[],
        });
        let dataset = self.dataset.iter().flat_map(|(id, run)| match run {
            Run::Column(run) => vec![id, run],
            Run::Only(_) => vec![id],
        });
        for position in self.keys.values().chain(dataset).chain(&self.columns).chain(fields) {
            uses[*position] += 1;
        }
        uses
    }

    fn assemble(&self, columns: Vec<Column>, implied: Implied) -> Result<QueryResult, RegistryError> {
        let plan = self.plan;
        let rows = columns.first().map_or(0, Column::len);
        let alike = self.alike(&implied);
        let Implied { values: mut implied, tables } = implied;
        let records = self.record_tables(&columns, &implied, tables)?;
        let mut columns = Parts { uses: self.uses(columns.len()), columns };
        let datasets = match self.dataset {
            None => None,
            Some((id, run)) => Some(DatasetColumns {
                dataset_type: plan.searches[0].dataset_type.clone(),
                ids: columns.take(id),
                runs: match run {
                    Run::Column(run) => names_of_runs(&plan.catalog, &columns.take(run))?,
                    Run::Only(run) => Column::Str(StrColumn::constant(name_of_run(&plan.catalog, run)?, rows)),
                },
            }),
        };
        let key = |index: ElementIndex| match (self.keys.get(&index), implied.remove(&index)) {
            (Some(position), _) => columns.take(*position),
            (None, values) => values.unwrap_or_else(|| unknown(key_type(plan.universe.get(index)), rows)),
        };
        Ok(QueryResult {
            universe: plan.universe.clone(),
            group: plan.output,
            rows,
            keys: plan.universe.info(plan.output).keys().map(key).collect(),
            alike,
            datasets,
            records: records.into_iter().map(|record| record.finish(&mut columns, rows)).collect(),
            columns: plan
                .columns
                .iter()
                .zip(&self.columns)
                .map(|((name, _, sort), position)| named(name, columns.take(*position), *sort))
                .collect(),
            reasons: Vec::new(),
        })
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
        alike: None,
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
