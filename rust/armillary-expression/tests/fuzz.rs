//! No input may panic or run away.

use std::time::Instant;

use armillary_expression::{Span, caret, parse, time::parse_time};
use proptest::prelude::*;

/// Text built from pieces of the language, so that it often gets far into the parser.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "visit.id",
        "a.b.c",
        "'x'",
        "T'2020-01-01'",
        "1",
        "1.5",
        "1e3",
        "..",
        ":",
        ":b",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "AND",
        "or",
        "NOT",
        "IN",
        "OVERLAPS",
        "NULL",
        "f",
        "é",
        "'",
        "\n",
        "9999999999999999999",
    ]);
    prop::collection::vec((piece, any::<bool>()), 0..40).prop_map(|parts| {
        let spaced = |(text, space): &(&str, bool)| [*text, if *space { " " } else { "" }].concat();
        parts.iter().map(spaced).collect()
    })
}

fn survives(text: &str) {
    if let Err(error) = parse(text) {
        let span = error.span();
        assert!(span.start <= span.end && span.end <= text.len(), "{text:?} {error:?}");
        assert!(caret(text, span).contains('^') && !error.to_string().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_the_language_never_panic(text in pieces()) {
        survives(&text);
    }

    #[test]
    fn any_text_never_panics(text in any::<String>()) {
        survives(&text);
        let _ = parse_time(&text, Span::default());
    }

    #[test]
    fn text_like_a_time_never_panics(text in "(iso/|mjd/|unix/|)[-+]?[0-9:.TZe /-]{0,30}(/tai|/utc|/tcg|)") {
        let _ = parse_time(&text, Span::default());
    }
}

#[test]
fn a_hundred_thousand_expressions_take_about_a_second_at_most() {
    let text =
        "instrument = 'HSC' AND visit IN (1228, 1230..1240:2) AND detector > 5 AND NOT (band = :band OR tract = 9813)";
    let start = Instant::now();
    for _ in 0..100_000 {
        assert!(matches!(parse(text), Ok(Some(_))));
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.0} expressions per second", 100_000.0 / seconds);
    // Ten times the time an idle machine needs, for machines that are not idle.
    assert!(seconds < 10.0, "{seconds} s");
}
