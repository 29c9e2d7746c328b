//! The methods of durations, dates and zones: of all values only these have any.

use jiff::Span;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::moment::Moment;
use super::{duration_text, zone_text};
use crate::domain::expr::function::{Gives, Parameter};
use crate::domain::expr::value::Value;

/// What has methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain::expr) enum Owner {
    Duration,
    Moment,
    Zone,
}

/// A method, before it is known whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain::expr) struct Method(&'static str);

/// One line of the table of methods.
#[derive(Debug)]
pub(in crate::domain::expr) struct MethodSignature {
    owner: Owner,
    name: &'static str,
    pub(in crate::domain::expr) parameters: &'static [Parameter],
    pub(in crate::domain::expr) gives: Gives,
}

const fn method(
    owner: Owner,
    name: &'static str,
    parameters: &'static [Parameter],
    gives: Gives,
) -> MethodSignature {
    MethodSignature {
        owner,
        name,
        parameters,
        gives,
    }
}

/// Go's months and days of the week are types of their own, which no operator takes; here they are numbers.
static METHODS: &[MethodSignature] = {
    use Gives as G;
    use Owner as O;
    use Parameter as P;
    &[
        method(O::Duration, "Hours", &[], G::Float),
        method(O::Duration, "Minutes", &[], G::Float),
        method(O::Duration, "Seconds", &[], G::Float),
        method(O::Duration, "Milliseconds", &[], G::Int),
        method(O::Duration, "Microseconds", &[], G::Int),
        method(O::Duration, "Nanoseconds", &[], G::Int),
        method(O::Duration, "Abs", &[], G::Duration),
        method(O::Duration, "Round", &[P::Duration], G::Duration),
        method(O::Duration, "Truncate", &[P::Duration], G::Duration),
        method(O::Duration, "String", &[], G::Text),
        method(O::Moment, "Year", &[], G::Int),
        method(O::Moment, "Month", &[], G::Int),
        method(O::Moment, "Day", &[], G::Int),
        method(O::Moment, "YearDay", &[], G::Int),
        method(O::Moment, "Weekday", &[], G::Int),
        method(O::Moment, "Hour", &[], G::Int),
        method(O::Moment, "Minute", &[], G::Int),
        method(O::Moment, "Second", &[], G::Int),
        method(O::Moment, "Nanosecond", &[], G::Int),
        method(O::Moment, "Unix", &[], G::Int),
        method(O::Moment, "UnixMilli", &[], G::Int),
        method(O::Moment, "UnixMicro", &[], G::Int),
        method(O::Moment, "UnixNano", &[], G::Int),
        method(O::Moment, "IsZero", &[], G::Bool),
        method(O::Moment, "Add", &[P::Duration], G::Moment),
        method(O::Moment, "AddDate", &[P::Int, P::Int, P::Int], G::Moment),
        method(O::Moment, "Sub", &[P::Moment], G::Duration),
        method(O::Moment, "Before", &[P::Moment], G::Bool),
        method(O::Moment, "After", &[P::Moment], G::Bool),
        method(O::Moment, "Equal", &[P::Moment], G::Bool),
        method(O::Moment, "Compare", &[P::Moment], G::Int),
        method(O::Moment, "Round", &[P::Duration], G::Moment),
        method(O::Moment, "Truncate", &[P::Duration], G::Moment),
        method(O::Moment, "UTC", &[], G::Moment),
        method(O::Moment, "In", &[P::Zone], G::Moment),
        method(O::Moment, "Format", &[P::Text], G::Text),
        method(O::Moment, "String", &[], G::Text),
        method(O::Zone, "String", &[], G::Text),
    ]
};

impl Method {
    pub(in crate::domain::expr) fn named(name: &str) -> Option<Self> {
        let known = METHODS.iter().find(|method| method.name == name)?;
        Some(Self(known.name))
    }

    pub(in crate::domain::expr) fn name(self) -> &'static str {
        self.0
    }

    /// What it takes and gives; `None` where `owner` has no such method.
    pub(in crate::domain::expr) fn of(self, owner: Owner) -> Option<&'static MethodSignature> {
        METHODS
            .iter()
            .find(|method| method.owner == owner && method.name == self.0)
    }

    /// What it gives for `object`; `None` where `object` has no such method, the arguments don't fit, or the calendar ends.
    pub(in crate::domain::expr) fn call<'a>(
        self,
        object: &Value<'a>,
        arguments: &[Value<'a>],
    ) -> Option<Value<'a>> {
        match object {
            Value::Duration(nanoseconds) => self.of_duration(*nanoseconds, arguments),
            Value::Moment(moment) => self.of_moment(moment, arguments),
            Value::Zone(zone) if self.0 == "String" && arguments.is_empty() => {
                Some(Value::text(zone_text(zone)))
            }
            _ => None,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "Go's durations are read as floats, too"
    )]
    fn of_duration<'a>(self, nanoseconds: i64, arguments: &[Value<'a>]) -> Option<Value<'a>> {
        Some(match (self.0, arguments) {
            ("Hours", []) => Value::Float(nanoseconds as f64 / 3.6e12),
            ("Minutes", []) => Value::Float(nanoseconds as f64 / 6e10),
            ("Seconds", []) => Value::Float(nanoseconds as f64 / 1e9),
            ("Milliseconds", []) => Value::Int(nanoseconds / 1_000_000),
            ("Microseconds", []) => Value::Int(nanoseconds / 1_000),
            ("Nanoseconds", []) => Value::Int(nanoseconds),
            ("Abs", []) => Value::Duration(nanoseconds.saturating_abs()),
            ("Round", [Value::Duration(unit)]) => Value::Duration(rounded(nanoseconds, *unit)),
            ("Truncate", [Value::Duration(unit)]) if *unit > 0 => {
                Value::Duration(nanoseconds - nanoseconds % unit)
            }
            ("Truncate", [Value::Duration(_)]) => Value::Duration(nanoseconds),
            ("String", []) => Value::text(duration_text(nanoseconds)),
            _ => return None,
        })
    }

    fn of_moment<'a>(self, moment: &Moment, arguments: &[Value<'a>]) -> Option<Value<'a>> {
        match arguments {
            [] => self.of_moment_alone(moment),
            [argument] => self.of_moment_and(moment, argument),
            [Value::Int(years), Value::Int(months), Value::Int(days)] if self.0 == "AddDate" => {
                let moved = added(moment.local(), *years, *months, *days)?;
                Moment::in_zone(moved, moment.zone().clone()).map(Value::Moment)
            }
            _ => None,
        }
    }

    fn of_moment_alone<'a>(self, moment: &Moment) -> Option<Value<'a>> {
        let local = moment.local();
        Some(match self.0 {
            "Year" => Value::Int(local.year().into()),
            "Month" => Value::Int(local.month().into()),
            "Day" => Value::Int(local.day().into()),
            "YearDay" => Value::Int(local.day_of_year().into()),
            "Weekday" => Value::Int(local.weekday().to_sunday_zero_offset().into()),
            "Hour" => Value::Int(local.hour().into()),
            "Minute" => Value::Int(local.minute().into()),
            "Second" => Value::Int(local.second().into()),
            "Nanosecond" => Value::Int(local.subsec_nanosecond().into()),
            "Unix" => Value::Int(moment.at.as_second()),
            "UnixMilli" => Value::Int(moment.at.as_millisecond()),
            "UnixMicro" => Value::Int(moment.at.as_microsecond()),
            #[expect(clippy::cast_possible_truncation, reason = "Go's wraps, too")]
            "UnixNano" => Value::Int(moment.at.as_nanosecond() as i64),
            "IsZero" => Value::Bool(moment.since_year_1() == 0),
            "UTC" => Value::Moment(Moment::new(moment.at, TimeZone::UTC)),
            "String" => Value::text(moment.to_string()),
            _ => return None,
        })
    }

    fn of_moment_and<'a>(self, moment: &Moment, argument: &Value<'a>) -> Option<Value<'a>> {
        Some(match (self.0, argument) {
            ("Add", Value::Duration(nanoseconds)) => Value::Moment(moment.plus(*nanoseconds)?),
            ("Sub", Value::Moment(other)) => Value::Duration(moment.since(other)),
            ("Before", Value::Moment(other)) => Value::Bool(moment.at < other.at),
            ("After", Value::Moment(other)) => Value::Bool(moment.at > other.at),
            ("Equal", Value::Moment(other)) => Value::Bool(moment.at == other.at),
            ("Compare", Value::Moment(other)) => Value::Int(moment.at.cmp(&other.at) as i64),
            ("Round" | "Truncate", Value::Duration(unit)) => {
                Value::Moment(moment.cut(*unit, self.0 == "Round")?)
            }
            ("In", Value::Zone(zone)) => Value::Moment(Moment::new(moment.at, zone.clone())),
            ("Format", Value::Text(layout)) => Value::text(moment.format(layout.as_str())),
            _ => return None,
        })
    }
}

/// To the nearest multiple of `unit`, halves away from zero.
fn rounded(nanoseconds: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanoseconds;
    }
    let rest = nanoseconds % unit;
    let down = nanoseconds - rest;
    if rest.unsigned_abs() < unit.unsigned_abs() - rest.unsigned_abs() {
        down
    } else {
        down.saturating_add(unit * nanoseconds.signum())
    }
}

/// As Go's `AddDate`: what is beyond the end of a month runs over into the next.
fn added(local: DateTime, years: i64, months: i64, days: i64) -> Option<DateTime> {
    let day = i64::from(local.day()) - 1;
    let first = local.with().day(1).build().ok()?;
    let months = years.checked_mul(12)?.checked_add(months)?;
    let span = Span::new().try_months(months).ok()?;
    let moved = first.checked_add(span).ok()?;
    let days = Span::new().try_days(days.checked_add(day)?).ok()?;
    moved.checked_add(days).ok()
}
