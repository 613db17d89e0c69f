//! Text to tokens.

use crate::{ExpressionError, Span};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'text> {
    Or,
    And,
    Not,
    In,
    Overlaps,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Open,
    Close,
    Comma,
    DotDot,
    Colon,
    /// A name with its dots.
    Name(&'text str),
    Bind(&'text str),
    /// Digits only.
    Integer(&'text str),
    /// Digits with a point or an exponent.
    Float(&'text str),
    Text(&'text str),
    Time(&'text str),
    End,
}

/// Cuts the next token off a text; the position only moves forward.
#[derive(Clone)]
pub(crate) struct Lexer<'text> {
    text: &'text str,
    position: usize,
}

impl<'text> Lexer<'text> {
    pub(crate) const fn new(text: &'text str) -> Self {
        Self { text, position: 0 }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.position + ahead).copied().unwrap_or(0)
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.position < self.text.len() && wanted(self.peek(0)) {
            self.position += 1;
        }
    }

    pub(crate) fn next(&mut self) -> Result<(Token<'text>, Span), ExpressionError> {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
        let start = self.position;
        if start >= self.text.len() {
            return Ok((Token::End, Span::new(start, start)));
        }
        let token = match self.peek(0) {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(start)?,
            b'0'..=b'9' => self.number(start),
            b'.' if self.peek(1).is_ascii_digit() => self.number(start),
            b'\'' => Token::Text(self.quoted(start)?),
            b':' if is_name_start(self.peek(1)) => self.bind(start),
            _ => self.symbol(start)?,
        };
        Ok((token, Span::new(start, self.position)))
    }

    fn word(&mut self, start: usize) -> Result<Token<'text>, ExpressionError> {
        if matches!(self.peek(0), b't' | b'T') && self.peek(1) == b'\'' {
            self.position += 1;
            return Ok(Token::Time(self.quoted(start)?));
        }
        let mut parts = 1;
        self.take_while(is_name_part);
        while self.peek(0) == b'.' && is_name_start(self.peek(1)) {
            self.position += 1;
            parts += 1;
            self.take_while(is_name_part);
        }
        let word = &self.text[start..self.position];
        if parts > 3 {
            return Err(ExpressionError::NameTooLong { found: word.to_owned(), at: Span::new(start, self.position) });
        }
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        Ok(match word.len() {
            2 if is("or") => Token::Or,
            3 if is("and") => Token::And,
            3 if is("not") => Token::Not,
            2 if is("in") => Token::In,
            8 if is("overlaps") => Token::Overlaps,
            _ => Token::Name(word),
        })
    }

    fn bind(&mut self, start: usize) -> Token<'text> {
        self.position += 1;
        self.take_while(is_name_part);
        Token::Bind(&self.text[start + 1..self.position])
    }

    fn number(&mut self, start: usize) -> Token<'text> {
        let mut whole = true;
        self.take_while(|byte| byte.is_ascii_digit());
        // `1..5` is a range of whole numbers, never `1.` followed by `.5`.
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            whole = false;
            self.position += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
        if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
            whole = false;
            self.position += 1 + sign;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        let written = &self.text[start..self.position];
        if whole { Token::Integer(written) } else { Token::Float(written) }
    }

    fn quoted(&mut self, start: usize) -> Result<&'text str, ExpressionError> {
        let open = self.position + 1;
        let Some(length) = self.text[open..].find('\'') else {
            return Err(ExpressionError::UnterminatedText { at: Span::new(start, self.text.len()) });
        };
        self.position = open + length + 1;
        Ok(&self.text[open..open + length])
    }

    fn symbol(&mut self, start: usize) -> Result<Token<'text>, ExpressionError> {
        let (token, length) = match (self.peek(0), self.peek(1)) {
            (b'!', b'=') => (Token::NotEqual, 2),
            (b'<', b'=') => (Token::LessEqual, 2),
            (b'>', b'=') => (Token::GreaterEqual, 2),
            (b'.', b'.') => (Token::DotDot, 2),
            (b'=', _) => (Token::Equal, 1),
            (b'<', _) => (Token::Less, 1),
            (b'>', _) => (Token::Greater, 1),
            (b'+', _) => (Token::Plus, 1),
            (b'-', _) => (Token::Minus, 1),
            (b'*', _) => (Token::Star, 1),
            (b'/', _) => (Token::Slash, 1),
            (b'%', _) => (Token::Percent, 1),
            (b'(', _) => (Token::Open, 1),
            (b')', _) => (Token::Close, 1),
            (b',', _) => (Token::Comma, 1),
            (b':', _) => (Token::Colon, 1),
            _ => return Err(self.unknown(start)),
        };
        self.position += length;
        Ok(token)
    }

    fn unknown(&self, start: usize) -> ExpressionError {
        let found = self.text[start..].chars().next().unwrap_or('\0');
        let hint = match found {
            '"' | '`' | '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => {
                Some("text is written between single quotes `'`")
            }
            '&' => Some("write `AND`"),
            '|' => Some("write `OR`"),
            '!' => Some("write `NOT` or `!=`"),
            ';' => Some("an expression is one condition; join several with `AND`"),
            '.' => Some("the parts of a name are joined by a dot without spaces"),
            '[' | ']' | '{' | '}' => Some("lists are written between `(` and `)`"),
            _ => None,
        };
        ExpressionError::UnknownCharacter { found, hint, at: Span::new(start, start + found.len_utf8()) }
    }
}

const fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

const fn is_name_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
