//! A run of an analysis, and the one function that moves it.
//!
//! [`step`] takes a run, an event and the time, and gives the run as it is then, and what is to be done about it.
//! Whoever calls it saves the run *before* doing anything: the saved run says what is outstanding ([`Run::outstanding`]),
//! so that a crash in between loses nothing, and a measurement that arrives twice, late or unasked is counted once or never.
//!
//! The schedule is Argo's: the first measurement at once or after `initialDelay`, the next one `interval` after the end of
//! the last, ten seconds after an error. A moment that was slept through is not made up for.
//!
//! A run whose fate is decided takes no further measurement, but what is already being measured is waited for, as Argo's
//! controller does, and its own timeout bounds the wait: so it does not matter in which order the answers of one moment
//! come in. Only a run that somebody terminates drops what is in flight; the engine hands a command over when its worker
//! is done measuring, so what is dropped there is what a dead holder left behind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::assess::effective_count;
use super::bounds::MOST_WEIGHT;
use super::measurement::{Measurement, Phase};
use super::metric_run::after;
use super::plan::{MetricPlan, Plan};

pub use super::metric_run::{InFlight, MetricRun, RETRY_AFTER};

/// What tells runs apart: `metadata.uid` of an `AnalysisRun`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A run: its plan and how far it has come.
#[derive(Clone, Debug)]
pub struct Run {
    /// What tells it apart.
    pub id: RunId,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The templates it was asked for by, as `name` or `clustertemplates/name`; empty for a spec of its own.
    pub templates: Vec<String>,
    /// What it measures.
    pub plan: Arc<Plan>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the version it judges first took traffic; set once.
    pub not_before: Option<Timestamp>,
    /// How long after its start a run is ended that has no end of its own.
    pub conclude_after: Option<Duration>,
    /// Pending, Running, or how it ended.
    pub phase: Phase,
    /// How it came to that, in Argo's words; empty until it is over, and where Argo has no words for it.
    /// [`Run::explanation`] says more.
    pub message: String,
    /// When it was first looked at.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Why it takes no further measurement, where that isn't because all of its metrics are over.
    pub stop: Option<Stop>,
    /// How far each metric has come, in the order of the plan.
    pub metrics: Vec<MetricRun>,
}

/// Why a run takes no further measurement although some of its metrics have not come to their own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Terminated,
    /// The time it was to be concluded after has passed.
    Concluded,
    /// The metric at this index, no dry run, ended badly.
    Metric(usize),
}

/// What happens to a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Time has passed: begin what is due. Harmless when nothing is.
    Due,
    /// A measurement came back. Ignored if it isn't the one that the run waits for.
    Measured {
        /// The index of its metric.
        metric: usize,
        /// What came of it.
        measurement: Measurement,
    },
    /// Somebody outside wants something of it.
    Command(Command),
}

/// What somebody outside may want of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// That it ends now.
    Terminate,
    /// That it is concluded now, with what it has measured. Ignored by a run whose metrics will all end by themselves.
    Conclude,
    /// That it knows when its version first took traffic. Ignored where [`Run::accepts_not_before`] says no.
    NotBefore(Timestamp),
    /// That its version took its first traffic only at this moment, though it was taken for earlier. Never makes it earlier.
    NoTrafficBefore(Timestamp),
}

/// What is to be done for a run. Doing it twice is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Measure, and bring the answer as [`Event::Measured`].
    Measure {
        /// The index of the metric.
        metric: usize,
        /// The number that the measurement will have.
        number: u64,
    },
}

/// Moves `run` by one event. Pure: the same input gives the same output. A run that is over stays as it is.
pub fn step(mut run: Run, event: Event, now: Timestamp) -> (Run, Vec<Effect>) {
    if run.phase.is_over() {
        return (run, Vec::new());
    }
    let mut effects = Vec::new();
    match event {
        Event::Due => {
            run.start(now);
            run.settle(now);
            effects = run.begin_due(now);
        }
        Event::Measured {
            metric,
            measurement,
        } => {
            if run.awaits(metric, &measurement) {
                run.record(metric, measurement, now);
                run.settle(now);
            }
        }
        Event::Command(Command::Terminate) => {
            run.start(now);
            run.stop = Some(Stop::Terminated);
            for state in &mut run.metrics {
                state.in_flight = None;
            }
            run.settle(now);
        }
        Event::Command(Command::Conclude) => {
            run.start(now);
            run.conclude_by(now);
            run.settle(now);
        }
        Event::Command(Command::NotBefore(moment)) => {
            run.not_before.get_or_insert(moment);
        }
        Event::Command(Command::NoTrafficBefore(moment)) => {
            run.not_before = run.not_before.max(Some(moment));
            // That there was no data before there was traffic is no wonder.
            for state in &mut run.metrics {
                state.waiting_since = state.waiting_since.map(|since| since.max(moment));
            }
        }
    }
    (run, effects)
}

impl Run {
    /// A run of `plan` that nothing has happened to yet; due at once.
    pub fn new(
        id: RunId,
        namespace: impl Into<String>,
        name: impl Into<String>,
        plan: Arc<Plan>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            namespace: namespace.into(),
            name: name.into(),
            labels: BTreeMap::new(),
            templates: Vec::new(),
            metrics: vec![MetricRun::default(); plan.metrics.len()],
            plan,
            created_at,
            not_before: None,
            conclude_after: None,
            phase: Phase::Pending,
            message: String::new(),
            started_at: None,
            completed_at: None,
            stop: None,
        }
    }

    /// The moment from which its own `ttlStrategy` lets it be forgotten; `None`: while it is under way, and where there is none.
    pub fn expires_at(&self) -> Option<Timestamp> {
        Some(after(self.completed_at?, self.plan.ttl.after(self.phase)?))
    }

    /// When it wants its next [`Event::Due`]; `None`: not before another event, or never again.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.phase.is_over() || self.stop.is_some() {
            return None;
        }
        if self.started_at.is_none() {
            return Some(self.created_at);
        }
        let measure_at = self.metrics.iter().filter_map(|state| state.due_at);
        measure_at.chain(self.concludes_at()).min()
    }

    /// The effects that were begun and haven't come back, for whoever takes over a saved run.
    pub fn outstanding(&self) -> Vec<Effect> {
        let outstanding = |(metric, state): (usize, &MetricRun)| {
            state.in_flight.map(|in_flight| Effect::Measure {
                metric,
                number: in_flight.number,
            })
        };
        self.metrics
            .iter()
            .enumerate()
            .filter_map(outstanding)
            .collect()
    }

    /// Whether `moment` may become, or already is, the moment its version first took traffic: that is set once, before the run is over.
    pub fn accepts_not_before(&self, moment: Timestamp) -> bool {
        match self.not_before {
            Some(set) => set == moment,
            None => !self.phase.is_over(),
        }
    }

    /// Each metric's plan, and how far it has come.
    pub fn metrics(&self) -> impl Iterator<Item = (&MetricPlan, &MetricRun)> {
        self.plan.metrics.iter().zip(&self.metrics)
    }

    /// Whether it has a metric that only a limit on bad measurements, or somebody else, would end.
    pub fn is_endless(&self) -> bool {
        self.metrics().any(|(plan, state)| {
            !state.phase.is_over()
                && effective_count(&plan.limits, plan.interval.is_some()).is_none()
        })
    }

    fn start(&mut self, now: Timestamp) {
        if self.started_at.is_some() {
            return;
        }
        self.started_at = Some(now);
        self.phase = Phase::Running;
        for (plan, state) in self.plan.metrics.iter().zip(&mut self.metrics) {
            state.due_at = Some(after(now, plan.initial_delay));
        }
    }

    fn begin_due(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.stop.is_some() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        for (metric, state) in self.metrics.iter_mut().enumerate() {
            if state.due_at.is_some_and(|at| at <= now) {
                let number = state.begin(now);
                effects.push(Effect::Measure { metric, number });
            }
        }
        effects
    }

    /// Whether `measurement` is the one that is being waited for, and done.
    fn awaits(&self, metric: usize, measurement: &Measurement) -> bool {
        let in_flight = self.metrics.get(metric).and_then(|state| state.in_flight);
        measurement.phase.is_over()
            && in_flight.is_some_and(|in_flight| in_flight.number == measurement.number)
    }

    fn record(&mut self, metric: usize, measurement: Measurement, now: Timestamp) {
        let most = MOST_WEIGHT / self.metrics.len();
        self.metrics[metric].record(&self.plan.metrics[metric], measurement, now, most);
    }

    /// Draws the consequences: whether to stop, and once nothing is in flight, whether that was all.
    fn settle(&mut self, now: Timestamp) {
        self.stop = self.stop_at(now);
        if self.is_measuring() {
            return;
        }
        if let Some(stop) = self.stop {
            self.close_unfinished(stop);
        } else if self.metrics.iter().any(|state| !state.phase.is_over()) {
            return;
        }
        (self.phase, self.message) = self.verdict();
        self.completed_at = Some(now);
    }

    /// Why it takes no further measurement from `now` on. Of several metrics that end badly in one moment it is the first,
    /// whichever answer came first; and a bad end by a limit comes before the conclusion that was waiting for it.
    fn stop_at(&self, now: Timestamp) -> Option<Stop> {
        let is_time_up = || self.concludes_at().is_some_and(|end| end <= now);
        match self.stop {
            Some(Stop::Terminated) => Some(Stop::Terminated),
            stop @ (None | Some(Stop::Concluded | Stop::Metric(_))) => self
                .first_bad_metric()
                .map(Stop::Metric)
                .or(stop)
                .or_else(|| is_time_up().then_some(Stop::Concluded)),
        }
    }

    fn close_unfinished(&mut self, stop: Stop) {
        for (plan, state) in self.plan.metrics.iter().zip(&mut self.metrics) {
            if !state.phase.is_over() {
                state.cut_short(plan, stop);
            }
        }
    }

    fn first_bad_metric(&self) -> Option<usize> {
        self.metrics().position(|(plan, state)| {
            !plan.dry_run
                && match state.phase {
                    Phase::Pending | Phase::Running | Phase::Successful => false,
                    Phase::Failed | Phase::Error | Phase::Inconclusive => true,
                }
        })
    }

    /// When it is to be concluded; `None` where nobody asked for that, and where all of its metrics will end by themselves.
    fn concludes_at(&self) -> Option<Timestamp> {
        let conclude_after = self.conclude_after?;
        self.is_endless()
            .then(|| after(self.started_at.unwrap_or(self.created_at), conclude_after))
    }

    /// Has the time it is concluded after be the time that has passed, in whole seconds, where that is less.
    fn conclude_by(&mut self, now: Timestamp) {
        if !self.is_endless() {
            return;
        }
        let started_at = self.started_at.unwrap_or(self.created_at);
        let passed = Duration::try_from(now.duration_since(started_at)).unwrap_or_default();
        let passed = Duration::from_secs(passed.as_secs());
        let planned = self.conclude_after.unwrap_or(passed);
        self.conclude_after = Some(passed.min(planned));
    }

    fn is_measuring(&self) -> bool {
        self.metrics.iter().any(|state| state.in_flight.is_some())
    }
}
