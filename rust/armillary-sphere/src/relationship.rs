//! The answer to "how do these two regions lie to each other".

use std::ops::{BitAnd, BitOr};

/// What is known about two regions `a` and `b`: a set of statements, each of them certain when it is in the set.
///
/// The empty set says only that they may intersect. The bits are those of `lsst.sphgeom`.
///
/// ```
/// use armillary_sphere::{Region, Relationship};
///
/// let wide = Region::from_ivoa_pos("CIRCLE 0 0 2")?;
/// let narrow = Region::from_ivoa_pos("CIRCLE 0 0 1")?;
/// assert_eq!(wide.relate(&narrow), Relationship::CONTAINS);
/// assert_eq!(wide.relate(&narrow).inverse(), Relationship::WITHIN);
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Relationship(u8);

impl Relationship {
    /// Nothing is certain: the regions may have points in common.
    pub const INTERSECTS: Self = Self(0);
    /// No point of `a` is in `b`.
    pub const DISJOINT: Self = Self(1);
    /// Every point of `b` is in `a`.
    pub const CONTAINS: Self = Self(2);
    /// Every point of `a` is in `b`.
    pub const WITHIN: Self = Self(4);

    /// The statements as bits: 1 disjoint, 2 contains, 4 within.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the regions surely have no point in common.
    #[must_use]
    pub const fn is_disjoint(self) -> bool {
        self.0 & Self::DISJOINT.0 != 0
    }

    /// Whether `a` surely holds all of `b`.
    #[must_use]
    pub const fn is_containing(self) -> bool {
        self.0 & Self::CONTAINS.0 != 0
    }

    /// Whether `a` surely is all in `b`.
    #[must_use]
    pub const fn is_within(self) -> bool {
        self.0 & Self::WITHIN.0 != 0
    }

    /// The same knowledge told of `b` and `a`.
    #[must_use]
    pub const fn inverse(self) -> Self {
        Self((self.0 & 1) | ((self.0 & 2) << 1) | ((self.0 & 4) >> 1))
    }

    /// The statements of either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `statement` if `holds`, else nothing.
    pub(crate) const fn when(holds: bool, statement: Self) -> Self {
        if holds { statement } else { Self::INTERSECTS }
    }
}

impl BitOr for Relationship {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl BitAnd for Relationship {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}
