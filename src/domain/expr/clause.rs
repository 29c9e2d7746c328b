//! Comparisons and values in words.

use super::ast::{Comparison, Expr, Kind, Operator};
use super::gotext::write_value;
use super::value::Value;

/// So much of a text or an expression is shown.
const SHOWN_TEXT: usize = 60;

/// A comparison seen from the side that varies.
pub(super) struct Clause<'a> {
    pub(super) subject: &'a Expr,
    pub(super) operator: Operator,
    pub(super) bound: &'a Expr,
    /// Whether it is true of what is told.
    pub(super) verdict: bool,
}

/// The comparison from the side that varies: `9900 <= .value` is `.value >= 9900`.
pub(super) fn clause(operator: Operator, sides: &[Expr; 2], verdict: bool) -> Clause<'_> {
    oriented(&sides[0], operator, &sides[1], verdict)
}

pub(super) fn oriented<'a>(
    left: &'a Expr,
    operator: Operator,
    right: &'a Expr,
    verdict: bool,
) -> Clause<'a> {
    let is_fixed = |side: &Expr| matches!(side.kind, Kind::Literal(_));
    let is_mirrored = (!left.is_per_element() && right.is_per_element())
        || is_fixed(left) && !is_fixed(right) && !right.is_per_element();
    let mirrored = match operator {
        Operator::Compare(comparison) => Some(Operator::Compare(comparison.mirrored())),
        Operator::Equal | Operator::NotEqual => Some(operator),
        _ => None,
    };
    match mirrored.filter(|_| is_mirrored) {
        Some(operator) => Clause {
            subject: right,
            operator,
            bound: left,
            verdict,
        },
        None => Clause {
            subject: left,
            operator,
            bound: right,
            verdict,
        },
    }
}

pub(in crate::domain) fn words(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "below",
        Comparison::LessOrEqual => "at most",
        Comparison::Greater => "above",
        Comparison::GreaterOrEqual => "at least",
    }
}

/// What is true where `operator` is `verdict`, in words; `None` where there are none for it.
pub(in crate::domain) fn effective(operator: Operator, verdict: bool) -> Option<&'static str> {
    match (operator, verdict) {
        (Operator::Compare(comparison), true) => Some(words(comparison)),
        (Operator::Compare(comparison), false) => Some(words(match comparison {
            Comparison::Less => Comparison::GreaterOrEqual,
            Comparison::LessOrEqual => Comparison::Greater,
            Comparison::Greater => Comparison::LessOrEqual,
            Comparison::GreaterOrEqual => Comparison::Less,
        })),
        (Operator::Equal, true) | (Operator::NotEqual, false) => Some("equal to"),
        (Operator::Equal, false) | (Operator::NotEqual, true) => Some("other than"),
        (Operator::In, true) => Some("in"),
        (Operator::In, false) => Some("not in"),
        _ => None,
    }
}

/// A value for people. A long number is rounded, unless that would make it `bound`.
pub(super) fn shown(value: &Value<'_>, bound: Option<f64>) -> String {
    match value {
        Value::Float(number) => number_text(*number, bound),
        Value::Text(text) => format!("{:?}", shortened(text.as_str())),
        Value::List(list) => format!("a list of {}", list.len()),
        Value::Map(map) => format!("a map of {}", map.len()),
        Value::Nil => "nil".to_owned(),
        Value::Bool(_) | Value::Int(_) | Value::Duration(_) | Value::Moment(_) | Value::Zone(_) => {
            let mut text = String::new();
            write_value(&mut text, value);
            text
        }
    }
}

pub(in crate::domain) fn number_text(number: f64, bound: Option<f64>) -> String {
    const SIGNIFICANT: usize = 6;
    let exact = number.to_string();
    if !number.is_finite() || exact.len() <= SIGNIFICANT + 3 {
        return exact;
    }
    let scientific = format!("{:.*e}", SIGNIFICANT - 1, number);
    match scientific.parse::<f64>() {
        Ok(rounded) if number.fract() != 0.0 && Some(rounded) != bound => rounded.to_string(),
        _ => exact,
    }
}

pub(in crate::domain) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
