//! How a run shows itself while it works: a line a metric that stays in place in a terminal, a line a measurement elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use terminal_size::{Width, terminal_size_of};

use super::outcome::{printable, tell};
use super::show;
use crate::domain::duration::short;
use crate::domain::measurement::Measurement;
use crate::domain::plan::MetricPlan;
use crate::domain::run::{MetricRun, Run};
use crate::telemetry;

/// How many values a line shows; with them it fits into eighty columns.
const MOST_BARS: usize = 15;

/// The progress of one run, on stderr.
#[derive(Debug)]
pub(super) struct Progress {
    form: Form,
    /// The number of the last measurement told of each metric.
    told: Vec<u64>,
}

#[derive(Debug)]
enum Form {
    /// A terminal: one line a metric, redrawn.
    Live {
        all: MultiProgress,
        lines: Vec<ProgressBar>,
    },
    /// A file or a pipe: one line a measurement.
    Plain,
    /// Nothing at all.
    Quiet,
}

impl Progress {
    /// For a run of `plan`'s metrics, in the form that stderr is fit for.
    pub(super) fn new(metrics: &[MetricPlan], quiet: bool) -> Self {
        let form = if quiet {
            Form::Quiet
        } else if std::io::stderr().is_terminal() && !telemetry::is_chatty() {
            // Log lines would tear lines that stay.
            Form::live(metrics)
        } else {
            Form::Plain
        };
        Self {
            form,
            told: vec![0; metrics.len()],
        }
    }

    /// Shows `run` as it is at `now`.
    pub(super) fn show(&mut self, run: &Run, now: Timestamp) {
        let names = run
            .plan
            .metrics
            .iter()
            .map(|plan| plan.name.chars().count());
        let width = names.max().unwrap_or(0);
        for (index, (metric, plan)) in run.metrics.iter().zip(&run.plan.metrics).enumerate() {
            let told = self.told[index];
            for measured in metric
                .measurements
                .iter()
                .filter(|m| m.number > told && m.finished_at.is_some())
            {
                self.told[index] = measured.number;
                self.form.tell(&line(plan, metric, measured));
            }
            if let Form::Live { lines, .. } = &self.form {
                // Short of the last column: what a person types there must not begin a line of its own.
                let room = columns().saturating_sub(4);
                let state = format!("{:<width$}  {}", plan.name, state(plan, metric, now));
                lines[index].set_message(cut(&printable(&state), room));
                lines[index].tick();
            }
        }
    }

    /// Says something beside the measurements.
    pub(super) fn note(&self, text: &str) {
        self.form.tell(text);
    }

    /// Leaves the last state on the screen, apart from what follows.
    pub(super) fn finish(self) {
        if let Form::Live { all, lines } = self.form {
            for line in &lines {
                line.finish();
            }
            drop((lines, all));
            tell("\n");
        }
    }
}

impl Form {
    fn live(metrics: &[MetricPlan]) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let lines = metrics
            .iter()
            .map(|_| all.add(ProgressBar::new_spinner().with_style(style.clone())))
            .collect();
        Self::Live { all, lines }
    }

    fn tell(&self, text: &str) {
        match self {
            // Drawn above the lines that stay, and no longer than they are.
            Self::Live { all, .. } => {
                let _ = all.println(cut(&printable(text), columns()));
            }
            Self::Plain => tell(text),
            Self::Quiet => {}
        }
    }
}

/// How many characters a line of the terminal holds.
fn columns() -> usize {
    terminal_size_of(std::io::stderr()).map_or(80, |(Width(columns), _)| columns.into())
}

/// `text`, cut where it is longer than `columns`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(columns.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// `12:05:03Z apdex #2 Failed: 3 of 3 points below 9900: … [good 1, failed 1 (limit 3)]`.
fn line(plan: &MetricPlan, metric: &MetricRun, measured: &Measurement) -> String {
    let at = measured.finished_at.unwrap_or(measured.started_at);
    let dry = if plan.dry_run { " (dry run)" } else { "" };
    format!(
        "{} {}{dry} #{} {} [{}]",
        at.strftime("%H:%M:%SZ"),
        plan.name,
        measured.number,
        show::verdict(measured),
        counts(plan, metric, at)
    )
}

/// What the counts are, beside the limits they are counted against.
fn counts(plan: &MetricPlan, metric: &MetricRun, now: Timestamp) -> String {
    let (limits, counts) = (&plan.limits, &metric.counts);
    let mut parts = vec![format!("good {}", counts.successful)];
    if counts.failed > 0 {
        parts.push(format!(
            "failed {}",
            show::limited(counts.failed, limits.failure)
        ));
    }
    if counts.inconclusive > 0 {
        let inconclusive = show::limited(counts.inconclusive, limits.inconclusive);
        parts.push(format!("inconclusive {inconclusive}"));
    }
    if counts.consecutive_error > 0 {
        let errors = show::limited(counts.consecutive_error, limits.consecutive_error);
        parts.push(format!("errors in a row {errors}"));
    }
    if let Some(since) = metric.waiting_since {
        let (waited, timeout) = (between(since, now), short(plan.no_data_timeout));
        parts.push(format!("without data for {waited} (limit {timeout})"));
    }
    if limits.count > 0 {
        parts.push(format!("{} of {}", counts.count, limits.count));
    }
    parts.join(", ")
}

/// The line that stays: phase, counts, latest values, what comes next.
fn state(plan: &MetricPlan, metric: &MetricRun, now: Timestamp) -> String {
    let mut parts = vec![metric.phase.to_string(), counts(plan, metric, now)];
    let values = latest_values(metric);
    if let Some(last) = values.last() {
        parts.push(format!("{} {last}", show::sparkline(&values)));
    }
    if !metric.phase.is_over() {
        parts.push(next(metric, now));
    }
    parts.join("  ")
}

fn next(metric: &MetricRun, now: Timestamp) -> String {
    match (metric.in_flight, metric.due_at) {
        (Some(_), _) => "measuring".to_owned(),
        (None, Some(due)) => format!("next in {}", between(now, due)),
        (None, None) => "waiting".to_owned(),
    }
}

/// The time from one moment to a later one, in whole seconds.
fn between(from: Timestamp, to: Timestamp) -> String {
    let time = Duration::try_from(to.duration_since(from)).unwrap_or_default();
    short(Duration::from_secs(time.as_secs()))
}

/// The newest values of the kept measurements' first series, oldest first.
fn latest_values(metric: &MetricRun) -> Vec<f64> {
    let mut seen = None;
    let mut values = Vec::new();
    for why in metric
        .measurements
        .iter()
        .filter_map(|measured| measured.explanation.as_ref())
    {
        for point in why
            .series
            .first()
            .into_iter()
            .flat_map(|series| &series.points)
        {
            // Windows overlap: a bucket that an earlier measurement showed is not shown again.
            if point.at.is_some() && point.at <= seen {
                continue;
            }
            seen = point.at.or(seen);
            values.extend(point.value);
        }
    }
    values.split_off(values.len().saturating_sub(MOST_BARS))
}
