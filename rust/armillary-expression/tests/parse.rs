//! Which texts are expressions, and what they become.

use armillary_expression::{
    ArithmeticOperator, Comparison, ExpressionError, Kind, MAXIMUM_DEPTH, Node, Sign, caret, parse,
};

const ORACLE: &str = include_str!("data/grammar.tsv");

/// What the peer's parser lets through and refuses later, or never gives a meaning.
const REFUSED_HERE: [&str; 11] = [
    "a = b = c",
    "a < b < c",
    "a = b < c",
    "a < b = c",
    "a OVERLAPS b OVERLAPS c",
    "a OVERLAPS b = c",
    "a = b OVERLAPS c",
    "a IN (5..1)",
    "1..5",
    "a = -1..5",
    "a = 99999999999999999999",
];

/// What parses here because its trouble is not one of syntax (or none at all).
const ACCEPTED_HERE: [&str; 6] =
    ["a IN (UUID('ab'))", "a IN (- 10..-1)", "T''", "T'57000'", "a IN (f(a,b))", "a IN (f(a IN (1)))"];

#[test]
fn the_grammar_is_the_peers() {
    let mut compared = 0;
    for line in ORACLE.lines().filter(|line| !line.starts_with('#')) {
        let (verdict, text) = line.split_once('\t').expect("two columns");
        let ours = parse(&text.replace("\\n", "\n").replace("\\r", "\r"));
        let expected = (verdict == "accepted" || ACCEPTED_HERE.contains(&text)) && !REFUSED_HERE.contains(&text);
        assert_eq!(ours.is_ok(), expected, "{text}: {ours:?}");
        compared += 1;
    }
    assert!(compared > 100, "only {compared} compared");
}

fn tree(text: &str) -> Node {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).expect("not blank")
}

/// The tree with all brackets written out.
fn shape(node: &Node) -> String {
    let list = |nodes: &[Node], by: &str| nodes.iter().map(shape).collect::<Vec<_>>().join(by);
    match &node.kind {
        Kind::Or(terms) => format!("({})", list(terms, " OR ")),
        Kind::And(terms) => format!("({})", list(terms, " AND ")),
        Kind::Not(operand) => format!("(NOT {})", shape(operand)),
        Kind::Compare { comparison, left, right } => {
            format!("({} {} {})", shape(left), comparison.text(), shape(right))
        }
        Kind::In { value, items, negated } => {
            format!("({}{} IN [{}])", shape(value), if *negated { " NOT" } else { "" }, list(items, ","))
        }
        Kind::Arithmetic { operator, left, right } => {
            format!("({} {} {})", shape(left), operator.text(), shape(right))
        }
        Kind::Signed { sign: Sign::Plus, operand } => format!("(+{})", shape(operand)),
        Kind::Signed { sign: Sign::Minus, operand } => format!("(-{})", shape(operand)),
        Kind::TimeRange(begin, end) => format!("<{},{}>", shape(begin), shape(end)),
        Kind::Call { function, arguments, .. } => format!("{function}[{}]", list(arguments, ",")),
        Kind::Name(parts) => parts.join("."),
        Kind::Bind(name) => format!(":{name}"),
        Kind::Integer(value) => value.to_string(),
        Kind::Float(value) => format!("{value:?}"),
        Kind::Text(text) => format!("'{text}'"),
        Kind::Time(text) => format!("T'{text}'"),
        Kind::Range { start, stop, stride } => format!("{start}..{stop}:{stride}"),
        Kind::Null => "NULL".to_owned(),
    }
}

#[test]
fn operators_bind_as_documented() {
    for (text, expected) in [
        ("a OR b AND NOT c = d", "(a OR (b AND (NOT (c = d))))"),
        ("NOT a AND b", "((NOT a) AND b)"),
        ("a or b or c", "(a OR b OR c)"),
        ("a = 1 + 2 * 3 - 4 / 5 % 6", "(a = ((1 + (2 * 3)) - ((4 / 5) % 6)))"),
        ("-a + +b", "((-a) + (+b))"),
        ("a + 1 NOT IN (1, -2, 'x', :b, c)", "((a + 1) NOT IN [1,-2,'x',:b,c])"),
        ("NOT a IN (1 .. 5 : 2, -10..-1)", "(NOT (a IN [1..5:2,-10..-1:1]))"),
        ("v.timespan OVERLAPS (T'2020-01-01', null)", "(v.timespan OVERLAPS <T'2020-01-01',NULL>)"),
        ("p.region overlaps POINT(:ra, -1.5)", "(p.region OVERLAPS POINT[:ra,(-1.5)])"),
        ("x=.5 AND y=1.", "((x = 0.5) AND (y = 1.0))"),
        ("x = -9223372036854775808", "(x = -9223372036854775808)"),
        ("((a))", "a"),
    ] {
        assert_eq!(shape(&tree(text)), expected, "{text}");
    }
}

#[test]
fn every_part_knows_where_it_was_written() {
    let text = "tract = 9813 AND (detector IN (1, 2..3) OR visit.id + 1 > 7)";
    let Kind::And(terms) = tree(text).kind else { panic!("an AND") };
    assert_eq!(terms[0].span.of(text), "tract = 9813");
    assert_eq!(terms[1].span.of(text), "(detector IN (1, 2..3) OR visit.id + 1 > 7)");
    let Kind::Or(terms) = &terms[1].kind else { panic!("an OR") };
    let Kind::In { items, .. } = &terms[0].kind else { panic!("an IN") };
    assert_eq!(items[1].span.of(text), "2..3");
    let Kind::Compare { comparison: Comparison::Greater, left, .. } = &terms[1].kind else { panic!("a comparison") };
    assert!(matches!(left.kind, Kind::Arithmetic { operator: ArithmeticOperator::Add, .. }));
    assert_eq!(left.span.of(text), "visit.id + 1");
}

#[test]
fn messages_name_the_trouble_and_the_cure() {
    for (text, message, shown) in [
        ("a == 1", "found `==` where an operator was expected; equality is written `=`", "  a == 1\n    ^^"),
        ("a <> 1", "found `<>` where an operator was expected; inequality is written `!=`", "  a <> 1\n    ^^"),
        (
            "a IS NULL",
            "found `IS` where an operator was expected; a missing value is tested with `= NULL` or `!= NULL`",
            "  a IS NULL\n    ^^",
        ),
        (
            "a = \"x\"",
            "the character `\"` has no meaning here; text is written between single quotes `'`",
            "  a = \"x\"\n      ^",
        ),
        ("a AND", "the expression ends where a value, a name or `(` was expected", "  a AND\n       ^"),
        (
            "a IN 1..3",
            "found `1` where `(` was expected; the list after `IN` stands between `(` and `)`",
            "  a IN 1..3\n       ^",
        ),
        ("a IN (5..1)", "the range `5..1` ends before it starts; did you mean `1..5`?", "  a IN (5..1)\n        ^^^^"),
        ("a IN (1..5:0)", "the stride `0` of a range must be 1 or more", "  a IN (1..5:0)\n             ^"),
        ("a = 'b", "text begins with a quote `'` that is never closed", "  a = 'b\n      ^^"),
        ("a.b.c.d = 1", "`a.b.c.d` has more than three parts", "  a.b.c.d = 1\n  ^^^^^^^"),
        (
            "a = b = c",
            "found `=` where `AND` or `OR` was expected; comparisons cannot be chained",
            "  a = b = c\n        ^",
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.to_string(), message);
        assert_eq!(caret(text, error.span()), shown, "{text}");
    }
}

#[test]
fn nesting_has_a_limit_instead_of_a_stack_overflow() {
    let most = MAXIMUM_DEPTH as usize;
    let cases = [
        "(".repeat(1_000_000),
        format!("{}a", "NOT ".repeat(1_000_000)),
        format!("{}a", "- ".repeat(1_000_000)),
        format!("{}1", "f(".repeat(100_000)),
        format!("1{}", " + 1".repeat(100_000)),
        format!("1{}", " * 1".repeat(most)),
    ];
    for text in cases {
        assert!(matches!(parse(&text), Err(ExpressionError::TooDeep { .. })), "{}", &text[..9]);
    }
    assert!(parse(&format!("{}a{}", "(".repeat(most), ")".repeat(most))).is_ok());
    assert!(parse(&vec!["a = 1"; 100_000].join(" OR ")).is_ok(), "a flat chain has no depth");
}
