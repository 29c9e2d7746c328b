//! A whole run.

use std::fmt::Write;

use super::{limited, measurement};
use crate::cli::run::Ending;
use crate::domain::measurement::{Measurement, Phase};
use crate::domain::plan::MetricPlan;
use crate::domain::run::{MetricRun, Run, Stop};

/// What is said of a run that its waiter's patience ended before.
pub(in crate::cli) const NOT_OVER: &str = "not over at --timeout";

/// What is said of a run that somebody interrupted.
pub(in crate::cli) const INTERRUPTED: &str = "interrupted before it was over";

/// A whole run: its verdict in a line, its metrics against their limits, and where it ended badly the last measurement of that kind.
pub(in crate::cli) fn run(run: &Run, ending: Ending) -> String {
    let mut out = String::new();
    let verdict = match ending {
        Ending::Over if !run.phase.is_over() => "under way".to_owned(),
        Ending::Over => run.explanation(),
        Ending::TimedOut => NOT_OVER.to_owned(),
        Ending::Interrupted => INTERRUPTED.to_owned(),
    };
    let _ = writeln!(out, "{}: {verdict}\n", run.phase);
    let rows = run.metrics().map(|(plan, metric)| {
        let counts = &metric.counts;
        let dry = if plan.dry_run { " (dry run)" } else { "" };
        [
            format!("{}{dry}", plan.name),
            phase(metric),
            metric.good.to_string(),
            limited(counts.failed, plan.limits.failure),
            limited(counts.inconclusive, plan.limits.inconclusive),
            counts.error.to_string(),
            metric.taken.to_string(),
        ]
    });
    table(
        &mut out,
        [
            "METRIC",
            "PHASE",
            "GOOD",
            "FAILED",
            "INCONCLUSIVE",
            "ERRORS",
            "TAKEN",
        ],
        rows,
    );
    if let Some(note) = cut_short(run) {
        let _ = writeln!(out, "\nnote: {note}");
    }
    if let Some((plan, last)) = decisive(run) {
        let _ = write!(out, "\n{}", measurement(plan, last, &run.plan.masker));
    }
    if run.phase == Phase::Successful && !run.has_evidence() {
        out.push_str("\nnote: not every metric has a good measurement, so nothing should be promoted on this\n");
    }
    out
}

/// Whose phase is no verdict, because another metric ended the run.
fn cut_short(run: &Run) -> Option<String> {
    let ended_by = |metric: &MetricRun| match metric.cut_short {
        Some(Stop::Metric(by)) => Some(run.plan.metrics[by].name.as_str()),
        Some(Stop::Terminated | Stop::Concluded) | None => None,
    };
    let by = run.metrics.iter().find_map(ended_by)?;
    let cut: Vec<&str> = run
        .metrics()
        .filter(|(_, metric)| ended_by(metric).is_some())
        .map(|(plan, _)| plan.name.as_str())
        .collect();
    Some(format!(
        "{by} ended the run before its end for {}",
        cut.join(", ")
    ))
}

/// The last measurement that brought the run to its bad end.
fn decisive(run: &Run) -> Option<(&MetricPlan, &Measurement)> {
    match run.phase {
        Phase::Pending | Phase::Running | Phase::Successful => return None,
        Phase::Failed | Phase::Error | Phase::Inconclusive => {}
    }
    let (plan, metric) = run.metrics().find(|(plan, metric)| {
        !plan.dry_run && metric.phase == run.phase && metric.cut_short.is_none()
    })?;
    let last = metric.measurements.iter().rev();
    let last = last.into_iter().find(|last| last.phase == metric.phase)?;
    Some((plan, last))
}

/// Rows below their heads.
pub(in crate::cli) fn table<const N: usize>(
    out: &mut String,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let all: Vec<[String; N]> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        all.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    for row in &all {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

/// Its phase; Argo calls a metric Successful that was ended before it had measured anything good.
fn phase(metric: &MetricRun) -> String {
    if metric.cut_short.is_some() && metric.good == 0 && metric.phase == Phase::Successful {
        return format!("{} (cut short)", metric.phase);
    }
    metric.phase.to_string()
}
