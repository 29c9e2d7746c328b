//! What a run came to: its phase and message as Argo has them, its summaries, its evidence, and why, in one line.

use std::time::Duration;

use super::assess::{Struck, is_worse};
use super::duration::short;
use super::measurement::{Measurement, Phase};
use super::metric_run::MetricRun;
use super::plan::MetricPlan;
use super::run::{Run, Stop};

/// How a run ended that somebody ended before its time, and that nothing was wrong with by then.
pub const TERMINATED: &str = "Terminated";

/// How the metrics of a run ended: Argo's `runSummary` and `dryRunSummary`. It counts metrics, not measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All metrics, those included that are not over.
    pub count: u64,
    /// Ended well, or badly without striking a limit: Argo files those here too.
    pub successful: u64,
    /// Ended by a limit on failures.
    pub failed: u64,
    /// Ended by a limit on inconclusive measurements, or without data.
    pub inconclusive: u64,
    /// Ended by a limit on errors.
    pub error: u64,
}

impl Run {
    /// How the metrics ended that are no dry runs.
    pub fn summary(&self) -> Summary {
        self.summary_of(false)
    }

    /// How the dry runs ended.
    pub fn dry_run_summary(&self) -> Summary {
        self.summary_of(true)
    }

    /// Whether every metric that is no dry run has a good measurement. Argo's Successful doesn't need one: whoever promotes does.
    /// A run of nothing but dry runs has all the evidence it asks for: a dry run never stands in anybody's way.
    pub fn has_evidence(&self) -> bool {
        self.judged().all(|(_, state)| state.good > 0)
    }

    /// Whether somebody had it end before a metric that counts had come to its own end. Argo calls it Successful then, which nobody
    /// meant who stopped it.
    pub fn was_terminated(&self) -> bool {
        self.judged()
            .any(|(_, state)| state.cut_short == Some(Stop::Terminated))
    }

    /// How it ended, for counts and headings: its phase, or [`TERMINATED`] where somebody's hand alone made it Successful.
    pub fn end_word(&self) -> &'static str {
        match self.phase {
            Phase::Successful if self.was_terminated() => TERMINATED,
            phase => phase.name(),
        }
    }

    /// Whether it says that its version is good: Successful, by good measurements, and to its end.
    pub fn has_passed(&self) -> bool {
        self.phase == Phase::Successful && self.has_evidence() && !self.was_terminated()
    }

    /// What would keep it from being Successful if it were concluded now, a text for each metric that lacks something.
    pub fn lacking(&self) -> Vec<String> {
        let lack = |(plan, state): (&MetricPlan, &MetricRun)| {
            let lack = state.lacks(plan)?;
            Some(format!("metric \"{}\": {lack}", plan.name))
        };
        self.judged().filter_map(lack).collect()
    }

    /// Why the run ended as it did, in one line: `apdex failed 4 of 7 measurements (limit 3); the last: …`.
    /// Empty while it is under way.
    pub fn explanation(&self) -> String {
        match self.phase {
            Phase::Pending | Phase::Running => String::new(),
            Phase::Successful => self.explain_success(),
            Phase::Failed | Phase::Error | Phase::Inconclusive => self
                .judged()
                .find(|(_, state)| state.phase == self.phase && state.cut_short.is_none())
                .map_or_else(
                    || self.message.clone(),
                    |(plan, state)| explain_end(plan, state),
                ),
        }
    }

    /// The phase and message of a run whose metrics are all over or cut short.
    pub(super) fn verdict(&self) -> (Phase, String) {
        match self.stop {
            Some(Stop::Concluded) => self.conclusion(),
            Some(Stop::Terminated) => self.worst("Run Terminated"),
            Some(Stop::Metric(_)) | None => self.worst(""),
        }
    }

    /// Argo's rule: the first of the worst metrics decides, and says why if a limit was struck.
    /// Where it was not, the text of a metric that was better stays, or `otherwise`: Argo's quirk.
    fn worst(&self, otherwise: &str) -> (Phase, String) {
        let mut worst = None;
        let mut message = otherwise.to_owned();
        for (plan, state) in self.judged().filter(|(_, state)| state.phase.is_over()) {
            if worst.is_some_and(|worst| !is_worse(state.phase, worst)) {
                continue;
            }
            worst = Some(state.phase);
            if let Some(struck) = state.struck {
                message = state.assessed(&format!("Metric \"{}\"", plan.name), struck);
            }
        }
        (worst.unwrap_or(Phase::Successful), message)
    }

    /// Time is up: Successful needs evidence. No limit was struck, or the run would have ended by that.
    fn conclusion(&self) -> (Phase, String) {
        let lacking = self.lacking();
        let after = short(self.conclude_after.unwrap_or_default());
        if lacking.is_empty() {
            let message = format!("concluded after {after}: every metric has a good measurement");
            return (Phase::Successful, message);
        }
        let message = format!("concluded after {after}: {}", lacking.join(", "));
        (Phase::Inconclusive, message)
    }

    fn summary_of(&self, dry_run: bool) -> Summary {
        let mut summary = Summary::default();
        for (_, state) in self.metrics().filter(|(plan, _)| plan.dry_run == dry_run) {
            summary.count += 1;
            let has_reason = state.struck.is_some() || state.cut_short.is_some();
            match state.phase {
                Phase::Pending | Phase::Running => {}
                Phase::Failed if has_reason => summary.failed += 1,
                Phase::Inconclusive if has_reason => summary.inconclusive += 1,
                Phase::Error if has_reason => summary.error += 1,
                Phase::Successful | Phase::Failed | Phase::Inconclusive | Phase::Error => {
                    summary.successful += 1;
                }
            }
        }
        summary
    }

    /// The metrics that decide: all but the dry runs.
    fn judged(&self) -> impl Iterator<Item = (&MetricPlan, &MetricRun)> {
        self.metrics().filter(|(plan, _)| !plan.dry_run)
    }

    fn explain_success(&self) -> String {
        let tally = |(plan, state): (&MetricPlan, &MetricRun)| {
            format!("{} {} of {}", plan.name, state.good, state.taken)
        };
        let tallies: Vec<String> = self.judged().map(tally).collect();
        let lacking: Vec<&str> = self
            .judged()
            .filter(|(_, state)| state.good == 0)
            .map(|(plan, _)| plan.name.as_str())
            .collect();
        let how = match self.stop {
            Some(Stop::Terminated) => "terminated; ".to_owned(),
            Some(Stop::Concluded) => format!(
                "concluded after {}; ",
                short(self.conclude_after.unwrap_or_default())
            ),
            Some(Stop::Metric(_)) | None => String::new(),
        };
        if !lacking.is_empty() {
            return format!(
                "{how}without evidence: no good measurement of {}",
                lacking.join(", ")
            );
        }
        if tallies.is_empty() {
            return format!("{how}nothing but dry runs");
        }
        format!("{how}good measurements: {}", tallies.join(", "))
    }
}

/// Why one metric of a run is what it is, in one line; empty before its first measurement.
pub fn explain(plan: &MetricPlan, state: &MetricRun) -> String {
    let name = &plan.name;
    match (state.phase, state.cut_short) {
        (Phase::Pending, _) => String::new(),
        (Phase::Failed | Phase::Error | Phase::Inconclusive, None) => explain_end(plan, state),
        (Phase::Inconclusive, Some(Stop::Concluded)) => {
            let lack = state.lacks(plan).unwrap_or_default();
            format!("{name}: {lack}")
        }
        (
            Phase::Running | Phase::Successful | Phase::Failed | Phase::Error | Phase::Inconclusive,
            _,
        ) => format!(
            "good measurements: {name} {} of {}",
            state.good, state.taken
        ),
    }
}

/// One line on a metric that ended badly by itself.
fn explain_end(plan: &MetricPlan, state: &MetricRun) -> String {
    let (name, counts) = (&plan.name, &state.counts);
    let what = match state.struck {
        Some(Struck::Failures { failed, limit }) => {
            format!(
                "{name} failed {failed} of {} measurements (limit {limit})",
                counts.count
            )
        }
        Some(Struck::FailuresInARow { failures, limit }) => {
            format!("{name} failed {failures} times in a row (limit {limit})")
        }
        Some(Struck::Inconclusives {
            inconclusive,
            limit,
        }) => format!(
            "{name} was inconclusive in {inconclusive} of {} measurements (limit {limit})",
            counts.count
        ),
        Some(Struck::ErrorsInARow { errors, limit }) => {
            format!("{name} could not be measured {errors} times in a row (limit {limit})")
        }
        Some(Struck::NoData { waited }) => {
            format!(
                "{name} had no data for {}",
                short(Duration::from_secs(waited.as_secs()))
            )
        }
        None => format!(
            "{name} did not succeed {} times in a row within {} measurements",
            plan.limits.consecutive_success, counts.count
        ),
    };
    let decided = |measurement: &&Measurement| measurement.phase == state.phase;
    let last = state
        .measurements
        .iter()
        .rev()
        .find(decided)
        .map(Measurement::reason);
    match last {
        Some(reason) if !reason.is_empty() => format!("{what}; the last: {reason}"),
        Some(_) | None => what,
    }
}
