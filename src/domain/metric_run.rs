//! How far one metric of a run has come: what it has measured, what that came to, and when it is measured next.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::assess::{Counts, Struck, assess, is_streak_reached};
use super::bounds;
use super::measurement::{Measurement, Phase};
use super::plan::MetricPlan;
use super::run::Stop;

/// The time between the end of a measurement and the next one after an error, and wherever there is no interval. Argo's constant.
pub const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How far a metric of a run has come.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRun {
    /// Pending until it is first measured; a metric that never was stays so even in a run that is over.
    pub phase: Phase,
    /// Argo's text: of the measurement that ended it, or how a dry run would have ended.
    pub message: String,
    /// What its measurements came to.
    pub counts: Counts,
    /// The limit that ended it.
    pub struck: Option<Struck>,
    /// Set where it did not come to its own end: its phase is then no verdict about what it measures.
    pub cut_short: Option<Stop>,
    /// How many measurements were taken, those that waited for data included.
    pub taken: u64,
    /// How many of them are evidence: measured, with data, and found successful.
    pub good: u64,
    /// The newest measurements, oldest first.
    pub measurements: VecDeque<Measurement>,
    /// When it is to be measured next; `None` while it is being measured, before the run's start and after the metric's end.
    pub due_at: Option<Timestamp>,
    /// What is being measured, as far as the run knows.
    pub in_flight: Option<InFlight>,
    /// Since when it has had no data, while it waits for some.
    pub waiting_since: Option<Timestamp>,
}

/// A measurement that was begun and has not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Its number within its metric.
    pub number: u64,
    /// When it was begun.
    pub started_at: Timestamp,
}

impl MetricRun {
    /// Begins its next measurement and gives its number.
    pub(super) fn begin(&mut self, now: Timestamp) -> u64 {
        let number = self.taken + 1;
        self.phase = Phase::Running;
        self.due_at = None;
        self.in_flight = Some(InFlight {
            number,
            started_at: now,
        });
        number
    }

    /// Takes in the measurement that was in flight. Older ones go once there are more than the plan keeps, or all of them weigh more than `most`.
    pub(super) fn record(
        &mut self,
        plan: &MetricPlan,
        measurement: Measurement,
        now: Timestamp,
        most: usize,
    ) {
        let finished = measurement.finished_at.unwrap_or(now);
        self.in_flight = None;
        self.taken += 1;
        self.good += u64::from(measurement.is_good());
        self.due_at = Some(after(finished, pause(plan, measurement.phase)));

        let (phase, struck) = if measurement.counts {
            self.counts.record(measurement.phase);
            // An error tells nothing about data: it neither ends nor begins the waiting for some.
            if measurement.phase != Phase::Error {
                self.waiting_since = None;
            }
            self.assess(plan, Some(measurement.phase), false)
        } else {
            self.wait(plan, measurement.started_at, finished)
        };

        self.measurements.push_back(measurement);
        self.let_go(plan.retention, most);
        if phase.is_over() {
            self.end(plan, phase, struck);
        }
    }

    fn let_go(&mut self, retention: usize, most: usize) {
        let mut weight: usize = self.measurements.iter().map(bounds::weight).sum();
        while self.measurements.len() > 1 && (self.measurements.len() > retention || weight > most)
        {
            weight -= self
                .measurements
                .pop_front()
                .map_or(0, |it| bounds::weight(&it));
        }
    }

    /// One more measurement that found no data. Whether that was one too many is only ever decided by such a one.
    fn wait(
        &mut self,
        plan: &MetricPlan,
        started: Timestamp,
        finished: Timestamp,
    ) -> (Phase, Option<Struck>) {
        let since = *self.waiting_since.get_or_insert(started);
        let waited = Duration::try_from(finished.duration_since(since)).unwrap_or_default();
        if waited < plan.no_data_timeout {
            return (Phase::Running, None);
        }
        (Phase::Inconclusive, Some(Struck::NoData { waited }))
    }

    fn assess(
        &self,
        plan: &MetricPlan,
        last: Option<Phase>,
        terminating: bool,
    ) -> (Phase, Option<Struck>) {
        assess(
            &plan.limits,
            plan.interval.is_some(),
            &self.counts,
            last,
            terminating,
        )
    }

    fn end(&mut self, plan: &MetricPlan, phase: Phase, struck: Option<Struck>) {
        self.phase = phase;
        self.struck = struck;
        self.due_at = None;
        self.waiting_since = None;
        if let Some(last) = self.measurements.back() {
            self.message.clone_from(&last.message);
        }
        if let Some(struck) = struck.filter(|_| plan.dry_run) {
            self.message = self.assessed("Metric", struck);
        }
    }

    /// Ends a metric that had not come to its own end.
    pub(super) fn cut_short(&mut self, plan: &MetricPlan, stop: Stop) {
        self.cut_short = Some(stop);
        let last = self.measurements.back().map(|last| last.phase);
        let (phase, struck) = match stop {
            Stop::Concluded if self.lacks(plan).is_some() => (Phase::Inconclusive, None),
            Stop::Concluded => (Phase::Successful, None),
            Stop::Terminated | Stop::Metric(_) if self.taken == 0 => (Phase::Pending, None),
            Stop::Terminated | Stop::Metric(_) => self.assess(plan, last, true),
        };
        self.end(plan, phase, struck);
    }

    /// What keeps the metric from being found good when the run is concluded; `None`: nothing does.
    pub fn lacks(&self, plan: &MetricPlan) -> Option<String> {
        let limits = &plan.limits;
        if self.good == 0 {
            return Some("no good measurement".to_owned());
        }
        // A streak that was asked for is not reached by running out of time.
        let has_own_end = self.phase.is_over() && self.cut_short.is_none();
        if !has_own_end
            && limits.consecutive_success > 0
            && !is_streak_reached(limits, &self.counts)
        {
            return Some(format!(
                "consecutiveSuccess ({}) < consecutiveSuccessLimit ({})",
                self.counts.consecutive_success, limits.consecutive_success
            ));
        }
        None
    }

    /// Argo's sentence about `whom`, which ended because of `struck`.
    pub(super) fn assessed(&self, whom: &str, struck: Struck) -> String {
        let sentence = format!("{whom} assessed {} due to {struck}", self.phase);
        if self.message.is_empty() {
            sentence
        } else {
            format!("{sentence}: \"Error Message: {}\"", self.message)
        }
    }
}

impl Default for MetricRun {
    fn default() -> Self {
        Self {
            phase: Phase::Pending,
            message: String::new(),
            counts: Counts::default(),
            struck: None,
            cut_short: None,
            taken: 0,
            good: 0,
            measurements: VecDeque::new(),
            due_at: None,
            in_flight: None,
            waiting_since: None,
        }
    }
}

/// The time from the end of a measurement to the next one.
fn pause(plan: &MetricPlan, last: Phase) -> Duration {
    match last {
        Phase::Error => RETRY_AFTER,
        Phase::Pending
        | Phase::Running
        | Phase::Successful
        | Phase::Failed
        | Phase::Inconclusive => plan.interval.unwrap_or(RETRY_AFTER),
    }
}

/// The moment `duration` after `moment`, or the last there is.
pub(super) fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}
