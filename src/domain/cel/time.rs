//! `timestamp` and `duration`. The crate's own need a date library of theirs and a database of zones; these are in UTC.

use std::any::Any;
use std::cmp::Ordering;

use cel_interpreter::ExecutionError;
use cel_interpreter::common::functions::Function;
use cel_interpreter::common::traits::{Adder, Comparer, Subtractor};
use cel_interpreter::common::types::{
    CelInt, CelString, DURATION_TYPE, INT_TYPE, STRING_TYPE, TIMESTAMP_TYPE, Type,
};
use cel_interpreter::common::value::{CowVal, StaticVal, Val};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::value::no_overload;
use crate::domain::duration::GoDuration;

type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// A function, what it takes, and what it does: called by name.
pub(super) const FUNCTIONS: [(&str, &Type, Function); 10] = [
    ("timestamp", &STRING_TYPE, |it| read_moment(&it)),
    ("timestamp", &INT_TYPE, |it| moment_of_seconds(&it)),
    ("timestamp", &TIMESTAMP_TYPE, same),
    ("duration", &STRING_TYPE, |it| read_span(&it)),
    ("duration", &DURATION_TYPE, same),
    ("int", &TIMESTAMP_TYPE, |it| seconds_of_moment(&it)),
    ("string", &TIMESTAMP_TYPE, |it| write_moment(&it)),
    ("string", &DURATION_TYPE, |it| write_span(&it)),
    (WRITTEN, &TIMESTAMP_TYPE, |it| write_moment(&it)),
    (WRITTEN, &DURATION_TYPE, |it| write_span(&it)),
];

/// `string`, of moments and spans of time alone.
pub(super) const WRITTEN: &str = "@time";

/// The same, called on a value.
pub(super) const METHODS: [(&str, &Type, Function); 14] = [
    ("getFullYear", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| at.year().into())
    }),
    ("getMonth", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| i64::from(at.month()) - 1)
    }),
    ("getDayOfYear", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| i64::from(at.day_of_year()) - 1)
    }),
    ("getDayOfMonth", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| i64::from(at.day()) - 1)
    }),
    ("getDate", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| at.day().into())
    }),
    ("getDayOfWeek", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| at.weekday().to_sunday_zero_offset().into())
    }),
    ("getHours", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| at.hour().into())
    }),
    ("getMinutes", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| at.minute().into())
    }),
    ("getSeconds", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| at.second().into())
    }),
    ("getMilliseconds", &TIMESTAMP_TYPE, |it| {
        of_moment(&it, |at| at.millisecond().into())
    }),
    ("getHours", &DURATION_TYPE, |it| {
        of_span(&it, SignedDuration::as_hours)
    }),
    ("getMinutes", &DURATION_TYPE, |it| {
        of_span(&it, SignedDuration::as_mins)
    }),
    ("getSeconds", &DURATION_TYPE, |it| {
        of_span(&it, SignedDuration::as_secs)
    }),
    ("getMilliseconds", &DURATION_TYPE, |it| {
        of_span(&it, |span| i64::from(span.subsec_millis()))
    }),
];

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment(Timestamp);

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span(SignedDuration);

impl StaticVal for Moment {}
impl StaticVal for Span {}

impl Val for Moment {
    fn get_type(&self) -> &Type {
        &TIMESTAMP_TYPE
    }

    fn cel_type() -> &'static Type {
        &TIMESTAMP_TYPE
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>() == Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Val for Span {
    fn get_type(&self) -> &Type {
        &DURATION_TYPE
    }

    fn cel_type() -> &'static Type {
        &DURATION_TYPE
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>() == Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Comparer for Moment {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        let found: Option<&Self> = other.downcast_ref();
        found
            .map(|found| self.0.cmp(&found.0))
            .ok_or_else(|| no_overload("_<_", self, other))
    }
}

impl Comparer for Span {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        let found: Option<&Self> = other.downcast_ref();
        found
            .map(|found| self.0.cmp(&found.0))
            .ok_or_else(|| no_overload("_<_", self, other))
    }
}

impl Adder for Moment {
    fn add<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Evaluated<'b, 'v>
    where
        Self: 'v,
    {
        match other.downcast_ref::<Span>() {
            Some(Span(span)) => moment(self.0.checked_add(*span).ok()),
            None => Err(no_overload("_+_", self, other)),
        }
    }
}

impl Adder for Span {
    fn add<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Evaluated<'b, 'v>
    where
        Self: 'v,
    {
        if let Some(Moment(at)) = other.downcast_ref::<Moment>() {
            return moment(at.checked_add(self.0).ok());
        }
        match other.downcast_ref::<Self>() {
            Some(Self(more)) => span(self.0.checked_add(*more)),
            None => Err(no_overload("_+_", self, other)),
        }
    }
}

impl Subtractor for Moment {
    fn sub<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Evaluated<'b, 'v>
    where
        Self: 'v,
    {
        if let Some(Self(since)) = other.downcast_ref::<Self>() {
            return Ok(CowVal::owned(Span(self.0.duration_since(*since))));
        }
        match other.downcast_ref::<Span>() {
            Some(Span(span)) => moment(self.0.checked_sub(*span).ok()),
            None => Err(no_overload("_-_", self, other)),
        }
    }
}

impl Subtractor for Span {
    fn sub<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Evaluated<'b, 'v>
    where
        Self: 'v,
    {
        match other.downcast_ref::<Self>() {
            Some(Self(less)) => span(self.0.checked_sub(*less)),
            None => Err(no_overload("_-_", self, other)),
        }
    }
}

fn moment<'b, 'v>(at: Option<Timestamp>) -> Evaluated<'b, 'v> {
    at.map(|at| CowVal::owned(Moment(at)))
        .ok_or_else(|| ExecutionError::function_error("timestamp", "out of range"))
}

fn span<'b, 'v>(span: Option<SignedDuration>) -> Evaluated<'b, 'v> {
    span.map(|span| CowVal::owned(Span(span)))
        .ok_or_else(|| ExecutionError::function_error("duration", "out of range"))
}

/// The only argument, as what the function was declared for.
fn taken<'a, T: StaticVal>(arguments: &'a [CowVal<'_, '_>]) -> Result<&'a T, ExecutionError> {
    arguments
        .first()
        .and_then(|argument| argument.as_any()?.downcast_ref())
        .ok_or_else(ExecutionError::missing_argument_or_target)
}

fn text_of<'a>(arguments: &'a [CowVal<'_, '_>]) -> Result<&'a str, ExecutionError> {
    arguments
        .first()
        .and_then(|argument| argument.downcast_ref())
        .map(CelString::inner)
        .ok_or_else(ExecutionError::missing_argument_or_target)
}

fn same<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    arguments
        .pop()
        .ok_or_else(ExecutionError::missing_argument_or_target)
}

fn read_moment<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let text = text_of(arguments)?;
    let at: Result<Timestamp, _> = text.parse();
    at.map(|at| CowVal::owned(Moment(at)))
        .map_err(|_| unreadable("timestamp", text, "a time like 2024-05-01T12:00:00Z"))
}

fn moment_of_seconds<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let seconds: &CelInt = taken(arguments)?;
    moment(Timestamp::from_second(*seconds.inner()).ok())
}

fn read_span<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let text = text_of(arguments)?;
    let read = GoDuration::parse(text);
    read.map(|read| CowVal::owned(Span(SignedDuration::from_nanos(read.as_nanos()))))
        .map_err(|_| unreadable("duration", text, "a duration like 1m30s"))
}

fn seconds_of_moment<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let Moment(at) = taken(arguments)?;
    Ok(CowVal::owned(CelInt::from(at.as_second())))
}

fn write_moment<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let Moment(at) = taken(arguments)?;
    Ok(CowVal::owned(CelString::from(at.to_string())))
}

fn write_span<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let Span(span) = taken(arguments)?;
    let text = format!("{}s", span.as_secs_f64());
    Ok(CowVal::owned(CelString::from(text)))
}

fn of_moment<'b, 'v>(
    arguments: &[CowVal<'b, 'v>],
    part: impl FnOnce(DateTime) -> i64,
) -> Evaluated<'b, 'v> {
    let Moment(at) = taken(arguments)?;
    let part = part(Offset::UTC.to_datetime(*at));
    Ok(CowVal::owned(CelInt::from(part)))
}

fn of_span<'b, 'v>(
    arguments: &[CowVal<'b, 'v>],
    part: impl FnOnce(&SignedDuration) -> i64,
) -> Evaluated<'b, 'v> {
    let Span(span) = taken(arguments)?;
    Ok(CowVal::owned(CelInt::from(part(span))))
}

fn unreadable(function: &str, text: &str, expected: &str) -> ExecutionError {
    let shown: String = text.chars().take(60).collect();
    ExecutionError::function_error(function, format!("expected {expected}, found `{shown}`"))
}
