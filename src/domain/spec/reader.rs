//! Reads objects field by field and collects every fault with its path, unknown fields included.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::duration::DURATION_HINT;
use super::super::fault::{Fault, listed, shown};
use super::super::nearest::nearest;
use super::IntOrString;

/// The most items that a list of a document may hold.
pub(in crate::domain) const LONGEST_LIST: usize = 1_000;

/// The most unknown fields of one object that are reported one by one.
const MOST_UNKNOWN: usize = 20;

/// Reads `value` as an object whose every field `read` knows; anything else is a fault.
/// What is wrong reads as absent, so that all the rest is looked at too.
pub(in crate::domain) fn read_object<T>(
    value: &Value,
    at: &str,
    faults: &mut Vec<Fault>,
    read: impl FnOnce(&mut Fields<'_, '_>) -> T,
) -> T {
    let empty = Map::new();
    let map = value.as_object();
    if map.is_none() && !value.is_null() {
        faults.push(wrong_kind(at, "an object", value));
    }
    let mut fields = Fields {
        at,
        map: map.unwrap_or(&empty),
        known: Vec::new(),
        is_open: false,
        faults,
    };
    let result = read(&mut fields);
    fields.refuse_unknown();
    result
}

/// The fields of one object. Each of its methods reads one field; a field that is null is absent, as in Kubernetes.
pub(in crate::domain) struct Fields<'v, 'f> {
    at: &'v str,
    map: &'v Map<String, Value>,
    known: Vec<&'static str>,
    is_open: bool,
    faults: &'f mut Vec<Fault>,
}

impl<'v> Fields<'v, '_> {
    /// Where the object stands.
    pub(in crate::domain) fn at(&self) -> &'v str {
        self.at
    }

    /// The path of a field.
    pub(in crate::domain) fn path(&self, name: &str) -> String {
        if self.at.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.at)
        }
    }

    /// Adds a fault.
    pub(in crate::domain) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Adds a fault of the field `name`.
    pub(in crate::domain) fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.push(Fault::new(self.path(name), message));
    }

    /// Lets fields pass that nobody asked for.
    pub(in crate::domain) fn allow_others(&mut self) {
        self.is_open = true;
    }

    /// The names of all fields that are there, known or not.
    pub(in crate::domain) fn names(&self) -> impl Iterator<Item = &'v str> + use<'v> {
        self.map.keys().map(String::as_str)
    }

    /// The field as it is.
    pub(in crate::domain) fn value(&mut self, name: &'static str) -> Option<&'v Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A text. A number or a boolean is not one, as little as in Kubernetes.
    pub(in crate::domain) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => {
                let fault = wrong_kind(&self.path(name), "a text", value);
                self.add(fault.hint(format!("put it in quotes: \"{value}\"")));
                None
            }
            value => self.refuse(name, "a text", value),
        }
    }

    /// The text of a duration, unread.
    pub(in crate::domain) fn duration(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            value => {
                let fault = wrong_kind(&self.path(name), "a duration", value);
                self.add(fault.hint(DURATION_HINT));
                None
            }
        }
    }

    /// A whole number or a text, of which a number is made once its arguments are known.
    pub(in crate::domain) fn int_or_string(&mut self, name: &'static str) -> Option<IntOrString> {
        match self.value(name)? {
            Value::String(text) => Some(IntOrString::Text(text.clone())),
            value => match as_int32(value) {
                Some(number) => Some(IntOrString::Int(number)),
                None => self.refuse(name, "a whole number of 32 bits or a text", value),
            },
        }
    }

    /// A whole number.
    pub(in crate::domain) fn int(&mut self, name: &'static str) -> Option<i32> {
        let value = self.value(name)?;
        match as_int32(value) {
            Some(number) => Some(number),
            None => self.refuse(name, "a whole number of 32 bits", value),
        }
    }

    /// `true` or `false`.
    pub(in crate::domain) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(*value),
            value => self.refuse(name, "true or false", value),
        }
    }

    /// `true`, `false`, or a text of which one of them is made once its arguments are known.
    pub(in crate::domain) fn boolean_or_string(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::Bool(value) => Some(value.to_string()),
            Value::String(text) => Some(text.clone()),
            value => self.refuse(name, "true or false", value),
        }
    }

    /// An object, if the field is there.
    pub(in crate::domain) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'_, '_>) -> T,
    ) -> Option<T> {
        let value = self.value(name)?;
        if !value.is_object() {
            return self.refuse(name, "an object", value);
        }
        let at = self.path(name);
        Some(read_object(value, &at, self.faults, read))
    }

    /// A list of objects; empty where it is absent.
    pub(in crate::domain) fn objects<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Fields<'_, '_>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Value::Array(items) = value else {
            self.refuse::<()>(name, "a list", value);
            return Vec::new();
        };
        if items.len() > LONGEST_LIST {
            let count = items.len();
            self.fault(
                name,
                format!("holds {count} items; at most {LONGEST_LIST} are allowed"),
            );
        }
        let list = self.path(name);
        items
            .iter()
            .take(LONGEST_LIST)
            .enumerate()
            .filter_map(|(i, item)| {
                let at = format!("{list}[{i}]");
                if item.is_object() {
                    Some(read_object(item, &at, self.faults, &read))
                } else {
                    self.faults.push(wrong_kind(&at, "an object", item));
                    None
                }
            })
            .collect()
    }

    /// A list of texts; empty where it is absent.
    pub(in crate::domain) fn texts(&mut self, name: &'static str) -> Vec<String> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Value::Array(items) = value else {
            self.refuse::<()>(name, "a list", value);
            return Vec::new();
        };
        let list = self.path(name);
        items
            .iter()
            .take(LONGEST_LIST)
            .enumerate()
            .filter_map(|(i, item)| {
                let text = item.as_str().map(str::to_owned);
                if text.is_none() {
                    self.add(wrong_kind(&format!("{list}[{i}]"), "a text", item));
                }
                text
            })
            .collect()
    }

    /// The fields of an object of texts, such as labels; empty where it is absent.
    pub(in crate::domain) fn labels(&mut self, name: &'static str) -> BTreeMap<String, String> {
        let Some(value) = self.value(name) else {
            return BTreeMap::new();
        };
        let Value::Object(map) = value else {
            self.refuse::<()>(name, "an object", value);
            return BTreeMap::new();
        };
        let at = self.path(name);
        map.iter()
            .filter_map(|(key, item)| {
                let text = item.as_str().map(|text| (key.clone(), text.to_owned()));
                if text.is_none() {
                    let key = shown(key);
                    let path = format!("{at}.{}", key.trim_matches('`'));
                    self.add(wrong_kind(&path, "a text", item));
                }
                text
            })
            .collect()
    }

    fn refuse<T>(&mut self, name: &str, expected: &str, value: &Value) -> Option<T> {
        let fault = wrong_kind(&self.path(name), expected, value);
        self.add(fault);
        None
    }

    fn refuse_unknown(self) {
        if self.is_open {
            return;
        }
        let unknown: Vec<&str> = self
            .names()
            .filter(|name| !self.known.contains(name))
            .collect();
        for name in unknown.iter().copied().take(MOST_UNKNOWN) {
            let shown_name = shown(name);
            let path = self.path(shown_name.trim_matches('`'));
            let fault = match nearest(name, self.known.iter().copied()) {
                Some(meant) => Fault::new(
                    path,
                    format!("unknown field, did you mean {}?", shown(meant)),
                ),
                None => Fault::new(
                    path,
                    format!(
                        "unknown field; known here: {}",
                        listed(self.known.iter().copied())
                    ),
                ),
            };
            self.faults.push(fault);
        }
        if let Some(more) = unknown
            .len()
            .checked_sub(MOST_UNKNOWN)
            .filter(|more| *more > 0)
        {
            self.faults.push(Fault::new(
                self.at,
                format!("has {more} more unknown fields"),
            ));
        }
    }
}

fn as_int32(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

pub(in crate::domain) fn wrong_kind(at: &str, expected: &str, value: &Value) -> Fault {
    let found = match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) => format!("the text {}", shown(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    Fault::new(at, format!("expected {expected}, found {found}"))
}
