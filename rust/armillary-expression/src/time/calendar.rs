//! Dates of the Gregorian calendar and the clock times after them.

/// A day and the time since its start on the clock of some scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) mjd: i64,
    /// Beyond a day's length for the 61st second of a minute.
    pub(super) nanoseconds: i64,
}

/// MJD of a date.
pub(super) const fn date_to_days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March put the leap day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 678_881
}

/// Year, month and day of an MJD.
pub(super) const fn days_to_date(mjd: i64) -> (i64, i64, i64) {
    let days = mjd + 678_881;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + carry, month, day)
}

/// MJD of 1 January.
pub(super) const fn day_of_year_start(year: i64) -> i64 {
    date_to_days(year, 1, 1)
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + is_leap(year) as i64,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `YYYY-MM-DD`, optionally a separator and `HH:MM[:SS[.fraction]]`; a five-digit year takes a sign.
pub(super) fn date_and_time(text: &str, separator: char) -> Result<Moment, String> {
    let text = without_zero_offset(text)?;
    let (date, clock) = match text.split_once(separator) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let (sign, bare, year_digits) = match date.as_bytes().first() {
        Some(b'+') => (1, &date[1..], 5),
        Some(b'-') => (-1, &date[1..], 5),
        _ => (1, date, 4),
    };
    let fields: Vec<&str> = bare.split('-').collect();
    let [year, month, day] = fields[..] else {
        return Err("a date is written `2020-01-31`".to_owned());
    };
    if year.len() != year_digits {
        return Err("a year has four digits, or a sign and five".to_owned());
    }
    let year = sign * field("year", year, 5, 0, 99_999)?;
    let month = field("month", month, 2, 1, 12)?;
    let day = field("day", day, 2, 1, days_in_month(year, month))?;
    Ok(Moment { mjd: date_to_days(year, month, day), nanoseconds: clock.map_or(Ok(0), clock_time)? })
}

/// `YYYY:DDD`, optionally `:HH:MM[:SS[.fraction]]`.
pub(super) fn year_and_day(text: &str) -> Result<Moment, String> {
    let mut parts = text.splitn(3, ':');
    let (year, day) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if year.len() != 4 {
        return Err("a year has four digits".to_owned());
    }
    let year = field("year", year, 4, 0, 9999)?;
    let day = field("day of the year", day, 3, 1, 365 + i64::from(is_leap(year)))?;
    Ok(Moment { mjd: day_of_year_start(year) + day - 1, nanoseconds: parts.next().map_or(Ok(0), clock_time)? })
}

/// Cuts `Z` and `+00:00`, which say UTC; other offsets are refused rather than ignored.
fn without_zero_offset(text: &str) -> Result<&str, String> {
    let Some((date, clock)) = text.split_once(['T', ' ']) else {
        return Ok(text);
    };
    let offset_at = clock.find(['Z', '+', '-']).map(|at| at + date.len() + 1);
    match offset_at.map(|at| text.split_at(at)) {
        None => Ok(text),
        Some((moment, "Z" | "+00:00" | "-00:00")) => Ok(moment),
        Some(_) => Err("only the offset `+00:00` is understood".to_owned()),
    }
}

fn clock_time(text: &str) -> Result<i64, String> {
    let fields: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match fields[..] {
        [hour, minute] => (hour, minute, "0"),
        [hour, minute, second] => (hour, minute, second),
        _ => return Err("a time of day is written `12:34` or `12:34:56.7`".to_owned()),
    };
    let hour = field("hour", hour, 2, 0, 23)?;
    let minute = field("minute", minute, 2, 0, 59)?;
    let (second, fraction) = second.split_once('.').unwrap_or((second, ""));
    let second = field("second", second, 2, 0, 60)?;
    Ok(((hour * 60 + minute) * 60 + second) * 1_000_000_000 + nanoseconds(fraction)?)
}

/// Nanoseconds of the digits after a second's point, rounded.
fn nanoseconds(digits: &str) -> Result<i64, String> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{digits}` is no fraction of a second"));
    }
    let place = |at: usize| digits.as_bytes().get(at).map_or(0, |byte| i64::from(byte - b'0'));
    Ok((0..9).fold(0, |sum, at| sum * 10 + place(at)) + i64::from(place(9) >= 5))
}

fn field(what: &str, digits: &str, longest: usize, least: i64, most: i64) -> Result<i64, String> {
    let number = (!digits.is_empty() && digits.len() <= longest && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse::<i64>().ok())
        .flatten();
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("the {what} `{digits}` is not between {least} and {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_agree_over_eight_centuries() {
        assert_eq!(date_to_days(1858, 11, 17), 0);
        assert_eq!(date_to_days(1970, 1, 1), 40587);
        for mjd in -40_000..260_000 {
            let (year, month, day) = days_to_date(mjd);
            assert_eq!(date_to_days(year, month, day), mjd);
            assert!((1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day));
        }
    }
}
