//! OAP's `Duration`: which buckets a caller asks for.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::Value;

use super::Generation;

/// The most steps between the start and the end of a window.
const MAX_RANGE: i64 = 500;

/// The width of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Holds nothing for metrics.
    Second,
    Minute,
    Hour,
    Day,
}

impl Step {
    fn named(name: &str) -> Option<Self> {
        match name {
            "SECOND" => Some(Self::Second),
            "MINUTE" => Some(Self::Minute),
            "HOUR" => Some(Self::Hour),
            "DAY" => Some(Self::Day),
            _ => None,
        }
    }

    pub(super) fn millis(self) -> i64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// How a caller writes a moment.
    fn pattern(self) -> &'static [Part] {
        const PARTS: &[Part] = &[
            Part::Digits(Unit::Year, 9),
            Part::Literal('-'),
            Part::Digits(Unit::Month, 2),
            Part::Literal('-'),
            Part::Digits(Unit::Day, 2),
            Part::Literal(' '),
            Part::Digits(Unit::Hour, 2),
            Part::Digits(Unit::Minute, 2),
            Part::Digits(Unit::Second, 2),
        ];
        match self {
            Self::Second => &PARTS[..9],
            Self::Minute => &PARTS[..8],
            Self::Hour => &PARTS[..7],
            Self::Day => &PARTS[..5],
        }
    }

    /// How a bucket is named in ids.
    fn id_format(self) -> &'static str {
        match self {
            Self::Second => "%Y%m%d%H%M%S",
            Self::Minute => "%Y%m%d%H%M",
            Self::Hour => "%Y%m%d%H",
            Self::Day => "%Y%m%d",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Second => "seconds",
            Self::Minute => "minutes",
            Self::Hour => "hours",
            Self::Day => "days",
        }
    }
}

/// The buckets of a window, in a zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets {
    pub(super) step: Step,
    first: i64,
    count: i64,
    zone: Offset,
}

impl Buckets {
    /// Reads a `Duration` that has passed GraphQL's checks. The error is OAP's text.
    pub(super) fn parse(
        duration: &Value,
        zone: Offset,
        generation: Generation,
    ) -> Result<Self, String> {
        let text = |key: &str| duration.get(key).and_then(Value::as_str).unwrap_or("");
        let step = Step::named(text("step")).unwrap_or(Step::Minute);
        let moment = |key: &str| {
            parse_moment(text(key), step)
                .map(|local| to_millis(local, zone))
                .map_err(|fault| generation.exception("java.lang.IllegalArgumentException", &fault))
        };
        let (start, end) = (moment("start")?, moment("end")?);
        let range = (end - start) / step.millis();
        if start > end || range > MAX_RANGE {
            return Err(generation.exception(
                "org.apache.skywalking.oap.server.core.UnexpectedException",
                &format!(
                    "Duration data error, the range between the start time and the end time can't exceed 500 {}",
                    step.plural()
                ),
            ));
        }
        Ok(Self {
            step,
            first: start,
            count: range + 1,
            zone,
        })
    }

    /// The starts of the buckets in milliseconds since the epoch, oldest first.
    pub(super) fn starts(&self) -> impl Iterator<Item = i64> + use<> {
        let (first, width) = (self.first, self.step.millis());
        (0..self.count).map(move |i| first + i * width)
    }

    /// The same window with `more` buckets before it.
    pub(super) fn reaching_back(&self, more: i64) -> Self {
        Self {
            first: self.first - more * self.step.millis(),
            count: self.count + more,
            ..*self
        }
    }

    /// OAP's name for the bucket that starts at `start`: its local time, as in `202611230902`.
    pub(super) fn id(&self, start: i64) -> String {
        from_millis(start, self.zone)
            .strftime(self.step.id_format())
            .to_string()
    }
}

fn to_millis(local: DateTime, zone: Offset) -> i64 {
    zone.to_timestamp(local)
        .map_or(i64::MAX / 4, jiff::Timestamp::as_millisecond)
}

fn from_millis(at: i64, zone: Offset) -> DateTime {
    jiff::Timestamp::from_millisecond(at)
        .map_or(DateTime::default(), |moment| zone.to_datetime(moment))
}

#[derive(Clone, Copy)]
enum Part {
    /// A number of at most so many digits.
    Digits(Unit, usize),
    Literal(char),
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

impl Unit {
    /// Joda's name of it and its range in a month of `days` days.
    fn range(self, days: i64) -> (&'static str, i64, i64) {
        match self {
            Self::Year => ("year", 0, 9_999),
            Self::Month => ("monthOfYear", 1, 12),
            Self::Day => ("dayOfMonth", 1, days),
            Self::Hour => ("hourOfDay", 0, 23),
            Self::Minute => ("minuteOfHour", 0, 59),
            Self::Second => ("secondOfMinute", 0, 59),
        }
    }
}

/// Reads a moment as Joda-Time does, which is what an OAP uses; the error is Joda's text.
fn parse_moment(text: &str, step: Step) -> Result<DateTime, String> {
    let mut rest = text;
    let mut fields: Vec<(Unit, i64)> = Vec::new();
    for part in step.pattern() {
        let length = match *part {
            Part::Literal(c) => rest.strip_prefix(c).map_or(0, |_| c.len_utf8()),
            Part::Digits(_, most) => rest
                .bytes()
                .take(most)
                .take_while(u8::is_ascii_digit)
                .count(),
        };
        if length == 0 {
            return Err(malformed(text, rest));
        }
        if let Part::Digits(unit, _) = *part {
            fields.push((unit, rest[..length].parse().unwrap_or(i64::MAX)));
        }
        rest = &rest[length..];
    }
    if !rest.is_empty() {
        return Err(malformed(text, rest));
    }

    let of = |unit: Unit| {
        fields
            .iter()
            .find(|(known, _)| *known == unit)
            .map_or(0, |(_, value)| *value)
    };
    let days = days_of(of(Unit::Year), of(Unit::Month));
    for (unit, value) in &fields {
        let (name, least, most) = unit.range(days);
        if !(least..=most).contains(value) {
            return Err(format!(
                "Cannot parse \"{text}\": Value {value} for {name} must be in the range [{least},{most}]"
            ));
        }
    }
    let small = |unit: Unit| i8::try_from(of(unit)).unwrap_or(0);
    DateTime::new(
        i16::try_from(of(Unit::Year)).unwrap_or(0),
        small(Unit::Month),
        small(Unit::Day),
        small(Unit::Hour),
        small(Unit::Minute),
        small(Unit::Second),
        0,
    )
    .map_err(|fault| format!("Cannot parse \"{text}\": {fault}"))
}

fn malformed(text: &str, rest: &str) -> String {
    if rest.is_empty() {
        format!("Invalid format: \"{text}\" is too short")
    } else if rest == text {
        format!("Invalid format: \"{text}\"")
    } else {
        format!("Invalid format: \"{text}\" is malformed at \"{rest}\"")
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    let first = i16::try_from(year)
        .ok()
        .zip(i8::try_from(month).ok())
        .and_then(|(year, month)| jiff::civil::Date::new(year, month, 1).ok());
    first.map_or(31, |date| i64::from(date.days_in_month()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(start: &str, end: &str, step: &str, expected: &str) {
        let duration = json!({"start": start, "end": end, "step": step});
        let found = Buckets::parse(&duration, Offset::UTC, Generation::V9_7);
        let found = found.map_or_else(
            |fault| fault,
            |buckets| {
                let ids: Vec<String> = buckets.starts().map(|at| buckets.id(at)).collect();
                format!("{}..{} ({})", ids[0], ids[ids.len() - 1], ids.len())
            },
        );
        assert_eq!(found, expected);
    }

    #[test]
    fn both_ends_are_inclusive_up_to_501_buckets() {
        check(
            "2026-11-23 0909",
            "2026-11-23 0912",
            "MINUTE",
            "202611230909..202611230912 (4)",
        );
        check(
            "2026-11-23 0052",
            "2026-11-23 0912",
            "MINUTE",
            "202611230052..202611230912 (501)",
        );
        check("2026-11-23", "2026-11-23", "DAY", "20261123..20261123 (1)");
        let range = "Duration data error, the range between the start time and the end time can't exceed 500 minutes";
        check("2026-11-23 0051", "2026-11-23 0912", "MINUTE", range);
        check("2026-11-23 0911", "2026-11-23 0907", "MINUTE", range);
    }

    #[test]
    fn joda_says_where_a_format_ends() {
        let at = |start, message| check(start, "2026-11-23 0912", "MINUTE", message);
        at(
            "2026-11-23T09:00:00Z",
            "Invalid format: \"2026-11-23T09:00:00Z\" is malformed at \"T09:00:00Z\"",
        );
        at("2026-11-23", "Invalid format: \"2026-11-23\" is too short");
        at("now", "Invalid format: \"now\"");
        at(
            "2026-13-23 0900",
            "Cannot parse \"2026-13-23 0900\": Value 13 for monthOfYear must be in the range [1,12]",
        );
        at(
            "2026-02-29 0900",
            "Cannot parse \"2026-02-29 0900\": Value 29 for dayOfMonth must be in the range [1,28]",
        );
    }
}
