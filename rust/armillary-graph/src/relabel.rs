//! The same graph for another run.

use crate::{Id, IdSource, QuantumGraph, ids::id_text, keys::small};
use std::sync::Arc;

impl QuantumGraph {
    /// The same graph writing to another RUN: all quanta and all datasets that it writes get new ids.
    #[must_use]
    pub fn with_output_run(&self, run: &str) -> Self {
        let mut graph = self.clone();
        let mut ids = IdSource::new();
        let mut is_output = vec![false; graph.datasets.len()];
        for quantum in graph.quanta() {
            for dataset in graph.tasks[quantum.task as usize].outputs(quantum.position as usize) {
                is_output[dataset.get()] = true;
            }
        }
        for (_, dataset) in graph.init.iter().flat_map(|init| &init.outputs) {
            is_output[dataset.get()] = true;
        }
        let (index, _) = graph.datasets.runs.insert_full(Arc::from(run));
        for (dataset, _) in is_output.iter().enumerate().filter(|(_, is_output)| **is_output) {
            graph.datasets.id[dataset] = ids.next_id();
            graph.datasets.run[dataset] = small(index);
        }
        let quanta = graph.tasks.iter_mut().flat_map(|task| task.id.iter_mut());
        let quanta: Vec<&mut Id> = quanta.chain(graph.init.iter_mut().map(|init| &mut init.id)).collect();
        for id in quanta {
            *id = ids.next_id();
        }
        run.clone_into(&mut graph.header.output_run);
        graph.header.provenance_dataset_id = id_text(&ids.next_id());
        graph
    }
}
