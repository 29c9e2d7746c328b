//! Durations and dates, of which metrics have little use: enough to tell how old something is.

use std::fmt;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::value::Value;
use crate::domain::duration::GoDuration;

/// A point in time and the offset it was written with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) offset: Offset,
}

/// A method of a duration or a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    String,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    YearDay,
    Unix,
    UnixMilli,
    Add,
    Sub,
    Before,
    After,
    Equal,
}

const METHODS: [(&str, Method); 21] = [
    ("Hours", Method::Hours),
    ("Minutes", Method::Minutes),
    ("Seconds", Method::Seconds),
    ("Milliseconds", Method::Milliseconds),
    ("Microseconds", Method::Microseconds),
    ("Nanoseconds", Method::Nanoseconds),
    ("String", Method::String),
    ("Year", Method::Year),
    ("Month", Method::Month),
    ("Day", Method::Day),
    ("Hour", Method::Hour),
    ("Minute", Method::Minute),
    ("Second", Method::Second),
    ("YearDay", Method::YearDay),
    ("Unix", Method::Unix),
    ("UnixMilli", Method::UnixMilli),
    ("Add", Method::Add),
    ("Sub", Method::Sub),
    ("Before", Method::Before),
    ("After", Method::After),
    ("Equal", Method::Equal),
];

impl Method {
    pub(super) fn named(name: &str) -> Option<Self> {
        METHODS
            .iter()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, method)| *method)
    }

    pub(super) fn name(self) -> &'static str {
        METHODS
            .iter()
            .find(|(_, method)| *method == self)
            .map_or("", |(name, _)| name)
    }

    /// What it gives for `object`; `None` where `object` has no such method or the arguments don't fit.
    pub(super) fn call<'a>(self, object: &Value<'a>, arguments: &[Value<'a>]) -> Option<Value<'a>> {
        match (object, arguments) {
            (Value::Duration(nanoseconds), []) => self.of_duration(*nanoseconds),
            (Value::Moment(moment), []) => self.of_moment(*moment),
            (Value::Moment(moment), [argument]) => self.of_moment_and(*moment, argument),
            _ => None,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "Go's durations are read as floats, too"
    )]
    fn of_duration<'a>(self, nanoseconds: i64) -> Option<Value<'a>> {
        Some(match self {
            Self::Hours => Value::Float(nanoseconds as f64 / 3.6e12),
            Self::Minutes => Value::Float(nanoseconds as f64 / 6e10),
            Self::Seconds => Value::Float(nanoseconds as f64 / 1e9),
            Self::Milliseconds => Value::Int(nanoseconds / 1_000_000),
            Self::Microseconds => Value::Int(nanoseconds / 1_000),
            Self::Nanoseconds => Value::Int(nanoseconds),
            Self::String => Value::text(duration_text(nanoseconds)),
            _ => return None,
        })
    }

    fn of_moment<'a>(self, moment: Moment) -> Option<Value<'a>> {
        let local = moment.offset.to_datetime(moment.at);
        Some(Value::Int(match self {
            Self::Year => local.year().into(),
            Self::Month => local.month().into(),
            Self::Day => local.day().into(),
            Self::Hour => local.hour().into(),
            Self::Minute => local.minute().into(),
            Self::Second => local.second().into(),
            Self::YearDay => local.day_of_year().into(),
            Self::Unix => moment.at.as_second(),
            Self::UnixMilli => moment.at.as_millisecond(),
            _ => return None,
        }))
    }

    fn of_moment_and<'a>(self, moment: Moment, argument: &Value<'a>) -> Option<Value<'a>> {
        Some(match (self, argument) {
            (Self::Add, Value::Duration(nanoseconds)) => Value::Moment(moment.plus(*nanoseconds)?),
            (Self::Sub, Value::Moment(other)) => Value::Duration(moment.since(*other)),
            (Self::Before, Value::Moment(other)) => Value::Bool(moment.at < other.at),
            (Self::After, Value::Moment(other)) => Value::Bool(moment.at > other.at),
            (Self::Equal, Value::Moment(other)) => Value::Bool(moment.at == other.at),
            _ => return None,
        })
    }
}

impl Moment {
    /// `None` beyond the calendar.
    pub(super) fn plus(self, nanoseconds: i64) -> Option<Self> {
        let at = self
            .at
            .checked_add(SignedDuration::from_nanos(nanoseconds))
            .ok()?;
        Some(Self { at, ..self })
    }

    /// The nanoseconds from `other` to this; as in Go, the longest there are where they are more.
    pub(super) fn since(self, other: Self) -> i64 {
        let nanoseconds = self.at.duration_since(other.at).as_nanos();
        i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
    }

    /// Reads a date in one of the forms that Go's expr tries: ISO dates and times, RFC 3339, RFC 822, 850 and 1123.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(at) = text.parse::<Timestamp>() {
            let offset = written_offset(text).unwrap_or(Offset::UTC);
            return Some(Self { at, offset }).filter(|_| text.as_bytes().get(10) == Some(&b'T'));
        }
        let in_utc = |local: civil::DateTime| {
            let at = TimeZone::UTC.to_timestamp(local).ok()?;
            Some(Self {
                at,
                offset: Offset::UTC,
            })
        };
        if let Ok(date) = civil::Date::strptime("%Y-%m-%d", text) {
            return in_utc(date.at(0, 0, 0, 0));
        }
        if let Ok(time) = civil::Time::strptime("%H:%M:%S", text) {
            return in_utc(civil::date(0, 1, 1).to_datetime(time));
        }
        [
            "%Y-%m-%d %H:%M:%S",
            "%d %b %y %H:%M UTC",
            "%d %b %y %H:%M GMT",
            "%A, %d-%b-%y %H:%M:%S UTC",
            "%A, %d-%b-%y %H:%M:%S GMT",
            "%a, %d %b %Y %H:%M:%S UTC",
            "%a, %d %b %Y %H:%M:%S GMT",
        ]
        .iter()
        .find_map(|format| civil::DateTime::strptime(format, text).ok())
        .and_then(in_utc)
    }
}

/// The `+02:00` at the end of a timestamp.
fn written_offset(text: &str) -> Option<Offset> {
    let tail = text.get(text.len().checked_sub(6)?..)?;
    let (hours, minutes) = tail.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    match tail.as_bytes()[0] {
        b'+' => Offset::from_seconds(seconds).ok(),
        b'-' => Offset::from_seconds(-seconds).ok(),
        _ => None,
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at.display_with_offset(self.offset))
    }
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

    #[test]
    fn dates_are_read_in_several_forms() {
        let check = |text: &str, expected: Option<&str>| {
            let moment = Moment::parse(text).map(|moment| moment.to_string());
            assert_eq!(moment.as_deref(), expected, "{text}");
        };
        check("2024-01-02", Some("2024-01-02T00:00:00+00:00"));
        check("2024-01-02 03:04:05", Some("2024-01-02T03:04:05+00:00"));
        check("2024-01-02T03:04:05Z", Some("2024-01-02T03:04:05+00:00"));
        check(
            "2024-01-02T03:04:05+02:00",
            Some("2024-01-02T03:04:05+02:00"),
        );
        check(
            "Mon, 02 Jan 2006 15:04:05 GMT",
            Some("2006-01-02T15:04:05+00:00"),
        );
        check("yesterday", None);
    }
}
