//! TAI minus UTC, as announced by the IERS.

/// Day (MJD) from which TAI minus UTC has the given value in whole seconds.
const STEPS: [(i64, i64); 28] = [
    (41317, 10), // 1972-01-01
    (41499, 11), // 1972-07-01
    (41683, 12), // 1973-01-01
    (42048, 13), // 1974-01-01
    (42413, 14), // 1975-01-01
    (42778, 15), // 1976-01-01
    (43144, 16), // 1977-01-01
    (43509, 17), // 1978-01-01
    (43874, 18), // 1979-01-01
    (44239, 19), // 1980-01-01
    (44786, 20), // 1981-07-01
    (45151, 21), // 1982-07-01
    (45516, 22), // 1983-07-01
    (46247, 23), // 1985-07-01
    (47161, 24), // 1988-01-01
    (47892, 25), // 1990-01-01
    (48257, 26), // 1991-01-01
    (48804, 27), // 1992-07-01
    (49169, 28), // 1993-07-01
    (49534, 29), // 1994-07-01
    (50083, 30), // 1996-01-01
    (50630, 31), // 1997-07-01
    (51179, 32), // 1999-01-01
    (53736, 33), // 2006-01-01
    (54832, 34), // 2009-01-01
    (56109, 35), // 2012-07-01
    (57204, 36), // 2015-07-01
    (57754, 37), // 2017-01-01
];

/// How UTC relates to TAI during one day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct UtcDay {
    /// TAI minus UTC at its start, in nanoseconds.
    pub(crate) offset: i64,
    /// How much longer than 86 400 s it is, in nanoseconds: the leap second.
    pub(crate) leap: i64,
    /// How much UTC runs slow over the day, in nanoseconds; only before 1972.
    pub(crate) drift: i64,
}

/// The day `mjd`. Before 1972 UTC ran at a rate of its own; times before 1968 are not needed here,
/// since no stored time lies before 1970.
pub(crate) fn utc_day(mjd: i64) -> UtcDay {
    const FIRST: i64 = STEPS[0].0;
    const DRIFT: i64 = 2_592_000; // ns per day, from 1968-02-01
    let rubber = |mjd: i64| 4_213_170_000 + (mjd - 39126) * DRIFT;
    if mjd < FIRST {
        let leap = if mjd == FIRST - 1 { 10_000_000_000 - rubber(FIRST) } else { 0 };
        return UtcDay { offset: rubber(mjd), leap, drift: DRIFT };
    }
    let whole = |mjd: i64| STEPS[STEPS.partition_point(|step| step.0 <= mjd) - 1].1;
    UtcDay { offset: whole(mjd) * 1_000_000_000, leap: (whole(mjd + 1) - whole(mjd)) * 1_000_000_000, drift: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_in_order_and_each_adds_a_second() {
        assert!(STEPS.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 + 1 == pair[1].1));
    }

    #[test]
    fn the_last_day_of_2016_has_a_leap_second() {
        assert_eq!(utc_day(57753), UtcDay { offset: 36_000_000_000, leap: 1_000_000_000, drift: 0 });
        assert_eq!(utc_day(57754), UtcDay { offset: 37_000_000_000, leap: 0, drift: 0 });
    }
}
