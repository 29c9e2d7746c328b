//! What expressions evaluate to. JSON is borrowed; only what an expression makes is owned.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::ast::Comparison;
use super::time::Moment;

/// The tag is as wide as what follows it, so that a value is stored and loaded in the same pieces: evaluation moves a lot of them.
#[derive(Clone, Debug, Default)]
#[repr(u64)]
pub(super) enum Value<'a> {
    #[default]
    Nil,
    Bool(bool),
    /// Whole numbers come from literals and functions only: every JSON number is a float, as in Go.
    Int(i64),
    Float(f64),
    Text(Text<'a>),
    List(List<'a>),
    Map(Map<'a>),
    /// A `duration`, in nanoseconds.
    Duration(i64),
    /// A `date`.
    Moment(Moment),
    /// A `timezone`.
    Zone(TimeZone),
}

#[derive(Clone, Debug)]
pub(super) enum Text<'a> {
    Lent(&'a str),
    Made(Arc<str>),
}

#[derive(Clone, Debug)]
pub(super) enum List<'a> {
    Json(&'a [Json]),
    /// The numbers of a series.
    Numbers(Arc<[f64]>),
    /// `first..=last` of a range, never written out.
    Range {
        first: i64,
        len: usize,
    },
    /// What `groupBy(…)` has for a key that no element has: no element, and nil.
    Absent,
    Made(Arc<MadeList<'a>>),
}

#[derive(Debug)]
pub(super) struct MadeList<'a> {
    items: Vec<Value<'a>>,
    depth: u8,
}

#[derive(Clone, Debug)]
pub(super) enum Map<'a> {
    Json(&'a serde_json::Map<String, Json>),
    Made(Arc<MadeMap<'a>>),
}

/// Few entries as a rule: looked up one after the other.
#[derive(Debug)]
pub(super) struct MadeMap<'a> {
    entries: Vec<(Value<'a>, Value<'a>)>,
    keys: Keys,
    depth: u8,
}

/// What the keys of a map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// Texts only.
    Names,
    /// Values of any type: the map is of `fromPairs`.
    Any,
    /// What `groupBy` groups by.
    Groups,
}

/// Lists and maps made by an expression nest at most so deep: they are compared, written and dropped recursively.
const MAX_DEPTH: u8 = 128;

/// A list or map that would nest too deep.
#[derive(Debug)]
pub(super) struct TooDeep;

impl<'a> Value<'a> {
    #[inline]
    pub(super) fn from_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::Text(Text::Lent(text)),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(members) => Self::Map(Map::Json(members)),
        }
    }

    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Result<Self, TooDeep> {
        let depth = depth_above(items.iter())?;
        Ok(Self::List(List::Made(Arc::new(MadeList { items, depth }))))
    }

    /// A map of `entries`, of which the first with a key counts.
    pub(super) fn map(entries: Vec<(Self, Self)>, keys: Keys) -> Result<Self, TooDeep> {
        let depth = depth_above(entries.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Self::Map(Map::Made(Arc::new(MadeMap {
            entries,
            keys,
            depth,
        }))))
    }

    pub(super) fn is_nil(&self) -> bool {
        matches!(self, Self::Nil | Self::List(List::Absent))
    }

    /// As a float, where it is a number.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "Go's float64(x) rounds too")]
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Nil
            | Self::Bool(_)
            | Self::Text(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Duration(_)
            | Self::Moment(_)
            | Self::Zone(_) => None,
        }
    }

    /// Go's name of its type, as Argo's messages have it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Duration(_) => "time.Duration",
            Self::Moment(_) => "time.Time",
            Self::Zone(_) => "*time.Location",
        }
    }

    fn depth(&self) -> u8 {
        match self {
            Self::List(List::Made(list)) => list.depth,
            Self::Map(Map::Made(map)) => map.depth,
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Duration(_)
            | Self::Moment(_)
            | Self::Zone(_) => 0,
        }
    }
}

fn depth_above<'v, 'a: 'v>(items: impl Iterator<Item = &'v Value<'a>>) -> Result<u8, TooDeep> {
    match items.map(Value::depth).max().unwrap_or(0) {
        depth if depth < MAX_DEPTH => Ok(depth + 1),
        _ => Err(TooDeep),
    }
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Lent(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Range { len, .. } => *len,
            Self::Absent => 0,
            Self::Made(list) => list.items.len(),
        }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::from_json),
            Self::Numbers(numbers) => numbers.get(index).copied().map(Value::Float),
            Self::Range { first, len } => {
                let offset = i64::try_from(index).ok().filter(|_| index < *len)?;
                Some(Value::Int(first.wrapping_add(offset)))
            }
            Self::Absent => None,
            Self::Made(list) => list.items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(members) => members.len(),
            Self::Made(map) => map.entries.len(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(members) => members.get(name).map(Value::from_json),
            Self::Made(map) => map
                .entries
                .iter()
                .find(|(key, _)| matches!(key, Value::Text(text) if text.as_str() == name))
                .map(|(_, value)| value.clone()),
        }
    }

    /// The value at a key of any type; a float is not the integer that equals it.
    pub(super) fn get_key(&self, key: &Value<'a>) -> Option<Value<'a>> {
        match (self, key) {
            (_, Value::Text(name)) => self.get(name.as_str()),
            (Self::Json(_), _) => None,
            (Self::Made(map), _) => map
                .entries
                .iter()
                .find(|(candidate, _)| identical(candidate, key))
                .map(|(_, value)| value.clone()),
        }
    }

    /// What stands for a key that is not there.
    pub(super) fn missing(&self) -> Value<'a> {
        match self {
            Self::Made(map) if map.keys == Keys::Groups => Value::List(List::Absent),
            Self::Made(_) | Self::Json(_) => Value::Nil,
        }
    }

    pub(super) fn has_text_keys(&self) -> bool {
        match self {
            Self::Json(_) => true,
            Self::Made(map) => map.keys == Keys::Names,
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (Value<'a>, Value<'a>)> + '_> {
        match self {
            Self::Json(members) => Box::new(
                members
                    .iter()
                    .map(|(key, value)| (Value::Text(Text::Lent(key)), Value::from_json(value))),
            ),
            Self::Made(map) => Box::new(map.entries.iter().cloned()),
        }
    }
}

/// `a == b`: numbers by value, lists element by element, maps only where the types agree throughout.
pub(super) fn equal(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            a.number() == b.number()
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(&a, &b))
        }
        _ => identical(a, b),
    }
}

/// Equal in type and value, all the way down.
pub(super) fn identical(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Nil, b) => b.is_nil(),
        (a, Value::Nil) => a.is_nil(),
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b) == Some(Ordering::Equal),
        (Value::Text(a), Value::Text(b)) => a.as_str() == b.as_str(),
        (Value::Moment(a), Value::Moment(b)) => a.at == b.at,
        (Value::Zone(a), Value::Zone(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| identical(&a, &b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.has_text_keys() == b.has_text_keys()
                && a.iter().all(|(key, value)| {
                    b.get_key(&key)
                        .is_some_and(|other| identical(&value, &other))
                })
        }
        _ => false,
    }
}

/// `a < b` and its siblings; `None` where the two have no order. NaN is in no order with anything, which is `false`.
pub(super) fn compare(comparison: Comparison, a: &Value<'_>, b: &Value<'_>) -> Option<bool> {
    let order = match (a, b) {
        (Value::Int(a), Value::Int(b)) | (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.as_str().cmp(b.as_str())),
        (Value::Moment(a), Value::Moment(b)) => Some(a.at.cmp(&b.at)),
        _ => a.number()?.partial_cmp(&b.number()?),
    };
    Some(order.is_some_and(|order| match comparison {
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_lists_have_a_bounded_depth() {
        let mut value = Value::Nil;
        for _ in 0..MAX_DEPTH {
            value = Value::list(vec![value]).unwrap();
        }
        assert!(Value::list(vec![value]).is_err());
    }

    #[test]
    fn maps_compare_types_and_lists_do_not() {
        let int = || Value::list(vec![Value::Int(1)]).unwrap();
        let float = || Value::list(vec![Value::Float(1.0)]).unwrap();
        let map = |value| Value::map(vec![(Value::text("a"), value)], Keys::Names).unwrap();
        assert!(equal(&int(), &float()));
        assert!(!equal(&map(int()), &map(float())));
        assert!(equal(&map(int()), &map(int())));
    }
}
