//! What can go wrong in a repository's database.

use crate::{
    query::QueryError,
    store::{DatabaseError, ErrorKind},
};
use armillary_dimensions::{DataCoordinate, DimensionError, Element, Key};
use std::fmt;

/// Why the registry could not do what was asked.
///
/// Every variant is one sort of fact, so that the bindings can give each its exception class without a catch-all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryError {
    /// A dimension, group or data ID is wrong by itself.
    Dimension(DimensionError),
    /// A query cannot be understood or answered.
    Query(Box<QueryError>),
    /// The database refused for a reason that is not the caller's.
    Database { doing: String, reason: String },
    /// Another process held the database for longer than we wait; who it was, if that can be known.
    Busy { doing: String, holder: Option<String> },
    /// COMMIT failed and the database could not be asked whether it happened.
    CommitUnknown { reason: String },
    /// A stored value cannot be what its column says.
    Corrupt { what: String, reason: String },
    /// A write to a repository opened for reading only.
    ReadOnly { doing: String },
    /// The file is no repository: it has no table of attributes.
    NotARepository { path: String, reason: String },
    /// A repository cannot be created where tables are already.
    AlreadyExists { path: String },
    /// An attribute that every repository has is missing.
    MissingAttribute { name: String },
    /// The repository does not say which manager it uses for something.
    MissingManager { name: String },
    /// The repository uses a manager we do not know.
    ManagerMismatch { name: String, stored: String, supported: String },
    /// The repository's version of a manager is not one we can open in this mode.
    IncompatibleVersion { manager: String, stored: String, supported: String, writeable: bool },
    /// A stored version is not three integers.
    BadVersion { manager: String, stored: String },
    /// A table has other columns than its definition.
    WrongTable { table: String, found: Vec<String>, wanted: Vec<String> },
    /// A name that cannot be used.
    BadName { what: &'static str, name: String, reason: String },
    /// An argument that cannot be used.
    BadArgument { reason: String },
    /// No collection has this name.
    NoSuchCollection { name: String, nearest: Option<String> },
    /// The collection is not of a kind that can do this.
    CollectionKind { name: String, found: &'static str, wanted: &'static str },
    /// A chain would contain itself.
    CollectionCycle { parent: String, child: String },
    /// The collection is a child of chains.
    CollectionInChains { name: String, chains: Vec<String> },
    /// The run still has datasets with files.
    CollectionHasFiles { name: String, datasets: u64 },
    /// No dataset type has this name.
    NoSuchDatasetType { name: String, nearest: Option<String> },
    /// The dataset type is registered with another definition.
    DatasetTypeConflict { name: String, stored: String, given: String },
    /// Datasets of the type still exist.
    DatasetTypeInUse { name: String, datasets: u64 },
    /// Only calibration dataset types can be certified.
    NotACalibration { name: String },
    /// The element's records are not stored in a table of their own.
    NoTable { element: String, reason: String },
    /// A record exists already, with other values.
    RecordConflict { element: String, key: String, reason: String },
    /// A record lacks a field, or has one of the wrong type or length.
    BadRecord { element: String, field: String, reason: String },
    /// A record that something depends on does not exist.
    MissingRecord { what: String, element: String, key: String },
    /// Records contradict a data ID.
    InconsistentDataId { data_id: String, reason: String },
    /// No record has the values of a data ID.
    DataIdValue { data_id: String, element: String, known: Vec<String> },
    /// Another dataset of the same type and data ID is in the collection.
    DatasetConflict { dataset_type: String, data_id: String, collection: String, reason: String },
    /// Two certifications would be valid at the same time.
    CertificationConflict { dataset_type: String, data_id: String, collection: String, timespan: String },
    /// Several datasets would be right.
    AmbiguousDataset { dataset_type: String, data_id: String, collection: String },
    /// No dataset has this id.
    NoSuchDataset { id: String },
    /// Files of the datasets are still known to a datastore.
    DatasetsHaveFiles { datasets: u64, datastore: String },
    /// A call that ends a transaction came from a thread or at a time that has none.
    NoTransaction,
}

impl RegistryError {
    /// A data ID names a record that is not there.
    pub(crate) fn missing_record(data_id: &DataCoordinate, element: &Element, keys: &[Key]) -> Self {
        Self::MissingRecord {
            what: format!("data ID {data_id}"),
            element: element.name.clone(),
            key: keys.last().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// A database failure while `doing` something.
    pub(crate) fn database(doing: &str, error: &DatabaseError) -> Self {
        match error.kind {
            ErrorKind::Busy => Self::Busy { doing: doing.to_owned(), holder: None },
            ErrorKind::ReadOnly => Self::ReadOnly { doing: doing.to_owned() },
            _ => Self::Database { doing: doing.to_owned(), reason: error.to_string() },
        }
    }
}

impl From<DimensionError> for RegistryError {
    fn from(error: DimensionError) -> Self {
        Self::Dimension(error)
    }
}

impl From<QueryError> for RegistryError {
    fn from(error: QueryError) -> Self {
        Self::Query(Box::new(error))
    }
}

/// `; did you mean `x`?`, or nothing.
struct Hint<'a>(&'a Option<String>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|near| write!(f, "; did you mean `{near}`?"))
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

const fn them(number: u64) -> &'static str {
    if number == 1 { "it" } else { "them" }
}

impl fmt::Display for RegistryError {
    #[expect(clippy::too_many_lines, reason = "a line or two for each variant")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension(error) => write!(f, "{error}"),
            Self::Query(error) => write!(f, "{error}"),
            Self::Database { doing, reason } => write!(f, "the database failed while {doing}: {reason}"),
            Self::Busy { doing, holder } => {
                let holder = holder.as_deref().unwrap_or("another process");
                write!(f, "the database stayed locked while {doing}, by {holder}; try again when that has ended")
            }
            Self::CommitUnknown { reason } => write!(
                f,
                "the database did not confirm the last change ({reason}) and cannot be asked; \
                 look whether it is there before trying again"
            ),
            Self::Corrupt { what, reason } => write!(f, "the repository holds a bad value in {what}: {reason}"),
            Self::ReadOnly { doing } => {
                write!(
                    f,
                    "the repository is open for reading only, so {doing} is refused; open it with `writeable=True`"
                )
            }
            Self::NotARepository { path, reason } => {
                write!(f, "`{path}` is not the database of a repository: {reason}")
            }
            Self::AlreadyExists { path } => {
                write!(f, "`{path}` already has tables, so no repository can be created in it")
            }
            Self::MissingAttribute { name } => {
                write!(f, "the repository lacks the attribute `{name}`, which every repository has")
            }
            Self::MissingManager { name } => {
                write!(
                    f,
                    "the repository does not name its `{name}` manager (attribute `config:registry.managers.{name}`)"
                )
            }
            Self::ManagerMismatch { name, stored, supported } => {
                write!(f, "the repository's `{name}` manager is `{stored}`; only `{supported}` is supported")
            }
            Self::IncompatibleVersion { manager, stored, supported, writeable } => {
                let mode = if *writeable { "written" } else { "read" };
                write!(
                    f,
                    "version {stored} of `{manager}` in the repository cannot be {mode}; supported is {supported}"
                )
            }
            Self::BadVersion { manager, stored } => {
                write!(f, "the version `{stored}` of `{manager}` in the repository is not three integers")
            }
            Self::WrongTable { table, found, wanted } => {
                write!(f, "table `{table}` has the columns {}; {} were expected", quoted(found), quoted(wanted))
            }
            Self::BadName { what, name, reason } => write!(f, "{name:?} cannot be the name of a {what}: {reason}"),
            Self::BadArgument { reason } => f.write_str(reason),
            Self::NoSuchCollection { name, nearest } => {
                write!(f, "no collection is called `{name}`{}", Hint(nearest))
            }
            Self::CollectionKind { name, found, wanted } => {
                write!(f, "collection `{name}` is {found}; {wanted} is needed here")
            }
            Self::CollectionCycle { parent, child } if parent == child => {
                write!(f, "`{parent}` cannot be a child of itself")
            }
            Self::CollectionCycle { parent, child } => {
                write!(f, "`{child}` already contains `{parent}`, so it cannot become its child")
            }
            Self::CollectionInChains { name, chains } => {
                write!(f, "collection `{name}` is still a child of {}; remove it from there first", quoted(chains))
            }
            Self::CollectionHasFiles { name, datasets } => write!(
                f,
                "run `{name}` still has {datasets} {} with files; remove it with `removeRuns`, which removes {} too",
                if *datasets == 1 { "dataset" } else { "datasets" },
                them(*datasets)
            ),
            Self::NoSuchDatasetType { name, nearest } => {
                write!(f, "no dataset type is called `{name}`{}", Hint(nearest))
            }
            Self::DatasetTypeConflict { name, stored, given } => {
                write!(f, "dataset type `{name}` is registered as {stored}, which differs from the given {given}")
            }
            Self::DatasetTypeInUse { name, datasets } => {
                let noun = if *datasets == 1 { "dataset" } else { "datasets" };
                write!(f, "dataset type `{name}` still has {datasets} {noun}; remove {} first", them(*datasets))
            }
            Self::NotACalibration { name } => {
                write!(f, "dataset type `{name}` is not a calibration, so its datasets have no validity ranges")
            }
            Self::NoTable { element, reason } => write!(f, "records of `{element}` cannot be inserted: {reason}"),
            Self::RecordConflict { element, key, reason } => write!(f, "`{element}` {key} exists already: {reason}"),
            Self::BadRecord { element, field, reason } => {
                write!(f, "field `{field}` of a `{element}` record cannot be used: {reason}")
            }
            Self::MissingRecord { what, element, key } => {
                write!(f, "{what} names `{element}` {key}, which has no record; insert that record first")
            }
            Self::InconsistentDataId { data_id, reason } => {
                write!(f, "data ID {data_id} contradicts the records: {reason}")
            }
            Self::DataIdValue { data_id, element, known } => {
                write!(f, "data ID {data_id} has no `{element}` record")?;
                if known.is_empty() { Ok(()) } else { write!(f, "; records exist for {}", known.join(", ")) }
            }
            Self::DatasetConflict { dataset_type, data_id, collection, reason } => {
                write!(f, "`{dataset_type}` {data_id} cannot enter collection `{collection}`: {reason}")
            }
            Self::CertificationConflict { dataset_type, data_id, collection, timespan } => write!(
                f,
                "`{dataset_type}` {data_id} is already certified in `{collection}` for a time that overlaps {timespan}"
            ),
            Self::AmbiguousDataset { dataset_type, data_id, collection } => write!(
                f,
                "several datasets `{dataset_type}` {data_id} are valid in `{collection}`; give a `timespan` that meets one"
            ),
            Self::NoSuchDataset { id } => write!(f, "no dataset has the id {id}"),
            Self::DatasetsHaveFiles { datasets, datastore } => write!(
                f,
                "{datasets} of the datasets still have files in datastore `{datastore}`; prune them with `unstore=True`"
            ),
            Self::NoTransaction => f.write_str("no transaction of this thread is open"),
        }
    }
}

impl std::error::Error for RegistryError {}
