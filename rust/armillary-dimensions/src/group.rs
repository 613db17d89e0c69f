//! Sets of dimensions.

use crate::ElementIndex;

/// A set of dimensions of one universe, as bits in the universe's order.
///
/// Two groups compare equal exactly when they hold the same dimensions.
///
/// ```
/// # use armillary_dimensions::Universe;
/// let universe = Universe::default_universe();
/// let visit = universe.group(["visit"])?;
/// assert!(universe.group(["instrument"])?.is_subset(visit)); // a visit needs its instrument
/// # Ok::<(), armillary_dimensions::DimensionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DimensionGroup(u128);

impl DimensionGroup {
    /// No dimensions.
    pub const EMPTY: Self = Self(0);

    /// The group of one dimension, not conformed.
    #[must_use]
    pub const fn single(index: ElementIndex) -> Self {
        Self(1 << index.0)
    }

    /// The dimensions in either group.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The dimensions in both groups.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The dimensions here that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every dimension here is in `other` too.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether no dimension is in both.
    #[must_use]
    pub const fn is_disjoint(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }

    /// Whether the dimension is here.
    #[must_use]
    pub const fn contains(self, index: ElementIndex) -> bool {
        self.0 >> index.0 & 1 == 1
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The dimensions in universe order.
    pub fn iter(self) -> impl Iterator<Item = ElementIndex> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            (bits != 0).then(|| {
                let index = bits.trailing_zeros();
                bits &= bits - 1;
                ElementIndex(u8::try_from(index).unwrap_or(u8::MAX))
            })
        })
    }
}

/// What a universe knows about one conformed group; see [`Universe::info`](crate::Universe::info).
#[derive(Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// The group itself.
    pub group: DimensionGroup,
    /// Members that no other member implies, in universe order.
    pub required: Vec<ElementIndex>,
    /// The other members, in universe order.
    pub implied: Vec<ElementIndex>,
    /// Every element whose required dimensions are all here, joins included, in universe order.
    pub elements: Vec<ElementIndex>,
    /// The finest element with regions of each spatial family here.
    pub spatial: Vec<ElementIndex>,
    /// The finest element with timespans of each temporal family here.
    pub temporal: Vec<ElementIndex>,
    /// Governors here.
    pub governors: Vec<ElementIndex>,
}

impl GroupInfo {
    /// Required then implied dimensions: the order of keys in a data ID.
    pub fn keys(&self) -> impl Iterator<Item = ElementIndex> + '_ {
        self.required.iter().chain(&self.implied).copied()
    }
}
