//! One measurement, with everything that a person needs to see why it came out as it did.

use std::fmt::Write;

use jiff::SignedDuration;
use jiff::tz::Offset;

use super::{counted, unit, zone_text};
use crate::domain::args::Masker;
use crate::domain::duration::short;
use crate::domain::measurement::{Explanation, Measurement};
use crate::domain::plan::{Ask, Entity, MetricPlan, NoData};
use crate::domain::reading::{Point, PointKind, Series};
use crate::domain::window::{Step, Window};

/// How wide the labels on the left are.
const LABEL: usize = 12;

/// How much of a result is shown, in characters.
const LONGEST_RESULT: usize = 2_000;

/// Everything that a person needs to see why a measurement came out as it did.
pub(in crate::cli) fn measurement(
    metric: &MetricPlan,
    measured: &Measurement,
    masker: &Masker,
) -> String {
    let mut out = String::new();
    line(&mut out, "metric", &metric.name);
    line(&mut out, "measured", &moment(measured));
    if let Some(why) = &measured.explanation {
        line(&mut out, "oap", &server(why));
        if let Some(window) = &why.window {
            block(&mut out, "window", &window_text(window));
        }
        asked(&mut out, metric, why, masker);
        answered(&mut out, measured, why);
    }
    block(&mut out, "verdict", &verdict(measured));
    out
}

/// What a run would make of a measurement beyond its phase; empty where nothing is to be said.
pub(in crate::cli) fn in_a_run(metric: &MetricPlan, measured: &Measurement) -> String {
    if measured.counts || metric.no_data != NoData::Wait {
        return String::new();
    }
    let timeout = short(metric.no_data_timeout);
    let mut out = String::new();
    let waits = format!("not counted: with `noData: Wait` it waits for data, up to {timeout}");
    line(&mut out, "in a run", &waits);
    out
}

/// A measurement's phase and its reason in one line.
pub(in crate::cli) fn verdict(measured: &Measurement) -> String {
    let reason = reason(measured);
    if reason.is_empty() {
        measured.phase.to_string()
    } else {
        format!("{}: {reason}", measured.phase)
    }
}

/// Why a measurement came out as it did, in one line; empty where there is nothing to add to its phase.
pub(in crate::cli) fn reason(measured: &Measurement) -> &str {
    if !measured.message.is_empty() {
        return &measured.message;
    }
    let decided = measured
        .explanation
        .as_ref()
        .and_then(|why| why.decided.as_ref());
    decided.map_or("", |decided| decided.reason.as_str())
}

/// One point of a measurement, in words.
#[derive(Debug)]
pub(in crate::cli) struct PointRow {
    /// The series that it belongs to.
    pub(in crate::cli) series: String,
    /// Its bucket.
    pub(in crate::cli) at: String,
    /// Its value, `-` where it has none.
    pub(in crate::cli) value: String,
    /// What else is to be said of it; mostly nothing.
    pub(in crate::cli) note: &'static str,
    /// Whether it decided.
    pub(in crate::cli) decided: bool,
}

/// The points of a measurement, series by series.
pub(in crate::cli) fn point_rows(why: &Explanation) -> Vec<PointRow> {
    let decided = |place: (usize, usize)| {
        let decided = why.decided.as_ref();
        decided.is_some_and(|decided| decided.points.contains(&place))
    };
    let mut rows = Vec::new();
    for (of, series) in why.series.iter().enumerate() {
        for (index, point) in series.points.iter().enumerate() {
            rows.push(PointRow {
                series: series.name.clone(),
                at: bucket_text(point, why.window.as_ref()),
                value: value_text(point),
                note: kind_text(point).trim_start(),
                decided: decided((of, index)),
            });
        }
    }
    rows
}

fn asked(out: &mut String, metric: &MetricPlan, why: &Explanation, masker: &Masker) {
    match &metric.source.ask {
        Ask::Query(_) => block(out, "query", &why.request),
        Ask::Expression { entity, .. } => {
            block(out, "expression", &why.request);
            line(out, "entity", &masker.mask(&entity_text(entity)));
        }
    }
}

fn answered(out: &mut String, measured: &Measurement, why: &Explanation) {
    let decided = why.decided.as_ref();
    let values = why.series.iter().flat_map(|series| &series.points);
    let width = values
        .map(|point| value_text(point).len())
        .max()
        .unwrap_or(0);
    for (index, series) in why.series.iter().enumerate() {
        let deciding: Vec<usize> = decided
            .into_iter()
            .flat_map(|decided| &decided.points)
            .filter(|(of, _)| *of == index)
            .map(|(_, point)| *point)
            .collect();
        points(out, series, why.window.as_ref(), &deciding, width);
    }
    if decided.is_none() && !matches!(measured.value.as_str(), "" | "null") {
        line(out, "result", &result_text(&measured.value));
    }
    for note in &why.notes {
        line(out, "note", note);
    }
    let Some(decided) = decided else {
        return;
    };
    let side = decided.side.name();
    block(out, "condition", &format!("{side}: {}", decided.condition));
    let holds = if decided.holds {
        "holds"
    } else {
        "does not hold"
    };
    line(out, "", holds);
}

/// The beginning of a result that no condition made sense of.
fn result_text(value: &str) -> String {
    let shown: String = value.chars().take(LONGEST_RESULT).collect();
    if shown.len() < value.len() {
        format!("{shown}… (more of it with -o json)")
    } else {
        shown
    }
}

/// `serviceName "checkout", normal true`.
fn entity_text(entity: &Entity) -> String {
    let Entity {
        scope,
        service_name,
        normal,
        service_instance_name,
        endpoint_name,
        process_name,
        dest_service_name,
        dest_normal,
        dest_service_instance_name,
        dest_endpoint_name,
        dest_process_name,
    } = entity;
    let quoted =
        |name: &str, value: &Option<String>| value.as_ref().map(|it| format!("{name} {it:?}"));
    let flag = |name: &str, value: &Option<bool>| value.map(|it| format!("{name} {it}"));
    let fields = [
        scope.as_ref().map(|scope| format!("scope {scope}")),
        quoted("serviceName", service_name),
        flag("normal", normal),
        quoted("serviceInstanceName", service_instance_name),
        quoted("endpointName", endpoint_name),
        quoted("processName", process_name),
        quoted("destServiceName", dest_service_name),
        flag("destNormal", dest_normal),
        quoted("destServiceInstanceName", dest_service_instance_name),
        quoted("destEndpointName", dest_endpoint_name),
        quoted("destProcessName", dest_process_name),
    ];
    fields.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `2026-11-23 22:56:23 UTC`, with its number where a run has several.
fn moment(measured: &Measurement) -> String {
    let at = measured.finished_at.unwrap_or(measured.started_at);
    let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    match measured.number {
        0 | 1 => at.to_string(),
        number => format!("{at}, as #{number}"),
    }
}

fn server(why: &Explanation) -> String {
    let Some(skew) = why.skew else {
        return why.server.clone();
    };
    let clock = skew_text(skew);
    match &why.window {
        Some(window) => format!(
            "{} (zone {}, {clock})",
            why.server,
            zone_text(window.zone())
        ),
        None => format!("{} ({clock})", why.server),
    }
}

/// `clock 0.2 s ahead of ours`.
fn skew_text(skew: SignedDuration) -> String {
    let seconds = skew.as_secs_f64();
    if seconds.abs() < 0.05 {
        return "clock as ours".to_owned();
    }
    let side = if seconds > 0.0 { "ahead of" } else { "behind" };
    format!("clock {:.1} s {side} ours", seconds.abs())
}

/// `2026-11-23 14:49 to 14:52 +05:30: 3 buckets of a minute`, and in a second line the same in UTC. The end shown is the moment at which the last bucket ends.
fn window_text(window: &Window) -> String {
    let span = |zone: Offset| {
        let (first, end) = (
            zone.to_datetime(window.first()),
            zone.to_datetime(window.end()),
        );
        let end_form = if first.date() == end.date() {
            "%H:%M"
        } else {
            "%Y-%m-%d %H:%M"
        };
        format!(
            "{} to {}",
            first.strftime("%Y-%m-%d %H:%M"),
            end.strftime(end_form)
        )
    };
    let buckets = counted(window.buckets().len() as u64, unit(window.step()));
    let utc = format!("{} UTC", span(Offset::UTC));
    match window.zone() {
        Offset::UTC => format!("{utc}: {buckets}"),
        zone => format!("{} {}: {buckets}\n{utc}", span(zone), zone_text(zone)),
    }
}

fn points(
    out: &mut String,
    series: &Series,
    window: Option<&Window>,
    deciding: &[usize],
    width: usize,
) {
    line(out, "points", &series.name);
    if series.points.is_empty() {
        line(out, "", "none: the answer has no point for it");
    }
    for (index, point) in series.points.iter().enumerate() {
        let mark = if deciding.contains(&index) {
            "  <- decided"
        } else {
            ""
        };
        let at = bucket_text(point, window);
        let value = value_text(point);
        let kind = kind_text(point);
        line(out, "", &format!("{at}  {value:>width$}{kind}{mark}"));
    }
}

fn value_text(point: &Point) -> String {
    point
        .value
        .map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn kind_text(point: &Point) -> &'static str {
    match point.kind {
        PointKind::Data => "",
        PointKind::Gap if point.value.is_some() => "  no data, read as 0",
        PointKind::Gap => "  no data",
        PointKind::Unsettled => "  unsettled: still being written",
        PointKind::Stale => "  stale: before this version took traffic",
        PointKind::ZeroOrNothing => "  zero or nothing: this OAP does not tell them apart",
    }
}

const DAY: &str = "%Y-%m-%d";

/// The start of a point's bucket in the OAP's zone, and in UTC where that is another one.
fn bucket_text(point: &Point, window: Option<&Window>) -> String {
    let Some(at) = point.at else {
        return "whole window".to_owned();
    };
    let form = match window.map(Window::step) {
        Some(Step::Minute) | None => "%H:%M",
        Some(Step::Hour) => "%m-%d %H:%M",
        Some(Step::Day) => DAY,
    };
    let utc = format!("{} UTC", at.strftime(form));
    match window.map(Window::zone) {
        None | Some(Offset::UTC) => utc,
        // A day is the OAP's, wherever it begins in UTC.
        Some(zone) if form == DAY => zone.to_datetime(at).strftime(form).to_string(),
        Some(zone) => format!("{} ({utc})", zone.to_datetime(at).strftime(form)),
    }
}

fn line(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "{}", format!("{label:<LABEL$}{text}").trim_end());
}

fn block(out: &mut String, label: &str, text: &str) {
    for (number, text) in text.trim_end().lines().enumerate() {
        line(out, if number == 0 { label } else { "" }, text);
    }
}
