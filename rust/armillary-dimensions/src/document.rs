//! From a dimension document to a universe.

use crate::{
    DimensionError, DimensionGroup, Element, ElementIndex, ElementKind, Field, FieldRole, FieldType, Universe,
};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// More elements than this do not fit the bits of a group.
const MOST_ELEMENTS: usize = 128;

/// An element as the document has it, before it has a place.
struct Draft<'a> {
    requires: Vec<&'a str>,
    implies: Vec<&'a str>,
    body: &'a Map<String, Json>,
}

fn bad(reason: impl Into<String>) -> DimensionError {
    DimensionError::BadDocument { reason: reason.into() }
}

pub(crate) fn parse(text: &str) -> Result<Universe, DimensionError> {
    let json: Json = serde_json::from_str(text).map_err(|error| bad(format!("it is not JSON ({error})")))?;
    let top = json.as_object().ok_or_else(|| bad("it is not an object"))?;
    let drafts = read_drafts(object(top, "elements")?)?;
    let systems = read_systems(object(top, "skypix")?)?;
    let order = place(&drafts, &systems)?;
    let by_name: HashMap<String, ElementIndex> = order
        .iter()
        .enumerate()
        .map(|(i, placed)| (placed.0.clone(), ElementIndex(u8::try_from(i).unwrap_or(u8::MAX))))
        .collect();
    let common = top["skypix"].get("common").and_then(Json::as_str).unwrap_or("htm7");
    let common_skypix =
        *by_name.get(common).ok_or_else(|| bad(format!("the common pixelisation `{common}` is not defined")))?;
    let spatial = read_families(top, "spatial", &by_name)?;
    let temporal = read_families(top, "temporal", &by_name)?;
    let mut elements: Vec<Element> = Vec::with_capacity(order.len());
    for (name, level) in &order {
        let element = match level {
            Some((system, level)) => skypix_element(name, system, *level, by_name[name]),
            None => build_element(name, &drafts[name.as_str()], &elements, &by_name, (&spatial, &temporal))?,
        };
        elements.push(element);
    }
    let mut families: IndexMap<String, Vec<ElementIndex>> = spatial;
    for (system, max_level) in &systems {
        let members = (1..=*max_level).rev().map(|level| by_name[&format!("{system}{level}")]).collect();
        families.insert(system.clone(), members);
    }
    Ok(Universe {
        version: top.get("version").and_then(Json::as_i64).ok_or_else(|| bad("`version` is not an integer"))?,
        namespace: top.get("namespace").and_then(Json::as_str).unwrap_or("daf_butler").to_owned(),
        document: text.to_owned(),
        meaning: 0,
        elements,
        by_name,
        spatial: families,
        temporal,
        common_skypix,
        groups: std::sync::Mutex::default(),
    })
}

fn object<'a>(parent: &'a Map<String, Json>, name: &str) -> Result<&'a Map<String, Json>, DimensionError> {
    parent.get(name).and_then(Json::as_object).ok_or_else(|| bad(format!("`{name}` is missing or not an object")))
}

fn names<'a>(body: &'a Map<String, Json>, key: &str) -> Vec<&'a str> {
    body.get(key)
        .and_then(Json::as_array)
        .map(|list| list.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default()
}

fn read_drafts(elements: &Map<String, Json>) -> Result<BTreeMap<&str, Draft<'_>>, DimensionError> {
    let mut drafts = BTreeMap::new();
    for (name, body) in elements {
        let body = body.as_object().ok_or_else(|| bad(format!("element `{name}` is not an object")))?;
        drafts
            .insert(name.as_str(), Draft { requires: names(body, "requires"), implies: names(body, "implies"), body });
    }
    for (name, draft) in &drafts {
        if let Some(missing) = draft.requires.iter().chain(&draft.implies).find(|other| !drafts.contains_key(**other)) {
            return Err(bad(format!("element `{name}` depends on `{missing}`, which is not defined")));
        }
    }
    Ok(drafts)
}

fn read_systems(skypix: &Map<String, Json>) -> Result<BTreeMap<String, u8>, DimensionError> {
    skypix
        .iter()
        .filter(|(name, _)| *name != "common")
        .map(|(name, body)| {
            let level = body.get("max_level").map_or(Some(24), Json::as_u64).and_then(|level| u8::try_from(level).ok());
            level
                .filter(|level| *level <= 29)
                .map(|level| (name.clone(), level))
                .ok_or_else(|| bad(format!("`max_level` of pixelisation `{name}` is not between 0 and 29")))
        })
        .collect()
}

type Placed = (String, Option<(String, u8)>);

/// Repeatedly takes everything whose dependencies have a place, in order of name.
fn place(drafts: &BTreeMap<&str, Draft<'_>>, systems: &BTreeMap<String, u8>) -> Result<Vec<Placed>, DimensionError> {
    let mut placed: Vec<Placed> = Vec::new();
    let mut done: HashSet<&str> = HashSet::new();
    let mut waiting_systems: Vec<&String> = systems.keys().collect();
    while done.len() < drafts.len() || !waiting_systems.is_empty() {
        let ready: Vec<&str> = drafts
            .iter()
            .filter(|(name, draft)| {
                !done.contains(**name) && draft.requires.iter().chain(&draft.implies).all(|other| done.contains(other))
            })
            .map(|(name, _)| *name)
            .collect();
        if ready.is_empty() && waiting_systems.is_empty() {
            let stuck: Vec<&str> = drafts.keys().copied().filter(|name| !done.contains(name)).collect();
            return Err(bad(format!("these elements depend on each other in a circle: {}", stuck.join(", "))));
        }
        let mut round: Vec<(&str, bool)> = ready.iter().map(|name| (*name, false)).collect();
        round.extend(waiting_systems.drain(..).map(|system| (system.as_str(), true)));
        round.sort_unstable();
        for (name, is_system) in round {
            if is_system {
                placed.extend(
                    (1..=systems[name]).map(|level| (format!("{name}{level}"), Some((name.to_owned(), level)))),
                );
            } else {
                placed.push((name.to_owned(), None));
            }
        }
        done.extend(ready);
    }
    if placed.len() > MOST_ELEMENTS {
        return Err(bad(format!("it defines {} elements; at most {MOST_ELEMENTS} are supported", placed.len())));
    }
    Ok(placed)
}

fn read_families(
    top: &Map<String, Json>,
    space: &str,
    by_name: &HashMap<String, ElementIndex>,
) -> Result<IndexMap<String, Vec<ElementIndex>>, DimensionError> {
    let Some(families) = top.get("topology").and_then(|topology| topology.get(space)).and_then(Json::as_object) else {
        return Ok(IndexMap::new());
    };
    families
        .iter()
        .map(|(family, members)| {
            let members = members.as_array().map(Vec::as_slice).unwrap_or_default();
            let members: Result<Vec<_>, _> = members
                .iter()
                .map(|member| {
                    let name = member.as_str().unwrap_or_default();
                    by_name
                        .get(name)
                        .copied()
                        .ok_or_else(|| bad(format!("family `{family}` names `{name}`, which is not defined")))
                })
                .collect();
            Ok((family.clone(), members?))
        })
        .collect()
}

fn skypix_element(name: &str, system: &str, level: u8, index: ElementIndex) -> Element {
    Element {
        index,
        name: name.to_owned(),
        kind: ElementKind::SkyPix { system: system.to_owned(), level },
        required: DimensionGroup::single(index),
        implied: DimensionGroup::EMPTY,
        fields: vec![
            Field {
                name: "id".into(),
                kind: FieldType::Int,
                nullable: false,
                role: FieldRole::Required(index),
                doc: String::new(),
            },
            Field {
                name: "region".into(),
                kind: FieldType::Region,
                nullable: true,
                role: FieldRole::Region,
                doc: String::new(),
            },
        ],
        implied_union_target: None,
        always_join: false,
        populated_by: None,
        is_cached: false,
        spatial: Some(system.to_owned()),
        temporal: None,
        doc: String::new(),
    }
}

type Families<'a> = (&'a IndexMap<String, Vec<ElementIndex>>, &'a IndexMap<String, Vec<ElementIndex>>);

fn build_element(
    name: &str,
    draft: &Draft<'_>,
    before: &[Element],
    by_name: &HashMap<String, ElementIndex>,
    (spatial, temporal): Families<'_>,
) -> Result<Element, DimensionError> {
    let index = by_name[name];
    let body = draft.body;
    let keys = body.get("keys").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let bits = |names: &[&str]| {
        names.iter().fold(DimensionGroup::EMPTY, |sum, other| sum.union(DimensionGroup::single(by_name[*other])))
    };
    let mut required = bits(&draft.requires);
    for other in &draft.requires {
        required = required.union(before[by_name[*other].get()].required);
    }
    if !keys.is_empty() {
        required = required.union(DimensionGroup::single(index));
    }
    let family = |families: &IndexMap<String, Vec<ElementIndex>>| {
        families.iter().find(|(_, members)| members.contains(&index)).map(|(family, _)| family.clone())
    };
    let storage = StorageHints::read(body);
    let mut element = Element {
        index,
        name: name.to_owned(),
        kind: match () {
            () if body.get("governor").and_then(Json::as_bool).unwrap_or(storage.governor) => ElementKind::Governor,
            () if keys.is_empty() => ElementKind::Join,
            () => ElementKind::Dimension,
        },
        required,
        implied: bits(&draft.implies),
        fields: Vec::new(),
        implied_union_target: reference(body, "implied_union_target", by_name)
            .or_else(|| storage.view_of.and_then(|other| by_name.get(other).copied())),
        always_join: body.get("always_join").and_then(Json::as_bool).unwrap_or(false),
        populated_by: reference(body, "populated_by", by_name),
        is_cached: body.get("is_cached").and_then(Json::as_bool).unwrap_or(storage.cached)
            || body.get("governor").and_then(Json::as_bool).unwrap_or(false),
        spatial: family(spatial),
        temporal: family(temporal),
        doc: text(body, "doc"),
    };
    element.fields = fields(&element, draft, keys, before)?;
    Ok(element)
}

fn reference(body: &Map<String, Json>, key: &str, by_name: &HashMap<String, ElementIndex>) -> Option<ElementIndex> {
    body.get(key).and_then(Json::as_str).and_then(|other| by_name.get(other).copied())
}

fn text(body: &Map<String, Json>, key: &str) -> String {
    body.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// What the older `storage` block of an element says.
#[derive(Default)]
struct StorageHints<'a> {
    governor: bool,
    cached: bool,
    view_of: Option<&'a str>,
}

impl<'a> StorageHints<'a> {
    fn read(body: &'a Map<String, Json>) -> Self {
        let mut hints = Self::default();
        let mut block = body.get("storage").and_then(Json::as_object);
        while let Some(storage) = block {
            let class = storage.get("cls").and_then(Json::as_str).unwrap_or_default();
            hints.governor |= class.ends_with("GovernorDimensionRecordStorage");
            hints.cached |= hints.governor || class.ends_with("CachingDimensionRecordStorage");
            hints.view_of = hints.view_of.or_else(|| storage.get("view_of").and_then(Json::as_str));
            block = storage.get("nested").and_then(Json::as_object);
        }
        hints
    }
}

fn fields(
    element: &Element,
    draft: &Draft<'_>,
    keys: &[Json],
    before: &[Element],
) -> Result<Vec<Field>, DimensionError> {
    let mut fields = Vec::new();
    let key_of = |index: ElementIndex, role: FieldRole| -> Result<Field, DimensionError> {
        let other = &before[index.get()];
        let own = other
            .own_key()
            .ok_or_else(|| bad(format!("`{}` depends on `{}`, which has no key", element.name, other.name)))?;
        Ok(Field { name: other.name.clone(), role, nullable: false, ..own.clone() })
    };
    for index in element.required.iter().filter(|index| *index != element.index) {
        fields.push(key_of(index, FieldRole::Required(index))?);
    }
    let mut keys = keys.iter();
    if let Some(own) = keys.next() {
        fields.push(field(element, own, FieldRole::Required(element.index), false)?);
    }
    for index in element.implied.iter() {
        fields.push(key_of(index, FieldRole::Implied(index))?);
    }
    for key in keys {
        fields.push(field(element, key, FieldRole::AlternateKey, false)?);
    }
    for extra in draft.body.get("metadata").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default() {
        fields.push(field(element, extra, FieldRole::Metadata, true)?);
    }
    let own = |name: &str, kind, role| Field { name: name.into(), kind, nullable: true, role, doc: String::new() };
    if element.spatial.is_some() {
        fields.push(own("region", FieldType::Region, FieldRole::Region));
    }
    if element.temporal.is_some() {
        fields.push(own("timespan", FieldType::Timespan, FieldRole::Timespan));
    }
    Ok(fields)
}

fn field(element: &Element, json: &Json, role: FieldRole, nullable: bool) -> Result<Field, DimensionError> {
    let body = json.as_object().ok_or_else(|| bad(format!("a field of `{}` is not an object", element.name)))?;
    let name = text(body, "name");
    let size =
        |key: &str| body.get(key).and_then(Json::as_u64).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    let kind = match body.get("type").and_then(Json::as_str).unwrap_or_default() {
        "int" => FieldType::Int,
        "float" => FieldType::Float,
        "bool" => FieldType::Bool,
        "string" => FieldType::String { length: size("length") },
        "hash" => FieldType::Hash { nbytes: size("nbytes") },
        other => return Err(bad(format!("field `{name}` of `{}` has the unknown type `{other}`", element.name))),
    };
    let nullable = body.get("nullable").and_then(Json::as_bool).unwrap_or(nullable);
    Ok(Field { name, kind, nullable, role, doc: text(body, "doc") })
}
