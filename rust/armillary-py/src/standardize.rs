//! From what people give as a data ID to a data ID.

use crate::{
    data_coordinate::PyDataCoordinate,
    errors::to_python,
    group::{group_from_python, same_universe},
    values::{key_from_python, shown},
};
use armillary_dimensions::{DataCoordinate, DimensionError, DimensionGroup, ElementIndex, GroupInfo, Key, Universe};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyDict, PyString},
};
use std::sync::Arc;

/// Values given for a new data ID, before their types are looked at.
type Given<'py> = Vec<(ElementIndex, Bound<'py, PyAny>)>;

/// Adds the items of a dict; a later value replaces an earlier one. Unknown names are refused unless `lenient`.
fn take<'py>(universe: &Universe, given: &mut Given<'py>, dict: &Bound<'py, PyDict>, lenient: bool) -> PyResult<()> {
    for (name, value) in dict.iter() {
        let text = name.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!("`{}` cannot be the name of a dimension; names are strings", shown(&name)))
        })?;
        let element = match universe.dimension(text.to_str()?) {
            Ok(element) => element.index,
            Err(_) if lenient => continue,
            Err(error) => return Err(to_python(dict.py(), &error)),
        };
        match given.iter_mut().find(|(index, _)| *index == element) {
            Some(slot) => slot.1 = value,
            None => given.push((element, value)),
        }
    }
    Ok(())
}

/// Dimensions whose value in `source` cannot be trusted for the data ID of `required`: those that a dimension on whose
/// value the two disagree implies.
fn spoiled(universe: &Universe, info: &GroupInfo, source: &DataCoordinate, required: &[Key]) -> DimensionGroup {
    let differs = |(index, key): (&ElementIndex, &Key)| source.get(*index).is_some_and(|other| other != key);
    let disagreed = info.required.iter().zip(required).filter(|pair| differs(*pair)).map(|(index, _)| *index);
    let mut spoiled = disagreed.fold(DimensionGroup::EMPTY, |sum, index| sum.union(DimensionGroup::single(index)));
    loop {
        let next = info.group.iter().fold(spoiled, |sum, index| {
            let element = universe.get(index);
            if element.required.is_disjoint(sum) { sum } else { sum.union(element.implied) }
        });
        if next == spoiled {
            return spoiled;
        }
        spoiled = next;
    }
}

/// A data ID from explicit values, then those of `base`, then those of `defaults`.
///
/// A value that `base` or `defaults` has for an implied dimension is used only if they agree on what implies it.
pub(crate) fn combine(
    universe: &Arc<Universe>,
    group: DimensionGroup,
    given: &[(ElementIndex, Key)],
    sources: [Option<&DataCoordinate>; 2],
) -> Result<DataCoordinate, DimensionError> {
    let explicit = |index| given.iter().find(|(at, _)| *at == index).map(|(_, key)| key.clone());
    if sources.iter().all(Option::is_none) {
        return DataCoordinate::from_lookup(universe, group, &mut |index| explicit(index));
    }
    let any =
        |index| explicit(index).or_else(|| sources.iter().flatten().find_map(|source| source.get(index).cloned()));
    let id = DataCoordinate::from_lookup(universe, group, &mut |index| any(index))?;
    if !id.has_full() {
        return Ok(id);
    }
    let info = universe.info(group);
    let spoiled = sources.map(|source| {
        source.map_or(DimensionGroup::EMPTY, |source| spoiled(universe, &info, source, id.required_values()))
    });
    DataCoordinate::from_lookup(universe, group, &mut |index| {
        let trusted = |source: Option<&DataCoordinate>, spoiled: DimensionGroup| {
            let usable = info.required.contains(&index) || !spoiled.contains(index);
            source.filter(|_| usable).and_then(|source| source.get(index)).cloned()
        };
        explicit(index).or_else(|| trusted(sources[0], spoiled[0])).or_else(|| trusted(sources[1], spoiled[1]))
    })
}

/// What `DataCoordinate.standardize` does; also the way for other bindings to read a data ID from a mapping.
pub(crate) fn standardize<'py>(
    py: Python<'py>,
    mapping: Option<&Bound<'py, PyAny>>,
    dimensions: Option<&Bound<'py, PyAny>>,
    universe: Option<&Arc<Universe>>,
    defaults: Option<&Bound<'py, PyAny>>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<PyDataCoordinate> {
    let keywords = keywords.filter(|keywords| !keywords.is_empty());
    let base = mapping.and_then(|mapping| mapping.cast::<PyDataCoordinate>().ok()).map(Bound::get);
    if let (Some(base), None, None) = (base, dimensions, keywords) {
        if let Some(universe) = universe {
            same_universe(py, universe, base.universe_arc())?;
        }
        return Ok(base.clone());
    }
    let typed_defaults = defaults.and_then(|defaults| defaults.cast::<PyDataCoordinate>().ok()).map(Bound::get);
    let universe = universe.or_else(|| base.or(typed_defaults).map(PyDataCoordinate::universe_arc));
    let (universe, group) = match (dimensions, universe) {
        (Some(dimensions), universe) => {
            group_from_python(py, universe, dimensions).map(|(u, group)| (u, Some(group)))?
        }
        (None, Some(universe)) => (universe.clone(), None),
        (None, None) => return Err(PyTypeError::new_err("give a universe, or dimensions as a `DimensionGroup`")),
    };
    if let (Some(base), Some(group), None) = (base, group, keywords)
        && group == base.id.group()
    {
        return Ok(base.clone());
    }
    let mut given = Vec::with_capacity(4);
    let mapping = mapping.filter(|mapping| base.is_none() && !mapping.is_none()).map(dict_of).transpose()?;
    for dict in [mapping.as_ref(), keywords].into_iter().flatten() {
        take(&universe, &mut given, dict, group.is_some())?;
    }
    let group = group.unwrap_or_else(|| {
        let start = base.map_or(DimensionGroup::EMPTY, |base| base.id.group());
        universe.conform(given.iter().fold(start, |sum, (index, _)| sum.union(DimensionGroup::single(*index))))
    });
    let keys = keys_of(&universe, &given, group)?;
    let mapped_defaults = match (typed_defaults, defaults) {
        (None, Some(defaults)) => Some(defaults_of(py, &universe, defaults)?),
        (Some(_), _) | (None, None) => None,
    };
    let defaults = typed_defaults.map(|defaults| &defaults.id).or(mapped_defaults.as_ref());
    let sources = [base.map(|base| &base.id), defaults];
    let id = combine(&universe, group, &keys, sources).map_err(|error| to_python(py, &error))?;
    let records = base.filter(|base| keys.is_empty() && group.is_subset(base.id.group()));
    Ok(PyDataCoordinate::new(id, records.and_then(|base| base.records.clone())))
}

/// Keys from the values given for dimensions of a group; values for others are not looked at.
fn keys_of(universe: &Universe, given: &Given<'_>, group: DimensionGroup) -> PyResult<Vec<(ElementIndex, Key)>> {
    let wanted = given.iter().filter(|(index, _)| group.contains(*index));
    wanted.map(|(index, value)| Ok((*index, key_from_python(&universe.get(*index).name, value)?))).collect()
}

/// The data ID of a mapping of defaults: its dimensions whose keys are all there.
fn defaults_of<'py>(
    py: Python<'py>,
    universe: &Arc<Universe>,
    mapping: &Bound<'py, PyAny>,
) -> PyResult<DataCoordinate> {
    let mut given = Vec::new();
    take(universe, &mut given, &dict_of(mapping)?, true)?;
    let all = given.iter().fold(DimensionGroup::EMPTY, |sum, (index, _)| sum.union(DimensionGroup::single(*index)));
    let complete = all.iter().filter(|index| universe.get(*index).required.is_subset(all));
    let group = complete.fold(DimensionGroup::EMPTY, |sum, index| sum.union(DimensionGroup::single(index)));
    let keys = keys_of(universe, &given, group)?;
    combine(universe, universe.conform(group), &keys, [None, None]).map_err(|error| to_python(py, &error))
}

fn dict_of<'py>(mapping: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = mapping.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    Ok(mapping.py().get_type::<PyDict>().call1((mapping,))?.cast_into::<PyDict>()?)
}
