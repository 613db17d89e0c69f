//! What exists already: overall inputs, and the outputs of earlier runs.

use super::{Builder, Slot};
use crate::{Edge, GraphError, Task, keys::Row};
use armillary_dimensions::Key;
use armillary_registry::query::DatasetSearch;
use std::collections::{HashMap, HashSet};

impl Builder {
    /// Finds existing inputs and outputs, skips what is done, and looks up prerequisites.
    pub fn find(&mut self) -> Result<(), GraphError> {
        for part in 0..self.parts.len() {
            self.find_inputs(part)?;
            self.find_outputs(part)?;
            self.skip_done(part);
            self.claim_outputs(part)?;
            self.find_prerequisites(part)?;
        }
        Ok(())
    }

    /// Existing datasets of one type for all its data IDs, by row.
    fn existing(&mut self, part: usize, name: &str, collections: &[String]) -> Result<HashMap<Row, Slot>, GraphError> {
        let this = &self.parts[part];
        let ids = this.skeleton.ids(this.types[name].group);
        if ids.is_empty() || collections.is_empty() {
            return Ok(HashMap::new());
        }
        let required = ids.info().required.clone();
        let mut wanted: Vec<Box<[Key]>> = Vec::with_capacity(ids.len());
        for row in 0..crate::keys::small(ids.len()) {
            wanted.push(ids.values(&this.skeleton.keys, row).take(required.len()).cloned().collect());
        }
        let row_of: hashbrown::HashMap<&[Key], Row> = wanted.iter().map(|key| &**key).zip(0..).collect();
        let search = DatasetSearch { dataset_type: name.to_owned(), collections: collections.to_vec() };
        let found = self.fetch.datasets(&search, &required, &wanted)?;
        let mut slots = HashMap::with_capacity(found.len());
        for dataset in found {
            if let Some(row) = row_of.get(&dataset.values[..required.len()]) {
                let run = self.run(&dataset.run);
                slots.insert(*row, Slot { id: dataset.id, run });
            }
        }
        Ok(slots)
    }

    fn find_inputs(&mut self, part: usize) -> Result<(), GraphError> {
        let this = &self.parts[part];
        let made: HashSet<&str> =
            this.pipeline.tasks().values().flat_map(Task::all_outputs).map(Edge::parent).collect();
        let inputs: Vec<String> = this.types.keys().filter(|name| !made.contains(name.as_str())).cloned().collect();
        for name in inputs {
            let collections = self.request.input_collections.clone();
            let found = self.existing(part, &name, &collections)?;
            if let Some(state) = self.parts[part].types.get_mut(&name) {
                for (row, slot) in found {
                    state.slots[row as usize] = Some(slot);
                }
            }
        }
        Ok(())
    }

    /// Outputs are looked for only in runs that exist.
    fn find_outputs(&mut self, part: usize) -> Result<(), GraphError> {
        let skip_in = self.request.skip_existing_in.clone();
        let output_run = vec![self.request.output_run.clone()];
        let output_run = if self.fetch.has_collection(&output_run[0])? { output_run } else { Vec::new() };
        if skip_in.is_empty() && output_run.is_empty() {
            return Ok(());
        }
        let outputs: Vec<String> = self.parts[part]
            .pipeline
            .tasks()
            .values()
            .flat_map(Task::all_outputs)
            .map(|edge| edge.parent().to_owned())
            .collect();
        for name in outputs {
            let done = self.existing(part, &name, &skip_in)?;
            let in_output_run = self.existing(part, &name, &output_run)?;
            if let Some(state) = self.parts[part].types.get_mut(&name) {
                state.done = done;
                state.in_output_run = in_output_run;
            }
        }
        Ok(())
    }

    /// A quantum is done exactly if its metadata exists.
    fn skip_done(&mut self, part: usize) {
        if self.request.skip_existing_in.is_empty() {
            return;
        }
        let this = &mut self.parts[part];
        for (label, task) in this.pipeline.tasks() {
            let metadata = &this.types[task.metadata_output.parent()];
            let state = &mut this.tasks[label];
            // What is alive yet is what its own join gave.
            for row in metadata.done.keys().filter(|row| state.alive[**row as usize]) {
                state.skipped[*row as usize] = true;
            }
        }
        if let Some(retained) = self.request.retained.clone() {
            self.revive(part, &retained);
        }
        for state in self.parts[part].tasks.values_mut() {
            for (alive, skipped) in state.alive.iter_mut().zip(&state.skipped) {
                *alive &= !skipped;
            }
            state.count.skipped = state.skipped.iter().filter(|skipped| **skipped).count();
        }
    }

    /// Where not every dataset was kept, what a quantum that runs needs must be made again.
    fn revive(&mut self, part: usize, retained: &[String]) {
        let this = &mut self.parts[part];
        let keeps = |name: &str| retained.iter().any(|pattern| armillary_registry::glob_fits(pattern, name));
        let producers: HashMap<&str, &str> = this
            .pipeline
            .tasks()
            .values()
            .flat_map(|task| task.all_outputs().map(|edge| (edge.parent(), task.label.as_str())))
            .collect();
        for (label, task) in this.pipeline.tasks().iter().rev() {
            let skipped = this.tasks[label].skipped.clone();
            for edge in task.inputs.iter().filter(|edge| !keeps(edge.parent())) {
                let Some(producer) = producers.get(edge.parent()) else { continue };
                let of_type = this.types[edge.parent()].group;
                let mut needed: HashSet<Row> = HashSet::new();
                for (row, _) in skipped.iter().enumerate().filter(|(_, skipped)| !**skipped) {
                    needed.extend(this.meet(&this.tasks[label], of_type, crate::keys::small(row)));
                }
                for row in 0..this.tasks[*producer].skipped.len() {
                    let made = this.meet(&this.tasks[*producer], of_type, crate::keys::small(row));
                    if made.iter().any(|made| needed.contains(made)) {
                        this.tasks[*producer].skipped[row] = false;
                    }
                }
            }
        }
    }

    /// Every output of a quantum that runs gets an id; those of skipped quanta are what exists.
    fn claim_outputs(&mut self, part: usize) -> Result<(), GraphError> {
        let (this, ids) = (&mut self.parts[part], &mut self.ids);
        let chosen = self.request.given.as_ref().map(|given| &given.output_ids);
        for (label, task) in this.pipeline.tasks() {
            let state = &this.tasks[label];
            let log = task.log_output.as_ref().map(Edge::parent);
            for edge in task.all_outputs() {
                let Some(of_type) = this.types.get_mut(edge.parent()) else { continue };
                let chosen = chosen.and_then(|ids| ids.get(edge.parent())).copied();
                let makers = this.skeleton.meetings(state.join, state.group, of_type.group);
                for quantum in 0..state.alive.len() {
                    for row in makers.of(crate::keys::small(quantum)) {
                        let slot = &mut of_type.slots[*row as usize];
                        if state.skipped[quantum] {
                            *slot = slot.or(of_type.done.get(row).copied());
                            continue;
                        }
                        let existing = of_type.in_output_run.get(row).copied();
                        // A failed quantum always leaves its log; that must not stand in the way of another attempt.
                        let replaceable = self.request.clobber || log == Some(edge.parent());
                        let is_other = existing.is_some_and(|slot| chosen.is_some_and(|chosen| chosen != slot.id));
                        if is_other || existing.is_some() && !replaceable {
                            let id =
                                this.skeleton.ids(of_type.group).data_id(&self.universe, &this.skeleton.keys, *row);
                            let dataset = format!("{}@{id}", edge.parent());
                            return Err(in_the_way(dataset, self.request.output_run.clone(), is_other));
                        }
                        let mut new = || chosen.unwrap_or_else(|| ids.next_id());
                        *slot = slot.or(existing).or_else(|| Some(Slot { id: new(), run: self.output_run }));
                    }
                }
            }
        }
        Ok(())
    }
}

/// What is wrong with a dataset in the output run that is not to be replaced, or cannot be as it has another id.
fn in_the_way(dataset: String, run: String, is_other: bool) -> GraphError {
    if is_other {
        let reason = format!(
            "output {dataset} exists in run `{run}` with another id than it is to get; remove it, or write to another run"
        );
        return GraphError::Build { reason };
    }
    GraphError::OutputExists { dataset, run }
}
