//! `Timespan`.

use crate::{
    errors::{ErrorClass, raise},
    values::{Reduced, core_item, shown},
};
use armillary_dimensions::Timespan;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{IntoPyDict, PyDict, PyList, PyTuple},
};
use std::hash::{DefaultHasher, Hash, Hasher};

const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const NANOSECONDS_PER_DAY: i64 = SECONDS_PER_DAY * NANOSECONDS_PER_SECOND;
/// Julian date of 1970-01-01T12:00:00.
const EPOCH_NOON: f64 = 2_440_588.0;

/// The bound of a timespan that contains no time.
#[pyclass(name = "_SpecialTimespanBound", frozen, module = "armillary._core")]
pub(crate) struct PyTimespanBound;

#[pymethods]
impl PyTimespanBound {
    fn __repr__(&self) -> &'static str {
        "<_SpecialTimespanBound.EMPTY: 1>"
    }

    fn __str__(&self) -> &'static str {
        "_SpecialTimespanBound.EMPTY"
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let arguments = (core_item(py, "Timespan")?, "EMPTY").into_pyobject(py)?;
        Ok((py.import("builtins")?.getattr("getattr")?, arguments))
    }
}

fn empty_bound(py: Python<'_>) -> PyResult<&Py<PyTimespanBound>> {
    static EMPTY: PyOnceLock<Py<PyTimespanBound>> = PyOnceLock::new();
    EMPTY.get_or_try_init(py, || Py::new(py, PyTimespanBound))
}

/// A half-open interval of time.
#[pyclass(name = "Timespan", frozen, from_py_object, module = "armillary._core")]
#[derive(Clone, Copy)]
pub(crate) struct PyTimespan(pub(crate) Timespan);

/// Nanoseconds TAI of an `astropy.time.Time`; none for anything else. Clips to the range of timespans.
pub(crate) fn time_to_nanoseconds(object: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let py = object.py();
    // Nobody can hold a Time while astropy.time is not loaded, so it is not loaded to find out.
    let modules = py.import("sys")?.getattr("modules")?;
    let Ok(module) = modules.get_item("astropy.time") else { return Ok(None) };
    if !object.is_instance(&module.getattr("Time")?)? {
        return Ok(None);
    }
    if !object.getattr("isscalar")?.is_truthy()? {
        return Err(PyValueError::new_err(format!("`{}` holds several times where one is wanted", shown(object))));
    }
    let masked = object.getattr_opt("masked")?.is_some_and(|masked| masked.is_truthy().unwrap_or(true));
    if masked {
        return Err(PyValueError::new_err(format!("`{}` is not a time: it is masked", shown(object))));
    }
    let tai = without_warnings(py, || object.getattr("tai"))?;
    let days: f64 = tai.getattr("jd1")?.extract()?;
    let fraction: f64 = tai.getattr("jd2")?.extract()?;
    Ok(Some(from_julian(days, fraction)))
}

/// Runs `work` with warnings off: ERFA calls every date some years ahead dubious, and there is nothing to do about it.
fn without_warnings<'py>(
    py: Python<'py>,
    work: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let warnings = py.import("warnings")?;
    let context = warnings.call_method0("catch_warnings")?;
    context.call_method0("__enter__")?;
    warnings.call_method1("simplefilter", ("ignore",))?;
    let outcome = work();
    context.call_method1("__exit__", (py.None(), py.None(), py.None()))?;
    outcome
}

/// Nanoseconds since 1970 of a Julian date in two parts.
///
/// The steps are those that astropy takes for the difference of two times, so that the last nanosecond is the same too.
#[allow(clippy::cast_possible_truncation, reason = "days since 1970 and the nanoseconds of a day fit many times over")]
fn from_julian(days: f64, fraction: f64) -> i64 {
    let (sum, error) = two_sum((days - EPOCH_NOON).clamp(-1e5, 1e5), fraction + 0.5);
    let mut whole = sum.round_ties_even();
    let mut rest = (sum - whole) + error;
    let excess = rest.round_ties_even();
    if excess != 0.0 {
        whole += excess;
        rest = (sum - whole) + error;
    }
    let nanoseconds = (rest * 86_400e9).round_ties_even() as i64;
    whole as i64 * NANOSECONDS_PER_DAY + nanoseconds
}

/// A sum and what rounding left out of it.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let (from_a, from_b) = (sum - b, sum - (sum - b));
    (sum, (a - from_a) + (b - from_b))
}

/// The two parts of the Julian date of nanoseconds TAI, as astropy has them: a whole number, and between -0.5 and 0.5.
#[allow(clippy::cast_precision_loss, reason = "both numbers are below 2^53")]
fn to_julian(nanoseconds: i64) -> (f64, f64) {
    let days = nanoseconds.div_euclid(NANOSECONDS_PER_DAY);
    let rest = nanoseconds.rem_euclid(NANOSECONDS_PER_DAY);
    (EPOCH_NOON + days as f64, (rest as f64 - 43_200e9) / 86_400e9)
}

/// A float as Python writes it: its exponent has two digits.
fn float_text(value: f64) -> String {
    let text = format!("{value:?}");
    match text.split_once("e-") {
        Some((digits, exponent)) if exponent.len() == 1 => format!("{digits}e-0{exponent}"),
        _ => text,
    }
}

/// An `astropy.time.Time` from nanoseconds TAI.
pub(crate) fn nanoseconds_to_time(py: Python<'_>, nanoseconds: i64) -> PyResult<Bound<'_, PyAny>> {
    let (jd1, jd2) = to_julian(nanoseconds);
    let keywords = [("scale", "tai"), ("format", "jd")].into_py_dict(py)?;
    py.import("astropy.time")?.getattr("Time")?.call((jd1, jd2), Some(&keywords))
}

/// ISO text of nanoseconds TAI, to the second. Rounded to milliseconds first, so that a nanosecond before the hour is the hour.
fn calendar_text(nanoseconds: i64) -> String {
    let milliseconds = (nanoseconds + 500_000).div_euclid(1_000_000);
    let seconds = milliseconds.div_euclid(1_000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of the Gregorian calendar, counted in eras of 400 years that begin in March.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01, if there is such a date.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let shifted = year - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    ((1..=12).contains(&month) && civil_from_days(days) == (year, month, day)).then_some(days)
}

/// A timespan as people read it.
pub(crate) fn text(timespan: Timespan) -> String {
    if timespan.is_empty() {
        return "(empty)".to_owned();
    }
    let begin = match timespan.begin() {
        Timespan::MIN => "(-∞".to_owned(),
        begin => format!("[{}", calendar_text(begin)),
    };
    let end = match timespan.end() {
        Timespan::MAX => "∞".to_owned(),
        end => calendar_text(end),
    };
    format!("{begin}, {end})")
}

/// A bound given by the user: nothing, a time, or the special empty bound.
enum Bounded {
    Unbounded,
    Empty,
    At(i64),
}

fn bound(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Bounded> {
    if object.is_none() {
        return Ok(Bounded::Unbounded);
    }
    if object.is_instance_of::<PyTimespanBound>() {
        return Ok(Bounded::Empty);
    }
    time_to_nanoseconds(object)?.map(Bounded::At).ok_or_else(|| {
        PyTypeError::new_err(format!(
            "`{}` cannot be the {name} of a timespan; give an `astropy.time.Time`, None, or `Timespan.EMPTY`",
            shown(object)
        ))
    })
}

/// The other side of a comparison: a timespan, or the instant of a time.
fn other_timespan(object: &Bound<'_, PyAny>) -> PyResult<Option<Timespan>> {
    if let Ok(timespan) = object.cast::<PyTimespan>() {
        return Ok(Some(timespan.get().0));
    }
    Ok(time_to_nanoseconds(object)?.map(Timespan::instant))
}

fn wanted_timespan(object: &Bound<'_, PyAny>) -> PyResult<Timespan> {
    other_timespan(object)?.ok_or_else(|| {
        PyTypeError::new_err(format!("`{}` is neither a `Timespan` nor an `astropy.time.Time`", shown(object)))
    })
}

#[pymethods]
impl PyTimespan {
    #[new]
    #[pyo3(signature = (begin, end, padInstant = true, _nsec = None))]
    #[allow(non_snake_case, reason = "the keyword's name")]
    fn new(
        begin: &Bound<'_, PyAny>,
        end: &Bound<'_, PyAny>,
        padInstant: bool,
        _nsec: Option<(i64, i64)>,
    ) -> PyResult<Self> {
        if let Some((begin, end)) = _nsec {
            return Ok(Self(Timespan::new(begin, end)));
        }
        let (Bounded::At(_) | Bounded::Unbounded, Bounded::At(_) | Bounded::Unbounded) =
            (bound("begin", begin)?, bound("end", end)?)
        else {
            return Ok(Self(Timespan::EMPTY));
        };
        let at = |bounded: Bounded, otherwise: i64| match bounded {
            Bounded::At(time) => time.clamp(Timespan::MIN, Timespan::MAX),
            Bounded::Unbounded | Bounded::Empty => otherwise,
        };
        let first = at(bound("begin", begin)?, Timespan::MIN);
        let last = at(bound("end", end)?, Timespan::MAX);
        if first == last && (first == Timespan::MIN || first == Timespan::MAX) {
            return Err(PyValueError::new_err(
                "both bounds of the timespan lie outside the years 1970 to 2100, which timespans can hold",
            ));
        }
        Ok(Self(if first == last && padInstant { Timespan::instant(first) } else { Timespan::new(first, last) }))
    }

    #[classattr]
    #[allow(non_snake_case, reason = "the attribute's name")]
    fn EMPTY(py: Python<'_>) -> PyResult<Py<PyTimespanBound>> {
        Ok(empty_bound(py)?.clone_ref(py))
    }

    #[classattr]
    fn yaml_tag() -> &'static str {
        "!lsst.daf.butler.Timespan"
    }

    #[staticmethod]
    #[pyo3(name = "makeEmpty")]
    fn make_empty() -> Self {
        Self(Timespan::EMPTY)
    }

    #[staticmethod]
    #[pyo3(name = "fromInstant")]
    fn from_instant(time: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Bounded::At(nanoseconds) = bound("instant", time)? else {
            return Err(PyTypeError::new_err(format!("`{}` is not an `astropy.time.Time`", shown(time))));
        };
        if !(Timespan::MIN..Timespan::MAX).contains(&nanoseconds) {
            return Err(PyValueError::new_err(format!(
                "`{time}` lies outside the years 1970 to 2100, which timespans can hold"
            )));
        }
        Ok(Self(Timespan::instant(nanoseconds)))
    }

    #[staticmethod]
    #[pyo3(signature = (day_obs, offset = 0))]
    fn from_day_obs(py: Python<'_>, day_obs: i64, offset: i64) -> PyResult<Self> {
        let days = days_from_civil(day_obs / 10_000, day_obs / 100 % 100, day_obs % 100)
            .filter(|_| (19_700_101..21_000_101).contains(&day_obs));
        let Some(days) = days else {
            let message = format!("`{day_obs}` is not a date as YYYYMMDD between 1970 and 2100");
            return Err(raise(py, ErrorClass::DimensionValueError, &message));
        };
        let begin = days * NANOSECONDS_PER_DAY + offset * NANOSECONDS_PER_SECOND;
        Ok(Self(Timespan::new(begin, begin + NANOSECONDS_PER_DAY)))
    }

    #[getter]
    fn begin(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.bound(py, self.0.begin(), Timespan::MIN)
    }

    #[getter]
    fn end(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.bound(py, self.0.end(), Timespan::MAX)
    }

    #[getter]
    fn nsec(&self) -> (i64, i64) {
        (self.0.begin(), self.0.end())
    }

    #[pyo3(name = "isEmpty")]
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn overlaps(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.overlaps(wanted_timespan(other)?))
    }

    fn contains(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let other = wanted_timespan(other)?;
        Ok(other.is_empty() || self.0.contains(other))
    }

    #[pyo3(signature = (*args))]
    fn intersection(&self, args: &Bound<'_, PyTuple>) -> PyResult<Self> {
        args.iter().try_fold(self.0, |sum, other| Ok(sum.intersection(wanted_timespan(&other)?))).map(Self)
    }

    fn difference<'py>(&self, py: Python<'py>, other: PyTimespan) -> PyResult<Bound<'py, PyAny>> {
        let pieces: Vec<Self> = self.0.difference(other.0).into_iter().map(Self).collect();
        Ok(PyList::new(py, pieces)?.try_iter()?.into_any())
    }

    #[pyo3(signature = (**_options))]
    fn model_dump(&self, _options: Option<&Bound<'_, PyDict>>) -> (i64, i64) {
        self.nsec()
    }

    #[pyo3(signature = (**_options))]
    fn model_dump_json(&self, _options: Option<&Bound<'_, PyDict>>) -> String {
        format!("[{},{}]", self.0.begin(), self.0.end())
    }

    #[staticmethod]
    fn model_validate(obj: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(timespan) = obj.cast::<PyTimespan>() {
            return Ok(*timespan.get());
        }
        let (begin, end): (i64, i64) = obj
            .extract::<Vec<i64>>()
            .ok()
            .and_then(|bounds| <[i64; 2]>::try_from(bounds).ok())
            .map(|[begin, end]| (begin, end))
            .ok_or_else(|| PyValueError::new_err(format!("`{}` is not a pair of nanoseconds", shown(obj))))?;
        Ok(Self(Timespan::new(begin, end)))
    }

    #[staticmethod]
    fn model_validate_json(json_data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::model_validate(&json_data.py().import("json")?.call_method1("loads", (json_data,))?)
    }

    fn __lt__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let other = wanted_timespan(other)?;
        Ok(!self.0.is_empty() && !other.is_empty() && self.0.end() <= other.begin())
    }

    fn __gt__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let other = wanted_timespan(other)?;
        Ok(!self.0.is_empty() && !other.is_empty() && self.0.begin() >= other.end())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<PyTimespan>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __str__(&self) -> String {
        text(self.0)
    }

    fn __repr__(&self) -> String {
        if self.0.is_empty() {
            return "Timespan(begin=_SpecialTimespanBound.EMPTY, end=_SpecialTimespanBound.EMPTY)".to_owned();
        }
        let shown = |nanoseconds: i64, unbounded: i64| {
            if nanoseconds == unbounded {
                return "None".to_owned();
            }
            let (jd1, jd2) = to_julian(nanoseconds);
            format!("astropy.time.Time({jd1:?}, {}, scale='tai', format='jd')", float_text(jd2))
        };
        format!("Timespan(begin={}, end={})", shown(self.0.begin(), Timespan::MIN), shown(self.0.end(), Timespan::MAX))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let arguments = (py.None(), py.None(), true, self.nsec()).into_pyobject(py)?;
        Ok((core_item(py, "Timespan")?, arguments))
    }
}

impl PyTimespan {
    fn bound(&self, py: Python<'_>, nanoseconds: i64, unbounded: i64) -> PyResult<Py<PyAny>> {
        if self.0.is_empty() {
            return Ok(empty_bound(py)?.clone_ref(py).into_any());
        }
        if nanoseconds == unbounded {
            return Ok(py.None());
        }
        nanoseconds_to_time(py, nanoseconds).map(Bound::unbind)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyTimespanBound>()?;
    module.add_class::<PyTimespan>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_goes_there_and_back() {
        for days in -1000..48_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), Some(days));
        }
        assert_eq!(days_from_civil(2025, 2, 29), None);
        assert_eq!(days_from_civil(2025, 13, 1), None);
        assert_eq!(calendar_text(1_735_689_600_000_000_000), "2025-01-01T00:00:00");
    }

    #[test]
    fn julian_dates_keep_nanoseconds() {
        assert_eq!(from_julian(2_460_677.0, -0.5), 1_735_689_600_000_000_000);
        assert_eq!(from_julian(2_440_587.5, 0.0), 0);
    }
}
