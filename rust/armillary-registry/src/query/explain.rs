//! Why a query has no rows.

use super::{
    plan::Plan,
    request::{Clause, QueryRequest, ResultKind},
    resolve::outermost_terms,
};
use crate::{Registry, RegistryError};
use armillary_dimensions::{ElementKind, Value};
use armillary_expression::{Comparison, Kind, parse};

impl Registry {
    /// Why the answer to a query has no rows: first what is clear without looking, then the conditions one by one.
    ///
    /// Empty if the answer has rows.
    pub fn query_explain(&self, request: &QueryRequest) -> Result<Vec<String>, RegistryError> {
        let plan = Plan::new(self, request)?;
        let reasons = plan.doom();
        if !reasons.is_empty() {
            return Ok(reasons);
        }
        if self.query_any(request)? {
            return Ok(Vec::new());
        }
        let mut bare = request.clone();
        bare.clauses.clear();
        bare.data_id.clear();
        if let ResultKind::Datasets { find_first, .. } = &mut bare.result {
            *find_first = false; // with fewer conditions several calibrations may be valid, which is no reason
        }
        if self.query_any(&bare) == Ok(false) {
            let dimensions: Vec<&str> = plan.universe.names(plan.output).collect();
            return Ok(vec![format!(
                "even without conditions there are no rows with dimensions {}",
                dimensions.join(", ")
            )]);
        }
        let terms = terms(request);
        let mut reasons = Vec::new();
        // Other terms mean nothing without the governors they depend on.
        let mut governed = bare.clone();
        for term in terms.iter().filter(|term| self.is_governed(term)) {
            term.add_to(&mut governed, request);
        }
        let (governing, others): (Vec<&Term>, Vec<&Term>) = terms.iter().partition(|term| self.is_governed(term));
        for term in governing.into_iter().chain(others) {
            if !reasons.is_empty() && !self.is_governed(term) {
                break; // without its governor no other term can hold
            }
            let mut alone = if self.is_governed(term) { bare.clone() } else { governed.clone() };
            term.add_to(&mut alone, request);
            // A term that needs others to be understood cannot be judged alone.
            if self.query_any(&alone) == Ok(false) {
                reasons.push(format!("no rows satisfy `{}`{}", term.text(), self.nearby(term, &governed)?));
            }
        }
        if reasons.is_empty() {
            reasons.extend(self.first_contradiction(request, &bare, &terms));
        }
        Ok(reasons)
    }

    /// Whether a term is about a governor.
    fn is_governed(&self, term: &Term) -> bool {
        let element = term.dimension().and_then(|name| self.universe().find(&name));
        element.is_some_and(|element| element.kind == ElementKind::Governor)
    }

    /// The shortest start of the list of conditions that has no rows.
    fn first_contradiction(&self, request: &QueryRequest, bare: &QueryRequest, terms: &[Term]) -> Option<String> {
        let mut together = bare.clone();
        for (position, term) in terms.iter().enumerate() {
            term.add_to(&mut together, request);
            if self.query_any(&together) == Ok(false) {
                let before: Vec<String> = terms[..position].iter().map(|term| format!("`{}`", term.text())).collect();
                let before = if before.is_empty() { "the defaults".to_owned() } else { before.join(" and ") };
                return Some(format!("no rows satisfy `{}` together with {before}", term.text()));
            }
        }
        None
    }

    /// What values there are instead, for a term that names one.
    fn nearby(&self, term: &Term, governed: &QueryRequest) -> Result<String, RegistryError> {
        let Some(dimension) = term.dimension() else { return Ok(String::new()) };
        let Some(element) = self.universe().find(&dimension).filter(|element| element.has_table()) else {
            return Ok(String::new());
        };
        if element.kind != ElementKind::Governor {
            let Some(number) = term.number() else { return Ok(String::new()) };
            return self.nearest_numbers(&dimension, number, governed);
        }
        let known = self.known_values(element.index)?;
        if known.is_empty() {
            return Ok(format!("; there are no `{dimension}` records"));
        }
        let known: Vec<String> = known.iter().map(|value| format!("`{value}`")).collect();
        Ok(format!("; known values of `{dimension}` are {}", known.join(", ")))
    }

    /// The values of a dimension just below and above a number.
    fn nearest_numbers(&self, dimension: &str, number: i64, governed: &QueryRequest) -> Result<String, RegistryError> {
        let group = self.universe().group([dimension])?;
        let mut found = Vec::new();
        for (comparison, order) in [("<", format!("-{dimension}")), (">", dimension.to_owned())] {
            let mut request = QueryRequest::new(ResultKind::DataIds(group));
            request.clauses.clone_from(&governed.clauses);
            request.data_id.clone_from(&governed.data_id);
            request.defaults.clone_from(&governed.defaults);
            let request = request.filtered(&format!("{dimension} {comparison} {number}")).ordered(&order).limited(1);
            let answer = self.query(&request)?;
            let element = self.universe().dimension(dimension)?.index;
            if answer.rows > 0
                && let Some(key) = answer.data_id(0).get(element)
            {
                found.push(format!("`{key}`"));
            }
        }
        Ok(match found.as_slice() {
            [] => format!("; there are no `{dimension}` records"),
            [one] => format!("; the nearest value of `{dimension}` is {one}"),
            _ => format!("; the nearest values of `{dimension}` are {}", found.join(" and ")),
        })
    }
}

/// One of the conditions of a request.
enum Term {
    /// Part of a clause, by its position.
    Expression { clause: usize, text: String, dimension: Option<String>, number: Option<i64> },
    /// A value of the data ID.
    Value { position: usize, text: String, number: Option<i64> },
}

impl Term {
    fn add_to(&self, target: &mut QueryRequest, request: &QueryRequest) {
        match self {
            Self::Expression { clause, text, .. } => {
                target.clauses.push(Clause { text: text.clone(), binds: request.clauses[*clause].binds.clone() });
            }
            Self::Value { position, .. } => target.data_id.push(request.data_id[*position].clone()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Expression { text, .. } | Self::Value { text, .. } => text,
        }
    }

    /// The dimension that the term compares with something.
    fn dimension(&self) -> Option<String> {
        match self {
            Self::Expression { dimension, .. } => dimension.clone(),
            Self::Value { text, .. } => text.split(' ').next().map(str::to_owned),
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
        let shown = value.to_key().map_or_else(String::new, |key| key.to_string());
        let number = if let Value::Int(number) = value { Some(*number) } else { None };
        terms.push(Term::Value { position, text: format!("{name} = {shown}"), number });
    }
    for (position, clause) in request.clauses.iter().enumerate() {
        let Ok(Some(tree)) = parse(&clause.text) else { continue };
        for part in outermost_terms(&tree) {
            let compared = match &part.kind {
                Kind::Compare { left, .. } => Some(left),
                Kind::In { value, .. } => Some(value),
                _ => None,
            };
            let dimension = compared.and_then(|node| match &node.kind {
                Kind::Name(parts) if parts.len() == 1 => Some(parts[0].clone()),
                _ => None,
            });
            let number = match &part.kind {
                Kind::Compare { comparison: Comparison::Equal, right, .. } => match right.kind {
                    Kind::Integer(number) => Some(number),
                    _ => None,
                },
                _ => None,
            };
            let text = part.span.of(&clause.text).to_owned();
            terms.push(Term::Expression { clause: position, text, dimension, number });
        }
    }
    terms
}
