//! Points in time.

use std::fmt;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, civil};

use super::{reading, writing};

/// A point in time and the zone it is told in.
#[derive(Clone, Debug)]
pub(in crate::domain::expr) struct Moment {
    pub(in crate::domain::expr) at: Timestamp,
    zone: TimeZone,
}

/// The forms of a date that is given without a layout: those that Go's expr tries, in its order.
const LAYOUTS: [&str; 7] = [
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    RFC_3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
];

const RFC_3339: &str = "2006-01-02T15:04:05Z07:00";

impl Moment {
    pub(super) fn new(at: Timestamp, zone: TimeZone) -> Self {
        Self { at, zone }
    }

    /// The moment at which the clocks of `zone` show `local`; `None` beyond the calendar.
    pub(super) fn in_zone(local: civil::DateTime, zone: TimeZone) -> Option<Self> {
        let at = zone.to_timestamp(local).ok()?;
        Some(Self { at, zone })
    }

    /// Reads a date as `layout` says, or in one of the forms that Go's expr tries.
    pub(super) fn parse(text: &str, layout: Option<&str>, zone: &TimeZone) -> Option<Self> {
        match layout {
            Some(layout) => reading::parse(layout, text, zone),
            None => LAYOUTS
                .iter()
                .find_map(|layout| reading::parse(layout, text, zone)),
        }
    }

    /// `None` beyond the calendar.
    pub(in crate::domain::expr) fn plus(&self, nanoseconds: i64) -> Option<Self> {
        let duration = SignedDuration::from_nanos(nanoseconds);
        let at = self.at.checked_add(duration).ok()?;
        Some(Self::new(at, self.zone.clone()))
    }

    /// The nanoseconds from `other` to this; as in Go, the longest there are where they are more.
    pub(in crate::domain::expr) fn since(&self, other: &Self) -> i64 {
        let nanoseconds = self.at.duration_since(other.at).as_nanos();
        i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
    }

    /// The nanoseconds since the first day of year 1, where Go's time begins.
    pub(super) fn since_year_1(&self) -> i128 {
        const YEAR_1: i128 = -62_135_596_800_000_000_000;
        self.at.as_nanosecond() - YEAR_1
    }

    /// The multiple of `unit` since the first day of year 1 that is nearest, or next before.
    pub(super) fn cut(&self, unit: i64, nearest: bool) -> Option<Self> {
        let unit = i128::from(unit);
        if unit <= 0 {
            return Some(self.clone());
        }
        let rest = self.since_year_1().rem_euclid(unit);
        let goes_up = nearest && rest + rest >= unit;
        let at = self.at.as_nanosecond() - rest + if goes_up { unit } else { 0 };
        let at = Timestamp::from_nanosecond(at).ok()?;
        Some(Self::new(at, self.zone.clone()))
    }

    /// What the clocks of its zone show.
    pub(super) fn local(&self) -> civil::DateTime {
        self.zone.to_datetime(self.at)
    }

    pub(super) fn offset(&self) -> Offset {
        self.zone.to_offset(self.at)
    }

    /// `CET`; `None` where the zone is but an offset.
    pub(super) fn zone_name(&self) -> Option<String> {
        let is_named = self.zone == TimeZone::UTC || self.zone.iana_name().is_some();
        is_named.then(|| {
            let info = self.zone.to_offset_info(self.at);
            info.abbreviation().to_owned()
        })
    }

    pub(super) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// As Go's `Format`.
    pub(super) fn format(&self, layout: &str) -> String {
        writing::format(layout, self)
    }

    /// As in JSON.
    pub(in crate::domain::expr) fn rfc_3339(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }
}

/// As Go's `String`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_several_forms() {
        let check = |text: &str, expected: Option<&str>| {
            let moment = Moment::parse(text, None, &TimeZone::UTC);
            let written = moment.map(|moment| moment.rfc_3339());
            assert_eq!(written.as_deref(), expected, "{text}");
        };
        check("2024-01-02", Some("2024-01-02T00:00:00Z"));
        check("2024-01-02 03:04:05", Some("2024-01-02T03:04:05Z"));
        check("03:04:05", Some("0000-01-01T03:04:05Z"));
        check("2024-01-02T03:04:05Z", Some("2024-01-02T03:04:05Z"));
        check(
            "2024-01-02T03:04:05.25+02:00",
            Some("2024-01-02T03:04:05.25+02:00"),
        );
        check(
            "Mon, 02 Jan 2006 15:04:05 GMT",
            Some("2006-01-02T15:04:05Z"),
        );
        check("02 Jan 06 15:04 MST", Some("2006-01-02T15:04:00Z"));
        check(
            "Monday, 02-Jan-06 15:04:05 UTC",
            Some("2006-01-02T15:04:05Z"),
        );
        check("yesterday", None);
    }

    #[test]
    fn a_moment_is_written_as_in_go() {
        let check = |text: &str, expected: &str| {
            let moment = Moment::parse(text, None, &TimeZone::UTC).unwrap();
            assert_eq!(moment.to_string(), expected);
        };
        check("2024-01-02", "2024-01-02 00:00:00 +0000 UTC");
        check(
            "2024-01-02T03:04:05.25+02:00",
            "2024-01-02 03:04:05.25 +0200 +0200",
        );
    }
}
