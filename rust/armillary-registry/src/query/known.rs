//! Values that a dimension has in every row, known before the rows are read.

use super::{
    plan::Plan,
    search::Search,
    sql::Sql,
    statement::{Statement, key_type},
};
use crate::{Registry, RegistryError};
use armillary_dimensions::{Column, ColumnType, ElementIndex, Key, Value};
use std::collections::BTreeMap;

/// Collections of a search at most for their summaries to be looked at, which takes time for each of them.
const MOST_COLLECTIONS: usize = 200;

impl Registry {
    /// The values that dimensions have in every row: those that conditions ask for and, if `by_summaries`, governors of
    /// which the collections of a search hold datasets with one value only.
    ///
    /// Summaries are read here and not taken from memory: rows must be read in the same state of the database, since
    /// a dataset that others add meanwhile may be of another instrument. They may tell too much, then the rows tell.
    pub(super) fn known_keys(
        &self,
        plan: &Plan,
        by_summaries: bool,
    ) -> Result<BTreeMap<ElementIndex, Key>, RegistryError> {
        let mut known = BTreeMap::new();
        for (index, values) in &plan.constraints {
            let [value] = &values[..] else { continue };
            match (value, key_type(plan.universe.get(*index))) {
                (Value::Int(_), ColumnType::Int) | (Value::Str(_), ColumnType::Str) => {
                    known.extend(value.to_key().map(|key| (*index, key)));
                }
                _ => {}
            }
        }
        if !by_summaries {
            return Ok(known);
        }
        for search in plan.searches.iter().filter(|search| search.collections.len() <= MOST_COLLECTIONS) {
            for governor in &plan.universe.info(search.dataset_type.group).governors {
                if !known.contains_key(governor)
                    && let Some(key) = self.only_governor(search, *governor)?
                {
                    known.insert(*governor, key);
                }
            }
        }
        Ok(known)
    }

    /// The value of a governor that all datasets of a search have, if its collections hold no other.
    fn only_governor(&self, search: &Search, governor: ElementIndex) -> Result<Option<Key>, RegistryError> {
        let element = self.universe().get(governor);
        let dialect = self.store().dialect();
        let mut sql = Sql::text("SELECT DISTINCT ");
        dialect.identifier(&mut sql.text, &element.name);
        sql.push(" FROM ");
        dialect.identifier(&mut sql.text, &format!("collection_summary_{}", element.name));
        sql.push(" WHERE collection_id");
        let ids: Vec<Value> = search.collections.iter().map(|place| Value::Int(place.id)).collect();
        sql.in_list(dialect, &ids);
        sql.push(" LIMIT 2");
        let columns = self.store().select(&sql.text, &sql.values, &[key_type(element)])?;
        let [column] = &columns[..] else { return Ok(None) };
        Ok(if column.len() == 1 { column.get(0).to_key() } else { None })
    }
}

impl Statement<'_> {
    /// Says which values are the same in every row and need not be read.
    pub(crate) fn know(&mut self, known: BTreeMap<ElementIndex, Key>) {
        // Where each side of pairs is fetched by itself, every column must be of one of them.
        if self.pairs.is_none() {
            self.known = known;
        }
    }

    /// Adds the value of a dimension if it is the same in every row.
    pub(super) fn select_known(&mut self, index: ElementIndex) -> Option<usize> {
        let value = self.known.get(&index)?.clone();
        let added = self.constants.iter().find(|(_, of, _)| *of == index).map(|(position, ..)| *position);
        Some(added.unwrap_or_else(|| {
            self.constants.push((self.select.len(), index, value));
            self.select.push((Sql::default(), key_type(self.plan.universe.get(index))));
            self.select.len() - 1
        }))
    }

    /// Those of the selected columns that the database gives.
    pub(super) fn read(&self) -> impl Iterator<Item = &(Sql, ColumnType)> {
        let is_read = |position: usize| !self.constants.iter().any(|(constant, ..)| *constant == position);
        self.select.iter().enumerate().filter(move |(position, _)| is_read(*position)).map(|(_, column)| column)
    }

    /// All selected columns, from those that the database gave.
    pub(super) fn with_constants(&self, mut columns: Vec<Column>) -> Vec<Column> {
        let rows = columns.first().map_or(0, Column::len);
        columns.truncate(self.select.len().max(1) - self.constants.len()); // where nothing is read, rows are numbers
        for (position, _, value) in &self.constants {
            columns.insert(*position, Column::constant(value, rows));
        }
        columns
    }
}
