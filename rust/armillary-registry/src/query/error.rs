//! Why a query cannot be answered.

use armillary_expression::{ExpressionError, Span, caret, shortened, shortened_to};
use std::{borrow::Cow, fmt};

/// Why a query cannot be answered, and where in its text the trouble is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// What is wrong.
    pub problem: Box<QueryProblem>,
    /// The text and the part of it that is meant.
    pub place: Option<(String, Span)>,
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryProblem {
    /// The text is not an expression.
    Syntax(ExpressionError),
    /// Nothing has this name; `alone` where it may be meant as a text or as the name of a value.
    UnknownName { name: String, nearest: Option<String>, alone: bool },
    /// The element or dataset type has no such field.
    UnknownField { owner: String, field: String, nearest: Option<String>, known: Vec<String> },
    /// An unqualified name that several things have.
    AmbiguousName { name: String, matches: Vec<String> },
    /// A value where a condition should be.
    NotACondition { found: String },
    /// A condition or another thing where a value should be.
    NotAValue { found: String },
    /// Values that cannot be compared or combined.
    WrongTypes { operator: String, left: String, right: String, hint: Option<&'static str> },
    /// A day compared with what looks like a day, and is a difference, a text or a time.
    NotADay { name: String, written: String, meant: String, is: String },
    /// A `:name` without a value.
    UnknownBind { name: String, nearest: Option<String> },
    /// A dimension cannot have this value.
    BadKey { dimension: String, value: String, wanted: &'static str },
    /// A bare name that could be the dimension or the bound value of the same name.
    ShadowedBind { name: String },
    /// No function is called so.
    UnknownFunction { name: String, nearest: Option<String> },
    /// A function got arguments it cannot use.
    BadArguments { function: String, reason: String },
    /// A dataset type that the query does not search for.
    NotJoined { dataset_type: String, joined: Vec<String> },
    /// A key was given without the governor that it belongs to.
    NoGovernor { governor: String, dimension: String, known: Vec<String> },
    /// Two regions (or timespans) that a query relates anyway.
    NeedlessJoin { left: String, right: String },
    /// More unrelated sets of regions than can be joined without being told how.
    Disconnected { families: Vec<String> },
    /// A sort column that cannot be sorted by, or is not part of the answer.
    BadOrder { term: String, reason: String },
    /// A pattern where an order of collections is needed.
    Unordered { pattern: String },
    /// Something that has a meaning but cannot be done.
    Unsupported { what: String },
    /// Several calibrations of one data ID are valid.
    AmbiguousCalibration { dataset_type: String, data_id: String, collection: String },
}

impl QueryError {
    pub(crate) fn new(problem: QueryProblem) -> Self {
        Self { problem: Box::new(problem), place: None }
    }

    pub(crate) fn at(problem: QueryProblem, text: &str, span: Span) -> Self {
        Self { problem: Box::new(problem), place: Some((text.to_owned(), span)) }
    }

    /// Whether text that should be a name is none that is known.
    pub(crate) fn is_about_a_name(&self) -> bool {
        matches!(
            *self.problem,
            QueryProblem::UnknownName { .. } | QueryProblem::Syntax(_) | QueryProblem::BadOrder { .. }
        )
    }

    pub(crate) fn syntax(error: ExpressionError, text: &str) -> Self {
        let span = error.span();
        Self::at(QueryProblem::Syntax(error), text, span)
    }
}

impl From<QueryProblem> for QueryError {
    fn from(problem: QueryProblem) -> Self {
        Self::new(problem)
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problem)?;
        self.place.iter().try_for_each(|(text, span)| write!(f, "\n{}", caret(text, *span)))
    }
}

impl std::error::Error for QueryError {}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A part of a sentence that may repeat what the caller gave.
fn phrase(text: &str) -> Cow<'_, str> {
    shortened_to(text, 400)
}

fn did_you_mean(f: &mut fmt::Formatter<'_>, nearest: Option<&String>) -> fmt::Result {
    nearest.into_iter().try_for_each(|near| write!(f, "; did you mean `{near}`?"))
}

impl fmt::Display for QueryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "{error}"),
            Self::UnknownName { name, nearest, alone } => {
                let shown = shortened(name);
                write!(f, "no dimension or field is called `{shown}`")?;
                if nearest.is_none() && *alone {
                    return write!(
                        f,
                        "; a text needs quotes, `'{shown}'`, and a value given by `bind` a colon, `:{shown}`"
                    );
                }
                did_you_mean(f, nearest.as_ref())
            }
            Self::UnknownField { owner, field, nearest, known } => {
                write!(f, "`{owner}` has no field `{}`", shortened(field))?;
                match nearest {
                    Some(near) => write!(f, "; did you mean `{owner}.{near}`?"),
                    None => write!(f, "; it has {}", quoted(known)),
                }
            }
            Self::AmbiguousName { name, matches } => {
                write!(f, "`{name}` could be any of {}; write one of them", quoted(matches))
            }
            Self::NotACondition { found } => {
                write!(f, "{} is no condition; compare it with something", phrase(found))
            }
            Self::NotAValue { found } => write!(f, "{} cannot be used as a value here", phrase(found)),
            Self::WrongTypes { operator, left, right, hint } => {
                write!(f, "`{operator}` does not go between {} and {}", phrase(left), phrase(right))?;
                hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
            }
            Self::NotADay { name, written, meant, is } => {
                write!(f, "`{written}` is {is}, and `{name}` is compared with a number: write `{meant}`")
            }
            Self::UnknownBind { name, nearest } => {
                write!(f, "no value was bound to `:{}`", shortened(name))?;
                did_you_mean(f, nearest.as_ref())
            }
            Self::BadKey { dimension, value, wanted } => {
                let value = shortened(value);
                write!(f, "`{value}` cannot be a value of dimension `{dimension}`, which takes {wanted}")
            }
            Self::ShadowedBind { name } => {
                write!(f, "`{name}` is a dimension and also a bound value; write `:{name}` where the value is meant")
            }
            Self::UnknownFunction { name, nearest } => {
                write!(f, "no function is called `{}`", shortened(name))?;
                did_you_mean(f, nearest.as_ref())
            }
            Self::BadArguments { function, reason } => {
                write!(f, "`{}` cannot use its arguments: {}", shortened(function), phrase(reason))
            }
            Self::NotJoined { dataset_type, joined } if joined.is_empty() => {
                write!(f, "dataset type `{dataset_type}` is not part of the query, which searches for no datasets")
            }
            Self::NotJoined { dataset_type, joined } => {
                write!(
                    f,
                    "dataset type `{dataset_type}` is not part of the query, which searches for {}",
                    quoted(joined)
                )
            }
            Self::NoGovernor { governor, dimension, known } => {
                write!(f, "`{dimension}` means nothing without `{governor}`; add `{governor} = '...'`")?;
                if known.is_empty() { Ok(()) } else { write!(f, " (known: {})", quoted(known)) }
            }
            Self::NeedlessJoin { left, right } => {
                write!(f, "`{left}` and `{right}` are related already, so they need no `OVERLAPS`")
            }
            Self::Disconnected { families } => write!(
                f,
                "the query has {} unrelated sets of regions ({}); say with `OVERLAPS` which of them must overlap",
                families.len(),
                quoted(families)
            ),
            Self::BadOrder { term, reason } => write!(f, "cannot sort by `{}`: {}", shortened(term), phrase(reason)),
            Self::Unordered { pattern } => write!(
                f,
                "the pattern `{pattern}` gives collections no order, so none comes first; \
                 name the collections or use `find_first=False`"
            ),
            Self::Unsupported { what } => write!(f, "{what} is not supported"),
            Self::AmbiguousCalibration { dataset_type, data_id, collection } => write!(
                f,
                "several `{dataset_type}` datasets for {data_id} are valid in `{collection}`; \
                 add a time, such as an `exposure` or `{dataset_type}.timespan OVERLAPS T'...'`, or use `find_first=False`"
            ),
        }
    }
}
