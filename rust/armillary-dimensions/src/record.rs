//! Records of dimension elements, and the records that go with a data ID.

use crate::{DataCoordinate, Element, ElementIndex, Field, FieldRole, Key, Timespan, Universe, Value};
use std::{fmt, sync::Arc};

/// One row of a dimension element: a value for each of its fields.
///
/// ```
/// # use armillary_dimensions::{Record, Universe, Value};
/// let universe = Universe::default_universe();
/// let band = universe.element("band")?.index;
/// let record = Record::new(universe, band, [Value::Str("g".into())].into());
/// assert_eq!(record.get("name"), Some(&Value::Str("g".into())));
/// assert_eq!(record.data_id().unwrap().to_string(), "{band: 'g'}");
/// # Ok::<(), armillary_dimensions::DimensionError>(())
/// ```
#[derive(Clone)]
pub struct Record {
    universe: Arc<Universe>,
    element: ElementIndex,
    values: Arc<[Value]>,
}

impl Record {
    /// A record with these values, in the order of [`Element::fields`]; regions are encoded bytes.
    ///
    /// # Panics
    /// If there is not one value for each field.
    #[must_use]
    pub fn new(universe: Arc<Universe>, element: ElementIndex, values: Arc<[Value]>) -> Self {
        assert_eq!(universe.get(element).fields.len(), values.len(), "a record has a value for each field");
        Self { universe, element, values }
    }

    /// The universe of its element.
    #[must_use]
    pub fn universe(&self) -> &Arc<Universe> {
        &self.universe
    }

    /// What it is a record of.
    #[must_use]
    pub fn element(&self) -> &Element {
        self.universe.get(self.element)
    }

    /// All values, in field order.
    #[must_use]
    pub fn values(&self) -> &Arc<[Value]> {
        &self.values
    }

    /// Each field with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &Value)> {
        self.element().fields.iter().zip(self.values.iter())
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    /// The value this record gives a dimension: one of its own keys, or one it implies.
    #[must_use]
    pub fn dimension_value(&self, dimension: ElementIndex) -> Option<Key> {
        self.iter()
            .find(|(field, _)| matches!(field.role, FieldRole::Required(index) | FieldRole::Implied(index) if index == dimension))
            .and_then(|(_, value)| value.to_key())
    }

    /// The data ID of its required dimensions; none if a key has no value.
    #[must_use]
    pub fn data_id(&self) -> Option<DataCoordinate> {
        let element = self.element();
        let info = self.universe.info(self.universe.conform(element.required));
        let values: Option<Arc<[Key]>> = info.required.iter().map(|index| self.dimension_value(*index)).collect();
        Some(DataCoordinate::from_values(self.universe.clone(), info, values?))
    }

    /// The encoded region, if it has one.
    #[must_use]
    pub fn region(&self) -> Option<&Arc<[u8]>> {
        self.iter().find_map(|(field, value)| match (field.role, value) {
            (FieldRole::Region, Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        })
    }

    /// The timespan, if it has one.
    #[must_use]
    pub fn timespan(&self) -> Option<Timespan> {
        self.iter().find_map(|(field, value)| match (field.role, value) {
            (FieldRole::Timespan, Value::Timespan(timespan)) => Some(*timespan),
            _ => None,
        })
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.element == other.element && self.universe == other.universe && self.values == other.values
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.element().name, self.values)
    }
}

/// The records of the elements of a data ID: one for each, or none where the repository has none.
#[derive(Clone, Debug, Default)]
pub struct Records {
    own: Vec<(ElementIndex, Option<Record>)>,
    /// Records of other elements that many data IDs share.
    shared: Option<Arc<Records>>,
}

impl Records {
    /// From records by element, in any order.
    #[must_use]
    pub fn new(mut records: Vec<(ElementIndex, Option<Record>)>) -> Self {
        records.sort_by_key(|(index, _)| *index);
        records.dedup_by_key(|(index, _)| *index);
        Self { own: records, shared: None }
    }

    /// From records by element, in any order, and those of other elements.
    #[must_use]
    pub fn with_shared(own: Vec<(ElementIndex, Option<Record>)>, shared: Arc<Self>) -> Self {
        Self { shared: Some(shared), ..Self::new(own) }
    }

    /// The record of an element; `None` if the element is not here, `Some(None)` if it is known to have no record.
    #[must_use]
    pub fn get(&self, element: ElementIndex) -> Option<Option<&Record>> {
        let own = self.own.iter().find(|(index, _)| *index == element).map(|(_, record)| record.as_ref());
        own.or_else(|| self.shared.as_ref()?.get(element))
    }

    /// Each element with its record, in universe order.
    pub fn iter(&self) -> impl Iterator<Item = (ElementIndex, Option<&Record>)> {
        let mut all: Vec<_> = self.own.iter().map(|(index, record)| (*index, record.as_ref())).collect();
        let mut next = self.shared.as_deref();
        while let Some(records) = next {
            all.extend(records.own.iter().map(|(index, record)| (*index, record.as_ref())));
            next = records.shared.as_deref();
        }
        all.sort_by_key(|(index, _)| *index);
        all.into_iter()
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_records_stand_among_the_others() {
        let universe = Universe::default_universe();
        let record = |name: &str, value: Value| {
            let element = universe.element(name).expect("it is one");
            let values =
                element.fields.iter().enumerate().map(|(at, _)| if at == 0 { value.clone() } else { Value::Null });
            (element.index, Some(Record::new(universe.clone(), element.index, values.collect())))
        };
        let (band, instrument) =
            (record("band", Value::Str("g".into())), record("instrument", Value::Str("Cam".into())));
        let all = Records::new(vec![instrument.clone(), band.clone()]);
        let shared = Records::with_shared(vec![instrument.clone()], Arc::new(Records::new(vec![band.clone()])));
        assert_eq!(shared, all);
        assert_eq!(shared.iter().map(|(index, _)| index).collect::<Vec<_>>(), [band.0, instrument.0]);
        assert_eq!(shared.get(band.0), Some(band.1.as_ref()));
        assert_ne!(shared, Records::new(vec![band]));
    }
}
