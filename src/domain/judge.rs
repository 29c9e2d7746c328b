//! From a reading to a measurement.
//!
//! A failure to measure is never a verdict: without an answer, or with a condition that cannot be evaluated, the measurement
//! is Error. Failed means that the condition was evaluated and not met. Whether there was data at all is asked before any condition.
//! Source of the rules on two conditions: Argo Rollouts' `EvaluateResult`, as `tests/data/conformance/evaluate_result.json` records it.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

use super::args::Masker;
use super::bounds;
use super::condition::{Condition, ConditionError, Scope};
use super::measurement::{Decided, Explanation, Measurement, Phase, Side};
use super::plan::{MetricPlan, NoData};
use super::reading::{Answer, PathStep, PointKind, Reading, Series, SourceError};
use super::window::{Step, Window};

/// The longest value that a measurement keeps, in bytes.
pub const LONGEST_VALUE: usize = 16 * 1024;

/// How many series a message names.
const MOST_NAMES: usize = 5;

/// What conditions make of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Successful, Failed, Inconclusive, or Error where a condition could not be evaluated.
    pub phase: Phase,
    /// Why it is an Error; empty otherwise, as with Argo: [`Judgement::decided`] has the reason.
    pub message: String,
    /// The condition that decided; `None` where there is none, and for an Error.
    pub decided: Option<Decided>,
}

/// Judges one result by a metric's two conditions.
///
/// Without any it is Successful; with one, its failing is the other's holding; with both, `failure` wins, and where neither holds it is Inconclusive.
pub fn phase_of(
    success: Option<&Condition>,
    failure: Option<&Condition>,
    scope: &Scope<'_>,
) -> Judgement {
    let evaluate = |side, condition: Option<&Condition>| {
        condition
            .map(|condition| {
                condition
                    .holds(scope)
                    .map_err(|error| not_evaluated(side, condition.source(), &error, scope.result))
            })
            .transpose()
    };
    let (succeeds, fails) = match (
        evaluate(Side::Success, success),
        evaluate(Side::Failure, failure),
    ) {
        (Ok(succeeds), Ok(fails)) => (succeeds, fails),
        (Err(message), _) | (Ok(_), Err(message)) => {
            return Judgement {
                phase: Phase::Error,
                message,
                decided: None,
            };
        }
    };
    let (phase, side) = match (succeeds, fails) {
        (None, None) => (Phase::Successful, None),
        (_, Some(true)) => (Phase::Failed, Some(Side::Failure)),
        (Some(true), _) => (Phase::Successful, Some(Side::Success)),
        (Some(false), None) => (Phase::Failed, Some(Side::Success)),
        (None, Some(false)) => (Phase::Successful, Some(Side::Failure)),
        (Some(false), Some(false)) => (Phase::Inconclusive, Some(Side::Success)),
    };
    let decided = side.and_then(|side| {
        let (condition, holds) = match side {
            Side::Success => (success?, succeeds?),
            Side::Failure => (failure?, fails?),
        };
        let reason = condition.reason(scope);
        Some(Decided {
            side,
            condition: condition.source().to_owned(),
            holds,
            reason: reason.text,
            points: reason.points,
        })
    });
    Judgement {
        phase,
        message: String::new(),
        decided,
    }
}

/// Argo's text for a condition that could not be parsed or evaluated, then our way out. A result of nothing is named as the cause, whatever the error was.
pub fn not_evaluated(
    side: Side,
    condition: &str,
    error: &ConditionError,
    result: &Value,
) -> String {
    let is_nothing = match result {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    };
    let (detail, hint) = if is_nothing {
        let detail = "metric result is nil or empty: no data returned from the metric provider";
        (detail, None)
    } else {
        (error.message.as_str(), error.hint.as_deref())
    };
    let hint = hint.map_or_else(String::new, |hint| format!(" (hint: {hint})"));
    format!(
        "could not evaluate {} \"{condition}\": {detail}{hint}",
        side.name()
    )
}

/// Makes a measurement of a reading: a phase, and all that a person needs to see why. Secrets are masked in every part of it.
pub fn judge(
    metric: &MetricPlan,
    reading: Reading,
    number: u64,
    started_at: Timestamp,
    finished_at: Timestamp,
    masker: &Masker,
) -> Measurement {
    let zone = reading
        .time
        .map(|time| time.zone)
        .or(reading.window.map(|window| window.zone()))
        .unwrap_or(Offset::UTC);
    let mut explanation = Explanation {
        server: masker.mask(&reading.server),
        request: masker.mask(&reading.request),
        window: reading.window,
        skew: reading.time.map(|time| time.skew),
        series: Vec::new(),
        decided: None,
        no_data: false,
        error: None,
        notes: Vec::new(),
    };
    let (verdict, value) = match reading.answer {
        Err(error) => (
            failed_to_measure(&error, masker, &mut explanation),
            String::new(),
        ),
        Ok(answer) => {
            let discreet = repeats_secret(&answer, masker).then(|| keeping_back(metric));
            let metric = discreet.as_ref().unwrap_or(metric);
            let verdict = judge_answer(metric, &answer, zone, finished_at, &mut explanation);
            let value = value_text(&answer.result, masker);
            explanation.series = answer.series;
            explanation.notes = answer.notes;
            (verdict, value)
        }
    };
    mask(&mut explanation, masker);
    // What was masked may be cut: no secret is cut in two and missed.
    bounds::trim(&mut explanation);
    Measurement {
        number,
        phase: verdict.phase,
        counts: verdict.counts,
        message: masker.mask(&verdict.message),
        value,
        started_at,
        finished_at: Some(finished_at),
        explanation: Some(Box::new(explanation)),
    }
}

/// What a measurement is and counts as.
struct Verdict {
    phase: Phase,
    counts: bool,
    message: String,
}

fn failed_to_measure(
    error: &SourceError,
    masker: &Masker,
    explanation: &mut Explanation,
) -> Verdict {
    explanation.error = Some(error.class);
    Verdict {
        phase: Phase::Error,
        counts: true,
        message: error.shown(masker),
    }
}

/// Whether the OAP repeats a secret that it was asked with. Nothing masks what a condition makes of it.
fn repeats_secret(answer: &Answer, masker: &Masker) -> bool {
    let names = || answer.series.iter().map(|series| series.name.as_str());
    !masker.is_empty()
        && (masker.finds_in(&answer.result.to_string()) || names().any(|it| masker.finds_in(it)))
}

/// `metric` with conditions that tell no reasons.
fn keeping_back(metric: &MetricPlan) -> MetricPlan {
    let discreet = |condition: &Option<Arc<Condition>>| {
        let condition = condition.as_deref().cloned();
        condition.map(|it| Arc::new(it.keeping_back()))
    };
    MetricPlan {
        success: discreet(&metric.success),
        failure: discreet(&metric.failure),
        ..metric.clone()
    }
}

fn judge_answer(
    metric: &MetricPlan,
    answer: &Answer,
    zone: Offset,
    now: Timestamp,
    explanation: &mut Explanation,
) -> Verdict {
    let window = explanation.window;
    explanation.no_data = window.is_none() || !answer.without_data().is_empty();
    let is_decided_by_zeros = metric.no_data == NoData::AsZero
        && window.is_some()
        && answer
            .series
            .iter()
            .all(|series| series.values().next().is_some());
    if explanation.no_data && !is_decided_by_zeros {
        let (phase, counts) = without_data(metric.no_data);
        return Verdict {
            phase,
            counts,
            message: no_data_message(answer, window),
        };
    }
    let scope = Scope {
        result: &answer.result,
        series: &answer.series,
        zone,
        step: window.map_or_else(Step::default, |window| window.step()),
        now,
    };
    let judgement = phase_of(metric.success.as_deref(), metric.failure.as_deref(), &scope);
    explanation.decided = judgement.decided;
    Verdict {
        phase: judgement.phase,
        counts: true,
        message: judgement.message,
    }
}

/// The phase of a measurement without data, and whether it counts.
fn without_data(policy: NoData) -> (Phase, bool) {
    match policy {
        NoData::Wait | NoData::AsZero => (Phase::Inconclusive, false),
        NoData::Inconclusive => (Phase::Inconclusive, true),
        NoData::Failed => (Phase::Failed, true),
        NoData::Successful => (Phase::Successful, true),
        NoData::Error => (Phase::Error, true),
    }
}

/// Which series had no data, and in which buckets: ``no data: series `service_apdex` has no point with data in 09:07–09:09 (OAP time +0530)``.
fn no_data_message(answer: &Answer, window: Option<Window>) -> String {
    let is_stale = |series: &Series| {
        let mut points = series.points.iter();
        !series.points.is_empty() && points.all(|point| point.kind == PointKind::Stale)
    };
    let names = answer.without_data();
    let lacking = answer.series.iter().filter(|series| !series.has_data());
    let Some(window) = window.filter(|_| !lacking.clone().all(is_stale)) else {
        return "no data: every bucket of the window began before notBefore, when the version took no traffic yet".to_owned();
    };
    let has = if names.len() == 1 { "has" } else { "have" };
    format!(
        "no data: series {} {has} no point with data in {} (OAP time {})",
        list(&names),
        window_text(&window),
        window
            .first()
            .to_zoned(TimeZone::fixed(window.zone()))
            .strftime("%z")
    )
}

fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| format!("`{name}`"))
        .collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A window as people read it, its last bucket included, in the OAP's zone.
fn window_text(window: &Window) -> String {
    let bucket = |at: Timestamp| {
        let format = match window.step() {
            Step::Minute => "%H:%M",
            Step::Hour => "%Y-%m-%d %H:%M",
            Step::Day => "%Y-%m-%d",
        };
        window.zone().to_datetime(at).strftime(format).to_string()
    };
    let (first, last) = (bucket(window.first()), bucket(window.last()));
    if first == last {
        first
    } else {
        format!("{first}–{last}")
    }
}

/// `result` as compact JSON, cut where it is longer than anybody reads.
fn value_text(result: &Value, masker: &Masker) -> String {
    // Masked before it is cut, so that no secret is cut in two and missed.
    let mut text = masker.mask(&result.to_string());
    if text.len() > LONGEST_VALUE {
        text.truncate(text.floor_char_boundary(LONGEST_VALUE));
        text.push('…');
    }
    text
}

fn mask(explanation: &mut Explanation, masker: &Masker) {
    if masker.is_empty() {
        return;
    }
    for series in &mut explanation.series {
        series.name = masker.mask(&series.name);
        for step in series.path.iter_mut().flatten() {
            match step {
                PathStep::Key(key) => *key = masker.mask(key),
                PathStep::Index(_) => {}
            }
        }
    }
    for note in &mut explanation.notes {
        *note = masker.mask(note);
    }
    if let Some(decided) = &mut explanation.decided {
        decided.condition = masker.mask(&decided.condition);
        decided.reason = masker.mask(&decided.reason);
    }
}
