//! What the records of an element look like: names, types and words about each field.

use armillary_dimensions::{ElementIndex, Field, FieldRole, FieldType, Universe};
use pyo3::{
    exceptions::PyKeyError,
    prelude::*,
    types::{PyList, PyString, PyTuple},
};
use std::{fmt::Write, sync::Arc};

/// One field of a record.
#[pyclass(name = "ColumnSpec", frozen, skip_from_py_object, module = "armillary._core", eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct PyColumnSpec(pub(crate) Field);

/// The type of a field, as the dimension document spells it.
pub(crate) fn type_name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Int => "int",
        FieldType::Float => "float",
        FieldType::Bool => "bool",
        FieldType::String { .. } => "string",
        FieldType::Hash { .. } => "hash",
        FieldType::Region => "region",
        FieldType::Timespan => "timespan",
    }
}

#[pymethods]
impl PyColumnSpec {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn doc(&self) -> &str {
        &self.0.doc
    }

    #[getter]
    fn r#type(&self) -> &'static str {
        type_name(self.0.kind)
    }

    #[getter]
    fn nullable(&self) -> bool {
        self.0.nullable
    }

    /// The most characters, for strings.
    #[getter]
    fn length(&self) -> Option<usize> {
        match self.0.kind {
            FieldType::String { length } => Some(length),
            _ => None,
        }
    }

    /// The most bytes, for hashes.
    #[getter]
    fn nbytes(&self) -> Option<usize> {
        match self.0.kind {
            FieldType::Hash { nbytes } => Some(nbytes),
            _ => None,
        }
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, &self.0.name).hash()
    }

    fn __repr__(&self) -> String {
        let mut text = format!("ColumnSpec(name='{}', type='{}'", self.0.name, self.r#type());
        if let Some(length) = self.length() {
            let _ = write!(text, ", length={length}");
        }
        if let Some(nbytes) = self.nbytes() {
            let _ = write!(text, ", nbytes={nbytes}");
        }
        let nullable = if self.0.nullable { "True" } else { "False" };
        let _ = write!(text, ", nullable={nullable})");
        text
    }
}

/// Some fields of a record, in column order, found by name too.
#[pyclass(name = "ColumnSpecs", frozen, skip_from_py_object, module = "armillary._core", eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct PyColumnSpecs(pub(crate) Vec<PyColumnSpec>);

impl PyColumnSpecs {
    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|column| column.0.name.as_str()).collect()
    }

    /// As the columns of tables are declared, where all may be NULL but those of the key.
    pub(crate) fn as_stored(mut self) -> Self {
        for column in &mut self.0 {
            column.0.nullable = !matches!(column.0.role, FieldRole::Required(_) | FieldRole::Implied(_));
        }
        self
    }
}

#[pymethods]
impl PyColumnSpecs {
    #[getter]
    #[pyo3(name = "names")]
    fn names_tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names())
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, self.0.clone())?.try_iter()?.into_any())
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        match name.cast::<PyColumnSpec>() {
            Ok(column) => self.0.contains(column.get()),
            Err(_) => name.extract::<&str>().is_ok_and(|name| self.names().contains(&name)),
        }
    }

    fn __getitem__(&self, name: &str) -> PyResult<PyColumnSpec> {
        let found = self.0.iter().find(|column| column.0.name == name).cloned();
        found.ok_or_else(|| {
            PyKeyError::new_err(format!("no column is called `{name}`; there are {}", self.names().join(", ")))
        })
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyTuple::new(py, self.names())?.hash()
    }

    fn __repr__(&self) -> String {
        format!("{{{}}}", self.names().join(", "))
    }
}

/// All fields of the records of an element; prints with what the universe says about each.
#[pyclass(name = "DimensionRecordSchema", frozen, module = "armillary._core")]
pub(crate) struct PyRecordSchema {
    universe: Arc<Universe>,
    element: ElementIndex,
}

impl PyRecordSchema {
    pub(crate) fn new(universe: &Arc<Universe>, element: ElementIndex) -> Self {
        Self { universe: universe.clone(), element }
    }

    fn names(&self) -> Vec<&str> {
        self.universe.get(self.element).fields.iter().map(|field| field.name.as_str()).collect()
    }
}

#[pymethods]
impl PyRecordSchema {
    #[getter]
    fn all(&self) -> PyColumnSpecs {
        PyColumnSpecs(self.universe.get(self.element).fields.iter().cloned().map(PyColumnSpec).collect())
    }

    #[getter]
    #[pyo3(name = "names")]
    fn names_tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names())
    }

    fn __len__(&self) -> usize {
        self.universe.get(self.element).fields.len()
    }

    fn __str__(&self) -> String {
        let element = self.universe.get(self.element);
        let mut text = format!("{}: ", element.name);
        for field in &element.fields {
            let _ = write!(text, "\n  {}: {}", field.name, type_name(field.kind));
            for line in wrapped(&field.doc, 66) {
                let _ = write!(text, "\n    {line}");
            }
        }
        text
    }

    fn __repr__(&self) -> String {
        format!("<schema of `{}`: {}>", self.universe.get(self.element).name, self.names().join(", "))
    }
}

/// Lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyColumnSpec>()?;
    module.add_class::<PyColumnSpecs>()?;
    module.add_class::<PyRecordSchema>()
}
