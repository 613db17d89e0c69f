//! What can be wrong with dimensions and data IDs.

use std::fmt;

/// Why a universe, a group or a data ID could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DimensionError {
    /// No element of the universe has this name.
    UnknownName { name: String, nearest: Option<String>, known: Vec<String> },
    /// The data ID lacks a required key.
    MissingKey { name: String, wanted: Vec<String>, given: String },
    /// A value cannot serve as the key of its dimension.
    WrongType { name: String, value: String, wanted: &'static str },
    /// Two values were given for one dimension.
    Conflict { name: String, first: String, second: String },
    /// The dimension document is not one we can build a universe from.
    BadDocument { reason: String },
}

impl fmt::Display for DimensionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName { name, nearest, known } => {
                write!(f, "no dimension is called `{name}`")?;
                match nearest {
                    Some(near) => write!(f, "; did you mean `{near}`?"),
                    None => write!(f, "; known are {}", known.join(", ")),
                }
            }
            Self::MissingKey { name, wanted, given } => {
                write!(f, "the data ID {given} lacks `{name}`; its dimensions need {}", wanted.join(", "))
            }
            Self::WrongType { name, value, wanted } => {
                write!(f, "`{value}` cannot be a value of dimension `{name}`, which takes {wanted}")
            }
            Self::Conflict { name, first, second } => {
                write!(f, "dimension `{name}` is given twice, as {first} and as {second}")
            }
            Self::BadDocument { reason } => write!(f, "the dimension document cannot be used: {reason}"),
        }
    }
}

impl std::error::Error for DimensionError {}

/// The known name most like `name`, if any is alike enough to be worth suggesting.
///
/// ```
/// let near = armillary_dimensions::nearest("detectr", ["visit", "detector"]);
/// assert_eq!(near.as_deref(), Some("detector"));
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        // Comparing takes the product of the lengths, and texts of so different length are never alike.
        .filter(|candidate| lower.len() <= 4 * candidate.len() && candidate.len() <= 4 * lower.len())
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate.to_owned())
}
