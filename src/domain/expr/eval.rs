//! Trees to values.
//!
//! One pass over the tree, borrowing the JSON; two budgets end whatever runs away.

use std::sync::Arc;

use serde_json::Value as Json;

use super::ast::{Expr, Kind, Span};
use super::budget::Budget;
use super::gotext::to_int;
use super::missing;
use super::pattern::Pattern;
use super::time::Method;
use super::value::{Keys, List, Text, TooDeep, Value, equal};
use crate::domain::condition::{ConditionError, Scope};

/// Why an evaluation ends without a value.
#[derive(Debug)]
pub(super) enum Stop {
    /// A `?.` met nil: the chain around it is nil.
    Absent,
    Failed(Box<ConditionError>),
}

pub(super) type Evaluated<T> = Result<T, Stop>;

impl Stop {
    pub(super) fn at(span: Span, message: impl Into<String>) -> Self {
        Self::Failed(Box::new(ConditionError::new(span.start, message)))
    }

    /// The same with a hint, where there is one.
    pub(super) fn hint(self, hint: Option<String>) -> Self {
        match (self, hint) {
            (Self::Failed(error), Some(hint)) => Self::Failed(Box::new(error.hint(hint))),
            (stop, _) => stop,
        }
    }
}

/// What a predicate sees.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame<'a> {
    pub(super) element: Element<'a>,
    pub(super) index: usize,
    pub(super) accumulator: Value<'a>,
}

/// An element of a list. One of the result is only pointed at: most predicates want no more than a member of it.
#[derive(Clone, Debug)]
pub(super) enum Element<'a> {
    Json(&'a Json),
    Made(Value<'a>),
}

impl<'a> Element<'a> {
    /// The element of `list` at `index`; `None` behind the last.
    pub(super) fn of(list: &List<'a>, index: usize) -> Option<Self> {
        match list {
            List::Json(items) => items.get(index).map(Self::Json),
            List::Numbers(_) | List::Range { .. } | List::Absent | List::Made(_) => {
                list.get(index).map(Self::Made)
            }
        }
    }

    pub(super) fn value(&self) -> Value<'a> {
        match self {
            Self::Json(json) => Value::from_json(json),
            Self::Made(value) => value.clone(),
        }
    }
}

impl Default for Element<'_> {
    fn default() -> Self {
        Self::Json(&Json::Null)
    }
}

pub(super) struct Evaluator<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) source: &'a str,
    pub(super) frame: Frame<'a>,
    pub(super) slots: Vec<Value<'a>>,
    pub(super) budget: Budget,
    /// The series that were looked at, by their place.
    numbers: Vec<(usize, Arc<[f64]>)>,
    /// The last pattern that was no literal.
    pub(super) pattern: Option<(String, Pattern)>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(source: &'a str, slots: usize, scope: Scope<'a>) -> Self {
        Self {
            scope,
            source,
            frame: Frame::default(),
            slots: vec![Value::Nil; slots],
            budget: Budget::full(),
            numbers: Vec::new(),
            pattern: None,
        }
    }

    /// The value of `expression`. Every arm is a function of its own, so that a deep tree needs little stack.
    pub(super) fn eval(&mut self, expression: &'a Expr) -> Evaluated<Value<'a>> {
        self.step(expression.span)?;
        match &expression.kind {
            Kind::Literal(value) => Ok(literal(value)),
            Kind::Result => Ok(Value::from_json(self.scope.result)),
            Kind::Environment => self.environment(expression.span),
            Kind::Values(name) => self.series(expression.span, name.as_deref()),
            Kind::Slot(slot) => Ok(self.slots[*slot].clone()),
            Kind::Element => Ok(self.frame.element.value()),
            Kind::Index => Ok(count(self.frame.index)),
            Kind::Accumulator => Ok(self.frame.accumulator.clone()),
            Kind::Not(inner) => self.not(inner),
            Kind::Negate(inner) => self.negate(inner),
            Kind::Plus(inner) => self.eval(inner),
            Kind::Logic {
                connective,
                parts,
                settled,
            } => self.logic(parts, connective.decisive(), *settled),
            Kind::Coalesce(sides) => self.coalesce(sides),
            Kind::Binary(operator, sides) => match self.glance(*operator, sides) {
                Some(holds) => Ok(Value::Bool(holds)),
                None => self.binary(expression.span, *operator, sides),
            },
            Kind::Ordered { first, rest } => self.ordered(first, rest),
            Kind::Matches(inner, pattern) => self.matches_literal(inner, pattern),
            Kind::Member {
                object,
                name,
                optional,
            } => match self.glance_at(expression) {
                Some(json) => Ok(Value::from_json(json)),
                None => self.member(expression.span, object, name, *optional),
            },
            Kind::Item {
                object,
                key,
                optional,
            } => self.item(expression.span, object, key, *optional),
            Kind::Slice { object, from, to } => {
                self.slice(expression.span, object, from.as_deref(), to.as_deref())
            }
            Kind::Chain(inner) => match self.eval(inner) {
                Err(Stop::Absent) => Ok(Value::Nil),
                other => other,
            },
            Kind::Method {
                object,
                method,
                arguments,
            } => self.method(expression.span, object, *method, arguments),
            Kind::Call {
                function,
                arguments,
            } => self.call(expression.span, *function, arguments),
            Kind::Each(call) => self.each(call),
            Kind::Conditional(parts) => self.conditional(parts),
            Kind::Elvis(sides) => self.elvis(sides),
            Kind::Let { slot, value, body } => {
                self.slots[*slot] = self.eval(value)?;
                self.eval(body)
            }
            Kind::Sequence(parts) => self.last_of(parts),
            Kind::List(items) => self.list(expression.span, items),
            Kind::Map(pairs) => self.map(expression.span, pairs),
        }
    }

    /// The value of `expression`, which has to be a boolean.
    pub(super) fn truth(&mut self, expression: &'a Expr) -> Evaluated<bool> {
        let value = match &expression.kind {
            Kind::Binary(operator, sides) => {
                self.step(expression.span)?;
                if let Some(holds) = self.glance(*operator, sides) {
                    return Ok(holds);
                }
                self.binary(expression.span, *operator, sides)?
            }
            _ => self.eval(expression)?,
        };
        match value {
            Value::Bool(value) => Ok(value),
            other => Err(self.no_bool(expression, &other)),
        }
    }

    #[cold]
    fn no_bool(&mut self, expression: &'a Expr, value: &Value<'a>) -> Stop {
        let message = format!("expected bool, but got {}", value.type_name());
        let source = self.text_of(expression);
        let hint = match value {
            Value::Nil => missing::hint(self, expression),
            Value::Int(_) | Value::Float(_) => {
                Some(format!("a condition compares: `{source} >= 1`"))
            }
            _ => None,
        };
        Stop::at(expression.span, message).hint(hint)
    }

    pub(super) fn all_of(&mut self, expressions: &'a [Expr]) -> Evaluated<Vec<Value<'a>>> {
        expressions
            .iter()
            .map(|expression| self.eval(expression))
            .collect()
    }

    fn last_of(&mut self, parts: &'a [Expr]) -> Evaluated<Value<'a>> {
        let mut last = Value::Nil;
        for part in parts {
            last = self.eval(part)?;
        }
        Ok(last)
    }

    fn method(
        &mut self,
        span: Span,
        object: &'a Expr,
        method: Method,
        arguments: &'a [Expr],
    ) -> Evaluated<Value<'a>> {
        let object = self.eval(object)?;
        let arguments = self.all_of(arguments)?;
        for argument in &arguments {
            self.work_on(span, argument)?;
        }
        let given = method.call(&object, &arguments).ok_or_else(|| {
            let message = format!(
                "{} has no such method {}",
                object.type_name(),
                method.name()
            );
            Stop::at(span, message)
        })?;
        if let Value::Text(text) = &given {
            self.grow(span, text.as_str().len())?;
        }
        Ok(given)
    }

    fn not(&mut self, inner: &'a Expr) -> Evaluated<Value<'a>> {
        Ok(Value::Bool(!self.truth(inner)?))
    }

    fn negate(&mut self, inner: &'a Expr) -> Evaluated<Value<'a>> {
        match self.eval(inner)? {
            Value::Int(value) => Ok(Value::Int(value.wrapping_neg())),
            Value::Float(value) => Ok(Value::Float(-value)),
            other => {
                let message = format!("invalid operation: - {}", other.type_name());
                let hint = match &other {
                    Value::Nil => missing::hint(self, inner),
                    Value::Text(text) => self.as_float_hint(inner, text),
                    _ => None,
                };
                Err(Stop::at(inner.span, message).hint(hint))
            }
        }
    }

    /// `&&` and `||`: the first part that is `decisive` decides; as in Go, the last one is not looked at.
    fn logic(&mut self, parts: &'a [Expr], decisive: bool, settled: bool) -> Evaluated<Value<'a>> {
        if settled {
            return Ok(Value::Bool(decisive));
        }
        let Some((last, before)) = parts.split_last() else {
            return Ok(Value::Bool(!decisive));
        };
        for part in before {
            if self.truth(part)? == decisive {
                return Ok(Value::Bool(decisive));
            }
        }
        self.eval(last)
    }

    fn coalesce(&mut self, sides: &'a [Expr; 2]) -> Evaluated<Value<'a>> {
        match self.eval(&sides[0])? {
            value if value.is_nil() => self.eval(&sides[1]),
            value => Ok(value),
        }
    }

    fn conditional(&mut self, parts: &'a [Expr; 3]) -> Evaluated<Value<'a>> {
        let chosen = if self.truth(&parts[0])? {
            &parts[1]
        } else {
            &parts[2]
        };
        self.eval(chosen)
    }

    fn elvis(&mut self, sides: &'a [Expr; 2]) -> Evaluated<Value<'a>> {
        if self.truth(&sides[0])? {
            return Ok(Value::Bool(true));
        }
        self.eval(&sides[1])
    }

    fn list(&mut self, span: Span, items: &'a [Expr]) -> Evaluated<Value<'a>> {
        let items = self.all_of(items)?;
        self.made_list(span, items)
    }

    fn map(&mut self, span: Span, pairs: &'a [(Expr, Expr)]) -> Evaluated<Value<'a>> {
        let mut entries: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let name = self.eval(key)?;
            let value = self.eval(value)?;
            if !matches!(name, Value::Text(_)) {
                let message = format!("a member has a name, not {}", name.type_name());
                return Err(Stop::at(key.span, message));
            }
            if !entries.iter().any(|(known, _)| equal(known, &name)) {
                entries.push((name, value));
            }
        }
        self.work(span, entries.len() * entries.len())?;
        self.grow(span, entries.len())?;
        Value::map(entries, Keys::Names).map_err(|TooDeep| too_deep(span))
    }

    fn environment(&mut self, span: Span) -> Evaluated<Value<'a>> {
        let result = Value::from_json(self.scope.result);
        self.grow(span, 1)?;
        Value::map(vec![(Value::text("result"), result)], Keys::Names)
            .map_err(|TooDeep| too_deep(span))
    }

    /// The numbers of the series `name`, or of the only one.
    fn series(&mut self, span: Span, name: Option<&str>) -> Evaluated<Value<'a>> {
        let place = self.place_of_series(span, name)?;
        if let Some((_, numbers)) = self.numbers.iter().find(|(known, _)| *known == place) {
            return Ok(Value::List(List::Numbers(numbers.clone())));
        }
        let numbers: Arc<[f64]> = self.scope.series[place].values().collect();
        self.numbers.push((place, numbers.clone()));
        Ok(Value::List(List::Numbers(numbers)))
    }

    /// Which of the series `name` is; without one, the only series.
    pub(super) fn place_of_series(&self, span: Span, name: Option<&str>) -> Evaluated<usize> {
        self.scope.place_of_series(name).map_err(|error| {
            Stop::Failed(Box::new(ConditionError {
                at: span.start,
                ..error
            }))
        })
    }

    pub(super) fn made_list(&mut self, span: Span, items: Vec<Value<'a>>) -> Evaluated<Value<'a>> {
        self.grow(span, items.len())?;
        Value::list(items).map_err(|TooDeep| too_deep(span))
    }

    /// How `expression` is written.
    pub(super) fn text_of(&self, expression: &Expr) -> &'a str {
        let Span { start, end } = expression.span;
        match self.source.get(start..end) {
            Some("") | None => "the element",
            Some(text) => text,
        }
    }
}

#[cold]
pub(super) fn too_deep(span: Span) -> Stop {
    Stop::at(span, "lists and maps nested too deep")
}

/// A literal, lent.
fn literal<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Text(text) => Value::Text(Text::Lent(text.as_str())),
        other => other.clone(),
    }
}

/// As Go's `int(…)` of a number where one is needed.
pub(super) fn int_of(span: Span, value: &Value<'_>) -> Evaluated<i64> {
    match value {
        Value::Int(value) => Ok(*value),
        Value::Float(value) => Ok(to_int(*value)),
        other => {
            let message = format!("invalid operation: int({})", other.type_name());
            Err(Stop::at(span, message))
        }
    }
}

/// A number of things.
pub(super) fn count(number: usize) -> Value<'static> {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}
