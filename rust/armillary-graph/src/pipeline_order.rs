//! Orders and parts of a pipeline graph.

use crate::{EdgeKind, GraphError, NodeKey, NodeKind, PipelineGraph};
use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
    unionfind::UnionFind,
    visit::EdgeRef,
};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
};

/// All nodes and what comes before what; an edge carries the names of its connections.
pub(crate) struct Nodes {
    pub(crate) graph: DiGraph<NodeKey, String>,
    pub(crate) index: HashMap<NodeKey, NodeIndex>,
}

impl Nodes {
    pub(crate) fn of(pipeline: &PipelineGraph) -> Self {
        let mut nodes = Self { graph: DiGraph::new(), index: HashMap::new() };
        for label in pipeline.tasks.keys() {
            let init = nodes.node(NodeKind::TaskInit, label);
            let task = nodes.node(NodeKind::Task, label);
            nodes.graph.add_edge(init, task, String::new());
        }
        for connection in pipeline.connections() {
            let kind = if connection.kind.is_init() { NodeKind::TaskInit } else { NodeKind::Task };
            let task = nodes.node(kind, &connection.task.label);
            let dataset_type = nodes.node(NodeKind::DatasetType, connection.edge.parent());
            let (from, to) = if connection.kind.is_output() { (task, dataset_type) } else { (dataset_type, task) };
            nodes.graph.add_edge(from, to, connection.edge.connection.clone());
        }
        nodes
    }

    fn node(&mut self, kind: NodeKind, name: &str) -> NodeIndex {
        let key = NodeKey { kind, name: name.to_owned() };
        *self.index.entry(key).or_insert_with_key(|key| self.graph.add_node(key.clone()))
    }
}

/// Topological order; among the ready nodes the one in the earliest step, of the lowest kind, then of the smallest name.
pub(crate) fn order(pipeline: &PipelineGraph, steps: &HashMap<NodeKey, usize>) -> Result<Vec<NodeKey>, GraphError> {
    let Nodes { graph, .. } = Nodes::of(pipeline);
    let mut waiting: Vec<usize> = graph
        .node_indices()
        .map(|node| graph.neighbors_directed(node, petgraph::Direction::Incoming).count())
        .collect();
    let rank = |node: NodeIndex| Reverse((steps.get(&graph[node]).copied().unwrap_or(0), graph[node].clone(), node));
    let mut ready: BinaryHeap<_> = graph.node_indices().filter(|node| waiting[node.index()] == 0).map(rank).collect();
    let mut sorted = Vec::with_capacity(graph.node_count());
    while let Some(Reverse((_, key, node))) = ready.pop() {
        sorted.push(key);
        for edge in graph.edges(node) {
            let left = &mut waiting[edge.target().index()];
            *left -= 1;
            if *left == 0 {
                ready.push(rank(edge.target()));
            }
        }
    }
    if sorted.len() == graph.node_count() { Ok(sorted) } else { Err(cycle(&graph)) }
}

/// One way around the cycle that holds the smallest name.
fn cycle(graph: &DiGraph<NodeKey, String>) -> GraphError {
    let inside = tarjan_scc(graph)
        .into_iter()
        .filter(|part| part.len() > 1)
        .min_by_key(|part| part.iter().map(|node| graph[*node].clone()).min())
        .unwrap_or_default();
    let start = inside.iter().copied().min_by_key(|node| graph[*node].clone());
    let mut path: Vec<NodeIndex> = start.into_iter().collect();
    while let Some(last) = path.last() {
        let next = graph.neighbors(*last).filter(|node| inside.contains(node)).min_by_key(|node| graph[*node].clone());
        let Some(next) = next else { break };
        let seen = path.iter().position(|node| *node == next);
        path.push(next);
        if let Some(from) = seen {
            path.drain(..from);
            break;
        }
    }
    GraphError::Cycle { path: path.into_iter().map(|node| graph[node].name.clone()).collect() }
}

impl PipelineGraph {
    /// Puts tasks and dataset types into topological order, without resolving them.
    pub fn sort(&mut self) -> Result<(), GraphError> {
        if self.order.is_none() {
            let order = order(self, &HashMap::new())?;
            self.apply_order(order);
        }
        Ok(())
    }

    /// Orders a resolved graph step by step and checks the steps.
    pub(crate) fn sort_by_steps(&mut self) -> Result<(), GraphError> {
        let steps = self.check_steps()?;
        let order = order(self, &steps)?;
        self.apply_order(order);
        self.steps_verified = true;
        Ok(())
    }

    fn apply_order(&mut self, order: Vec<NodeKey>) {
        let rank: HashMap<&str, usize> = order
            .iter()
            .enumerate()
            .filter(|(_, key)| key.kind == NodeKind::Task)
            .map(|(i, key)| (key.name.as_str(), i))
            .collect();
        self.tasks.sort_by(|a, _, b, _| rank[a.as_str()].cmp(&rank[b.as_str()]));
        self.order = Some(order);
    }

    /// All nodes in order; dataset types first where nothing says otherwise.
    pub fn nodes(&self) -> Result<&[NodeKey], GraphError> {
        self.order.as_deref().ok_or_else(|| GraphError::Unresolved { what: "the order of the pipeline".to_owned() })
    }

    /// All edges between nodes, each with the name of its connection; empty between the making of a task and its runs.
    #[must_use]
    pub fn edges(&self) -> Vec<(NodeKey, NodeKey, String)> {
        let Nodes { graph, .. } = Nodes::of(self);
        graph
            .edge_references()
            .map(|edge| (graph[edge.source()].clone(), graph[edge.target()].clone(), edge.weight().clone()))
            .collect()
    }

    /// The step of every node, after checking that the steps divide the pipeline in order.
    fn check_steps(&self) -> Result<HashMap<NodeKey, usize>, GraphError> {
        let mut step_of_task: HashMap<&str, usize> = HashMap::new();
        if self.steps.is_empty() {
            return Ok(HashMap::new());
        }
        for (i, step) in self.steps.iter().enumerate() {
            for task in &self.subsets[step].tasks {
                if let Some(other) = step_of_task.insert(task, i) {
                    let other = &self.steps[other];
                    return Err(invalid(format!("task `{task}` is in both `{other}` and `{step}`")));
                }
            }
        }
        if let Some(task) = self.tasks.keys().find(|label| !step_of_task.contains_key(label.as_str())) {
            return Err(invalid(format!("task `{task}` is in none of them")));
        }
        let producers = self.producers()?;
        let mut steps = HashMap::new();
        for connection in self.connections() {
            let step = step_of_task[connection.task.label.as_str()];
            let name = connection.edge.parent();
            let key = NodeKey { kind: NodeKind::DatasetType, name: name.to_owned() };
            match producers.get(name) {
                Some(producer) => {
                    let made = step_of_task[producer.task.label.as_str()];
                    if made > step {
                        return Err(invalid(format!(
                            "task `{}` of step `{}` needs `{name}`, which is made in the later step `{}`",
                            connection.task.label, self.steps[step], self.steps[made]
                        )));
                    }
                    steps.insert(key, made);
                }
                None => {
                    steps.entry(key).and_modify(|first: &mut usize| *first = step.min(*first)).or_insert(step);
                }
            }
        }
        for (label, step) in step_of_task {
            for kind in [NodeKind::TaskInit, NodeKind::Task] {
                steps.insert(NodeKey { kind, name: label.to_owned() }, step);
            }
        }
        Ok(steps)
    }

    /// The parts of the pipeline that share no dataset type made by one of their tasks, in task order.
    pub fn split_independent(&self) -> Result<Vec<Self>, GraphError> {
        let position: HashMap<&str, usize> =
            self.tasks.keys().enumerate().map(|(i, label)| (label.as_str(), i)).collect();
        let producers = self.producers()?;
        let mut parts = UnionFind::<usize>::new(self.tasks.len());
        for connection in self.connections().filter(|connection| !connection.kind.is_output()) {
            if let Some(producer) = producers.get(connection.edge.parent()) {
                parts.union(position[connection.task.label.as_str()], position[producer.task.label.as_str()]);
            }
        }
        let mut labels: indexmap::IndexMap<usize, BTreeSet<String>> = indexmap::IndexMap::new();
        for (label, i) in self.tasks.keys().zip(0..) {
            labels.entry(parts.find(i)).or_default().insert(label.clone());
        }
        labels.values().map(|members| self.restricted(members)).collect()
    }

    /// Tasks upstream (or downstream) of some others, these not included.
    pub(crate) fn reachable(&self, from: &BTreeSet<String>, upstream: bool) -> BTreeSet<String> {
        let mut next: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut writers: HashMap<&str, Vec<&str>> = HashMap::new();
        for connection in self.connections().filter(|connection| connection.kind.is_output()) {
            writers.entry(connection.edge.parent()).or_default().push(&connection.task.label);
        }
        for connection in
            self.connections().filter(|connection| !matches!(connection.kind, EdgeKind::Output | EdgeKind::InitOutput))
        {
            for writer in writers.get(connection.edge.parent()).into_iter().flatten() {
                let (a, b) = if upstream {
                    (connection.task.label.as_str(), *writer)
                } else {
                    (*writer, connection.task.label.as_str())
                };
                next.entry(a).or_default().push(b);
            }
        }
        let mut found = BTreeSet::new();
        let mut queue: Vec<&str> = from.iter().map(String::as_str).collect();
        while let Some(label) = queue.pop() {
            for neighbour in next.get(label).into_iter().flatten() {
                if found.insert((*neighbour).to_owned()) {
                    queue.push(neighbour);
                }
            }
        }
        found
    }
}

fn invalid(reason: String) -> GraphError {
    GraphError::InvalidSteps { reason }
}
