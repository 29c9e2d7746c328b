//! What is known of a run from outside: what was asked for, what was said, and what must have come of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skygate::domain::assess::Counts;
use skygate::domain::measurement::{Measurement, Phase};
use skygate::domain::run::{MetricRun, Run, Stop};

use super::source::{Attempt, Attempts};
use crate::harness::{fake_plan, metric};

/// What a run measures: each of its metrics has the same limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) count: i64,
    pub(super) failures: i64,
    pub(super) inconclusives: i64,
    /// In seconds.
    pub(super) interval: u64,
    /// In seconds.
    pub(super) delay: u64,
    pub(super) metrics: usize,
}

/// More errors in a row than this end a metric.
const ERRORS: u64 = 2;

/// How long after an error a metric is measured again, in seconds.
const AFTER_ERROR: u64 = 10;

impl Shape {
    pub(super) fn plan(&self, id: &str) -> std::sync::Arc<skygate::domain::plan::Plan> {
        let Self {
            count,
            failures,
            inconclusives,
            interval,
            delay,
            metrics,
        } = self;
        let metrics: Vec<String> = (0..*metrics)
            .map(|n| {
                let limits = format!(
                    "interval: {interval}s, initialDelay: {delay}s, count: {count}, failureLimit: {failures}, \
                     inconclusiveLimit: {inconclusives}, consecutiveErrorLimit: {ERRORS}"
                );
                // Waiting for data ends by what is said, never by the time that passes.
                metric(&format!("{id}m{n}"), &limits).replace(
                    "interval: 1m, expression",
                    "noDataTimeout: 1000h, interval: 1m, expression",
                )
            })
            .collect();
        fake_plan(&metrics)
    }
}

/// A run as it must be.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that may or may not have happened"
)]
pub(super) struct Model {
    pub(super) shape: Shape,
    /// What has been recorded, metric by metric and number by number: which attempt. It only grows.
    recorded: Vec<Vec<Attempt>>,
    /// Whether its store has said yes to it.
    pub(super) is_accepted: bool,
    /// Whether its deletion was asked for, and may have been done.
    pub(super) may_be_gone: bool,
    /// Whether its deletion was answered.
    pub(super) is_gone: bool,
    /// Whether somebody asked for its end, and was or may have been heard.
    pub(super) may_be_terminated: bool,
    pub(super) is_terminated: bool,
    /// The moments that somebody said its traffic began, as far as he may have been heard; and whether any was answered.
    pub(super) not_before: Vec<Timestamp>,
    pub(super) has_not_before: bool,
    /// As it was when it was first seen to be over.
    ended: Option<String>,
}

/// What is wrong with a run.
pub(super) type Checked = Result<(), String>;

macro_rules! ensure {
    ($claim:expr, $($text:tt)*) => {
        if !$claim {
            return Err(format!($($text)*));
        }
    };
}

impl Model {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            recorded: vec![Vec::new(); shape.metrics],
            is_accepted: false,
            may_be_gone: false,
            is_gone: false,
            may_be_terminated: false,
            is_terminated: false,
            not_before: Vec::new(),
            has_not_before: false,
            ended: None,
        }
    }

    /// Whether its run was seen to be over.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// What holds of its run at any moment.
    pub(super) fn check(&mut self, run: &Run, attempts: &Attempts) -> Checked {
        for metric in 0..self.shape.metrics {
            self.take_in(run, metric, attempts)?;
            let state = &run.metrics[metric];
            self.check_counts(metric, state)?;
            self.check_schedule(run, metric, state)?;
            self.check_phase(run, metric, state)?;
        }
        self.check_run(run)
    }

    /// Takes in what the metric has recorded since: numbers follow one another, and what was recorded stays.
    fn take_in(&mut self, run: &Run, metric: usize, attempts: &Attempts) -> Checked {
        let state = &run.metrics[metric];
        let recorded = &mut self.recorded[metric];
        let kept = state.measurements.len() as u64;
        ensure!(
            kept == state.taken.min(10),
            "metric {metric} has taken {} and keeps {kept}",
            state.taken
        );
        ensure!(
            state.taken >= recorded.len() as u64,
            "metric {metric} had {} measurements and has {}",
            recorded.len(),
            state.taken
        );
        let first = state.taken - kept + 1;
        for (number, measurement) in (first..).zip(&state.measurements) {
            ensure!(
                measurement.number == number,
                "metric {metric} has number {} where {number} belongs",
                measurement.number
            );
            let attempt = attempts.of(measurement);
            ensure!(
                (attempt.run.as_str(), attempt.metric, attempt.number)
                    == (run.id.0.as_str(), metric, number),
                "metric {metric} has as number {number} what was said to {attempt:?}"
            );
            ensure!(
                letter(measurement) == attempt.letter,
                "metric {metric} has as number {number} {}, and {attempt:?} was said",
                measurement.phase
            );
            let place = usize::try_from(number).expect("a few") - 1;
            #[expect(clippy::single_match_else, reason = "both ways have their reason told")]
            match recorded.get(place) {
                Some(before) => ensure!(
                    before.id == attempt.id,
                    "number {number} of metric {metric} was {before:?} and is {attempt:?}"
                ),
                // It is the next one, or others were recorded and dropped since somebody last looked.
                None => {
                    ensure!(
                        place == recorded.len(),
                        "metric {metric} has lost what came before {number}"
                    );
                    recorded.push(Attempt {
                        begun: Some(measurement.started_at),
                        done: measurement.finished_at,
                        ..attempt.clone()
                    });
                }
            }
        }
        ensure!(
            state.taken == recorded.len() as u64,
            "metric {metric} has taken {}, {} were recorded",
            state.taken,
            recorded.len()
        );
        Ok(())
    }

    fn check_counts(&self, metric: usize, state: &MetricRun) -> Checked {
        let mut counts = Counts::default();
        let mut good = 0;
        for attempt in &self.recorded[metric] {
            good += u64::from(attempt.letter == 'S');
            if let Some(phase) = phase_of(attempt.letter) {
                counts.record(phase);
            }
        }
        ensure!(
            state.counts == counts && state.good == good,
            "metric {metric} has counted {:?}, {} good, where {counts:?}, {good} good, were measured",
            state.counts,
            state.good
        );
        Ok(())
    }

    /// Nothing is measured before it is due, and nothing in a burst.
    fn check_schedule(&self, run: &Run, metric: usize, state: &MetricRun) -> Checked {
        let Some(started) = run.started_at else {
            return Ok(());
        };
        let seconds = |at: Timestamp, seconds| {
            at.checked_add(std::time::Duration::from_secs(seconds))
                .expect("a moment")
        };
        let mut due = seconds(started, self.shape.delay);
        for attempt in &self.recorded[metric] {
            let begun = attempt.begun.expect("it was recorded");
            ensure!(
                begun >= due,
                "{attempt:?} of metric {metric} was due at {due}"
            );
            let pause = match attempt.letter {
                'E' | '!' => AFTER_ERROR,
                _ => self.shape.interval,
            };
            due = seconds(attempt.done.expect("it was recorded"), pause);
        }
        if let Some(in_flight) = state.in_flight {
            ensure!(
                in_flight.started_at >= due && in_flight.number == state.taken + 1,
                "metric {metric} was due at {due}, and measures {in_flight:?}"
            );
        }
        ensure!(
            state.due_at.is_none_or(|at| at == due),
            "metric {metric} is due at {due}, and says {:?}",
            state.due_at
        );
        Ok(())
    }

    /// By Argo's rules: whether what was measured has ended the metric, and how.
    fn check_phase(&self, run: &Run, metric: usize, state: &MetricRun) -> Checked {
        let (mut failed, mut inconclusive, mut errors, mut count) = (0, 0, 0, 0);
        let mut phase = Phase::Pending;
        for attempt in &self.recorded[metric] {
            ensure!(
                !phase.is_over(),
                "metric {metric} was {phase}, and was measured again: {attempt:?}"
            );
            phase = Phase::Running;
            match attempt.letter {
                'W' => continue,
                'F' => failed += 1,
                'I' => inconclusive += 1,
                _ => {}
            }
            if matches!(attempt.letter, 'E' | '!') {
                errors += 1;
            } else {
                errors = 0;
                count += 1;
            }
            phase = if errors > ERRORS {
                Phase::Error
            } else if inconclusive > self.shape.inconclusives {
                Phase::Inconclusive
            } else if failed > self.shape.failures {
                Phase::Failed
            } else if count >= self.shape.count {
                Phase::Successful
            } else {
                Phase::Running
            };
        }
        let expected = if phase.is_over() || state.cut_short.is_none() {
            match (phase, state.in_flight) {
                (Phase::Pending, Some(_)) => Phase::Running,
                (phase, _) => phase,
            }
        } else if self.recorded[metric].is_empty() {
            Phase::Pending
        } else {
            Phase::Successful
        };
        ensure!(
            state.phase == expected,
            "metric {metric} is {}, and must be {expected}: {run:#?}",
            state.phase
        );
        ensure!(
            !phase.is_over() || (state.in_flight, state.due_at) == (None, None),
            "metric {metric} is over, and goes on"
        );
        Ok(())
    }

    fn check_run(&mut self, run: &Run) -> Checked {
        // Its plan may have been made again.
        let shown = format!(
            "{} `{}` {:?} {:?} {:?} {:?}",
            run.phase, run.message, run.completed_at, run.stop, run.not_before, run.metrics
        );
        if let Some(ended) = &self.ended {
            ensure!(
                *ended == shown,
                "it has ended, and has changed: {ended}\n{shown}"
            );
        } else if run.phase.is_over() {
            let is_measuring = run.metrics.iter().any(|state| state.in_flight.is_some());
            ensure!(
                !is_measuring && run.completed_at.is_some(),
                "it is over, and goes on"
            );
            let are_over = run.metrics.iter().all(|state| state.phase.is_over());
            ensure!(
                are_over || run.stop.is_some(),
                "it is over, and nobody knows why"
            );
            self.ended = Some(shown);
        }
        ensure!(
            run.stop != Some(Stop::Terminated) || self.may_be_terminated,
            "nobody has terminated it"
        );
        ensure!(
            run.not_before.is_none_or(
                |at| self.not_before.first() == Some(&at) || self.not_before.contains(&at)
            ),
            "nobody has said {:?}",
            run.not_before
        );
        Ok(())
    }

    /// What holds once every engine has had its say: nothing is forgotten of what was answered.
    pub(super) fn check_settled(&self, run: &Run, now: Timestamp) -> Checked {
        ensure!(
            run.next_due().is_none_or(|due| due > now),
            "it was due at {:?}, and it is {now}",
            run.next_due()
        );
        ensure!(
            run.outstanding().is_empty(),
            "{:?} is left behind",
            run.outstanding()
        );
        ensure!(
            run.phase.is_over() || run.next_due().is_some(),
            "it is not over, and never due"
        );
        ensure!(
            !self.is_terminated || run.phase.is_over(),
            "it was told to end, and goes on"
        );
        ensure!(
            !self.has_not_before || run.not_before.is_some() || run.phase.is_over(),
            "it was told when its traffic began, and doesn't know"
        );
        Ok(())
    }
}

/// The letter that a measurement stands for.
fn letter(measurement: &Measurement) -> char {
    match measurement.phase {
        Phase::Successful => 'S',
        Phase::Failed => 'F',
        Phase::Inconclusive if measurement.counts => 'I',
        Phase::Inconclusive => 'W',
        Phase::Error => 'E',
        Phase::Pending | Phase::Running => '?',
    }
}

/// What a letter counts as; nothing where it waits for data.
fn phase_of(letter: char) -> Option<Phase> {
    match letter {
        'S' => Some(Phase::Successful),
        'F' => Some(Phase::Failed),
        'I' => Some(Phase::Inconclusive),
        'E' => Some(Phase::Error),
        _ => None,
    }
}

/// What is known of all runs.
pub(super) type Models = BTreeMap<String, Model>;
