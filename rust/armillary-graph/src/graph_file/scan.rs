//! A scanner of JSON in the one spelling that writers of graphs use: no blanks, no escapes, keys in their order.
//!
//! Whatever is spelled otherwise gives `None`, and the caller asks the full parser, which knows all of JSON and says
//! what is wrong. So the scanner must never take what the full parser would refuse.

use super::model::Scalar;
use crate::Id;
use std::borrow::Cow;

/// What is left of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Goes past a token, which must be next.
    pub(super) fn expect(&mut self, token: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    /// Goes past a token if it is next.
    pub(super) fn skip(&mut self, token: &[u8]) -> bool {
        self.expect(token).is_some()
    }

    /// An id in its quotes.
    pub(super) fn id(&mut self) -> Option<Id> {
        let (quoted, rest) = self.rest.split_at_checked(38)?;
        if quoted[0] != b'"' || quoted[37] != b'"' {
            return None;
        }
        self.rest = rest;
        plain_id(&quoted[1..37])
    }

    /// Text of printable ASCII without escapes, in its quotes.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let body = self.rest.strip_prefix(b"\"")?;
        let end = body.iter().position(|byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'))?;
        if body[end] != b'"' {
            return None;
        }
        self.rest = &body[end + 1..];
        std::str::from_utf8(&body[..end]).ok()
    }

    fn integer(&mut self) -> Option<i64> {
        let is_negative = self.skip(b"-");
        let length = self.rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = self.rest.split_at(length);
        // Neither numbers that might not fit, nor zeros in front, nor −0, which is no integer to the full parser.
        let is_plain = (1..=18).contains(&length) && (digits[0] != b'0' || (length == 1 && !is_negative));
        if !is_plain || matches!(rest[0], b'.' | b'e' | b'E') {
            return None;
        }
        self.rest = rest;
        let value = digits.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        Some(if is_negative { -value } else { value })
    }

    /// The values of a data ID up to the closing bracket, which is passed too; the opening one was.
    pub(super) fn values(&mut self, values: &mut Vec<Scalar<'a>>) -> Option<()> {
        values.clear();
        if self.skip(b"]") {
            return Some(());
        }
        loop {
            values.push(match self.rest.first()? {
                b'"' => Scalar::Text(Cow::Borrowed(self.text()?)),
                _ => Scalar::Int(self.integer()?),
            });
            if self.skip(b"]") {
                return Some(());
            }
            self.expect(b",")?;
        }
    }

    /// The text up to the next `]`, the bracket included, which may stand inside of a value.
    pub(super) fn up_to_bracket(self) -> Option<&'a [u8]> {
        memchr::memchr(b']', self.rest).map(|end| &self.rest[..=end])
    }

    pub(super) fn advance(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }
}

const NO_DIGIT: u8 = 0xff;

/// The value of each hexadecimal digit.
const DIGITS: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit as usize] as usize] = digit;
        values[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

/// The value of a hexadecimal digit.
pub(super) fn digit(byte: u8) -> Option<u8> {
    Some(DIGITS[byte as usize]).filter(|value| *value != NO_DIGIT)
}

/// An id in the usual spelling: 32 digits in five groups.
pub(super) fn plain_id(text: &[u8]) -> Option<Id> {
    const AT: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let text: &[u8; 36] = text.try_into().ok()?;
    let mut id = [0; 16];
    let mut seen = 0;
    for (byte, at) in id.iter_mut().zip(AT) {
        let (high, low) = (DIGITS[text[at] as usize], DIGITS[text[at + 1] as usize]);
        // What is no digit has high bits set.
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    let has_dashes = text[8] == b'-' && text[13] == b'-' && text[18] == b'-' && text[23] == b'-';
    (seen < 16 && has_dashes).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_their_usual_spelling_only() {
        let id = plain_id(b"01a216d8-6C56-7416-aec8-70331e4e7525").unwrap();
        assert_eq!(crate::id_text(&id), "01a216d8-6c56-7416-aec8-70331e4e7525");
        for wrong in ["01a216d8-6c56-7416-aec8-70331e4e752", "01a216d8-6c56-7416-aec8-70331e4e752g"] {
            assert_eq!(plain_id(wrong.as_bytes()), None);
        }
        assert_eq!(plain_id(b"01a216d8+6c56-7416-aec8-70331e4e7525"), None);
    }

    #[test]
    fn values_are_what_the_full_parser_makes_of_them_or_nothing() {
        let texts = [
            "]",
            "1]",
            "-1]",
            "0]",
            "-0]",
            "01]",
            "1.5]",
            "1e3]",
            "12,\"a\",3]",
            "\"a]b\"]",
            "\"\\u0041\"]",
            "\"\t\"]",
            "\"\u{e9}\"]",
            "1,]",
            ",1]",
            "1 ]",
            "null]",
            "true]",
            "999999999999999999]",
            "9999999999999999999]",
            "[1]]",
            "\"",
            "1",
            "",
        ];
        let mut taken = 0;
        for text in texts {
            let whole = format!("[{text}");
            let full: Option<Vec<Scalar<'_>>> = serde_json::from_str(&whole).ok();
            let mut values = Vec::new();
            let mut scanner = Scanner::new(text.as_bytes());
            if scanner.values(&mut values).is_some() {
                taken += 1;
                assert!(scanner.rest().is_empty(), "{text}");
                assert_eq!(Some(values), full, "{text}");
            }
        }
        assert_eq!(taken, 7);
    }
}
