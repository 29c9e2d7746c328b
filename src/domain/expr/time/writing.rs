//! Moments to texts, as Go's `Format` writes them.

use jiff::civil;
use jiff::tz::Offset;

use super::layout::{Field, MONTHS, WEEKDAYS, cut};
use super::moment::Moment;

/// Writes `moment` as `layout` says.
pub(super) fn format(layout: &str, moment: &Moment) -> String {
    let local = moment.local();
    let mut text = String::new();
    let mut layout = layout;
    loop {
        let (before, field, after) = cut(layout);
        text.push_str(before);
        layout = after;
        match field {
            Some(field) => write(&mut text, field, moment, local),
            None => return text,
        }
    }
}

fn write(text: &mut String, field: Field, moment: &Moment, local: civil::DateTime) {
    let hour12 = match local.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let month = MONTHS[usize::try_from(local.month() - 1).unwrap_or(0) % 12];
    let weekday =
        WEEKDAYS[usize::try_from(local.weekday().to_sunday_zero_offset()).unwrap_or(0) % 7];
    let written = match field {
        Field::LongYear => format!("{:04}", local.year()),
        Field::Year => format!("{:02}", local.year().rem_euclid(100)),
        Field::LongMonth => month.to_owned(),
        Field::Month => month[..3].to_owned(),
        Field::NumMonth => local.month().to_string(),
        Field::ZeroMonth => format!("{:02}", local.month()),
        Field::LongWeekday => weekday.to_owned(),
        Field::Weekday => weekday[..3].to_owned(),
        Field::Day => local.day().to_string(),
        Field::UnderDay => format!("{:2}", local.day()),
        Field::ZeroDay => format!("{:02}", local.day()),
        Field::UnderYearDay => format!("{:3}", local.day_of_year()),
        Field::ZeroYearDay => format!("{:03}", local.day_of_year()),
        Field::Hour => format!("{:02}", local.hour()),
        Field::Hour12 => hour12.to_string(),
        Field::ZeroHour12 => format!("{hour12:02}"),
        Field::Minute => local.minute().to_string(),
        Field::ZeroMinute => format!("{:02}", local.minute()),
        Field::Second => local.second().to_string(),
        Field::ZeroSecond => format!("{:02}", local.second()),
        Field::Half(names) => names[usize::from(local.hour() >= 12)].to_owned(),
        Field::ZoneName => moment
            .zone_name()
            .unwrap_or_else(|| offset_text(moment.offset(), "0700", false)),
        Field::Offset { form, zulu } => offset_text(moment.offset(), form, zulu),
        Field::Fraction { digits, exact } => {
            fraction_text(local.subsec_nanosecond(), digits, exact)
        }
    };
    text.push_str(&written);
}

fn offset_text(offset: Offset, form: &str, zulu: bool) -> String {
    let seconds = offset.seconds();
    if zulu && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match form {
        "07" => format!("{sign}{hours:02}"),
        "0700" => format!("{sign}{hours:02}{minutes:02}"),
        "070000" => format!("{sign}{hours:02}{minutes:02}{seconds:02}"),
        "07:00:00" => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}"),
    }
}

fn fraction_text(nanoseconds: i32, digits: usize, exact: bool) -> String {
    let all = format!("{nanoseconds:09}");
    let shown = all.get(..digits).unwrap_or(&all);
    let shown = if exact {
        format!("{shown:0<digits$}")
    } else {
        shown.trim_end_matches('0').to_owned()
    };
    if shown.is_empty() {
        shown
    } else {
        format!(".{shown}")
    }
}
