//! Values out of the rollout's own object: what `valueFrom.fieldRef.fieldPath` names.
//!
//! Argo reads a path below `metadata` as Kubernetes' downward API does (`metadata.labels['app']`) and any other by walking the
//! object (`status.pauseConditions[0].reason`). Here both ways are open below `metadata`.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::super::expr::float_text;

/// Why a path leads to no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldPathError {
    /// Nothing is there.
    #[error("invalid path {0} in rollout")]
    Nothing(String),
    /// A list was met, and what follows is no number.
    #[error("invalid index '{0}'")]
    NoIndex(String),
    /// A list was met that is shorter.
    #[error("index {0} out of range")]
    OutOfRange(i64),
    /// An object or a list is there.
    #[error("path {0} in rollout must terminate in a primitive value")]
    NotPrimitive(String),
}

/// The value at `path` in `object` as a text.
pub fn value_at(object: &Value, path: &str) -> Result<String, FieldPathError> {
    match downward(object, path) {
        Some(value) => Ok(value),
        None => walk(object, path),
    }
}

/// The forms of the downward API that walking doesn't know: all labels or annotations, or one of them by its key.
/// As there, a label that isn't there is an empty text.
fn downward(object: &Value, path: &str) -> Option<String> {
    for field in ["labels", "annotations"] {
        let Some(rest) = path
            .strip_prefix("metadata.")
            .and_then(|path| path.strip_prefix(field))
        else {
            continue;
        };
        let map = object.pointer(&format!("/metadata/{field}"));
        let map = map.and_then(Value::as_object);
        if rest.is_empty() {
            return Some(map.map(all_of).unwrap_or_default());
        }
        let key = rest.strip_prefix("['")?.strip_suffix("']")?;
        let value = map.and_then(|map| map.get(key)).and_then(Value::as_str);
        return Some(value.unwrap_or_default().to_owned());
    }
    None
}

/// `key="value"`, a line each, in the order of the keys.
fn all_of(map: &Map<String, Value>) -> String {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    let mut text = String::new();
    for (key, value) in entries {
        let separator = if text.is_empty() { "" } else { "\n" };
        write!(text, "{separator}{key}={value}").expect("writing to a string cannot fail");
    }
    text
}

fn walk(object: &Value, path: &str) -> Result<String, FieldPathError> {
    let nothing = || FieldPathError::Nothing(path.to_owned());
    let mut found = object;
    for section in path.split(['.', '[', ']']).filter(|it| !it.is_empty()) {
        found = match found {
            Value::Array(items) => {
                let index: i64 = section
                    .parse()
                    .map_err(|_| FieldPathError::NoIndex(section.to_owned()))?;
                usize::try_from(index)
                    .ok()
                    .and_then(|index| items.get(index))
                    .ok_or(FieldPathError::OutOfRange(index))?
            }
            Value::Object(fields) => fields.get(section).unwrap_or(&Value::Null),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(nothing());
            }
        };
    }
    match found {
        Value::Null => Err(nothing()),
        Value::Array(_) | Value::Object(_) => Err(FieldPathError::NotPrimitive(path.to_owned())),
        Value::Bool(value) => Ok(value.to_string()),
        // Numbers are doubles there: a million reads `1e+06`.
        Value::Number(number) => Ok(number.as_f64().map(float_text).unwrap_or_default()),
        Value::String(text) => Ok(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn below_metadata_both_ways_are_open() {
        let object = json!({"metadata": {
            "name": "reviews",
            "labels": {"app": "reviews", "a.b/c": "x\"y"},
        }});
        let check = |path: &str, expected: &str| {
            let value = value_at(&object, path).unwrap_or_else(|error| error.to_string());
            assert_eq!(value, expected, "{path}");
        };
        check("metadata.name", "reviews");
        check("metadata.labels.app", "reviews");
        check("metadata.labels['app']", "reviews");
        check("metadata.labels['a.b/c']", "x\"y");
        check("metadata.labels['none']", "");
        check("metadata.labels", "a.b/c=\"x\\\"y\"\napp=\"reviews\"");
        check("metadata.annotations", "");
        check("metadata.annotations['none']", "");
        check("metadata.uid", "invalid path metadata.uid in rollout");
        check(
            "metadata.labelsapp",
            "invalid path metadata.labelsapp in rollout",
        );
        check("", "path  in rollout must terminate in a primitive value");
    }
}
