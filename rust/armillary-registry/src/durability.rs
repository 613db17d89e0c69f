//! What a power cut may undo.

use crate::error::RegistryError;
use std::str::FromStr;

/// What has reached the disk when a write returns, so that a power cut cannot undo it.
///
/// Whatever is chosen, a process that is killed leaves nothing by halves: the kernel keeps what it was given.
///
/// ```
/// # use armillary_registry::Durability;
/// assert_eq!("batch".parse::<Durability>()?, Durability::Batch);
/// assert!("some".parse::<Durability>().is_err());
/// # Ok::<(), armillary_registry::RegistryError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Everything, and in such an order that nothing is left over either.
    #[default]
    Full,
    /// Everything, but files only before the commit that enters them. Announcements are not synced, so files that were
    /// never entered may be left over.
    Batch,
    /// Nothing: a power cut may break the database.
    None,
}

impl Durability {
    /// Whether announcements are synced.
    pub(crate) const fn syncs_announcements(self) -> bool {
        matches!(self, Self::Full)
    }

    /// Whether commits are synced.
    pub(crate) const fn syncs_commits(self) -> bool {
        !matches!(self, Self::None)
    }
}

impl FromStr for Durability {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "full" => Ok(Self::Full),
            "batch" => Ok(Self::Batch),
            "none" => Ok(Self::None),
            _ => Err(RegistryError::BadArgument {
                reason: format!("`{text}` is no durability; use `full`, `batch` or `none`"),
            }),
        }
    }
}
