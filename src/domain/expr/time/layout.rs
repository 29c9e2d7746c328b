//! Go's layouts: `2006-01-02 15:04:05` shows how the moment would be written at which Go's example of a time is.

/// A part of a layout that stands for a part of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    LongYear,
    Year,
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    /// `PM` or `pm`.
    Half([&'static str; 2]),
    ZoneName,
    /// `-07:00` or `Z07:00`: the form of an offset, and whether UTC is `Z`.
    Offset {
        form: &'static str,
        zulu: bool,
    },
    /// `.000`, with so many digits, or `.999`, with as many as are needed.
    Fraction {
        digits: usize,
        exact: bool,
    },
}

const fn offset(form: &'static str) -> Field {
    Field::Offset { form, zulu: false }
}

const fn zulu(form: &'static str) -> Field {
    Field::Offset { form, zulu: true }
}

/// The fields as they are written; of those that begin alike the longest comes first.
const FIELDS: [(&str, Field); 33] = [
    ("January", Field::LongMonth),
    ("Jan", Field::Month),
    ("Monday", Field::LongWeekday),
    ("Mon", Field::Weekday),
    ("MST", Field::ZoneName),
    ("002", Field::ZeroYearDay),
    ("01", Field::ZeroMonth),
    ("02", Field::ZeroDay),
    ("03", Field::ZeroHour12),
    ("04", Field::ZeroMinute),
    ("05", Field::ZeroSecond),
    ("06", Field::Year),
    ("15", Field::Hour),
    ("1", Field::NumMonth),
    ("2006", Field::LongYear),
    ("2", Field::Day),
    ("__2", Field::UnderYearDay),
    ("_2", Field::UnderDay),
    ("3", Field::Hour12),
    ("4", Field::Minute),
    ("5", Field::Second),
    ("PM", Field::Half(["AM", "PM"])),
    ("pm", Field::Half(["am", "pm"])),
    ("-07:00:00", offset("07:00:00")),
    ("-070000", offset("070000")),
    ("-07:00", offset("07:00")),
    ("-0700", offset("0700")),
    ("-07", offset("07")),
    ("Z07:00:00", zulu("07:00:00")),
    ("Z070000", zulu("070000")),
    ("Z07:00", zulu("07:00")),
    ("Z0700", zulu("0700")),
    ("Z07", zulu("07")),
];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A layout cut at its first field: what stands before it, the field, and the rest.
pub(super) fn cut(layout: &str) -> (&str, Option<Field>, &str) {
    for (at, _) in layout.char_indices() {
        let (before, rest) = layout.split_at(at);
        if let Some((length, field)) = field_at(rest) {
            return (before, Some(field), &rest[length..]);
        }
    }
    (layout, None, "")
}

/// The field that `rest` begins with, and how long it is.
fn field_at(rest: &str) -> Option<(usize, Field)> {
    if rest.starts_with(['.', ',']) {
        return fraction_at(rest);
    }
    // An underline before a year is just that.
    if rest.starts_with("_2006") {
        return None;
    }
    FIELDS
        .iter()
        .find(|(written, field)| {
            let after = rest.strip_prefix(written);
            let is_short = matches!(field, Field::Month | Field::Weekday);
            after.is_some_and(|after| {
                !is_short || !after.starts_with(|c: char| c.is_ascii_lowercase())
            })
        })
        .map(|(written, field)| (written.len(), *field))
}

/// `.000` or `.999`, unless more digits follow.
fn fraction_at(rest: &str) -> Option<(usize, Field)> {
    let digit = rest[1..]
        .chars()
        .next()
        .filter(|c| matches!(c, '0' | '9'))?;
    let after = rest[1..].trim_start_matches(digit);
    let length = rest.len() - after.len();
    let field = Field::Fraction {
        digits: length - 1,
        exact: digit == '0',
    };
    (!after.starts_with(|c: char| c.is_ascii_digit())).then_some((length, field))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::reading::parse;
    use super::super::writing::format;

    #[test]
    fn texts_are_read_as_a_layout_says() {
        let check = |layout: &str, text: &str, expected: Option<&str>| {
            let moment = parse(layout, text, &TimeZone::UTC);
            let written =
                moment.map(|moment| format("2006-01-02T15:04:05.999999999Z07:00", &moment));
            assert_eq!(written.as_deref(), expected, "{text:?} as {layout:?}");
        };
        check("2006-01-02", "2024-02-29", Some("2024-02-29T00:00:00Z"));
        check("2006-01-02", "2023-02-29", None);
        check("2006-01-02", "2024-02-29 ", None);
        check(
            "Jan _2, 2006 at 3:04pm",
            "feb  9, 2024 at 12:30am",
            Some("2024-02-09T00:30:00Z"),
        );
        check(
            "January 2 06 03:04:05 PM",
            "March 31 70 11:59:59 PM",
            Some("1970-03-31T23:59:59Z"),
        );
        check("2006-002", "2024-366", Some("2024-12-31T00:00:00Z"));
        check("2006-002", "2023-366", None);
        check("2006__2", "2024  9", Some("2024-01-09T00:00:00Z"));
        check("15:04:05", "3:04:05.25", Some("0000-01-01T03:04:05.25Z"));
        check("15:04:05.000", "23:04:05.25", None);
        check("15:04:05.999", "23:04:05", Some("0000-01-01T23:04:05Z"));
        check(
            "15:04 -0700",
            "23:04 +0130",
            Some("0000-01-01T23:04:00+01:30"),
        );
        check(
            "15:04 MST",
            "23:04 GMT-3",
            Some("0000-01-01T20:04:00-03:00"),
        );
        check("15:04 MST", "23:04 CEST", Some("0000-01-01T23:04:00Z"));
        check("15:04 MST", "23:04 Zürich", None);
        check("15", "24", None);
        check("é2006", "é2024", Some("2024-01-01T00:00:00Z"));
    }

    #[test]
    fn moments_are_written_as_a_layout_says() {
        let moment = parse(
            "2006-01-02T15:04:05Z07:00",
            "2024-03-05T13:07:09.5-03:30",
            &TimeZone::UTC,
        );
        let moment = moment.unwrap();
        let check = |layout: &str, expected: &str| {
            assert_eq!(format(layout, &moment), expected, "{layout}");
        };
        check(
            "Monday, 2 January 2006, 3:04 PM",
            "Tuesday, 5 March 2024, 1:07 PM",
        );
        check(
            "Mon Jan _2 15:04:05 2006 002 __2",
            "Tue Mar  5 13:07:09 2024 065  65",
        );
        check("06/1/02 03:4:5pm .000 .9999", "24/3/05 01:7:9pm .500 .5");
        check(
            "-07 -0700 -07:00:00 Z07:00 MST",
            "-03 -0330 -03:30:00 -03:30 -0330",
        );
        check("_2006 Janet Month", "_2024 Janet Month");
    }
}
