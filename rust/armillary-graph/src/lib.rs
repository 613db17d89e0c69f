//! Pipelines and quantum graphs.
//!
//! Pure but for `fetch`, which asks the registry, and `graph_file`, which reads and writes `.qg` files.

pub mod builder;
mod error;
pub mod fetch;
pub mod graph_file;
mod ids;
mod keys;
mod pipeline_graph;
mod pipeline_json;
mod pipeline_order;
mod pipeline_resolve;
mod pixels;
mod quantum_graph;
mod relabel;
mod scheduler;
mod selection;
mod skeleton;
mod task;

pub use error::GraphError;
pub use ids::{Id, IdSource, id_text};
pub use keys::{DataIds, Dictionary, Row, Tables};
pub use pipeline_graph::{Connection, DatasetTypeNode, NodeKey, NodeKind, PipelineGraph, TaskSubset};
pub use pipeline_resolve::{RegisteredType, StorageClassUse};
pub use quantum_graph::{
    DatasetIndex, DatasetInterner, Datasets, GraphConnection, GraphType, Header, InitQuantum, PACKAGES, QuantumGraph,
    QuantumIndex, RecordRows, StoredFile, TaskQuanta,
};
pub use scheduler::{QuantumState, Scheduler};
pub use skeleton::{JoinRows, Meetings, Projection, Skeleton};
pub use task::{Edge, EdgeKind, Hooks, Task};
