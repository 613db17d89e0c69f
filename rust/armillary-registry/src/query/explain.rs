//! Why a query has no rows.

use super::{
    plan::Plan,
    request::{Clause, QueryRequest},
    resolve::outermost_terms,
};
use crate::{Registry, RegistryError};
use armillary_dimensions::ElementKind;
use armillary_expression::{Kind, parse};

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
        if !self.query_any(&bare)? {
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
        for term in &terms {
            let mut alone = if self.is_governed(term) { bare.clone() } else { governed.clone() };
            term.add_to(&mut alone, request);
            // A term that needs others to be understood cannot be judged alone.
            if self.query_any(&alone) == Ok(false) {
                reasons.push(format!("no rows satisfy `{}`{}", term.text(), self.nearby(term)?));
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
    fn nearby(&self, term: &Term) -> Result<String, RegistryError> {
        let Some(dimension) = term.dimension() else { return Ok(String::new()) };
        let Some(element) = self.universe().find(&dimension) else { return Ok(String::new()) };
        if !element.has_table() || element.required.len() != 1 {
            return Ok(String::new());
        }
        let known = self.known_values(element.index)?;
        if known.is_empty() {
            return Ok(format!("; there are no `{dimension}` records"));
        }
        let known: Vec<String> = known.iter().map(|value| format!("`{value}`")).collect();
        Ok(format!("; known values of `{dimension}` are {}", known.join(", ")))
    }
}

/// One of the conditions of a request.
enum Term {
    /// Part of a clause, by its position.
    Expression(usize, String, Option<String>),
    /// A value of the data ID.
    Value(usize, String),
}

impl Term {
    fn add_to(&self, target: &mut QueryRequest, request: &QueryRequest) {
        match self {
            Self::Expression(clause, text, _) => {
                target.clauses.push(Clause { text: text.clone(), binds: request.clauses[*clause].binds.clone() });
            }
            Self::Value(position, _) => target.data_id.push(request.data_id[*position].clone()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Expression(_, text, _) | Self::Value(_, text) => text,
        }
    }

    /// The dimension that the term compares with something.
    fn dimension(&self) -> Option<String> {
        match self {
            Self::Expression(_, _, dimension) => dimension.clone(),
            Self::Value(_, text) => text.split(' ').next().map(str::to_owned),
        }
    }
}

/// All conditions of a request, each outermost `AND` taken apart.
fn terms(request: &QueryRequest) -> Vec<Term> {
    let mut terms = Vec::new();
    for (position, (name, value)) in request.data_id.iter().enumerate() {
        let shown = value.to_key().map_or_else(String::new, |key| key.to_string());
        terms.push(Term::Value(position, format!("{name} = {shown}")));
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
            terms.push(Term::Expression(position, part.span.of(&clause.text).to_owned(), dimension));
        }
    }
    terms
}
