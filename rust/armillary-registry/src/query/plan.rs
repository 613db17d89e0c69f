//! What a request means: dimensions, searches, conditions and joins, before any SQL.

use super::{
    error::{QueryError, QueryProblem},
    predicate::{DatasetField, Owner, Predicate, Reference, RegionTerm, Scalar, Sort, Test, TimeTerm},
    request::{QueryRequest, ResultKind, Upload},
    resolve::{Scope, resolve_clause, resolve_column, resolve_field, resolve_order},
    search::Search,
};
use crate::{Catalog, Registry, RegistryError};
use armillary_dimensions::{DimensionGroup, Element, ElementIndex, ElementKind, FieldRole, FieldType, Universe, Value};
use armillary_expression::Comparison;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A request with everything looked up.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) universe: Arc<Universe>,
    pub(crate) catalog: Arc<Catalog>,
    /// Dimensions of a row of the answer.
    pub(crate) output: DimensionGroup,
    /// All dimensions that take part.
    pub(crate) group: DimensionGroup,
    /// The search of the answer first, if it has one, then those of the joins.
    pub(crate) searches: Vec<Search>,
    pub(crate) conditions: Vec<Predicate>,
    /// Values that dimensions are bound to have by the conditions.
    pub(crate) constraints: BTreeMap<ElementIndex, Vec<Value>>,
    /// Pairs of elements whose regions must overlap.
    pub(crate) overlaps: Vec<(ElementIndex, ElementIndex)>,
    pub(crate) order: Vec<Order>,
    /// Columns of a general answer, with their names.
    pub(crate) columns: Vec<(String, Reference, Sort)>,
    /// The search of which only the first collection with a data ID counts.
    pub(crate) find_first: Option<usize>,
    /// Whether the datasets of the first search are the answer.
    pub(crate) gives_datasets: bool,
}

/// What to sort by.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) term: Scalar,
    pub(crate) sort: Sort,
    pub(crate) descending: bool,
}

impl Plan {
    pub(crate) fn new(registry: &Registry, request: &QueryRequest) -> Result<Self, RegistryError> {
        let catalog = registry.catalog()?;
        let universe = registry.universe().clone();
        let (output, searches, find_first) = find_searches(&universe, &catalog, request)?;
        let context = searches
            .iter()
            .fold(output.union(request.dimensions), |group, search| group.union(search.dataset_type.group));
        let mut plan = Self {
            group: universe.conform(context),
            universe,
            catalog,
            output,
            searches,
            conditions: Vec::new(),
            constraints: BTreeMap::new(),
            overlaps: Vec::new(),
            order: Vec::new(),
            columns: Vec::new(),
            find_first,
            gives_datasets: matches!(request.result, ResultKind::Datasets { .. }),
        };
        plan.resolve(request)?;
        plan.extend_group(request);
        plan.govern(registry, request)?;
        plan.constrain();
        for search in &mut plan.searches {
            let places: Vec<i64> = search.collections.iter().map(|place| place.id).collect();
            let summaries = registry.summaries_for(&search.dataset_type, &places, true)?;
            search.prune(&plan.catalog, &summaries, &plan.universe, &plan.constraints);
        }
        plan.join_regions(&request.uploads)?;
        plan.join_times();
        Ok(plan)
    }

    /// Looks up every name in the request.
    fn resolve(&mut self, request: &QueryRequest) -> Result<(), RegistryError> {
        let info = self.universe.info(self.group);
        let is_dataset_type = |name: &str| self.catalog.dataset_type(name).is_some();
        let scope = Scope {
            universe: &self.universe,
            elements: &info.elements,
            preferred: if let ResultKind::Records(element) = request.result { Some(element) } else { None },
            gives_datasets: self.gives_datasets,
            searches: self.searches.iter().map(|search| &*search.dataset_type.name).collect(),
            is_dataset_type: &is_dataset_type,
        };
        let mut conditions = Vec::new();
        for clause in &request.clauses {
            conditions.extend(resolve_clause(&scope, clause)?);
        }
        for (name, value) in &request.data_id {
            conditions.push(match self.universe.find(name).filter(|element| element.is_dimension()) {
                Some(element) => match text_key(element, value) {
                    Some(field) => resolve_field(&scope, &field, value)?,
                    None => key_condition(&self.universe, name, value)?,
                },
                // A field of a record, such as `exposure.day_obs`; else the error says that there is no such dimension.
                None => match resolve_field(&scope, name, value) {
                    Err(error) if error.is_about_a_name() => key_condition(&self.universe, name, value)?,
                    found => found?,
                },
            });
        }
        let mut columns: Vec<(String, Reference, Sort)> = Vec::new();
        if let ResultKind::General { columns: names, .. } = &request.result {
            for name in names {
                let (reference, sort) = resolve_column(&scope, name)?;
                let name = self.column_name(reference);
                if !matches!(reference, Reference::Key(_)) && !columns.iter().any(|(known, ..)| *known == name) {
                    columns.push((name, reference, sort));
                }
                self.output = self.universe.conform(self.output.union(self.dimensions_of(reference)));
            }
        }
        let mut order = Vec::new();
        for term in &request.order_by {
            let (scalar, sort, descending) = resolve_order(&scope, term)?;
            self.check_order(term, &scalar, sort)?;
            order.push(Order { term: scalar, sort, descending });
        }
        (self.conditions, self.order, self.columns) = (conditions, order, columns);
        Ok(())
    }

    /// The full name of a column.
    fn column_name(&self, reference: Reference) -> String {
        let owner_name = |owner: Owner| match owner {
            Owner::Element(index) => self.universe.get(index).name.as_str(),
            Owner::Search(search) => &self.searches[search].dataset_type.name,
        };
        match reference {
            Reference::Key(index) => self.universe.get(index).name.clone(),
            Reference::Field(index, position) => {
                let element = self.universe.get(index);
                format!("{}.{}", element.name, element.fields[position].name)
            }
            Reference::Timespan(owner) => format!("{}.timespan", owner_name(owner)),
            Reference::Begin(owner) => format!("{}.timespan.begin", owner_name(owner)),
            Reference::End(owner) => format!("{}.timespan.end", owner_name(owner)),
            Reference::Region(index) => format!("{}.region", self.universe.get(index).name),
            Reference::Dataset(search, field) => {
                format!("{}.{}", self.searches[search].dataset_type.name, field.name())
            }
        }
    }

    /// The dimensions that a row has which holds a column.
    fn dimensions_of(&self, reference: Reference) -> DimensionGroup {
        let element = reference.element().map(|index| element_dimensions(&self.universe, self.universe.get(index)));
        let search = reference.search().map(|search| self.searches[search].dataset_type.group);
        element.or(search).unwrap_or(DimensionGroup::EMPTY)
    }

    fn check_order(&self, term: &str, scalar: &Scalar, sort: Sort) -> Result<(), QueryError> {
        let refuse = |reason: String| Err(QueryProblem::BadOrder { term: term.to_owned(), reason }.into());
        if matches!(sort, Sort::Region | Sort::Timespan) {
            let hint = if sort == Sort::Timespan { "; use its `.begin` or `.end`" } else { "" };
            return refuse(format!("{} has no order{hint}", sort.text()));
        }
        let mut foreign = false;
        scalar.each_reference(&mut |reference| {
            let element = reference.element().map(|element| self.universe.get(element));
            foreign |= element.is_some_and(|element| !element.required.is_subset(self.output));
        });
        if foreign {
            let names: Vec<&str> = self.universe.names(self.output).collect();
            return refuse(format!("it is not part of the answer, whose dimensions are {}", names.join(", ")));
        }
        Ok(())
    }

    /// Adds the dimensions that conditions, columns and uploads need.
    fn extend_group(&mut self, request: &QueryRequest) {
        let universe = &self.universe;
        let mut group = self.group;
        let mut add = |reference: Reference| {
            if let Some(element) = reference.element() {
                group = group.union(element_dimensions(universe, universe.get(element)));
            }
        };
        for condition in &self.conditions {
            condition.each_reference(&mut add);
        }
        for order in &self.order {
            order.term.each_reference(&mut add);
        }
        for (_, reference, _) in &self.columns {
            add(*reference);
        }
        for upload in &request.uploads {
            group = group.union(upload.group());
        }
        self.group = universe.conform(group);
    }

    /// Adds default governors, and refuses keys that mean nothing without one.
    fn govern(&mut self, registry: &Registry, request: &QueryRequest) -> Result<(), RegistryError> {
        let universe = self.universe.clone();
        let (mut keys, mut named) = (BTreeSet::new(), BTreeSet::new());
        for condition in &self.conditions {
            condition.each_reference(&mut |reference| {
                let Some(index) = reference.element() else { return };
                let element = universe.get(index);
                if let Reference::Key(key) = reference
                    && !says_nothing(condition)
                {
                    named.insert(key);
                }
                let identifies = match reference {
                    Reference::Key(_) => true,
                    Reference::Field(_, field) => {
                        matches!(element.fields[field].role, FieldRole::AlternateKey | FieldRole::Implied(_))
                    }
                    Reference::Timespan(_)
                    | Reference::Begin(_)
                    | Reference::End(_)
                    | Reference::Region(_)
                    | Reference::Dataset(..) => false,
                };
                if identifies {
                    keys.insert(index);
                }
            });
        }
        for upload in &request.uploads {
            named.extend(upload.dimensions.iter().copied());
        }
        for governor in &universe.info(self.group).governors {
            if named.contains(governor) {
                continue;
            }
            let name = &universe.get(*governor).name;
            if let Some((_, value)) = request.defaults.iter().find(|(default, _)| default == name) {
                self.conditions.push(key_condition(&universe, name, value)?);
                continue;
            }
            if let Some(dependent) =
                keys.iter().find(|key| **key != *governor && universe.get(**key).required.contains(*governor))
            {
                return Err(QueryError::from(QueryProblem::NoGovernor {
                    governor: name.clone(),
                    dimension: universe.get(*dependent).name.clone(),
                    known: registry.known_values(*governor)?,
                })
                .into());
            }
        }
        Ok(())
    }

    /// Collects the values that conditions force dimensions to have.
    fn constrain(&mut self) {
        for condition in &self.conditions {
            let Predicate::Test(test) = condition else { continue };
            if let Test::Rows(list) = test {
                // What they all share, such as the instrument.
                for (place, (column, _)) in list.columns.iter().enumerate() {
                    if let (Reference::Key(key), Some(first)) = (column, list.rows.first())
                        && list.rows.iter().all(|row| row[place] == first[place])
                    {
                        self.constraints.insert(*key, vec![first[place].clone()]);
                    }
                }
            }
            let (key, values) = match test {
                Test::Compare(Comparison::Equal, Scalar::Column(Reference::Key(key)), Scalar::Literal(value))
                | Test::Compare(Comparison::Equal, Scalar::Literal(value), Scalar::Column(Reference::Key(key))) => {
                    (*key, vec![value.clone()])
                }
                Test::In { value: Scalar::Column(Reference::Key(key)), items, ranges, null: false }
                    if ranges.is_empty() && items.len() <= 100 =>
                {
                    (*key, items.clone())
                }
                _ => continue,
            };
            let fits = |value: &Value| matches!(value, Value::Int(_) | Value::Str(_));
            if values.iter().all(fits) {
                // Two conditions on one key both hold; the shorter list prunes better.
                let known = self.constraints.entry(key).or_insert_with(|| values.clone());
                if values.len() < known.len() {
                    *known = values;
                }
            }
        }
    }

    /// Decides which regions must overlap: as written, and else the finest of two unrelated families.
    fn join_regions(&mut self, uploads: &[Upload]) -> Result<(), QueryError> {
        let universe = self.universe.clone();
        for condition in &self.conditions {
            if let Predicate::Test(Test::Regions(RegionTerm::Column(left), RegionTerm::Column(right))) = condition {
                self.overlaps.push((*left, *right));
            }
        }
        let family = |index: ElementIndex| universe.get(index).spatial.clone().unwrap_or_default();
        let finest = universe.info(self.group).spatial.clone();
        let mut sets: Vec<BTreeSet<String>> = finest.iter().map(|index| BTreeSet::from([family(*index)])).collect();
        for (left, right) in &self.overlaps {
            let (left, right) = (family(*left), family(*right));
            let (touched, mut rest): (Vec<_>, Vec<_>) =
                sets.into_iter().partition(|set| set.contains(&left) || set.contains(&right));
            rest.push(touched.into_iter().flatten().collect());
            sets = rest;
        }
        match sets.len() {
            0 | 1 => Ok(()),
            2 if sets.iter().all(|set| set.len() == 1) => {
                // Datasets that know both sides say which of them belong together, by whatever their maker went by; so do
                // data IDs that the caller gives.
                let both = universe.get(finest[0]).required.union(universe.get(finest[1]).required);
                let searched = self.searches.iter().map(|search| search.dataset_type.group);
                if !searched.chain(uploads.iter().map(Upload::group)).any(|group| both.is_subset(group)) {
                    self.overlaps.push((finest[0], finest[1]));
                }
                Ok(())
            }
            _ if self.searches.iter().any(Search::is_doomed) => Ok(()), // whatever overlaps, there are no rows
            _ => {
                let families = sets.iter().map(|set| set.iter().cloned().collect::<Vec<_>>().join("+")).collect();
                Err(QueryProblem::Disconnected { families }.into())
            }
        }
    }

    /// Calibrations must be valid at the time of the observations that take part, unless their times are compared anyway.
    fn join_times(&mut self) {
        let Some(observation) = self.universe.info(self.group).temporal.first().copied() else { return };
        for (position, search) in self.searches.iter().enumerate() {
            if !search.has_calibrations() || self.conditions.iter().any(|c| compares_times(c, position)) {
                continue;
            }
            let test =
                Test::Times(TimeTerm::Span(Owner::Search(position)), TimeTerm::Span(Owner::Element(observation)));
            self.conditions.push(Predicate::Test(test));
        }
    }

    /// The same plan that looks into nothing but the first collection, where only the first counts and rows are few.
    ///
    /// Whatever is found there is part of the answer, so it may be enough for a limit.
    pub(crate) fn hurried(&self, request: &QueryRequest) -> Option<Self> {
        let search =
            self.find_first.filter(|_| self.gives_datasets && request.limit.is_some() && self.order.is_empty())?;
        if self.searches[search].collections.len() < 2 {
            return None;
        }
        let mut plan = self.clone();
        plan.searches[search].collections.truncate(1);
        Some(plan)
    }

    /// The first reason why the answer must be empty, if there is one.
    pub(crate) fn doom(&self) -> Vec<String> {
        self.searches.iter().map(Search::doom).find(|reasons| !reasons.is_empty()).unwrap_or_default()
    }

    /// Whether the datasets of a search are the answer.
    pub(crate) const fn answers_with(&self, position: usize) -> bool {
        self.gives_datasets && position == 0
    }

    /// Whether the answer says when datasets of a search are valid.
    pub(crate) fn tells_validity(&self, position: usize) -> bool {
        let owner = Owner::Search(position);
        let told = |reference: Reference| matches!(reference, Reference::Timespan(of) | Reference::Begin(of) | Reference::End(of) if of == owner);
        self.columns.iter().any(|(_, reference, _)| told(*reference))
    }

    /// What is needed of a search beyond the data ID.
    pub(crate) fn uses(&self, position: usize) -> BTreeSet<Reference> {
        let mut used = BTreeSet::new();
        let mut add = |reference: Reference| {
            if reference.search() == Some(position) {
                used.insert(reference);
            }
        };
        for condition in &self.conditions {
            condition.each_reference(&mut add);
        }
        for order in &self.order {
            order.term.each_reference(&mut add);
        }
        for (_, reference, _) in &self.columns {
            add(*reference);
        }
        if self.find_first == Some(position) && !self.searches[position].is_single() {
            add(Reference::Dataset(position, DatasetField::Collection));
            if self.searches[position].has_calibrations() && self.tells_validity(position) {
                add(Reference::Begin(Owner::Search(position)));
            }
        }
        used
    }
}

type Searches = (DimensionGroup, Vec<Search>, Option<usize>);

fn find_searches(universe: &Universe, catalog: &Catalog, request: &QueryRequest) -> Result<Searches, RegistryError> {
    let mut searches = Vec::new();
    let mut first = None;
    let output = match &request.result {
        ResultKind::DataIds(group) => *group,
        ResultKind::Records(element) => element_dimensions(universe, universe.get(*element)),
        ResultKind::General { dimensions, find_first, .. } => {
            first = find_first.as_deref();
            *dimensions
        }
        ResultKind::Datasets { search, find_first } => {
            searches.push(Search::find(catalog, search, *find_first)?);
            if *find_first {
                first = Some(&search.dataset_type);
            }
            searches[0].dataset_type.group
        }
    };
    for join in &request.joins {
        if searches.iter().any(|search: &Search| *search.dataset_type.name == *join.dataset_type) {
            // The search of the answer says where to look; a second one of the same type adds nothing.
            continue;
        }
        searches.push(Search::find(catalog, join, first == Some(&join.dataset_type))?);
    }
    let find_first = first.and_then(|name| searches.iter().position(|search| *search.dataset_type.name == *name));
    Ok((universe.conform(output), searches, find_first))
}

/// The dimensions that a record of an element has values for.
pub(crate) fn element_dimensions(universe: &Universe, element: &Element) -> DimensionGroup {
    let own = if element.is_dimension() { DimensionGroup::single(element.index) } else { DimensionGroup::EMPTY };
    universe.conform(element.required.union(element.implied).union(own))
}

/// Whether a condition only asks for a key that is missing or one of no values, which singles nothing out.
fn says_nothing(condition: &Predicate) -> bool {
    match condition {
        Predicate::Test(Test::IsNull(_)) => true,
        Predicate::Test(Test::In { items, ranges, .. }) => items.is_empty() && ranges.is_empty(),
        Predicate::Not(inner) => says_nothing(inner),
        _ => false,
    }
}

/// The field that stands for the key of an element where text is given for an integer: `detector.full_name`.
fn text_key(element: &Element, value: &Value) -> Option<String> {
    let Value::Str(text) = value else { return None };
    let is_text = |kind: FieldType| matches!(kind, FieldType::String { .. });
    if element.own_key().is_none_or(|key| is_text(key.kind)) || text.trim().parse::<i64>().is_ok() {
        return None;
    }
    let alternate = |field: &&armillary_dimensions::Field| field.role == FieldRole::AlternateKey && is_text(field.kind);
    element.fields.iter().find(alternate).map(|field| format!("{}.{}", element.name, field.name))
}

/// The condition that a dimension has a value; text that is an integer is taken as one.
fn key_condition(universe: &Universe, name: &str, value: &Value) -> Result<Predicate, RegistryError> {
    let element = universe.dimension(name)?;
    let is_text = matches!(element.own_key().map(|field| field.kind), Some(FieldType::String { .. }));
    let value = match value {
        Value::Int(_) | Value::Float(_) if !is_text => value.clone(),
        Value::Str(_) if is_text => value.clone(),
        Value::Str(written) if !is_text && written.trim().parse::<i64>().is_ok() => {
            Value::Int(written.trim().parse().unwrap_or_default())
        }
        other => {
            let shown = other.to_key().map_or_else(|| format!("{other:?}"), |key| key.to_string());
            let wanted = if is_text { "a string" } else { "an integer" };
            let problem = QueryProblem::BadKey { dimension: name.to_owned(), value: shown, wanted };
            return Err(QueryError::from(problem).into());
        }
    };
    let test = Test::Compare(Comparison::Equal, Scalar::Column(Reference::Key(element.index)), Scalar::Literal(value));
    Ok(Predicate::Test(test))
}

/// Whether a condition says at which times a dataset must be valid in terms of an observation.
fn compares_times(predicate: &Predicate, search: usize) -> bool {
    let Predicate::Test(Test::Times(left, right)) = predicate else { return false };
    let dataset = |term: &TimeTerm| *term == TimeTerm::Span(Owner::Search(search));
    let observation = |term: &TimeTerm| match term {
        TimeTerm::Span(owner) => matches!(owner, Owner::Element(_)),
        TimeTerm::Moment(reference) => reference.element().is_some(),
        TimeTerm::Literal(_) => false,
    };
    (dataset(left) && observation(right)) || (dataset(right) && observation(left))
}

/// Whether the element is a pixelisation.
pub(crate) const fn is_skypix(element: &Element) -> bool {
    matches!(element.kind, ElementKind::SkyPix { .. })
}
