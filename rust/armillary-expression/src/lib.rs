//! The where language: text to a tree with spans.
//!
//! Nothing here knows a dimension, a dataset type or a database; names stay text until the
//! registry resolves them, and every part of the tree remembers where it was written.
//!
//! ```
//! use armillary_expression::{Kind, caret, parse};
//!
//! let tree = parse("visit > 100 AND band = 'i'")?.expect("the text is not empty");
//! assert!(matches!(&tree.kind, Kind::And(terms) if terms.len() == 2));
//!
//! let text = "visit == 100";
//! let error = parse(text).unwrap_err();
//! assert_eq!(error.to_string(), "found `==` where an operator was expected; equality is written `=`");
//! assert_eq!(caret(text, error.span()), "  visit == 100\n        ^^");
//! # Ok::<(), armillary_expression::ExpressionError>(())
//! ```

mod error;
mod lexer;
mod parser;
mod span;
pub mod time;
mod tree;

pub use error::ExpressionError;
pub use parser::{MAXIMUM_DEPTH, parse};
pub use span::{Span, caret, shortened, shortened_to};
pub use tree::{ArithmeticOperator, Comparison, Kind, Node, Sign};
