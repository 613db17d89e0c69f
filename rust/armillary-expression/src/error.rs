//! Why a text is not an expression.

use std::fmt::{Display, Formatter, Result};

use crate::{Span, shortened};

/// Why an expression could not be understood; every variant knows where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpressionError {
    /// A token stands where another was wanted.
    Unexpected {
        /// The token as written.
        found: String,
        /// What would have been right.
        wanted: &'static str,
        /// How to write what was probably meant.
        hint: Option<&'static str>,
        /// Where it stands.
        at: Span,
    },
    /// The text stops in the middle.
    UnexpectedEnd {
        /// What would have been right.
        wanted: &'static str,
        /// The end of the text.
        at: Span,
    },
    /// A character no token begins with.
    UnknownCharacter {
        /// The character.
        found: char,
        /// How to write what was probably meant.
        hint: Option<&'static str>,
        /// Where it stands.
        at: Span,
    },
    /// A quote without its partner.
    UnterminatedText {
        /// From the quote to the end of the text.
        at: Span,
    },
    /// A whole number outside 64 bits.
    NumberTooLarge {
        /// The number as written.
        found: String,
        /// Where it stands.
        at: Span,
    },
    /// A name of more than three parts.
    NameTooLong {
        /// The name as written.
        found: String,
        /// Where it stands.
        at: Span,
    },
    /// A range that ends before it starts.
    RangeBackwards {
        /// Its first value.
        start: i64,
        /// Its last value.
        stop: i64,
        /// Where it stands.
        at: Span,
    },
    /// A range whose stride is below one.
    RangeStride {
        /// The stride as written.
        found: String,
        /// Where it stands.
        at: Span,
    },
    /// More levels of brackets and operators than `MAXIMUM_DEPTH`.
    TooDeep {
        /// Where the limit was reached.
        at: Span,
    },
    /// The text of a time literal is no time.
    BadTime {
        /// The text between the quotes.
        found: String,
        /// Why not, and what would do.
        reason: String,
        /// Where the literal stands.
        at: Span,
    },
}

impl ExpressionError {
    /// Where the trouble is.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Unexpected { at, .. }
            | Self::UnexpectedEnd { at, .. }
            | Self::UnknownCharacter { at, .. }
            | Self::UnterminatedText { at }
            | Self::NumberTooLarge { at, .. }
            | Self::NameTooLong { at, .. }
            | Self::RangeBackwards { at, .. }
            | Self::RangeStride { at, .. }
            | Self::TooDeep { at }
            | Self::BadTime { at, .. } => *at,
        }
    }
}

impl Display for ExpressionError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Unexpected { found, wanted, hint, .. } => {
                write!(f, "found `{}` where {wanted} was expected", shortened(found))?;
                hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
            }
            Self::UnexpectedEnd { wanted, .. } => write!(f, "the expression ends where {wanted} was expected"),
            Self::UnknownCharacter { found, hint, .. } => {
                write!(f, "the character `{found}` has no meaning here")?;
                hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
            }
            Self::UnterminatedText { .. } => write!(f, "text begins with a quote `'` that is never closed"),
            Self::NumberTooLarge { found, .. } => {
                write!(f, "the number `{}` does not fit in 64 bits", shortened(found))
            }
            Self::NameTooLong { found, .. } => write!(f, "`{}` has more than three parts", shortened(found)),
            Self::RangeBackwards { start, stop, .. } => {
                write!(f, "the range `{start}..{stop}` ends before it starts; did you mean `{stop}..{start}`?")
            }
            Self::RangeStride { found, .. } => {
                write!(f, "the stride `{}` of a range must be 1 or more", shortened(found))
            }
            Self::TooDeep { .. } => {
                write!(f, "the expression is nested more than {} levels deep", crate::MAXIMUM_DEPTH)
            }
            Self::BadTime { found, reason, .. } => write!(f, "`{}` is no time: {}", shortened(found), reason),
        }
    }
}

impl std::error::Error for ExpressionError {}
