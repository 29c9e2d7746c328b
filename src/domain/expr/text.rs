//! The functions that read or make texts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ast::Span;
use super::call::invalid;
use super::eval::{Evaluated, Evaluator, Stop, count, int_of};
use super::function::Function;
use super::gotext::write_value;
use super::value::{List, Text, Value};

impl<'a> Evaluator<'a> {
    pub(super) fn text_function(
        &mut self,
        span: Span,
        function: Function,
        values: &[Value<'a>],
    ) -> Evaluated<Value<'a>> {
        match function {
            Function::String => return self.string(span, &values[0]),
            Function::Type => return Ok(Value::Text(Text::Lent(kind(&values[0])))),
            Function::ToJson => return self.written_json(span, &values[0]),
            Function::Join => return self.join(span, values),
            _ => {}
        }
        let text = text(span, function, &values[0])?;
        self.work(span, text.len())?;
        let second = match values.get(1) {
            Some(Value::Text(second)) => Some(second.as_str()),
            Some(other) if function != Function::Repeat => {
                return Err(invalid(span, function, other));
            }
            _ => None,
        };
        // What Go takes where the second argument is left out.
        let other = second.unwrap_or(" ");
        match function {
            Function::Trim => {
                let trimmed = match second {
                    Some(cut) => {
                        self.work(span, text.len().saturating_mul(cut.len()))?;
                        text.trim_matches(|c| cut.contains(c))
                    }
                    None => text.trim(),
                };
                self.made(span, trimmed)
            }
            Function::TrimPrefix => self.made(span, text.strip_prefix(other).unwrap_or(text)),
            Function::TrimSuffix => self.made(span, text.strip_suffix(other).unwrap_or(text)),
            Function::Upper => self.made(span, &upper(text)),
            Function::Lower => self.made(span, &lower(text)),
            Function::HasPrefix => Ok(Value::Bool(text.starts_with(other))),
            Function::HasSuffix => Ok(Value::Bool(text.ends_with(other))),
            Function::IndexOf => Ok(text.find(other).map_or(Value::Int(-1), count)),
            Function::LastIndexOf => Ok(text.rfind(other).map_or(Value::Int(-1), count)),
            Function::Split | Function::SplitAfter => {
                let limit = match values.get(2) {
                    Some(limit) => Some(int_of(span, limit)?),
                    None => None,
                };
                self.split(span, text, other, limit, function == Function::SplitAfter)
            }
            Function::Replace => self.replace(span, text, other, values),
            Function::Repeat => {
                let times = values.get(1).unwrap_or(&Value::Nil);
                let times = int_of(span, times)?;
                self.repeat(span, text, times)
            }
            Function::FromJson => self.read_json(span, text),
            Function::ToBase64 => {
                let encoded = STANDARD.encode(text);
                self.made(span, &encoded)
            }
            // As in Go, line ends are overlooked.
            Function::FromBase64 => match STANDARD.decode(text.replace(['\r', '\n'], "")) {
                Ok(bytes) => self.made(span, &String::from_utf8_lossy(&bytes)),
                Err(error) => Err(Stop::at(span, format!("illegal base64 data: {error}"))),
            },
            other => Err(invalid(span, other, &values[0])),
        }
    }

    /// A text of its own.
    fn made(&mut self, span: Span, text: &str) -> Evaluated<Value<'a>> {
        self.grow(span, text.len())?;
        Ok(Value::text(text))
    }

    fn string(&mut self, span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
        if let Value::Text(_) = value {
            return Ok(value.clone());
        }
        self.grow_by(span, value)?;
        let mut text = String::new();
        write_value(&mut text, value);
        Ok(Value::text(text))
    }

    fn join(&mut self, span: Span, values: &[Value<'a>]) -> Evaluated<Value<'a>> {
        let Value::List(list) = &values[0] else {
            return Err(invalid(span, Function::Join, &values[0]));
        };
        let glue = match values.get(1) {
            Some(glue) => text(span, Function::Join, glue)?,
            None => "",
        };
        let mut joined = String::new();
        for (index, item) in list.iter().enumerate() {
            let item = text(span, Function::Join, &item)?.to_owned();
            self.step(span)?;
            self.grow(span, item.len() + glue.len())?;
            if index > 0 {
                joined.push_str(glue);
            }
            joined.push_str(&item);
        }
        Ok(Value::text(joined))
    }

    /// As Go's `Split` and `SplitAfter`: an empty separator splits into characters, a limit of 0 gives nothing.
    fn split(
        &mut self,
        span: Span,
        text: &str,
        separator: &str,
        limit: Option<i64>,
        keeps: bool,
    ) -> Evaluated<Value<'a>> {
        let limit = match limit {
            Some(0) => return self.made_list(span, Vec::new()),
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        self.grow(span, text.len())?;
        let mut parts = Vec::new();
        let mut rest = text;
        while parts.len() + 1 < limit {
            let end = if separator.is_empty() {
                rest.chars()
                    .next()
                    .map(char::len_utf8)
                    .filter(|&end| end < rest.len())
            } else {
                rest.find(separator)
            };
            let Some(end) = end else { break };
            let kept = if keeps { end + separator.len() } else { end };
            parts.push(Value::text(&rest[..kept]));
            rest = &rest[end + separator.len()..];
        }
        if !(separator.is_empty() && rest.is_empty()) {
            parts.push(Value::text(rest));
        }
        self.made_list(span, parts)
    }

    fn replace(
        &mut self,
        span: Span,
        text: &str,
        old: &str,
        values: &[Value<'a>],
    ) -> Evaluated<Value<'a>> {
        let new = self::text(
            span,
            Function::Replace,
            values.get(2).unwrap_or(&Value::Nil),
        )?;
        let times = match values.get(3) {
            Some(times) => usize::try_from(int_of(span, times)?).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        // What it comes to is known before it is made: the budget is for the making.
        let found = text.matches(old).count().min(times);
        self.grow(
            span,
            text.len().saturating_add(found.saturating_mul(new.len())),
        )?;
        Ok(Value::text(text.replacen(old, new, times)))
    }

    fn repeat(&mut self, span: Span, text: &str, times: i64) -> Evaluated<Value<'a>> {
        let Ok(count) = usize::try_from(times) else {
            let message =
                format!("invalid argument for repeat (expected positive integer, got {times})");
            return Err(Stop::at(span, message));
        };
        self.grow(span, text.len().saturating_mul(count).max(count))?;
        Ok(Value::text(text.repeat(count)))
    }
}

fn text<'v>(span: Span, function: Function, value: &'v Value<'_>) -> Evaluated<&'v str> {
    match value {
        Value::Text(text) => Ok(text.as_str()),
        other => Err(invalid(span, function, other)),
    }
}

/// Go maps each character to one other at most: `ß` has no single upper case, and stays.
fn upper(text: &str) -> String {
    let single = |c: char| {
        let mut mapped = c.to_uppercase();
        match (mapped.next(), mapped.next()) {
            (Some(upper), None) => upper,
            _ => c,
        }
    };
    text.chars().map(single).collect()
}

/// The same downwards; the `İ` of Turkish is the only one whose lower case has two characters, of which Go takes the first.
fn lower(text: &str) -> String {
    let first = |c: char| c.to_lowercase().next().unwrap_or(c);
    text.chars().map(first).collect()
}

/// The word that `type()` gives.
fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Nil | Value::List(List::Absent) => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "map",
        Value::Duration(_) => "time.Duration",
        Value::Moment(_) => "time.Time",
        Value::Zone(_) => "*time.Location",
    }
}
