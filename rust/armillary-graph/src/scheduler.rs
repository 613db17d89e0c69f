//! Which quanta can run now, as others finish or fail.

use crate::{GraphError, keys::small};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// What became of a quantum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuantumState {
    /// Others must finish first.
    Waiting,
    /// It can run.
    Ready,
    /// Someone has taken it.
    Running,
    /// It succeeded, or had nothing to do.
    Finished,
    /// It failed.
    Failed,
    /// Something it needs failed.
    Blocked,
}

/// Hands out quanta in an order that depends on the graph only: by label, then in the order in which they were given.
///
/// ```
/// # use armillary_graph::Scheduler;
/// let mut scheduler = Scheduler::new(&["isr", "isr", "coadd"], &[(0, 2), (1, 2)])?;
/// assert_eq!(scheduler.take(5), [0, 1]);
/// scheduler.finish(0)?;
/// assert_eq!(scheduler.fail(1)?, [2]); // the coadd will never run
/// assert!(scheduler.is_done());
/// # Ok::<(), armillary_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scheduler {
    states: Vec<QuantumState>,
    waiting_for: Vec<u32>,
    rank: Vec<u32>,
    offsets: Vec<u32>,
    successors: Vec<u32>,
    ready: BinaryHeap<Reverse<(u32, u32)>>,
    pending: usize,
    running: usize,
}

impl Scheduler {
    /// For quanta with these labels; in each edge the first must finish before the second can run.
    pub fn new(labels: &[&str], edges: &[(usize, usize)]) -> Result<Self, GraphError> {
        let len = labels.len();
        if let Some((from, to)) = edges.iter().find(|(from, to)| *from >= len || *to >= len) {
            return Err(GraphError::NotInGraph { index: *from.max(to), len });
        }
        let mut sorted: Vec<(usize, usize)> = edges.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut offsets = vec![0; len + 1];
        let mut waiting_for = vec![0; len];
        for (from, to) in &sorted {
            offsets[from + 1] += 1;
            waiting_for[*to] += 1;
        }
        for i in 0..len {
            offsets[i + 1] += offsets[i];
        }
        let mut order: Vec<usize> = (0..len).collect();
        order.sort_by_key(|index| labels[*index]);
        let mut rank = vec![0; len];
        for (position, index) in order.into_iter().enumerate() {
            rank[index] = small(position);
        }
        let successors = sorted.iter().map(|(_, to)| small(*to)).collect();
        let states = vec![QuantumState::Waiting; len];
        let ready = BinaryHeap::new();
        let mut scheduler = Self { states, waiting_for, rank, offsets, successors, ready, pending: len, running: 0 };
        scheduler.check_cycles(labels)?;
        for index in 0..len {
            scheduler.release(index);
        }
        Ok(scheduler)
    }

    fn successors(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let range = self.offsets[index] as usize..self.offsets[index + 1] as usize;
        self.successors[range].iter().map(|next| *next as usize)
    }

    fn check_cycles(&self, labels: &[&str]) -> Result<(), GraphError> {
        let mut left = self.waiting_for.clone();
        let mut free: Vec<usize> = (0..left.len()).filter(|index| left[*index] == 0).collect();
        let mut seen = 0;
        while let Some(index) = free.pop() {
            seen += 1;
            for next in self.successors(index) {
                left[next] -= 1;
                if left[next] == 0 {
                    free.push(next);
                }
            }
        }
        if seen == left.len() {
            return Ok(());
        }
        let mut stuck: Vec<String> =
            (0..left.len()).filter(|index| left[*index] > 0).map(|index| labels[index].to_owned()).collect();
        stuck.sort();
        stuck.dedup();
        Err(GraphError::Cycle { path: stuck })
    }

    fn release(&mut self, index: usize) {
        if self.waiting_for[index] == 0 && self.states[index] == QuantumState::Waiting {
            self.states[index] = QuantumState::Ready;
            self.ready.push(Reverse((self.rank[index], small(index))));
        }
    }

    /// At most `count` quanta that can run now; they count as running.
    pub fn take(&mut self, count: usize) -> Vec<usize> {
        let mut taken = Vec::with_capacity(count.min(self.ready.len()));
        while taken.len() < count {
            let Some(Reverse((_, index))) = self.ready.pop() else { break };
            let index = index as usize;
            self.states[index] = QuantumState::Running;
            self.pending -= 1;
            self.running += 1;
            taken.push(index);
        }
        taken
    }

    fn stop(&mut self, index: usize, state: QuantumState) -> Result<(), GraphError> {
        let found = self.states.get(index).copied();
        match found {
            Some(QuantumState::Running) => {
                self.states[index] = state;
                self.running -= 1;
                Ok(())
            }
            Some(found) => Err(GraphError::NotRunning { index, state: format!("{found:?}").to_lowercase() }),
            None => Err(GraphError::NotInGraph { index, len: self.states.len() }),
        }
    }

    /// A running quantum succeeded, or had nothing to do.
    pub fn finish(&mut self, index: usize) -> Result<(), GraphError> {
        self.stop(index, QuantumState::Finished)?;
        let next: Vec<usize> = self.successors(index).collect();
        for index in next {
            self.waiting_for[index] -= 1;
            self.release(index);
        }
        Ok(())
    }

    /// A running quantum failed for good; gives those that can never run now, in order.
    pub fn fail(&mut self, index: usize) -> Result<Vec<usize>, GraphError> {
        self.stop(index, QuantumState::Failed)?;
        let mut blocked = Vec::new();
        let mut queue: VecDeque<usize> = self.successors(index).collect();
        while let Some(next) = queue.pop_front() {
            if self.states[next] == QuantumState::Waiting {
                self.states[next] = QuantumState::Blocked;
                self.pending -= 1;
                blocked.push(next);
                queue.extend(self.successors(next).collect::<Vec<_>>());
            }
        }
        blocked.sort_by_key(|index| self.rank[*index]);
        Ok(blocked)
    }

    /// A running quantum is to be tried again.
    pub fn retry(&mut self, index: usize) -> Result<(), GraphError> {
        self.stop(index, QuantumState::Ready)?;
        self.pending += 1;
        self.ready.push(Reverse((self.rank[index], small(index))));
        Ok(())
    }

    /// What became of a quantum.
    #[must_use]
    pub fn state(&self, index: usize) -> Option<QuantumState> {
        self.states.get(index).copied()
    }

    /// Number of quanta.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are no quanta at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Quanta that may still run.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.pending
    }

    /// Quanta that run.
    #[must_use]
    pub const fn running(&self) -> usize {
        self.running
    }

    /// Whether nothing runs and nothing is left to run.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.pending == 0 && self.running == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_quanta_come_by_label_then_as_given() {
        let mut scheduler = Scheduler::new(&["b", "a", "b", "a"], &[(1, 2)]).unwrap();
        assert_eq!(scheduler.take(1), [1]);
        assert_eq!(scheduler.take(9), [3, 0]);
        assert_eq!((scheduler.pending(), scheduler.running()), (1, 3));
        scheduler.finish(1).unwrap();
        assert_eq!(scheduler.take(9), [2]);
    }

    #[test]
    fn failure_blocks_all_that_depend_on_it_and_nothing_else() {
        let mut scheduler = Scheduler::new(&["a", "b", "c", "d", "e"], &[(0, 1), (1, 2), (0, 3), (4, 3)]).unwrap();
        assert_eq!(scheduler.take(9), [0, 4]);
        assert_eq!(scheduler.fail(0).unwrap(), [1, 2, 3]);
        scheduler.finish(4).unwrap();
        assert!(scheduler.take(9).is_empty() && scheduler.is_done());
        assert_eq!(scheduler.state(3), Some(QuantumState::Blocked));
    }

    #[test]
    fn a_quantum_can_be_tried_again() {
        let mut scheduler = Scheduler::new(&["a", "b"], &[(0, 1)]).unwrap();
        assert_eq!(scheduler.take(1), [0]);
        scheduler.retry(0).unwrap();
        assert_eq!(scheduler.take(9), [0]);
        scheduler.finish(0).unwrap();
        assert_eq!(scheduler.take(9), [1]);
    }

    #[test]
    fn misuse_is_refused() {
        assert!(matches!(Scheduler::new(&["a"], &[(0, 1)]), Err(GraphError::NotInGraph { index: 1, len: 1 })));
        assert!(matches!(Scheduler::new(&["a", "b"], &[(0, 1), (1, 0)]), Err(GraphError::Cycle { .. })));
        let mut scheduler = Scheduler::new(&["a"], &[]).unwrap();
        assert!(matches!(scheduler.finish(0), Err(GraphError::NotRunning { .. })));
        assert!(matches!(scheduler.fail(7), Err(GraphError::NotInGraph { .. })));
    }
}
