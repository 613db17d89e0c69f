//! Tokens to a tree, by recursive descent over the levels of precedence:
//! `OR`, `AND`, `NOT`, comparison and `IN`, `+ -`, `* / %`, signs.

use crate::lexer::{Lexer, Token};
use crate::{ArithmeticOperator, Comparison, ExpressionError, Kind, Node, Sign, Span};

/// Levels of brackets and operators an expression may have.
///
/// Deeper text is refused, so that no input can exhaust the stack here or in whoever walks the tree.
pub const MAXIMUM_DEPTH: u32 = 150;

/// Understands `text` as an expression; `None` when it is blank, which means no condition.
///
/// Time literals keep their text; whether they name a time is for [`crate::time::parse_time`].
///
/// ```
/// use armillary_expression::{ExpressionError, parse};
///
/// assert!(parse("  ")?.is_none());
/// assert!(parse("detector IN (1..5, 9) AND NOT exposure.can_see_sky")?.is_some());
/// assert!(matches!(parse("detector IN ()"), Err(ExpressionError::Unexpected { .. })));
/// # Ok::<(), ExpressionError>(())
/// ```
pub fn parse(text: &str) -> Result<Option<Node>, ExpressionError> {
    let mut parser = Parser::new(text)?;
    if parser.token == Token::End {
        return Ok(None);
    }
    let tree = parser.or()?;
    match parser.token {
        Token::End => Ok(Some(tree)),
        _ => Err(parser.unexpected("an operator")),
    }
}

struct Parser<'text> {
    text: &'text str,
    lexer: Lexer<'text>,
    token: Token<'text>,
    span: Span,
    /// Brackets and prefix operators open around the current token.
    open: u32,
}

type Parsed = Result<Node, ExpressionError>;

impl<'text> Parser<'text> {
    fn new(text: &'text str) -> Result<Self, ExpressionError> {
        let mut lexer = Lexer::new(text);
        let (token, span) = lexer.next()?;
        Ok(Self { text, lexer, token, span, open: 0 })
    }

    /// Steps to the next token and returns the span of the one left behind.
    fn advance(&mut self) -> Result<Span, ExpressionError> {
        let left = self.span;
        (self.token, self.span) = self.lexer.next()?;
        Ok(left)
    }

    fn expect(&mut self, token: &Token<'_>, wanted: &'static str) -> Result<Span, ExpressionError> {
        if self.token == *token { self.advance() } else { Err(self.unexpected(wanted)) }
    }

    /// Runs `inner` one level deeper.
    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.open >= MAXIMUM_DEPTH {
            return Err(ExpressionError::TooDeep { at: self.span });
        }
        self.open += 1;
        let result = inner(self);
        self.open -= 1;
        result
    }

    fn node(kind: Kind, span: Span) -> Parsed {
        let node = Node::new(kind, span);
        if node.depth > MAXIMUM_DEPTH { Err(ExpressionError::TooDeep { at: span }) } else { Ok(node) }
    }

    fn or(&mut self) -> Parsed {
        let first = self.and()?;
        self.chain(first, &Token::Or, Self::and, Kind::Or)
    }

    fn and(&mut self) -> Parsed {
        let first = self.not()?;
        self.chain(first, &Token::And, Self::not, Kind::And)
    }

    fn chain(
        &mut self,
        first: Node,
        separator: &Token<'_>,
        operand: fn(&mut Self) -> Parsed,
        kind: fn(Vec<Node>) -> Kind,
    ) -> Parsed {
        if self.token != *separator {
            return Ok(first);
        }
        let mut span = first.span;
        let mut terms = vec![first];
        while self.token == *separator {
            self.advance()?;
            let term = operand(self)?;
            span = span.to(term.span);
            terms.push(term);
        }
        Self::node(kind(terms), span)
    }

    fn not(&mut self) -> Parsed {
        if self.token != Token::Not {
            return self.comparison();
        }
        let start = self.advance()?;
        let operand = self.nested(Self::not)?;
        let span = start.to(operand.span);
        Self::node(Kind::Not(Box::new(operand)), span)
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.membership()?;
        let Some(comparison) = self.comparison_operator() else {
            return Ok(left);
        };
        let operator = self.advance()?;
        if let Some(hint) = self.doubled_operator(operator) {
            return Err(hint);
        }
        let right = self.membership()?;
        if self.comparison_operator().is_some() {
            return Err(self.unexpected_with("`AND` or `OR`", Some("comparisons cannot be chained")));
        }
        let span = left.span.to(right.span);
        Self::node(Kind::Compare { comparison, left: Box::new(left), right: Box::new(right) }, span)
    }

    const fn comparison_operator(&self) -> Option<Comparison> {
        Some(match self.token {
            Token::Equal => Comparison::Equal,
            Token::NotEqual => Comparison::NotEqual,
            Token::Less => Comparison::Less,
            Token::LessEqual => Comparison::LessEqual,
            Token::Greater => Comparison::Greater,
            Token::GreaterEqual => Comparison::GreaterEqual,
            Token::Overlaps => Comparison::Overlaps,
            _ => return None,
        })
    }

    /// `==`, `<>` and `=>`, habits from other languages.
    fn doubled_operator(&self, first: Span) -> Option<ExpressionError> {
        let at = first.to(self.span);
        let found = at.of(self.text);
        let hint = match found {
            "==" => "equality is written `=`",
            "<>" => "inequality is written `!=`",
            "=>" => "at least is written `>=`",
            "=<" => "at most is written `<=`",
            _ => return None,
        };
        Some(ExpressionError::Unexpected { found: found.to_owned(), wanted: "an operator", hint: Some(hint), at })
    }

    fn membership(&mut self) -> Parsed {
        let value = self.sum()?;
        let negated = self.token == Token::Not;
        if negated {
            self.advance()?;
            if self.token != Token::In {
                return Err(self.unexpected("`IN`"));
            }
        } else if self.token != Token::In {
            return Ok(value);
        }
        self.advance()?;
        if self.token != Token::Open {
            return Err(self.unexpected_with("`(`", Some("the list after `IN` stands between `(` and `)`")));
        }
        self.advance()?;
        let mut items = vec![self.item()?];
        while self.token == Token::Comma {
            self.advance()?;
            items.push(self.item()?);
        }
        let end = self.expect(&Token::Close, "`,` or `)`")?;
        let span = value.span.to(end);
        Self::node(Kind::In { value: Box::new(value), items, negated }, span)
    }

    fn item(&mut self) -> Parsed {
        const WANTED: &str = "a literal, a range, a name, a bind or a function";
        match self.token {
            Token::Integer(_) | Token::Plus | Token::Minus => self.number_or_range(),
            Token::Name(name) if name.contains('.') => {
                Err(self.unexpected_with(WANTED, Some("a list holds values, not columns")))
            }
            Token::Float(_) | Token::Text(_) | Token::Time(_) | Token::Name(_) | Token::Bind(_) => self.primary(),
            _ => Err(self.unexpected(WANTED)),
        }
    }

    /// An item that begins with a sign or a digit.
    fn number_or_range(&mut self) -> Parsed {
        let start_span = self.span;
        let sign = match self.token {
            Token::Minus => Some(Sign::Minus),
            Token::Plus => Some(Sign::Plus),
            _ => None,
        };
        if sign.is_some() {
            self.advance()?;
        }
        if matches!(self.token, Token::Float(_)) {
            let operand = self.primary()?;
            let span = start_span.to(operand.span);
            let sign = sign.unwrap_or(Sign::Plus);
            return Self::node(Kind::Signed { sign, operand: Box::new(operand) }, span);
        }
        let start = self.whole_number(sign == Some(Sign::Minus))?;
        let mut span = start_span.to(self.advance()?);
        if self.token != Token::DotDot {
            return Self::node(Kind::Integer(start), span);
        }
        self.advance()?;
        let negative = self.token == Token::Minus;
        if negative {
            self.advance()?;
        }
        let stop = self.whole_number(negative)?;
        span = span.to(self.advance()?);
        let mut stride = 1;
        if self.token == Token::Colon {
            self.advance()?;
            if self.token == Token::Minus {
                return Err(ExpressionError::RangeStride { found: "-".to_owned(), at: self.span });
            }
            stride = self.whole_number(false)?;
            if stride < 1 {
                return Err(ExpressionError::RangeStride { found: self.found(), at: self.span });
            }
            span = span.to(self.advance()?);
        }
        if stop < start {
            return Err(ExpressionError::RangeBackwards { start, stop, at: span });
        }
        Self::node(Kind::Range { start, stop, stride }, span)
    }

    /// The whole number under the current token, which stays current.
    fn whole_number(&self, negative: bool) -> Result<i64, ExpressionError> {
        let Token::Integer(digits) = self.token else {
            return Err(self.unexpected("a whole number"));
        };
        let too_large = || ExpressionError::NumberTooLarge { found: digits.to_owned(), at: self.span };
        let value: i128 = digits.parse().map_err(|_| too_large())?;
        i64::try_from(if negative { -value } else { value }).map_err(|_| too_large())
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let operator = match self.token {
                Token::Plus => ArithmeticOperator::Add,
                Token::Minus => ArithmeticOperator::Subtract,
                _ => return Ok(left),
            };
            left = self.arithmetic(operator, left, Self::product)?;
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.signed()?;
        loop {
            let operator = match self.token {
                Token::Star => ArithmeticOperator::Multiply,
                Token::Slash => ArithmeticOperator::Divide,
                Token::Percent => ArithmeticOperator::Modulo,
                _ => return Ok(left),
            };
            left = self.arithmetic(operator, left, Self::signed)?;
        }
    }

    fn arithmetic(&mut self, operator: ArithmeticOperator, left: Node, operand: fn(&mut Self) -> Parsed) -> Parsed {
        self.advance()?;
        let right = operand(self)?;
        let span = left.span.to(right.span);
        Self::node(Kind::Arithmetic { operator, left: Box::new(left), right: Box::new(right) }, span)
    }

    fn signed(&mut self) -> Parsed {
        let sign = match self.token {
            Token::Plus => Sign::Plus,
            Token::Minus => Sign::Minus,
            _ => return self.primary(),
        };
        let start = self.advance()?;
        // The most negative whole number has no positive twin, so the sign belongs to the digits.
        if sign == Sign::Minus && matches!(self.token, Token::Integer(_)) {
            let value = self.whole_number(true)?;
            let span = start.to(self.advance()?);
            return self.no_range(Self::node(Kind::Integer(value), span)?);
        }
        let operand = self.nested(Self::signed)?;
        let span = start.to(operand.span);
        Self::node(Kind::Signed { sign, operand: Box::new(operand) }, span)
    }

    fn primary(&mut self) -> Parsed {
        let kind = match self.token {
            Token::Integer(_) => Kind::Integer(self.whole_number(false)?),
            Token::Float(written) => {
                let value: f64 = written.parse().unwrap_or(f64::INFINITY);
                if !value.is_finite() {
                    return Err(ExpressionError::NumberTooLarge { found: written.to_owned(), at: self.span });
                }
                Kind::Float(value)
            }
            Token::Text(text) => Kind::Text(text.to_owned()),
            Token::Time(text) => Kind::Time(text.to_owned()),
            Token::Bind(name) => Kind::Bind(name.to_owned()),
            Token::Name(name) => return self.name_or_call(name),
            Token::Open => return self.nested(Self::bracketed),
            _ => return Err(self.unexpected("a value, a name or `(`")),
        };
        let span = self.advance()?;
        let node = Self::node(kind, span)?;
        self.no_range(node)
    }

    /// Refuses `1..3` outside a list, with a hint where a bare "found `..`" would puzzle.
    fn no_range(&self, node: Node) -> Parsed {
        if self.token == Token::DotDot {
            return Err(self.unexpected_with("an operator", Some("a range stands in a list: `x IN (1..3)`")));
        }
        Ok(node)
    }

    fn name_or_call(&mut self, name: &'text str) -> Parsed {
        let name_span = self.advance()?;
        if self.token != Token::Open || name.contains('.') {
            let kind = if name.eq_ignore_ascii_case("null") {
                Kind::Null
            } else {
                Kind::Name(name.split('.').map(str::to_owned).collect())
            };
            return Self::node(kind, name_span);
        }
        self.nested(|parser| {
            parser.advance()?;
            let mut arguments = Vec::new();
            if parser.token != Token::Close {
                arguments.push(parser.or()?);
                while parser.token == Token::Comma {
                    parser.advance()?;
                    arguments.push(parser.or()?);
                }
            }
            let end = parser.expect(&Token::Close, "`,` or `)`")?;
            let function = name.to_owned();
            Self::node(Kind::Call { function, name_span, arguments }, name_span.to(end))
        })
    }

    fn bracketed(&mut self) -> Parsed {
        let start = self.advance()?;
        let mut inner = self.or()?;
        if self.token == Token::Comma {
            self.advance()?;
            let end = self.or()?;
            let close = self.expect(&Token::Close, "`)`")?;
            return Self::node(Kind::TimeRange(Box::new(inner), Box::new(end)), start.to(close));
        }
        let close = self.expect(&Token::Close, "`)`")?;
        inner.span = start.to(close);
        Ok(inner)
    }

    fn found(&self) -> String {
        self.span.of(self.text).to_owned()
    }

    fn unexpected(&self, wanted: &'static str) -> ExpressionError {
        self.unexpected_with(wanted, None)
    }

    fn unexpected_with(&self, wanted: &'static str, hint: Option<&'static str>) -> ExpressionError {
        if self.token == Token::End {
            return ExpressionError::UnexpectedEnd { wanted, at: self.span };
        }
        let hint = hint.or(match &self.token {
            Token::Name(name) => word_hint(name),
            Token::Equal => Some("equality is written `=`").filter(|_| self.span.start > 0),
            Token::Text(_) if self.text[..self.span.start].ends_with('\'') => {
                Some("text cannot hold a quote; use a bind")
            }
            _ => None,
        });
        ExpressionError::Unexpected { found: self.found(), wanted, hint, at: self.span }
    }
}

/// How to write what words of SQL would mean.
fn word_hint(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "is" => "a missing value is tested with `= NULL` or `!= NULL`",
        "between" => "write `x IN (1..5)` or `x >= 1 AND x <= 5`",
        "like" => "write `GLOB(column, 'A*')`",
        _ => return None,
    })
}
