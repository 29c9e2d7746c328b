//! Comparisons in words.

use cel_interpreter::Context;
use cel_interpreter::common::ast::{Expr, IdedExpr, operators};

use super::evaluate::shown;
use super::tree::{binary, is_named, visit, written};
use super::written::{in_short, literal_text};
use crate::domain::expr::{Comparison, Operator, effective, words};

/// A comparison seen from the side that varies.
#[derive(Clone, Copy)]
pub(super) struct Clause<'a> {
    pub(super) subject: &'a IdedExpr,
    pub(super) operator: Operator,
    pub(super) bound: &'a IdedExpr,
    pub(super) verdict: bool,
}

/// The comparison that `node` is, from the side that varies: the one with the loop's variable, or the one that is no literal.
pub(super) fn clause<'a>(
    node: &'a IdedExpr,
    verdict: bool,
    variable: Option<&str>,
) -> Option<Clause<'a>> {
    let (operator, left, right) = binary(written(node))?;
    let operator = operator_of(operator)?;
    let varies = |side: &IdedExpr| variable.is_some_and(|variable| mentions(side, variable));
    let is_literal = |side: &IdedExpr| matches!(written(side).expr, Expr::Literal(_));
    let is_mirrored =
        !varies(left) && varies(right) || is_literal(left) && !is_literal(right) && !varies(right);
    let mirrored = match operator {
        Operator::Compare(comparison) => Some(Operator::Compare(comparison.mirrored())),
        Operator::Equal | Operator::NotEqual => Some(operator),
        _ => None,
    };
    Some(match mirrored.filter(|_| is_mirrored) {
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
    })
}

fn operator_of(operator: &str) -> Option<Operator> {
    match operator {
        operators::EQUALS => Some(Operator::Equal),
        operators::NOT_EQUALS => Some(Operator::NotEqual),
        operators::IN => Some(Operator::In),
        other => comparison(other).map(Operator::Compare),
    }
}

pub(super) fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn mentions(node: &IdedExpr, name: &str) -> bool {
    let mut found = is_named(node, name);
    visit(node, &mut |child| found = found || mentions(child, name));
    found
}

/// What the comparison adds to the value of its subject.
pub(super) fn claim(clause: &Clause<'_>, context: &Context<'_, '_>) -> Option<String> {
    let literal = literal_text(clause.bound);
    let is_literal = literal.is_some();
    let written = literal.or_else(|| {
        let value = shown(clause.bound, context, None)?;
        Some(format!("{} ({value})", in_short(clause.bound)))
    })?;
    Some(match (clause.operator, clause.verdict) {
        (Operator::Equal, true) | (Operator::NotEqual, false) if is_literal => String::new(),
        (Operator::Equal, true) | (Operator::NotEqual, false) => {
            format!(", as {}", in_short(clause.bound))
        }
        (Operator::Equal, false) | (Operator::NotEqual, true) => format!(", not {written}"),
        (Operator::Compare(comparison), true) => format!(", {} {written}", words(comparison)),
        (operator, true) => format!(", {} {written}", operator.symbol()),
        (operator, false) => format!(", not {} {written}", operator.symbol()),
    })
}

/// `below 9900`, or `where p.ok is false`.
pub(super) fn phrase(
    leaf: &IdedExpr,
    verdict: bool,
    clause: Option<&Clause<'_>>,
    context: &Context<'_, '_>,
) -> String {
    let known = clause.and_then(|clause| {
        let effective = effective(clause.operator, clause.verdict)?;
        let bound = literal_text(clause.bound).or_else(|| shown(clause.bound, context, None))?;
        Some(format!("{effective} {bound}"))
    });
    known.unwrap_or_else(|| format!("where {} is {verdict}", in_short(leaf)))
}
