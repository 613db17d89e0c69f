//! Half-open intervals of time.

use std::fmt;

/// A half-open interval of time, in integer nanoseconds TAI since 1970-01-01T00:00:00 TAI.
///
/// The bounds are the ones the repository stores: 0 means "since ever", [`Timespan::MAX`] "for ever".
///
/// ```
/// # use armillary_dimensions::Timespan;
/// let night = Timespan::new(10, 20);
/// assert!(night.overlaps(Timespan::instant(19)) && !night.overlaps(Timespan::instant(20)));
/// assert!(Timespan::new(5, 5).is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timespan {
    begin: i64,
    end: i64,
}

impl Timespan {
    /// Unbounded begin.
    pub const MIN: i64 = 0;
    /// Unbounded end: 2100-01-01 TAI.
    pub const MAX: i64 = 4_102_444_800_000_000_000;
    /// All of time.
    pub const ALL: Self = Self { begin: Self::MIN, end: Self::MAX };
    /// No time at all.
    pub const EMPTY: Self = Self { begin: Self::MAX, end: Self::MIN };

    /// The interval from `begin` (inclusive) to `end` (exclusive), clipped to the bounds; empty if `begin >= end`.
    #[must_use]
    pub const fn new(begin: i64, end: i64) -> Self {
        let begin = if begin < Self::MIN { Self::MIN } else { begin };
        let end = if end > Self::MAX { Self::MAX } else { end };
        if begin >= end { Self::EMPTY } else { Self { begin, end } }
    }

    /// One nanosecond starting at `time`.
    #[must_use]
    pub const fn instant(time: i64) -> Self {
        Self::new(time, time + 1)
    }

    /// First nanosecond inside.
    #[must_use]
    pub const fn begin(self) -> i64 {
        self.begin
    }

    /// First nanosecond after.
    #[must_use]
    pub const fn end(self) -> i64 {
        self.end
    }

    /// Whether no time is inside.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.begin >= self.end
    }

    /// Whether some time is in both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.end > other.begin && other.end > self.begin
    }

    /// Whether all of `other` is inside; false if either is empty.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.begin <= other.begin && other.end <= self.end && !other.is_empty()
    }

    /// The time in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self::new(self.begin.max(other.begin), self.end.min(other.end))
    }

    /// The time here that is not in `other`: none, one or two intervals.
    #[must_use]
    pub fn difference(self, other: Self) -> Vec<Self> {
        if self.is_empty() {
            return Vec::new();
        }
        if !self.overlaps(other) {
            return vec![self];
        }
        [Self::new(self.begin, other.begin), Self::new(other.end, self.end)]
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .collect()
    }
}

impl fmt::Display for Timespan {
    /// The raw bounds; calendar text is the business of the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.begin, self.end)
    }
}
