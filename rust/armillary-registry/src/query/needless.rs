//! What needs not be read, or not for each row.

use super::{
    sources::{Source, group_of},
    sql::{Sql, write_scalar},
    statement::Statement,
};
use armillary_dimensions::{Element, ElementIndex};

impl Statement<'_> {
    /// Leaves out the tables that change nothing: no column of theirs is used, and a foreign key of another source says
    /// that each of its rows has exactly one match there. Nothing can be selected or joined afterwards.
    ///
    /// Gives their elements, in an order in which each one's key is known from what comes before.
    pub(crate) fn drop_tables(&mut self, may_go: impl Fn(&Element) -> bool) -> Vec<ElementIndex> {
        let mut dropped = Vec::new();
        if self.pairs.is_some() {
            return dropped;
        }
        while let Some((index, position)) = self.needless_table(&may_go) {
            self.tables.shift_remove(&index);
            self.sources.remove(position);
            dropped.push(index);
        }
        dropped.reverse();
        dropped
    }

    fn needless_table(&self, may_go: impl Fn(&Element) -> bool) -> Option<(ElementIndex, usize)> {
        let tables = self.tables.iter().rev().filter(|(index, _)| may_go(self.plan.universe.get(**index)));
        tables.into_iter().find_map(|(index, alias)| {
            let position = self.sources.iter().position(|source| &source.alias == alias)?;
            self.is_needless(position).then_some((*index, position))
        })
    }

    fn is_needless(&self, position: usize) -> bool {
        let table = &self.sources[position];
        let others = || self.sources.iter().enumerate().filter(|(other, _)| *other != position).map(|(_, other)| other);
        let has_foreign_key = |source: &Source| {
            let is_stored = source.is_search || self.tables.values().any(|alias| *alias == source.alias);
            is_stored && !source.optional && table.identity.difference(group_of(&source.keys)).is_empty()
        };
        let implied = group_of(&table.keys).difference(table.identity);
        // A second source of an implied value would have to agree with this one.
        others().any(has_foreign_key)
            && others().all(|other| group_of(&other.keys).intersection(implied).is_empty())
            && !self.mentions(&format!("{}.", table.alias))
    }

    /// Whether a text stands anywhere but in the joins on shared dimensions.
    fn mentions(&self, text: &str) -> bool {
        let order = self.plan.order.iter().any(|order| {
            let mut sql = Sql::default();
            write_scalar(&mut sql, self, &order.term);
            sql.text.contains(text)
        });
        order
            || self.select.iter().any(|(sql, _)| sql.text.contains(text))
            || self.conditions.iter().any(|sql| sql.text.contains(text))
            || self.sources.iter().any(|source| source.from.text.contains(text) || source.extra.contains(text))
    }
}
