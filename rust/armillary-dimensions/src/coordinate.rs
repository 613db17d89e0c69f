//! Data IDs.

use crate::{DimensionError, DimensionGroup, ElementIndex, FieldType, GroupInfo, Key, Universe};
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Values for the dimensions of a group: a data ID.
///
/// Holds the values of the required dimensions and, when they are known, of the implied ones too.
/// Equality, hash and order look at the required values only.
///
/// ```
/// # use armillary_dimensions::{DataCoordinate, Key, Universe};
/// let universe = Universe::default_universe();
/// let group = universe.group(["detector"])?;
/// let id = DataCoordinate::standardize(&universe, group, &mut |name| match name {
///     "instrument" => Some(Key::from("HSC")),
///     "detector" => Some(Key::from(50)),
///     _ => None,
/// })?;
/// assert_eq!(id.to_string(), "{instrument: 'HSC', detector: 50}");
/// # Ok::<(), armillary_dimensions::DimensionError>(())
/// ```
#[derive(Clone)]
pub struct DataCoordinate {
    universe: Arc<Universe>,
    info: Arc<GroupInfo>,
    /// Required ones first; only those, if the implied ones are kept apart or not known.
    values: Arc<[Key]>,
    /// Implied ones that many data IDs share.
    shared: Option<Arc<[Key]>>,
}

impl DataCoordinate {
    /// The data ID with no dimensions.
    #[must_use]
    pub fn empty(universe: &Arc<Universe>) -> Self {
        let info = universe.info(DimensionGroup::EMPTY);
        Self { universe: universe.clone(), info, values: Arc::new([]), shared: None }
    }

    /// From values in the order of [`GroupInfo::keys`]: the required ones, or the required and the implied ones.
    ///
    /// # Panics
    /// If the number of values is neither.
    #[must_use]
    pub fn from_values(universe: Arc<Universe>, info: Arc<GroupInfo>, values: Arc<[Key]>) -> Self {
        assert!(
            values.len() == info.required.len() || values.len() == info.required.len() + info.implied.len(),
            "a data ID has its required values, or all"
        );
        Self { universe, info, values, shared: None }
    }

    /// From the required values and the implied ones, both in the order of [`GroupInfo::keys`]; data IDs that imply the
    /// same may share the latter.
    ///
    /// # Panics
    /// If there is not one value for each dimension.
    #[must_use]
    pub fn from_shared(
        universe: Arc<Universe>,
        info: Arc<GroupInfo>,
        required: Arc<[Key]>,
        implied: Arc<[Key]>,
    ) -> Self {
        assert!(
            required.len() == info.required.len() && implied.len() == info.implied.len(),
            "a data ID has a value for each dimension"
        );
        Self { universe, info, values: required, shared: Some(implied) }
    }

    /// From a look-up of values by dimension name; checks types, and takes the implied values if all are there.
    pub fn standardize(
        universe: &Arc<Universe>,
        group: DimensionGroup,
        lookup: &mut dyn FnMut(&str) -> Option<Key>,
    ) -> Result<Self, DimensionError> {
        Self::from_lookup(universe, group, &mut |index| lookup(&universe.get(index).name))
    }

    /// As [`Self::standardize`], from a look-up by position in the universe.
    pub fn from_lookup(
        universe: &Arc<Universe>,
        group: DimensionGroup,
        lookup: &mut dyn FnMut(ElementIndex) -> Option<Key>,
    ) -> Result<Self, DimensionError> {
        let info = universe.info(group);
        let mut values = Vec::with_capacity(info.required.len() + info.implied.len());
        for index in &info.required {
            match lookup(*index) {
                Some(key) => values.push(check(universe, *index, key)?),
                None => return Err(missing(universe, &info, *index, lookup)),
            }
        }
        for index in &info.implied {
            if let Some(key) = lookup(*index) {
                values.push(check(universe, *index, key)?);
            }
        }
        if values.len() < info.required.len() + info.implied.len() {
            values.truncate(info.required.len());
        }
        Ok(Self { universe: universe.clone(), info, values: values.into(), shared: None })
    }

    /// From keys in the order of [`GroupInfo::keys`], the required ones or all; checks their types.
    ///
    /// # Panics
    /// If the number of keys is neither.
    pub fn from_keys(
        universe: &Arc<Universe>,
        info: &Arc<GroupInfo>,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<Self, DimensionError> {
        let checked: Result<Arc<[Key]>, DimensionError> =
            info.keys().zip(keys).map(|(index, key)| check(universe, index, key)).collect();
        Ok(Self::from_values(universe.clone(), info.clone(), checked?))
    }

    /// The universe.
    #[must_use]
    pub fn universe(&self) -> &Arc<Universe> {
        &self.universe
    }

    /// The dimensions.
    #[must_use]
    pub fn group(&self) -> DimensionGroup {
        self.info.group
    }

    /// The dimensions, in detail.
    #[must_use]
    pub fn info(&self) -> &Arc<GroupInfo> {
        &self.info
    }

    /// The known values, required ones first.
    pub fn values(&self) -> impl Iterator<Item = &Key> {
        self.values.iter().chain(self.shared.iter().flat_map(|implied| implied.iter()))
    }

    /// How many values are known.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() + self.shared.as_ref().map_or(0, |implied| implied.len())
    }

    /// The values of the required dimensions.
    #[must_use]
    pub fn required_values(&self) -> &[Key] {
        &self.values[..self.info.required.len()]
    }

    /// Whether the values of the implied dimensions are known.
    #[must_use]
    pub fn has_full(&self) -> bool {
        self.count() == self.info.required.len() + self.info.implied.len()
    }

    /// The value of a dimension, if known.
    #[must_use]
    pub fn get(&self, index: ElementIndex) -> Option<&Key> {
        self.info.keys().zip(self.values()).find(|(key, _)| *key == index).map(|(_, value)| value)
    }

    /// The known values, each with its dimension.
    pub fn iter(&self) -> impl Iterator<Item = (ElementIndex, &Key)> {
        self.info.keys().zip(self.values())
    }

    /// The same values for fewer dimensions.
    pub fn subset(&self, group: DimensionGroup) -> Result<Self, DimensionError> {
        if group == self.group() {
            return Ok(self.clone());
        }
        Self::from_lookup(&self.universe, group, &mut |index| self.get(index).cloned())
    }
}

fn check(universe: &Universe, index: ElementIndex, key: Key) -> Result<Key, DimensionError> {
    let element = universe.get(index);
    let wanted = match element.own_key().map(|field| field.kind) {
        Some(FieldType::Int) if matches!(key, Key::Int(_)) => return Ok(key),
        Some(FieldType::String { .. }) if matches!(key, Key::Str(_)) => return Ok(key),
        Some(FieldType::Int) => {
            // Text that is an integer is taken as one, as command lines and file names give it.
            if let Key::Str(text) = &key
                && let Ok(value) = text.trim().parse()
            {
                return Ok(Key::Int(value));
            }
            "an integer"
        }
        _ => "a string",
    };
    Err(DimensionError::WrongType { name: element.name.clone(), value: key.to_string(), wanted })
}

fn missing(
    universe: &Universe,
    info: &GroupInfo,
    lacking: ElementIndex,
    lookup: &mut dyn FnMut(ElementIndex) -> Option<Key>,
) -> DimensionError {
    let given: Vec<String> = info
        .keys()
        .filter_map(|index| lookup(index).map(|key| format!("{}: {key}", universe.get(index).name)))
        .collect();
    DimensionError::MissingKey {
        name: universe.get(lacking).name.clone(),
        wanted: info.required.iter().map(|index| universe.get(*index).name.clone()).collect(),
        given: format!("{{{}}}", given.join(", ")),
    }
}

impl PartialEq for DataCoordinate {
    fn eq(&self, other: &Self) -> bool {
        self.group() == other.group()
            && self.required_values() == other.required_values()
            && self.universe == other.universe
    }
}

impl Eq for DataCoordinate {}

impl Hash for DataCoordinate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.group().hash(state);
        self.required_values().hash(state);
    }
}

impl PartialOrd for DataCoordinate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DataCoordinate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.required_values().cmp(other.required_values()).then_with(|| self.group().cmp(&other.group()))
    }
}

impl fmt::Display for DataCoordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (index, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {value}", self.universe.get(index).name)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for DataCoordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
