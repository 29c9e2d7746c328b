//! Measurements as they were told.

use jiff::SignedDuration;
use jiff::tz::Offset;

use super::part::{Part, ReadError};
use crate::domain::measurement::{Decided, Explanation, Measurement, Phase, Side};
use crate::domain::reading::{ErrorClass, Point, PointKind, Series};
use crate::domain::window::{Step, Window};

const PHASES: [Phase; 6] = [
    Phase::Pending,
    Phase::Running,
    Phase::Successful,
    Phase::Failed,
    Phase::Error,
    Phase::Inconclusive,
];

const KINDS: [PointKind; 5] = [
    PointKind::Data,
    PointKind::Gap,
    PointKind::Unsettled,
    PointKind::Stale,
    PointKind::ZeroOrNothing,
];

const CLASSES: [ErrorClass; 8] = [
    ErrorClass::Unreachable,
    ErrorClass::Refused,
    ErrorClass::Malformed,
    ErrorClass::BadQuery,
    ErrorClass::UnknownMetric,
    ErrorClass::IncompleteEntity,
    ErrorClass::WrongKindOfMetric,
    ErrorClass::Unsupported,
];

pub(super) fn phase(part: &Part<'_>) -> Result<Phase, ReadError> {
    part.one_of(&PHASES, Phase::name)
}

pub(super) fn measurement(part: &Part<'_>) -> Result<Measurement, ReadError> {
    Ok(Measurement {
        number: part.field("number")?.count()?,
        phase: phase(&part.field("phase")?)?,
        counts: part.field("counts")?.boolean()?,
        message: part.field("message")?.text()?,
        value: part.field("value")?.text()?,
        started_at: part.field("startedAt")?.moment()?,
        finished_at: part.optional("finishedAt", Part::moment)?,
        explanation: part.optional("explanation", explanation)?.map(Box::new),
    })
}

fn explanation(part: &Part<'_>) -> Result<Explanation, ReadError> {
    let told = part.list("series", series)?;
    let points = told
        .iter()
        .enumerate()
        .flat_map(|(index, (_, deciding))| deciding.iter().map(move |point| (index, *point)));
    let decided = part.optional("decidedBy", |side| {
        Ok(Decided {
            side: side.one_of(&[Side::Success, Side::Failure], Side::name)?,
            condition: part.field("condition")?.text()?,
            holds: part.field("holds")?.boolean()?,
            reason: part.field("reason")?.text()?,
            points: points.collect(),
        })
    })?;
    Ok(Explanation {
        server: part.field("server")?.text()?,
        request: part.field("query")?.text()?,
        window: part.optional("window", window)?,
        skew: part.optional("skewSeconds", skew)?,
        decided,
        series: told.into_iter().map(|(series, _)| series).collect(),
        no_data: part.field("noData")?.boolean()?,
        // A class that a newer server has and this version doesn't know says nothing here; the message says it all.
        error: part
            .optional("error", Part::text)?
            .and_then(|name| CLASSES.into_iter().find(|class| class.name() == name)),
        notes: part.list("notes", Part::text)?,
    })
}

fn skew(part: &Part<'_>) -> Result<SignedDuration, ReadError> {
    SignedDuration::try_from_secs_f64(part.number()?)
        .map_err(|_| part.expected("a number of seconds"))
}

fn window(part: &Part<'_>) -> Result<Window, ReadError> {
    let step = part
        .field("step")?
        .one_of(&[Step::Minute, Step::Hour, Step::Day], Step::name)?;
    let end = part.field("to")?;
    let last = end
        .moment()?
        .checked_sub(step.width())
        .map_err(|_| end.expected("the end of a bucket"))?;
    Ok(Window::told(
        part.field("from")?.moment()?,
        last,
        step,
        part.field("zone")?
            .parsed("an offset such as +05:30", zone)?,
    ))
}

/// `+00`, `+05:30`, `-03:30:15`.
fn zone(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let mut parts = digits.splitn(3, ':').map(|part| {
        let is_pair = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<i32>().ok().filter(|_| is_pair)
    });
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    let seconds = parts.next().unwrap_or(Some(0))?;
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60 + seconds)).ok()
}

/// A series, and which of its points decided.
fn series(part: &Part<'_>) -> Result<(Series, Vec<usize>), ReadError> {
    let points = part.list("points", |part| {
        let point = Point {
            at: part.optional("at", Part::moment)?,
            value: part.optional("value", Part::number)?,
            kind: part.field("kind")?.one_of(&KINDS, super::super::kind)?,
        };
        Ok((point, part.field("decided")?.boolean()?))
    })?;
    let deciding = points
        .iter()
        .enumerate()
        .filter(|(_, (_, decided))| *decided)
        .map(|(index, _)| index)
        .collect();
    let series = Series {
        name: part.field("name")?.text()?,
        path: None,
        points: points.into_iter().map(|(point, _)| point).collect(),
    };
    Ok((series, deciding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_as_they_are_written() {
        for seconds in [0, 3_600, -3_600, 19_800, -12_600, 49_500, 50_415, -36_000] {
            let offset = Offset::from_seconds(seconds).unwrap();
            assert_eq!(zone(&offset.to_string()), Some(offset), "{offset}");
        }
        for text in ["", "+", "0530", "Z", "+5", "+05:3", "+05:30:", "+é"] {
            assert_eq!(zone(text), None, "{text}");
        }
    }
}
