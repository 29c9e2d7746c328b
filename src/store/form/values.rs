//! Moments, numbers and durations as the form writes them.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: its second where it is a whole one, and RFC 3339 to the nanosecond otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanosecond() {
            0 => serializer.serialize_i64(self.0.as_second()),
            _ => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MomentVisitor)
    }
}

struct MomentVisitor;

impl Visitor<'_> for MomentVisitor {
    type Value = Moment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a moment, in seconds or as RFC 3339")
    }

    fn visit_i64<E: de::Error>(self, second: i64) -> Result<Moment, E> {
        Timestamp::from_second(second)
            .map(Moment)
            .map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, second: u64) -> Result<Moment, E> {
        self.visit_i64(i64::try_from(second).map_err(E::custom)?)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
        text.parse().map(Moment).map_err(E::custom)
    }
}

/// A number as the shortest text that means it: JSON has no NaN and no infinity, and its readers may be a bit off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// A duration that may be negative: whole seconds, and nanoseconds of the same sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signed(i64, i32);

impl From<SignedDuration> for Signed {
    fn from(duration: SignedDuration) -> Self {
        Self(duration.as_secs(), duration.subsec_nanos())
    }
}

impl From<Signed> for SignedDuration {
    fn from(Signed(seconds, nanoseconds): Signed) -> Self {
        // Read from a file, it may be anything; `new` panics beyond its range.
        let nanoseconds = nanoseconds.clamp(-999_999_999, 999_999_999);
        Self::from_secs(seconds).saturating_add(Self::from_nanos(i64::from(nanoseconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>(value: &T, text: &str)
    where
        T: Serialize + for<'de> Deserialize<'de> + fmt::Debug,
    {
        let written = serde_json::to_string(value).unwrap();
        assert_eq!(written, text);
        let read: T = serde_json::from_str(&written).unwrap();
        assert_eq!(format!("{read:?}"), format!("{value:?}"));
    }

    #[test]
    fn moments() {
        let check = |moment: &str, text: &str| {
            check::<Moment>(&Moment(moment.parse().unwrap()), text);
        };
        check("1970-01-01T00:00:10Z", "10");
        check("1969-12-31T23:59:50Z", "-10");
        check(
            "2026-11-23T10:00:00.000000001Z",
            r#""2026-11-23T10:00:00.000000001Z""#,
        );
        check(
            "-009999-01-02T01:59:59.5Z",
            r#""-009999-01-02T01:59:59.5Z""#,
        );
        for text in [
            "1e300",
            "true",
            "\"soon\"",
            "99999999999999",
            "18446744073709551615",
        ] {
            assert!(serde_json::from_str::<Moment>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers() {
        let check = |number, text: &str| check::<Number>(&Number(number), text);
        check(9950.0, r#""9950.0""#);
        check(-0.0, r#""-0.0""#);
        check(0.1 + 0.2, r#""0.30000000000000004""#);
        check(f64::from_bits(1), r#""5e-324""#);
        check(f64::MAX, r#""1.7976931348623157e308""#);
        check(f64::NAN, r#""NaN""#);
        check(f64::INFINITY, r#""inf""#);
        check(f64::NEG_INFINITY, r#""-inf""#);
    }

    #[test]
    fn durations() {
        for duration in [
            SignedDuration::ZERO,
            SignedDuration::new(-1, -5),
            SignedDuration::MIN,
            SignedDuration::MAX,
        ] {
            let text = serde_json::to_string(&Signed::from(duration)).unwrap();
            let read: Signed = serde_json::from_str(&text).unwrap();
            assert_eq!(SignedDuration::from(read), duration);
        }
    }
}
