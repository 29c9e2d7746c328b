//! Members, elements and slices.

use super::ast::{Expr, Span};
use super::eval::{Evaluated, Evaluator, Stop, int_of};
use super::gotext::write_value;
use super::missing;
use super::value::{List, Map, Text, Value};

impl<'a> Evaluator<'a> {
    pub(super) fn member(
        &mut self,
        span: Span,
        object: &'a Expr,
        name: &'a str,
        optional: bool,
    ) -> Evaluated<Value<'a>> {
        match self.eval(object)? {
            Value::Map(map) => {
                if let Map::Made(_) = map {
                    self.work(span, map.len())?;
                }
                Ok(map.get(name).unwrap_or_else(|| map.missing()))
            }
            value if value.is_nil() && optional => Err(Stop::Absent),
            other => Err(self.no_member(span, object, name, &other)),
        }
    }

    #[cold]
    fn no_member(&mut self, span: Span, object: &'a Expr, name: &str, value: &Value<'a>) -> Stop {
        match value {
            Value::List(_) | Value::Text(_) => {
                let hint = matches!(value, Value::List(_)).then(|| {
                    format!(
                        "{} is a list: `[0].{name}` of it, or `all(…, {{.{name} …}})`",
                        self.text_of(object)
                    )
                });
                Stop::at(span, "invalid operation: int(string)").hint(hint)
            }
            other => {
                let message = format!("cannot fetch {name} from {}", other.type_name());
                let hint = other
                    .is_nil()
                    .then(|| missing::hint(self, object))
                    .flatten();
                Stop::at(span, message).hint(hint)
            }
        }
    }

    pub(super) fn item(
        &mut self,
        span: Span,
        object: &'a Expr,
        key: &'a Expr,
        optional: bool,
    ) -> Evaluated<Value<'a>> {
        let whole = self.eval(object)?;
        if optional && whole.is_nil() {
            return Err(Stop::Absent);
        }
        let selector = self.eval(key)?;
        match &whole {
            Value::List(list) => {
                let index = place_in(key.span, &selector, list.len())?;
                Ok(list.get(index).unwrap_or(Value::Nil))
            }
            Value::Text(text) => {
                let bytes = text.as_str().as_bytes();
                let index = place_in(key.span, &selector, bytes.len())?;
                Ok(bytes
                    .get(index)
                    .map_or(Value::Nil, |byte| Value::Int((*byte).into())))
            }
            Value::Map(map) => {
                let found = self.key(key.span, map, &selector)?;
                Ok(found.unwrap_or_else(|| map.missing()))
            }
            other => {
                let mut name = String::new();
                write_value(&mut name, &selector);
                let message = format!("cannot fetch {name} from {}", other.type_name());
                let hint = other
                    .is_nil()
                    .then(|| missing::hint(self, object))
                    .flatten();
                Err(Stop::at(span, message).hint(hint))
            }
        }
    }

    /// The value at `key`. As in Go, nil is the empty name, and another type than the map's keys is an error.
    pub(super) fn key(
        &mut self,
        span: Span,
        map: &Map<'a>,
        key: &Value<'a>,
    ) -> Evaluated<Option<Value<'a>>> {
        if let Map::Made(_) = map {
            self.search(span, map.len(), key)?;
        }
        match key {
            Value::Nil if map.has_text_keys() => Ok(map.get("")),
            Value::Text(_) => Ok(map.get_key(key)),
            _ if map.has_text_keys() => {
                let message = format!("a member has a name, not {}", key.type_name());
                Err(Stop::at(span, message))
            }
            Value::List(_) | Value::Map(_) => {
                let message = format!("{} cannot be a key", key.type_name());
                Err(Stop::at(span, message))
            }
            _ => Ok(map.get_key(key)),
        }
    }

    pub(super) fn slice(
        &mut self,
        span: Span,
        object: &'a Expr,
        from: Option<&'a Expr>,
        to: Option<&'a Expr>,
    ) -> Evaluated<Value<'a>> {
        let whole = self.eval(object)?;
        let length = match &whole {
            Value::List(list) => list.len(),
            Value::Text(text) => text.as_str().len(),
            other => {
                return Err(Stop::at(
                    span,
                    format!("cannot slice {}", other.type_name()),
                ));
            }
        };
        let to = match to {
            Some(to) => self.bound(to, length)?,
            None => length,
        };
        let from = match from {
            Some(from) => self.bound(from, length)?,
            None => 0,
        };
        let from = from.min(to);
        match whole {
            Value::List(List::Json(items)) => Ok(Value::List(List::Json(&items[from..to]))),
            Value::List(List::Range { first, .. }) => {
                let offset = i64::try_from(from).unwrap_or(i64::MAX);
                Ok(Value::List(List::Range {
                    first: first.saturating_add(offset),
                    len: to - from,
                }))
            }
            Value::List(list) => {
                let items = (from..to).filter_map(|index| list.get(index)).collect();
                self.made_list(span, items)
            }
            Value::Text(text) => self.slice_text(span, &text, from, to),
            _ => Ok(Value::Nil),
        }
    }

    /// Go cuts texts at bytes; half a character is the replacement for it here, equal to nothing.
    fn slice_text(
        &mut self,
        span: Span,
        text: &Text<'a>,
        from: usize,
        to: usize,
    ) -> Evaluated<Value<'a>> {
        if let Text::Lent(text) = text
            && let Some(part) = text.get(from..to)
        {
            return Ok(Value::Text(Text::Lent(part)));
        }
        self.grow(span, to - from)?;
        let bytes = &text.as_str().as_bytes()[from..to];
        Ok(Value::text(String::from_utf8_lossy(bytes).into_owned()))
    }

    /// The bound of a slice, within the length.
    fn bound(&mut self, bound: &'a Expr, length: usize) -> Evaluated<usize> {
        let value = self.eval(bound)?;
        let wanted = int_of(bound.span, &value)?;
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let wanted = if wanted < 0 {
            wanted.saturating_add(length)
        } else {
            wanted
        };
        Ok(usize::try_from(wanted.clamp(0, length)).unwrap_or(0))
    }
}

/// A place in something so long; a negative one counts from the end.
fn place_in(span: Span, selector: &Value<'_>, length: usize) -> Evaluated<usize> {
    let wanted = int_of(span, selector)?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_end = if wanted < 0 { length } else { 0 };
    let index = wanted.saturating_add(from_end);
    if (0..length).contains(&index) {
        return Ok(usize::try_from(index).unwrap_or(usize::MAX));
    }
    let message = format!("index out of range: {index} (array length is {length})");
    Err(Stop::at(span, message))
}
