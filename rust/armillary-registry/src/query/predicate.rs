//! Conditions with all names and types known.

use super::region::Shape;
use armillary_dimensions::{ElementIndex, Timespan, Value};
use armillary_expression::{ArithmeticOperator, Comparison};
use std::sync::Arc;

/// What sort of value a column or literal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Int,
    Float,
    Text,
    Bool,
    Hash,
    Uuid,
    Time,
    Timespan,
    Region,
}

impl Sort {
    /// With its article, for messages.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Text => "text",
            Self::Bool => "a truth value",
            Self::Hash => "a hash",
            Self::Uuid => "an id",
            Self::Time => "a time",
            Self::Timespan => "a timespan",
            Self::Region => "a region",
        }
    }

    pub(crate) const fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }
}

/// Something a query can fetch, compare or sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// The value of a dimension.
    Key(ElementIndex),
    /// A plain field of an element's record, by position.
    Field(ElementIndex, usize),
    /// A whole timespan.
    Timespan(Owner),
    /// The begin of a timespan.
    Begin(Owner),
    /// The end of a timespan.
    End(Owner),
    /// The region of an element.
    Region(ElementIndex),
    /// A property of the dataset that a search finds, by the search's position.
    Dataset(usize, DatasetField),
}

/// Whose timespan it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The record's.
    Element(ElementIndex),
    /// The validity range of the dataset that a search finds.
    Search(usize),
}

/// Properties of datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum DatasetField {
    Id,
    Run,
    Collection,
    IngestDate,
}

impl DatasetField {
    /// As it is written in an expression.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Id => "dataset_id",
            Self::Run => "run",
            Self::Collection => "collection",
            Self::IngestDate => "ingest_date",
        }
    }
}

/// Names of the fields of datasets, validity range included.
pub(crate) const DATASET_FIELDS: [&str; 5] = ["dataset_id", "run", "collection", "ingest_date", "timespan"];

impl Reference {
    /// The element whose dimensions must be joined for this.
    pub(crate) const fn element(self) -> Option<ElementIndex> {
        match self {
            Self::Key(element)
            | Self::Field(element, _)
            | Self::Region(element)
            | Self::Timespan(Owner::Element(element))
            | Self::Begin(Owner::Element(element))
            | Self::End(Owner::Element(element)) => Some(element),
            Self::Timespan(Owner::Search(_))
            | Self::Begin(Owner::Search(_))
            | Self::End(Owner::Search(_))
            | Self::Dataset(..) => None,
        }
    }

    /// The search whose dataset this is about.
    pub(crate) const fn search(self) -> Option<usize> {
        match self {
            Self::Dataset(search, _)
            | Self::Timespan(Owner::Search(search))
            | Self::Begin(Owner::Search(search))
            | Self::End(Owner::Search(search)) => Some(search),
            Self::Key(_)
            | Self::Field(..)
            | Self::Region(_)
            | Self::Timespan(Owner::Element(_))
            | Self::Begin(Owner::Element(_))
            | Self::End(Owner::Element(_)) => None,
        }
    }
}

/// A value computed from columns and literals.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Column(Reference),
    /// Numbers, text, truth values, ids, hashes; times as integers.
    Literal(Value),
    Negative(Box<Scalar>),
    /// A truth value as 1 or 0.
    Number(Box<Scalar>),
    Arithmetic(ArithmeticOperator, Box<Scalar>, Box<Scalar>),
}

/// A timespan, or a moment counted as one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TimeTerm {
    Span(Owner),
    /// The bound of a timespan as a moment.
    Moment(Reference),
    Literal(Timespan),
}

/// A region, or a direction counted as one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RegionTerm {
    Column(ElementIndex),
    Literal(Arc<Shape>),
}

/// A condition on one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Test(Test),
}

/// A condition without parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Compare(Comparison, Scalar, Scalar),
    IsNull(Reference),
    In {
        value: Scalar,
        items: Vec<Value>,
        ranges: Vec<(i64, i64, i64)>,
        null: bool,
    },
    /// Whether the values of some columns are, together, one of some rows, each once.
    Rows(RowList),
    Glob(Scalar, String),
    Truth(Reference),
    Times(TimeTerm, TimeTerm),
    Regions(RegionTerm, RegionTerm),
}

/// Rows of values of some columns: integers of one column and texts of another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowList {
    /// The columns, each once, and whether their values are texts.
    pub(crate) columns: Vec<(Reference, bool)>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Predicate {
    /// Calls `visit` with every test.
    pub(crate) fn each_test(&self, visit: &mut dyn FnMut(&Test)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_test(visit)),
            Self::Not(part) => part.each_test(visit),
            Self::Test(test) => visit(test),
        }
    }

    /// Calls `visit` with every reference.
    pub(crate) fn each_reference(&self, visit: &mut dyn FnMut(Reference)) {
        self.each_test(&mut |test| test.each_reference(visit));
    }

    /// Whether some test is about regions.
    pub(crate) fn is_spatial(&self) -> bool {
        let mut spatial = false;
        self.each_test(&mut |test| spatial |= matches!(test, Test::Regions(..)));
        spatial
    }
}

impl Test {
    fn each_reference(&self, visit: &mut dyn FnMut(Reference)) {
        match self {
            Self::Compare(_, left, right) => {
                left.each_reference(visit);
                right.each_reference(visit);
            }
            Self::IsNull(reference) | Self::Truth(reference) => visit(*reference),
            Self::In { value, .. } | Self::Glob(value, _) => value.each_reference(visit),
            Self::Rows(list) => list.columns.iter().for_each(|(column, _)| visit(*column)),
            Self::Times(left, right) => {
                for term in [left, right] {
                    match term {
                        TimeTerm::Span(owner) => visit(Reference::Timespan(*owner)),
                        TimeTerm::Moment(reference) => visit(*reference),
                        TimeTerm::Literal(_) => {}
                    }
                }
            }
            Self::Regions(left, right) => {
                for term in [left, right] {
                    if let RegionTerm::Column(element) = term {
                        visit(Reference::Region(*element));
                    }
                }
            }
        }
    }
}

impl Scalar {
    /// The same as a number where it is a truth value: databases with a type for those compare them with nothing else.
    #[must_use]
    pub(crate) fn into_number(self) -> Self {
        match self {
            Self::Literal(Value::Bool(value)) => Self::Literal(Value::Int(i64::from(value))),
            other => Self::Number(Box::new(other)),
        }
    }

    /// Calls `visit` with every reference.
    pub(crate) fn each_reference(&self, visit: &mut dyn FnMut(Reference)) {
        match self {
            Self::Column(reference) => visit(*reference),
            Self::Literal(_) => {}
            Self::Negative(operand) | Self::Number(operand) => operand.each_reference(visit),
            Self::Arithmetic(_, left, right) => {
                left.each_reference(visit);
                right.each_reference(visit);
            }
        }
    }
}
