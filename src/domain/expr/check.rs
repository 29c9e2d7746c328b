//! What Go rejects before it evaluates.
//!
//! Go knows the type of the top-level `result`, and nothing below it, when it compiles a condition.
//! A condition is parsed before there is a result, so it is checked once for each of the six types that a result can have.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::ast::{EachCall, Expr, Kind, Operator, Span};
use super::function::{Each, Function, Gives, Parameter, Signature};
use super::nature::{Nature, accepts, list_of, of_literal, operation};
use super::parser::Result;
use super::time::{Method, Owner};
use crate::domain::condition::ConditionError;

/// The types of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResultType {
    Nil,
    Bool,
    Number,
    Text,
    List,
    Map,
}

impl ResultType {
    /// The commonest first: its complaint is shown where none of the types would do.
    pub(super) const ALL: [Self; 6] = [
        Self::Map,
        Self::List,
        Self::Number,
        Self::Text,
        Self::Bool,
        Self::Nil,
    ];

    pub(super) fn of(result: &Json) -> Self {
        match result {
            Json::Null => Self::Nil,
            Json::Bool(_) => Self::Bool,
            Json::Number(_) => Self::Number,
            Json::String(_) => Self::Text,
            Json::Array(_) => Self::List,
            Json::Object(_) => Self::Map,
        }
    }
}

/// What Go says of `root` before it evaluates it on such a result.
pub(super) fn check(root: &Expr, result: ResultType, slots: usize) -> Result<()> {
    let mut checker = Checker {
        result: match result {
            ResultType::Nil => Nature::Nil,
            ResultType::Bool => Nature::Bool,
            ResultType::Number => Nature::Float,
            ResultType::Text => Nature::Text,
            ResultType::List => Nature::list(),
            ResultType::Map => Nature::Map,
        },
        slots: vec![Nature::Unknown; slots],
        element: Nature::Unknown,
    };
    checker.nature(root).map(|_| ())
}

struct Checker {
    result: Nature,
    slots: Vec<Nature>,
    /// Of the innermost `#`.
    element: Nature,
}

impl Checker {
    fn nature(&mut self, expression: &Expr) -> Result<Nature> {
        let span = expression.span;
        match &expression.kind {
            Kind::Literal(value) => Ok(of_literal(value)),
            Kind::Result => Ok(self.result.clone()),
            Kind::Values(_) => Ok(Nature::List(Box::new(Nature::Float))),
            Kind::Slot(slot) => Ok(self.slots[*slot].clone()),
            Kind::Element => Ok(self.element.clone()),
            Kind::Index => Ok(Nature::Int),
            Kind::Accumulator | Kind::Environment => Ok(Nature::Unknown),
            Kind::Not(inner) => match self.nature(inner)? {
                Nature::Bool | Nature::Unknown => Ok(Nature::Bool),
                other => Err(mismatched(span, "not", &other)),
            },
            Kind::Negate(inner) => self.signed(span, "-", inner),
            Kind::Plus(inner) => self.signed(span, "+", inner),
            Kind::Logic {
                connective, parts, ..
            } => self.logic(connective.symbol(), parts),
            Kind::Coalesce(sides) => self.coalesce(&sides[0], &sides[1]),
            Kind::Binary(operator, sides) => self.binary(span, *operator, &sides[0], &sides[1]),
            Kind::Ordered { first, rest } => {
                let mut left = self.nature(first)?;
                for (comparison, operand) in rest {
                    let right = self.nature(operand)?;
                    let operator = Operator::Compare(*comparison);
                    operation(operator, &left, &right)
                        .ok_or_else(|| impossible(span, operator, &left, &right))?;
                    left = right;
                }
                Ok(Nature::Bool)
            }
            Kind::Matches(inner, _) => {
                let left = self.nature(inner)?;
                operation(Operator::Matches, &left, &Nature::Text)
                    .ok_or_else(|| impossible(span, Operator::Matches, &left, &Nature::Text))
            }
            Kind::Member {
                object,
                name,
                optional,
            } => {
                if matches!(object.kind, Kind::Environment) {
                    return self.of_environment(span, name, *optional);
                }
                let object = self.nature(object)?;
                member(span, &object, name)
            }
            Kind::Item { object, key, .. } => {
                let object = self.nature(object)?;
                let key = self.nature(key)?;
                item(span, &object, &key)
            }
            Kind::Slice { object, from, to } => {
                let object = self.nature(object)?;
                self.slice(span, object, from.as_deref(), to.as_deref())
            }
            Kind::Chain(inner) => self.nature(inner),
            Kind::Method {
                object,
                method,
                arguments,
            } => {
                let object = self.nature(object)?;
                self.method(span, &object, *method, arguments)
            }
            Kind::Call {
                function,
                arguments,
            } => self.call(span, function.signature(), arguments),
            Kind::Each(call) => self.each(call),
            Kind::Conditional(parts) => {
                self.asked(&parts[0])?;
                let then = self.nature(&parts[1])?;
                let otherwise = self.nature(&parts[2])?;
                Ok(either(then, otherwise))
            }
            Kind::Elvis(sides) => {
                let then = self.asked(&sides[0])?;
                let otherwise = self.nature(&sides[1])?;
                Ok(either(then, otherwise))
            }
            Kind::Let { slot, value, body } => {
                self.slots[*slot] = self.nature(value)?;
                self.nature(body)
            }
            Kind::Sequence(parts) => {
                let mut last = Nature::Unknown;
                for part in parts {
                    last = self.nature(part)?;
                }
                Ok(last)
            }
            Kind::List(items) => {
                let natures: Result<Vec<_>> = items.iter().map(|item| self.nature(item)).collect();
                Ok(list_of(natures?))
            }
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    self.nature(key)?;
                    self.nature(value)?;
                }
                Ok(Nature::Map)
            }
        }
    }

    /// `$env.name`
    fn of_environment(&self, span: Span, name: &str, optional: bool) -> Result<Nature> {
        match name {
            "result" => Ok(self.result.clone()),
            _ if optional => Ok(Nature::Unknown),
            _ => Err(ConditionError::new(
                span.start,
                format!("unknown name {name}"),
            )),
        }
    }

    fn signed(&mut self, span: Span, sign: &str, inner: &Expr) -> Result<Nature> {
        match self.nature(inner)? {
            nature @ (Nature::Int | Nature::Float | Nature::Unknown) => Ok(nature),
            other => Err(mismatched(span, sign, &other)),
        }
    }

    fn logic(&mut self, symbol: &str, parts: &[Expr]) -> Result<Nature> {
        let natures: Result<Vec<_>> = parts.iter().map(|part| self.nature(part)).collect();
        let natures = natures?;
        let mut left = &natures[0];
        for (right, part) in natures.iter().zip(parts).skip(1) {
            if !left.both(right, |nature| *nature == Nature::Bool) {
                let message = format!(
                    "invalid operation: {symbol} (mismatched types {} and {})",
                    left.name(),
                    right.name()
                );
                return Err(ConditionError::new(part.span.start, message));
            }
            left = &Nature::Bool;
        }
        Ok(Nature::Bool)
    }

    fn coalesce(&mut self, left: &Expr, right: &Expr) -> Result<Nature> {
        let left = self.nature(left)?;
        let right = self.nature(right)?;
        Ok(match (&left, &right) {
            (Nature::Nil, _) => right,
            (_, Nature::Nil) => left,
            _ if left.same_kind(&right) => left,
            _ => Nature::Unknown,
        })
    }

    fn binary(
        &mut self,
        span: Span,
        operator: Operator,
        left: &Expr,
        right: &Expr,
    ) -> Result<Nature> {
        let (l, r) = (self.nature(left)?, self.nature(right)?);
        if operator == Operator::In {
            return contains(span, &l, &r);
        }
        operation(operator, &l, &r).ok_or_else(|| {
            let error = impossible(span, operator, &l, &r);
            match hint(left, right, &l, &r) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }

    fn slice(
        &mut self,
        span: Span,
        object: Nature,
        from: Option<&Expr>,
        to: Option<&Expr>,
    ) -> Result<Nature> {
        match object {
            // As in Go, the bounds of what is unknown aren't looked at.
            Nature::Unknown => return Ok(Nature::Unknown),
            Nature::Text | Nature::List(_) => {}
            other => {
                let message = format!("cannot slice {}", other.name());
                return Err(ConditionError::new(span.start, message));
            }
        }
        for bound in from.into_iter().chain(to) {
            let nature = self.nature(bound)?;
            if !matches!(nature, Nature::Int | Nature::Unknown) {
                let message = format!("non-integer slice index {}", nature.name());
                return Err(ConditionError::new(bound.span.start, message));
            }
        }
        Ok(object)
    }

    /// The nature of what `?` asks.
    fn asked(&mut self, condition: &Expr) -> Result<Nature> {
        let nature = self.nature(condition)?;
        if !matches!(nature, Nature::Bool | Nature::Unknown) {
            let message = format!(
                "non-bool expression (type {}) used as condition",
                nature.name()
            );
            return Err(ConditionError::new(condition.span.start, message));
        }
        Ok(nature)
    }

    fn method(
        &mut self,
        span: Span,
        object: &Nature,
        method: Method,
        arguments: &[Expr],
    ) -> Result<Nature> {
        let natures: Result<Vec<_>> = arguments
            .iter()
            .map(|argument| self.nature(argument))
            .collect();
        let natures = natures?;
        let owner = match object {
            Nature::Unknown => return Ok(Nature::Unknown),
            Nature::Duration => Some(Owner::Duration),
            Nature::Moment => Some(Owner::Moment),
            Nature::Zone => Some(Owner::Zone),
            _ => None,
        };
        let name = method.name();
        let error = |message: String| Err(ConditionError::new(span.start, message));
        let Some(signature) = owner.and_then(|owner| method.of(owner)) else {
            return error(format!("type {} has no method {name}", object.name()));
        };
        match natures.len().cmp(&signature.parameters.len()) {
            Ordering::Less => return error(format!("not enough arguments to call {name}")),
            Ordering::Greater => return error(format!("too many arguments to call {name}")),
            Ordering::Equal => {}
        }
        for (parameter, nature) in signature.parameters.iter().zip(&natures) {
            if !accepts(*parameter, nature) {
                return error(refused(nature, *parameter, name));
            }
        }
        Ok(given(signature.gives, &Nature::Unknown))
    }

    fn call(&mut self, span: Span, signature: &Signature, arguments: &[Expr]) -> Result<Nature> {
        let natures: Result<Vec<_>> = arguments
            .iter()
            .map(|argument| self.nature(argument))
            .collect();
        let natures = natures?;
        let mut is_open = false;
        for (index, nature) in natures.iter().enumerate() {
            let Some(parameter) = signature.parameter(index) else {
                continue;
            };
            // Go looks no further behind a list.
            if is_open || accepts(parameter, nature) {
                is_open |= parameter == Parameter::NumberOrList && !nature.is_number();
                continue;
            }
            let message = refused(nature, parameter, signature.name);
            return Err(ConditionError::new(
                arguments
                    .get(index)
                    .map_or(span, |argument| argument.span)
                    .start,
                message,
            ));
        }
        if signature.function == Function::Get {
            return get(span, &natures);
        }
        let first = natures.first().cloned().unwrap_or(Nature::Unknown);
        if signature.variadic && natures.iter().all(Nature::is_number) {
            return Ok(first);
        }
        Ok(given(signature.gives, &first))
    }

    fn each(&mut self, call: &EachCall) -> Result<Nature> {
        let list = self.nature(&call.list)?;
        if !list.is_unknown() && !list.is_list() {
            let message = format!(
                "builtin {} takes only array (got {})",
                call.each.name(),
                list.name()
            );
            return Err(ConditionError::new(call.list.span.start, message));
        }
        let body = match &call.body {
            Some(body) => {
                let outer = std::mem::replace(&mut self.element, list.element());
                let nature = self.nature(body);
                self.element = outer;
                Self::answer(call.each, body, nature?)?
            }
            None => list.element(),
        };
        if let Some(extra) = &call.extra {
            let nature = self.nature(extra)?;
            let is_order = matches!(nature, Nature::Text | Nature::Unknown);
            if call.each == Each::SortBy && !is_order {
                let message = format!(
                    "sortBy order argument must be a string (got {})",
                    nature.name()
                );
                return Err(ConditionError::new(extra.span.start, message));
            }
        }
        Ok(match call.each {
            Each::All | Each::Any | Each::None | Each::One => Nature::Bool,
            Each::Filter => Nature::List(Box::new(list.element())),
            Each::Map => Nature::List(Box::new(body)),
            Each::Count | Each::FindIndex | Each::FindLastIndex => Nature::Int,
            Each::Sum | Each::Reduce => body,
            Each::Find | Each::FindLast => list.element(),
            Each::GroupBy => Nature::Groups,
            Each::SortBy => list,
        })
    }

    /// What a predicate gives, if it may.
    fn answer(each: Each, body: &Expr, nature: Nature) -> Result<Nature> {
        let error = |message: String| Err(ConditionError::new(body.span.start, message));
        match nature {
            Nature::Nil if each != Each::Reduce => {
                error("predicate should has one input and one output param".to_owned())
            }
            Nature::Bool | Nature::Unknown => Ok(nature),
            other if each.asks() => error(format!(
                "predicate should return boolean (got {})",
                other.name()
            )),
            other => Ok(other),
        }
    }
}

/// What a function gives, whose first argument is `first`.
fn given(gives: Gives, first: &Nature) -> Nature {
    match gives {
        Gives::Unknown => Nature::Unknown,
        Gives::Bool => Nature::Bool,
        Gives::Int => Nature::Int,
        Gives::Float => Nature::Float,
        Gives::Text => Nature::Text,
        Gives::Texts => Nature::List(Box::new(Nature::Text)),
        Gives::Map => Nature::AnyMap,
        Gives::Duration => Nature::Duration,
        Gives::Moment => Nature::Moment,
        Gives::Zone => Nature::Zone,
        Gives::SameAsFirst => first.clone(),
        Gives::ListLikeFirst if first.is_unknown() => Nature::Unknown,
        Gives::List | Gives::ListLikeFirst => Nature::list(),
    }
}

fn refused(nature: &Nature, parameter: Parameter, name: &str) -> String {
    let given = match nature {
        Nature::Nil => "nil",
        known => known.name(),
    };
    format!(
        "cannot use {given} as argument ({}) to call {name}",
        wanted(parameter)
    )
}

/// `left in right`
fn contains(span: Span, left: &Nature, right: &Nature) -> Result<Nature> {
    match right {
        Nature::Map if !matches!(left, Nature::Unknown | Nature::Text) => {
            let message = format!("cannot use {} as type string in map key", left.name());
            Err(ConditionError::new(span.start, message))
        }
        Nature::List(element) if !left.comparable_to(element) => {
            let message = format!(
                "cannot use {} as type {} in array",
                left.name(),
                element.name()
            );
            Err(ConditionError::new(span.start, message))
        }
        Nature::Map | Nature::AnyMap | Nature::Groups | Nature::Unknown | Nature::List(_) => {
            Ok(Nature::Bool)
        }
        Nature::Text if left.is_unknown() => Ok(Nature::Bool),
        _ => Err(impossible(span, Operator::In, left, right)),
    }
}

fn member(span: Span, object: &Nature, name: &str) -> Result<Nature> {
    let message = match object {
        Nature::Unknown | Nature::Map | Nature::AnyMap => return Ok(Nature::Unknown),
        Nature::Groups => return Ok(Nature::list()),
        Nature::Nil => format!("type nil has no field {name}"),
        Nature::List(_) => {
            "array elements can only be selected using an integer (got string)".to_owned()
        }
        other => format!("type {} has no field {name}", other.name()),
    };
    Err(ConditionError::new(span.start, message))
}

fn item(span: Span, object: &Nature, key: &Nature) -> Result<Nature> {
    let message = match (object, key) {
        (Nature::Unknown | Nature::AnyMap, _) | (Nature::Map, Nature::Unknown | Nature::Text) => {
            return Ok(Nature::Unknown);
        }
        (Nature::Groups, _) => return Ok(Nature::list()),
        (Nature::List(element), Nature::Int | Nature::Unknown) => return Ok((**element).clone()),
        (Nature::Map, key) => {
            format!(
                "cannot use {} to get an element from {}",
                key.name(),
                object.name()
            )
        }
        (Nature::List(_), key) => format!(
            "array elements can only be selected using an integer (got {})",
            key.name()
        ),
        _ => format!("type {}[{}] is undefined", object.name(), key.name()),
    };
    Err(ConditionError::new(span.start, message))
}

fn get(span: Span, natures: &[Nature]) -> Result<Nature> {
    let [object, key] = natures else {
        return Ok(Nature::Unknown);
    };
    let message = match (object, key) {
        (Nature::Unknown | Nature::AnyMap, _) | (Nature::Map, Nature::Unknown | Nature::Text) => {
            return Ok(Nature::Unknown);
        }
        (Nature::Groups, _) => return Ok(Nature::list()),
        (Nature::List(element), Nature::Int | Nature::Unknown) => return Ok((**element).clone()),
        (Nature::Map, key) => {
            format!(
                "cannot use {} to get an element from {}",
                key.name(),
                object.name()
            )
        }
        (Nature::List(_), key) => format!("non-integer slice index {}", key.name()),
        _ => format!("type {} does not support indexing", object.name()),
    };
    Err(ConditionError::new(span.start, message))
}

fn wanted(parameter: Parameter) -> &'static str {
    match parameter {
        Parameter::Any => "any value",
        Parameter::Text => "type string",
        Parameter::Int => "type int",
        Parameter::Float => "type float64",
        Parameter::Number => "a number",
        Parameter::NumberOrText => "a number or string",
        Parameter::NumberOrList => "a number or list",
        Parameter::List => "a list",
        Parameter::Map => "a map",
        Parameter::Sized => "a string, list or map",
        Parameter::Duration => "type time.Duration",
        Parameter::Moment => "type time.Time",
        Parameter::Zone => "type *time.Location",
    }
}

fn impossible(span: Span, operator: Operator, left: &Nature, right: &Nature) -> ConditionError {
    let message = format!(
        "invalid operation: {} (mismatched types {} and {})",
        operator.symbol(),
        left.name(),
        right.name()
    );
    ConditionError::new(span.start, message)
}

fn mismatched(span: Span, operator: &str, nature: &Nature) -> ConditionError {
    let message = format!(
        "invalid operation: {operator} (mismatched type {})",
        nature.name()
    );
    ConditionError::new(span.start, message)
}

/// What was probably meant where `values`, or a text, was taken for a number.
fn hint(left: &Expr, right: &Expr, l: &Nature, r: &Nature) -> Option<&'static str> {
    let is_series = |side: &Expr| matches!(side.kind, Kind::Values(_));
    if is_series(left) || is_series(right) {
        return Some(
            "`values` is a list: `all(values >= 1)`, `any(…)`, `count(…)`, `avg(values) >= 1`",
        );
    }
    match (l, r) {
        (Nature::Text, number) | (number, Nature::Text) if number.is_number() => {
            Some("`asFloat(…)` reads a text as a number")
        }
        _ => None,
    }
}

/// What comes of one of two branches.
fn either(then: Nature, otherwise: Nature) -> Nature {
    match (&then, &otherwise) {
        (Nature::Nil, _) => otherwise,
        (_, Nature::Nil) => then,
        (Nature::List(a), Nature::List(b)) if a != b => Nature::list(),
        _ if then.same_kind(&otherwise) => then,
        _ => Nature::Unknown,
    }
}
