//! Values of an expression: columns, literals with their types, times, regions and what is bound.

use super::{Operand, Resolver};
use crate::query::{
    error::{QueryError, QueryProblem},
    predicate::{Reference, RegionTerm, Scalar, Sort, TimeTerm},
    region::{REGION_FUNCTIONS, Shape},
    request::Bind,
};
use armillary_dimensions::{Element, Timespan, Value, nearest};
use armillary_expression::{ExpressionError, Kind, Node, Sign, Span, time::parse_time};
use armillary_sphere::Region;
use std::sync::Arc;

impl Resolver<'_> {
    pub(super) fn operand(&self, node: &Node) -> Result<Operand, QueryError> {
        let literal = |value, sort| Ok(Operand::Scalar(Scalar::Literal(value), sort));
        match &node.kind {
            Kind::Integer(value) => literal(Value::Int(*value), Sort::Int),
            Kind::Float(value) => literal(Value::Float(*value), Sort::Float),
            Kind::Text(text) => self.text(text, node),
            Kind::Time(text) => literal(Value::Int(self.time(text, node.span)?), Sort::Time),
            Kind::Null => Ok(Operand::Null),
            Kind::Bind(name) => self.bind(name, node),
            Kind::Name(parts) => self.name(parts, node),
            Kind::Signed { sign, operand } => self.signed(*sign, operand, node.span),
            Kind::Arithmetic { operator, left, right } => {
                let (first, second) = (self.operand(left)?, self.operand(right)?);
                match (first.sort(), second.sort(), first, second) {
                    (Some(a), Some(b), Operand::Scalar(first, _), Operand::Scalar(second, _))
                        if a.is_number()
                            && b.is_number()
                            && (operator.text() != "%" || (a, b) == (Sort::Int, Sort::Int)) =>
                    {
                        let whole = (a, b) == (Sort::Int, Sort::Int) && operator.text() != "/";
                        let scalar = Scalar::Arithmetic(*operator, Box::new(first), Box::new(second));
                        Ok(Operand::Scalar(scalar, if whole { Sort::Int } else { Sort::Float }))
                    }
                    (_, _, first, second) => {
                        let (left, right) = (first.text().to_owned(), second.text().to_owned());
                        let operator = operator.text().to_owned();
                        Err(self.error(QueryProblem::WrongTypes { operator, left, right, hint: None }, node.span))
                    }
                }
            }
            Kind::TimeRange(begin, end) => self.time_range(begin, end),
            Kind::Call { function, name_span, arguments } => self.call(function, *name_span, arguments, node),
            Kind::Range { .. } | Kind::Or(_) | Kind::And(_) | Kind::Not(_) | Kind::Compare { .. } | Kind::In { .. } => {
                let found = format!("the condition `{}`", self.written(node));
                Err(self.error(QueryProblem::NotAValue { found }, node.span))
            }
        }
    }

    fn text(&self, text: &str, node: &Node) -> Result<Operand, QueryError> {
        if text.contains('\0') {
            let function = self.written(node).into_owned();
            let reason = "no text in a repository holds the character U+0000".to_owned();
            return Err(self.error(QueryProblem::BadArguments { function, reason }, node.span));
        }
        Ok(Operand::Scalar(Scalar::Literal(Value::Str(text.into())), Sort::Text))
    }

    fn time(&self, text: &str, span: Span) -> Result<i64, QueryError> {
        parse_time(text, span).map_err(|error: ExpressionError| QueryError::syntax(error, self.text))
    }

    fn signed(&self, sign: Sign, node: &Node, span: Span) -> Result<Operand, QueryError> {
        match self.operand(node)? {
            Operand::Scalar(Scalar::Literal(Value::Float(value)), sort) if sign == Sign::Minus => {
                Ok(Operand::Scalar(Scalar::Literal(Value::Float(-value)), sort))
            }
            Operand::Scalar(scalar, sort) if sort.is_number() => Ok(match sign {
                Sign::Plus => Operand::Scalar(scalar, sort),
                Sign::Minus => Operand::Scalar(Scalar::Negative(Box::new(scalar)), sort),
            }),
            other => {
                let found = format!("{} with a sign", other.text());
                Err(self.error(QueryProblem::NotAValue { found }, span))
            }
        }
    }

    fn time_range(&self, begin: &Node, end: &Node) -> Result<Operand, QueryError> {
        let bound = |node: &Node, open: i64| match self.operand(node)? {
            Operand::Null => Ok(open),
            Operand::Scalar(Scalar::Literal(Value::Int(time)), Sort::Time) => Ok(time),
            other => {
                let hint = (other.sort() == Some(Sort::Text)).then_some("a time is written `T'2020-01-01'`");
                let (left, right) = ("a bound".to_owned(), other.text().to_owned());
                let problem = QueryProblem::WrongTypes { operator: "(,)".to_owned(), left, right, hint };
                Err(self.error(problem, node.span))
            }
        };
        let (begin, end) = (bound(begin, Timespan::MIN)?, bound(end, Timespan::MAX)?);
        // A `Timespan` whose bounds are equal is that instant, not empty.
        let span = if begin == end { Timespan::instant(begin) } else { Timespan::new(begin, end) };
        Ok(Operand::Time(TimeTerm::Literal(span)))
    }

    fn call(&self, function: &str, name_span: Span, arguments: &[Node], node: &Node) -> Result<Operand, QueryError> {
        let upper = function.to_ascii_uppercase();
        let refuse =
            |reason: String| Err(self.error(QueryProblem::BadArguments { function: upper.clone(), reason }, node.span));
        let shape = match upper.as_str() {
            "UUID" => {
                return match arguments {
                    [Node { kind: Kind::Text(text), .. }] => match uuid::Uuid::parse_str(text) {
                        Ok(id) => Ok(Operand::Scalar(Scalar::Literal(Value::Uuid(id.into_bytes())), Sort::Uuid)),
                        Err(error) => refuse(error.to_string()),
                    },
                    _ => refuse("it takes the 32 hexadecimal digits of an id as text".to_owned()),
                };
            }
            "REGION" => match arguments {
                [argument] => match self.operand(argument)? {
                    Operand::Scalar(Scalar::Literal(Value::Str(text)), _) => {
                        Region::from_ivoa_pos(&text).map(Shape::from).map_err(|error| error.to_string())
                    }
                    other => Err(format!("it takes text such as `'CIRCLE 10 -5 0.5'`, not {}", other.text())),
                },
                _ => Err("it takes one text such as `'CIRCLE 10 -5 0.5'`".to_owned()),
            },
            name if REGION_FUNCTIONS.contains(&name) => {
                let numbers: Result<Vec<f64>, QueryError> =
                    arguments.iter().map(|argument| self.constant_number(&upper, argument)).collect();
                Shape::from_numbers(name, &numbers?)
            }
            "GLOB" => {
                let found = format!("the condition `{}`", self.written(node));
                return Err(self.error(QueryProblem::NotAValue { found }, node.span));
            }
            _ => {
                let known = REGION_FUNCTIONS.into_iter().chain(["GLOB", "UUID"]);
                let problem =
                    QueryProblem::UnknownFunction { name: function.to_owned(), nearest: nearest(&upper, known) };
                return Err(self.error(problem, name_span));
            }
        };
        match shape {
            Ok(shape) => Ok(Operand::Region(RegionTerm::Literal(Arc::new(shape)))),
            Err(reason) => refuse(reason),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "degrees")]
    fn constant_number(&self, function: &str, node: &Node) -> Result<f64, QueryError> {
        let operand = match &node.kind {
            Kind::Name(parts) if parts.len() == 1 && self.binds.contains_key(&parts[0]) => {
                self.bind(&parts[0], node)?
            }
            _ => self.operand(node)?,
        };
        let mut scalar = &match operand {
            Operand::Scalar(scalar, _) => scalar,
            other => Scalar::Literal(Value::Str(other.text().into())),
        };
        let mut sign = 1.0;
        while let Scalar::Negative(inner) = scalar {
            sign = -sign;
            scalar = inner;
        }
        match scalar {
            Scalar::Literal(Value::Int(value)) => Ok(sign * *value as f64),
            Scalar::Literal(Value::Float(value)) => Ok(sign * value),
            _ => {
                let reason = format!("`{}` is no number", self.written(node));
                Err(self.error(QueryProblem::BadArguments { function: function.to_owned(), reason }, node.span))
            }
        }
    }

    pub(super) fn bind(&self, name: &str, node: &Node) -> Result<Operand, QueryError> {
        let Some(bind) = self.binds.get(name) else {
            let nearest = nearest(name, self.binds.keys().map(String::as_str));
            return Err(self.error(QueryProblem::UnknownBind { name: name.to_owned(), nearest }, node.span));
        };
        self.bound(bind, node)
    }

    pub(super) fn bound(&self, bind: &Bind, node: &Node) -> Result<Operand, QueryError> {
        let refuse = |reason: String| {
            let function = node.span.of(self.text).to_owned();
            self.error(QueryProblem::BadArguments { function, reason }, node.span)
        };
        let sort = match bind {
            Bind::List(items) => return Ok(Operand::List(items.clone())),
            Bind::Range { start, stop, stride } => return Ok(Operand::Range(*start, *stop, *stride)),
            Bind::Time(time) => return Ok(Operand::Scalar(Scalar::Literal(Value::Int(*time)), Sort::Time)),
            Bind::Point(lon, lat) => {
                let shape = Shape::point(*lon, *lat).map_err(refuse)?;
                return Ok(Operand::Region(RegionTerm::Literal(Arc::new(shape))));
            }
            Bind::Region(bytes) => {
                let region = Region::decode(bytes).map_err(|error| refuse(error.to_string()))?;
                return Ok(Operand::Region(RegionTerm::Literal(Arc::new(region.into()))));
            }
            Bind::Value(Value::Timespan(span)) => return Ok(Operand::Time(TimeTerm::Literal(*span))),
            Bind::Value(Value::Null) => return Ok(Operand::Null),
            Bind::Value(Value::Int(_)) => Sort::Int,
            Bind::Value(Value::Float(_)) => Sort::Float,
            Bind::Value(Value::Str(text)) => return self.text(text, node),
            Bind::Value(Value::Bool(_)) => Sort::Bool,
            Bind::Value(Value::Bytes(_)) => Sort::Hash,
            Bind::Value(Value::Uuid(_)) => Sort::Uuid,
        };
        let Bind::Value(value) = bind else { unreachable!("every other sort returned above") };
        Ok(Operand::Scalar(Scalar::Literal(value.clone()), sort))
    }

    /// A bare name: a dimension, then a bound value, then a field.
    fn name(&self, parts: &[String], node: &Node) -> Result<Operand, QueryError> {
        if let [name] = parts
            && self.binds.contains_key(name)
        {
            let dimension = self.scope.universe.find(name).is_some_and(Element::is_dimension);
            if !dimension {
                return self.bind(name, node);
            }
            if !self.colon_names.contains(&name.as_str()) {
                return Err(self.error(QueryProblem::ShadowedBind { name: name.clone() }, node.span));
            }
        }
        let (reference, sort) = self.reference(parts, node.span)?;
        Ok(match reference {
            Reference::Timespan(owner) => Operand::Time(TimeTerm::Span(owner)),
            Reference::Region(element) => Operand::Region(RegionTerm::Column(element)),
            column => Operand::Scalar(Scalar::Column(column), sort),
        })
    }
}
