//! Pipelines and quantum graphs.
//!
//! Pure but for `fetch`, which asks the registry, and `graph_file`, which reads and writes `.qg` files.

mod error;
mod pipeline_graph;
mod pipeline_json;
mod pipeline_order;
mod pipeline_resolve;
mod selection;
mod task;

pub use error::GraphError;
pub use pipeline_graph::{Connection, DatasetTypeNode, NodeKey, NodeKind, PipelineGraph, TaskSubset};
pub use pipeline_resolve::{RegisteredType, StorageClassUse};
pub use task::{Edge, EdgeKind, Hooks, Task};
