//! The functions of lists and maps.

use std::cmp::Ordering;

use super::ast::{Comparison, Span};
use super::call::invalid;
use super::eval::{Evaluated, Evaluator, Stop, count, int_of, too_deep};
use super::function::Function;
use super::value::{Keys, List, Map, TooDeep, Value, compare, equal, identical};

impl<'a> Evaluator<'a> {
    pub(super) fn list_function(
        &mut self,
        span: Span,
        function: Function,
        values: &[Value<'a>],
    ) -> Evaluated<Value<'a>> {
        let value = &values[0];
        match function {
            Function::Len => self.len(span, value),
            Function::First => Ok(nth(value, |_| Some(0))),
            Function::Last => Ok(nth(value, |length| length.checked_sub(1))),
            Function::Get => self.get(span, value, &values[1]),
            Function::Take => self.take(span, value, &values[1]),
            Function::Keys => {
                let map = self.map_of(span, function, value)?;
                let keys = map.iter().map(|(key, _)| key).collect();
                self.made_list(span, keys)
            }
            Function::Values => {
                let map = self.map_of(span, function, value)?;
                let values = map.iter().map(|(_, value)| value).collect();
                self.made_list(span, values)
            }
            Function::ToPairs => self.pairs_of(span, value),
            Function::FromPairs => self.map_of_pairs(span, value),
            Function::Reverse => {
                let items = items(span, function, value)?.iter().rev().collect();
                self.made_list(span, items)
            }
            Function::Uniq => self.uniq(span, value),
            Function::Concat => self.concat(span, values),
            Function::Flatten => {
                let list = items(span, function, value)?;
                let mut flat = Vec::new();
                self.flatten(span, &list, &mut flat)?;
                self.made_list(span, flat)
            }
            Function::Sort => {
                let descending = is_descending(span, values.get(1))?;
                let list = items(span, function, value)?;
                let keyed = list.iter().map(|item| (item.clone(), item)).collect();
                let items = self.sorted(span, keyed, descending)?;
                self.made_list(span, items)
            }
            other => Err(invalid(span, other, value)),
        }
    }

    fn len(&mut self, span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
        match value {
            Value::Text(text) => {
                self.work(span, text.as_str().len())?;
                Ok(count(text.as_str().chars().count()))
            }
            Value::List(list) => Ok(count(list.len())),
            Value::Map(map) => Ok(count(map.len())),
            other => Err(invalid(span, Function::Len, other)),
        }
    }

    /// As an index or member, but nil where there is none.
    fn get(&mut self, span: Span, object: &Value<'a>, key: &Value<'a>) -> Evaluated<Value<'a>> {
        let place = |index: i64, length: usize| {
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            let from_end = if index < 0 { length } else { 0 };
            usize::try_from(index.saturating_add(from_end)).ok()
        };
        match object {
            Value::List(_) | Value::Text(_) => {
                let index = int_of(span, key)?;
                Ok(nth(object, |length| place(index, length)))
            }
            Value::Map(map) => {
                let found = self.key(span, map, key)?;
                Ok(found.unwrap_or_else(|| map.missing()))
            }
            _ => Ok(Value::Nil),
        }
    }

    fn take(&mut self, span: Span, value: &Value<'a>, number: &Value<'a>) -> Evaluated<Value<'a>> {
        let list = items(span, Function::Take, value)?;
        let wanted = match number {
            Value::Int(wanted) => usize::try_from(*wanted).map_err(|_| wanted.to_string()),
            other => Err(other.type_name().to_owned()),
        };
        let wanted =
            wanted.map_err(|given| Stop::at(span, format!("cannot take {given} elements")))?;
        if let List::Json(items) = list {
            return Ok(Value::List(List::Json(&items[..wanted.min(items.len())])));
        }
        self.made_list(span, list.iter().take(wanted).collect())
    }

    fn pairs_of(&mut self, span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
        let map = self.map_of(span, Function::ToPairs, value)?;
        let pairs: Evaluated<Vec<_>> = map
            .iter()
            .map(|(key, value)| self.made_list(span, vec![key, value]))
            .collect();
        self.made_list(span, pairs?)
    }

    fn map_of_pairs(&mut self, span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
        let list = items(span, Function::FromPairs, value)?;
        let mut entries: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        for pair in list.iter() {
            let pair = items(span, Function::FromPairs, &pair)?;
            let (Some(key), Some(value), 2) = (pair.get(0), pair.get(1), pair.len()) else {
                let message = format!("a pair has two elements, not {}", pair.len());
                return Err(Stop::at(span, message));
            };
            if matches!(key, Value::List(_) | Value::Map(_)) {
                let message = format!("{} cannot be a key", key.type_name());
                return Err(Stop::at(span, message));
            }
            self.search(span, entries.len(), &key)?;
            match entries.iter_mut().find(|(known, _)| identical(known, &key)) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        self.grow(span, entries.len())?;
        Value::map(entries, Keys::Any).map_err(|TooDeep| too_deep(span))
    }

    fn uniq(&mut self, span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
        let list = items(span, Function::Uniq, value)?;
        let mut kept: Vec<Value<'a>> = Vec::new();
        for item in list.iter() {
            self.search(span, kept.len(), &item)?;
            if !kept.iter().any(|known| equal(known, &item)) {
                kept.push(item);
            }
        }
        self.made_list(span, kept)
    }

    fn concat(&mut self, span: Span, values: &[Value<'a>]) -> Evaluated<Value<'a>> {
        let mut all = Vec::new();
        for value in values {
            let list = items(span, Function::Concat, value)?;
            self.grow(span, list.len())?;
            all.extend(list.iter());
        }
        self.made_list(span, all)
    }

    fn flatten(&mut self, span: Span, list: &List<'a>, into: &mut Vec<Value<'a>>) -> Evaluated<()> {
        self.grow(span, list.len())?;
        for item in list.iter() {
            match item {
                Value::List(inner) => self.flatten(span, &inner, into)?,
                other => into.push(other),
            }
        }
        Ok(())
    }

    /// Items in the order of their keys, which have to be of one kind.
    pub(super) fn sorted(
        &mut self,
        span: Span,
        mut items: Vec<(Value<'a>, Value<'a>)>,
        descending: bool,
    ) -> Evaluated<Vec<Value<'a>>> {
        self.steps_of(span, items.len().saturating_mul(4))?;
        for (key, _) in &items {
            self.work_on(span, key)?;
        }
        // Whatever is in an order with the first is in one with all others.
        if let Some(((first, _), others)) = items.split_first()
            && let Some((odd, _)) = others
                .iter()
                .find(|(key, _)| compare(Comparison::Less, key, first).is_none())
        {
            let (a, b) = if descending {
                (first, odd)
            } else {
                (odd, first)
            };
            let message = format!("invalid operation: {} < {}", a.type_name(), b.type_name());
            return Err(Stop::at(span, message));
        }
        items.sort_by(|(a, _), (b, _)| {
            let (a, b) = if descending { (b, a) } else { (a, b) };
            total_order(a, b)
        });
        Ok(items.into_iter().map(|(_, item)| item).collect())
    }

    fn map_of(&mut self, span: Span, function: Function, value: &Value<'a>) -> Evaluated<Map<'a>> {
        match value {
            Value::Map(map) => {
                self.work(span, map.len())?;
                Ok(map.clone())
            }
            other => Err(invalid(span, function, other)),
        }
    }
}

/// The order of two values that have one; NaN, which is in none, comes first, so that sorting has a total order to go by.
fn total_order(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    let holds = |comparison| compare(comparison, a, b) == Some(true);
    let is_nan = |value: &Value<'_>| value.number().is_some_and(f64::is_nan);
    if holds(Comparison::Less) {
        Ordering::Less
    } else if holds(Comparison::Greater) {
        Ordering::Greater
    } else {
        is_nan(b).cmp(&is_nan(a))
    }
}

fn items<'a>(span: Span, function: Function, value: &Value<'a>) -> Evaluated<List<'a>> {
    match value {
        Value::List(list) => Ok(list.clone()),
        other => Err(invalid(span, function, other)),
    }
}

/// The element of a list, or byte of a text, at the place that `place` finds for its length; nil where there is none.
fn nth<'a>(value: &Value<'a>, place: impl Fn(usize) -> Option<usize>) -> Value<'a> {
    match value {
        Value::List(list) => place(list.len())
            .and_then(|index| list.get(index))
            .unwrap_or_default(),
        Value::Text(text) => {
            let bytes = text.as_str().as_bytes();
            place(bytes.len())
                .and_then(|index| bytes.get(index))
                .map_or(Value::Nil, |byte| Value::Int((*byte).into()))
        }
        _ => Value::Nil,
    }
}

/// What the order of `sort` and `sortBy` says.
pub(super) fn is_descending(span: Span, order: Option<&Value<'_>>) -> Evaluated<bool> {
    match order {
        None => Ok(false),
        Some(Value::Text(order)) => match order.as_str() {
            "asc" => Ok(false),
            "desc" => Ok(true),
            other => {
                let message = format!("invalid order {other}, expected asc or desc");
                Err(Stop::at(span, message))
            }
        },
        Some(other) => {
            let message = format!(
                "the order of sorting is a string, not {}",
                other.type_name()
            );
            Err(Stop::at(span, message))
        }
    }
}
