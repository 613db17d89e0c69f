//! Time literals against values computed by astropy.

use armillary_expression::Span;
use armillary_expression::time::parse_time;

const ORACLE: &str = include_str!("data/times.tsv");

/// Texts the oracle takes and we do not, with the reason.
const REFUSED_HERE: [&str; 4] = [
    "2013:366",       // 2013 had 365 days
    "2020-01-01/tdb", // a long series that buys less than 2 ms
    "2020-01-01/tcb", // built on TDB
    "2020-01-01/ut1", // needs daily tables of the rotation of the Earth
];

/// Texts we take and the oracle does not: whole numbers where the format is clear, in any letters, exponents, and `Z` for UTC.
fn accepted_here(text: &str) -> bool {
    let format = text.to_ascii_lowercase();
    let numeric = ["mjd/", "jd/", "unix/", "unix_tai/", "cxcsec/", "gps/"].iter().any(|name| format.starts_with(name));
    (numeric && !text.ends_with(' ') && !text.contains("//"))
        || ["58938", "2020-01-01T12:00:00Z", "1e5", "5.8e4"].contains(&text)
}

#[test]
fn times_are_those_of_astropy() {
    let mut compared = 0;
    for line in ORACLE.lines().filter(|line| !line.starts_with('#')) {
        let (text, expected) = line.split_once('\t').expect("two columns");
        let ours = parse_time(text, Span::default());
        match expected.parse::<i64>() {
            Ok(_) if REFUSED_HERE.contains(&text) => assert!(ours.is_err(), "{text}"),
            Ok(expected) => {
                let ours = ours.unwrap_or_else(|error| panic!("{text}: {error}"));
                // Dates are exact; day counts are doubles, good to a fraction of a microsecond.
                let float = text.chars().all(|c| !matches!(c, '-' | ':')) || text.starts_with("unix");
                let tolerance = if text.contains("year") {
                    20_000
                } else if float {
                    600
                } else {
                    1
                };
                assert!((ours - expected).abs() <= tolerance, "{text}: {ours} but {expected}");
                compared += 1;
            }
            Err(_) if accepted_here(text) || expected.is_empty() => assert!(ours.is_ok(), "{text}: {ours:?}"),
            Err(_) => assert!(ours.is_err(), "{text} gave {ours:?}"),
        }
    }
    assert!(compared > 300, "only {compared} compared");
}

#[test]
fn a_refused_time_says_why() {
    let message = |text: &str| parse_time(text, Span::default()).unwrap_err().to_string();
    assert_eq!(message("2021-02-29"), "`2021-02-29` is no time: the day `29` is not between 1 and 28");
    assert_eq!(
        message("2020"),
        "`2020` is no time: a whole number may be a year or a day count; write `2020-01-01` or `mjd/58849.0`"
    );
    assert_eq!(
        message("2020-01-01/tdb"),
        "`2020-01-01/tdb` is no time: the scale `tdb` is not supported in text; bind an astropy `Time` instead"
    );
}
