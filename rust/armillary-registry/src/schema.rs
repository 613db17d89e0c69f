//! The tables of a repository: logical definitions from a universe, and their text in a dialect.

use crate::dialect::Dialect;
use armillary_dimensions::{DimensionGroup, Element, ElementIndex, ElementKind, FieldRole, FieldType, Universe};
use std::fmt::Write as _;

/// The type of a column, before a dialect spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// An integer key the database numbers.
    Serial,
    /// 64-bit integer.
    Int,
    /// 16-bit integer.
    SmallInt,
    /// Double.
    Float,
    /// Boolean.
    Bool,
    /// Text of at most this many characters; long limits are not enforced.
    Text(usize),
    /// Bytes as base64 text.
    Base64,
    /// A dataset id.
    Uuid,
    /// Nanoseconds TAI.
    Time,
    /// A range of nanoseconds TAI.
    Timespan,
    /// Text of a UTC time: the ingest date of older repositories.
    Timestamp,
}

/// Long text without a limit.
pub(crate) const LONG: SqlType = SqlType::Text(usize::MAX);

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDefinition {
    name: String,
    kind: SqlType,
    required: bool,
    default: Option<String>,
}

#[derive(Clone, Debug)]
struct ForeignKey {
    columns: Vec<String>,
    target: String,
    target_columns: Vec<String>,
    cascade: bool,
}

/// One table with its constraints and indexes.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    name: String,
    columns: Vec<ColumnDefinition>,
    primary_key: Vec<String>,
    unique: Vec<Vec<String>>,
    foreign_keys: Vec<ForeignKey>,
    indexes: Vec<Vec<String>>,
}

impl Table {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
        }
    }

    /// The table's name.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The names of its columns.
    pub(crate) fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// A column that may be NULL.
    fn optional(mut self, name: &str, kind: SqlType) -> Self {
        self.columns.push(ColumnDefinition { name: name.to_owned(), kind, required: false, default: None });
        self
    }

    /// A column that may not be NULL.
    fn required(mut self, name: &str, kind: SqlType) -> Self {
        self.columns.push(ColumnDefinition { name: name.to_owned(), kind, required: true, default: None });
        self
    }

    /// A column that may not be NULL and is part of the key.
    fn key(self, name: &str, kind: SqlType) -> Self {
        let mut table = self.required(name, kind);
        table.primary_key.push(name.to_owned());
        table
    }

    fn references(mut self, columns: &[&str], target: &str, target_columns: &[&str], cascade: bool) -> Self {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.foreign_keys.push(ForeignKey {
            columns: own(columns),
            target: target.to_owned(),
            target_columns: own(target_columns),
            cascade,
        });
        self
    }

    /// Foreign keys to the tables of dimensions, for those that have one.
    fn references_dimensions(mut self, universe: &Universe, dimensions: &[ElementIndex]) -> Self {
        for index in dimensions {
            self = self.references_dimension(universe, universe.get(*index));
        }
        self
    }

    fn references_dimension(self, universe: &Universe, dimension: &Element) -> Self {
        if !dimension.has_table() {
            return self;
        }
        let columns: Vec<&str> = universe.names(dimension.required).collect();
        let targets: Vec<&str> =
            dimension.required.iter().map(|index| key_column(dimension, universe.get(index))).collect();
        self.references(&columns, &dimension.name, &targets, false)
    }

    /// The statements that make the table and its indexes.
    #[must_use]
    pub(crate) fn statements(&self, dialect: &dyn Dialect) -> Vec<String> {
        let mut statements = Vec::new();
        for column in self.columns.iter().filter(|column| column.kind == SqlType::Serial) {
            if let Some(sequence) = dialect.sequence(&self.name, &column.name) {
                statements.push(format!("CREATE SEQUENCE {sequence}"));
            }
        }
        statements.push(self.create_table(dialect));
        let mut indexed: Vec<&[String]> = vec![&self.primary_key];
        indexed.extend(self.unique.iter().chain(&self.indexes).map(Vec::as_slice));
        for columns in &self.indexes {
            statements.push(self.create_index(dialect, "idx", columns));
        }
        for key in &self.foreign_keys {
            if !indexed.contains(&key.columns.as_slice()) {
                statements.push(self.create_index(dialect, "fkidx", &key.columns));
                indexed.push(&key.columns);
            }
        }
        statements
    }

    fn create_index(&self, dialect: &dyn Dialect, prefix: &str, columns: &[String]) -> String {
        let mut sql = "CREATE INDEX ".to_owned();
        let name = format!("{}_{prefix}_{}", self.name, columns.join("_"));
        dialect.identifier(&mut sql, &dialect.short_name(&name));
        sql.push_str(" ON ");
        dialect.identifier(&mut sql, &self.name);
        let _ = write!(sql, " ({})", list(dialect, columns));
        sql
    }

    fn create_table(&self, dialect: &dyn Dialect) -> String {
        let mut parts: Vec<String> = self.columns.iter().map(|column| column.definition(dialect)).collect();
        parts.push(format!("PRIMARY KEY ({})", list(dialect, &self.primary_key)));
        for column in &self.columns {
            if let SqlType::Text(length) = column.kind
                && length <= 32
                && dialect.checks_lengths()
            {
                let name = &column.name;
                parts.push(format!(
                    "CONSTRAINT {}_len_{name} CHECK (length(\"{name}\")<={length} AND length(\"{name}\")>=1)",
                    self.name
                ));
            }
        }
        for columns in &self.unique {
            let name = dialect.short_name(&format!("{}_unq_{}", self.name, columns.join("_")));
            parts.push(format!("CONSTRAINT {name} UNIQUE ({})", list(dialect, columns)));
        }
        for key in &self.foreign_keys {
            parts.push(self.foreign_key(dialect, key));
        }
        let mut sql = "CREATE TABLE ".to_owned();
        dialect.identifier(&mut sql, &self.name);
        let _ = write!(sql, " (\n\t{}\n)", parts.join(", \n\t"));
        sql
    }

    fn foreign_key(&self, dialect: &dyn Dialect, key: &ForeignKey) -> String {
        let name =
            format!("fkey_{}_{}_{}_{}", self.name, key.target, key.target_columns.join("_"), key.columns.join("_"));
        let columns = list(dialect, &key.columns);
        let mut sql = format!("CONSTRAINT {} FOREIGN KEY({columns}) REFERENCES ", dialect.short_name(&name));
        dialect.identifier(&mut sql, &key.target);
        let _ = write!(sql, " ({})", list(dialect, &key.target_columns));
        if key.cascade {
            sql.push_str(" ON DELETE CASCADE");
        }
        sql
    }
}

impl ColumnDefinition {
    fn definition(&self, dialect: &dyn Dialect) -> String {
        let mut sql = String::new();
        dialect.identifier(&mut sql, &self.name);
        sql.push(' ');
        sql.push_str(&dialect.column_type(self.kind));
        if let Some(default) = &self.default {
            let _ = write!(sql, " DEFAULT {default}");
        }
        if self.required {
            sql.push_str(" NOT NULL");
        }
        sql
    }
}

fn list(dialect: &dyn Dialect, names: &[String]) -> String {
    let mut sql = String::new();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            sql.push_str(", ");
        }
        dialect.identifier(&mut sql, name);
    }
    sql
}

/// The column that holds the value of `dimension` in the table of `element`.
#[must_use]
pub(crate) fn key_column<'a>(element: &'a Element, dimension: &'a Element) -> &'a str {
    if element.index == dimension.index {
        element.own_key().map_or(dimension.name.as_str(), |field| field.name.as_str())
    } else {
        &dimension.name
    }
}

/// The type of columns that hold values of a dimension.
fn dimension_type(dimension: &Element) -> SqlType {
    dimension.own_key().map_or(SqlType::Int, |field| field_type(field.kind))
}

fn field_type(kind: FieldType) -> SqlType {
    match kind {
        FieldType::Int | FieldType::Timespan => SqlType::Int,
        FieldType::Float => SqlType::Float,
        FieldType::Bool => SqlType::Bool,
        FieldType::String { length } => SqlType::Text(length),
        FieldType::Hash { .. } | FieldType::Region => SqlType::Base64,
    }
}

/// All tables a new repository has, each after those it refers to.
#[must_use]
pub(crate) fn static_tables(universe: &Universe, dialect: &dyn Dialect) -> Vec<Table> {
    let mut tables = vec![Table::new("butler_attributes").key("name", LONG).required("value", LONG)];
    tables.extend(universe.elements().iter().filter(|e| e.has_table()).map(|e| element_table(universe, e, dialect)));
    tables.extend(overlap_tables(universe));
    tables.extend(collection_tables(universe, dialect));
    tables.extend(dataset_tables());
    tables
}

fn element_table(universe: &Universe, element: &Element, dialect: &dyn Dialect) -> Table {
    let mut table = Table::new(&element.name);
    let others: Vec<String> = element
        .required
        .iter()
        .filter(|index| *index != element.index)
        .map(|index| universe.get(index).name.clone())
        .collect();
    for field in &element.fields {
        table = match field.role {
            FieldRole::Required(_) => table.key(&field.name, field_type(field.kind)),
            FieldRole::Implied(_) => table.required(&field.name, field_type(field.kind)),
            FieldRole::Timespan => dialect
                .timespan_columns(&field.name)
                .iter()
                .fold(table, |table, column| table.optional(column, dialect.timespan_type())),
            FieldRole::AlternateKey | FieldRole::Metadata | FieldRole::Region => {
                table.optional(&field.name, field_type(field.kind))
            }
        };
        if field.role == FieldRole::AlternateKey {
            table.unique.push(others.iter().chain([&field.name]).cloned().collect());
        }
    }
    let parents: Vec<ElementIndex> =
        element.required.iter().chain(element.implied.iter()).filter(|index| *index != element.index).collect();
    table.references_dimensions(universe, &parents)
}

/// Elements with stored regions.
pub(crate) fn spatial_elements(universe: &Universe) -> impl Iterator<Item = &Element> {
    universe.elements().iter().filter(|element| element.spatial.is_some() && element.has_table())
}

/// The governors among an element's required dimensions, then the others.
pub(crate) fn governors_first(universe: &Universe, element: &Element) -> (Vec<ElementIndex>, Vec<ElementIndex>) {
    element.required.iter().partition(|index| universe.get(*index).kind == ElementKind::Governor)
}

fn with_dimensions(mut table: Table, universe: &Universe, dimensions: &[ElementIndex]) -> Table {
    for index in dimensions {
        let dimension = universe.get(*index);
        table = table.key(&dimension.name, dimension_type(dimension));
    }
    table
}

fn overlap_tables(universe: &Universe) -> Vec<Table> {
    let mut tables = Vec::new();
    for element in spatial_elements(universe) {
        let (governors, others) = governors_first(universe, element);
        tables.extend(skypix_overlap_tables(universe, element, &governors, &others));
    }
    // These are never filled, but every repository has them.
    for first in spatial_elements(universe) {
        for second in spatial_elements(universe).filter(|second| second.index > first.index) {
            if first.spatial == second.spatial {
                continue;
            }
            let (mut governors, mut others) = governors_first(universe, first);
            let (more_governors, more_others) = governors_first(universe, second);
            governors.extend(more_governors);
            others.extend(more_others);
            let name = format!("{}_{}_overlap", first.name, second.name);
            tables.push(
                with_dimensions(Table::new(format!("{name}_summary")), universe, &governors)
                    .references_dimensions(universe, &governors),
            );
            let all = [governors, others].concat();
            tables.push(with_dimensions(Table::new(name), universe, &all).references_dimensions(universe, &all));
        }
    }
    tables
}

fn skypix_overlap_tables(
    universe: &Universe,
    element: &Element,
    governors: &[ElementIndex],
    others: &[ElementIndex],
) -> [Table; 2] {
    let start =
        |name: &str| Table::new(name).key("skypix_system", SqlType::Text(16)).key("skypix_level", SqlType::SmallInt);
    let name = format!("{}_skypix_overlap", element.name);
    let summary = format!("{name}_summary");
    let mut summary_key = vec!["skypix_system", "skypix_level"];
    summary_key.extend(governors.iter().map(|index| universe.get(*index).name.as_str()));
    let all = [governors, others].concat();
    let mut table = with_dimensions(start(&name), universe, &all)
        .key("skypix_index", SqlType::Int)
        .references(&summary_key, &summary, &summary_key, true)
        .references_dimensions(universe, &all);
    let mut index: Vec<String> =
        ["skypix_system", "skypix_level", "skypix_index"].iter().map(|name| (*name).to_owned()).collect();
    index.extend(all.iter().map(|index| universe.get(*index).name.clone()));
    table.indexes.push(index);
    let summary_table =
        with_dimensions(start(&summary), universe, governors).references_dimensions(universe, governors);
    [summary_table, table]
}

fn collection_tables(universe: &Universe, dialect: &dyn Dialect) -> Vec<Table> {
    let mut collection = Table::new("collection")
        .key("collection_id", SqlType::Serial)
        .required("name", LONG)
        .required("type", SqlType::SmallInt)
        .optional("doc", LONG);
    collection.unique.push(vec!["name".to_owned()]);
    let mut run = Table::new("run").key("collection_id", SqlType::Int).optional("host", LONG);
    for column in dialect.timespan_columns("timespan") {
        run = run.optional(&column, dialect.timespan_type());
    }
    let run = run.references(&["collection_id"], "collection", &["collection_id"], true);
    let chain = Table::new("collection_chain")
        .key("parent", SqlType::Int)
        .key("position", SqlType::SmallInt)
        .required("child", SqlType::Int)
        .references(&["parent"], "collection", &["collection_id"], true)
        .references(&["child"], "collection", &["collection_id"], false);
    let mut dataset_type = Table::new("dataset_type")
        .key("id", SqlType::Serial)
        .required("name", LONG)
        .required("storage_class", LONG)
        .required("dimensions_key", SqlType::Int)
        .required("tag_association_table", LONG)
        .optional("calibration_association_table", LONG);
    dataset_type.unique.push(vec!["name".to_owned()]);
    let summary = Table::new("collection_summary_dataset_type")
        .key("collection_id", SqlType::Int)
        .key("dataset_type_id", SqlType::Int)
        .references(&["collection_id"], "collection", &["collection_id"], true)
        .references(&["dataset_type_id"], "dataset_type", &["id"], true);
    let mut tables = vec![collection, run, chain, dataset_type, summary];
    for governor in universe.elements().iter().filter(|element| element.kind == ElementKind::Governor) {
        tables.push(
            Table::new(format!("collection_summary_{}", governor.name))
                .key("collection_id", SqlType::Int)
                .key(&governor.name, dimension_type(governor))
                .references(&["collection_id"], "collection", &["collection_id"], true)
                .references_dimension(universe, governor),
        );
    }
    tables
}

fn dataset_tables() -> Vec<Table> {
    vec![
        Table::new("dimension_graph_key").key("id", SqlType::Serial),
        Table::new("dimension_graph_definition")
            .key("dimension_graph_id", SqlType::Int)
            .key("dimension_name", LONG)
            .references(&["dimension_graph_id"], "dimension_graph_key", &["id"], true),
        Table::new("dataset")
            .key("id", SqlType::Uuid)
            .required("dataset_type_id", SqlType::Int)
            .required("ingest_date", SqlType::Time)
            .required("run_id", SqlType::Int)
            .references(&["dataset_type_id"], "dataset_type", &["id"], false)
            .references(&["run_id"], "run", &["collection_id"], true),
        Table::new("dataset_location").key("datastore_name", LONG).key("dataset_id", SqlType::Uuid).references(
            &["dataset_id"],
            "dataset",
            &["id"],
            false,
        ),
        Table::new("dataset_location_trash").key("dataset_id", SqlType::Uuid).key("datastore_name", LONG),
        Table::new("opaque_meta").key("table_name", LONG),
    ]
}

/// The name of the table of RUN and TAGGED members with the dimension group numbered `key`.
#[must_use]
pub(crate) fn tags_table_name(key: i64) -> String {
    format!("dataset_tags_{key:08}")
}

/// The name of the table of CALIBRATION members with the dimension group numbered `key`.
#[must_use]
pub(crate) fn calibs_table_name(key: i64) -> String {
    format!("dataset_calibs_{key:08}")
}

/// The table of RUN and TAGGED members.
#[must_use]
pub(crate) fn tags_table(universe: &Universe, group: DimensionGroup, key: i64) -> Table {
    let required = universe.info(group).required.clone();
    let mut table = Table::new(tags_table_name(key))
        .required("dataset_type_id", SqlType::Int)
        .key("dataset_id", SqlType::Uuid)
        .key("collection_id", SqlType::Int);
    table = with_required(table, universe, &required);
    let mut unique = vec!["dataset_type_id".to_owned(), "collection_id".to_owned()];
    unique.extend(required.iter().map(|index| universe.get(*index).name.clone()));
    table.unique.push(unique);
    member_references(table, universe, &required)
}

/// The table of CALIBRATION members.
#[must_use]
pub(crate) fn calibs_table(universe: &Universe, group: DimensionGroup, key: i64, dialect: &dyn Dialect) -> Table {
    let required = universe.info(group).required.clone();
    let mut table = Table::new(calibs_table_name(key))
        .key("id", SqlType::Serial)
        .required("dataset_type_id", SqlType::Int)
        .required("dataset_id", SqlType::Uuid)
        .required("collection_id", SqlType::Int);
    table = with_required(table, universe, &required);
    let timespan = dialect.timespan_columns("timespan");
    for (column, default) in timespan.iter().zip(dialect.timespan_defaults()) {
        table = table.required(column, dialect.timespan_type());
        if let Some(last) = table.columns.last_mut() {
            last.default = Some(default);
        }
    }
    let mut index = vec!["dataset_type_id".to_owned(), "collection_id".to_owned()];
    index.extend(required.iter().map(|index| universe.get(*index).name.clone()));
    index.extend(timespan);
    table.indexes.push(index);
    member_references(table, universe, &required)
}

fn with_required(mut table: Table, universe: &Universe, dimensions: &[ElementIndex]) -> Table {
    for index in dimensions {
        let dimension = universe.get(*index);
        table = table.required(&dimension.name, dimension_type(dimension));
    }
    table
}

fn member_references(table: Table, universe: &Universe, required: &[ElementIndex]) -> Table {
    let mut table = table
        .references(&["dataset_type_id"], "dataset_type", &["id"], false)
        .references(&["dataset_id"], "dataset", &["id"], true)
        .references(&["collection_id"], "collection", &["collection_id"], true)
        .references(
            &["collection_id", "dataset_type_id"],
            "collection_summary_dataset_type",
            &["collection_id", "dataset_type_id"],
            false,
        );
    for index in required {
        let dimension = universe.get(*index);
        table = table.references_dimension(universe, dimension);
        if dimension.kind == ElementKind::Governor {
            let columns = ["collection_id", dimension.name.as_str()];
            table = table.references(&columns, &format!("collection_summary_{}", dimension.name), &columns, false);
        }
    }
    table
}

/// The table in which a file datastore keeps what it knows of its files.
#[must_use]
pub(crate) fn file_records_table(name: &str) -> Table {
    let mut table = Table::new(name)
        .key("dataset_id", SqlType::Uuid)
        .required("path", LONG)
        .required("formatter", LONG)
        .required("storage_class", LONG)
        .key("component", SqlType::Text(32))
        .optional("checksum", LONG)
        .optional("file_size", SqlType::Int);
    table.indexes.push(vec!["path".to_owned()]);
    table
}

/// The table of files that are being written; other clients ignore it.
#[must_use]
pub(crate) fn intent_table() -> Table {
    Table::new("armillary_intent")
        .key("id", SqlType::Serial)
        .required("datastore_name", LONG)
        .required("path", LONG)
        .required("pid", SqlType::Int)
        .required("host", LONG)
        .required("process_start", LONG)
        .required("created", SqlType::Time)
}
