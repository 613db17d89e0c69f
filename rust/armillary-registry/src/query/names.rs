//! What the names in an expression mean: dimensions, fields of their records, and properties of datasets.

use super::{
    error::{QueryError, QueryProblem},
    plan::is_skypix,
    predicate::{DATASET_FIELDS, DatasetField, Owner, Reference, Sort},
    resolve::Resolver,
};
use armillary_dimensions::{Element, FieldRole, FieldType, nearest};
use armillary_expression::Span;

impl Resolver<'_> {
    pub(super) fn reference(&self, parts: &[String], span: Span) -> Result<(Reference, Sort), QueryError> {
        let universe = self.scope.universe;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts[..] {
            [name] => match universe.find(name) {
                Some(element) if element.is_dimension() => Ok(key(element)),
                _ => self.unqualified(name, span),
            },
            ["timespan", bound] => {
                let (reference, _) = self.unqualified("timespan", span)?;
                self.timespan_bound(reference, bound, span)
            }
            [owner, field] => self.qualified(owner, field, span),
            [owner, field, bound] => {
                let (reference, sort) = self.qualified(owner, field, span)?;
                if sort == Sort::Timespan {
                    return self.timespan_bound(reference, bound, span);
                }
                Err(self.unknown_field(&format!("{owner}.{field}"), bound, Vec::new(), span))
            }
            _ => Err(self.unknown_name(&parts.join("."), span)),
        }
    }

    fn timespan_bound(&self, reference: Reference, bound: &str, span: Span) -> Result<(Reference, Sort), QueryError> {
        match (reference, bound) {
            (Reference::Timespan(owner), "begin") => Ok((Reference::Begin(owner), Sort::Time)),
            (Reference::Timespan(owner), "end") => Ok((Reference::End(owner), Sort::Time)),
            _ => Err(self.unknown_field("timespan", bound, vec!["begin".into(), "end".into()], span)),
        }
    }

    fn qualified(&self, owner: &str, field: &str, span: Span) -> Result<(Reference, Sort), QueryError> {
        if let Some(element) = self.scope.universe.find(owner) {
            return field_of(element, field)
                .ok_or_else(|| self.unknown_field(owner, field, field_names(element), span));
        }
        if let Some(search) = self.scope.searches.iter().position(|name| *name == owner) {
            let known = DATASET_FIELDS.map(str::to_owned).to_vec();
            return dataset_field(search, field).ok_or_else(|| self.unknown_field(owner, field, known, span));
        }
        if (self.scope.is_dataset_type)(owner) {
            let joined = self.scope.searches.iter().map(|name| (*name).to_owned()).collect();
            return Err(self.error(QueryProblem::NotJoined { dataset_type: owner.to_owned(), joined }, span));
        }
        Err(self.unknown_name(owner, span))
    }

    fn unqualified(&self, field: &str, span: Span) -> Result<(Reference, Sort), QueryError> {
        let universe = self.scope.universe;
        if let Some(found) = self.at_its_step(field) {
            return Ok(found);
        }
        if let Some(found) = self.scope.preferred.and_then(|element| own_field(universe.get(element), field)) {
            return Ok(found);
        }
        let mut matches = Vec::new();
        let named_alone = if self.scope.gives_datasets { 1 } else { self.scope.searches.len() };
        for (position, dataset_type) in self.scope.searches.iter().take(named_alone).enumerate() {
            matches.extend(dataset_field(position, field).map(|found| (format!("{dataset_type}.{field}"), found)));
        }
        for index in self.scope.elements {
            let element = universe.get(*index);
            matches.extend(own_field(element, field).map(|found| (format!("{}.{field}", element.name), found)));
        }
        match &matches[..] {
            [] => Err(self.unknown_name(field, span)),
            [(_, found)] => Ok(*found),
            _ => {
                let matches = matches.into_iter().map(|(name, _)| name).collect();
                Err(self.error(QueryProblem::AmbiguousName { name: field.to_owned(), matches }, span))
            }
        }
    }

    /// The one meaning that a field had at the step that added the condition.
    fn at_its_step(&self, field: &str) -> Option<(Reference, Sort)> {
        let then = self.then?;
        let universe = self.scope.universe;
        let info = universe.info(then.dimensions);
        let elements = info.elements.iter().filter_map(|index| own_field(universe.get(*index), field));
        let searches = self.scope.searches.iter().enumerate();
        let joined = searches.filter(|(_, name)| then.joins.iter().any(|join| join == *name));
        let mut found = joined.filter_map(|(position, _)| dataset_field(position, field)).chain(elements);
        found.next().filter(|_| found.next().is_none())
    }

    fn unknown_name(&self, name: &str, span: Span) -> QueryError {
        let universe = self.scope.universe;
        let elements = self.scope.elements.iter().map(|index| universe.get(*index));
        let mut known: Vec<String> = elements
            .flat_map(|element| field_names(element).into_iter().filter(|field| own_field(element, field).is_some()))
            .collect();
        known.extend(universe.elements().iter().filter(|e| !is_skypix(e)).map(|element| element.name.clone()));
        known.extend(self.scope.searches.iter().map(|name| (*name).to_owned()));
        let nearest = nearest(name, known.iter().map(String::as_str));
        let alone = self.is_condition && span.of(self.text) == name;
        self.error(QueryProblem::UnknownName { name: name.to_owned(), nearest, alone }, span)
    }

    fn unknown_field(&self, owner: &str, field: &str, known: Vec<String>, span: Span) -> QueryError {
        let nearest = nearest(field, known.iter().map(String::as_str));
        let span = match span.of(self.text).rfind(field) {
            Some(offset) => Span::new(span.start + offset, span.start + offset + field.len()),
            None => span,
        };
        let (owner, field) = (owner.to_owned(), field.to_owned());
        self.error(QueryProblem::UnknownField { owner, field, nearest, known }, span)
    }
}

fn key(element: &Element) -> (Reference, Sort) {
    let sort = match element.own_key().map(|field| field.kind) {
        Some(FieldType::String { .. }) => Sort::Text,
        _ => Sort::Int,
    };
    (Reference::Key(element.index), sort)
}

fn sort_of(kind: FieldType) -> Sort {
    match kind {
        FieldType::Int => Sort::Int,
        FieldType::Float => Sort::Float,
        FieldType::Bool => Sort::Bool,
        FieldType::String { .. } => Sort::Text,
        FieldType::Hash { .. } => Sort::Hash,
        FieldType::Region => Sort::Region,
        FieldType::Timespan => Sort::Timespan,
    }
}

/// A field of an element, its keys included.
fn field_of(element: &Element, name: &str) -> Option<(Reference, Sort)> {
    if is_skypix(element) && name == "region" {
        return Some((Reference::Region(element.index), Sort::Region));
    }
    let position = element.fields.iter().position(|field| field.name == name)?;
    let field = &element.fields[position];
    let sort = sort_of(field.kind);
    Some(match field.role {
        FieldRole::Required(dimension) => (Reference::Key(dimension), sort),
        FieldRole::Region => (Reference::Region(element.index), sort),
        FieldRole::Timespan => (Reference::Timespan(Owner::Element(element.index)), sort),
        FieldRole::Implied(_) | FieldRole::AlternateKey | FieldRole::Metadata => {
            (Reference::Field(element.index, position), sort)
        }
    })
}

/// A field of an element that is its own key or no key: what can be named without the element.
fn own_field(element: &Element, name: &str) -> Option<(Reference, Sort)> {
    let own = is_skypix(element) && name == "region"
        || element.field(name).is_some_and(|field| match field.role {
            FieldRole::Required(dimension) => dimension == element.index,
            FieldRole::Implied(_) => false,
            FieldRole::AlternateKey | FieldRole::Metadata | FieldRole::Region | FieldRole::Timespan => true,
        });
    own.then(|| field_of(element, name)).flatten()
}

fn field_names(element: &Element) -> Vec<String> {
    element.fields.iter().map(|field| field.name.clone()).collect()
}

fn dataset_field(search: usize, name: &str) -> Option<(Reference, Sort)> {
    Some(match name {
        "dataset_id" => (Reference::Dataset(search, DatasetField::Id), Sort::Uuid),
        "run" => (Reference::Dataset(search, DatasetField::Run), Sort::Text),
        "collection" => (Reference::Dataset(search, DatasetField::Collection), Sort::Text),
        "ingest_date" => (Reference::Dataset(search, DatasetField::IngestDate), Sort::Time),
        "timespan" => (Reference::Timespan(Owner::Search(search)), Sort::Timespan),
        _ => return None,
    })
}
