//! Calls of functions, predicates, and the short form.

use super::ast::{EachCall, Expr, Kind, Operator, Span};
use super::build::node;
use super::function::{Each, Function, Parameter};
use super::parser::{Parser, Result};
use super::slips;
use super::value::Value;
use crate::domain::condition::ConditionError;

impl<'s> Parser<'s> {
    /// The call of `name`, which stands at `span` and is taken; `piped` is its first argument.
    pub(super) fn call(&mut self, name: &'s str, span: Span, piped: Option<Expr>) -> Result<Expr> {
        if let Some(each) = Each::named(name) {
            return self.each_call(each, span, piped);
        }
        let Some(function) = Function::named(name) else {
            return Err(slips::unknown_function(name, span));
        };
        let start = piped.as_ref().map_or(span, |piped| piped.span);
        let mut arguments = self.arguments(piped)?;
        let signature = function.signature();
        let fault = if arguments.len() < signature.required {
            Some("not enough")
        } else if signature
            .parameter(arguments.len().saturating_sub(1))
            .is_none()
        {
            Some("too many")
        } else {
            None
        };
        if let Some(fault) = fault {
            let message = format!("{fault} arguments to call {name}");
            return Err(ConditionError::new(span.start, message));
        }
        for (index, argument) in arguments.iter_mut().enumerate() {
            if signature.parameter(index) == Some(Parameter::Float) {
                make_literals_float(argument);
            }
        }
        node(
            start.to(self.previous()),
            Kind::Call {
                function,
                arguments,
            },
        )
    }

    fn each_call(&mut self, each: Each, span: Span, piped: Option<Expr>) -> Result<Expr> {
        self.expect_bracket("(")?;
        let start = piped.as_ref().map_or(span, |piped| piped.span);
        let mut needs_comma = piped.is_none();
        let list = match piped {
            Some(list) => list,
            None if self.is_bracket(")") => return Err(too_few(each, span)),
            None => self.expression(0)?,
        };
        let body = if self.next_argument(&mut needs_comma)? {
            Some(self.predicate(each)?)
        } else {
            None
        };
        let may_follow = body.is_some() && each.takes_extra();
        let extra = if may_follow && self.next_argument(&mut needs_comma)? {
            Some(self.expression(0)?)
        } else {
            None
        };
        if self.is_operator(",") {
            self.advance();
        }
        self.expect_bracket(")")?;
        let span = start.to(self.previous());
        let (list, body) = match body {
            Some(body) => (list, Some(body)),
            None => short_form(each, list, span)?,
        };
        let call = EachCall {
            each,
            list,
            body,
            extra,
            enough: None,
        };
        node(span, Kind::Each(Box::new(call)))
    }

    /// Whether another argument follows; the comma before it is taken.
    fn next_argument(&mut self, needs_comma: &mut bool) -> Result<bool> {
        let comma = std::mem::replace(needs_comma, true);
        if self.is_bracket(")") {
            return Ok(false);
        }
        if comma {
            self.expect_operator(",")?;
        }
        Ok(true)
    }

    /// What is asked of each element, with or without braces.
    fn predicate(&mut self, each: Each) -> Result<Expr> {
        self.predicates.push(each);
        let body = if self.is_bracket("{") {
            self.advance();
            let body = self.sequence()?;
            self.expect_bracket("}")?;
            body
        } else {
            let body = self.expression(0)?;
            if self.is_operator(";") {
                let message = "wrap predicate with brackets { and }";
                return Err(ConditionError::new(self.span().start, message));
            }
            body
        };
        self.predicates.pop();
        Ok(body)
    }
}

/// `all(values >= 9900)` is `all(values, # >= 9900)`. `count(values)` is their number, `sum(list)` and `count(list)` are Go's.
fn short_form(each: Each, argument: Expr, span: Span) -> Result<(Expr, Option<Expr>)> {
    if each == Each::Count && matches!(argument.kind, Kind::Values(_)) {
        let always = node(argument.span, Kind::Literal(Value::Bool(true)))?;
        return Ok((argument, Some(always)));
    }
    let is_list = matches!(argument.kind, Kind::Values(_));
    let outer = argument.pointer();
    let mut body = argument;
    let mut values = None;
    if each.has_short_form() && !is_list {
        to_element(&mut body, &mut values)?;
    }
    if let (Some(_), Some(pointer)) = (&values, outer) {
        let message = "the short form asks about `values`, and cannot see the element around it";
        let hint = format!(
            "bind it before: `{{let it = #; {0}(values > it)}}`",
            each.name()
        );
        return Err(ConditionError::new(pointer.start, message).hint(hint));
    }
    match values {
        Some(list) => Ok((list, Some(body))),
        None if each.body_is_optional() => Ok((body, None)),
        None => Err(too_few(each, span)),
    }
}

fn too_few(each: Each, span: Span) -> ConditionError {
    ConditionError::new(span.start, "expected at least 2 arguments").hint(format!(
        "`{0}(list, {{…}})`, or `{0}(values …)` for the numbers of the only series",
        each.name()
    ))
}

/// Makes each bare `values` that stands for one number `#`, and keeps the list it was in `found`.
/// Where a list is natural, as in `max(values)`, `values[-1]` and `x in values`, it stays the list.
fn to_element(expression: &mut Expr, found: &mut Option<Expr>) -> Result<()> {
    match &mut expression.kind {
        Kind::Values(name) => {
            if let Some(Expr {
                kind: Kind::Values(other),
                ..
            }) = found
                && other != name
            {
                let message = "one call asks about one series";
                return Err(ConditionError::new(expression.span.start, message));
            }
            let list = Expr::new(expression.span, Kind::Values(name.take()));
            expression.kind = Kind::Element;
            found.get_or_insert(list);
        }
        Kind::Not(inner) | Kind::Negate(inner) | Kind::Plus(inner) | Kind::Matches(inner, _) => {
            to_element(inner, found)?;
        }
        Kind::Logic { parts, .. } | Kind::Sequence(parts) | Kind::List(parts) => {
            for part in parts {
                to_element(part, found)?;
            }
        }
        Kind::Binary(Operator::In, sides) => to_element(&mut sides[0], found)?,
        Kind::Binary(_, sides) | Kind::Coalesce(sides) | Kind::Elvis(sides) => {
            for side in sides.iter_mut() {
                to_element(side, found)?;
            }
        }
        Kind::Ordered { first, rest } => {
            to_element(first, found)?;
            for (_, operand) in rest {
                to_element(operand, found)?;
            }
        }
        Kind::Conditional(parts) => {
            for part in parts.iter_mut() {
                to_element(part, found)?;
            }
        }
        Kind::Let { value, body, .. } => {
            to_element(value, found)?;
            to_element(body, found)?;
        }
        Kind::Call {
            function,
            arguments,
        } => {
            let signature = function.signature();
            for (index, argument) in arguments.iter_mut().enumerate() {
                let stays = signature.takes_list(index) && matches!(argument.kind, Kind::Values(_));
                if !stays {
                    to_element(argument, found)?;
                }
            }
        }
        Kind::Literal(_)
        | Kind::Result
        | Kind::Environment
        | Kind::Slot(_)
        | Kind::Element
        | Kind::Index
        | Kind::Accumulator
        | Kind::Member { .. }
        | Kind::Item { .. }
        | Kind::Slice { .. }
        | Kind::Chain(_)
        | Kind::Method { .. }
        | Kind::Each(_)
        | Kind::Map(_) => {}
    }
    Ok(())
}

/// Where Go wants a float, it takes a literal integer for one.
fn make_literals_float(argument: &mut Expr) {
    match &mut argument.kind {
        Kind::Literal(value @ Value::Int(_)) => {
            *value = value.number().map_or(Value::Nil, Value::Float);
        }
        Kind::Negate(inner) | Kind::Plus(inner) => make_literals_float(inner),
        Kind::Binary(Operator::Add | Operator::Subtract | Operator::Multiply, sides) => {
            sides.iter_mut().for_each(make_literals_float);
        }
        _ => {}
    }
}
