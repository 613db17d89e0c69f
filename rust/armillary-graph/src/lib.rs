//! Pipelines and quantum graphs.
