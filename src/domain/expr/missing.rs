//! What is there instead of what is missing.

use super::ast::{Expr, Kind};
use super::eval::Evaluator;
use super::value::{Map, Value};
use crate::domain::nearest::nearest;

/// So many names are shown where none is near the missing one.
const SHOWN: usize = 5;

/// So many names are looked at.
const LOOKED_AT: usize = 1_000;

/// Why `expression` is nil, where a member on the way to it is missing or null:
/// ``result.service_apdx is missing; result has `service_apdex` ``.
pub(super) fn hint<'a>(evaluator: &mut Evaluator<'a>, expression: &'a Expr) -> Option<String> {
    let (object, name) = match &expression.kind {
        Kind::Member { object, name, .. } => (object, name),
        Kind::Chain(inner) => return hint(evaluator, inner),
        Kind::Result => return Some("result is null".to_owned()),
        _ => return None,
    };
    match evaluator.eval(object).ok()? {
        Value::Nil => hint(evaluator, object),
        Value::Map(map) => {
            let path = evaluator.text_of(expression);
            if map.get(name).is_some() {
                return Some(format!("{path} is null"));
            }
            let owner = evaluator.text_of(object);
            Some(format!("{path} is missing; {owner} {}", has(&map, name)))
        }
        _ => None,
    }
}

fn has(map: &Map<'_>, wanted: &str) -> String {
    let names: Vec<String> = map
        .iter()
        .take(LOOKED_AT)
        .filter_map(|(key, _)| match key {
            Value::Text(name) => Some(name.as_str().to_owned()),
            _ => None,
        })
        .collect();
    has_names(names.iter().map(String::as_str), wanted)
}

/// ``has `service_apdex` ``: the one of `names` that is near `wanted`, else the first of them.
pub(in crate::domain) fn has_names<'n>(
    names: impl Iterator<Item = &'n str>,
    wanted: &str,
) -> String {
    let names: Vec<&str> = names.take(LOOKED_AT).collect();
    if let Some(near) = nearest(wanted, names.iter().copied()) {
        return format!("has `{near}`");
    }
    if names.is_empty() {
        return "is empty".to_owned();
    }
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("has {}{more}", shown.join(", "))
}
