//! Places in a text and how to show them.

use std::borrow::Cow;

/// Characters of a text that a message repeats at most.
const LONGEST_SHOWN: usize = 80;
/// Characters on each side of a place that a message repeats at most.
const SURROUNDINGS: usize = 60;
/// What stands for characters left out.
const ELLIPSIS: &str = "...";

/// The text as a message repeats it: its start, when it is long.
///
/// ```
/// use armillary_expression::shortened;
///
/// assert_eq!(shortened("detectr"), "detectr");
/// assert_eq!(shortened(&"x".repeat(1_000_000)).len(), 80);
/// ```
#[must_use]
pub fn shortened(text: &str) -> Cow<'_, str> {
    shortened_to(text, LONGEST_SHOWN)
}

/// As [`shortened`], of at most `most` characters.
#[must_use]
pub fn shortened_to(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(most.saturating_sub(ELLIPSIS.len())).chain(ELLIPSIS.chars()).collect())
}

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
/// Tabs and other control characters are shown as spaces, so that the carets stay in place. Of a long line only the
/// surroundings of the span are shown, and of a long span only its start.
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
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = floor_boundary(text, span.end).clamp(start, line_end);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let is_long = text[line_start..line_end].chars().nth(3 * SURROUNDINGS).is_some();
    let room = if is_long { SURROUNDINGS } else { usize::MAX };
    let (before, under, after) = (&text[line_start..start], &text[start..end], &text[end..line_end]);
    let first = before.char_indices().rev().take(room).last().map_or(before.len(), |(at, _)| at);
    let (cut, before) = (if first > 0 { ELLIPSIS } else { "" }, &before[first..]);
    let (under, is_cut) = start_of(under, room);
    let (after, is_after_cut) = if is_cut { ("", true) } else { start_of(after, room) };
    let shown: String = [before, under, after]
        .iter()
        .flat_map(|part| part.chars())
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let indent = cut.len() + before.chars().count();
    let carets = under.chars().count().max(1);
    let tail = if is_after_cut { ELLIPSIS } else { "" };
    format!("  {cut}{shown}{tail}\n  {}{}", " ".repeat(indent), "^".repeat(carets))
}

/// At most so many characters of a text, and whether there are more.
fn start_of(text: &str, most: usize) -> (&str, bool) {
    text.char_indices().nth(most).map_or((text, false), |(at, _)| (&text[..at], true))
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

    #[test]
    fn of_a_long_line_the_surroundings_are_shown() {
        let text = format!("{} bad {}", "é".repeat(9999), "y".repeat(9999));
        let at = text.find("bad").expect("present");
        let (before, after) = ("é".repeat(59), "y".repeat(59));
        let carets = format!("  {}^^^", " ".repeat(63));
        assert_eq!(caret(&text, Span::new(at, at + 3)), format!("  ...{before} bad {after}...\n{carets}"));
        let whole = caret(&text, Span::new(0, text.len()));
        assert_eq!(whole, format!("  {}...\n  {}", "é".repeat(60), "^".repeat(60)));
        assert_eq!(shortened(&text).chars().count(), 80);
    }
}
