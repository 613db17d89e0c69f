//! The universe: all elements of one repository and their order.

use crate::{DimensionError, DimensionGroup, Element, ElementIndex, ElementKind, GroupInfo, document, nearest};
use indexmap::IndexMap;
use std::{
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// All dimension elements of a repository, in the order that fixes columns, data ID keys and sorting.
pub struct Universe {
    pub(crate) version: i64,
    pub(crate) namespace: String,
    pub(crate) document: String,
    /// The same number for all documents that mean the same.
    pub(crate) meaning: usize,
    pub(crate) elements: Vec<Element>,
    pub(crate) by_name: HashMap<String, ElementIndex>,
    /// Members of each spatial family, finest first.
    pub(crate) spatial: IndexMap<String, Vec<ElementIndex>>,
    /// Members of each temporal family, finest first.
    pub(crate) temporal: IndexMap<String, Vec<ElementIndex>>,
    pub(crate) common_skypix: ElementIndex,
    pub(crate) groups: Mutex<HashMap<DimensionGroup, Arc<GroupInfo>>>,
}

impl fmt::Debug for Universe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Universe({}, {})", self.version, self.namespace)
    }
}

/// Universes are equal if data IDs and records are the same in both, whatever their documents say about them.
impl PartialEq for Universe {
    fn eq(&self, other: &Self) -> bool {
        self.meaning == other.meaning
    }
}

impl Eq for Universe {}

impl Hash for Universe {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meaning.hash(state);
    }
}

/// The document of the default universe: namespace `daf_butler`, version 8.
const DEFAULT_DOCUMENT: &str = include_str!("universe8.json");

static DEFAULT: LazyLock<Arc<Universe>> = LazyLock::new(|| {
    Arc::new(document::parse(DEFAULT_DOCUMENT).expect("the document shipped with the crate is valid"))
});

/// Every other universe met so far. A process meets a handful, so they are kept for good.
static KNOWN: Mutex<Vec<Arc<Universe>>> = Mutex::new(Vec::new());

impl Universe {
    /// The universe of a new repository: namespace `daf_butler`, version 8.
    #[must_use]
    pub fn default_universe() -> Arc<Self> {
        DEFAULT.clone()
    }

    /// The universe that a dimension document (JSON) describes.
    ///
    /// Documents that differ in nothing but their spelling give one object. Those that differ in prose, or in where a
    /// process keeps records, give universes that are equal.
    ///
    /// ```
    /// # use armillary_dimensions::Universe;
    /// let json = Universe::default_universe().document().to_owned();
    /// assert_eq!(Universe::from_json(&json)?.version(), 8);
    /// # Ok::<(), armillary_dimensions::DimensionError>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Arc<Self>, DimensionError> {
        if text == DEFAULT_DOCUMENT {
            return Ok(Self::default_universe());
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.iter().find(|universe| universe.document == text) {
            return Ok(found.clone());
        }
        let mut parsed = document::parse(text)?;
        let alike: Vec<Arc<Self>> = std::iter::once(&*DEFAULT)
            .chain(known.iter())
            .filter(|universe| universe.means_what(&parsed))
            .cloned()
            .collect();
        if let Some(same) = alike.iter().find(|universe| universe.says_what(&parsed)) {
            return Ok(same.clone());
        }
        // The default universe is number 0.
        parsed.meaning = alike.first().map_or(known.len() + 1, |universe| universe.meaning);
        known.push(Arc::new(parsed));
        Ok(known[known.len() - 1].clone())
    }

    /// Whether data IDs and records are the same in two universes.
    fn means_what(&self, other: &Self) -> bool {
        (self.version, &self.namespace, self.common_skypix, &self.elements)
            == (other.version, &other.namespace, other.common_skypix, &other.elements)
            && self.spatial == other.spatial
            && self.temporal == other.temporal
    }

    /// Whether two universes of one meaning also say the same about their elements, and keep the same records.
    fn says_what(&self, other: &Self) -> bool {
        let alike = |one: &Element, other: &Element| {
            let prose = one.fields.iter().zip(&other.fields).all(|(field, other)| field.doc == other.doc);
            prose && (&one.doc, one.is_cached) == (&other.doc, other.is_cached)
        };
        self.elements.iter().zip(&other.elements).all(|(element, other)| alike(element, other))
    }

    /// Version of the document.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Namespace of the document.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The document itself, as it was given.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.document
    }

    /// All elements, in order.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The element at `index`.
    #[must_use]
    pub fn get(&self, index: ElementIndex) -> &Element {
        &self.elements[index.get()]
    }

    /// The element called `name`, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Element> {
        self.by_name.get(name).map(|index| self.get(*index))
    }

    /// The element called `name`, or an error with the nearest name.
    pub fn element(&self, name: &str) -> Result<&Element, DimensionError> {
        self.find(name).ok_or_else(|| self.unknown(name))
    }

    /// The dimension (not join) called `name`, or an error with the nearest name.
    pub fn dimension(&self, name: &str) -> Result<&Element, DimensionError> {
        self.find(name).filter(|element| element.is_dimension()).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> DimensionError {
        // A join asked for as a dimension is not its own suggestion.
        let stored = || {
            self.elements
                .iter()
                .filter(|element| !matches!(element.kind, ElementKind::SkyPix { .. }) && element.name != name)
                .map(|e| e.name.as_str())
        };
        DimensionError::UnknownName {
            name: name.to_owned(),
            nearest: nearest(name, stored()),
            known: stored().map(str::to_owned).collect(),
        }
    }

    /// The pixelisation that relates all other spatial elements.
    #[must_use]
    pub fn common_skypix(&self) -> &Element {
        self.get(self.common_skypix)
    }

    /// Members of each spatial family, finest first; pixelisations are families of their own.
    #[must_use]
    pub fn spatial_families(&self) -> &IndexMap<String, Vec<ElementIndex>> {
        &self.spatial
    }

    /// Members of each temporal family, finest first.
    #[must_use]
    pub fn temporal_families(&self) -> &IndexMap<String, Vec<ElementIndex>> {
        &self.temporal
    }

    /// The group of these dimensions and all that they require or imply.
    pub fn group<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<DimensionGroup, DimensionError> {
        let mut group = DimensionGroup::EMPTY;
        for name in names {
            group = group.union(DimensionGroup::single(self.dimension(name)?.index));
        }
        Ok(self.conform(group))
    }

    /// `group` with all that its members require or imply.
    #[must_use]
    pub fn conform(&self, group: DimensionGroup) -> DimensionGroup {
        let mut whole = group;
        loop {
            let next = whole.iter().fold(whole, |sum, index| {
                let element = self.get(index);
                sum.union(element.required).union(element.implied)
            });
            if next == whole {
                return whole;
            }
            whole = next;
        }
    }

    /// The dimensions of an element's records: its required and implied dimensions and theirs.
    #[must_use]
    pub fn element_group(&self, element: &Element) -> DimensionGroup {
        self.conform(element.required.union(element.implied))
    }

    /// What there is to know about a conformed group; computed once.
    #[must_use]
    pub fn info(&self, group: DimensionGroup) -> Arc<GroupInfo> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.entry(group).or_insert_with(|| Arc::new(self.compute_info(group))).clone()
    }

    fn compute_info(&self, group: DimensionGroup) -> GroupInfo {
        let implied_by_some = group.iter().fold(DimensionGroup::EMPTY, |sum, index| sum.union(self.get(index).implied));
        let (implied, required): (Vec<_>, Vec<_>) = group.iter().partition(|index| implied_by_some.contains(*index));
        let elements: Vec<ElementIndex> = self
            .elements
            .iter()
            .filter(|element| {
                element.required.is_subset(group) && (!element.is_dimension() || group.contains(element.index))
            })
            .map(|element| element.index)
            .collect();
        let finest = |families: &IndexMap<String, Vec<ElementIndex>>| {
            families
                .values()
                .filter_map(|members| members.iter().find(|member| elements.contains(member)).copied())
                .collect()
        };
        GroupInfo {
            group,
            spatial: finest(&self.spatial),
            temporal: finest(&self.temporal),
            governors: group.iter().filter(|index| self.get(*index).kind == ElementKind::Governor).collect(),
            required,
            implied,
            elements,
        }
    }

    /// Names of the members of a group, in universe order.
    pub fn names(&self, group: DimensionGroup) -> impl Iterator<Item = &str> {
        group.iter().map(|index| self.get(index).name.as_str())
    }
}
