//! Nodes of the tree, with what Go folds into them.

use super::ast::{Comparison, Connective, EachCall, Expr, Kind, MAX_HEIGHT, Operator, Span};
use super::function::Each;
use super::parser::{MAX_NESTING, Result};
use super::pattern::Pattern;
use super::value::Value;
use crate::domain::condition::ConditionError;

/// A node, unless the tree gets too high with it.
pub(super) fn node(span: Span, kind: Kind) -> Result<Expr> {
    let expression = Expr::new(span, kind);
    if expression.height > MAX_HEIGHT {
        return Err(too_deep(span));
    }
    Ok(expression)
}

pub(super) fn too_deep(span: Span) -> ConditionError {
    let message = format!("nested more than {MAX_NESTING} deep");
    ConditionError::new(span.start, message)
}

/// `a && b && c` is one node, so that a long chain is not a high tree.
pub(super) fn logic(connective: Connective, left: Expr, right: Expr) -> Result<Expr> {
    let span = left.span.to(right.span);
    let decides = |part: &Expr| folded(part) == Some(connective.decisive());
    if let (Some(left), Some(right)) = (literal_bool(&left), literal_bool(&right)) {
        let value = if left == connective.decisive() {
            left
        } else {
            right
        };
        return node(span, Kind::Literal(Value::Bool(value)));
    }
    let (mut parts, settled) = match left.kind {
        Kind::Logic {
            connective: known,
            parts,
            settled,
        } if known == connective => (parts, settled),
        _ => {
            let settled = decides(&left);
            (vec![left], settled)
        }
    };
    let settled = settled || decides(&right);
    parts.push(right);
    node(
        span,
        Kind::Logic {
            connective,
            parts,
            settled,
        },
    )
}

pub(super) fn binary(operator: Operator, mut left: Expr, right: Expr) -> Result<Expr> {
    let span = left.span.to(right.span);
    if operator == Operator::Matches
        && let Kind::Literal(Value::Text(source)) = &right.kind
    {
        let pattern = Pattern::compile(source.as_str())
            .map_err(|message| ConditionError::new(right.span.start, message))?;
        return node(span, Kind::Matches(Box::new(left), pattern));
    }
    let is_zero = matches!(right.kind, Kind::Literal(Value::Int(0)));
    if operator == Operator::Modulo && is_zero && matches!(left.kind, Kind::Literal(Value::Int(_)))
    {
        return Err(ConditionError::new(span.start, "integer divide by zero"));
    }
    if let Kind::Each(call) = &mut left.kind {
        call.enough = enough(call, operator, &right);
    }
    node(span, Kind::Binary(operator, Box::new([left, right])))
}

pub(super) fn not(span: Span, operand: Expr) -> Result<Expr> {
    match operand.kind {
        Kind::Literal(Value::Bool(value)) => node(span, Kind::Literal(Value::Bool(!value))),
        _ => node(span, Kind::Not(Box::new(operand))),
    }
}

/// What Go folds `expression` to, where that is a boolean.
fn folded(expression: &Expr) -> Option<bool> {
    match &expression.kind {
        Kind::Logic {
            connective,
            settled: true,
            ..
        } => Some(connective.decisive()),
        Kind::Binary(Operator::Equal, sides) => match (&sides[0].kind, &sides[1].kind) {
            (Kind::Literal(Value::Int(l)), Kind::Literal(Value::Int(r))) => Some(l == r),
            (Kind::Literal(Value::Bool(l)), Kind::Literal(Value::Bool(r))) => Some(l == r),
            (Kind::Literal(Value::Text(l)), Kind::Literal(Value::Text(r))) => {
                Some(l.as_str() == r.as_str())
            }
            _ => None,
        },
        _ => literal_bool(expression),
    }
}

fn literal_bool(expression: &Expr) -> Option<bool> {
    match expression.kind {
        Kind::Literal(Value::Bool(value)) => Some(value),
        _ => None,
    }
}

/// How many hits decide `count(list, predicate) > 2`; Go stops counting there, too.
fn enough(call: &EachCall, operator: Operator, right: &Expr) -> Option<usize> {
    let Kind::Literal(Value::Int(bound)) = right.kind else {
        return None;
    };
    if call.each != Each::Count || call.body.is_none() {
        return None;
    }
    let hits = match operator {
        Operator::Compare(Comparison::Greater | Comparison::LessOrEqual) => bound.checked_add(1)?,
        Operator::Compare(Comparison::GreaterOrEqual | Comparison::Less) => bound,
        _ => return None,
    };
    // Go's exception: one hit is enough to say `> 0`, but it counts on to say `< 1`.
    let is_upper = matches!(
        operator,
        Operator::Compare(Comparison::Less | Comparison::LessOrEqual)
    );
    usize::try_from(hits)
        .ok()
        .filter(|&hits| hits > usize::from(is_upper))
        .filter(|&hits| hits > 0)
}

/// The value of a literal number.
pub(super) fn number(digits: &str) -> std::result::Result<Value<'static>, String> {
    let digits = digits.replace('_', "").to_ascii_lowercase();
    let (kind, base, whole) = match digits.get(..2) {
        Some("0x") => ("hex", 16, &digits[2..]),
        _ if digits.contains(['.', 'e']) => {
            return match digits.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Value::Float(value)),
                Ok(_) => Err("float literal is too large".to_owned()),
                Err(_) => Err(format!("invalid float literal: `{digits}`")),
            };
        }
        Some("0b") => ("binary", 2, &digits[2..]),
        Some("0o") => ("octal", 8, &digits[2..]),
        _ => ("integer", 10, digits.as_str()),
    };
    i64::from_str_radix(whole, base)
        .map(Value::Int)
        .map_err(|_| format!("invalid {kind} literal: `{digits}`"))
}
