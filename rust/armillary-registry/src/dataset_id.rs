//! How datasets get their ids.

use crate::error::RegistryError;
use armillary_dimensions::{DataCoordinate, Key};
use std::fmt::Write as _;
use uuid::{Uuid, uuid};

/// The namespace of ids that follow from what a dataset is.
const NAMESPACE: Uuid = uuid!("840b31d9-05cd-5161-b2c8-00d32b280d0f");

/// Where a dataset's id comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMode {
    /// From the clock and chance.
    Unique,
    /// From the dataset type and data ID.
    DataIdType,
    /// From the dataset type, run and data ID.
    DataIdTypeRun,
}

impl IdMode {
    /// The mode with this number in the Python enumeration.
    pub fn from_number(number: i64) -> Result<Self, RegistryError> {
        match number {
            0 => Ok(Self::Unique),
            1 => Ok(Self::DataIdType),
            2 => Ok(Self::DataIdTypeRun),
            _ => Err(RegistryError::BadArgument { reason: format!("{number} is no way to make dataset ids") }),
        }
    }
}

/// The id of a dataset.
///
/// ```
/// # use armillary_dimensions::{DataCoordinate, Universe};
/// # use armillary_registry::{IdMode, dataset_id};
/// let nothing = DataCoordinate::empty(&Universe::default_universe());
/// let id = dataset_id(IdMode::DataIdTypeRun, "cfg", "r", &nothing);
/// assert_eq!(uuid::Uuid::from_bytes(id).to_string(), "8173a0dc-fab5-58fc-925d-319cbfc83169");
/// ```
#[must_use]
pub fn dataset_id(mode: IdMode, dataset_type: &str, run: &str, data_id: &DataCoordinate) -> [u8; 16] {
    if mode == IdMode::Unique {
        return *Uuid::now_v7().as_bytes();
    }
    let mut name = format!("dataset_type={dataset_type}");
    if mode == IdMode::DataIdTypeRun {
        let _ = write!(name, ",run={run}");
    }
    let universe = data_id.universe();
    let required = data_id.info().required.iter().map(|index| universe.get(*index).name.as_str());
    let mut pairs: Vec<(&str, &Key)> = required.zip(data_id.required_values()).collect();
    // In the order of the alphabet, not of the universe.
    pairs.sort_unstable_by_key(|(dimension, _)| *dimension);
    for (dimension, key) in pairs {
        let _ = match key {
            Key::Int(value) => write!(name, ",{dimension}={value}"),
            Key::Str(value) => write!(name, ",{dimension}={value}"),
        };
    }
    *Uuid::new_v5(&NAMESPACE, name.as_bytes()).as_bytes()
}
