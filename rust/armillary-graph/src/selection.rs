//! The language that selects tasks: `isr..` ranges, and `<=calibrate & ~S:visits`.
//!
//! Names may say what they are (`T:` task, `D:` dataset type, `S:` subset); a dataset type stands for the task that makes
//! it. `<x`, `<=x`, `>x` and `>=x` are what lies upstream or downstream of `x`; `~`, `&` and `|` combine.

use crate::{GraphError, PipelineGraph};
use armillary_dimensions::nearest;
use std::collections::BTreeSet;

type Labels = BTreeSet<String>;

/// Deep enough for any expression a person writes, shallow enough for the stack.
const MAX_DEPTH: usize = 200;

impl PipelineGraph {
    /// The tasks that an expression selects.
    pub fn select(&self, expression: &str) -> Result<Labels, GraphError> {
        let mut parser = Parser { graph: self, text: expression, at: 0, depth: 0 };
        let labels = parser.union()?;
        match parser.peek() {
            None => Ok(labels),
            Some(_) => Err(parser.error("the expression should end here, or go on with `|` or `&`")),
        }
    }

    /// The tasks downstream of `first` and upstream of `last`, both included; an open end stands for all.
    pub fn range(&self, first: Option<&str>, last: Option<&str>) -> Result<Labels, GraphError> {
        let side = |label: Option<&str>, upstream: bool| -> Result<Labels, GraphError> {
            let Some(label) = label else { return Ok(self.tasks().keys().cloned().collect()) };
            let mut labels = Labels::from([self.task(label)?.label.clone()]);
            labels.extend(self.reachable(&labels, upstream));
            Ok(labels)
        };
        let (after, before) = (side(first, false)?, side(last, true)?);
        Ok(after.intersection(&before).cloned().collect())
    }
}

struct Parser<'a> {
    graph: &'a PipelineGraph,
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn error(&self, reason: &str) -> GraphError {
        let at = self.text[..self.at].chars().count();
        GraphError::InvalidExpression { expression: self.text.to_owned(), reason: reason.to_owned(), at }
    }

    fn union(&mut self) -> Result<Labels, GraphError> {
        let mut labels = self.intersection()?;
        while self.take('|') {
            labels.extend(self.intersection()?);
        }
        Ok(labels)
    }

    fn intersection(&mut self) -> Result<Labels, GraphError> {
        let mut labels = self.term()?;
        while self.take('&') {
            let other = self.term()?;
            labels.retain(|label| other.contains(label));
        }
        Ok(labels)
    }

    fn term(&mut self) -> Result<Labels, GraphError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("the expression is nested too deeply"));
        }
        let labels = self.term_inside()?;
        self.depth -= 1;
        Ok(labels)
    }

    fn term_inside(&mut self) -> Result<Labels, GraphError> {
        match self.peek() {
            Some('~') => {
                self.at += 1;
                let inside = self.term()?;
                Ok(self.graph.tasks().keys().filter(|label| !inside.contains(*label)).cloned().collect())
            }
            Some('(') => {
                self.at += 1;
                let inside = self.union()?;
                if self.take(')') { Ok(inside) } else { Err(self.error("a `)` is missing")) }
            }
            Some(side @ ('<' | '>')) => {
                self.at += 1;
                let inclusive = self.take('=');
                self.beyond(side == '<', inclusive)
            }
            Some(_) => self.name().map(|(_, labels)| labels),
            None => Err(self.error("the expression ends where a name was expected")),
        }
    }

    fn beyond(&mut self, upstream: bool, inclusive: bool) -> Result<Labels, GraphError> {
        let start = self.at;
        let (name, labels) = self.name()?;
        if self.graph.subsets().contains_key(&name) && labels.len() != 1 {
            self.at = start;
            return Err(self.error("`<` and `>` take one task or dataset type, not a subset"));
        }
        // An overall input has no task that makes it: everything that reads it is downstream.
        let mut found = if labels.is_empty() && !upstream {
            let readers: Labels = self.graph.consumers_of(&name).map(|use_| use_.task.label.clone()).collect();
            let further = self.graph.reachable(&readers, false);
            readers.into_iter().chain(further).collect()
        } else {
            self.graph.reachable(&labels, upstream)
        };
        if inclusive {
            found.extend(labels);
        }
        Ok(found)
    }

    /// A name and the tasks it stands for.
    fn name(&mut self) -> Result<(String, Labels), GraphError> {
        self.peek();
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_alphanumeric() || "_-.:/+".contains(c);
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        if word.is_empty() {
            return Err(self.error("a task label, subset label or dataset type name was expected here"));
        }
        let (kind, name) = match word.split_once(':') {
            Some((kind @ ("T" | "D" | "S"), name)) => (Some(kind), name),
            _ => (None, word),
        };
        let labels = self.look_up(kind, name).ok_or_else(|| self.unknown(kind, name))?;
        self.at += length;
        Ok((name.to_owned(), labels))
    }

    fn look_up(&self, kind: Option<&str>, name: &str) -> Option<Labels> {
        let wanted = |this| kind.is_none_or(|kind| kind == this);
        let graph = self.graph;
        if wanted("T") && graph.tasks().contains_key(name) {
            return Some(Labels::from([name.to_owned()]));
        }
        if wanted("S")
            && let Some(subset) = graph.subsets().get(name)
        {
            return Some(subset.tasks.clone());
        }
        if wanted("D") && graph.dataset_types().contains_key(name) {
            return Some(graph.producer_of(name).map(|producer| producer.task.label.clone()).into_iter().collect());
        }
        None
    }

    fn unknown(&self, kind: Option<&str>, name: &str) -> GraphError {
        let graph = self.graph;
        let what = match kind {
            Some("T") => "task label",
            Some("D") => "dataset type",
            Some("S") => "subset label",
            _ => "task label, subset label or dataset type",
        };
        let known = graph.tasks().keys().chain(graph.subsets().keys()).chain(graph.dataset_types().keys());
        let near = nearest(name, known.map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        self.error(&format!("`{name}` is not a {what} of this pipeline{}", near.unwrap_or_default()))
    }
}
