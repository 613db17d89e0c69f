//! Places in a text and how to show them.

/// A part of the text, as byte offsets; `start..end`, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The span from `start` to before `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that covers both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// The text under the span; empty when the span does not fit the text.
    #[must_use]
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or("")
    }
}

/// The line that holds `span`, indented by two, with carets under the span on a second line.
///
/// Tabs and other control characters are shown as spaces, so that the carets stay in place.
///
/// ```
/// use armillary_expression::{Span, caret};
///
/// let text = "tract = 9813 AND detectr = 20";
/// assert_eq!(
///     caret(text, Span::new(17, 24)),
///     "  tract = 9813 AND detectr = 20\n                   ^^^^^^^",
/// );
/// ```
#[must_use]
pub fn caret(text: &str, span: Span) -> String {
    let start = floor_boundary(text, span.start);
    let end = floor_boundary(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let shown: String = text[line_start..line_end]
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let before = text[line_start..start].chars().count();
    let under = text[start..end.min(line_end).max(start)].chars().count().max(1);
    format!("  {shown}\n  {}{}", " ".repeat(before), "^".repeat(under))
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_marks_the_line_that_holds_the_span() {
        let text = "a = 1 AND\n\tb == 2 AND\nc = 3";
        let at = text.find("==").expect("present");
        assert_eq!(caret(text, Span::new(at, at + 2)), "   b == 2 AND\n     ^^");
    }

    #[test]
    fn the_caret_stands_after_the_text_when_it_ends_too_soon() {
        assert_eq!(caret("a AND", Span::new(5, 5)), "  a AND\n       ^");
    }

    #[test]
    fn the_caret_counts_characters_and_survives_odd_offsets() {
        assert_eq!(caret("é = 1", Span::new(1, 99)), "  é = 1\n  ^^^^^");
        assert_eq!(caret("", Span::new(7, 3)), "  \n  ^");
    }
}
