//! Known slips, and what was probably meant.

use super::ast::Span;
use super::function;
use super::lexer::{Token, TokenKind};
use crate::domain::condition::ConditionError;
use crate::domain::nearest::nearest;

pub(super) const PIPE: &str = "`||` is or; `|` hands a value to a call, as in `result | len()`";
pub(super) const POINTER: &str =
    "`#` is the element; `#index` is known in map and reduce, `#acc` in reduce";
pub(super) const ELEMENT: &str = "elements are selected with brackets: `[0]`";

/// What may help with the token at `index`, which fits nothing there.
pub(super) fn hint(tokens: &[Token<'_>], index: usize) -> Option<&'static str> {
    let kind = |index: usize| tokens.get(index).map(|token| &token.kind);
    let previous = index.checked_sub(1).and_then(kind);
    let next = kind(index + 1);
    match (previous, kind(index)?) {
        (None, TokenKind::End) => Some("the condition is empty"),
        (_, TokenKind::End) => unclosed(tokens),
        (_, TokenKind::Operator("=")) if next == Some(&TokenKind::Operator(">")) => {
            Some("at least is written `>=`")
        }
        (_, TokenKind::Operator("=")) if next == Some(&TokenKind::Operator("<")) => {
            Some("at most is written `<=`")
        }
        (_, TokenKind::Operator("=")) => Some("`==` compares"),
        (_, TokenKind::Operator("&")) => Some("`&&` is and"),
        (Some(TokenKind::Operator("<")), TokenKind::Operator(">")) => Some("`!=` is not equal"),
        (_, TokenKind::Operator("#")) => Some(
            "`#` is the element of a predicate, as in `all(list, # > 1)`; comments begin with `//`",
        ),
        (_, TokenKind::Operator(".")) => Some(
            "`.name` without an object is a member of a predicate's element, as in `all(list, .value > 1)`",
        ),
        (_, TokenKind::Name(word)) => match word.to_ascii_lowercase().as_str() {
            "and" => Some("operators are written in lower case: `and`"),
            "or" => Some("operators are written in lower case: `or`"),
            "not" => Some("operators are written in lower case: `not`"),
            "in" => Some("operators are written in lower case: `in`"),
            "is" | "eq" | "equals" => Some("`==` compares"),
            _ => None,
        },
        _ => None,
    }
}

/// Which bracket is still open at the end.
fn unclosed(tokens: &[Token<'_>]) -> Option<&'static str> {
    let mut open = Vec::new();
    for token in tokens {
        match token.kind {
            TokenKind::Bracket("(") => open.push("`(` is not closed"),
            TokenKind::Bracket("[") => open.push("`[` is not closed"),
            TokenKind::Bracket("{") => open.push("`{` is not closed"),
            TokenKind::Bracket(_) => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// `name` is none that a condition knows; `within` a predicate it may be meant as a member of the element.
pub(super) fn unknown_name(name: &str, span: Span, bound: &[&str], within: bool) -> ConditionError {
    let error = ConditionError::new(span.start, format!("unknown name {name}"));
    let literal = match name.to_ascii_lowercase().as_str() {
        "null" | "none" => Some("nil"),
        "true" => Some("true"),
        "false" => Some("false"),
        _ => None,
    };
    let known = ["result", "values", "series"];
    if literal.is_none() && within && name.to_ascii_lowercase().starts_with("value") {
        return error.hint(format!("a member of the element is `.{name}`"));
    }
    match literal.or_else(|| nearest(name, bound.iter().copied().chain(known))) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint(format!(
            "a condition knows `result`, `values` and `series[\"…\"]`; a member is `result.{name}`"
        )),
    }
}

/// `name` is called, but no function.
pub(super) fn unknown_function(name: &str, span: Span) -> ConditionError {
    let error = ConditionError::new(span.start, format!("unknown name {name}"));
    match nearest(name, function::names()) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint(format!("there is no function `{name}`")),
    }
}

/// `name` is called on a value, but JSON has no methods.
pub(super) fn unknown_method(name: &str, span: Span) -> ConditionError {
    let error = ConditionError::new(span.start, format!("no value has a method {name}"));
    match function::names().find(|function| *function == name) {
        Some(function) => error.hint(format!("it is a function: `{function}(…)`")),
        None => error,
    }
}
