//! Texts to moments, as Go's `time.Parse` reads them.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};

use super::layout::{Field, MONTHS, WEEKDAYS, cut};
use super::moment::Moment;

/// What is read of a moment, piece by piece.
#[derive(Default)]
struct Read<'t> {
    rest: &'t str,
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    is_afternoon: Option<bool>,
    zone: Option<TimeZone>,
    /// A zone that was named. As in Go, the name is what is shown: the time itself is taken for UTC.
    named: Option<TimeZone>,
}

/// Reads `text` as `layout` says; where the text names no zone it is in `zone`.
pub(super) fn parse(layout: &str, text: &str, zone: &TimeZone) -> Option<Moment> {
    let mut read = Read {
        rest: text,
        ..Read::default()
    };
    let mut layout = layout;
    loop {
        let (before, field, after) = cut(layout);
        read.skip(before)?;
        layout = after;
        match field {
            Some(field) => read.field(field, layout)?,
            None => return read.moment(zone),
        }
    }
}

impl Read<'_> {
    /// Takes what stands between two fields. Blanks stand for any number of them.
    fn skip(&mut self, literal: &str) -> Option<()> {
        let mut literal = literal;
        while let Some(c) = literal.chars().next() {
            if c == ' ' {
                if !self.rest.is_empty() && !self.rest.starts_with(' ') {
                    return None;
                }
                literal = literal.trim_start_matches(' ');
                self.rest = self.rest.trim_start_matches(' ');
            } else {
                self.rest = self.rest.strip_prefix(c)?;
                literal = &literal[c.len_utf8()..];
            }
        }
        Some(())
    }

    /// Takes one field; `after` is the rest of the layout.
    fn field(&mut self, field: Field, after: &str) -> Option<()> {
        match field {
            Field::LongYear => self.year = self.digits(4)?,
            Field::Year => {
                let year = self.digits(2)?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Field::LongMonth => self.month = Some(self.name(&MONTHS, usize::MAX)? + 1),
            Field::Month => self.month = Some(self.name(&MONTHS, 3)? + 1),
            Field::NumMonth => self.month = Some(self.up_to_two_digits()?),
            Field::ZeroMonth => self.month = Some(i8::try_from(self.digits(2)?).ok()?),
            Field::LongWeekday => drop(self.name(&WEEKDAYS, usize::MAX)?),
            Field::Weekday => drop(self.name(&WEEKDAYS, 3)?),
            Field::Day => self.day = Some(self.up_to_two_digits()?),
            Field::UnderDay => {
                self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
                self.day = Some(self.up_to_two_digits()?);
            }
            Field::ZeroDay => self.day = Some(i8::try_from(self.digits(2)?).ok()?),
            Field::UnderYearDay => {
                for _ in 0..2 {
                    self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
                }
                let digits = self.count_digits().clamp(1, 3);
                self.year_day = Some(self.digits(digits)?);
            }
            Field::ZeroYearDay => self.year_day = Some(self.digits(3)?),
            Field::Hour | Field::Hour12 => self.hour = self.up_to_two_digits()?,
            Field::ZeroHour12 => self.hour = i8::try_from(self.digits(2)?).ok()?,
            Field::Minute => self.minute = self.up_to_two_digits()?,
            Field::ZeroMinute => self.minute = i8::try_from(self.digits(2)?).ok()?,
            Field::Second => {
                self.second = self.up_to_two_digits()?;
                self.unasked_fraction(after)?;
            }
            Field::ZeroSecond => {
                self.second = i8::try_from(self.digits(2)?).ok()?;
                self.unasked_fraction(after)?;
            }
            Field::Half(names) => {
                let half = names.iter().position(|name| self.rest.starts_with(name))?;
                self.rest = &self.rest[2..];
                self.is_afternoon = Some(half == 1);
            }
            Field::ZoneName => self.named = Some(self.zone_name()?),
            Field::Offset { zulu: true, .. } if self.rest.starts_with('Z') => {
                self.rest = &self.rest[1..];
                self.zone = Some(TimeZone::UTC);
            }
            Field::Offset { form, .. } => self.zone = Some(self.offset(form)?),
            Field::Fraction { digits, exact } => {
                let is_there = self.rest.starts_with(['.', ',']) && self.count_digits_at(1) > 0;
                if exact {
                    self.fraction(digits)?;
                } else if is_there {
                    self.fraction(self.count_digits_at(1))?;
                }
            }
        }
        Some(())
    }

    /// A fraction may follow the seconds where the layout has none.
    fn unasked_fraction(&mut self, after: &str) -> Option<()> {
        let digits = self.count_digits_at(1);
        let is_asked = matches!(cut(after).1, Some(Field::Fraction { .. }));
        if is_asked || digits == 0 || !self.rest.starts_with(['.', ',']) {
            return Some(());
        }
        self.fraction(digits)
    }

    /// A point and so many digits.
    fn fraction(&mut self, digits: usize) -> Option<()> {
        self.rest = self.rest.strip_prefix(['.', ','])?;
        let written = self.rest.get(..digits)?;
        if !written.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = &self.rest[digits..];
        self.nanosecond = format!("{written:0<9.9}").parse().ok()?;
        Some(())
    }

    fn count_digits(&self) -> usize {
        self.count_digits_at(0)
    }

    fn count_digits_at(&self, start: usize) -> usize {
        let bytes = self.rest.bytes().skip(start);
        bytes.take_while(u8::is_ascii_digit).count()
    }

    fn digits(&mut self, count: usize) -> Option<i16> {
        let digits = self.rest.get(..count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = &self.rest[count..];
        digits.parse().ok()
    }

    fn up_to_two_digits(&mut self) -> Option<i8> {
        let digits = self.count_digits().clamp(1, 2);
        i8::try_from(self.digits(digits)?).ok()
    }

    /// Which of `names`, of which the first so many letters count, is next.
    fn name(&mut self, names: &[&str], letters: usize) -> Option<i8> {
        for (index, name) in (0..).zip(names) {
            let name = name.get(..letters).unwrap_or(name);
            let begin = self.rest.get(..name.len());
            if begin.is_some_and(|begin| begin.eq_ignore_ascii_case(name)) {
                self.rest = &self.rest[name.len()..];
                return Some(index);
            }
        }
        None
    }

    /// `+02:00`, in the form of `07:00`.
    fn offset(&mut self, form: &str) -> Option<TimeZone> {
        let sign = match self.rest.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let mut parts = [0; 3];
        let mut form = form;
        for part in &mut parts {
            if form.is_empty() {
                break;
            }
            if let Some(digits) = form.strip_prefix(':') {
                form = digits;
                self.rest = self.rest.strip_prefix(':')?;
            }
            *part = i32::from(self.digits(2)?);
            form = &form[2..];
        }
        let [hours, minutes, seconds] = parts;
        if hours > 24 || minutes > 60 || seconds > 60 {
            return None;
        }
        fixed(sign * ((hours * 60 + minutes) * 60 + seconds))
    }

    /// `UTC`, or an abbreviation: of those only `GMT+2` says how far from UTC it is.
    fn zone_name(&mut self) -> Option<TimeZone> {
        let length = length_of_zone_name(self.rest)?;
        let (name, rest) = self.rest.split_at(length);
        self.rest = rest;
        match name.strip_prefix("GMT").filter(|hours| !hours.is_empty()) {
            Some(hours) => fixed(hours.parse::<i32>().ok()? * 3_600),
            None => Some(TimeZone::UTC),
        }
    }

    fn moment(self, zone: &TimeZone) -> Option<Moment> {
        if !self.rest.is_empty() {
            return None;
        }
        let hour = match self.is_afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let time = civil::Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let date = match self.year_day {
            Some(day) => {
                let first = civil::Date::new(self.year, 1, 1).ok()?;
                let date = first.with().day_of_year(day).build().ok()?;
                let agrees = self.month.is_none_or(|month| month == date.month())
                    && self.day.is_none_or(|day| day == date.day());
                agrees.then_some(date)?
            }
            None => {
                civil::Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?
            }
        };
        let local = date.to_datetime(time);
        match (self.zone, self.named) {
            (Some(zone), _) => Moment::in_zone(local, zone),
            (None, Some(named)) => {
                let moment = Moment::in_zone(local, TimeZone::UTC)?;
                Some(Moment::new(moment.at, named))
            }
            (None, None) => Moment::in_zone(local, zone.clone()),
        }
    }
}

fn fixed(seconds: i32) -> Option<TimeZone> {
    match seconds {
        0 => Some(TimeZone::UTC),
        seconds => Offset::from_seconds(seconds).ok().map(TimeZone::fixed),
    }
}

/// How long the abbreviation of a zone is that `text` begins with.
fn length_of_zone_name(text: &str) -> Option<usize> {
    if text.starts_with("ChST") || text.starts_with("MeST") {
        return Some(4);
    }
    if let Some(hours) = text.strip_prefix("GMT") {
        return Some(3 + length_of_hours(hours).unwrap_or(0));
    }
    if text.starts_with(['+', '-']) {
        return length_of_hours(text);
    }
    let letters = text
        .bytes()
        .take_while(u8::is_ascii_uppercase)
        .take(6)
        .count();
    let fits = match letters {
        3 => true,
        4 => text[..4].ends_with('T') || text.starts_with("WITA"),
        5 => text[..5].ends_with('T'),
        _ => false,
    };
    fits.then_some(letters)
}

/// The length of `+2`, of at most 23 hours.
fn length_of_hours(text: &str) -> Option<usize> {
    let digits = text.strip_prefix(['+', '-'])?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let hours: u32 = digits[..length].parse().ok()?;
    (hours <= 23).then_some(1 + length)
}
