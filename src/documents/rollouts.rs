//! The rollouts among the documents of a text.

use serde_json::Value;

use super::{parse, placed};
use crate::domain::fault::Fault;
use crate::domain::rollout::KIND;

/// The documents of the kind `Rollout` in `text`, lists taken apart, and what is wrong with the text itself.
/// What the documents say is [`crate::domain::rollout::RolloutSpec`]'s to judge.
pub fn rollouts(text: &[u8]) -> (Vec<Value>, Vec<Fault>) {
    let parsed = parse(text);
    let several = parsed.values.len() > 1;
    let faults = parsed.faults.into_iter().map(|(i, fault)| {
        let place = if several {
            format!("document {}", i + 1)
        } else {
            String::new()
        };
        placed(fault, &place)
    });
    let faults = faults.collect();
    let mut found = Vec::new();
    let mut left: Vec<Value> = parsed.values.into_iter().rev().collect();
    while let Some(mut document) = left.pop() {
        match document.get("kind").and_then(Value::as_str) {
            Some(KIND) => found.push(document),
            Some("List" | "RolloutList") => {
                if let Some(Value::Array(items)) = document.get_mut("items").map(Value::take) {
                    left.extend(items.into_iter().rev());
                }
            }
            Some(_) | None => {}
        }
    }
    (found, faults)
}
