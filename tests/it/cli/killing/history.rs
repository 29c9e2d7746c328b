//! A run's history, held against what its OAP answered and against the rules.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde_json::Value;
use skygate::domain::assess::{Counts, assess};
use skygate::domain::measurement::Phase;

use super::oap::{Answer, Said};
use super::plot::{GOOD, INTERVAL, NO_DATA, Plot};

/// What there is to say of one run.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) measurements: usize,
    /// The longest time between when a measurement was due and when it was begun: a service that is dead measures nothing.
    pub(super) latest: Duration,
    pub(super) violations: Vec<String>,
}

/// Holds a run that is over against what its OAP answered.
pub(super) fn check(plot: &Plot, run: &Value, answers: &[Answer]) -> History {
    let mut history = History::default();
    let phase = phase_of(&run["status"]);
    let results = run["status"]["metricResults"].as_array();
    let results = results.expect("the metrics' results");
    for metric in results {
        history.check_metric(plot, metric, answers);
    }
    let worst = skygate::domain::assess::worst(results.iter().map(phase_of));
    if plot.verdict().is_some_and(|verdict| verdict != phase) || worst != phase {
        history.object(plot, &format!("it ended as {phase}"), run);
    }
    let stop = &run["status"]["stop"];
    if plot.is_endless() && stop != "Terminated" {
        history.object(plot, &format!("it was not terminated: {stop}"), run);
    }
    history
}

impl History {
    fn check_metric(&mut self, plot: &Plot, metric: &Value, answers: &[Answer]) {
        let is_query = metric["name"] == "query";
        let own: Vec<&Answer> = answers
            .iter()
            .filter(|it| it.service == plot.service() && it.is_query == is_query)
            .collect();
        let measurements = metric["measurements"].as_array().expect("measurements");
        self.measurements += measurements.len();
        if metric["taken"] != measurements.len() {
            self.object(plot, "measurements are missing", metric);
        }

        let mut counts = Counts::default();
        let (mut before, mut last): (Option<&Value>, _) = (None, None);
        let limits = plot.limits();
        for (n, measurement) in measurements.iter().enumerate() {
            if measurement["number"] != n + 1 {
                self.object(plot, &format!("its number is not {}", n + 1), measurement);
            }
            if let Err(why) = answered(measurement, &own) {
                self.object(plot, &why, measurement);
            }
            if let Some(before) = before {
                self.check_pause(plot, before, measurement);
            }
            before = Some(measurement);
            let (ended, _) = assess(&limits, true, &counts, last, false);
            if ended.is_over() {
                self.object(plot, "it should have ended before", measurement);
            }
            if measurement["counts"] == true {
                let phase = phase_of(measurement);
                counts.record(phase);
                last = Some(phase);
            }
        }

        if counters(metric) != counts {
            self.object(plot, &format!("the counters are not {counts:?}"), metric);
        }
        let phase = phase_of(metric);
        let expected = if metric["struck"]["rule"] == "noDataTimeout" {
            let first = measurements.first().map(|it| moment(it, "startedAt"));
            let end = measurements.last().map(|it| moment(it, "finishedAt"));
            let waited = end.zip(first).map(|(end, first)| end.duration_since(first));
            if waited.and_then(|it| Duration::try_from(it).ok()) < Some(NO_DATA) {
                self.object(plot, "it did not wait for data", metric);
            }
            Phase::Inconclusive
        } else {
            assess(&limits, true, &counts, last, plot.is_endless()).0
        };
        // A run that was terminated before it was measured leaves its metric as it was.
        if phase != expected && !(plot.is_endless() && measurements.is_empty()) {
            self.object(plot, &format!("it is not {expected}"), metric);
        }
    }

    /// No measurement comes before its time.
    fn check_pause(&mut self, plot: &Plot, before: &Value, measurement: &Value) {
        let due = moment(before, "finishedAt")
            .checked_add(INTERVAL)
            .expect("a moment");
        let late = moment(measurement, "startedAt").duration_since(due);
        // What is shown is cut to the millisecond.
        if late < SignedDuration::from_millis(-1) {
            self.object(plot, &format!("it is {late:?} late"), measurement);
        }
        self.latest = self
            .latest
            .max(Duration::try_from(late).unwrap_or_default());
    }

    fn object(&mut self, plot: &Plot, what: &str, at: &Value) {
        let Plot { number, kind, .. } = plot;
        self.violations
            .push(format!("run {number}, {kind:?}: {what}: {at}"));
    }
}

/// Numbers of answers that are more than one measurement.
pub(super) fn answers_used_twice(runs: &[(Plot, Value)]) -> Vec<String> {
    let mut uses: HashMap<u64, Vec<String>> = HashMap::new();
    for (plot, run) in runs {
        let metrics = run["status"]["metricResults"].as_array();
        for metric in metrics.expect("the metrics' results") {
            for measurement in metric["measurements"].as_array().expect("measurements") {
                if let Some(number) = value_of(measurement) {
                    let place = format!("{} #{}", plot.key(), measurement["number"]);
                    uses.entry(number).or_default().push(place);
                }
            }
        }
    }
    let twice = uses.into_iter().filter(|(_, places)| places.len() > 1);
    twice
        .map(|(number, places)| format!("the answer {number} is {}", places.join(" and ")))
        .collect()
}

/// Whether the OAP has answered what the measurement says, for the same window and while it was being taken.
fn answered(measurement: &Value, answers: &[&Answer]) -> Result<(), String> {
    let why = &measurement["explanation"];
    let end = |name: &str| why["window"][name].as_str().unwrap_or_default();
    let window = (end("start"), end("end"));
    let (from, to) = (
        moment(measurement, "startedAt"),
        moment(measurement, "finishedAt"),
    );
    let mut meanwhile = answers.iter().filter(|it| {
        let (start, end) = &it.window;
        let at = shown(it.at);
        (start.as_str(), end.as_str()) == window && from <= at && at <= to
    });
    let phase = phase_of(measurement);
    let is_waiting = measurement["counts"] == false;
    let is_it = |said: Said| match said {
        Said::Values(number) => {
            let is_good = number >= GOOD;
            let expected = if is_good {
                Phase::Successful
            } else {
                Phase::Failed
            };
            value_of(measurement) == Some(number) && phase == expected && !is_waiting
        }
        Said::Nothing => value_of(measurement).is_none() && why["noData"] == true && is_waiting,
        Said::Garbage => phase == Phase::Error && !is_waiting,
        Said::Away => false,
    };
    if meanwhile.any(|answer| is_it(answer.said)) {
        return Ok(());
    }
    let nearest: Vec<_> = answers.iter().filter(|it| from <= shown(it.at)).collect();
    let nearest = &nearest[..nearest.len().min(3)];
    Err(format!("nothing like it was answered; {nearest:?} was"))
}

/// The number of the answer that a measurement is made of; `None`: it has none, or several.
fn value_of(measurement: &Value) -> Option<u64> {
    let series = measurement["explanation"]["series"].as_array()?;
    let points = series.iter().filter_map(|it| it["points"].as_array());
    let mut values = points.flatten().map(|point| point["value"].as_f64());
    let first = values.next()??;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    let number = first as u64;
    values.all(|value| value == Some(first)).then_some(number)
}

fn counters(metric: &Value) -> Counts {
    let number = |name: &str| metric[name].as_u64().expect("a counter");
    Counts {
        successful: number("successful"),
        failed: number("failed"),
        inconclusive: number("inconclusive"),
        error: number("error"),
        count: number("count"),
        consecutive_error: number("consecutiveError"),
        consecutive_success: number("consecutiveSuccess"),
        consecutive_failure: number("consecutiveFailure"),
    }
}

fn phase_of(of: &Value) -> Phase {
    match of["phase"].as_str().expect("a phase") {
        "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Successful" => Phase::Successful,
        "Failed" => Phase::Failed,
        "Error" => Phase::Error,
        "Inconclusive" => Phase::Inconclusive,
        other => panic!("`{other}` is no phase"),
    }
}

fn moment(of: &Value, name: &str) -> Timestamp {
    let text = of[name].as_str().expect("a moment");
    text.parse().expect("a moment")
}

/// A moment as the service shows it.
fn shown(at: Timestamp) -> Timestamp {
    let to_the_millisecond = TimestampRound::new()
        .smallest(Unit::Millisecond)
        .mode(RoundMode::Trunc);
    at.round(to_the_millisecond).expect("a moment")
}
