//! Pairs of rows of two tables, when nothing else connects the tables.
//!
//! A visit that overlaps ninety patches comes ninety times in such an answer. What hangs on the visit is fetched once for
//! it and not once for each pair: SQL gives the rows of both sides, and Rust puts them together.

use super::{
    sources::{Source, group_of},
    sql::Sql,
    statement::{Statement, number_source},
};
use crate::{RegistryError, Store};
use armillary_dimensions::{Column, ColumnType};
use hashbrown::HashMap;
use std::ops::Range;

/// The statements of both sides, and how their rows come together.
pub(super) struct Halves<'s> {
    sides: [Half; 2],
    pairs: &'s [(i64, i64)],
    /// For each selected column its side and its position there.
    columns: Vec<(usize, usize)>,
}

/// One side: the numbers of its rows first, then its share of the selected columns.
struct Half {
    sql: Sql,
    types: Vec<ColumnType>,
}

impl Statement<'_> {
    /// Both sides of the pairs, if no source, condition or order connects them.
    pub(super) fn halves(&self) -> Option<Halves<'_>> {
        if self.select.is_empty() {
            return None; // nothing would tell how many rows there are
        }
        let pairs = self.pairs.as_ref().filter(|_| self.plan.order.is_empty())?;
        let sides = self.sides()?;
        let side_of = |text: &str| -> Option<usize> {
            let mentioned = sides.each_ref().map(|side| side.iter().any(|source| mentions(text, &source.alias)));
            (mentioned != [true, true]).then_some(usize::from(mentioned[1]))
        };
        let mut selected: [Vec<&(Sql, ColumnType)>; 2] = [Vec::new(), Vec::new()];
        let mut columns = Vec::with_capacity(self.select.len());
        for column in &self.select {
            let side = side_of(&column.0.text)?;
            selected[side].push(column);
            columns.push((side, selected[side].len() - 1));
        }
        let mut conditions: [Vec<&Sql>; 2] = [Vec::new(), Vec::new()];
        for condition in self.conditions.iter().filter(|condition| !mentions(&condition.text, &pairs.alias)) {
            conditions[side_of(&condition.text)?].push(condition);
        }
        let half = |side: usize| {
            let number = |(a, b): &(i64, i64)| if side == 0 { *a } else { *b };
            let mut numbers: Vec<i64> = pairs.rows.iter().map(number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            self.half(&pairs.alias, &pairs.tables[side], &numbers, &sides[side], &selected[side], &conditions[side])
        };
        Some(Halves { sides: [half(0), half(1)], pairs: &pairs.rows, columns })
    }

    /// The sources of each side; none if they cannot be told apart.
    fn sides(&self) -> Option<[Vec<&Source>; 2]> {
        let pairs = self.pairs.as_ref()?;
        let mut rest: Vec<&Source> = self.sources.iter().filter(|source| source.alias != pairs.alias).collect();
        let mut sides = [Vec::new(), Vec::new()];
        for (side, table) in sides.iter_mut().zip(&pairs.tables) {
            let at = rest.iter().position(|source| source.alias == *table)?;
            side.push(rest.remove(at));
            let mut group = group_of(&side[0].keys);
            while let Some(at) = rest.iter().position(|source| !group_of(&source.keys).intersection(group).is_empty()) {
                group = group.union(group_of(&rest[at].keys));
                side.push(rest.remove(at));
            }
        }
        // What the first side took may be what the second one needs.
        let groups = sides.each_ref().map(|side| {
            side.iter()
                .fold(armillary_dimensions::DimensionGroup::EMPTY, |sum, source| sum.union(group_of(&source.keys)))
        });
        (rest.is_empty() && groups[0].intersection(groups[1]).is_empty()).then_some(sides)
    }

    fn half(
        &self,
        alias: &str,
        table: &str,
        numbers: &[i64],
        sources: &[&Source],
        selected: &[&(Sql, ColumnType)],
        conditions: &[&Sql],
    ) -> Half {
        let row = format!("{table}.{}", self.dialect.row_number());
        let mut sql = Sql::text(format!("SELECT {row}"));
        for (column, _) in selected {
            sql.push(", ");
            sql.append(column.clone());
        }
        let numbered: Vec<(i64, i64)> = numbers.iter().map(|number| (0, *number)).collect();
        let start = Source::numbers(alias, number_source(self.dialect, &numbered));
        let (first, rest): (Vec<&Source>, Vec<&Source>) = sources.iter().partition(|source| source.alias == table);
        let (optional, rest): (Vec<&Source>, Vec<&Source>) = rest.into_iter().partition(|source| source.optional);
        let mut ordered = self.continued([vec![&start], first].concat(), rest);
        ordered.extend(optional);
        self.write_from(&mut sql, &ordered, true);
        sql.push(&format!(" WHERE {row} = {alias}.b"));
        sql.push_all(" AND ", conditions.iter().map(|condition| (*condition).clone()));
        let types = std::iter::once(ColumnType::Int).chain(selected.iter().map(|(_, kind)| *kind)).collect();
        Half { sql, types }
    }
}

impl Halves<'_> {
    /// The rows of the whole.
    pub(super) fn fetch(&self, store: &Store) -> Result<Vec<Column>, RegistryError> {
        let mut fetched = Vec::with_capacity(2);
        for half in &self.sides {
            let mut columns = store.select(&half.sql.text, &half.sql.values, &half.types)?;
            let Column::Int { values: numbers, .. } = columns.remove(0) else { return Ok(Vec::new()) };
            fetched.push((Rows::new(&numbers), columns));
        }
        let mut taken: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        for (left, right) in self.pairs {
            for first in fetched[0].0.of(*left) {
                for second in fetched[1].0.of(*right) {
                    taken[0].push(*first);
                    taken[1].push(*second);
                }
            }
        }
        Ok(self.columns.iter().map(|(side, position)| fetched[*side].1[*position].take(&taken[*side])).collect())
    }
}

/// The positions of fetched rows by their number; one number may come several times.
struct Rows {
    order: Vec<usize>,
    ranges: HashMap<i64, Range<usize>>,
}

impl Rows {
    fn new(numbers: &[i64]) -> Self {
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by_key(|position| numbers[*position]);
        let mut ranges: HashMap<i64, Range<usize>> = HashMap::with_capacity(numbers.len());
        for (at, position) in order.iter().enumerate() {
            ranges.entry(numbers[*position]).or_insert(at..at).end = at + 1;
        }
        Self { order, ranges }
    }

    fn of(&self, number: i64) -> &[usize] {
        self.ranges.get(&number).map_or(&[], |range| &self.order[range.clone()])
    }
}

/// Whether SQL text names a column of a source. Values are bound and not in the text.
fn mentions(text: &str, alias: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '"';
    text.match_indices(alias).any(|(at, _)| !text[..at].ends_with(word) && text[at + alias.len()..].starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_mentioned_by_its_whole_name() {
        assert!(mentions("s1.visit = d0.visit", "d0"));
        assert!(mentions("(s1.visit)", "s1"));
        assert!(!mentions("s11.visit = bs1.visit", "s1"));
        assert!(!mentions("s1", "s1"));
    }

    #[test]
    fn rows_are_found_by_number() {
        let rows = Rows::new(&[7, 3, 7, 5]);
        assert_eq!((rows.of(7), rows.of(3), rows.of(4)), (&[0, 2][..], &[1][..], &[][..]));
    }
}
