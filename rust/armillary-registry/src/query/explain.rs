//! Why an answer is empty or large: what every condition and every search leaves.

use super::{
    error::QueryProblem,
    plan::Plan,
    request::{Clause, DatasetSearch, QueryRequest, ResultKind},
    resolve::outermost_terms,
    skypix::Pixelization,
    statement::key_type,
};
use crate::{Catalog, Registry, RegistryError};
use armillary_dimensions::{Column, ColumnType, ElementKind, Key, Value, nearest};
use armillary_expression::{Comparison, Kind, parse, shortened_to};
use indexmap::IndexMap;
use std::borrow::Cow;

/// Collections named in a hint at most.
const MOST_NAMED: usize = 3;
/// Terms of a clause that are judged one by one at most, each of which takes several queries.
const MOST_TERMS: usize = 50;
/// Characters of a term that a message repeats at most.
const LONGEST_TERM: usize = 200;

impl Registry {
    /// Why the answer to a query has no rows: first what is clear without looking, then the conditions one by one, then
    /// the searches for datasets, with what to do instead.
    ///
    /// Empty if the answer has rows.
    pub fn query_explain(&self, request: &QueryRequest) -> Result<Vec<String>, RegistryError> {
        let plan = Plan::new(self, request)?;
        let mut reasons = plan.doom();
        if !reasons.is_empty() {
            reasons.extend(self.held_elsewhere(&plan)?);
            return Ok(reasons);
        }
        if self.query_any(request)? {
            return Ok(Vec::new());
        }
        let parts = Parts::new(self, &plan, request);
        if self.query_any(&parts.bare) == Ok(false) {
            let dimensions: Vec<&str> = plan.universe.names(plan.output).collect();
            let names = dimensions.join(", ");
            return Ok(vec![format!("even without conditions there are no rows with dimensions {names}")]);
        }
        let reasons = self.failing_alone(&parts)?;
        if !reasons.is_empty() {
            return Ok(reasons);
        }
        if let Some(reason) = self.first_contradiction(&parts.bare, &parts.of_data_ids(), request) {
            return Ok(vec![reason]);
        }
        if let Some(reason) = self.first_missing(&plan, &parts)? {
            return Ok(vec![reason]);
        }
        let of_datasets: Vec<&Term> = parts.of_datasets.iter().collect();
        Ok(self.first_contradiction(&parts.searched(), &of_datasets, request).into_iter().collect())
    }

    /// What remains after each condition and search: texts with numbers of data IDs, and at last of results.
    pub fn query_funnel(&self, request: &QueryRequest) -> Result<Vec<(String, usize)>, RegistryError> {
        let plan = Plan::new(self, request)?;
        let parts = Parts::new(self, &plan, request);
        let dimensions = required(&plan);
        let what = if dimensions.is_empty() { "data IDs without dimensions".into() } else { dimensions.join(", ") };
        let mut step = parts.bare.clone();
        let mut steps = Vec::new();
        let mut note = |text: String, step: &QueryRequest| -> Result<(), RegistryError> {
            steps.extend(self.countable(step)?.map(|count| (text, count)));
            Ok(())
        };
        note(format!("all data IDs of {what}"), &step)?;
        for term in parts.of_data_ids() {
            term.add_to(&mut step, request);
            note(format!("`{}`", term.shown()), &step)?;
        }
        for search in &parts.searches {
            step.joins.push(search.clone());
            note(format!("a `{}` in {}", search.dataset_type, places(search)), &step)?;
        }
        for term in &parts.of_datasets {
            term.add_to(&mut step, request);
            note(format!("`{}`", term.shown()), &step)?;
        }
        let results = match &request.result {
            ResultKind::DataIds(_) => return Ok(steps),
            ResultKind::Datasets { find_first: true, .. } => "datasets, the first of each data ID",
            ResultKind::Datasets { find_first: false, .. } => "datasets",
            ResultKind::Records(_) => "records",
            ResultKind::General { .. } => "rows",
        };
        let mut whole = request.clone();
        (whole.limit, whole.offset) = (None, 0);
        steps.push((results.to_owned(), self.query_count(&whole)?));
        Ok(steps)
    }

    /// The number of results; none where pixels are known from datasets only, and these are not searched yet.
    fn countable(&self, request: &QueryRequest) -> Result<Option<usize>, RegistryError> {
        match self.query_count(request) {
            Ok(count) => Ok(Some(count)),
            Err(RegistryError::Query(error)) if matches!(*error.problem, QueryProblem::Unsupported { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The conditions that nothing satisfies, whatever the others say; those on governors first.
    fn failing_alone(&self, parts: &Parts<'_>) -> Result<Vec<String>, RegistryError> {
        let mut reasons = Vec::new();
        // Other terms mean nothing without the governors they depend on.
        let mut governed = parts.bare.clone();
        for term in &parts.governing {
            term.add_to(&mut governed, parts.request);
        }
        for term in parts.of_data_ids() {
            let governing = self.is_governed(term);
            if !reasons.is_empty() && !governing {
                break; // without its governor no other term can hold
            }
            let mut alone = if governing { parts.bare.clone() } else { governed.clone() };
            term.add_to(&mut alone, parts.request);
            // A term that needs others to be understood cannot be judged alone.
            if self.query_any(&alone) == Ok(false) {
                reasons.push(format!("no rows satisfy `{}`{}", term.shown(), self.nearby(term, &governed)?));
            }
        }
        Ok(reasons)
    }

    /// Whether a term is about a governor.
    fn is_governed(&self, term: &Term) -> bool {
        let element = term.dimension().and_then(|name| self.universe().find(&name));
        element.is_some_and(|element| element.kind == ElementKind::Governor)
    }

    /// The shortest start of a list of conditions that has no rows.
    fn first_contradiction(&self, bare: &QueryRequest, terms: &[&Term], request: &QueryRequest) -> Option<String> {
        let mut together = bare.clone();
        for (position, term) in terms.iter().enumerate() {
            term.add_to(&mut together, request);
            if self.query_any(&together) == Ok(false) {
                let before: Vec<String> = terms[..position].iter().map(|term| format!("`{}`", term.shown())).collect();
                let before = match (before.is_empty(), bare.joins.last()) {
                    (false, _) => before.join(" and "),
                    (true, Some(search)) => format!("a `{}` in {}", search.dataset_type, places(search)),
                    (true, None) => "the defaults".to_owned(),
                };
                return Some(format!("no rows satisfy `{}` together with {before}", term.shown()));
            }
        }
        None
    }

    /// The first search that finds nothing for the data IDs that meet the conditions, and where it would find something.
    fn first_missing(&self, plan: &Plan, parts: &Parts<'_>) -> Result<Option<String>, RegistryError> {
        let mut step = parts.conditioned();
        let mut count = self.countable(&step)?;
        for search in &parts.searches {
            step.joins.push(search.clone());
            let left = self.query_count(&step)?;
            if left > 0 {
                count = Some(left);
                continue;
            }
            let dimensions = required(plan);
            let data_ids = match (dimensions.is_empty(), count) {
                (true, _) => "the conditions hold".to_owned(),
                (false, None) => format!("conditions on {} are given", dimensions.join(", ")),
                (false, Some(1)) => format!("one data ID of {} meets the conditions", dimensions.join(", ")),
                (false, Some(count)) => format!("{count} data IDs of {} meet the conditions", dimensions.join(", ")),
            };
            let (name, places) = (&search.dataset_type, places(search));
            step.joins.pop();
            let hint = self.found_elsewhere(&plan.catalog, &step, search)?;
            return Ok(Some(format!("{data_ids}, but none has `{name}` in {places}; {hint}")));
        }
        Ok(None)
    }

    /// Which other collections have datasets that a search did not find.
    fn found_elsewhere(
        &self,
        catalog: &Catalog,
        step: &QueryRequest,
        search: &DatasetSearch,
    ) -> Result<String, RegistryError> {
        let name = &search.dataset_type;
        let ResultKind::DataIds(dimensions) = step.result else { return Ok(String::new()) };
        let mut wide = step.clone();
        let columns = vec![format!("{name}.collection"), format!("{name}.dataset_id")];
        wide.result = ResultKind::General { dimensions, columns, find_first: None };
        wide.joins.push(DatasetSearch::new(name, ["*"]));
        let answer = self.query(&wide)?;
        let mut counts: IndexMap<String, usize> = IndexMap::new();
        if let Some(Column::Str(text)) = answer.columns.first().map(|column| &column.values) {
            for row in 0..answer.rows {
                let collection = text.get(row).map(ToString::to_string).unwrap_or_default();
                *counts.entry(collection).or_default() += 1;
            }
        }
        counts.sort_by(|a, b, c, d| d.cmp(b).then_with(|| a.cmp(c)));
        let names: Vec<String> =
            counts.iter().take(MOST_NAMED).map(|(name, count)| format!("`{name}` ({count})")).collect();
        let Some((best, _)) = counts.first() else {
            return Ok(match catalog.dataset_type(name) {
                Some(_) => format!("no collection has any `{name}` for them"),
                None => String::new(),
            });
        };
        Ok(format!("there are some in {}: search `{best}`", names.join(", ")))
    }

    /// Which other collections may hold datasets of the types whose search is doomed.
    fn held_elsewhere(&self, plan: &Plan) -> Result<Vec<String>, RegistryError> {
        let summaries = self.summaries()?;
        let Some(search) = plan.searches.iter().find(|search| search.is_doomed()) else { return Ok(Vec::new()) };
        let searched = plan.catalog.flatten(&search.named).unwrap_or_default();
        let mut names: Vec<&str> = summaries
            .collections_with(search.dataset_type.id)
            .filter(|id| !searched.contains(id))
            .filter_map(|id| plan.catalog.collection_by_id(id).map(|found| &*found.name))
            .collect();
        names.sort_unstable();
        let name = &search.dataset_type.name;
        Ok(vec![match names.as_slice() {
            [] if searched.iter().any(|id| summaries.may_hold(*id, search.dataset_type.id)) => return Ok(Vec::new()),
            [] => format!("no collection has any `{name}`"),
            some => {
                let more = if some.len() > MOST_NAMED { ", ..." } else { "" };
                let shown: Vec<String> = some.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect();
                format!("`{name}` datasets are in {}{more}: search there", shown.join(", "))
            }
        }])
    }

    /// What values there are instead, for a term that names one.
    fn nearby(&self, term: &Term, governed: &QueryRequest) -> Result<String, RegistryError> {
        let Some(dimension) = term.dimension() else { return Ok(String::new()) };
        let Some(element) = self.universe().find(&dimension).filter(|element| element.is_dimension()) else {
            return Ok(String::new());
        };
        if let Some(pixelization) = Pixelization::of(element) {
            return Ok(pixelization.numbers().map_or_else(
                |_| String::new(),
                |all| format!("; pixels of `{dimension}` have the numbers {} to {}", all.start, all.end - 1),
            ));
        }
        if element.kind != ElementKind::Governor {
            return match (term.number(), term.word()) {
                (Some(number), _) => self.nearest_numbers(&dimension, number, governed),
                (None, Some(word)) => self.nearest_words(&dimension, word, governed),
                (None, None) => self.all_numbers(&dimension, governed),
            };
        }
        let known = self.known_values(element.index)?;
        if known.is_empty() {
            return Ok(format!("; there are no `{dimension}` records"));
        }
        let known: Vec<String> = known.iter().map(|value| format!("`{value}`")).collect();
        Ok(format!("; known values of `{dimension}` are {}", known.join(", ")))
    }

    /// Text values of a dimension: the one that is spelt most alike, or the first few.
    fn nearest_words(&self, dimension: &str, word: &str, governed: &QueryRequest) -> Result<String, RegistryError> {
        let element = self.universe().dimension(dimension)?;
        let mut request = governed.clone();
        request.result = ResultKind::DataIds(self.universe().group([dimension])?);
        // Only values that go with the governors count.
        if let ResultKind::DataIds(dimensions) = governed.result {
            request.dimensions = request.dimensions.union(dimensions);
        }
        let answer = self.query(&request.limited(1000).ordered(dimension))?;
        let mut values: Vec<String> = (0..answer.rows)
            .filter_map(|row| match answer.data_id(row).get(element.index)? {
                Key::Str(text) => Some(text.to_string()),
                Key::Int(_) => None,
            })
            .collect();
        values.dedup();
        let quoted: Vec<String> = values.iter().take(MOST_NAMED).map(|value| format!("`{value}`")).collect();
        let more = if values.len() > MOST_NAMED { ", ..." } else { "" };
        let near = nearest(word, values.iter().map(String::as_str)).filter(|near| near != word);
        Ok(match near {
            Some(near) => format!("; did you mean `{near}`?"),
            None if values.is_empty() => format!("; there are no `{dimension}` records"),
            None => format!("; known values of `{dimension}` are {}{more}", quoted.join(", ")),
        })
    }

    /// The values of a dimension just below and above a number, and from where to where all are.
    fn nearest_numbers(&self, dimension: &str, number: i64, governed: &QueryRequest) -> Result<String, RegistryError> {
        let below =
            self.first_number(dimension, &format!("{dimension} < {number}"), &format!("-{dimension}"), governed)?;
        let above = self.first_number(dimension, &format!("{dimension} > {number}"), dimension, governed)?;
        let nearest = match (below, above) {
            (None, None) => return Ok(format!("; there are no `{dimension}` records")),
            (Some(one), None) | (None, Some(one)) => format!("the nearest value of `{dimension}` is `{one}`"),
            (Some(below), Some(above)) => {
                format!("the nearest values of `{dimension}` are `{below}` and `{above}`")
            }
        };
        Ok(match self.smallest_and_largest(dimension, governed)? {
            None => format!("; {nearest}"),
            Some((smallest, largest)) if smallest == largest => format!("; {nearest}, the only one"),
            Some((smallest, largest)) => format!("; {nearest}, and all are from `{smallest}` to `{largest}`"),
        })
    }

    /// From where to where all values of a dimension are, if they are integers.
    fn all_numbers(&self, dimension: &str, governed: &QueryRequest) -> Result<String, RegistryError> {
        if key_type(self.universe().dimension(dimension)?) != ColumnType::Int {
            return Ok(String::new());
        }
        Ok(match self.smallest_and_largest(dimension, governed)? {
            None => format!("; there are no `{dimension}` records"),
            Some((smallest, largest)) if smallest == largest => {
                format!("; the only value of `{dimension}` is `{smallest}`")
            }
            Some((smallest, largest)) => {
                format!("; all values of `{dimension}` are from `{smallest}` to `{largest}`")
            }
        })
    }

    fn smallest_and_largest(
        &self,
        dimension: &str,
        governed: &QueryRequest,
    ) -> Result<Option<(i64, i64)>, RegistryError> {
        let smallest = self.first_number(dimension, "", dimension, governed)?;
        let largest = self.first_number(dimension, "", &format!("-{dimension}"), governed)?;
        Ok(smallest.zip(largest))
    }

    /// The first value of a dimension in an order, of those that meet a condition: one row, found by the primary key.
    fn first_number(
        &self,
        dimension: &str,
        condition: &str,
        order: &str,
        governed: &QueryRequest,
    ) -> Result<Option<i64>, RegistryError> {
        let mut request = QueryRequest::new(ResultKind::DataIds(self.universe().group([dimension])?));
        request.clauses.clone_from(&governed.clauses);
        request.data_id.clone_from(&governed.data_id);
        request.defaults.clone_from(&governed.defaults);
        let request = if condition.is_empty() { request } else { request.filtered(condition) };
        let answer = self.query(&request.ordered(order).limited(1))?;
        let element = self.universe().dimension(dimension)?.index;
        let first = (answer.rows > 0).then(|| answer.data_id(0).get(element).cloned()).flatten();
        Ok(first.and_then(|key| if let Key::Int(number) = key { Some(number) } else { None }))
    }
}

/// The dimensions that tell the data IDs of the answer apart.
fn required(plan: &Plan) -> Vec<&str> {
    let required = &plan.universe.info(plan.output).required;
    required.iter().map(|index| plan.universe.get(*index).name.as_str()).collect()
}

/// The places of a search as it names them.
fn places(search: &DatasetSearch) -> String {
    let names: Vec<String> = search.collections.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "no collection".to_owned() } else { names.join(", ") }
}

/// A request taken apart.
struct Parts<'a> {
    request: &'a QueryRequest,
    /// Data IDs of the answer's dimensions, without conditions and searches.
    bare: QueryRequest,
    /// Conditions on governors.
    governing: Vec<Term>,
    /// Other conditions that need no datasets.
    other: Vec<Term>,
    /// Conditions on datasets.
    of_datasets: Vec<Term>,
    /// The searches of the joins, then that of the answer.
    searches: Vec<DatasetSearch>,
}

impl<'a> Parts<'a> {
    fn new(registry: &Registry, plan: &Plan, request: &'a QueryRequest) -> Self {
        let mut bare = request.clone();
        bare.result = ResultKind::DataIds(plan.output);
        (bare.limit, bare.offset, bare.with_records) = (None, 0, false);
        bare.clauses.clear();
        bare.data_id.clear();
        bare.joins.clear();
        bare.order_by.clear();
        let mut searches = request.joins.clone();
        if let ResultKind::Datasets { search, .. } = &request.result {
            searches.retain(|join| join.dataset_type != search.dataset_type);
            searches.push(search.clone());
        }
        let (governing, others): (Vec<Term>, Vec<Term>) =
            terms(request).into_iter().partition(|term| registry.is_governed(term));
        let mut governed = bare.clone();
        for term in &governing {
            term.add_to(&mut governed, request);
        }
        let (other, of_datasets) = others.into_iter().partition(|term| {
            let mut alone = governed.clone();
            term.add_to(&mut alone, request);
            Plan::new(registry, &alone).is_ok()
        });
        Self { request, bare, governing, other, of_datasets, searches }
    }

    /// The conditions that need no datasets.
    fn of_data_ids(&self) -> Vec<&Term> {
        self.governing.iter().chain(&self.other).collect()
    }

    /// The data IDs that meet those conditions.
    fn conditioned(&self) -> QueryRequest {
        let mut request = self.bare.clone();
        for term in self.of_data_ids() {
            term.add_to(&mut request, self.request);
        }
        request
    }

    /// Those of them that all searches find datasets for.
    fn searched(&self) -> QueryRequest {
        let mut request = self.conditioned();
        request.joins.clone_from(&self.searches);
        request
    }
}

/// One of the conditions of a request.
enum Term {
    /// Part of a clause, by its position.
    Expression { clause: usize, text: String, dimension: Option<String>, number: Option<i64>, word: Option<String> },
    /// A value of the data ID.
    Value { position: usize, text: String, number: Option<i64> },
}

impl Term {
    fn add_to(&self, target: &mut QueryRequest, request: &QueryRequest) {
        match self {
            Self::Expression { clause, text, .. } => {
                target.clauses.push(Clause { text: text.clone(), ..request.clauses[*clause].clone() });
            }
            Self::Value { position, .. } => target.data_id.push(request.data_id[*position].clone()),
        }
    }

    /// The text as messages repeat it.
    fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Expression { text, .. } | Self::Value { text, .. } => shortened_to(text, LONGEST_TERM),
        }
    }

    /// The dimension that the term compares with something.
    fn dimension(&self) -> Option<String> {
        match self {
            Self::Expression { dimension, .. } => dimension.clone(),
            Self::Value { text, .. } => text.split(' ').next().map(str::to_owned),
        }
    }

    /// The text that a dimension must be equal to.
    fn word(&self) -> Option<&str> {
        match self {
            Self::Expression { word, .. } => word.as_deref(),
            Self::Value { text, .. } => text.split('\'').nth(1),
        }
    }

    /// The number that a dimension must be equal to.
    const fn number(&self) -> Option<i64> {
        match self {
            Self::Expression { number, .. } | Self::Value { number, .. } => *number,
        }
    }
}

/// All conditions of a request, each outermost `AND` taken apart.
fn terms(request: &QueryRequest) -> Vec<Term> {
    let mut terms = Vec::new();
    for (position, (name, value)) in request.data_id.iter().enumerate() {
        let shown = match value {
            Value::Float(number) => number.to_string(),
            other => other.to_key().map_or_else(String::new, |key| key.to_string()),
        };
        let number = if let Value::Int(number) = value { Some(*number) } else { None };
        terms.push(Term::Value { position, text: format!("{name} = {shown}"), number });
    }
    for (position, clause) in request.clauses.iter().enumerate() {
        let Ok(Some(tree)) = parse(&clause.text) else { continue };
        let mut parts = outermost_terms(&tree);
        if parts.len() > MOST_TERMS {
            parts = vec![&tree];
        }
        for part in parts {
            let compared = match &part.kind {
                Kind::Compare { left, .. } => Some(left),
                Kind::In { value, .. } => Some(value),
                _ => None,
            };
            let dimension = compared.and_then(|node| match &node.kind {
                Kind::Name(parts) => match parts.as_slice() {
                    [name] => Some(name.clone()),
                    [name, key] if key == "id" => Some(name.clone()),
                    _ => None,
                },
                _ => None,
            });
            let number = match &part.kind {
                Kind::Compare { comparison: Comparison::Equal, right, .. } => match right.kind {
                    Kind::Integer(number) => Some(number),
                    _ => None,
                },
                _ => None,
            };
            let word = match &part.kind {
                Kind::Compare { comparison: Comparison::Equal, right, .. } => match &right.kind {
                    Kind::Text(text) => Some(text.clone()),
                    _ => None,
                },
                _ => None,
            };
            let text = part.span.of(&clause.text).to_owned();
            terms.push(Term::Expression { clause: position, text, dimension, number, word });
        }
    }
    terms
}
