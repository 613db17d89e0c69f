//! From the tree of an expression to conditions: names become columns, literals get types.

mod operands;

use super::{
    error::{QueryError, QueryProblem},
    merge::any_of,
    predicate::{Owner, Predicate, Reference, RegionTerm, Scalar, Sort, Test, TimeTerm},
    request::{Bind, Clause, Then},
};
use armillary_dimensions::{ElementIndex, Timespan, Universe, Value};
use armillary_expression::{Comparison, Kind, Node, Sign, Span, parse, shortened};
use indexmap::IndexMap;
use std::borrow::Cow;

/// Bytes of a pattern at most. `SQLite` takes 50,000, of which a bracket needs three.
const LONGEST_PATTERN: usize = 16_000;
/// Separate `*` of a pattern at most: to `PostgreSQL` thousands are too complex, and each may take time anywhere.
const MOST_STARS: usize = 200;

/// What names can mean in one query.
pub(crate) struct Scope<'a> {
    pub(crate) universe: &'a Universe,
    /// Elements whose fields may be named without the element; the first that is alone decides.
    pub(crate) elements: &'a [ElementIndex],
    /// The element whose fields come before those of others.
    pub(crate) preferred: Option<ElementIndex>,
    /// Whether datasets of the first search are the answer, so that their fields need no dataset type before them.
    pub(crate) gives_datasets: bool,
    /// Dataset types searched for, by position of the search.
    pub(crate) searches: Vec<&'a str>,
    /// Whether a name is that of a registered dataset type.
    pub(crate) is_dataset_type: &'a dyn Fn(&str) -> bool,
}

/// What a part of an expression is when it is used as a value.
#[derive(Clone, Debug)]
enum Operand {
    Scalar(Scalar, Sort),
    Time(TimeTerm),
    Region(RegionTerm),
    List(Vec<Bind>),
    Range(i64, i64, i64),
    Null,
}

impl Operand {
    const fn text(&self) -> &'static str {
        match self {
            Self::Scalar(_, sort) => sort.text(),
            Self::Time(_) => Sort::Timespan.text(),
            Self::Region(_) => Sort::Region.text(),
            Self::List(_) => "a list",
            Self::Range(..) => "a range of integers",
            Self::Null => "`NULL`",
        }
    }

    /// Values compare with values of the same sort; numbers with all numbers.
    fn sort(&self) -> Option<Sort> {
        if let Self::Scalar(_, sort) = self { Some(*sort) } else { None }
    }
}

/// The conditions of one clause: the terms of its outermost `AND`.
pub(crate) fn resolve_clause(scope: &Scope<'_>, clause: &Clause) -> Result<Vec<Predicate>, QueryError> {
    let Some(tree) = parse(&clause.text).map_err(|error| QueryError::syntax(error, &clause.text))? else {
        return Ok(Vec::new());
    };
    let resolver = Resolver {
        scope,
        text: &clause.text,
        binds: &clause.binds,
        then: clause.then.as_ref(),
        is_condition: true,
        colon_names: colon_names(&tree),
    };
    outermost_terms(&tree).into_iter().map(|term| resolver.predicate(term)).collect()
}

/// The terms of the outermost `AND`, those in brackets inside it included.
pub(crate) fn outermost_terms(tree: &Node) -> Vec<&Node> {
    let mut terms = Vec::new();
    let mut open = vec![tree];
    while let Some(node) = open.pop() {
        match &node.kind {
            Kind::And(parts) => open.extend(parts.iter().rev()),
            _ => terms.push(node),
        }
    }
    terms
}

/// The column that a term of `order_by`, or a wanted column, names.
pub(crate) fn resolve_column(scope: &Scope<'_>, name: &str) -> Result<(Reference, Sort), QueryError> {
    let tree = parse(name).map_err(|error| QueryError::syntax(error, name))?;
    let binds = IndexMap::new();
    let resolver =
        Resolver { scope, text: name, binds: &binds, then: None, is_condition: false, colon_names: Vec::new() };
    match tree.as_ref().map(|tree| &tree.kind) {
        Some(Kind::Name(parts)) => resolver.reference(parts, Span::new(0, name.len())),
        _ => {
            Err(QueryProblem::BadOrder { term: name.to_owned(), reason: "it is not the name of a column".into() }
                .into())
        }
    }
}

/// The condition that a field of a record, named in a data ID, has a value.
pub(crate) fn resolve_field(scope: &Scope<'_>, name: &str, value: &Value) -> Result<Predicate, QueryError> {
    let (reference, sort) = resolve_column(scope, name)?;
    let given = match value {
        Value::Int(_) => Sort::Int,
        Value::Float(_) => Sort::Float,
        Value::Bool(_) => Sort::Bool,
        _ => Sort::Text,
    };
    if !comparable(sort, given, true) {
        let (left, right) = (format!("`{name}`, {},", sort.text()), given.text().to_owned());
        return Err(QueryProblem::WrongTypes { operator: "=".to_owned(), left, right, hint: None }.into());
    }
    let (column, value) = alike((Scalar::Column(reference), sort), (Scalar::Literal(value.clone()), given));
    Ok(Predicate::Test(Test::Compare(Comparison::Equal, column, value)))
}

/// What a term of `order_by` sorts by, and whether downwards: a column with or without `-`, or a number computed.
pub(crate) fn resolve_order(scope: &Scope<'_>, term: &str) -> Result<(Scalar, Sort, bool), QueryError> {
    let tree = parse(term).map_err(|error| QueryError::syntax(error, term))?;
    let binds = IndexMap::new();
    let resolver =
        Resolver { scope, text: term, binds: &binds, then: None, is_condition: false, colon_names: Vec::new() };
    let column = |parts: &[String], span, descending| {
        resolver.reference(parts, span).map(|(reference, sort)| (Scalar::Column(reference), sort, descending))
    };
    let refuse = || QueryProblem::BadOrder { term: term.to_owned(), reason: "it is not the name of a column".into() };
    let Some(tree) = &tree else { return Err(refuse().into()) };
    match &tree.kind {
        Kind::Name(parts) => column(parts, tree.span, false),
        Kind::Signed { sign: Sign::Minus, operand } if matches!(operand.kind, Kind::Name(_)) => {
            let Kind::Name(parts) = &operand.kind else { return Err(refuse().into()) };
            column(parts, operand.span, true)
        }
        Kind::Signed { .. } | Kind::Arithmetic { .. } => match resolver.operand(tree)? {
            Operand::Scalar(scalar, sort) if sort.is_number() => Ok((scalar, sort, false)),
            _ => Err(refuse().into()),
        },
        _ => Err(refuse().into()),
    }
}

/// The names written with a colon anywhere in the tree.
fn colon_names(node: &Node) -> Vec<&str> {
    let mut names = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if let Kind::Bind(name) = &node.kind {
            names.push(name.as_str());
        }
        open.extend(node.kind.children());
    }
    names
}

pub(super) struct Resolver<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) text: &'a str,
    binds: &'a IndexMap<String, Bind>,
    /// Where names are looked up first.
    pub(super) then: Option<&'a Then>,
    /// Whether the text is a condition, not the name of a column.
    pub(super) is_condition: bool,
    colon_names: Vec<&'a str>,
}

impl Resolver<'_> {
    pub(super) fn error(&self, problem: QueryProblem, span: Span) -> QueryError {
        QueryError::at(problem, self.text, span)
    }

    /// A part of the text as messages repeat it.
    fn written(&self, node: &Node) -> Cow<'_, str> {
        shortened(node.span.of(self.text))
    }

    fn predicate(&self, node: &Node) -> Result<Predicate, QueryError> {
        match &node.kind {
            Kind::Or(terms) => Ok(any_of(self.predicates(terms)?)),
            Kind::And(terms) => Ok(Predicate::All(self.predicates(terms)?)),
            Kind::Not(operand) => Ok(Predicate::Not(Box::new(self.predicate(operand)?))),
            Kind::Compare { comparison, left, right } => self.compare(*comparison, left, right, node.span),
            Kind::In { value, items, negated } => {
                let test = self.membership(value, items)?;
                Ok(if *negated { Predicate::Not(Box::new(test)) } else { test })
            }
            Kind::Call { function, arguments, .. } if function.eq_ignore_ascii_case("GLOB") => {
                self.glob(arguments, node.span)
            }
            Kind::Arithmetic { .. }
            | Kind::Signed { .. }
            | Kind::TimeRange(..)
            | Kind::Call { .. }
            | Kind::Name(_)
            | Kind::Bind(_)
            | Kind::Integer(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::Time(_)
            | Kind::Range { .. }
            | Kind::Null => self.truth(node),
        }
    }

    fn predicates(&self, nodes: &[Node]) -> Result<Vec<Predicate>, QueryError> {
        nodes.iter().map(|node| self.predicate(node)).collect()
    }

    /// A value alone: a condition only if it is a column of truth values.
    fn truth(&self, node: &Node) -> Result<Predicate, QueryError> {
        match self.operand(node)? {
            Operand::Scalar(Scalar::Column(column), Sort::Bool) => Ok(Predicate::Test(Test::Truth(column))),
            Operand::Scalar(Scalar::Literal(Value::Bool(value)), _) => {
                Ok(if value { Predicate::All(Vec::new()) } else { Predicate::Any(Vec::new()) })
            }
            other => {
                let found = format!("`{}`, {},", self.written(node), other.text());
                Err(self.error(QueryProblem::NotACondition { found }, node.span))
            }
        }
    }

    fn compare(&self, comparison: Comparison, left: &Node, right: &Node, span: Span) -> Result<Predicate, QueryError> {
        let (first, second) = (self.operand(left)?, self.operand(right)?);
        for (name, day) in [(left, right), (right, left)] {
            self.refuse_a_written_day(name, day)?;
        }
        let refuse = |hint| {
            let (left, right) = (first.text().to_owned(), second.text().to_owned());
            let operator = comparison.text().to_owned();
            Err(self.error(QueryProblem::WrongTypes { operator, left, right, hint }, span))
        };
        if comparison == Comparison::Overlaps {
            return match (time_term(&first), time_term(&second), &first, &second) {
                (_, _, Operand::Region(first), Operand::Region(second)) => self.regions(first, second, span),
                (Some(first), Some(second), _, _) => self.times(first, second, span),
                (Some(_), _, _, Operand::Scalar(_, Sort::Text)) | (_, Some(_), Operand::Scalar(_, Sort::Text), _) => {
                    refuse(Some("a time is written `T'2020-01-01'`"))
                }
                _ => refuse(None),
            };
        }
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        match (&first, &second) {
            (Operand::Null, Operand::Null) => refuse(None),
            (Operand::Null, other) | (other, Operand::Null) if equality => {
                let column = if std::ptr::eq(other, &raw const first) { left } else { right };
                let test = Predicate::Test(Test::IsNull(self.column_of(other, column)?));
                Ok(if comparison == Comparison::Equal { test } else { Predicate::Not(Box::new(test)) })
            }
            (Operand::Scalar(a, sort), Operand::Scalar(b, other)) if comparable(*sort, *other, equality) => {
                let (a, b) = alike((a.clone(), *sort), (b.clone(), *other));
                Ok(Predicate::Test(Test::Compare(comparison, a, b)))
            }
            (Operand::Scalar(_, Sort::Time), Operand::Scalar(_, Sort::Text))
            | (Operand::Scalar(_, Sort::Text), Operand::Scalar(_, Sort::Time)) => {
                refuse(Some("a time is written `T'2020-01-01'`"))
            }
            (Operand::Scalar(_, Sort::Uuid), Operand::Scalar(_, Sort::Text))
            | (Operand::Scalar(_, Sort::Text), Operand::Scalar(_, Sort::Uuid)) => {
                refuse(Some("an id is written `UUID('...')`"))
            }
            (Operand::Scalar(_, sort), Operand::Scalar(Scalar::Literal(_), Sort::Text)) if sort.is_number() => {
                refuse(Some("numbers are written without quotes"))
            }
            (Operand::List(_) | Operand::Range(..), _) | (_, Operand::List(_) | Operand::Range(..)) => {
                refuse(Some("a list goes after `IN`"))
            }
            (Operand::Time(_), _) | (_, Operand::Time(_)) => {
                refuse(Some("timespans are tested with `OVERLAPS`, or by their `.begin` and `.end`"))
            }
            (Operand::Region(_), _) | (_, Operand::Region(_)) => refuse(Some("regions are tested with `OVERLAPS`")),
            _ => refuse(None),
        }
    }

    /// Refuses `day_obs > 2024-03-01`, which would compare with 2020 and hold for every day, and its like.
    fn refuse_a_written_day(&self, name: &Node, day: &Node) -> Result<(), QueryError> {
        let Kind::Name(parts) = &name.kind else { return Ok(()) };
        let written = day.span.of(self.text);
        let (digits, is) = match &day.kind {
            Kind::Arithmetic { .. } => (written, difference(written)),
            Kind::Text(text) => (text.as_str(), Some("a text".to_owned())),
            Kind::Time(text) => (text.as_str(), Some("a time".to_owned())),
            _ => return Ok(()),
        };
        let is_day = parts.last().is_some_and(|name| name == "day_obs") && day_parts(digits).is_some();
        match is {
            Some(is) if is_day => {
                let (name, written) = (parts.join("."), written.to_owned());
                let problem = QueryProblem::NotADay { name, written, meant: digits.replace('-', ""), is };
                Err(self.error(problem, day.span))
            }
            _ => Ok(()),
        }
    }

    fn times(&self, left: TimeTerm, right: TimeTerm, span: Span) -> Result<Predicate, QueryError> {
        if let (TimeTerm::Span(Owner::Element(a)), TimeTerm::Span(Owner::Element(b))) = (&left, &right) {
            let (a, b) = (self.scope.universe.get(*a), self.scope.universe.get(*b));
            if a.temporal == b.temporal {
                let (left, right) = (format!("{}.timespan", a.name), format!("{}.timespan", b.name));
                return Err(self.error(QueryProblem::NeedlessJoin { left, right }, span));
            }
        }
        Ok(Predicate::Test(Test::Times(left, right)))
    }

    fn regions(&self, left: &RegionTerm, right: &RegionTerm, span: Span) -> Result<Predicate, QueryError> {
        if let (RegionTerm::Column(a), RegionTerm::Column(b)) = (left, right) {
            let (a, b) = (self.scope.universe.get(*a), self.scope.universe.get(*b));
            if a.spatial == b.spatial {
                let (left, right) = (format!("{}.region", a.name), format!("{}.region", b.name));
                return Err(self.error(QueryProblem::NeedlessJoin { left, right }, span));
            }
        }
        Ok(Predicate::Test(Test::Regions(left.clone(), right.clone())))
    }

    /// The column an operand is, for tests with `NULL`.
    fn column_of(&self, operand: &Operand, node: &Node) -> Result<Reference, QueryError> {
        match operand {
            Operand::Scalar(Scalar::Column(column), _) | Operand::Time(TimeTerm::Moment(column)) => Ok(*column),
            Operand::Time(TimeTerm::Span(owner)) => Ok(Reference::Timespan(*owner)),
            Operand::Region(RegionTerm::Column(element)) => Ok(Reference::Region(*element)),
            _ => {
                let found = format!("`{}`", self.written(node));
                Err(self.error(QueryProblem::NotAValue { found }, node.span))
            }
        }
    }

    fn membership(&self, value: &Node, items: &[Node]) -> Result<Predicate, QueryError> {
        let operand = self.operand(value)?;
        let Operand::Scalar(scalar, sort) = operand else {
            let hint = match operand {
                Operand::Time(_) => Some("to be within a range of time is `OVERLAPS (T'...', T'...')`"),
                Operand::Region(_) => Some("regions are tested with `OVERLAPS`"),
                _ => None,
            };
            let (left, right) = (operand.text().to_owned(), "a list".to_owned());
            let problem = QueryProblem::WrongTypes { operator: "IN".to_owned(), left, right, hint };
            return Err(self.error(problem, value.span));
        };
        let scalar = if sort == Sort::Bool { scalar.into_number() } else { scalar };
        let (mut values, mut ranges, mut null) = (Vec::new(), Vec::new(), false);
        for item in items {
            match self.item(item)? {
                Operand::Null => null = true,
                Operand::Range(start, stop, stride) if sort == Sort::Int => ranges.push((start, stop, stride)),
                Operand::List(binds) => {
                    for bind in &binds {
                        match self.bound(bind, item)? {
                            Operand::Null => null = true,
                            operand => values.push(self.item_value(&operand, sort, item)?),
                        }
                    }
                }
                other => values.push(self.item_value(&other, sort, item)?),
            }
        }
        Ok(Predicate::Test(Test::In { value: scalar, items: values, ranges, null }))
    }

    /// An item of a list; a bare name there is always a bound value.
    fn item(&self, node: &Node) -> Result<Operand, QueryError> {
        match &node.kind {
            Kind::Name(parts) => self.bind(&parts[0], node),
            Kind::Range { start, stop, stride } => Ok(Operand::Range(*start, *stop, *stride)),
            _ => self.operand(node),
        }
    }

    fn item_value(&self, operand: &Operand, sort: Sort, node: &Node) -> Result<Value, QueryError> {
        match operand {
            Operand::Scalar(Scalar::Literal(value), other) if comparable(sort, *other, true) => Ok(match value {
                Value::Bool(value) => Value::Int(i64::from(*value)),
                value => value.clone(),
            }),
            other => Err(self.wrong_item(sort, other.text(), node)),
        }
    }

    fn wrong_item(&self, sort: Sort, found: &str, node: &Node) -> QueryError {
        let (left, right) = (sort.text().to_owned(), found.to_owned());
        self.error(QueryProblem::WrongTypes { operator: "IN".to_owned(), left, right, hint: None }, node.span)
    }

    fn glob(&self, arguments: &[Node], span: Span) -> Result<Predicate, QueryError> {
        let refuse = |reason: &str| {
            let function = "GLOB".to_owned();
            Err(self.error(QueryProblem::BadArguments { function, reason: reason.to_owned() }, span))
        };
        let [column, pattern] = arguments else {
            return refuse("it takes a column and a pattern");
        };
        match (self.operand(column)?, self.operand(pattern)?) {
            (
                Operand::Scalar(Scalar::Column(column), Sort::Text),
                Operand::Scalar(Scalar::Literal(Value::Str(pattern)), _),
            ) => {
                if pattern.len() > LONGEST_PATTERN {
                    return refuse(&format!(
                        "the pattern has {} bytes, and the longest that works has {LONGEST_PATTERN}",
                        pattern.len()
                    ));
                }
                let anything = !pattern.is_empty() && pattern.bytes().all(|byte| byte == b'*');
                let pattern = single_stars(&pattern);
                let stars = pattern.bytes().filter(|byte| *byte == b'*').count();
                if stars > MOST_STARS {
                    return refuse(&format!("the pattern has {stars} `*`, and the most that work are {MOST_STARS}"));
                }
                let test = Predicate::Test(Test::Glob(Scalar::Column(column), pattern));
                // A missing value matches only the pattern that everything matches.
                Ok(if anything { Predicate::Any(vec![test, Predicate::Test(Test::IsNull(column))]) } else { test })
            }
            (Operand::Scalar(Scalar::Column(_), Sort::Text), _) => refuse("the second must be text such as `'A*'`"),
            _ => refuse("the first must be a column of text"),
        }
    }
}

/// A pattern without `*` that follow another one, which say nothing more.
fn single_stars(pattern: &str) -> String {
    let mut kept = String::with_capacity(pattern.len());
    for character in pattern.chars() {
        if character != '*' || !kept.ends_with('*') {
            kept.push(character);
        }
    }
    kept
}

/// Year, month and day of `2024-03-01`, of which each has all its digits and nothing stands around.
fn day_parts(text: &str) -> Option<[i64; 3]> {
    let mut parts = text.split('-');
    let mut next = |digits: usize| {
        let part = parts.next()?;
        (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let day = [next(4)?, next(2)?, next(2)?];
    parts.next().is_none().then_some(day)
}

/// What `2024-03-01` is without quotes.
fn difference(text: &str) -> Option<String> {
    let [year, month, day] = day_parts(text)?;
    Some(format!("the difference {}", year - month - day))
}

/// A timespan, or a moment counted as one.
fn time_term(operand: &Operand) -> Option<TimeTerm> {
    match operand {
        Operand::Time(term) => Some(term.clone()),
        Operand::Scalar(Scalar::Column(column), Sort::Time) => Some(TimeTerm::Moment(*column)),
        Operand::Scalar(Scalar::Literal(Value::Int(time)), Sort::Time) => {
            Some(TimeTerm::Literal(Timespan::instant(*time)))
        }
        Operand::Scalar(..) | Operand::Region(_) | Operand::List(_) | Operand::Range(..) | Operand::Null => None,
    }
}

/// Two comparable values, as numbers if just one of them is a truth value.
fn alike((a, sort): (Scalar, Sort), (b, other): (Scalar, Sort)) -> (Scalar, Scalar) {
    match (sort, other) {
        (Sort::Bool, Sort::Bool) => (a, b),
        (Sort::Bool, _) => (a.into_number(), b),
        (_, Sort::Bool) => (a, b.into_number()),
        _ => (a, b),
    }
}

/// Whether values of two sorts can be compared.
fn comparable(left: Sort, right: Sort, equality: bool) -> bool {
    let ordered = |sort| matches!(sort, Sort::Int | Sort::Float | Sort::Text | Sort::Time);
    let number = |sort: Sort| sort.is_number() || (equality && sort == Sort::Bool);
    (number(left) && number(right)) || (left == right && (equality || ordered(left)))
}
