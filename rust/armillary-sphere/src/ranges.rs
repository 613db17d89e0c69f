//! Sets of pixel indices as ranges.

use std::ops::Range;

/// Collects pixels in ascending order into the fewest ranges.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    ranges: Vec<Range<u64>>,
}

impl Ranges {
    /// Adds `first..last`, which starts at or after the end of all before.
    pub(crate) fn push(&mut self, first: u64, last: u64) {
        match self.ranges.last_mut() {
            Some(open) if open.end == first => open.end = last,
            Some(_) | None => self.ranges.push(first..last),
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Range<u64>> {
        self.ranges
    }
}

/// The fewest ranges, ascending, that hold what any of these holds.
pub(crate) fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut kept: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match kept.last_mut() {
            Some(open) if range.start <= open.end => open.end = open.end.max(range.end),
            Some(_) | None => kept.push(range),
        }
    }
    kept
}

/// The ranges of what is in both of two lists of ascending, separate ranges.
pub(crate) fn intersected(a: &[Range<u64>], b: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut i, mut j) = (0, 0);
    let mut common = Ranges::default();
    while let (Some(first), Some(second)) = (a.get(i), b.get(j)) {
        let (start, end) = (first.start.max(second.start), first.end.min(second.end));
        if start < end {
            common.push(start, end);
        }
        if first.end <= second.end {
            i += 1;
        } else {
            j += 1;
        }
    }
    common.into_vec()
}
