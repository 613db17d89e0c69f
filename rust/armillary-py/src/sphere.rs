//! Regions by their stored bytes, and pixels: for tests, and for callers that hold no region object.

use crate::call::enter;
use crate::errors::{Classify, ErrorClass};
use armillary_sphere::{PreparedRegion, Region, SphereError, UnitVector3d, healpix, htm};
use pyo3::prelude::*;
use std::ops::Range;

impl Classify for SphereError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownType { .. }
            | Self::WrongLength { .. }
            | Self::NotFinite { .. }
            | Self::NotUnit { .. }
            | Self::TooDeep { .. }
            | Self::Longitudes { .. } => ErrorClass::RegistryConsistencyError,
            Self::NoDirection
            | Self::NoPolygon { .. }
            | Self::NotPos { .. }
            | Self::NoSuchLevel { .. }
            | Self::NoSuchPixel { .. }
            | Self::UnknownSystem { .. } => ErrorClass::ArgumentError,
        }
    }
}

fn prepare(bytes: &[u8]) -> Result<PreparedRegion, SphereError> {
    Region::decode(bytes).map(|region| region.prepare())
}

#[pyfunction]
fn region_relate(py: Python<'_>, a: &[u8], b: &[u8]) -> PyResult<u8> {
    enter(py, || Ok::<_, SphereError>(prepare(a)?.relate(&prepare(b)?).bits()))
}

#[pyfunction]
fn region_overlaps(py: Python<'_>, a: &[u8], b: &[u8]) -> PyResult<bool> {
    enter(py, || Ok::<_, SphereError>(prepare(a)?.overlaps(&prepare(b)?)))
}

/// One crossing for many pairs: the answers are bytes, one per pair.
#[pyfunction]
fn region_relate_pairs(py: Python<'_>, a: Vec<Vec<u8>>, b: Vec<Vec<u8>>) -> PyResult<Vec<u8>> {
    enter(py, || {
        a.iter().zip(&b).map(|(a, b)| Ok(prepare(a)?.relate(&prepare(b)?).bits())).collect::<Result<_, SphereError>>()
    })
}

#[pyfunction]
fn region_contains(py: Python<'_>, region: &[u8], x: f64, y: f64, z: f64) -> PyResult<bool> {
    enter(py, || Ok::<_, SphereError>(Region::decode(region)?.contains(UnitVector3d::from_normalized(x, y, z))))
}

#[pyfunction]
fn region_recode(py: Python<'_>, region: &[u8]) -> PyResult<Vec<u8>> {
    enter(py, || Region::decode(region).map(|region| region.encode()))
}

#[pyfunction]
fn region_from_ivoa_pos(py: Python<'_>, pos: &str) -> PyResult<Vec<u8>> {
    enter(py, || Region::from_ivoa_pos(pos).map(|region| region.encode()))
}

fn envelope(system: &str, level: u32, region: &[u8]) -> Result<Vec<(u64, u64)>, SphereError> {
    let region = Region::decode(region)?;
    let ranges: Vec<Range<u64>> = match system {
        "htm" => htm::envelope(&region, level)?,
        "healpix" => healpix::envelope(&region, level)?,
        other => return Err(SphereError::UnknownSystem { name: other.to_owned() }),
    };
    Ok(ranges.into_iter().map(|range| (range.start, range.end)).collect())
}

#[pyfunction]
fn skypix_envelope(py: Python<'_>, system: &str, level: u32, region: &[u8]) -> PyResult<Vec<(u64, u64)>> {
    enter(py, || envelope(system, level, region))
}

#[pyfunction]
fn skypix_index(py: Python<'_>, system: &str, level: u32, x: f64, y: f64, z: f64) -> PyResult<u64> {
    enter(py, || {
        let direction = UnitVector3d::new(x, y, z)?;
        match system {
            "htm" => htm::index(direction, level),
            "healpix" => healpix::index(direction, level),
            other => Err(SphereError::UnknownSystem { name: other.to_owned() }),
        }
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(region_relate, module)?)?;
    module.add_function(wrap_pyfunction!(region_overlaps, module)?)?;
    module.add_function(wrap_pyfunction!(region_relate_pairs, module)?)?;
    module.add_function(wrap_pyfunction!(region_contains, module)?)?;
    module.add_function(wrap_pyfunction!(region_recode, module)?)?;
    module.add_function(wrap_pyfunction!(region_from_ivoa_pos, module)?)?;
    module.add_function(wrap_pyfunction!(skypix_envelope, module)?)?;
    module.add_function(wrap_pyfunction!(skypix_index, module)?)
}
