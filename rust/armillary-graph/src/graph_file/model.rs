//! The JSON documents of graph files, as they are read.

use serde::{Deserialize, Deserializer, de};
use std::{borrow::Cow, collections::HashMap, fmt};

/// A value of a data ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Int(i64),
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or text")
            }
            fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Int(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar<'de>, E> {
                i64::try_from(value).map(Scalar::Int).map_err(|_| E::custom("an integer beyond 63 bits"))
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Text that is borrowed when it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Pairs of a JSON object in their order.
#[derive(Clone, Debug)]
pub(super) struct Pairs<'a, V>(pub(super) Vec<(Text<'a>, V)>);

impl<V> Default for Pairs<'_, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> de::Visitor<'de> for Visitor<V> {
            type Value = Pairs<'de, V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de, V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct DatasetModel<'a> {
    #[serde(borrow)]
    pub(super) dataset_id: Text<'a>,
    #[serde(borrow)]
    pub(super) dataset_type_name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) data_coordinate: Vec<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) run: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct QuantumModel<'a> {
    #[serde(borrow)]
    pub(super) quantum_id: Text<'a>,
    #[serde(borrow)]
    pub(super) task_label: Text<'a>,
    #[serde(borrow, default)]
    pub(super) data_coordinate: Vec<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) inputs: Pairs<'a, Vec<DatasetModel<'a>>>,
    #[serde(borrow, default)]
    pub(super) outputs: Pairs<'a, Vec<DatasetModel<'a>>>,
    #[serde(default)]
    pub(super) datastore_records: HashMap<String, DatastoreModel>,
}

/// What one datastore knows of the inputs of a quantum.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DatastoreModel {
    #[serde(default)]
    pub(super) records: HashMap<String, HashMap<String, HashMap<String, Vec<FileModel>>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FileModel {
    pub(super) formatter: String,
    pub(super) path: String,
    pub(super) storage_class: String,
    #[serde(default)]
    pub(super) component: Option<String>,
    #[serde(default)]
    pub(super) checksum: Option<String>,
    #[serde(default = "unknown_size")]
    pub(super) file_size: i64,
}

const fn unknown_size() -> i64 {
    -1
}

/// A quantum in the thin graph: by id, or by its row in the address table as the first files had it.
#[derive(Debug)]
pub(super) enum ThinId<'a> {
    Id(Text<'a>),
    Row(u64),
}

impl<'de: 'a, 'a> Deserialize<'de> for ThinId<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ThinId<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or the number of a row")
            }
            fn visit_u64<E>(self, value: u64) -> Result<ThinId<'de>, E> {
                Ok(ThinId::Row(value))
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<ThinId<'de>, E> {
                Ok(ThinId::Id(Text(Cow::Borrowed(value))))
            }
            fn visit_str<E>(self, value: &str) -> Result<ThinId<'de>, E> {
                Ok(ThinId::Id(Text(Cow::Owned(value.to_owned()))))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ThinQuantumModel<'a> {
    #[serde(borrow)]
    pub(super) quantum_id: ThinId<'a>,
    #[serde(borrow, default)]
    pub(super) data_coordinate: Vec<Scalar<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ThinModel<'a> {
    #[serde(borrow, default)]
    pub(super) quanta: Pairs<'a, Vec<ThinQuantumModel<'a>>>,
    #[serde(borrow, default)]
    pub(super) edges: Vec<(ThinId<'a>, ThinId<'a>)>,
}
