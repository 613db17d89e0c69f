//! One definition for each dataset type, agreed between the registry and all tasks.

use crate::{Connection, DatasetTypeNode, Edge, EdgeKind, GraphError, PipelineGraph};
use armillary_dimensions::{DimensionGroup, ElementKind, Universe};
use std::{collections::HashMap, sync::Arc};

/// A dataset type as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredType {
    /// Its dimensions.
    pub dimensions: DimensionGroup,
    /// Its storage class.
    pub storage_class: String,
    /// Whether its datasets have validity ranges.
    pub is_calibration: bool,
}

/// A place where a task and the graph see a dataset type in different storage classes.
///
/// Only Python knows which storage classes convert to which; it must refuse those that do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClassUse {
    /// The task.
    pub label: String,
    /// Its connection.
    pub connection: String,
    /// The dataset type, without component.
    pub dataset_type: String,
    /// The component that is read, if only one.
    pub component: Option<String>,
    /// The storage class to convert from.
    pub from: String,
    /// The storage class to convert to.
    pub to: String,
}

/// What stands for "the pixelisation of the registered dataset type".
const SKYPIX: &str = "skypix";

impl PipelineGraph {
    /// Gives every dataset type its definition, sorts the graph and checks the steps.
    ///
    /// Returns the storage class conversions that the caller must find possible.
    pub fn resolve(
        &mut self,
        universe: &Arc<Universe>,
        registered: &HashMap<String, RegisteredType>,
    ) -> Result<Vec<StorageClassUse>, GraphError> {
        let mut next = self.clone();
        next.universe = Some(universe.clone());
        for task in next.tasks.values() {
            universe.group(task.dimensions.iter().map(String::as_str))?;
        }
        let mut conversions = Vec::new();
        let producers = self.producers()?;
        let mut uses: HashMap<&str, Vec<Connection<'_>>> = HashMap::new();
        for connection in self.connections().filter(|connection| !connection.kind.is_output()) {
            uses.entry(connection.edge.parent()).or_default().push(connection);
        }
        for (name, node) in &mut next.dataset_types {
            let parts = Parts {
                name,
                universe,
                registered: registered.get(name),
                producer: producers.get(name.as_str()).copied(),
                consumers: uses.get(name.as_str()).map_or(&[][..], Vec::as_slice),
            };
            *node = Some(parts.resolve(&mut conversions)?);
        }
        next.order = None;
        next.sort_by_steps()?;
        *self = next;
        Ok(conversions)
    }

    /// Forgets all definitions, as when a conversion turned out to be impossible.
    pub fn unresolve(&mut self) {
        self.dataset_types.values_mut().for_each(|node| *node = None);
        self.steps_verified = false;
    }
}

/// Everything that has a say in the definition of one dataset type.
struct Parts<'a> {
    name: &'a str,
    universe: &'a Universe,
    registered: Option<&'a RegisteredType>,
    producer: Option<Connection<'a>>,
    consumers: &'a [Connection<'a>],
}

impl Parts<'_> {
    fn resolve(&self, conversions: &mut Vec<StorageClassUse>) -> Result<DatasetTypeNode, GraphError> {
        let is_prerequisite = self.check_roles()?;
        let base = match (self.registered, self.producer) {
            (Some(registered), _) => registered.clone(),
            (None, Some(producer)) => self.definition(producer.edge)?,
            (None, None) => self.agreed()?,
        };
        if let Some(producer) = self.producer {
            self.check(&producer, &base)?;
            push_conversion(conversions, &producer, &producer.edge.storage_class, &base.storage_class);
        }
        for consumer in self.consumers {
            self.check(consumer, &base)?;
            push_conversion(conversions, consumer, &base.storage_class, &consumer.edge.storage_class);
        }
        let deferred = self.consumers.iter().any(|consumer| consumer.edge.defer_query_constraint);
        Ok(DatasetTypeNode {
            dimensions: base.dimensions,
            storage_class: base.storage_class,
            is_calibration: base.is_calibration,
            is_initial_query_constraint: self.producer.is_none() && !deferred,
            is_prerequisite,
        })
    }

    /// Whether this is a prerequisite; an error if it is also something else.
    fn check_roles(&self) -> Result<bool, GraphError> {
        let inconsistent =
            |reason: String| Err(GraphError::InconsistentConnection { dataset_type: self.name.to_owned(), reason });
        let describe = |connection: &Connection<'_>| {
            let role = match connection.kind {
                EdgeKind::InitInput => "an init-input",
                EdgeKind::InitOutput => "an init-output",
                EdgeKind::Prerequisite => "a prerequisite",
                EdgeKind::Input => "an input",
                EdgeKind::Output => "an output",
            };
            format!("{role} of task `{}`", connection.task.label)
        };
        let all = || self.producer.iter().chain(self.consumers);
        let Some(prerequisite) = all().find(|connection| connection.kind == EdgeKind::Prerequisite) else {
            let first_init = all().find(|connection| connection.kind.is_init());
            let first_run = all().find(|connection| !connection.kind.is_init());
            return match (first_init, first_run) {
                (Some(init), Some(run)) => inconsistent(format!("it is {} and {}", describe(init), describe(run))),
                _ => Ok(false),
            };
        };
        match all().find(|connection| connection.kind != EdgeKind::Prerequisite) {
            Some(other) => inconsistent(format!("it is {} and {}", describe(prerequisite), describe(other))),
            None => Ok(true),
        }
    }

    /// What one edge says, with no registry to fill its gaps.
    fn definition(&self, edge: &Edge) -> Result<RegisteredType, GraphError> {
        if edge.dimensions.iter().any(|dimension| dimension == SKYPIX) {
            return Err(self.missing(format!(
                "connection `{}` leaves its pixelisation open (`skypix`), which only a registered dataset type can fill; \
                 if this is a reference catalog, check its name",
                edge.connection
            )));
        }
        Ok(RegisteredType {
            dimensions: self.universe.group(edge.dimensions.iter().map(String::as_str))?,
            storage_class: edge.storage_class.clone(),
            is_calibration: edge.is_calibration,
        })
    }

    /// What all consumers say, if they agree and speak of the whole dataset.
    fn agreed(&self) -> Result<RegisteredType, GraphError> {
        let mut agreed: Option<(RegisteredType, &Connection<'_>)> = None;
        for consumer in self.consumers {
            if let Some(component) = consumer.edge.component() {
                return Err(self.missing(format!(
                    "task `{}` reads only its component `{component}`, which does not say what the whole is",
                    consumer.task.label
                )));
            }
            let definition = self.definition(consumer.edge)?;
            match &agreed {
                None => agreed = Some((definition, consumer)),
                Some((first, by)) if *first != definition => {
                    return Err(self.missing(format!(
                        "tasks `{}` and `{}` define it differently",
                        by.task.label, consumer.task.label
                    )));
                }
                Some(_) => {}
            }
        }
        agreed.map(|(definition, _)| definition).ok_or_else(|| self.missing("nothing defines it".to_owned()))
    }

    fn missing(&self, reason: String) -> GraphError {
        GraphError::MissingDatasetType { dataset_type: self.name.to_owned(), reason }
    }

    fn check(&self, connection: &Connection<'_>, base: &RegisteredType) -> Result<(), GraphError> {
        let (label, edge) = (&connection.task.label, connection.edge);
        let named = edge.dimensions.iter().map(String::as_str).filter(|dimension| *dimension != SKYPIX);
        let mut dimensions = self.universe.group(named)?;
        if edge.dimensions.iter().any(|dimension| dimension == SKYPIX) {
            let is_skypix = |index: &_| matches!(self.universe.get(*index).kind, ElementKind::SkyPix { .. });
            let pixelisation = base.dimensions.iter().filter(is_skypix).map(DimensionGroup::single);
            dimensions = pixelisation.fold(dimensions, DimensionGroup::union);
        }
        let incompatible =
            |reason: String| Err(GraphError::IncompatibleDatasetType { dataset_type: self.name.to_owned(), reason });
        if dimensions != base.dimensions {
            let list = |group| self.universe.names(group).collect::<Vec<_>>().join(", ");
            return incompatible(format!(
                "task `{label}` gives it dimensions {{{}}}, {} gives it {{{}}}",
                list(dimensions),
                self.source(),
                list(base.dimensions)
            ));
        }
        if edge.is_calibration != base.is_calibration {
            let (first, second) = if edge.is_calibration { ("is", "is not") } else { ("is not", "is") };
            return incompatible(format!(
                "it {first} a calibration for task `{label}` and {second} one for {}",
                self.source()
            ));
        }
        Ok(())
    }

    /// Who defined the dataset type.
    fn source(&self) -> String {
        match (self.registered, self.producer) {
            (Some(_), _) => "the repository".to_owned(),
            (None, Some(producer)) => format!("its producer `{}`", producer.task.label),
            (None, None) => "another task".to_owned(),
        }
    }
}

fn push_conversion(conversions: &mut Vec<StorageClassUse>, connection: &Connection<'_>, from: &str, to: &str) {
    if from != to || connection.edge.component().is_some() {
        conversions.push(StorageClassUse {
            label: connection.task.label.clone(),
            connection: connection.edge.connection.clone(),
            dataset_type: connection.edge.parent().to_owned(),
            component: connection.edge.component().map(str::to_owned),
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }
}
