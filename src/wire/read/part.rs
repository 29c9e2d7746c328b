//! One part of a JSON document, which knows where it stands.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{wrong}", placed(.at))]
pub struct ReadError {
    /// Where: `status.metricResults[0].taken`. Empty: the document as a whole.
    pub at: String,
    /// What was found and what was expected.
    pub wrong: String,
}

fn placed(at: &str) -> String {
    if at.is_empty() {
        String::new()
    } else {
        format!("{at}: ")
    }
}

/// A part of a document. Fields that nobody asks for are as good as absent; one that is asked for must be there, if only as null.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    value: &'a Value,
    at: String,
}

impl<'a> Part<'a> {
    pub(super) fn whole(value: &'a Value) -> Self {
        Self {
            value,
            at: String::new(),
        }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// The field of that name.
    pub(super) fn field(&self, name: &str) -> Result<Self, ReadError> {
        let Value::Object(fields) = self.value else {
            return Err(self.expected("an object"));
        };
        let at = if self.at.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.at)
        };
        match fields.get(name) {
            Some(value) => Ok(Self { value, at }),
            None => Err(ReadError {
                at,
                wrong: "missing".to_owned(),
            }),
        }
    }

    /// The field of that name, read by `read` unless it is null.
    pub(super) fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Self) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let field = self.field(name)?;
        match field.value {
            Value::Null => Ok(None),
            _ => read(&field).map(Some),
        }
    }

    /// The items of the list in the field of that name, each read by `read`.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Self) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let field = self.field(name)?;
        let Value::Array(items) = field.value else {
            return Err(field.expected("a list"));
        };
        let part = |(i, value)| Self {
            value,
            at: format!("{}[{i}]", field.at),
        };
        items
            .iter()
            .enumerate()
            .map(|item| read(&part(item)))
            .collect()
    }

    pub(super) fn text(&self) -> Result<String, ReadError> {
        let text = self.value.as_str().map(str::to_owned);
        text.ok_or_else(|| self.expected("a text"))
    }

    pub(super) fn boolean(&self) -> Result<bool, ReadError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.expected("true or false"))
    }

    /// A number of things.
    pub(super) fn count(&self) -> Result<u64, ReadError> {
        self.value
            .as_u64()
            .ok_or_else(|| self.expected("a whole number"))
    }

    /// A whole number, which may be negative.
    pub(super) fn whole_number(&self) -> Result<i64, ReadError> {
        self.value
            .as_i64()
            .ok_or_else(|| self.expected("a whole number"))
    }

    pub(super) fn number(&self) -> Result<f64, ReadError> {
        self.value.as_f64().ok_or_else(|| self.expected("a number"))
    }

    pub(super) fn moment(&self) -> Result<Timestamp, ReadError> {
        self.parsed("a moment such as 2026-11-23T09:12:00Z", |text| {
            text.parse().ok()
        })
    }

    /// A text that `parse` makes something of.
    pub(super) fn parsed<T>(
        &self,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ReadError> {
        let parsed = self.value.as_str().and_then(parse);
        parsed.ok_or_else(|| self.expected(expected))
    }

    /// The one of `all` that is called so.
    pub(super) fn one_of<T: Copy>(
        &self,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, ReadError> {
        let named = |text: &str| all.iter().copied().find(|it| name(*it) == text);
        self.value.as_str().and_then(named).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|it| name(*it)).collect();
            self.expected(&format!("one of {}", names.join(", ")))
        })
    }

    /// That something else was expected here.
    pub(super) fn expected(&self, what: &str) -> ReadError {
        self.wrong(format!("{what} was expected, found {}", Shown(self.value)))
    }

    /// That this is wrong.
    pub(super) fn wrong(&self, wrong: impl Into<String>) -> ReadError {
        ReadError {
            at: self.at.clone(),
            wrong: wrong.into(),
        }
    }
}

/// A value as an error quotes it.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(_) | Value::Number(_) => write!(f, "`{}`", self.0),
            Value::String(text) => f.write_str(&crate::domain::fault::shown(text)),
            Value::Array(_) => f.write_str("a list"),
            Value::Object(_) => f.write_str("an object"),
        }
    }
}
