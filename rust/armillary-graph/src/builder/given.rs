//! Graphs of given data IDs: one quantum of each task, and nothing is queried for them.

use super::{
    Builder, Part, Slot,
    part::{Seen, task_group},
};
use crate::{GraphError, Id, PipelineGraph, Task, fetch::FoundDataset, keys::Row, skeleton::Skeleton};
use armillary_dimensions::{DataCoordinate, DimensionGroup, Universe};
use std::{collections::HashMap, sync::Arc};

/// What a graph is made of instead of the answer to a query.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// For each group of dimensions the only data ID, with its implied values.
    pub data_ids: HashMap<DimensionGroup, DataCoordinate>,
    /// Ids of the outputs of some dataset types.
    pub output_ids: HashMap<String, Id>,
}

impl Part {
    /// From data IDs; what no data ID is given for has no datasets yet.
    pub(super) fn given(universe: &Arc<Universe>, pipeline: PipelineGraph, given: &Given) -> Result<Self, GraphError> {
        for task in pipeline.tasks().values() {
            let mut needed = vec![task_group(universe, task)?];
            for edge in task.all_outputs() {
                needed.push(pipeline.resolved(edge.parent())?.dimensions);
            }
            if let Some(lacking) = needed.iter().find(|group| !given.data_ids.contains_key(group)) {
                let info = universe.info(*lacking);
                let names: Vec<&str> = info.keys().map(|index| &*universe.get(index).name).collect();
                let names = names.join(", ");
                let reason = format!("task `{}` needs a data ID of {{{names}}}, and none was given", task.label);
                return Err(GraphError::Build { reason });
            }
        }
        let seen = Seen::of(universe, &pipeline, 1, &vec![0; pipeline.tasks().len()])?;
        let skeleton = Skeleton::of_data_ids(universe, &given.data_ids, &seen.groups[0], &seen.pairs[0]);
        Ok(Self::with_skeleton(pipeline, Vec::new(), seen, skeleton))
    }
}

impl Builder {
    /// Takes datasets for an input of the only quantum of a task, besides those that its data ID has.
    ///
    /// Where there are two of one data ID, it is the given one; but what a task makes is never replaced.
    pub fn give(&mut self, label: &str, connection: &str, datasets: Vec<FoundDataset>) -> Result<(), GraphError> {
        let part = self.part_of(label)?;
        let task = self.pipeline.task(label)?.clone();
        if let Some(position) = task.prerequisite_inputs.iter().position(|edge| edge.connection == connection) {
            let name = task.prerequisite_inputs[position].parent().to_owned();
            let given: Vec<u32> = datasets.iter().map(|dataset| self.external(&name, dataset)).collect();
            let externals = &self.externals;
            for list in &mut self.parts[part].tasks[label].prerequisites[position] {
                let values = |index: &u32| &externals[*index as usize].values;
                list.retain(|known| given.iter().all(|index| values(index) != values(known)));
                list.extend(&given);
                list.sort_by(|a, b| values(a).cmp(values(b)));
                list.dedup();
            }
            return Ok(());
        }
        let Some(position) = task.inputs.iter().position(|edge| edge.connection == connection) else {
            return Err(GraphError::Build { reason: format!("task `{label}` has no input `{connection}`") });
        };
        let name = task.inputs[position].parent().to_owned();
        let is_made = self.pipeline.tasks().values().flat_map(Task::all_outputs).any(|edge| edge.parent() == name);
        for dataset in datasets {
            if let Some(row) = self.row_of(part, &name, &dataset) {
                if !is_made {
                    let slot = Slot { id: dataset.id, run: self.run(&dataset.run) };
                    if let Some(of_type) = self.parts[part].types.get_mut(&name) {
                        of_type.slots[row as usize] = Some(slot);
                    }
                }
                continue;
            }
            let index = self.external(&name, &dataset);
            let extras = self.parts[part].tasks[label].extras.entry(connection.to_owned()).or_default();
            if !extras.contains(&index) {
                extras.push(index);
            }
        }
        Ok(())
    }

    /// The row of a dataset among the data IDs of the part.
    fn row_of(&self, part: usize, name: &str, dataset: &FoundDataset) -> Option<Row> {
        let part = &self.parts[part];
        let ids = part.skeleton.ids(part.types[name].group);
        let n_required = ids.info().required.len();
        (0..crate::keys::small(ids.len()))
            .find(|row| ids.values(&part.skeleton.keys, *row).take(n_required).eq(&dataset.values[..n_required]))
    }
}
