//! Where datasets of one type are looked for.

use super::{
    error::{QueryError, QueryProblem},
    request::DatasetSearch,
};
use crate::{Catalog, CollectionKind, DatasetTypeRecord, RegistryError, Summaries, glob_fits, is_glob};
use armillary_dimensions::{ElementIndex, Key, Universe, Value};
use std::collections::BTreeMap;

/// A dataset type and the collections that may hold datasets of it.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) dataset_type: DatasetTypeRecord,
    /// In search order, only those worth looking into.
    pub(crate) collections: Vec<Place>,
    /// Why other collections need no look; told when nothing is found.
    pub(crate) left_out: Vec<String>,
    /// The collections as the caller named them.
    pub(crate) named: Vec<String>,
}

/// A collection to look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: i64,
    pub(crate) kind: CollectionKind,
}

impl Search {
    /// Finds the dataset type and the collections; a pattern is refused where an order is needed.
    pub(crate) fn find(catalog: &Catalog, search: &DatasetSearch, ordered: bool) -> Result<Self, RegistryError> {
        let dataset_type = catalog.require_dataset_type(&search.dataset_type)?.clone();
        let mut names: Vec<&str> = Vec::new();
        for name in &search.collections {
            if !is_glob(name) {
                names.push(name);
            } else if ordered {
                return Err(QueryError::from(QueryProblem::Unordered { pattern: name.clone() }).into());
            } else {
                names.extend(catalog.collections().map(|found| &*found.name).filter(|found| glob_fits(name, found)));
            }
        }
        let collections = catalog
            .flatten(&names)?
            .into_iter()
            .filter_map(|id| catalog.collection_by_id(id).map(|found| Place { id, kind: found.kind }))
            .collect();
        Ok(Self { dataset_type, collections, left_out: Vec::new(), named: search.collections.clone() })
    }

    /// Leaves out collections that cannot hold what is looked for, and remembers why.
    pub(crate) fn prune(
        &mut self,
        catalog: &Catalog,
        summaries: &Summaries,
        universe: &Universe,
        constraints: &BTreeMap<ElementIndex, Vec<Value>>,
    ) {
        let dataset_type = &self.dataset_type;
        let governors = &universe.info(dataset_type.group).governors;
        let mut left_out = Vec::new();
        self.collections.retain(|place| {
            let name = catalog.collection_by_id(place.id).map_or("?", |found| &found.name);
            if !summaries.may_hold(place.id, dataset_type.id)
                || (place.kind == CollectionKind::Calibration && dataset_type.calibs_table.is_none())
            {
                left_out.push(format!("no datasets of type `{}` in collection `{name}`", dataset_type.name));
                return false;
            }
            let missing = governors.iter().find_map(|governor| {
                let wanted = constraints.get(governor)?;
                let held = summaries.get(place.id).governors.get(governor);
                let holds =
                    |value: &Value| value.to_key().is_none_or(|key: Key| held.is_some_and(|held| held.contains(&key)));
                (!wanted.iter().any(holds)).then_some((governor, wanted))
            });
            if let Some((governor, wanted)) = missing {
                let governor = &universe.get(*governor).name;
                let wanted: Vec<String> = wanted.iter().filter_map(Value::to_key).map(|key| key.to_string()).collect();
                left_out.push(format!("no datasets with {governor}={} in collection `{name}`", wanted.join(" or ")));
            }
            missing.is_none()
        });
        self.left_out = left_out;
    }

    /// Whether nothing can be found, whatever the conditions.
    pub(crate) fn is_doomed(&self) -> bool {
        self.collections.is_empty()
    }

    /// Whether some of the collections have times of validity.
    pub(crate) fn has_calibrations(&self) -> bool {
        self.collections.iter().any(|place| place.kind == CollectionKind::Calibration)
    }

    /// Whether a data ID has at most one row here.
    pub(crate) fn is_single(&self) -> bool {
        self.collections.len() == 1 && !self.has_calibrations()
    }

    /// Whether no dataset can be here twice.
    pub(crate) fn is_distinct(&self) -> bool {
        self.is_single() || self.collections.iter().all(|place| place.kind == CollectionKind::Run)
    }

    /// Why nothing was found, if that is clear already.
    pub(crate) fn doom(&self) -> Vec<String> {
        if !self.is_doomed() {
            return Vec::new();
        }
        let named: Vec<String> = self.named.iter().map(|name| format!("`{name}`")).collect();
        let mut reasons =
            vec![format!("no dataset of type `{}` can be found in [{}]", self.dataset_type.name, named.join(", "))];
        if self.left_out.is_empty() {
            reasons.push("there are no collections to look into".to_owned());
        }
        reasons.extend(self.left_out.iter().cloned());
        reasons
    }
}
