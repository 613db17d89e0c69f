//! The parts of a `FROM` clause, and the dimensions that each gives values for.

use super::{
    plan::Plan,
    predicate::{DatasetField, Owner, Reference},
    request::Upload,
    search::{Place, Search},
    sql::Sql,
    statement::{FOREVER, key_type, write_ranges},
};
use crate::{CollectionKind, Dialect, json_list::json_of_rows};
use armillary_dimensions::{ColumnType, DimensionGroup, Element, ElementIndex, Value};
use std::ops::Range;

/// A table or subquery.
pub(crate) struct Source {
    pub(crate) alias: String,
    /// Dimensions and the columns with their values.
    pub(crate) keys: Vec<(ElementIndex, String)>,
    pub(crate) from: Sql,
    /// Joins that follow, of tables that only this source needs.
    pub(crate) extra: String,
    /// Whether rows without a match stay.
    pub(crate) optional: bool,
    /// Dimensions that are enough to find a row.
    pub(crate) identity: DimensionGroup,
    /// Whether its rows are datasets.
    pub(crate) is_search: bool,
}

/// All dimensions that a source has values for.
pub(crate) fn group_of(keys: &[(ElementIndex, String)]) -> DimensionGroup {
    keys.iter().fold(DimensionGroup::EMPTY, |group, (index, _)| group.union(DimensionGroup::single(*index)))
}

impl Source {
    /// Numbers of rows, which say nothing of dimensions.
    pub(crate) fn numbers(alias: &str, from: Sql) -> Self {
        Self::keyed(alias.to_owned(), Vec::new(), from)
    }

    /// Values of dimensions, each row of which all of them are needed to find.
    pub(crate) fn keyed(alias: String, keys: Vec<(ElementIndex, String)>, from: Sql) -> Self {
        let identity = group_of(&keys);
        Self { alias, keys, from, extra: String::new(), optional: false, identity, is_search: false }
    }

    /// The column with the values of a dimension.
    pub(crate) fn column(&self, dialect: &dyn Dialect, dimension: ElementIndex) -> Option<String> {
        let (_, name) = self.keys.iter().find(|(known, _)| *known == dimension)?;
        let mut text = format!("{}.", self.alias);
        dialect.identifier(&mut text, name);
        Some(text)
    }
}

/// Where the properties of found datasets are.
#[derive(Debug)]
pub(crate) struct DatasetColumns {
    pub(crate) id: String,
    pub(crate) run: String,
    pub(crate) collection: String,
    pub(crate) ingest_date: String,
    pub(crate) begin: String,
    pub(crate) end: String,
}

/// Required dimensions of an element, each named as in tables of other elements.
fn named(plan: &Plan, group: DimensionGroup) -> Vec<(ElementIndex, String)> {
    group.iter().map(|index| (index, plan.universe.get(index).name.clone())).collect()
}

fn write_constraints(sql: &mut Sql, plan: &Plan, dialect: &dyn Dialect, alias: &str, group: DimensionGroup) {
    for index in group.iter() {
        if let Some(values) = plan.constraints.get(&index) {
            sql.push(" AND ");
            sql.push(alias);
            sql.push(".");
            dialect.identifier(&mut sql.text, &plan.universe.get(index).name);
            sql.in_list(dialect, values);
        }
    }
}

/// Writes that the rows of an overlap table are about the common pixelisation.
pub(crate) fn write_pixelization(sql: &mut Sql, plan: &Plan, alias: &str) {
    let (system, level) = match &plan.universe.common_skypix().kind {
        armillary_dimensions::ElementKind::SkyPix { system, level } => (system.as_str(), i64::from(*level)),
        _ => ("htm", 7),
    };
    sql.push(&format!("{alias}.skypix_system = "));
    sql.bind(Value::Str(system.into()));
    sql.push(&format!(" AND {alias}.skypix_level = "));
    sql.bind(Value::Int(level));
}

pub(crate) fn write_overlap_table(sql: &mut Sql, dialect: &dyn Dialect, element: &Element) {
    dialect.identifier(&mut sql.text, &format!("{}_skypix_overlap", element.name));
}

fn write_names(sql: &mut Sql, dialect: &dyn Dialect, names: &[(&str, &str)]) {
    for (position, (alias, name)) in names.iter().enumerate() {
        sql.push(if position == 0 { "" } else { ", " });
        sql.push(alias);
        sql.push(".");
        dialect.identifier(&mut sql.text, name);
    }
}

/// The pairs of two elements that touch a common pixel, each once.
pub(crate) fn overlap_source<'a>(
    plan: &'a Plan,
    dialect: &'a dyn Dialect,
    left: &'a Element,
    right: &'a Element,
) -> impl FnOnce(String) -> Source + 'a {
    move |alias| {
        let keys = named(plan, left.required.union(right.required));
        let names: Vec<(&str, &str)> = keys
            .iter()
            .map(|(index, name)| (if left.required.contains(*index) { "a" } else { "b" }, name.as_str()))
            .collect();
        let mut from = Sql::text("(SELECT DISTINCT ");
        write_names(&mut from, dialect, &names);
        from.push(" FROM ");
        write_overlap_table(&mut from, dialect, left);
        from.push(" AS a JOIN ");
        write_overlap_table(&mut from, dialect, right);
        from.push(" AS b ON a.skypix_index = b.skypix_index");
        for (index, name) in named(plan, left.required.intersection(right.required)) {
            debug_assert!(plan.universe.get(index).is_dimension());
            for part in [" AND a.", " = b."] {
                from.push(part);
                dialect.identifier(&mut from.text, &name);
            }
        }
        from.push(" WHERE ");
        write_pixelization(&mut from, plan, "a");
        from.push(" AND ");
        write_pixelization(&mut from, plan, "b");
        write_constraints(&mut from, plan, dialect, "a", left.required);
        write_constraints(&mut from, plan, dialect, "b", right.required);
        from.push(")");
        Source::keyed(alias, keys, from)
    }
}

/// The pixels of the common pixelisation that an element touches.
pub(crate) fn pixel_source<'a>(
    plan: &'a Plan,
    dialect: &'a dyn Dialect,
    pixels: &'a Element,
    element: &'a Element,
) -> impl FnOnce(String) -> Source + 'a {
    move |alias| {
        let mut keys = named(plan, element.required);
        keys.push((pixels.index, "skypix_index".to_owned()));
        let mut from = Sql::text("(SELECT ");
        let names: Vec<(&str, &str)> = keys.iter().map(|(_, name)| ("a", name.as_str())).collect();
        write_names(&mut from, dialect, &names);
        from.push(" FROM ");
        write_overlap_table(&mut from, dialect, element);
        from.push(" AS a WHERE ");
        write_pixelization(&mut from, plan, "a");
        write_constraints(&mut from, plan, dialect, "a", element.required);
        from.push(")");
        Source::keyed(alias, keys, from)
    }
}

/// The elements that touch one of some pixels.
pub(crate) fn region_source<'a>(
    plan: &'a Plan,
    dialect: &'a dyn Dialect,
    element: &'a Element,
    ranges: &[Range<u64>],
) -> impl FnOnce(String) -> Source + 'a {
    let ranges = ranges.to_vec();
    move |alias| {
        let keys = named(plan, element.required);
        let mut from = Sql::text("(SELECT DISTINCT ");
        let names: Vec<(&str, &str)> = keys.iter().map(|(_, name)| ("a", name.as_str())).collect();
        write_names(&mut from, dialect, &names);
        from.push(" FROM ");
        write_overlap_table(&mut from, dialect, element);
        from.push(" AS a WHERE ");
        write_pixelization(&mut from, plan, "a");
        write_constraints(&mut from, plan, dialect, "a", element.required);
        from.push(" AND (");
        write_ranges(&mut from, "a.skypix_index", &ranges);
        from.push("))");
        Source::keyed(alias, keys, from)
    }
}

/// The data IDs that the caller gave.
pub(crate) fn upload_source<'a>(
    plan: &'a Plan,
    dialect: &'a dyn Dialect,
    upload: &'a Upload,
) -> impl FnOnce(String) -> Source + 'a {
    move |alias| {
        let keys: Vec<(ElementIndex, String)> =
            upload.dimensions.iter().map(|index| (*index, plan.universe.get(*index).name.clone())).collect();
        let columns: Vec<(String, bool)> = keys
            .iter()
            .map(|(index, name)| (name.clone(), key_type(plan.universe.get(*index)) == ColumnType::Str))
            .collect();
        let mut from = Sql::default();
        dialect.json_rows(&mut from.text, &columns);
        from.values.push(Value::Str(json_of_rows(&upload.rows).into()));
        Source::keyed(alias, keys, from)
    }
}

/// The datasets of one type in the collections of a search.
pub(crate) fn dataset_source<'a>(
    plan: &'a Plan,
    dialect: &'a dyn Dialect,
    position: usize,
) -> (impl FnOnce(String) -> Source + use<'a>, DatasetColumns) {
    let search = &plan.searches[position];
    let required: DimensionGroup = plan
        .universe
        .info(search.dataset_type.group)
        .required
        .iter()
        .fold(DimensionGroup::EMPTY, |group, index| group.union(DimensionGroup::single(*index)));
    let keys = named(plan, required);
    let alias = format!("d{position}");
    let mut from = Sql::text("(");
    let needs = Needs::new(plan, position);
    let (calibrations, others): (Vec<&Place>, Vec<&Place>) =
        search.collections.iter().partition(|place| place.kind == CollectionKind::Calibration);
    if !others.is_empty() || calibrations.is_empty() {
        let ids: Vec<i64> = others.iter().map(|place| place.id).collect();
        write_search(&mut from, plan, dialect, search, &keys, needs, &ids, false);
    }
    if !calibrations.is_empty() {
        if !others.is_empty() {
            from.push(" UNION ALL ");
        }
        let ids: Vec<i64> = calibrations.iter().map(|place| place.id).collect();
        write_search(&mut from, plan, dialect, search, &keys, needs, &ids, true);
    }
    from.push(")");
    let column = |name: &str| format!("{alias}.{name}");
    let columns = DatasetColumns {
        id: column("dataset_id"),
        // In a run are its own datasets.
        run: column(if calibrations.is_empty() && only_runs(&others) { "collection_id" } else { "run_id" }),
        collection: column("collection_id"),
        ingest_date: column("ingest_date"),
        begin: column("validity_begin"),
        end: column("validity_end"),
    };
    let source = move |_unused: String| Source { is_search: true, ..Source::keyed(alias, keys, from) };
    (source, columns)
}

/// What a search must give beside data IDs and dataset ids.
#[derive(Clone, Copy)]
struct Needs {
    run: bool,
    ingest_date: bool,
    validity: bool,
}

impl Needs {
    fn new(plan: &Plan, position: usize) -> Self {
        let uses = plan.uses(position);
        let owner = Owner::Search(position);
        Self {
            run: plan.answers_with(position) || uses.contains(&Reference::Dataset(position, DatasetField::Run)),
            ingest_date: uses.contains(&Reference::Dataset(position, DatasetField::IngestDate)),
            validity: [Reference::Timespan(owner), Reference::Begin(owner), Reference::End(owner)]
                .iter()
                .any(|reference| uses.contains(reference)),
        }
    }
}

fn only_runs(places: &[&Place]) -> bool {
    places.iter().all(|place| place.kind == CollectionKind::Run)
}

#[expect(clippy::too_many_arguments, reason = "one half of a union, called twice")]
fn write_search(
    sql: &mut Sql,
    plan: &Plan,
    dialect: &dyn Dialect,
    search: &Search,
    keys: &[(ElementIndex, String)],
    needs: Needs,
    collections: &[i64],
    validity: bool,
) {
    let places: Vec<&Place> = search.collections.iter().filter(|place| collections.contains(&place.id)).collect();
    let only_runs = only_runs(&places);
    let with_dataset = needs.ingest_date || (needs.run && !only_runs);
    sql.push("SELECT ");
    for (_, name) in keys {
        sql.push("t.");
        dialect.identifier(&mut sql.text, name);
        sql.push(", ");
    }
    sql.push("t.dataset_id, t.collection_id");
    if needs.run {
        sql.push(if only_runs { ", t.collection_id AS run_id" } else { ", d.run_id" });
    }
    if needs.ingest_date {
        sql.push(", d.ingest_date");
    }
    if needs.validity && validity {
        let [begin, end] = dialect.timespan_bounds("t.", "timespan");
        sql.push(&format!(", {begin} AS validity_begin, {end} AS validity_end"));
    } else if needs.validity {
        sql.push(&format!(", {} AS validity_begin, {} AS validity_end", FOREVER.0, FOREVER.1));
    }
    sql.push(" FROM ");
    let record = &search.dataset_type;
    let table = if validity { record.calibs_table.as_ref().unwrap_or(&record.tags_table) } else { &record.tags_table };
    dialect.identifier(&mut sql.text, table);
    sql.push(" AS t");
    if with_dataset {
        sql.push(" JOIN dataset AS d ON d.id = t.dataset_id");
    }
    sql.push(" WHERE t.dataset_type_id = ");
    sql.bind(Value::Int(record.id));
    sql.push(" AND t.collection_id");
    let ids: Vec<Value> = collections.iter().map(|id| Value::Int(*id)).collect();
    sql.in_list(dialect, &ids);
    let group =
        keys.iter().fold(DimensionGroup::EMPTY, |group, (index, _)| group.union(DimensionGroup::single(*index)));
    write_constraints(sql, plan, dialect, "t", group);
}
