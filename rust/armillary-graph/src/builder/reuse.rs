//! Quanta that need not run, because an earlier run has made the same.

use super::{
    Builder, Slot,
    adjust::{Member, connections},
};
use crate::{GraphError, Id, keys::Row};
use std::{collections::HashMap, sync::Arc};

/// A quantum that is not to run, and what there is in place of its outputs.
#[derive(Clone, Debug)]
pub struct Reuse {
    /// The quantum.
    pub row: Row,
    /// Id of each foretold output, with id and run of the dataset that stands for it; outputs that are not named, or
    /// that have none, were not written.
    pub outputs: HashMap<Id, Option<(Id, Arc<str>)>>,
}

impl Builder {
    /// Takes outputs of earlier runs in place of quanta of a task; must be called before the next task is settled.
    ///
    /// Quanta after them read what is there. `runs` are where the init-outputs of the task are, the best first.
    pub fn reuse(&mut self, label: &str, quanta: Vec<Reuse>, runs: Vec<String>) -> Result<(), GraphError> {
        let part = self.part_of(label)?;
        let task = self.pipeline.task(label)?.clone();
        let (edges, inputs) = connections(&task);
        for Reuse { row, outputs } in quanta {
            if !self.parts[part].tasks[label].alive[row as usize] {
                continue;
            }
            let mut changes: Vec<(&str, Row, Option<Slot>)> = Vec::new();
            for (connection, edge) in edges.iter().enumerate().skip(inputs) {
                for member in self.members(&self.parts[part], &task, connection, row) {
                    let Member::Join(met, slot) = member else { continue };
                    let found = outputs.get(&slot.id).cloned().flatten();
                    let found = found.map(|(id, run)| Slot { id, run: self.run(&run) });
                    changes.push((edge.parent(), met, found));
                }
            }
            let this = &mut self.parts[part];
            for (name, met, found) in changes {
                if let Some(of_type) = this.types.get_mut(name) {
                    of_type.slots[met as usize] = found;
                }
            }
            let state = &mut this.tasks[label];
            state.alive[row as usize] = false;
            state.count.reused += 1;
        }
        self.parts[part].tasks[label].reused_from = runs;
        Ok(())
    }
}
