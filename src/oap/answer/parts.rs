//! The parts of an answer's JSON, found by what the query selects.

use serde_json::{Map, Value};

use super::malformed;
use super::point::Found;
use crate::domain::query::{Added, Selection};
use crate::domain::reading::{PathStep, Point, SourceError};

/// Under which keys a point's parts stand in the answer.
pub(super) struct Keys<'a> {
    pub(super) value: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    is_empty_value: Option<&'a str>,
    added: &'a Added,
}

impl<'a> Keys<'a> {
    /// Those of a selection of points.
    pub(super) fn of(selection: &'a Selection, added: &'a Added) -> Self {
        Self {
            value: selection.key_of("value"),
            id: selection.key_of("id").or(added.id.as_deref()),
            is_empty_value: selection
                .key_of("isEmptyValue")
                .or(added.is_empty_value.as_deref()),
            added,
        }
    }

    /// What a point has; `None` where its value isn't selected.
    pub(super) fn found(
        &self,
        fields: &Map<String, Value>,
        name: &str,
    ) -> Result<Option<Found>, SourceError> {
        let Some(key) = self.value else {
            return Ok(None);
        };
        let is_empty = self
            .is_empty_value
            .and_then(|key| fields.get(key)?.as_bool());
        let value = match fields.get(key) {
            Some(Value::Null) | None => return Ok(Some(Found::Nothing)),
            Some(value) => number(value, name)?,
        };
        Ok(Some(match is_empty {
            Some(true) => Found::Nothing,
            None if value == 0.0 => Found::ZeroOrNothing,
            Some(false) | None => Found::Number(value),
        }))
    }

    /// Takes out what was added.
    pub(super) fn strip(&self, fields: &mut Map<String, Value>) {
        for alias in [&self.added.id, &self.added.is_empty_value]
            .into_iter()
            .flatten()
        {
            fields.remove(alias);
        }
    }
}

/// The list that stands at `path`.
pub(super) fn list_at<'a>(result: &'a mut Value, path: &[PathStep]) -> Option<&'a mut Vec<Value>> {
    let found = path.iter().try_fold(result, |value, step| match step {
        PathStep::Key(key) => value.get_mut(key),
        PathStep::Index(index) => value.get_mut(index),
    });
    found?.as_array_mut()
}

/// Keeps the elements whose points conditions see.
pub(super) fn keep_seen(list: &mut Vec<Value>, points: &[Point]) {
    let mut points = points.iter();
    list.retain(|_| points.next().is_none_or(|point| point.value.is_some()));
}

/// `p=99`; `None` without labels.
pub(super) fn label_of(result: &Value, selection: &Selection) -> Option<String> {
    let metric = selection.all("metric").next()?;
    let labels = metric.selection.all("labels").next()?;
    let key = labels.selection.key_of("key");
    let value = labels.selection.key_of("value")?;
    let list = result.get(&metric.key)?.get(&labels.key)?.as_array()?;
    let text = |label: &Value, key: &str| {
        label
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let parts: Vec<String> = list
        .iter()
        .map(|label| match key {
            Some(key) => format!("{}={}", text(label, key), text(label, value)),
            None => text(label, value),
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// A number that must be there.
pub(super) fn number(value: &Value, name: &str) -> Result<f64, SourceError> {
    value
        .as_f64()
        .ok_or_else(|| malformed(format!("a value of `{name}` is no number: `{value}`")))
}

/// An object that must be there.
pub(super) fn object<'v>(
    value: &'v mut Value,
    name: &str,
) -> Result<&'v mut Map<String, Value>, SourceError> {
    value
        .as_object_mut()
        .ok_or_else(|| malformed(format!("an element of `{name}` is no object")))
}

/// A list that must be there.
pub(super) fn array<'v>(
    value: &'v mut Value,
    name: &str,
) -> Result<&'v mut Vec<Value>, SourceError> {
    value
        .as_array_mut()
        .ok_or_else(|| malformed(format!("`{name}` has no list where one belongs")))
}
