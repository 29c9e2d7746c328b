//! One bucket: when it was, what its number is, whether it has one.

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::{Number, Value};

use super::{error, malformed};
use crate::domain::plan::Gaps;
use crate::domain::reading::{ErrorClass, Point, PointKind, SourceError, clock_text};
use crate::domain::window::{Step, Window};

/// The buckets that were asked for, and what to make of those without data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets<'a> {
    pub(super) window: &'a Window,
    pub(super) gaps: Gaps,
}

/// What an answer has for a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    /// A number of its own.
    Number(f64),
    /// Nothing.
    Nothing,
    /// A 0 that may be either.
    ZeroOrNothing,
}

impl Buckets<'_> {
    /// The point that `found` is. A bucket without data is a gap even where it hasn't settled.
    pub(super) fn point(&self, at: Option<Timestamp>, found: Found) -> Point {
        let settled = at.is_none_or(|at| self.window.is_settled(at));
        let (value, kind) = match found {
            Found::Number(value) if settled => (value, PointKind::Data),
            Found::Number(value) => (value, PointKind::Unsettled),
            Found::ZeroOrNothing => (0.0, PointKind::ZeroOrNothing),
            Found::Nothing => return gap(at, self.gaps),
        };
        Point {
            at,
            value: Some(value),
            kind,
        }
    }

    /// The bucket of a `KVInt.id`: `service_apdex_202611230858_…`, in the OAP's local time, behind whatever the metric is called.
    pub(super) fn of_id(&self, id: &str) -> Option<Timestamp> {
        let mut first = None;
        for bucket in id.split('_').filter_map(|part| self.of_local_time(part)) {
            if (self.window.first()..=self.window.last()).contains(&bucket) {
                return Some(bucket);
            }
            first = first.or(Some(bucket));
        }
        first
    }

    /// The bucket of an `MQEValue.id`: milliseconds since 1970; local time for `baseline`.
    pub(super) fn of_mqe_id(&self, id: &str) -> Option<Timestamp> {
        self.of_local_time(id).or_else(|| {
            let milliseconds = id.parse().ok()?;
            Timestamp::from_millisecond(milliseconds).ok()
        })
    }

    /// Finds a bucket that nobody asked for: what is said of another time must not be judged as of this one.
    pub(super) fn check(&self, at: Option<Timestamp>) -> Result<(), SourceError> {
        let (first, last) = (self.window.first(), self.window.last());
        let Some(at) = at.filter(|at| !(first..=last).contains(at)) else {
            return Ok(());
        };
        let local = |at| self.window.zone().to_datetime(at).strftime("%F %H:%M");
        Err(malformed(format!(
            "the OAP answered for another time than asked: for {}, which is not within {} to {} (OAP time)",
            local(at),
            local(first),
            local(last)
        )))
    }

    /// The bucket of the n-th of `count` points, where there are as many as buckets.
    pub(super) fn of_position(&self, n: usize, count: usize) -> Option<Timestamp> {
        let mut buckets = self.window.buckets();
        (buckets.len() == count).then(|| buckets.nth(n)).flatten()
    }

    /// `202611230858` for minutes, `2026112308` for hours, `20261123` for days.
    fn of_local_time(&self, digits: &str) -> Option<Timestamp> {
        let length = match self.window.step() {
            Step::Minute => 12,
            Step::Hour => 10,
            Step::Day => 8,
        };
        if digits.len() != length || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let two = |from: usize| digits.get(from..from + 2).map_or(Ok(0), str::parse::<i8>);
        let year = digits[..4].parse().ok()?;
        let local = DateTime::new(
            year,
            two(4).ok()?,
            two(6).ok()?,
            two(8).ok()?,
            two(10).ok()?,
            0,
            0,
        );
        self.window.zone().to_timestamp(local.ok()?).ok()
    }

    /// Reads an `MQEValue.value`: a number as Java formats it.
    pub(super) fn number(&self, text: &str, at: Option<Timestamp>) -> Result<f64, SourceError> {
        let at = || match at {
            Some(at) => format!(
                " at {}",
                clock_text(at, self.window.zone(), self.window.step())
            ),
            None => String::new(),
        };
        let number = java_number(text)
            .ok_or_else(|| malformed(format!("the OAP's value `{text}`{} is no number", at())))?;
        if number.is_finite() {
            return Ok(number);
        }
        Err(error(
            ErrorClass::BadQuery,
            format!(
                "the expression's value{} is `{text}`: it divides by zero there, or by a metric without data",
                at()
            ),
        ))
    }
}

/// A bucket without data.
pub(super) fn gap(at: Option<Timestamp>, gaps: Gaps) -> Point {
    Point {
        at,
        value: match gaps {
            Gaps::Skip => None,
            Gaps::Zero => Some(0.0),
        },
        kind: PointKind::Gap,
    }
}

/// A number of `DecimalFormat`, which writes the signs of the server's locale: `3333,33`, `−1`, `∞`.
fn java_number(text: &str) -> Option<f64> {
    let text = text.trim().replace('\u{2212}', "-");
    match text.as_str() {
        "\u{221e}" => return Some(f64::INFINITY),
        "-\u{221e}" => return Some(f64::NEG_INFINITY),
        // How Java's older locales write NaN.
        "\u{fffd}" => return Some(f64::NAN),
        _ => {}
    }
    let text = if text.contains('.') {
        text
    } else {
        text.replacen([',', '\u{66b}'], ".", 1)
    };
    text.parse().ok()
}

/// A number as JSON writes it shortest: whole ones without a fraction.
pub(super) fn json_number(number: f64) -> Value {
    // Up to here a double holds every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole, and within the exact range"
        )]
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::Offset;

    use super::*;
    use crate::domain::window::{WindowSpec, parse_zone};

    fn window(step: Step, zone: &str, now: &str) -> Window {
        let spec = WindowSpec {
            interval: step.width() * 4,
            step,
            settle: Duration::from_secs(90),
        };
        let zone = parse_zone(zone).unwrap_or(Offset::UTC);
        Window::choose(&spec, now.parse().unwrap(), zone, None)
            .window
            .unwrap()
    }

    #[test]
    fn buckets_are_read_from_ids() {
        let check = |step, zone, id: &str, expected: Option<&str>| {
            let window = window(step, zone, "2026-11-23T09:24:06Z");
            let buckets = Buckets {
                window: &window,
                gaps: Gaps::Skip,
            };
            let found = buckets.of_id(id).map(|at| at.to_string());
            assert_eq!(found.as_deref(), expected, "{id}");
        };
        let minute = |zone, id, expected| check(Step::Minute, zone, id, expected);
        minute(
            "+0000",
            "service_apdex_202611230921_Y2FuYXJ5.1",
            Some("2026-11-23T09:21:00Z"),
        );
        minute(
            "-0330",
            "service_apdex_202611230551_Y2FuYXJ5.1",
            Some("2026-11-23T09:21:00Z"),
        );
        minute(
            "+0530",
            "202611231451_UNKNOWN_METRIC_NAME",
            Some("2026-11-23T09:21:00Z"),
        );
        minute("+0000", "202611230921", Some("2026-11-23T09:21:00Z"));
        // A metric's own digits are no bucket of the window.
        minute(
            "+0000",
            "m_200001010000_202611230921_x",
            Some("2026-11-23T09:21:00Z"),
        );
        minute("+0000", "m_202613320921_x", None);
        minute("+0000", "service_apdex_2026112309_x", None);
        minute("+0000", "", None);
        check(
            Step::Hour,
            "-0330",
            "service_apdex_2026112305_x",
            Some("2026-11-23T08:30:00Z"),
        );
        check(
            Step::Day,
            "+0530",
            "service_apdex_20261122_x",
            Some("2026-11-21T18:30:00Z"),
        );
    }

    #[test]
    fn buckets_are_read_from_the_ids_of_expressions() {
        let window = window(Step::Minute, "-0330", "2026-11-23T09:24:06Z");
        let buckets = Buckets {
            window: &window,
            gaps: Gaps::Skip,
        };
        let check = |id: &str, expected: Option<&str>| {
            let found = buckets.of_mqe_id(id).map(|at| at.to_string());
            assert_eq!(found.as_deref(), expected, "{id}");
        };
        check("1795425660000", Some("2026-11-23T09:21:00Z"));
        check("202611230551", Some("2026-11-23T09:21:00Z"));
        check("canary|reviews", None);
    }

    #[test]
    fn numbers_as_java_writes_them() {
        let check =
            |text: &str, expected: Option<f64>| assert_eq!(java_number(text), expected, "{text}");
        check("10000", Some(10_000.0));
        check("3333.33", Some(3_333.33));
        check("3333,33", Some(3_333.33));
        check("-12", Some(-12.0));
        check("\u{2212}12,5", Some(-12.5));
        check("-0", Some(0.0));
        check("\u{221e}", Some(f64::INFINITY));
        check("-Infinity", Some(f64::NEG_INFINITY));
        assert!(java_number("NaN").unwrap().is_nan());
        check("1,000,000", None);
        check("", None);
        check("abc", None);
    }

    #[test]
    fn whole_numbers_are_written_whole() {
        let check =
            |number: f64, expected: &str| assert_eq!(json_number(number).to_string(), expected);
        check(10_000.0, "10000");
        check(-0.5, "-0.5");
        check(0.0, "0");
        check(1e300, "1e+300");
    }
}
