//! YAML as plain Python values, in one pass over the events of a parser.
//!
//! Nothing is made but what the caller names: a tag that it does not know is an error, and aliases cannot make a short
//! text stand for a long one.

use crate::{
    errors::{ErrorClass, raise},
    values::uuid_to_python,
    yaml_scalars::{self, Plain},
};
use pyo3::{
    exceptions::PyException,
    prelude::*,
    types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString},
};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};
use std::{borrow::Cow, collections::HashMap};

/// As the reader of configurations has them: no real document comes near these.
const MOST_LEVELS: usize = 200;
const MOST_VALUES_OF_ALIASES: usize = 2_000_000;
/// Strings up to this length are likely to come again: keys, instruments, runs.
const SHORT: usize = 64;
const MOST_KNOWN_STRINGS: usize = 8192;
const CORE: &str = "tag:yaml.org,2002:";

/// A sequence or mapping that is not closed yet.
struct Open<'py> {
    content: Content<'py>,
    anchor: usize,
    tag: Option<String>,
    line: usize,
    /// How many values had been read when it began.
    before: usize,
}

enum Content<'py> {
    Sequence(Bound<'py, PyList>),
    Mapping { own: Bound<'py, PyDict>, key: Option<Key<'py>>, merged: Vec<Bound<'py, PyAny>> },
}

enum Key<'py> {
    Value(Bound<'py, PyAny>),
    Merge,
}

struct Reader<'py, 'a> {
    py: Python<'py>,
    source: &'a str,
    constructors: &'a Bound<'py, PyDict>,
    open: Vec<Open<'py>>,
    /// Values with an anchor, and how many values each stands for.
    anchored: HashMap<usize, (Bound<'py, PyAny>, usize)>,
    strings: HashMap<String, Bound<'py, PyString>>,
    values: usize,
    values_of_aliases: usize,
    document: Option<Bound<'py, PyAny>>,
}

impl<'py> Reader<'py, '_> {
    fn error(&self, line: usize, problem: &str) -> PyErr {
        let message = format!("`{}`, line {line}: {problem}", self.source);
        raise(self.py, ErrorClass::ValidationError, &message)
    }

    fn take(&mut self, event: Event<'_>, line: usize) -> PyResult<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.values += 1;
                if tag.is_none()
                    && style == ScalarStyle::Plain
                    && text == "<<"
                    && let Some(Open { content: Content::Mapping { key: key @ None, .. }, .. }) = self.open.last_mut()
                {
                    *key = Some(Key::Merge);
                    return Ok(());
                }
                let value = self.scalar(&text, style, tag, line)?;
                if anchor > 0 {
                    self.anchored.insert(anchor, (value.clone(), 1));
                }
                self.place(value, line)
            }
            Event::SequenceStart(anchor, tag) => {
                let content = Content::Sequence(PyList::empty(self.py));
                self.begin(content, anchor, tag.map(full_tag), line)
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Mapping { own: PyDict::new(self.py), key: None, merged: Vec::new() };
                self.begin(content, anchor, tag.map(full_tag), line)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some((value, size)) = self.anchored.get(&anchor).cloned() else {
                    return Err(self.error(line, "a value contains itself"));
                };
                self.values += size;
                self.values_of_aliases += size;
                if self.values_of_aliases > MOST_VALUES_OF_ALIASES {
                    let problem = format!("aliases stand for more than {MOST_VALUES_OF_ALIASES} values");
                    return Err(self.error(line, &problem));
                }
                self.place(value, line)
            }
            Event::DocumentStart(_) if self.document.is_some() => {
                Err(self.error(line, "a second document begins; there must be one"))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, content: Content<'py>, anchor: usize, tag: Option<String>, line: usize) -> PyResult<()> {
        if self.open.len() >= MOST_LEVELS {
            return Err(self.error(line, &format!("values are nested deeper than {MOST_LEVELS} levels")));
        }
        self.open.push(Open { content, anchor, tag, line, before: self.values });
        self.values += 1;
        Ok(())
    }

    fn end(&mut self) -> PyResult<()> {
        let Some(Open { content, anchor, tag, line, before }) = self.open.pop() else { return Ok(()) };
        let plain = match content {
            Content::Sequence(list) => list.into_any(),
            Content::Mapping { own, merged, .. } if merged.is_empty() => own.into_any(),
            Content::Mapping { own, merged, .. } => self.merge(&own, &merged, line)?.into_any(),
        };
        let value = match tag.as_deref() {
            None => plain,
            Some(tag) if tag == format!("{CORE}seq") && plain.is_instance_of::<PyList>() => plain,
            Some(tag) if tag == format!("{CORE}map") && plain.is_instance_of::<PyDict>() => plain,
            Some(tag) => self.construct(tag, &plain, line)?,
        };
        if anchor > 0 {
            self.anchored.insert(anchor, (value.clone(), self.values - before));
        }
        self.place(value, line)
    }

    /// A mapping with what `<<` takes in: its own entries are stronger, then those of what comes first.
    fn merge(
        &self,
        own: &Bound<'py, PyDict>,
        merged: &[Bound<'py, PyAny>],
        line: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let made = PyDict::new(self.py);
        let mut given = Vec::new();
        for one in merged {
            match one.cast::<PyList>() {
                Ok(list) => given.extend(list.iter()),
                Err(_) => given.push(one.clone()),
            }
        }
        for one in given.iter().rev() {
            let mapping =
                one.cast::<PyDict>().map_err(|_| self.error(line, "`<<` takes in something that is no mapping"))?;
            made.update(mapping.as_mapping())?;
        }
        made.update(own.as_mapping())?;
        Ok(made)
    }

    /// Give a value its place in what is open.
    fn place(&mut self, value: Bound<'py, PyAny>, line: usize) -> PyResult<()> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.document = Some(value),
            Some(Content::Sequence(list)) => list.append(value)?,
            Some(Content::Mapping { own, key, merged }) => match key.take() {
                None => *key = Some(Key::Value(value)),
                Some(Key::Merge) => merged.push(value),
                Some(Key::Value(name)) => {
                    if own.set_item(&name, value).is_err() {
                        return Err(self.error(line, "a key is neither text nor a number"));
                    }
                }
            },
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<Cow<'_, Tag>>,
        line: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(tag) = tag.map(full_tag) else {
            let plain = if style == ScalarStyle::Plain { yaml_scalars::resolve(text) } else { Plain::Text };
            return self.plain(text, plain, line);
        };
        let wrong = |kind: &str| self.error(line, &format!("`{text}` is no {kind}"));
        let resolved = yaml_scalars::resolve(text);
        match tag.strip_prefix(CORE) {
            Some("str") => return Ok(self.string(text).into_any()),
            Some("null") => return Ok(self.py.None().into_bound(self.py)),
            Some("bool") => match resolved {
                Plain::Bool(_) => return self.plain(text, resolved, line),
                _ => return Err(wrong("truth value")),
            },
            Some("int") => match resolved {
                Plain::Int(_) | Plain::BigInt(..) => return self.plain(text, resolved, line),
                _ => return Err(wrong("integer")),
            },
            Some("float") => match resolved {
                Plain::Float(_) => return self.plain(text, resolved, line),
                _ => match text.replace('_', "").parse() {
                    Ok(number) => return self.plain(text, Plain::Float(number), line),
                    Err(_) => return Err(wrong("number")),
                },
            },
            Some("timestamp") => return self.plain(text, Plain::Time, line),
            Some("binary") => {
                let bytes =
                    self.py.import("base64")?.call_method1("decodebytes", (PyBytes::new(self.py, text.as_bytes()),));
                return bytes.map_err(|_| wrong("base64 text"));
            }
            _ => {}
        }
        match tag.as_str() {
            "!" => Ok(self.string(text).into_any()),
            "!uuid" => match uuid::Uuid::parse_str(text) {
                Ok(id) => uuid_to_python(self.py, id.as_bytes()),
                Err(_) => Err(wrong("UUID")),
            },
            _ => self.construct(&tag, PyString::new(self.py, text).as_any(), line),
        }
    }

    fn plain(&mut self, text: &str, plain: Plain, line: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        Ok(match plain {
            Plain::Null => py.None().into_bound(py),
            Plain::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
            Plain::Int(value) => PyInt::new(py, value).into_any(),
            Plain::BigInt(digits, base) => py.get_type::<PyInt>().call1((digits, base))?,
            Plain::Float(value) => PyFloat::new(py, value).into_any(),
            Plain::Time => self.construct(&format!("{CORE}timestamp"), PyString::new(py, text).as_any(), line)?,
            Plain::Merge | Plain::Text => self.string(text).into_any(),
        })
    }

    fn string(&mut self, text: &str) -> Bound<'py, PyString> {
        if text.len() > SHORT {
            return PyString::new(self.py, text);
        }
        if let Some(known) = self.strings.get(text) {
            return known.clone();
        }
        let made = PyString::new(self.py, text);
        if self.strings.len() < MOST_KNOWN_STRINGS {
            self.strings.insert(text.to_owned(), made.clone());
        }
        made
    }

    /// The value of a tag that the caller knows.
    fn construct(&self, tag: &str, plain: &Bound<'py, PyAny>, line: usize) -> PyResult<Bound<'py, PyAny>> {
        let shown = tag.strip_prefix(CORE).map_or_else(|| tag.to_owned(), |name| format!("!!{name}"));
        let Some(constructor) = self.constructors.get_item(tag)? else {
            return Err(self
                .error(line, &format!("nothing is made of a value with the tag `{shown}`, which is not known here")));
        };
        constructor.call1((plain,)).map_err(|problem| {
            if !problem.is_instance_of::<PyException>(self.py) {
                return problem;
            }
            let error = self
                .error(line, &format!("the value with the tag `{shown}` cannot be read: {}", problem.value(self.py)));
            error.set_cause(self.py, Some(problem));
            error
        })
    }
}

fn full_tag(tag: Cow<'_, Tag>) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

/// Read one YAML document as plain values.
#[pyfunction]
#[pyo3(signature = (text, /, *, source, constructors))]
fn read_yaml<'py>(
    py: Python<'py>,
    text: &str,
    source: &str,
    constructors: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut reader = Reader {
        py,
        source,
        constructors,
        open: Vec::new(),
        anchored: HashMap::new(),
        strings: HashMap::new(),
        values: 0,
        values_of_aliases: 0,
        document: None,
    };
    let line_of = |mark: &Marker| mark.line();
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => reader.take(event, line_of(&span.start))?,
            Err(problem) => {
                return Err(reader.error(line_of(problem.marker()), &format!("this is not YAML: {}", problem.info())));
            }
        }
    }
    Ok(reader.document.unwrap_or_else(|| py.None().into_bound(py)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_yaml, module)?)
}
