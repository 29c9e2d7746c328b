//! `toJSON` and `fromJSON`.

use serde_json::Value as Json;

use super::ast::Span;
use super::eval::{Evaluated, Evaluator, Stop, too_deep};
use super::gotext::{append, write_value};
use super::value::{Keys, List, TooDeep, Value};

impl<'a> Evaluator<'a> {
    pub(super) fn written_json(&mut self, span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
        self.grow_by(span, value)?;
        let mut text = String::new();
        write_json(&mut text, value, 0).map_err(|message| Stop::at(span, message))?;
        Ok(Value::text(text))
    }

    pub(super) fn read_json(&mut self, span: Span, text: &str) -> Evaluated<Value<'a>> {
        self.grow(span, text.len())?;
        let json: Json = serde_json::from_str(text)
            .map_err(|error| Stop::at(span, format!("fromJSON: {error}")))?;
        owned(json).map_err(|TooDeep| too_deep(span))
    }
}

/// JSON that nobody else holds.
fn owned<'a>(json: Json) -> Result<Value<'a>, TooDeep> {
    match json {
        Json::Null => Ok(Value::Nil),
        Json::Bool(value) => Ok(Value::Bool(value)),
        Json::Number(number) => Ok(Value::Float(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => Ok(Value::text(text)),
        Json::Array(items) => Value::list(items.into_iter().map(owned).collect::<Result<_, _>>()?),
        Json::Object(members) => {
            let entries = members
                .into_iter()
                .map(|(key, value)| Ok((Value::text(key), owned(value)?)));
            Value::map(entries.collect::<Result<_, _>>()?, Keys::Names)
        }
    }
}

/// Writes `value` as Go's `json.MarshalIndent` with two blanks.
fn write_json(out: &mut String, value: &Value<'_>, level: usize) -> Result<(), String> {
    match value {
        Value::Nil | Value::List(List::Absent) => out.push_str("null"),
        Value::Bool(value) => append(out, format_args!("{value}")),
        Value::Int(value) | Value::Duration(value) => append(out, format_args!("{value}")),
        Value::Float(value) => write_json_number(out, *value)?,
        Value::Text(text) => write_json_text(out, text.as_str()),
        Value::Moment(moment) => write_json_text(out, &moment.rfc_3339()),
        Value::Zone(_) => out.push_str("{}"),
        Value::List(list) if list.len() == 0 => out.push_str("[]"),
        Value::List(list) => {
            for (index, item) in list.iter().enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                indent(out, level + 1);
                write_json(out, &item, level + 1)?;
            }
            indent(out, level);
            out.push(']');
        }
        Value::Map(map) if map.len() == 0 => out.push_str("{}"),
        Value::Map(map) => {
            if !map.has_text_keys() {
                return Err("json: unsupported type: map[interface {}]interface {}".to_owned());
            }
            let mut entries: Vec<(String, Value<'_>)> = map
                .iter()
                .map(|(key, value)| {
                    let mut name = String::new();
                    write_value(&mut name, &key);
                    (name, value)
                })
                .collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                indent(out, level + 1);
                write_json_text(out, key);
                out.push_str(": ");
                write_json(out, value, level + 1)?;
            }
            indent(out, level);
            out.push('}');
        }
    }
    Ok(())
}

fn indent(out: &mut String, level: usize) {
    out.push('\n');
    for _ in 0..level {
        out.push_str("  ");
    }
}

/// Go writes an exponent below 1e-6 and from 1e21 on.
fn write_json_number(out: &mut String, value: f64) -> Result<(), String> {
    if !value.is_finite() {
        let mut text = String::new();
        write_value(&mut text, &Value::Float(value));
        return Err(format!("json: unsupported value: {text}"));
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let scientific = format!("{value:e}");
        match scientific.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => {
                append(out, format_args!("{mantissa}e+{exponent}"));
            }
            _ => out.push_str(&scientific),
        }
    } else {
        append(out, format_args!("{value}"));
    }
    Ok(())
}

/// Go escapes what HTML would take amiss.
fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                append(out, format_args!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}
