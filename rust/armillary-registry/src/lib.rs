//! Storage of a repository: schema, collections, datasets, dimension records, queries.

mod attributes;
mod catalog;
mod collections;
mod dataset_types;
mod decode;
mod dialect;
mod error;
mod pattern;
mod registry;
mod schema;
mod store;
mod summaries;

pub use catalog::{Catalog, CollectionKind, CollectionRecord, DatasetTypeRecord};
pub use collections::{ChainEdit, CollectionFilter};
pub use decode::hex_id;
pub use dialect::{Dialect, Sqlite};
pub use error::RegistryError;
pub use pattern::{glob_fits, is_glob};
pub use registry::Registry;
pub use schema::SqlType;
pub use store::Store;
pub use summaries::{Summaries, Summary};
