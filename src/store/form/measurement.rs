//! The stored form of a measurement.

use std::borrow::Cow;

use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use super::values::{Moment, Number, Signed};
use super::words::Word;
use super::{FormError, Text};
use crate::domain::measurement::{Decided, Explanation, Measurement, Phase, Side};
use crate::domain::reading::{ErrorClass, PathStep, Point, PointKind, Series};
use crate::domain::window::{Step, Window, WindowParts};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MeasurementForm<'a> {
    number: u64,
    phase: Word<Phase>,
    counts: bool,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    message: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    value: Cow<'a, str>,
    started_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationForm<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExplanationForm<'a> {
    server: Cow<'a, str>,
    request: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<WindowForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skew: Option<Signed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    series: Vec<SeriesForm<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decided: Option<DecidedForm<'a>>,
    no_data: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Word<ErrorClass>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Cow<'a, str>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WindowForm {
    first: Moment,
    last: Moment,
    step: Word<Step>,
    /// The zone's offset in seconds.
    zone: i32,
    settled_until: Moment,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SeriesForm<'a> {
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Vec<PathStepForm<'a>>>,
    points: Vec<PointForm>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum PathStepForm<'a> {
    Key(Cow<'a, str>),
    Index(usize),
}

/// A point: when, what kind, and its value. There are many of them, so they have no names.
#[derive(Debug, Serialize, Deserialize)]
struct PointForm(Option<Moment>, Word<PointKind>, Option<Number>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DecidedForm<'a> {
    side: Word<Side>,
    condition: Cow<'a, str>,
    holds: bool,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    reason: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    points: Vec<(usize, usize)>,
}

/// What is stored of a measurement.
pub(in crate::store) fn measurement_text(measurement: &Measurement) -> String {
    serde_json::to_string(&MeasurementForm::of(measurement)).expect("its keys are texts")
}

/// A measurement from what is stored of it.
pub(in crate::store) fn measurement_of(text: &Text) -> Result<Measurement, FormError> {
    let form: MeasurementForm<'_> = serde_json::from_str(text.known()?)?;
    let MeasurementForm {
        number,
        phase,
        counts,
        message,
        value,
        started_at,
        finished_at,
        explanation,
    } = form;
    Ok(Measurement {
        number,
        phase: phase.0,
        counts,
        message: message.into_owned(),
        value: value.into_owned(),
        started_at: started_at.0,
        finished_at: finished_at.map(|moment| moment.0),
        explanation: match explanation {
            Some(form) => Some(Box::new(Explanation::try_from(form)?)),
            None => None,
        },
    })
}

impl<'a> MeasurementForm<'a> {
    fn of(measurement: &'a Measurement) -> Self {
        let Measurement {
            number,
            phase,
            counts,
            message,
            value,
            started_at,
            finished_at,
            explanation,
        } = measurement;
        Self {
            number: *number,
            phase: Word(*phase),
            counts: *counts,
            message: Cow::Borrowed(message),
            value: Cow::Borrowed(value),
            started_at: Moment(*started_at),
            finished_at: finished_at.map(Moment),
            explanation: explanation.as_deref().map(ExplanationForm::of),
        }
    }
}

impl<'a> ExplanationForm<'a> {
    fn of(explanation: &'a Explanation) -> Self {
        let Explanation {
            server,
            request,
            window,
            skew,
            series,
            decided,
            no_data,
            error,
            notes,
        } = explanation;
        Self {
            server: Cow::Borrowed(server),
            request: Cow::Borrowed(request),
            window: window.map(WindowForm::from),
            skew: skew.map(Signed::from),
            series: series.iter().map(SeriesForm::of).collect(),
            decided: decided.as_ref().map(DecidedForm::of),
            no_data: *no_data,
            error: error.map(Word),
            notes: notes
                .iter()
                .map(|note| Cow::Borrowed(note.as_str()))
                .collect(),
        }
    }
}

impl TryFrom<ExplanationForm<'_>> for Explanation {
    type Error = FormError;

    fn try_from(form: ExplanationForm<'_>) -> Result<Self, FormError> {
        let ExplanationForm {
            server,
            request,
            window,
            skew,
            series,
            decided,
            no_data,
            error,
            notes,
        } = form;
        Ok(Self {
            server: server.into_owned(),
            request: request.into_owned(),
            window: window.map(Window::try_from).transpose()?,
            skew: skew.map(Into::into),
            series: series.into_iter().map(Series::from).collect(),
            decided: decided.map(Decided::from),
            no_data,
            error: error.map(|word| word.0),
            notes: notes.into_iter().map(Cow::into_owned).collect(),
        })
    }
}

impl From<Window> for WindowForm {
    fn from(window: Window) -> Self {
        let WindowParts {
            first,
            last,
            step,
            zone,
            settled_until,
        } = window.parts();
        Self {
            first: Moment(first),
            last: Moment(last),
            step: Word(step),
            zone: zone.seconds(),
            settled_until: Moment(settled_until),
        }
    }
}

impl TryFrom<WindowForm> for Window {
    type Error = FormError;

    fn try_from(form: WindowForm) -> Result<Self, FormError> {
        let zone = Offset::from_seconds(form.zone);
        let parts = zone.map(|zone| WindowParts {
            first: form.first.0,
            last: form.last.0,
            step: form.step.0,
            zone,
            settled_until: form.settled_until.0,
        });
        let window = parts.ok().and_then(Self::of_parts);
        window.ok_or_else(|| FormError::Text("a window without buckets".to_owned()))
    }
}

impl<'a> SeriesForm<'a> {
    fn of(series: &'a Series) -> Self {
        let Series { name, path, points } = series;
        Self {
            name: Cow::Borrowed(name),
            path: path
                .as_ref()
                .map(|path| path.iter().map(PathStepForm::of).collect()),
            points: points.iter().map(PointForm::of).collect(),
        }
    }
}

impl From<SeriesForm<'_>> for Series {
    fn from(form: SeriesForm<'_>) -> Self {
        let SeriesForm { name, path, points } = form;
        Self {
            name: name.into_owned(),
            path: path.map(|path| path.into_iter().map(PathStep::from).collect()),
            points: points.into_iter().map(Point::from).collect(),
        }
    }
}

impl<'a> PathStepForm<'a> {
    fn of(step: &'a PathStep) -> Self {
        match step {
            PathStep::Key(key) => Self::Key(Cow::Borrowed(key)),
            PathStep::Index(index) => Self::Index(*index),
        }
    }
}

impl From<PathStepForm<'_>> for PathStep {
    fn from(form: PathStepForm<'_>) -> Self {
        match form {
            PathStepForm::Key(key) => Self::Key(key.into_owned()),
            PathStepForm::Index(index) => Self::Index(index),
        }
    }
}

impl PointForm {
    fn of(point: &Point) -> Self {
        let Point { at, value, kind } = *point;
        Self(at.map(Moment), Word(kind), value.map(Number))
    }
}

impl From<PointForm> for Point {
    fn from(PointForm(at, kind, value): PointForm) -> Self {
        Self {
            at: at.map(|moment| moment.0),
            value: value.map(|number| number.0),
            kind: kind.0,
        }
    }
}

impl<'a> DecidedForm<'a> {
    fn of(decided: &'a Decided) -> Self {
        let Decided {
            side,
            condition,
            holds,
            reason,
            points,
        } = decided;
        Self {
            side: Word(*side),
            condition: Cow::Borrowed(condition),
            holds: *holds,
            reason: Cow::Borrowed(reason),
            points: points.clone(),
        }
    }
}

impl From<DecidedForm<'_>> for Decided {
    fn from(form: DecidedForm<'_>) -> Self {
        let DecidedForm {
            side,
            condition,
            holds,
            reason,
            points,
        } = form;
        Self {
            side: side.0,
            condition: condition.into_owned(),
            holds,
            reason: reason.into_owned(),
            points,
        }
    }
}
