//! Time literals to nanoseconds of TAI.

mod calendar;
mod leap_seconds;

use crate::{ExpressionError, Span};
use calendar::{Moment, day_of_year_start, days_to_date};
use leap_seconds::utc_day;

/// The first time a repository can hold, 1970-01-01 TAI; also what "since ever" is stored as.
pub const MINIMUM: i64 = 0;
/// The last time a repository can hold, 2100-01-01 TAI; also what "for ever" is stored as.
pub const MAXIMUM: i64 = 4_102_444_800_000_000_000;

const DAY: i64 = 86_400_000_000_000; // ns
const MJD_1970: i64 = 40587;
const FORMATS: &str =
    "`iso`, `isot`, `fits`, `yday`, `mjd`, `jd`, `unix`, `unix_tai`, `cxcsec`, `gps`, `jyear`, `byear`, `decimalyear`";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Utc,
    Tai,
    Tt,
    Tcg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Iso,
    Isot,
    Fits,
    Yday,
    Mjd,
    Jd,
    Unix,
    UnixTai,
    Cxcsec,
    Gps,
    Jyear,
    Byear,
    DecimalYear,
}

/// Why a text is no time, and what would do.
type Refusal = String;

/// Nanoseconds of TAI since 1970-01-01T00:00:00 TAI of the text of a `T'...'` literal.
///
/// The text is `value`, `format/value`, `value/scale` or `format/value/scale`. Without a format it is
/// recognised: a date with `-` is `iso` (`isot` with a `T`), with `:` `yday`, a number `mjd`. Without a scale, dates and
/// `unix` are UTC and other numbers TAI. Times outside [`MINIMUM`]..[`MAXIMUM`] become the nearer of the two.
/// Scales `tdb`, `tcb` and `ut1` need data this crate does not carry and are refused.
///
/// ```
/// use armillary_expression::{Span, time::parse_time};
///
/// let at = Span::new(0, 0);
/// assert_eq!(parse_time("2025-01-01", at)?, 1_735_689_637_000_000_000);
/// assert_eq!(parse_time("mjd/58938.5/tai", at)?, 1_585_569_600_000_000_000);
/// assert!(parse_time("2025-02-30", at).is_err());
/// # Ok::<(), armillary_expression::ExpressionError>(())
/// ```
pub fn parse_time(text: &str, at: Span) -> Result<i64, ExpressionError> {
    const LONGEST: usize = 100;
    let understood = if text.len() > LONGEST {
        Err(format!("it has {} bytes, and no time has more than {LONGEST}", text.len()))
    } else {
        understand(text)
    };
    understood.map_err(|reason| ExpressionError::BadTime { found: text.to_owned(), reason, at })
}

fn understand(text: &str) -> Result<i64, Refusal> {
    let parts: Vec<&str> = text.split('/').collect();
    let (format, value, scale) = match parts[..] {
        [value] => (None, value, None),
        [first, second] => match format_named(first) {
            Some(format) => (Some(format), second, None),
            None if first.starts_with(|character: char| character.is_ascii_alphabetic()) => {
                return Err(format!("the format `{first}` is not one of {FORMATS}"));
            }
            None => (None, first, Some(second)),
        },
        [first, value, scale] => {
            let format = format_named(first).ok_or_else(|| format!("the format `{first}` is not one of {FORMATS}"))?;
            (Some(format), value, Some(scale))
        }
        _ => return Err("it has more parts than `format/value/scale`".to_owned()),
    };
    let format = match format {
        Some(format) => format,
        None => recognise(value)?,
    };
    let scale = match scale {
        Some(scale) => scale_named(scale)?,
        None => default_scale(format),
    };
    let nanoseconds = match format {
        Format::Iso | Format::Isot | Format::Fits | Format::Yday => written_date(format, value, scale)?,
        _ => written_number(format, number(value)?, scale),
    };
    Ok(i64::try_from(nanoseconds.clamp(i128::from(MINIMUM), i128::from(MAXIMUM))).unwrap_or(MAXIMUM))
}

fn format_named(name: &str) -> Option<Format> {
    Some(match name.to_ascii_lowercase().as_str() {
        "iso" => Format::Iso,
        "isot" => Format::Isot,
        "fits" => Format::Fits,
        "yday" => Format::Yday,
        "mjd" => Format::Mjd,
        "jd" => Format::Jd,
        "unix" => Format::Unix,
        "unix_tai" => Format::UnixTai,
        "cxcsec" => Format::Cxcsec,
        "gps" => Format::Gps,
        "jyear" => Format::Jyear,
        "byear" => Format::Byear,
        "decimalyear" => Format::DecimalYear,
        _ => return None,
    })
}

fn scale_named(name: &str) -> Result<Scale, Refusal> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "utc" => Scale::Utc,
        "tai" => Scale::Tai,
        "tt" => Scale::Tt,
        "tcg" => Scale::Tcg,
        "tdb" | "tcb" | "ut1" => {
            return Err(format!("the scale `{name}` is not supported in text; bind an astropy `Time` instead"));
        }
        _ => return Err(format!("the scale `{name}` is not one of `utc`, `tai`, `tt`, `tcg`")),
    })
}

const fn default_scale(format: Format) -> Scale {
    match format {
        Format::Iso | Format::Isot | Format::Fits | Format::Yday | Format::Unix => Scale::Utc,
        Format::Cxcsec => Scale::Tt,
        Format::Mjd
        | Format::Jd
        | Format::UnixTai
        | Format::Gps
        | Format::Jyear
        | Format::Byear
        | Format::DecimalYear => Scale::Tai,
    }
}

fn recognise(value: &str) -> Result<Format, Refusal> {
    let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
    if !value.is_empty() && number(value).is_ok() {
        // `2020` and `20200101` are dates in the mind of whoever wrote them, not days of the MJD count.
        let whole = unsigned.bytes().all(|byte| byte.is_ascii_digit());
        if whole && unsigned.len() != 5 {
            return Err("a whole number may be a year or a day count; write `2020-01-01` or `mjd/58849.0`".to_owned());
        }
        return Ok(Format::Mjd);
    }
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    match unsigned.as_bytes().get(digits) {
        Some(b'-') if unsigned.len() < value.len() => Ok(Format::Fits),
        Some(b'-') if value.contains('T') => Ok(Format::Isot),
        Some(b'-') => Ok(Format::Iso),
        Some(b':') => Ok(Format::Yday),
        _ => Err("write `2020-01-01`, `2020-01-01 12:00:00` or `mjd/58849.0`".to_owned()),
    }
}

fn number(value: &str) -> Result<f64, Refusal> {
    let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E');
    let parsed = value.bytes().all(allowed).then(|| value.parse::<f64>().ok()).flatten();
    parsed.filter(|number| number.abs() < 1e15).ok_or_else(|| format!("`{value}` is no usable number"))
}

fn written_date(format: Format, value: &str, scale: Scale) -> Result<i128, Refusal> {
    let moment = match format {
        Format::Yday => calendar::year_and_day(value)?,
        Format::Iso => calendar::date_and_time(value, ' ')?,
        _ => calendar::date_and_time(value, 'T')?,
    };
    Ok(to_tai(moment, scale))
}

/// Nanoseconds of TAI of a moment on the clock of `scale`.
fn to_tai(moment: Moment, scale: Scale) -> i128 {
    let clock = i128::from(moment.mjd - MJD_1970) * i128::from(DAY) + i128::from(moment.nanoseconds);
    match scale {
        Scale::Tai => clock,
        Scale::Tt => clock - 32_184_000_000,
        Scale::Utc => {
            let day = utc_day(moment.mjd);
            let drift = i128::from(day.drift) * i128::from(moment.nanoseconds) / i128::from(DAY);
            clock + drift + i128::from(day.offset)
        }
        Scale::Tcg => {
            // TCG runs fast by the defining constant 6.969290134e-10 since 1977-01-01T00:00:32.184.
            let since = clock - (i128::from(43144 - MJD_1970) * i128::from(DAY) + 32_184_000_000);
            clock - since * 6_969_290_134 / 10_i128.pow(19) - 32_184_000_000
        }
    }
}

fn written_number(format: Format, value: f64, scale: Scale) -> i128 {
    match format {
        Format::Mjd => day_count(value.floor(), value - value.floor(), scale),
        // A Julian day begins at noon: half a day less, and 2 400 000 of them.
        Format::Jd => day_count(value.floor() - 2_400_001.0, value - value.floor() + 0.5, scale),
        Format::Unix => {
            let day = (value / 86_400.0).floor();
            day_count(day + 40_587.0, (value - day * 86_400.0) / 86_400.0, Scale::Utc)
        }
        Format::UnixTai => seconds(value),
        Format::Cxcsec => seconds(value) + i128::from(50_814 - MJD_1970) * i128::from(DAY) - 32_184_000_000,
        Format::Gps => seconds(value) + i128::from(44_244 - MJD_1970) * i128::from(DAY) + 19_000_000_000,
        Format::Jyear => day_count(51_544.0, 0.5 + (value - 2000.0) * 365.25, scale),
        Format::Byear => day_count(15_019.0, 0.813_52 + (value - 1900.0) * 365.242_198_781, scale),
        Format::Iso | Format::Isot | Format::Fits | Format::Yday | Format::DecimalYear => decimal_year(value, scale),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "`number` bounds the value far inside 128 bits")]
fn seconds(value: f64) -> i128 {
    let whole = value.floor();
    whole as i128 * 1_000_000_000 + ((value - whole) * 1e9).round() as i128
}

/// The moment `fraction` days after the start of day `day`; both in days of MJD, `fraction` of any size.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "days and fractions of a day")]
fn day_count(day: f64, fraction: f64, scale: Scale) -> i128 {
    let mjd = (day + fraction.floor()) as i64;
    let rest = fraction - fraction.floor();
    // A day count in UTC stretches over a leap second.
    let length = if scale == Scale::Utc { DAY + utc_day(mjd).leap } else { DAY };
    to_tai(Moment { mjd, nanoseconds: (rest * length as f64).round() as i64 }, scale)
}

/// A year and the part of it that has passed, measured from its own length.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a year is below 1e15 ns times 32")]
fn decimal_year(value: f64, scale: Scale) -> i128 {
    let year = value.floor().clamp(1.0, 9999.0);
    let start = |year: f64| to_tai(Moment { mjd: day_of_year_start(year as i64), nanoseconds: 0 }, scale);
    let length = start(year + 1.0) - start(year);
    start(year) + ((value - year) * length as f64).round() as i128
}

/// `2020-01-01T00:00:00.000000000` of a number of nanoseconds of TAI, trailing zeros of the fraction cut to three places.
///
/// ```
/// assert_eq!(armillary_expression::time::format_tai(1_577_836_800_500_000_000), "2020-01-01T00:00:00.500");
/// ```
#[must_use]
pub fn format_tai(nanoseconds: i64) -> String {
    let (year, month, day) = days_to_date(nanoseconds.div_euclid(DAY) + MJD_1970);
    let of_day = nanoseconds.rem_euclid(DAY);
    let (second, fraction) = (of_day / 1_000_000_000, of_day % 1_000_000_000);
    let mut fraction = format!("{fraction:09}");
    while fraction.len() > 3 && fraction.ends_with('0') {
        fraction.pop();
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction}")
}
