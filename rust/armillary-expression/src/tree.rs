//! The tree an expression becomes.

use crate::Span;

/// A part of an expression and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it was written, operands included.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    pub(crate) depth: u32,
}

impl Node {
    /// A leaf or branch made by hand; `parse` is the usual source of nodes.
    #[must_use]
    pub fn new(kind: Kind, span: Span) -> Self {
        let depth = 1 + kind.children().map(|child| child.depth).max().unwrap_or(0);
        Self { span, kind, depth }
    }

    /// Levels of the tree from here down, 1 for a leaf.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }
}

/// What a node is.
///
/// Chains of `AND` and of `OR` are flat; all other operators have one or two operands.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Any operand holds; two or more.
    Or(Vec<Node>),
    /// All operands hold; two or more.
    And(Vec<Node>),
    /// The operand does not hold.
    Not(Box<Node>),
    /// Two values compared.
    Compare {
        /// How they are compared.
        comparison: Comparison,
        /// The value on the left.
        left: Box<Node>,
        /// The value on the right.
        right: Box<Node>,
    },
    /// A value and the list it must (or must not) be in; the list is not empty.
    In {
        /// The value looked for.
        value: Box<Node>,
        /// Literals, ranges, names, binds and calls.
        items: Vec<Node>,
        /// Whether `NOT IN` was written.
        negated: bool,
    },
    /// Arithmetic on two values.
    Arithmetic {
        /// What is done.
        operator: ArithmeticOperator,
        /// The value on the left.
        left: Box<Node>,
        /// The value on the right.
        right: Box<Node>,
    },
    /// A value with a sign before it.
    Signed {
        /// The sign.
        sign: Sign,
        /// The value.
        operand: Box<Node>,
    },
    /// `(begin, end)`, a range of times.
    TimeRange(Box<Node>, Box<Node>),
    /// `name(arguments)`; the name as written.
    Call {
        /// The function's name as written.
        function: String,
        /// Where the name was written.
        name_span: Span,
        /// Its arguments.
        arguments: Vec<Node>,
    },
    /// One to three names joined by dots.
    Name(Vec<String>),
    /// `:name`, without the colon.
    Bind(String),
    /// A whole number.
    Integer(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// Text between single quotes.
    Text(String),
    /// The text of `T'...'`; `time::parse_time` understands it.
    Time(String),
    /// `start..stop:stride`, both ends included; only ever an item of `In`.
    Range {
        /// First value.
        start: i64,
        /// Last value allowed, not below `start`.
        stop: i64,
        /// Step, at least 1.
        stride: i64,
    },
    /// The word `NULL`.
    Null,
}

impl Kind {
    /// The nodes directly below.
    #[must_use]
    pub fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match self {
            Self::Or(terms) | Self::And(terms) => Box::new(terms.iter()),
            Self::Not(operand) | Self::Signed { operand, .. } => Box::new(std::iter::once(&**operand)),
            Self::Compare { left, right, .. } | Self::Arithmetic { left, right, .. } | Self::TimeRange(left, right) => {
                Box::new([&**left, &**right].into_iter())
            }
            Self::In { value, items, .. } => Box::new(std::iter::once(&**value).chain(items)),
            Self::Call { arguments, .. } => Box::new(arguments.iter()),
            Self::Name(_)
            | Self::Bind(_)
            | Self::Integer(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Time(_)
            | Self::Range { .. }
            | Self::Null => Box::new(std::iter::empty()),
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `OVERLAPS`, for regions and timespans.
    Overlaps,
}

impl Comparison {
    /// How it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Overlaps => "OVERLAPS",
        }
    }
}

/// Arithmetic between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOperator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`, true division.
    Divide,
    /// `%`
    Modulo,
}

impl ArithmeticOperator {
    /// How it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

/// A sign before a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}
