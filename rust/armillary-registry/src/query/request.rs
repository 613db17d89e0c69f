//! What a query asks for.

use armillary_dimensions::{DimensionGroup, ElementIndex, Value};
use indexmap::IndexMap;
use std::sync::Arc;

/// A whole query: one crossing from Python, one answer.
///
/// ```
/// # use armillary_dimensions::Universe;
/// # use armillary_registry::query::{QueryRequest, ResultKind};
/// let universe = Universe::default_universe();
/// let visits = universe.group(["visit"])?;
/// let request = QueryRequest::new(ResultKind::DataIds(visits)).filtered("band = 'i'").limited(10);
/// assert_eq!(request.limit, Some(10));
/// # Ok::<(), armillary_dimensions::DimensionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// What one row of the answer is.
    pub result: ResultKind,
    /// Dimensions to join besides those the answer and the conditions need.
    pub dimensions: DimensionGroup,
    /// Values that dimensions must have, by name.
    pub data_id: Vec<(String, Value)>,
    /// Values of governors that hold where nothing else says.
    pub defaults: Vec<(String, Value)>,
    /// Conditions, all of which must hold.
    pub clauses: Vec<Clause>,
    /// Dataset types whose datasets must exist for a row.
    pub joins: Vec<DatasetSearch>,
    /// Tables of data IDs of which a row must match one.
    pub uploads: Vec<Upload>,
    /// Columns to sort by, first the most important, each with `-` before it to sort downwards.
    pub order_by: Vec<String>,
    /// Rows to give at most.
    pub limit: Option<usize>,
    /// Rows to leave out first.
    pub offset: usize,
    /// Whether the records of all elements come with the data IDs.
    pub with_records: bool,
}

impl QueryRequest {
    /// A request without conditions.
    #[must_use]
    pub fn new(result: ResultKind) -> Self {
        Self {
            result,
            dimensions: DimensionGroup::EMPTY,
            data_id: Vec::new(),
            defaults: Vec::new(),
            clauses: Vec::new(),
            joins: Vec::new(),
            uploads: Vec::new(),
            order_by: Vec::new(),
            limit: None,
            offset: 0,
            with_records: false,
        }
    }

    /// With another condition that must hold, without binds.
    #[must_use]
    pub fn filtered(mut self, text: &str) -> Self {
        self.clauses.push(Clause { text: text.to_owned(), binds: IndexMap::new(), then: None });
        self
    }

    /// With a value that a dimension must have.
    #[must_use]
    pub fn constrained(mut self, dimension: &str, value: impl Into<Value>) -> Self {
        self.data_id.push((dimension.to_owned(), value.into()));
        self
    }

    /// With a dataset that must exist for a row.
    #[must_use]
    pub fn joined(mut self, search: DatasetSearch) -> Self {
        self.joins.push(search);
        self
    }

    /// With at most `limit` rows.
    #[must_use]
    pub fn limited(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sorted by `column`, in addition to the earlier ones.
    #[must_use]
    pub fn ordered(mut self, column: &str) -> Self {
        self.order_by.push(column.to_owned());
        self
    }
}

/// What one row of an answer is.
#[derive(Clone, Debug)]
pub enum ResultKind {
    /// A data ID of these dimensions.
    DataIds(DimensionGroup),
    /// A dataset.
    Datasets {
        /// The type and where to look.
        search: DatasetSearch,
        /// Whether only the first collection that has a data ID counts.
        find_first: bool,
    },
    /// A record of this element.
    Records(ElementIndex),
    /// A data ID with chosen columns beside it.
    General {
        /// The dimensions of the data ID.
        dimensions: DimensionGroup,
        /// The columns, as in an expression: `visit.exposure_time`, `calexp.run`, `bias.timespan`.
        columns: Vec<String>,
        /// The joined dataset type of which only the first collection with a data ID counts.
        find_first: Option<String>,
    },
}

/// A dataset type and the collections to look in, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSearch {
    /// Name of the dataset type.
    pub dataset_type: String,
    /// Names of collections, or patterns with `*`, `?` and `[...]`.
    pub collections: Vec<String>,
}

impl DatasetSearch {
    /// A search for `dataset_type` in `collections`.
    pub fn new<'a>(dataset_type: &str, collections: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            dataset_type: dataset_type.to_owned(),
            collections: collections.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// A condition and the values its `:names` stand for.
#[derive(Clone, Debug)]
pub struct Clause {
    /// The text of the expression.
    pub text: String,
    /// Values by name.
    pub binds: IndexMap<String, Bind>,
    /// What the query had when the condition was added, if it is built step by step.
    pub then: Option<Then>,
}

/// What a query had at one of the steps that build it: what a name can only mean there is what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Then {
    /// The dimensions of its results.
    pub dimensions: DimensionGroup,
    /// The dataset types that were joined.
    pub joins: Vec<String>,
}

/// The value of a `:name`.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    /// A plain value; a timespan counts as a range of time.
    Value(Value),
    /// A moment, in nanoseconds TAI.
    Time(i64),
    /// An encoded region.
    Region(Arc<[u8]>),
    /// A direction: longitude and latitude in degrees.
    Point(f64, f64),
    /// Several values, for the list of `IN`.
    List(Vec<Bind>),
    /// The integers from `start` to `stop`, which is one of them, each `stride` (1 or more) after the one before.
    Range {
        /// The first.
        start: i64,
        /// The last, not below the first.
        stop: i64,
        /// The step.
        stride: i64,
    },
}

/// Data IDs given by the caller.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The dimensions of the columns, in the order of each row.
    pub dimensions: Vec<ElementIndex>,
    /// The values, row by row.
    pub rows: Vec<Vec<Value>>,
}

impl Upload {
    /// The dimensions of the columns as a group.
    #[must_use]
    pub fn group(&self) -> DimensionGroup {
        self.dimensions.iter().fold(DimensionGroup::EMPTY, |group, index| group.union(DimensionGroup::single(*index)))
    }
}
