//! From the rows of one join to all data IDs and who meets whom.
//!
//! The join has one row per combination of data IDs that belong together. Every task and dataset type sees only its own
//! dimensions of them: its data IDs are the distinct projections of the rows, and a quantum meets a dataset where one row
//! projects on both.

mod merged;

use crate::keys::{DataIds, Dictionary, Row, small};
use armillary_dimensions::{Column, DataCoordinate, DimensionGroup, ElementIndex, GroupInfo, Key, Universe};
use std::{collections::HashMap, sync::Arc};

/// Rows of a join, coded; codes follow the order of the values.
#[derive(Clone, Debug, Default)]
pub struct JoinRows {
    /// The values.
    pub keys: Dictionary,
    columns: HashMap<ElementIndex, Vec<u32>>,
    len: usize,
}

impl JoinRows {
    /// Codes the columns of a join, which all have the same length.
    ///
    /// A row with an unknown value is left out: it identifies nothing.
    #[must_use]
    pub fn new(columns: &[(ElementIndex, Column)]) -> Self {
        let mut rows = Self { len: columns.first().map_or(0, |(_, column)| column.len()), ..Self::default() };
        let mut known = vec![true; rows.len];
        let coded: Vec<_> =
            columns.iter().map(|(dimension, column)| (*dimension, sorted_codes(column, &mut known))).collect();
        let all_known = known.iter().all(|known| *known);
        rows.len = known.iter().filter(|known| **known).count();
        for (dimension, (values, mut codes)) in coded {
            for value in values {
                rows.keys.code(dimension, value);
            }
            if !all_known {
                let mut keep = known.iter();
                codes.retain(|_| keep.next() == Some(&true));
            }
            rows.columns.insert(dimension, codes);
        }
        rows
    }

    /// One row with no dimensions: the join of nothing.
    #[must_use]
    pub fn unit() -> Self {
        Self { len: 1, ..Self::default() }
    }

    /// No rows of any dimensions.
    #[must_use]
    pub fn none(dimensions: impl Iterator<Item = ElementIndex>) -> Self {
        Self { columns: dimensions.map(|dimension| (dimension, Vec::new())).collect(), ..Self::default() }
    }

    /// The distinct data IDs of one group as rows of their own.
    #[must_use]
    pub fn narrowed(&self, info: &Arc<GroupInfo>) -> Self {
        let ids = self.project(info).ids;
        let column = |position: usize| (0..small(ids.len())).map(|row| ids.codes(row)[position]).collect();
        let columns = info.keys().enumerate().map(|(position, dimension)| (dimension, column(position))).collect();
        Self { keys: self.keys.clone(), columns, len: ids.len() }
    }

    /// Keeps the rows whose data IDs of one group are among those of other rows.
    pub fn keep_known(&mut self, others: &Self, info: &Arc<GroupInfo>) {
        let theirs = others.project(info).ids;
        let code = |(dimension, key): (&ElementIndex, &Key)| self.keys.find(*dimension, key);
        let known: hashbrown::HashSet<Vec<u32>> = (0..small(theirs.len()))
            .filter_map(|row| info.required.iter().zip(theirs.values(&others.keys, row)).map(code).collect())
            .collect();
        let ours = self.project(info);
        let keep: Vec<bool> = ours.row_of.iter().map(|row| known.contains(ours.ids.required(*row))).collect();
        for column in self.columns.values_mut() {
            let mut kept = keep.iter();
            column.retain(|_| kept.next() == Some(&true));
        }
        self.len = keep.iter().filter(|kept| **kept).count();
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The codes of one dimension, row by row.
    #[must_use]
    pub fn column(&self, dimension: ElementIndex) -> Option<&[u32]> {
        self.columns.get(&dimension).map(Vec::as_slice)
    }

    /// Adds a dimension whose values come from a function of each row; several values multiply the row.
    pub fn extend(&mut self, dimension: ElementIndex, values: &[Vec<i64>]) {
        let mut distinct: Vec<i64> = values.iter().flatten().copied().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let codes: HashMap<i64, u32> =
            distinct.iter().map(|value| (*value, self.keys.code(dimension, Key::Int(*value)))).collect();
        let times: Vec<usize> = values.iter().map(Vec::len).collect();
        for column in self.columns.values_mut() {
            *column = column.iter().zip(&times).flat_map(|(code, times)| std::iter::repeat_n(*code, *times)).collect();
        }
        self.columns.insert(dimension, values.iter().flatten().map(|value| codes[value]).collect());
        self.len = times.iter().sum();
    }

    /// The rows as one group of dimensions sees them.
    ///
    /// # Panics
    /// If the join lacks one of the dimensions.
    #[must_use]
    pub fn project(&self, info: &Arc<GroupInfo>) -> Projection {
        let required: Vec<&[u32]> = info.required.iter().map(|dimension| self.columns[dimension].as_slice()).collect();
        let bits: Vec<u32> = info.required.iter().map(|dimension| bits_for(self.keys.len(*dimension))).collect();
        let (row_of, first) = if bits.iter().sum::<u32>() <= 64 {
            distinct(self.len, |row| {
                required.iter().zip(&bits).fold(0_u64, |key, (column, bits)| key << bits | u64::from(column[row]))
            })
        } else {
            distinct(self.len, |row| required.iter().map(|column| column[row]).collect::<Vec<u32>>())
        };
        let columns: Vec<&[u32]> = info.keys().map(|dimension| self.columns[&dimension].as_slice()).collect();
        let mut ids = DataIds::new(info.clone());
        for row in &first {
            ids.push(columns.iter().map(|column| column[*row as usize]));
        }
        Projection { ids, row_of, first }
    }
}

fn bits_for(values: usize) -> u32 {
    usize::BITS - values.saturating_sub(1).leading_zeros()
}

/// The sorted distinct values of a column and each row's code; unknown values clear their row's flag.
fn sorted_codes(column: &Column, known: &mut [bool]) -> (Vec<Key>, Vec<u32>) {
    match column {
        Column::Int { values, nulls } => {
            for (flag, null) in known.iter_mut().zip(nulls) {
                *flag &= !null;
            }
            let mut distinct = values.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let codes = int_codes(values, &distinct);
            (distinct.into_iter().map(Key::Int).collect(), codes)
        }
        Column::Str(texts) => {
            let dictionary = texts.dictionary();
            let mut order: Vec<usize> = (0..dictionary.len()).collect();
            order.sort_by(|a, b| dictionary[*a].cmp(&dictionary[*b]));
            let mut code_of = vec![0; dictionary.len()];
            for (code, old) in order.iter().enumerate() {
                code_of[*old] = small(code);
            }
            let mut codes = Vec::with_capacity(texts.codes().len());
            for (old, flag) in texts.codes().iter().zip(known.iter_mut()) {
                let code = code_of.get(*old as usize);
                *flag &= code.is_some();
                codes.push(code.copied().unwrap_or(0));
            }
            (order.into_iter().map(|old| Key::Str(dictionary[old].clone())).collect(), codes)
        }
        Column::Float { .. } | Column::Bool(_) | Column::Bytes(_) | Column::Uuid(_) | Column::Timespan(_) => {
            unreachable!("keys of data IDs are integers or text")
        }
    }
}

/// The position of each value among the distinct ones: by table when they lie close together, by search when not.
fn int_codes(values: &[i64], distinct: &[i64]) -> Vec<u32> {
    let (Some(first), Some(last)) = (distinct.first(), distinct.last()) else { return Vec::new() };
    let span = usize::try_from(last.abs_diff(*first)).unwrap_or(usize::MAX);
    let at = |value: i64| usize::try_from(value.abs_diff(*first)).unwrap_or(usize::MAX);
    if span < values.len().saturating_mul(4).max(1 << 16) {
        let mut table = vec![0; span + 1];
        for (code, value) in distinct.iter().enumerate() {
            table[at(*value)] = small(code);
        }
        return values.iter().map(|value| table[at(*value)]).collect();
    }
    values.iter().map(|value| small(distinct.partition_point(|other| other < value))).collect()
}

/// Numbers the distinct keys of the rows in the order of the keys: each row's number, and the first row of each number.
fn distinct<K: Ord + std::hash::Hash + Eq>(len: usize, key: impl Fn(usize) -> K) -> (Vec<Row>, Vec<u32>) {
    let mut numbers: hashbrown::HashMap<K, Row> = hashbrown::HashMap::new();
    let mut row_of = Vec::with_capacity(len);
    let mut first = Vec::new();
    for row in 0..len {
        let number = *numbers.entry(key(row)).or_insert_with(|| {
            first.push(small(row));
            small(first.len() - 1)
        });
        row_of.push(number);
    }
    let mut order: Vec<(K, Row)> = numbers.into_iter().collect();
    order.sort_unstable();
    let mut rank = vec![0; order.len()];
    for (position, (_, number)) in order.iter().enumerate() {
        rank[*number as usize] = small(position);
    }
    for number in &mut row_of {
        *number = rank[*number as usize];
    }
    (row_of, order.into_iter().map(|(_, number)| first[number as usize]).collect())
}

/// The rows of a join as one group of dimensions sees them.
#[derive(Clone, Debug)]
pub struct Projection {
    /// The distinct data IDs, in the order of their values.
    pub ids: DataIds,
    row_of: Vec<Row>,
    first: Vec<u32>,
}

impl Projection {
    /// For each row of the join its data ID.
    #[must_use]
    pub fn row_of(&self) -> &[Row] {
        &self.row_of
    }

    /// For each data ID the first row of the join that projects on it.
    #[must_use]
    pub fn first(&self) -> &[u32] {
        &self.first
    }
}

/// For each left row the right rows that belong to it, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meetings {
    offsets: Vec<u32>,
    members: Vec<Row>,
}

impl Meetings {
    /// Where two projections of one join meet.
    #[must_use]
    pub fn between(left: &Projection, right: &Projection) -> Self {
        if right.ids.info().group.is_subset(left.ids.info().group) {
            // The left data ID says it all: one right row for each.
            let members = left.first.iter().map(|row| right.row_of[*row as usize]).collect();
            return Self { offsets: (0..=small(left.ids.len())).collect(), members };
        }
        let mut pairs: Vec<u64> = left
            .row_of
            .iter()
            .zip(&right.row_of)
            .map(|(left, right)| u64::from(*left) << 32 | u64::from(*right))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        Self::from_sorted(left.ids.len(), &pairs)
    }

    /// From sorted pairs, the left row in the upper half of each.
    #[allow(clippy::cast_possible_truncation, reason = "the halves of a pair are 32 bits wide")]
    fn from_sorted(len: usize, pairs: &[u64]) -> Self {
        let mut offsets = vec![0; len + 1];
        for pair in pairs {
            offsets[(pair >> 32) as usize + 1] += 1;
        }
        for i in 0..len {
            offsets[i + 1] += offsets[i];
        }
        Self { offsets, members: pairs.iter().map(|pair| *pair as u32).collect() }
    }

    /// From lists, one for each left row.
    #[must_use]
    pub fn from_lists(lists: &[Vec<Row>]) -> Self {
        let mut meetings = Self { offsets: vec![0], members: Vec::new() };
        for list in lists {
            meetings.members.extend(list);
            meetings.offsets.push(small(meetings.members.len()));
        }
        meetings
    }

    /// The right rows of a left row.
    #[must_use]
    pub fn of(&self, left: Row) -> &[Row] {
        let at = |row: usize| self.offsets[row] as usize;
        &self.members[at(left as usize)..at(left as usize + 1)]
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nothing meets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// All data IDs of the tasks and dataset types of one or more joins, and where they meet in each.
#[derive(Clone, Debug)]
pub struct Skeleton {
    /// The values.
    pub keys: Dictionary,
    ids: HashMap<DimensionGroup, DataIds>,
    /// For each join, where pairs of groups meet.
    meetings: Vec<HashMap<(DimensionGroup, DimensionGroup), Meetings>>,
    /// For each of several joins, which data IDs of its groups it gives.
    given: Vec<HashMap<DimensionGroup, Vec<bool>>>,
}

impl Skeleton {
    /// Projects the rows on the groups, and joins the given pairs of groups.
    ///
    /// ```
    /// # use armillary_dimensions::{Column, ColumnType, Universe};
    /// # use armillary_graph::{JoinRows, Skeleton};
    /// let universe = Universe::default_universe();
    /// let mut names = Column::new(ColumnType::Str);
    /// let mut detectors = Column::new(ColumnType::Int);
    /// for detector in [5, 3] {
    ///     names.push_str("HSC");
    ///     detectors.push_int(detector);
    /// }
    /// let index = |name| universe.find(name).unwrap().index;
    /// let rows = JoinRows::new(&[(index("instrument"), names), (index("detector"), detectors)]);
    /// let (instrument, detector) = (universe.group(["instrument"])?, universe.group(["detector"])?);
    /// let skeleton = Skeleton::new(&universe, &rows, &[], &[(instrument, detector)]);
    /// assert_eq!(skeleton.meetings(0, instrument, detector).of(0), [0, 1]);
    /// # Ok::<(), armillary_dimensions::DimensionError>(())
    /// ```
    #[must_use]
    pub fn new(
        universe: &Universe,
        rows: &JoinRows,
        groups: &[DimensionGroup],
        pairs: &[(DimensionGroup, DimensionGroup)],
    ) -> Self {
        let mut projections = HashMap::new();
        for group in groups.iter().copied().chain(pairs.iter().flat_map(|(left, right)| [*left, *right])) {
            projections.entry(group).or_insert_with(|| rows.project(&universe.info(group)));
        }
        let mut meetings = HashMap::new();
        for (left, right) in pairs {
            meetings
                .entry((*left, *right))
                .or_insert_with(|| Meetings::between(&projections[left], &projections[right]));
        }
        let ids = projections.into_iter().map(|(group, projection)| (group, projection.ids)).collect();
        Self { keys: rows.keys.clone(), ids, meetings: vec![meetings], given: Vec::new() }
    }

    /// At most one data ID of each group, with its implied values; all of them belong together.
    #[must_use]
    pub fn of_data_ids(
        universe: &Universe,
        data_ids: &HashMap<DimensionGroup, DataCoordinate>,
        groups: &[DimensionGroup],
        pairs: &[(DimensionGroup, DimensionGroup)],
    ) -> Self {
        let mut skeleton =
            Self { keys: Dictionary::default(), ids: HashMap::new(), meetings: Vec::new(), given: Vec::new() };
        for group in groups.iter().copied().chain(pairs.iter().flat_map(|(left, right)| [*left, *right])) {
            skeleton.ids.entry(group).or_insert_with(|| {
                let info = universe.info(group);
                let mut ids = DataIds::new(info.clone());
                if let Some(data_id) = data_ids.get(&group) {
                    let values = info.keys().zip(data_id.values());
                    ids.push(
                        values.map(|(dimension, key)| skeleton.keys.code(dimension, key.clone())).collect::<Vec<_>>(),
                    );
                }
                ids
            });
        }
        let all = |group: &DimensionGroup| (0..small(skeleton.ids[group].len())).collect::<Vec<Row>>();
        let meetings = pairs.iter().map(|(left, right)| {
            let lists: Vec<Vec<Row>> = all(left).iter().map(|_| all(right)).collect();
            ((*left, *right), Meetings::from_lists(&lists))
        });
        let meetings = meetings.collect();
        skeleton.meetings.push(meetings);
        skeleton
    }

    /// The data IDs of a group, out of all joins.
    ///
    /// # Panics
    /// If the group was not asked for.
    #[must_use]
    pub fn ids(&self, group: DimensionGroup) -> &DataIds {
        &self.ids[&group]
    }

    /// For each data ID of a group whether one join gives it.
    ///
    /// # Panics
    /// If the group was not asked for.
    #[must_use]
    pub fn given(&self, join: usize, group: DimensionGroup) -> Vec<bool> {
        match self.given.get(join) {
            Some(groups) => groups[&group].clone(),
            None => vec![true; self.ids[&group].len()],
        }
    }

    /// Where two groups meet in one join.
    ///
    /// # Panics
    /// If the pair was not asked for.
    #[must_use]
    pub fn meetings(&self, join: usize, left: DimensionGroup, right: DimensionGroup) -> &Meetings {
        &self.meetings[join][&(left, right)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use armillary_dimensions::ColumnType;

    fn ints(values: &[i64]) -> Column {
        let mut column = Column::new(ColumnType::Int);
        for value in values {
            column.push_int(*value);
        }
        column
    }

    fn texts(values: &[&str]) -> Column {
        let mut column = Column::new(ColumnType::Str);
        for value in values {
            column.push_str(value);
        }
        column
    }

    fn index(name: &str) -> ElementIndex {
        Universe::default_universe().find(name).unwrap().index
    }

    #[test]
    fn data_ids_come_in_the_order_of_their_values_whatever_the_order_of_rows() {
        let universe = Universe::default_universe();
        let rows = JoinRows::new(&[
            (index("instrument"), texts(&["Z", "A", "Z", "A"])),
            (index("detector"), ints(&[2, 1_000_000_000_000, 1, -5])),
        ]);
        let group = universe.group(["detector"]).unwrap();
        let projection = rows.project(&universe.info(group));
        let shown: Vec<String> =
            (0..4).map(|row| projection.ids.data_id(&universe, &rows.keys, row).to_string()).collect();
        assert_eq!(
            shown,
            [
                "{instrument: 'A', detector: -5}",
                "{instrument: 'A', detector: 1000000000000}",
                "{instrument: 'Z', detector: 1}",
                "{instrument: 'Z', detector: 2}"
            ]
        );
    }

    #[test]
    fn rows_with_unknown_values_identify_nothing() {
        let mut detectors = ints(&[1]);
        detectors.push_null();
        let rows = JoinRows::new(&[(index("instrument"), texts(&["A", "A"])), (index("detector"), detectors)]);
        assert_eq!(rows.len(), 1);
    }

    #[test]
    fn meetings_are_the_distinct_pairs() {
        let universe = Universe::default_universe();
        let rows = JoinRows::new(&[
            (index("instrument"), texts(&["A"; 4])),
            (index("detector"), ints(&[1, 1, 2, 2])),
            (index("group"), texts(&["x", "y", "x", "x"])),
        ]);
        let detector = universe.group(["detector"]).unwrap();
        let group = universe.group(["group"]).unwrap();
        let both = universe.group(["detector", "group"]).unwrap();
        let skeleton = Skeleton::new(&universe, &rows, &[], &[(detector, group), (both, detector), (detector, both)]);
        assert_eq!(skeleton.meetings(0, detector, group).of(0), [0, 1]);
        assert_eq!(skeleton.meetings(0, detector, group).of(1), [0]);
        assert_eq!(skeleton.meetings(0, both, detector).len(), 3);
        assert_eq!(skeleton.meetings(0, detector, both).of(0), [0, 1]);
    }

    #[test]
    fn a_new_dimension_multiplies_the_rows() {
        let mut rows = JoinRows::new(&[(index("instrument"), texts(&["A", "B"]))]);
        rows.extend(index("htm7"), &[vec![7, 5], vec![5]]);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows.column(index("htm7")), Some(&[1, 0, 0][..]));
        assert_eq!(rows.column(index("instrument")), Some(&[0, 0, 1][..]));
    }

    #[test]
    fn rows_are_narrowed_and_kept_by_what_others_know() {
        let universe = Universe::default_universe();
        let rows = |detectors: &[i64], groups: &[&str]| {
            let instruments = texts(&vec!["A"; groups.len()]);
            let columns = [("instrument", instruments), ("detector", ints(detectors)), ("group", texts(groups))];
            JoinRows::new(&columns.map(|(name, column)| (index(name), column)))
        };
        let mut ours = rows(&[1, 2, 2, 3], &["x", "x", "y", "z"]);
        // The others know other values besides, so that the codes differ.
        let theirs = rows(&[0, 2, 7], &["w", "x", "z"]);
        let group = universe.info(universe.group(["group"]).unwrap());
        assert_eq!(ours.narrowed(&group).len(), 3);
        ours.keep_known(&theirs, &group);
        assert_eq!(ours.column(index("detector")), Some(&[0, 1, 2][..]), "1 and 2 in x, 3 in z");
        ours.keep_known(&theirs, &universe.info(universe.group(["detector"]).unwrap()));
        assert_eq!((ours.len(), ours.column(index("group"))), (1, Some(&[0][..])));
    }
}
