//! Numbers and values as Go reads and writes them.

use std::fmt::Write;

use super::value::{List, Map, Value};

/// Reads a float as Go's `strconv.ParseFloat` does: decimal or hexadecimal, `Inf` and `NaN` in any case, no blanks.
pub(in crate::domain) fn parse_float(text: &str) -> Option<f64> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Some(value),
        // Rust overflows to infinity and takes a sign before `nan`; Go does neither.
        Ok(value) => is_special(text).then_some(value),
        Err(_) => parse_unusual_float(text),
    }
}

fn is_special(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    unsigned.eq_ignore_ascii_case("inf")
        || unsigned.eq_ignore_ascii_case("infinity")
        || text.eq_ignore_ascii_case("nan")
}

/// What Go takes and Rust doesn't: hexadecimal, and underscores between digits.
fn parse_unusual_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    if unsigned.contains('_') {
        if !underscores_are_between_digits(unsigned) {
            return None;
        }
        return parse_float(&text.replace('_', ""));
    }
    let hexadecimal = unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))?;
    let (mantissa, exponent) = hexadecimal.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 13 {
        // Thirteen digits fit a float exactly; nobody's metric has more.
        return None;
    }
    let digits = u64::from_str_radix(&digits, 16).ok()?;
    let scale = exponent.checked_sub(i32::try_from(fraction.len() * 4).ok()?)?;
    #[expect(clippy::cast_precision_loss, reason = "at most 52 bits, checked above")]
    let value = digits as f64 * 2f64.powi(scale);
    value.is_finite().then_some(sign * value)
}

fn underscores_are_between_digits(unsigned: &str) -> bool {
    let bytes = unsigned.as_bytes();
    let is_prefixed = bytes.len() >= 2 && bytes[0] == b'0' && matches!(bytes[1], b'x' | b'X');
    let is_digit = |index: usize| {
        bytes.get(index).is_some_and(|byte| {
            byte.is_ascii_digit() || is_prefixed && (byte.is_ascii_hexdigit() || index == 1)
        })
    };
    (0..bytes.len())
        .filter(|&index| bytes[index] == b'_')
        .all(|index| index > 0 && is_digit(index - 1) && is_digit(index + 1))
}

/// `f` as Go's `int(f)` on amd64: towards zero, the lowest number where it doesn't fit.
pub(in crate::domain) fn to_int(f: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&f) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "truncation is what is wanted"
        )]
        return f as i64;
    }
    i64::MIN
}

/// `value` as Go's `%v` writes it.
pub(super) fn write_value(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => append(out, format_args!("{value}")),
        Value::Float(value) => write_float(out, *value),
        Value::Text(text) => out.push_str(text.as_str()),
        Value::List(list) => write_list(out, list),
        Value::Map(map) => write_map(out, map),
        Value::Duration(nanoseconds) => out.push_str(&super::time::duration_text(*nanoseconds)),
        Value::Moment(moment) => append(out, format_args!("{moment}")),
        Value::Zone(zone) => out.push_str(super::time::zone_text(zone)),
    }
}

fn write_list(out: &mut String, list: &List<'_>) {
    out.push('[');
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        write_value(out, &item);
    }
    out.push(']');
}

fn write_map(out: &mut String, map: &Map<'_>) {
    let mut entries: Vec<(String, Value<'_>)> = map
        .iter()
        .map(|(key, value)| {
            let mut text = String::new();
            write_value(&mut text, &key);
            (text, value)
        })
        .collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    out.push_str("map[");
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(key);
        out.push(':');
        write_value(out, value);
    }
    out.push(']');
}

/// A float as Go's `%v`: the shortest digits, with an exponent below 1e-4 and from 1e6 on.
/// `value` as Go's `%v` writes a float64: `1e+06`, `0.5`, `3`.
pub(in crate::domain) fn float_text(value: f64) -> String {
    let mut out = String::new();
    write_float(&mut out, value);
    out
}

fn write_float(out: &mut String, value: f64) {
    if !value.is_finite() {
        out.push_str(match value {
            _ if value.is_nan() => "NaN",
            _ if value > 0.0 => "+Inf",
            _ => "-Inf",
        });
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..FIRST_EXPONENT).contains(&exponent) {
        append(out, format_args!("{value}"));
    } else {
        append_exponent(out, mantissa, exponent);
    }
}

/// From this exponent on, Go's `%v` of a float64 is written with an exponent.
const FIRST_EXPONENT: i32 = 6;

fn append_exponent(out: &mut String, mantissa: &str, exponent: i32) {
    let sign = if exponent < 0 { '-' } else { '+' };
    append(out, format_args!("{mantissa}e{sign}{:02}", exponent.abs()));
}

pub(super) fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string cannot fail");
}
