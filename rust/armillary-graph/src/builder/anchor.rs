//! The removal of quanta that lead to nothing that anyone wanted.

use super::Builder;
use crate::{
    GraphError,
    keys::{Row, small},
};
use std::collections::HashMap;

/// A quantum: its task and its row.
type Quantum = (u32, Row);

impl Builder {
    /// Removes the quanta of one task that lead to no quantum of another, and all that comes after them.
    ///
    /// A task that is not in the pipeline has no quanta: without the first nothing happens, without the second all quanta
    /// of the first go.
    pub(super) fn prune_unanchored(&mut self) -> Result<(), GraphError> {
        let Some((source, anchor)) = self.request.anchor.clone() else { return Ok(()) };
        let Some(source) = self.pipeline.tasks().get_index_of(&source).map(small) else { return Ok(()) };
        let anchor = self.pipeline.tasks().get_index_of(&anchor).map(small);
        let (readers, writers) = self.neighbours()?;
        let alive = self.alive();
        let anchors = alive.iter().copied().filter(|(task, _)| Some(*task) == anchor);
        let leading = reached(anchors, &writers);
        let lost = alive.iter().copied().filter(|quantum| quantum.0 == source && !leading.contains(quantum));
        let mut gone: Vec<Quantum> = reached(lost, &readers).into_iter().collect();
        gone.sort_unstable();
        let labels = self.labels();
        for (task, row) in gone {
            let label = &labels[task as usize];
            let part = self.part_of(label)?;
            self.remove(part, label, row);
            self.parts[part].tasks[label.as_str()].count.unanchored += 1;
        }
        Ok(())
    }

    fn alive(&self) -> Vec<Quantum> {
        let mut quanta = Vec::new();
        for (task, label) in (0..).zip(self.pipeline.tasks().keys()) {
            let state = &self.parts[self.part_of[task as usize]].tasks[label.as_str()];
            let rows = (0..small(state.alive.len())).filter(|row| state.alive[*row as usize]);
            quanta.extend(rows.map(|row| (task, row)));
        }
        quanta
    }

    /// For each quantum those that read what it writes, and those that write what it reads.
    #[allow(clippy::type_complexity, reason = "the two directions of one relation")]
    fn neighbours(&self) -> Result<(HashMap<Quantum, Vec<Quantum>>, HashMap<Quantum, Vec<Quantum>>), GraphError> {
        let labels = self.labels();
        let mut writer_of: HashMap<crate::Id, Quantum> = HashMap::new();
        let mut reads: Vec<(Quantum, crate::Id)> = Vec::new();
        for quantum in self.alive() {
            let task = self.pipeline.task(&labels[quantum.0 as usize])?;
            let part = &self.parts[self.part_of[quantum.0 as usize]];
            let (edges, inputs) = super::adjust::connections(task);
            for connection in task.prerequisite_inputs.len()..edges.len() {
                for member in self.members(part, task, connection, quantum.1) {
                    if connection < inputs {
                        reads.push((quantum, member.slot().id));
                    } else {
                        writer_of.insert(member.slot().id, quantum);
                    }
                }
            }
        }
        let (mut readers, mut writers) = (HashMap::new(), HashMap::new());
        for (reader, dataset) in reads {
            if let Some(writer) = writer_of.get(&dataset) {
                readers.entry(*writer).or_insert_with(Vec::new).push(reader);
                writers.entry(reader).or_insert_with(Vec::new).push(*writer);
            }
        }
        Ok((readers, writers))
    }
}

/// Everything that can be reached from some quanta, these included.
fn reached(
    from: impl Iterator<Item = Quantum>,
    next: &HashMap<Quantum, Vec<Quantum>>,
) -> std::collections::HashSet<Quantum> {
    let mut waiting: Vec<Quantum> = from.collect();
    let mut seen: std::collections::HashSet<Quantum> = waiting.iter().copied().collect();
    while let Some(quantum) = waiting.pop() {
        for other in next.get(&quantum).into_iter().flatten() {
            if seen.insert(*other) {
                waiting.push(*other);
            }
        }
    }
    seen
}
