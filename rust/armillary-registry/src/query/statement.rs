//! The one SELECT that fetches the candidate rows of a plan.

use super::{
    error::{QueryError, QueryProblem},
    plan::Plan,
    predicate::{DatasetField, Owner, Predicate, Reference, RegionTerm, Sort, Test},
    refine::Check,
    request::Upload,
    sources::{DatasetColumns, Source, dataset_source, group_of, upload_source},
    sql::{Columns, Sql, condition as written, write_scalar},
};
use crate::{Dialect, RegistryError, Store};
use armillary_dimensions::{
    Column, ColumnType, DimensionGroup, Element, ElementIndex, FieldRole, Key, Timespan, Value,
};
use indexmap::IndexMap;
use std::{collections::BTreeMap, fmt::Write as _};

/// The data IDs of which a row must match one, if that is what an outermost condition says.
///
/// Beside pairs of overlapping records they are a condition like others: those come first then.
fn data_ids(plan: &Plan, condition: &Predicate) -> Option<Upload> {
    let Predicate::Test(Test::Rows(list)) = condition else { return None };
    let dimension = |(column, text): &(Reference, bool)| match column {
        Reference::Key(index) if (key_type(plan.universe.get(*index)) == ColumnType::Str) == *text => Some(*index),
        _ => None,
    };
    let dimensions: Option<Vec<ElementIndex>> = list.columns.iter().map(dimension).collect();
    let dimensions = dimensions.filter(|_| plan.overlaps.is_empty())?;
    Some(Upload { dimensions, rows: list.rows.clone() })
}

/// A SELECT in the making.
pub(crate) struct Statement<'a> {
    pub(crate) plan: &'a Plan,
    pub(super) dialect: &'a dyn Dialect,
    text_dates: bool,
    pub(super) sources: Vec<Source>,
    /// How many of the first sources are data IDs that the caller gave.
    n_uploads: usize,
    /// Rows of two tables that belong together; then the sources are joined in our order, the pairs first.
    pub(super) pairs: Option<Pairs>,
    /// Name of each element's table in the statement.
    pub(super) tables: IndexMap<ElementIndex, String>,
    datasets: Vec<DatasetColumns>,
    pub(super) select: Vec<(Sql, ColumnType)>,
    /// Those of the selected columns that are not read, with the dimension and its value in every row.
    pub(super) constants: Vec<(usize, ElementIndex, Key)>,
    /// Values that are the same in every row.
    pub(super) known: BTreeMap<ElementIndex, Key>,
    pub(super) conditions: Vec<Sql>,
    /// What Rust must check of each row.
    pub(crate) checks: Vec<Check>,
}

impl<'a> Statement<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        store: &'a Store,
        text_dates: bool,
        uploads: &[Upload],
    ) -> Result<Self, RegistryError> {
        let mut statement = Self {
            plan,
            dialect: store.dialect(),
            text_dates,
            sources: Vec::new(),
            n_uploads: 0,
            pairs: None,
            tables: IndexMap::new(),
            datasets: Vec::new(),
            select: Vec::new(),
            constants: Vec::new(),
            known: BTreeMap::new(),
            conditions: Vec::new(),
            checks: Vec::new(),
        };
        let rows: Vec<Upload> = plan.conditions.iter().filter_map(|condition| data_ids(plan, condition)).collect();
        for upload in uploads.iter().chain(&rows) {
            statement.add(upload_source(plan, statement.dialect, upload));
        }
        statement.n_uploads = statement.sources.len();
        statement.add_overlaps(store, uploads)?;
        statement.add_regions()?;
        for position in 0..plan.searches.len() {
            let (source, columns) = dataset_source(plan, statement.dialect, position);
            statement.datasets.push(columns);
            statement.add(source);
        }
        statement.add_tables();
        statement.add_missing_keys()?;
        statement.add_conditions()?;
        Ok(statement)
    }

    pub(super) fn add(&mut self, source: impl FnOnce(String) -> Source) {
        let alias = format!("s{}", self.sources.len());
        self.sources.push(source(alias));
    }

    /// The tables of elements that relate dimensions or whose fields are used.
    fn add_tables(&mut self) {
        let plan = self.plan;
        for index in &plan.universe.info(plan.group).elements {
            let element = plan.universe.get(*index);
            if element.has_table() && element.defines_relationships() {
                self.table(*index);
            }
        }
        let mut used = Vec::new();
        for condition in &plan.conditions {
            condition.each_reference(&mut |reference| used.push(reference));
        }
        plan.order.iter().for_each(|order| order.term.each_reference(&mut |reference| used.push(reference)));
        used.extend(plan.columns.iter().map(|(_, reference, _)| *reference));
        for reference in used {
            let table = match reference {
                Reference::Key(_) | Reference::Dataset(..) => None,
                _ => reference.element(),
            };
            if let Some(index) = table.filter(|index| plan.universe.get(*index).has_table()) {
                self.table(index);
            }
        }
    }

    /// The name of an element's table, joined if it was not yet.
    pub(crate) fn table(&mut self, index: ElementIndex) -> String {
        self.table_joined(index, false)
    }

    fn table_joined(&mut self, index: ElementIndex, optional: bool) -> String {
        if let Some(alias) = self.tables.get(&index) {
            return alias.clone();
        }
        let alias = format!("s{}", self.sources.len());
        let element = self.plan.universe.get(index);
        let mut from = Sql::default();
        self.dialect.identifier(&mut from.text, &element.name);
        let keys = element
            .fields
            .iter()
            .filter_map(|field| match field.role {
                FieldRole::Required(dimension) | FieldRole::Implied(dimension) => Some((dimension, field.name.clone())),
                FieldRole::AlternateKey | FieldRole::Metadata | FieldRole::Region | FieldRole::Timespan => None,
            })
            .collect();
        let identity = element.required;
        self.sources.push(Source { optional, identity, ..Source::keyed(alias.clone(), keys, from) });
        self.tables.insert(index, alias.clone());
        alias
    }

    /// Sources for dimensions whose values nothing gives yet.
    fn add_missing_keys(&mut self) -> Result<(), RegistryError> {
        let plan = self.plan;
        // From the last to the first, because a table of a later dimension gives the values of those it needs.
        let members: Vec<ElementIndex> = plan.group.iter().collect();
        for index in members.into_iter().rev() {
            if self.provider(index).is_some() {
                continue;
            }
            let element = plan.universe.get(index);
            if element.has_table() {
                self.table(index);
            } else if let Some(target) = element.implied_union_target {
                let mut from = Sql::text("(SELECT DISTINCT ");
                self.dialect.identifier(&mut from.text, &element.name);
                from.push(" FROM ");
                self.dialect.identifier(&mut from.text, &plan.universe.get(target).name);
                from.push(")");
                let keys = vec![(index, element.name.clone())];
                self.add(|alias| Source::keyed(alias, keys, from));
            } else if !self.add_given_pixels(element)? {
                let what = format!("the dimension `{}` without datasets or regions that give it values", element.name);
                return Err(QueryError::from(QueryProblem::Unsupported { what }).into());
            }
        }
        Ok(())
    }

    fn add_conditions(&mut self) -> Result<(), RegistryError> {
        let plan = self.plan;
        for condition in &plan.conditions {
            if !condition.is_spatial() {
                if data_ids(plan, condition).is_none() {
                    self.conditions.push(written(self, condition));
                }
                continue;
            }
            match condition {
                Predicate::Test(Test::Regions(RegionTerm::Column(_), RegionTerm::Column(_))) => {}
                Predicate::Test(Test::Regions(left, right)) => self.add_literal_region(left, right)?,
                mixed => {
                    let tree = self.tree(mixed)?;
                    self.checks.push(Check::Tree(tree));
                    // What the condition says beside the regions; nothing that could hold is left out.
                    if let Some(sql) = self.weakened(mixed) {
                        self.conditions.push(sql);
                    }
                }
            }
        }
        Ok(())
    }

    /// Those parts of an outermost `AND` in brackets that say nothing about regions.
    fn weakened(&self, predicate: &Predicate) -> Option<Sql> {
        let Predicate::All(parts) = predicate else { return None };
        let plain: Vec<Predicate> = parts.iter().filter(|part| !part.is_spatial()).cloned().collect();
        Some(written(self, &Predicate::All(plain)))
    }

    /// Adds an expression to the answer, once, and says at which position.
    pub(crate) fn select(&mut self, sql: Sql, kind: ColumnType) -> usize {
        let known = self.select.iter().position(|(other, _)| other.text == sql.text && other.values == sql.values);
        known.unwrap_or_else(|| {
            self.select.push((sql, kind));
            self.select.len() - 1
        })
    }

    /// Adds the number of an element's row; unknown where an optional record is missing.
    pub(crate) fn select_row(&mut self, index: ElementIndex, optional: bool) -> usize {
        let alias = self.table_joined(index, optional);
        let sql = Sql::text(format!("{alias}.{}", self.dialect.row_number()));
        self.select(sql, ColumnType::Int)
    }

    /// Adds the value of a dimension.
    pub(crate) fn select_key(&mut self, index: ElementIndex) -> usize {
        if let Some(position) = self.select_known(index) {
            return position;
        }
        let sql = Sql::text(self.key(index));
        self.select(sql, key_type(self.plan.universe.get(index)))
    }

    /// Adds any column; a timespan counts as one.
    pub(crate) fn select_reference(&mut self, reference: Reference, kind: ColumnType) -> usize {
        let mut sql = Sql::default();
        if let (Reference::Timespan(owner), ColumnType::Timespan) = (reference, kind) {
            self.column(&mut sql, Reference::Begin(owner));
            sql.push(", ");
            self.column(&mut sql, Reference::End(owner));
        } else {
            self.column(&mut sql, reference);
        }
        self.select(sql, kind)
    }

    /// Adds a property of a found dataset as stored: the keys of collections, not their names.
    pub(crate) fn select_dataset(&mut self, search: usize, field: DatasetField) -> usize {
        let columns = &self.datasets[search];
        let (text, kind) = match field {
            DatasetField::Id => (columns.id.clone(), ColumnType::Uuid),
            DatasetField::Run => (columns.run.clone(), ColumnType::Int),
            DatasetField::Collection => (columns.collection.clone(), ColumnType::Int),
            DatasetField::IngestDate => (columns.ingest_date.clone(), ColumnType::Int),
        };
        self.select(Sql::text(text), kind)
    }

    /// The expressions that give begin and end of an element's timespan.
    fn timespan_bounds(&self, index: ElementIndex) -> [String; 2] {
        let table = self.tables.get(&index).map_or("NULL", String::as_str);
        self.dialect.timespan_bounds(&format!("{table}."), "timespan")
    }

    fn provider(&self, index: ElementIndex) -> Option<String> {
        self.sources.iter().filter(|source| !source.optional).find_map(|source| source.column(self.dialect, index))
    }

    /// Whether some source tells the value of a dimension.
    pub(crate) fn gives(&self, index: ElementIndex) -> bool {
        self.provider(index).is_some()
    }

    pub(super) fn key(&self, index: ElementIndex) -> String {
        self.provider(index).unwrap_or_else(|| "NULL".to_owned())
    }

    /// The whole statement.
    pub(crate) fn finish(&self, distinct: bool, limit: Option<(usize, usize)>) -> (Sql, Vec<ColumnType>) {
        if distinct && !self.plan.order.is_empty() && self.dialect.orders_by_what_is_selected() {
            return self.finish_grouped(limit);
        }
        let mut sql = Sql::text(if distinct { "SELECT DISTINCT " } else { "SELECT " });
        for (position, (column, _)) in self.read().enumerate() {
            sql.push(if position > 0 { ", " } else { "" });
            sql.append(column.clone());
        }
        if self.read().next().is_none() {
            sql.push("1");
        }
        self.write_from(&mut sql, &self.join_order(), self.is_ordered());
        self.write_conditions(&mut sql);
        for (position, order) in self.plan.order.iter().enumerate() {
            sql.push(if position == 0 { " ORDER BY " } else { ", " });
            write_scalar(&mut sql, self, &order.term);
            if order.descending {
                sql.push(" DESC");
            }
        }
        write_limit(&mut sql, limit);
        (sql, self.types())
    }

    fn types(&self) -> Vec<ColumnType> {
        let types: Vec<ColumnType> = self.read().map(|(_, kind)| *kind).collect();
        if types.is_empty() { vec![ColumnType::Int] } else { types }
    }

    fn write_conditions(&self, sql: &mut Sql) {
        sql.push_all(" WHERE ", self.conditions.iter().cloned());
    }

    /// The whole statement without doubles, for a database that orders those by nothing but what is selected: the rows
    /// are grouped, and each group is ordered by its least value.
    fn finish_grouped(&self, limit: Option<(usize, usize)>) -> (Sql, Vec<ColumnType>) {
        let mut inner = Sql::text("SELECT ");
        let mut names = Vec::new();
        for (column, kind) in self.read() {
            // A timespan is two expressions, each with a name of its own; neither holds a comma at its top.
            let count = if *kind == ColumnType::Timespan { 2 } else { 1 };
            let parts: Vec<&str> = if count == 2 { column.text.splitn(2, ", ").collect() } else { vec![&column.text] };
            for part in parts {
                inner.push(if names.is_empty() { "" } else { ", " });
                let name = format!("c{}", names.len());
                inner.push(&format!("{part} AS {name}"));
                names.push(name);
            }
            inner.values.extend(column.values.iter().cloned());
        }
        if names.is_empty() {
            inner.push("1 AS c0");
            names.push("c0".to_owned());
        }
        let mut order = String::new();
        for (position, wanted) in self.plan.order.iter().enumerate() {
            // Ids and truth values have an order, but no least one.
            let text = matches!(wanted.sort, Sort::Uuid | Sort::Bool);
            inner.push(if text { ", min(CAST(" } else { ", min(" });
            write_scalar(&mut inner, self, &wanted.term);
            inner.push(if text { " AS TEXT))" } else { ")" });
            inner.push(&format!(" AS o{position}"));
            let comma = if position == 0 { "" } else { ", " };
            let _ = write!(order, "{comma}o{position}{}", if wanted.descending { " DESC" } else { "" });
        }
        self.write_from(&mut inner, &self.join_order(), self.is_ordered());
        self.write_conditions(&mut inner);
        let groups: Vec<String> = (1..=names.len()).map(|number| number.to_string()).collect();
        inner.push(&format!(" GROUP BY {}", groups.join(", ")));
        let mut sql = Sql::text(format!("SELECT {} FROM (", names.join(", ")));
        sql.append(inner);
        sql.push(&format!(") AS grouped ORDER BY {order}"));
        write_limit(&mut sql, limit);
        (sql, self.types())
    }

    /// The sources as they are written: optional ones last, since they may need what any other gives.
    fn join_order(&self) -> Vec<&Source> {
        let (optional, mut needed): (Vec<&Source>, Vec<&Source>) =
            self.sources.iter().partition(|source| source.optional);
        if let Some(pairs) = &self.pairs {
            let first = |source: &&Source| source.alias == pairs.alias || pairs.tables.contains(&source.alias);
            let (mut first, rest): (Vec<&Source>, Vec<&Source>) = needed.into_iter().partition(first);
            first.sort_by_key(|source| source.alias != pairs.alias);
            needed = self.continued(first, rest);
        } else if self.n_uploads > 0 {
            let rest = needed.split_off(self.n_uploads);
            needed = self.continued(needed, rest);
        }
        needed.extend(optional);
        needed
    }

    /// Whether the database must join the sources as they stand.
    ///
    /// Of a list of data IDs it knows neither its length nor an index: it would read it anew for each row of a table.
    fn is_ordered(&self) -> bool {
        self.pairs.is_some() || self.n_uploads > 0
    }

    /// Continues a join: next comes the source of which the least is unknown.
    ///
    /// Among equals, one that more is known of, governors not counted, because those narrow nothing down; then tables
    /// before datasets: the exposures of a visit are few, the exposures of a detector are all.
    pub(super) fn continued<'s>(&self, mut ordered: Vec<&'s Source>, mut rest: Vec<&'s Source>) -> Vec<&'s Source> {
        let governors = self.governors();
        let mut known = ordered.iter().fold(DimensionGroup::EMPTY, |known, source| known.union(group_of(&source.keys)));
        while !rest.is_empty() {
            let cost = |source: &Source| {
                let told = source.identity.intersection(known).difference(governors).len();
                (source.identity.difference(known).len(), std::cmp::Reverse(told), source.is_search)
            };
            let next = (0..rest.len()).min_by_key(|position| cost(rest[*position])).unwrap_or(0);
            let source = rest.remove(next);
            known = known.union(group_of(&source.keys));
            ordered.push(source);
        }
        ordered
    }

    fn governors(&self) -> DimensionGroup {
        let info = self.plan.universe.info(self.plan.group);
        info.governors.iter().fold(DimensionGroup::EMPTY, |sum, index| sum.union(DimensionGroup::single(*index)))
    }

    /// Writes ` FROM` and the sources; `in_order` if the database must join them as they stand.
    pub(super) fn write_from(&self, sql: &mut Sql, ordered: &[&Source], in_order: bool) {
        let join = if in_order { self.dialect.ordered_join() } else { " JOIN " };
        for (position, source) in ordered.iter().enumerate() {
            sql.push(match (position, source.optional) {
                (0, _) => " FROM ",
                (_, true) => " LEFT JOIN ",
                (_, false) => join,
            });
            match &self.pairs {
                Some(pairs) if source.from.text.is_empty() => sql.append(pairs.source(self.dialect)),
                _ => sql.append(source.from.clone()),
            }
            sql.push(" AS ");
            sql.push(&source.alias);
            if position > 0 {
                let shared: Vec<(ElementIndex, String)> = source
                    .keys
                    .iter()
                    .filter_map(|(dimension, _)| {
                        let own = source.column(self.dialect, *dimension)?;
                        let other = ordered[..position].iter().find_map(|s| s.column(self.dialect, *dimension))?;
                        Some((*dimension, format!("{own} = {other}")))
                    })
                    .collect();
                sql.push(" ON ");
                sql.push(if shared.is_empty() { "1 = 1" } else { "" });
                let narrow = if in_order { self.narrow_keys(source, &shared) } else { DimensionGroup::EMPTY };
                for (position, (dimension, text)) in shared.iter().enumerate() {
                    sql.push(if position > 0 { " AND " } else { "" });
                    let around = if narrow.contains(*dimension) { self.dialect.narrowing() } else { ("", "") };
                    sql.push(around.0);
                    sql.push(text);
                    sql.push(around.1);
                }
            }
            sql.push(&source.extra);
        }
        if ordered.is_empty() {
            sql.push(" FROM (SELECT 1) AS s0");
        }
    }

    /// Keys by which a database should look rows up although a primary key begins otherwise.
    ///
    /// A primary key that begins with governors finds everything by them. If the next of its columns is unknown but a
    /// later one is known, as the visit in `visit_definition`, that one must be the way; without statistics a database
    /// takes the primary key and reads all exposures for each visit.
    fn narrow_keys(&self, source: &Source, shared: &[(ElementIndex, String)]) -> DimensionGroup {
        let governors = self.governors();
        let known =
            shared.iter().fold(DimensionGroup::EMPTY, |sum, (index, _)| sum.union(DimensionGroup::single(*index)));
        let mut required = source.keys.iter().map(|(index, _)| *index).filter(|index| source.identity.contains(*index));
        let narrows = required.find(|index| !governors.contains(*index)).is_none_or(|index| known.contains(index));
        let later = source.identity.intersection(known).difference(governors);
        if source.is_search || narrows { DimensionGroup::EMPTY } else { later }
    }

    /// Whether each row of the answer comes once, without anyone looking.
    pub(crate) fn is_unique(&self) -> bool {
        let plan = self.plan;
        plan.universe.info(plan.group).required.iter().all(|index| plan.output.contains(*index))
    }

    /// The rows.
    pub(crate) fn fetch(
        &self,
        store: &Store,
        distinct: bool,
        limit: Option<(usize, usize)>,
    ) -> Result<Vec<Column>, RegistryError> {
        if !distinct
            && limit.is_none()
            && let Some(halves) = self.halves()
        {
            return halves.fetch(store);
        }
        let (sql, types) = self.finish(distinct, limit);
        Ok(self.with_constants(store.select(&sql.text, &sql.values, &types)?))
    }
}

/// The numbers of rows of two tables that belong together.
pub(crate) struct Pairs {
    pub(super) alias: String,
    pub(super) tables: [String; 2],
    pub(super) rows: Vec<(i64, i64)>,
}

impl Pairs {
    /// The pairs as a subquery.
    fn source(&self, dialect: &dyn Dialect) -> Sql {
        number_source(dialect, &self.rows)
    }
}

/// A subquery of pairs of row numbers.
pub(super) fn number_source(dialect: &dyn Dialect, pairs: &[(i64, i64)]) -> Sql {
    let mut from = Sql::default();
    let lists = dialect.number_pairs(&mut from.text, pairs).unwrap_or_default();
    from.values.extend(lists.into_iter().map(|list| Value::Str(list.into())));
    from
}

impl Columns for Statement<'_> {
    fn column(&self, sql: &mut Sql, reference: Reference) {
        let plan = self.plan;
        let field = |sql: &mut Sql, index: ElementIndex, name: &str| {
            sql.push(self.tables.get(&index).map_or("NULL", String::as_str));
            sql.push(".");
            self.dialect.identifier(&mut sql.text, name);
        };
        match reference {
            Reference::Key(index) => sql.push(&self.key(index)),
            Reference::Field(index, position) => {
                field(sql, index, &plan.universe.get(index).fields[position].name);
            }
            Reference::Region(index) => field(sql, index, "region"),
            Reference::Timespan(Owner::Element(index)) | Reference::Begin(Owner::Element(index)) => {
                sql.push(&self.timespan_bounds(index)[0]);
            }
            Reference::End(Owner::Element(index)) => sql.push(&self.timespan_bounds(index)[1]),
            Reference::Timespan(Owner::Search(search)) | Reference::Begin(Owner::Search(search)) => {
                sql.push(&self.datasets[search].begin);
            }
            Reference::End(Owner::Search(search)) => sql.push(&self.datasets[search].end),
            Reference::Dataset(search, field) => {
                let columns = &self.datasets[search];
                match field {
                    DatasetField::Id => sql.push(&columns.id),
                    DatasetField::Run => write_collection_name(sql, &columns.run),
                    DatasetField::Collection => write_collection_name(sql, &columns.collection),
                    DatasetField::IngestDate if self.text_dates => {
                        self.dialect.text_date(&mut sql.text, &columns.ingest_date);
                    }
                    DatasetField::IngestDate => sql.push(&columns.ingest_date),
                }
            }
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        self.dialect
    }
}

fn write_limit(sql: &mut Sql, limit: Option<(usize, usize)>) {
    let Some((limit, offset)) = limit else { return };
    let number = |value: usize| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
    sql.push(" LIMIT ");
    sql.bind(number(limit));
    sql.push(" OFFSET ");
    sql.bind(number(offset));
}

fn write_collection_name(sql: &mut Sql, key: &str) {
    sql.push("(SELECT name FROM collection WHERE collection_id = ");
    sql.push(key);
    sql.push(")");
}

/// The type of a dimension's values.
pub(crate) fn key_type(element: &Element) -> ColumnType {
    element.own_key().map_or(ColumnType::Int, |field| field.kind.into())
}

/// Writes that a column is in one of some half-open ranges.
pub(crate) fn write_ranges(sql: &mut Sql, column: &str, ranges: &[std::ops::Range<u64>]) {
    let number = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
    if ranges.is_empty() {
        sql.push("1 = 0");
    }
    let part = |range: &std::ops::Range<u64>| {
        let mut part = Sql::text(column);
        if range.end - range.start == 1 {
            part.push(" = ");
            part.bind(number(range.start));
        } else {
            part.push(" BETWEEN ");
            part.bind(number(range.start));
            part.push(" AND ");
            part.bind(number(range.end - 1));
        }
        part
    };
    sql.append(Sql::joined(ranges.iter().map(part).collect(), " OR "));
}

/// Times that hold for ever, for datasets without times of validity.
pub(crate) const FOREVER: (i64, i64) = (Timespan::MIN, Timespan::MAX);
