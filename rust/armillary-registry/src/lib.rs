//! Storage of a repository: schema, collections, datasets, dimension records, queries.

mod attributes;
mod calibrations;
mod catalog;
mod collections;
mod dataset_id;
mod dataset_types;
mod datasets;
mod datastore;
mod decode;
mod dialect;
mod error;
mod expand;
mod find;
mod overlaps;
mod pattern;
mod records;
mod registry;
mod schema;
mod store;
mod summaries;

pub use catalog::{Catalog, CollectionKind, CollectionRecord, DatasetTypeRecord};
pub use collections::{ChainEdit, CollectionFilter};
pub use dataset_id::{IdMode, dataset_id};
pub use datasets::Dataset;
pub use datastore::{FILE_RECORDS, FileRecord, StaleIntent, Trashed};
pub use decode::hex_id;
pub use dialect::{Dialect, Sqlite};
pub use error::RegistryError;
pub use expand::Expanded;
pub use find::{Association, Found};
pub use pattern::{glob_fits, is_glob};
pub use records::{InsertMode, Synced};
pub use registry::Registry;
pub use schema::SqlType;
pub use store::Store;
pub use summaries::{Summaries, Summary};
