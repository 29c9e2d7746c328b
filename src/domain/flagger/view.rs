//! A run, as far as Flagger's questions need to know it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::analysis::Analysis;
use crate::domain::assess::{Counts, effective_count};
use crate::domain::measurement::{Measurement, Phase};
use crate::domain::metric_run::MetricRun;
use crate::domain::plan::MetricPlan;
use crate::domain::run::{InFlight, Run};

/// A run, as far as Flagger's questions need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is the answer to another question about the run"
)]
pub struct RunView {
    /// Its arguments, those by the template's default too; `None` is the value of one that stands for a secret.
    pub args: BTreeMap<String, Option<String>>,
    /// Its phase.
    pub phase: Phase,
    /// Why, in one line; while it is under way, how far it has come.
    pub why: String,
    /// Whether it has a good measurement of every metric that is no dry run.
    pub evidence: bool,
    /// When its version first took traffic, as far as it knows.
    pub not_before: Option<Timestamp>,
    /// When the newest window of a good measurement began, on our clock. Those of dry runs say nothing.
    pub measured_since: Option<Timestamp>,
    /// Whether anything that it has measured counts, or may yet. What was begun at its start cannot: there was nothing to see by then.
    pub has_judged: bool,
    /// Whether somebody ended it before its time.
    pub is_terminated: bool,
    /// Whether it goes on until a limit strikes or it is concluded.
    pub is_endless: bool,
    /// What it lacks to be concluded as Successful, a text each.
    pub lacking: Vec<String>,
    /// What speaks against concluding it for now, a text each: the newest measurements of metrics under way that are not good.
    pub doubts: Vec<String>,
}

impl RunView {
    /// `run` as it is.
    pub fn of(run: &Run) -> Self {
        let judged = || run.metrics().filter(|(plan, _)| !plan.dry_run);
        let unfinished = judged().filter_map(|(plan, state)| {
            let count = effective_count(&plan.limits, plan.interval.is_some())?;
            let is_over = state.phase.is_over();
            let counted = state.counts.count;
            (!is_over).then(|| {
                format!(
                    "metric \"{}\": {counted} of {count} measurements",
                    plan.name
                )
            })
        });
        let good = judged()
            .flat_map(|(_, state)| &state.measurements)
            .filter(|measurement| measurement.is_good());
        let has_judged = judged().any(|(_, state)| {
            let later = |it: InFlight| Some(it.started_at) != run.started_at;
            state.counts != Counts::default() || state.in_flight.is_some_and(later)
        });
        let tallies = judged()
            .map(|(plan, state)| format!("{} {} of {}", plan.name, state.good, state.taken));
        let tallies: Vec<String> = tallies.collect();
        Self {
            args: args_of(&run.plan.analysis),
            phase: run.phase,
            why: match run.phase {
                Phase::Pending => "not measured yet".to_owned(),
                Phase::Running => format!("good measurements: {}", tallies.join(", ")),
                Phase::Successful | Phase::Failed | Phase::Error | Phase::Inconclusive => {
                    run.explanation()
                }
            },
            evidence: run.has_evidence(),
            not_before: run.not_before,
            measured_since: good.filter_map(began).max(),
            has_judged,
            is_terminated: run.was_terminated(),
            is_endless: run.is_endless(),
            lacking: unfinished.chain(run.lacking()).collect(),
            doubts: judged().filter_map(doubt).collect(),
        }
    }
}

/// The arguments of a run by what it was made of.
fn args_of(analysis: &Analysis) -> BTreeMap<String, Option<String>> {
    let args = analysis.args.iter().map(|argument| {
        let is_secret = analysis.supplies_secret(&argument.name);
        let value = argument.value.clone().filter(|_| !is_secret);
        (argument.name.clone(), value)
    });
    args.collect()
}

/// What a metric has found last, where it goes on and that is not good.
fn doubt((plan, state): (&MetricPlan, &MetricRun)) -> Option<String> {
    let newest = state.measurements.back().filter(|it| !it.is_good())?;
    if state.phase.is_over() {
        return None;
    }
    let found = match newest.phase {
        Phase::Successful => "Successful without evidence",
        phase @ (Phase::Pending
        | Phase::Running
        | Phase::Failed
        | Phase::Error
        | Phase::Inconclusive) => phase.name(),
    };
    let mut doubt = format!(
        "the newest measurement of metric \"{}\" is {found}",
        plan.name
    );
    let why = newest.reason();
    if !why.is_empty() {
        doubt.push_str(": ");
        doubt.push_str(&why);
    }
    Some(doubt)
}

/// When the window of a measurement began, on our clock; the window itself is on the OAP's.
fn began(measurement: &Measurement) -> Option<Timestamp> {
    let why = measurement.explanation.as_ref()?;
    let skew = why.skew.unwrap_or(SignedDuration::ZERO);
    why.window?.first().checked_sub(skew).ok()
}
