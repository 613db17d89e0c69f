//! Storage of a repository: schema, collections, datasets, dimension records, queries.

mod attributes;
mod catalog;
mod decode;
mod dialect;
mod error;
mod registry;
mod schema;
mod store;
mod summaries;

pub use catalog::{Catalog, CollectionKind, CollectionRecord, DatasetTypeRecord};
pub use decode::hex_id;
pub use dialect::{Dialect, Sqlite};
pub use error::RegistryError;
pub use registry::Registry;
pub use schema::SqlType;
pub use store::Store;
pub use summaries::{Summaries, Summary};
