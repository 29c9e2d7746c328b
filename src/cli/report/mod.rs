//! What came of a run or of a measurement, for those who weren't there: test reports, summaries, annotations.
//!
//! A [`Report`] is made once and written in any form. Nothing in it commands a terminal, and nothing shows a credential.
//! What a CI system would obey is told from the rest where a form goes to a place that one reads.

mod args;
mod delivery;
mod github;
mod junit;
mod markdown;
mod place;
mod problem;

use std::time::Duration;

use jiff::Timestamp;

pub(super) use self::args::ReportArgs;
pub(super) use self::delivery::{Delivery, Told};
use super::outcome::{Failure, Outcome, harmless};
use super::prepare::Prepared;
use super::run::Ending;
use super::show;
use crate::domain::measurement::{Measurement, Phase};
use crate::domain::plan::MetricPlan;
use crate::domain::run::{MetricRun, Run, Stop};
use crate::domain::verdict;

/// What came of a run or of a measurement.
#[derive(Debug)]
pub(super) struct Report {
    /// What was judged: the template, or several joined.
    name: String,
    namespace: String,
    /// The run's id; a measurement has none.
    id: Option<String>,
    /// How it ended, whatever that makes of the exit code.
    outcome: Outcome,
    /// Why, in one line.
    why: String,
    /// Whether every metric that is no dry run has a good measurement.
    evidence: bool,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    metrics: Vec<Metric>,
    /// What is wrong, where nothing could be judged at all.
    problems: Vec<String>,
}

/// One metric of a [`Report`].
#[derive(Debug)]
struct Metric {
    name: String,
    phase: Phase,
    standing: Standing,
    /// Why its phase is what it is, in one line; empty where there is nothing to add.
    why: String,
    good: u64,
    /// `4 (limit 3)`.
    failed: String,
    inconclusive: String,
    errors: u64,
    taken: u64,
    ended_at: Option<Timestamp>,
    /// The measurements that were kept, a line each.
    log: Vec<String>,
    /// The measurement that shows why it ended badly, else the last one.
    decisive: Option<Decisive>,
}

/// Whether a metric's phase is a verdict.
#[derive(Debug)]
enum Standing {
    /// It is.
    Judged,
    /// It is one that nobody is held to.
    DryRun,
    /// It is none, for this reason.
    CutShort(String),
}

/// A measurement with everything that a person needs to see why it came out as it did.
#[derive(Debug)]
struct Decisive {
    number: u64,
    /// Its phase and why, in one line.
    verdict: String,
    /// Which condition, and its text.
    condition: Option<(&'static str, String)>,
    points: Vec<show::PointRow>,
    /// All of it, as `measure` shows it.
    text: String,
}

impl Report {
    /// What came of `run`.
    pub(super) fn of_run(run: &Run, ending: Ending) -> Self {
        let (outcome, why) = match ending {
            // Argo's word for it is Successful; whoever ended it has not said that its version is good.
            Ending::Over if run.phase == Phase::Successful && run.was_terminated() => {
                (Outcome::Inconclusive, run.explanation())
            }
            Ending::Over => (run.phase.into(), run.explanation()),
            Ending::TimedOut => (Outcome::TimedOut, show::NOT_OVER.to_owned()),
            Ending::Interrupted => (Outcome::Interrupted, show::INTERRUPTED.to_owned()),
        };
        let metrics = run
            .metrics()
            .map(|(plan, state)| of_metric(run, plan, state));
        let metrics: Vec<Metric> = metrics.collect();
        Self {
            name: one_line(&run.name),
            namespace: one_line(&run.namespace),
            id: Some(run.id.to_string()),
            outcome,
            why: one_line(&why),
            evidence: run.has_evidence(),
            started_at: run.started_at,
            ended_at: run
                .completed_at
                .or(metrics.iter().filter_map(|metric| metric.ended_at).max()),
            metrics,
            problems: Vec::new(),
        }
    }

    /// What came of measuring once. `outcome` is that of the worst metric.
    pub(super) fn of_measurements(
        prepared: &Prepared,
        measured: &[(&MetricPlan, Measurement)],
        outcome: Outcome,
    ) -> Self {
        let metrics = measured
            .iter()
            .map(|(plan, it)| of_measurement(prepared, plan, it));
        let metrics: Vec<Metric> = metrics.collect();
        let worst = metrics
            .iter()
            .find(|metric| Outcome::from(metric.phase) == outcome);
        let judged = || measured.iter().filter(|(plan, _)| !plan.dry_run);
        Self {
            name: one_line(&prepared.name),
            namespace: one_line(&prepared.namespace),
            id: None,
            outcome,
            why: worst.map_or_else(String::new, |metric| match metric.why.as_str() {
                "" => metric.name.clone(),
                why => format!("{}: {why}", metric.name),
            }),
            evidence: judged().all(|(_, it)| it.is_good()),
            started_at: measured.iter().map(|(_, it)| it.started_at).min(),
            ended_at: metrics.iter().filter_map(|metric| metric.ended_at).max(),
            metrics,
            problems: Vec::new(),
        }
    }

    /// That there is nothing to report on.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        let problems: Vec<String> = failure
            .problems()
            .map(|it| harmless(&it).into_owned())
            .collect();
        Self {
            name: "skygate".to_owned(),
            namespace: String::new(),
            id: None,
            outcome: failure.outcome(),
            why: problems
                .first()
                .map_or_else(String::new, |first| one_line(first)),
            evidence: false,
            started_at: None,
            ended_at: None,
            metrics: Vec::new(),
            problems,
        }
    }

    /// How it ended, whatever that makes of the exit code.
    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How long it took, as far as anything was done.
    fn took(&self) -> Option<Duration> {
        took(self.started_at, self.ended_at)
    }
}

impl Metric {
    /// Whether it came to a bad end of its own.
    fn ended_badly(&self) -> bool {
        let is_bad = match self.phase {
            Phase::Pending | Phase::Running | Phase::Successful => false,
            Phase::Failed | Phase::Error | Phase::Inconclusive => true,
        };
        is_bad && !matches!(self.standing, Standing::CutShort(_))
    }

    /// `Failed: 3 of 3 points below 9900`, or the phase alone.
    fn verdict(&self) -> String {
        match self.why.as_str() {
            "" => self.phase.to_string(),
            why => format!("{}: {why}", self.phase),
        }
    }
}

fn of_metric(run: &Run, plan: &MetricPlan, state: &MetricRun) -> Metric {
    let standing = match state.cut_short {
        _ if plan.dry_run => Standing::DryRun,
        Some(Stop::Metric(by)) => {
            let by = one_line(&run.plan.metrics[by].name);
            Standing::CutShort(format!("{by} ended the run before"))
        }
        Some(Stop::Terminated) => Standing::CutShort("the run was terminated".to_owned()),
        // To be concluded is the end that such a run is meant to come to.
        Some(Stop::Concluded) | None => Standing::Judged,
    };
    let measurements = state.measurements.iter();
    let decisive = measurements.clone().rfind(|it| it.phase == state.phase);
    Metric {
        name: one_line(&plan.name),
        phase: state.phase,
        standing,
        why: one_line(&verdict::explain(plan, state)),
        good: state.good,
        failed: show::limited(state.counts.failed, plan.limits.failure),
        inconclusive: show::limited(state.counts.inconclusive, plan.limits.inconclusive),
        errors: state.counts.error,
        taken: state.taken,
        ended_at: measurements.clone().filter_map(|it| it.finished_at).max(),
        log: measurements.map(log_line).collect(),
        decisive: decisive
            .or(state.measurements.back())
            .map(|it| of_decisive(it, &show::measurement(plan, it, &run.plan.masker))),
    }
}

fn of_measurement(prepared: &Prepared, plan: &MetricPlan, measured: &Measurement) -> Metric {
    let number = |phase| u64::from(measured.phase == phase);
    Metric {
        name: one_line(&plan.name),
        phase: measured.phase,
        standing: if plan.dry_run {
            Standing::DryRun
        } else {
            Standing::Judged
        },
        why: one_line(show::reason(measured)),
        good: u64::from(measured.is_good()),
        failed: number(Phase::Failed).to_string(),
        inconclusive: number(Phase::Inconclusive).to_string(),
        errors: number(Phase::Error),
        taken: 1,
        ended_at: measured.finished_at,
        log: vec![log_line(measured)],
        decisive: {
            let text = show::measurement(plan, measured, &prepared.plan.masker);
            let text = text + &show::in_a_run(plan, measured);
            Some(of_decisive(measured, &text))
        },
    }
}

fn of_decisive(measured: &Measurement, text: &str) -> Decisive {
    let why = measured.explanation.as_deref();
    let decided = why.and_then(|why| why.decided.as_ref());
    let mut points = why.map(show::point_rows).unwrap_or_default();
    for point in &mut points {
        // Whoever wrote the query named the series.
        point.series = one_line(&point.series);
    }
    Decisive {
        number: measured.number,
        verdict: one_line(&show::verdict(measured)),
        condition: decided.map(|decided| {
            let condition = harmless(&decided.condition).into_owned();
            (decided.side.name(), condition)
        }),
        points,
        text: harmless(text).into_owned(),
    }
}

/// `2026-11-23T12:05:03Z #2 Failed: 3 of 3 points below 9900: …`.
fn log_line(measured: &Measurement) -> String {
    let at = measured.finished_at.unwrap_or(measured.started_at);
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    one_line(&format!(
        "{at} #{} {}",
        measured.number,
        show::verdict(measured)
    ))
}

fn took(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Duration> {
    Duration::try_from(to?.duration_since(from?)).ok()
}

/// `text` without line ends, and without anything that a terminal obeys.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut all = String::new();
    for line in lines {
        if !all.is_empty() {
            let has_mark = all.ends_with(|c: char| c.is_ascii_punctuation());
            all.push_str(if has_mark { " " } else { "; " });
        }
        all.push_str(line);
    }
    harmless(&all).into_owned()
}
