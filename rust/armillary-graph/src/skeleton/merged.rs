//! Several joins as one skeleton.

use super::{Meetings, Skeleton};
use crate::keys::{Codes, DataIds, Dictionary, Row, small};
use armillary_dimensions::{DimensionGroup, ElementIndex, GroupInfo, Universe};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

impl Skeleton {
    /// Several joins as one: what is the same data ID in several is one, and who meets whom stays a matter of each.
    ///
    /// Each must be of one join.
    #[must_use]
    pub fn merged(universe: &Universe, mut joins: Vec<Self>) -> Self {
        if joins.len() == 1
            && let Some(only) = joins.pop()
        {
            return only;
        }
        let (keys, codes) = Dictionary::merged(joins.iter().map(|join| &join.keys));
        let mut merged = Self { keys, ids: HashMap::new(), meetings: Vec::new(), given: Vec::new() };
        let groups: BTreeSet<DimensionGroup> = joins.iter().flat_map(|join| join.ids.keys().copied()).collect();
        let mut rows: Vec<HashMap<DimensionGroup, Vec<Row>>> = vec![HashMap::new(); joins.len()];
        for group in groups {
            let parts = joins.iter().zip(&codes).map(|(join, codes)| Some((join.ids.get(&group)?, codes)));
            let (ids, of_joins) = merged_ids(universe.info(group), parts);
            merged.ids.insert(group, ids);
            for (rows, of_join) in rows.iter_mut().zip(of_joins) {
                rows.extend(of_join.map(|of_join| (group, of_join)));
            }
        }
        for (join, rows) in joins.iter().zip(&rows) {
            let moved = join.meetings[0].iter().map(|(pair, meetings)| {
                let (left, right) = (&rows[&pair.0], &rows[&pair.1]);
                (*pair, meetings.renumbered(left, merged.ids[&pair.0].len(), right))
            });
            merged.meetings.push(moved.collect());
            let given = rows.iter().map(|(group, rows)| {
                let mut given = vec![false; merged.ids[group].len()];
                for row in rows {
                    given[*row as usize] = true;
                }
                (*group, given)
            });
            merged.given.push(given.collect());
        }
        merged
    }
}

impl Meetings {
    /// The same with other numbers, which keep the order: a new number for each left and each right row.
    fn renumbered(&self, left: &[Row], n_left: usize, right: &[Row]) -> Self {
        let mut offsets = vec![0; n_left + 1];
        for (old, new) in left.iter().enumerate() {
            offsets[*new as usize + 1] = self.offsets[old + 1] - self.offsets[old];
        }
        for i in 0..n_left {
            offsets[i + 1] += offsets[i];
        }
        Self { offsets, members: self.members.iter().map(|row| right[*row as usize]).collect() }
    }
}

/// The data IDs of one group in several joins, each only once and in the order of their values, with codes translated
/// for all joins; and for each join the new number of each of its data IDs.
fn merged_ids<'a>(
    info: Arc<GroupInfo>,
    joins: impl Iterator<Item = Option<(&'a DataIds, &'a Codes)>>,
) -> (DataIds, Vec<Option<Vec<Row>>>) {
    let n_required = info.required.len();
    // Translated codes, the join and the row there; equal data IDs come to stand together.
    let mut all: Vec<(Vec<u32>, usize, Row)> = Vec::new();
    let mut of_joins = Vec::new();
    for (join, part) in joins.enumerate() {
        of_joins.push(part.map(|(ids, _)| vec![0; ids.len()]));
        let Some((ids, codes)) = part else { continue };
        // A join without rows has no codes.
        let table = |dimension: ElementIndex| codes.get(dimension.get()).map_or(&[][..], Vec::as_slice);
        let tables: Vec<&[u32]> = info.keys().map(table).collect();
        for row in 0..small(ids.len()) {
            let translated = ids.codes(row).iter().zip(&tables).map(|(code, table)| table[*code as usize]);
            all.push((translated.collect(), join, row));
        }
    }
    all.sort_unstable();
    let mut merged = DataIds::new(info);
    let mut last: Option<&[u32]> = None;
    for (codes, join, row) in &all {
        if last != Some(&codes[..n_required]) {
            merged.push(codes.iter().copied());
            last = Some(&codes[..n_required]);
        }
        if let Some(rows) = &mut of_joins[*join] {
            rows[*row as usize] = small(merged.len() - 1);
        }
    }
    (merged, of_joins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JoinRows;
    use armillary_dimensions::{Column, ColumnType};
    use std::collections::BTreeMap;

    type Pair = (i64, i64);

    fn random(seed: &mut u64, below: u64) -> i64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from((*seed >> 33) % below).unwrap()
    }

    fn index(universe: &Universe, name: &str) -> ElementIndex {
        universe.find(name).unwrap().index
    }

    /// Rows of (detector, exposure) of one instrument.
    fn rows(universe: &Universe, pairs: &[Pair]) -> JoinRows {
        let mut instruments = Column::new(ColumnType::Str);
        let (mut detectors, mut exposures) = (Column::new(ColumnType::Int), Column::new(ColumnType::Int));
        let mut implied = [(); 3].map(|()| Column::new(ColumnType::Str));
        let mut day = Column::new(ColumnType::Int);
        for (detector, exposure) in pairs {
            instruments.push_str("A");
            detectors.push_int(*detector);
            exposures.push_int(*exposure);
            day.push_int(exposure / 2);
            for column in &mut implied {
                column.push_str("x");
            }
        }
        let [band, filter, group] = implied;
        let columns = [
            ("instrument", instruments),
            ("detector", detectors),
            ("exposure", exposures),
            ("day_obs", day),
            ("band", band),
            ("physical_filter", filter),
            ("group", group),
        ];
        JoinRows::new(&columns.map(|(name, column)| (index(universe, name), column)))
    }

    fn shown(skeleton: &Skeleton, group: DimensionGroup, dimension: ElementIndex, row: Row) -> i64 {
        let ids = skeleton.ids(group);
        let code = ids.codes(row)[ids.position(dimension).unwrap()];
        skeleton.keys.key(dimension, code).to_string().parse().unwrap()
    }

    /// For each detector the exposures that it meets in one join.
    fn met(universe: &Universe, skeleton: &Skeleton, join: usize) -> BTreeMap<i64, Vec<i64>> {
        let groups = ["detector", "exposure"].map(|name| (universe.group([name]).unwrap(), index(universe, name)));
        let [(left, detector), (right, exposure)] = groups;
        let given = skeleton.given(join, left);
        let rows = (0..small(given.len())).filter(|row| given[*row as usize]);
        rows.map(|row| {
            let met = skeleton.meetings(join, left, right).of(row).iter();
            (shown(skeleton, left, detector, row), met.map(|met| shown(skeleton, right, exposure, *met)).collect())
        })
        .collect()
    }

    #[test]
    fn each_join_keeps_its_meetings_and_the_data_ids_are_those_of_all() {
        let universe = Universe::default_universe();
        let [detector, exposure] = ["detector", "exposure"].map(|name| universe.group([name]).unwrap());
        let mut seed = 3;
        for _ in 0..200 {
            let joins: Vec<Vec<Pair>> = (0..=random(&mut seed, 4))
                .map(|_| {
                    (0..random(&mut seed, 9)).map(|_| (random(&mut seed, 5), 100 - random(&mut seed, 6))).collect()
                })
                .collect();
            let one =
                |pairs: &Vec<Pair>| Skeleton::new(&universe, &rows(&universe, pairs), &[], &[(detector, exposure)]);
            let merged = Skeleton::merged(&universe, joins.iter().map(one).collect());
            for (join, pairs) in joins.iter().enumerate() {
                let mut expected: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
                for (detector, exposure) in pairs {
                    expected.entry(*detector).or_default().insert(*exposure);
                }
                let expected: BTreeMap<i64, Vec<i64>> =
                    expected.into_iter().map(|(detector, met)| (detector, met.into_iter().collect())).collect();
                assert_eq!(met(&universe, &merged, join), expected);
            }
            let all: BTreeSet<i64> = joins.iter().flatten().map(|(_, exposure)| *exposure).collect();
            let found = (0..small(merged.ids(exposure).len()))
                .map(|row| shown(&merged, exposure, index(&universe, "exposure"), row));
            assert_eq!(found.collect::<Vec<_>>(), all.into_iter().collect::<Vec<_>>(), "sorted, each only once");
        }
    }
}
