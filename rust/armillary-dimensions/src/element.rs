//! Dimension elements: dimensions and the joins between them.

use crate::DimensionGroup;

/// The position of an element in its universe; also its bit in a [`DimensionGroup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElementIndex(pub u8);

impl ElementIndex {
    /// As an index into [`Universe::elements`](crate::Universe::elements).
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// What sort of element this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementKind {
    /// A dimension that names a whole data set of others: `instrument`, `skymap`.
    Governor,
    /// A dimension with records.
    Dimension,
    /// A pixelisation of the sky; its records are computed, not stored.
    SkyPix { system: String, level: u8 },
    /// A relation between dimensions that is not one itself, such as `visit_definition`.
    Join,
}

/// The type of a record field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// 64-bit integer.
    Int,
    /// Double.
    Float,
    /// Boolean.
    Bool,
    /// Text of at most `length` characters.
    String { length: usize },
    /// Bytes, stored as base64.
    Hash { nbytes: usize },
    /// An encoded region of the sky, stored as base64.
    Region,
    /// A timespan, stored as one or two columns.
    Timespan,
}

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldRole {
    /// Part of the key: the value of this required dimension.
    Required(ElementIndex),
    /// The value of this implied dimension.
    Implied(ElementIndex),
    /// Another unique name.
    AlternateKey,
    /// Anything else that was declared.
    Metadata,
    /// The element's region.
    Region,
    /// The element's timespan.
    Timespan,
}

/// One field of an element's records, in the order of the table's columns.
///
/// Fields are equal if they hold the same, whatever is said about them.
#[derive(Clone, Debug, Eq)]
pub struct Field {
    /// The column's name. The element's own key is `id` or `name`; other dimensions have their own names.
    pub name: String,
    /// Its type.
    pub kind: FieldType,
    /// Whether the universe allows it to be unknown.
    pub nullable: bool,
    /// What it is for.
    pub role: FieldRole,
    /// What the universe says about it; may be empty.
    pub doc: String,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that a new member must be thought of here.
        let Self { name, kind, nullable, role, doc: _ } = self;
        (name, kind, nullable, role) == (&other.name, &other.kind, &other.nullable, &other.role)
    }
}

/// A dimension, or a join between dimensions.
///
/// Elements are equal if their data IDs and records are the same, whatever is said about them and wherever a process
/// keeps the records.
#[derive(Clone, Debug, Eq)]
pub struct Element {
    /// Position in the universe.
    pub index: ElementIndex,
    /// Name, unique in the universe.
    pub name: String,
    /// Sort.
    pub kind: ElementKind,
    /// Dimensions whose values make the key, its own included.
    pub required: DimensionGroup,
    /// Dimensions whose values a record of this element determines directly.
    pub implied: DimensionGroup,
    /// Fields of its records, keys first.
    pub fields: Vec<Field>,
    /// The element whose table holds the values, when it has none of its own (`band`: `physical_filter`).
    pub implied_union_target: Option<ElementIndex>,
    /// Whether a query over its dimensions always joins it.
    pub always_join: bool,
    /// The element whose insertion normally also fills this one.
    pub populated_by: Option<ElementIndex>,
    /// Whether its records are few enough to keep in memory.
    pub is_cached: bool,
    /// Name of the spatial family, if it has regions.
    pub spatial: Option<String>,
    /// Name of the temporal family, if it has timespans.
    pub temporal: Option<String>,
    /// What the universe says about it; may be empty.
    pub doc: String,
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            index,
            name,
            kind,
            required,
            implied,
            fields,
            implied_union_target,
            always_join,
            populated_by,
            is_cached: _,
            spatial,
            temporal,
            doc: _,
        } = self;
        (index, name, kind, required, implied)
            == (&other.index, &other.name, &other.kind, &other.required, &other.implied)
            && fields == &other.fields
            && (implied_union_target, always_join) == (&other.implied_union_target, &other.always_join)
            && (populated_by, spatial, temporal) == (&other.populated_by, &other.spatial, &other.temporal)
    }
}

impl Element {
    /// Whether this is a dimension (and not a join).
    #[must_use]
    pub fn is_dimension(&self) -> bool {
        !matches!(self.kind, ElementKind::Join)
    }

    /// Whether its records live in a table of their own.
    #[must_use]
    pub fn has_table(&self) -> bool {
        self.implied_union_target.is_none() && !matches!(self.kind, ElementKind::SkyPix { .. })
    }

    /// Whether a missing record makes a data ID inconsistent.
    #[must_use]
    pub fn defines_relationships(&self) -> bool {
        self.always_join || self.implied != DimensionGroup::EMPTY
    }

    /// The field with this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field that holds this dimension's own value; none for joins.
    #[must_use]
    pub fn own_key(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.role == FieldRole::Required(self.index))
    }
}
