//! The stored form of how far a run has come.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::values::Moment;
use super::words::Word;
use super::{FormError, Identity, Text};
use crate::domain::assess::{Counts, Struck};
use crate::domain::measurement::Phase;
use crate::domain::plan::Plan;
use crate::domain::run::{Command, InFlight, MetricRun, Run, Stop};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StateForm<'a> {
    created_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conclude_after: Option<Duration>,
    phase: Word<Phase>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    message: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop: Option<StopForm>,
    metrics: Vec<MetricForm<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MetricForm<'a> {
    phase: Word<Phase>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    message: Cow<'a, str>,
    counts: CountsForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    struck: Option<StruckForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut_short: Option<StopForm>,
    taken: u64,
    good: u64,
    /// How many measurements are stored: one that is missing shall not go unnoticed.
    kept: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_flight: Option<InFlightForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting_since: Option<Moment>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CountsForm {
    successful: u64,
    failed: u64,
    inconclusive: u64,
    error: u64,
    count: u64,
    consecutive_error: u64,
    consecutive_success: u64,
    consecutive_failure: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InFlightForm {
    number: u64,
    started_at: Moment,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StopForm {
    Terminated,
    Concluded,
    Metric(usize),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StruckForm {
    Failures { failed: u64, limit: i64 },
    FailuresInARow { failures: u64, limit: i64 },
    Inconclusives { inconclusive: u64, limit: i64 },
    ErrorsInARow { errors: u64, limit: i64 },
    NoData { waited: Duration },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum CommandForm {
    Terminate,
    Conclude,
    NotBefore(Moment),
    NoTrafficBefore(Moment),
}

/// What is stored of how far `run` has come, its measurements left out.
pub(in crate::store) fn state_text(run: &Run) -> String {
    serde_json::to_string(&StateForm::of(run)).expect("its keys are texts")
}

/// What is stored of a command.
pub(in crate::store) fn command_text(command: Command) -> String {
    let form = match command {
        Command::Terminate => CommandForm::Terminate,
        Command::Conclude => CommandForm::Conclude,
        Command::NotBefore(moment) => CommandForm::NotBefore(Moment(moment)),
        Command::NoTrafficBefore(moment) => CommandForm::NoTrafficBefore(Moment(moment)),
    };
    serde_json::to_string(&form).expect("its keys are texts")
}

/// A command from what is stored of it.
pub(in crate::store) fn command_of(text: &Text) -> Result<Command, FormError> {
    Ok(match serde_json::from_str(text.known()?)? {
        CommandForm::Terminate => Command::Terminate,
        CommandForm::Conclude => Command::Conclude,
        CommandForm::NotBefore(Moment(moment)) => Command::NotBefore(moment),
        CommandForm::NoTrafficBefore(Moment(moment)) => Command::NoTrafficBefore(moment),
    })
}

/// A run without its measurements, and how many of them each metric keeps.
pub(super) fn run_of(
    identity: Identity,
    plan: Arc<Plan>,
    text: &Text,
) -> Result<(Run, Vec<usize>), FormError> {
    let state: StateForm<'_> = serde_json::from_str(text.known()?)?;
    if state.metrics.len() != plan.metrics.len() {
        return Err(FormError::Pieces(format!(
            "its state is of {} metrics, and its spec has {}",
            state.metrics.len(),
            plan.metrics.len()
        )));
    }
    let Identity {
        id,
        namespace,
        name,
        labels,
        templates,
    } = identity;
    let StateForm {
        created_at,
        not_before,
        conclude_after,
        phase,
        message,
        started_at,
        completed_at,
        stop,
        metrics,
    } = state;
    let kept = metrics.iter().map(|metric| metric.kept).collect();
    let run = Run {
        id,
        namespace,
        name,
        labels,
        templates,
        plan,
        created_at: created_at.0,
        not_before: not_before.map(|moment| moment.0),
        conclude_after,
        phase: phase.0,
        message: message.into_owned(),
        started_at: started_at.map(|moment| moment.0),
        completed_at: completed_at.map(|moment| moment.0),
        stop: stop.map(Stop::from),
        metrics: metrics.into_iter().map(MetricRun::from).collect(),
    };
    Ok((run, kept))
}

impl<'a> StateForm<'a> {
    fn of(run: &'a Run) -> Self {
        let Run {
            id: _,
            namespace: _,
            name: _,
            labels: _,
            templates: _,
            plan: _,
            created_at,
            not_before,
            conclude_after,
            phase,
            message,
            started_at,
            completed_at,
            stop,
            metrics,
        } = run;
        Self {
            created_at: Moment(*created_at),
            not_before: not_before.map(Moment),
            conclude_after: *conclude_after,
            phase: Word(*phase),
            message: Cow::Borrowed(message),
            started_at: started_at.map(Moment),
            completed_at: completed_at.map(Moment),
            stop: stop.map(StopForm::from),
            metrics: metrics.iter().map(MetricForm::of).collect(),
        }
    }
}

impl<'a> MetricForm<'a> {
    fn of(metric: &'a MetricRun) -> Self {
        let MetricRun {
            phase,
            message,
            counts,
            struck,
            cut_short,
            taken,
            good,
            measurements,
            due_at,
            in_flight,
            waiting_since,
        } = metric;
        Self {
            phase: Word(*phase),
            message: Cow::Borrowed(message),
            counts: CountsForm::from(*counts),
            struck: struck.map(StruckForm::from),
            cut_short: cut_short.map(StopForm::from),
            taken: *taken,
            good: *good,
            kept: measurements.len(),
            due_at: due_at.map(Moment),
            in_flight: in_flight.map(|InFlight { number, started_at }| InFlightForm {
                number,
                started_at: Moment(started_at),
            }),
            waiting_since: waiting_since.map(Moment),
        }
    }
}

impl From<MetricForm<'_>> for MetricRun {
    fn from(form: MetricForm<'_>) -> Self {
        let MetricForm {
            phase,
            message,
            counts,
            struck,
            cut_short,
            taken,
            good,
            kept,
            due_at,
            in_flight,
            waiting_since,
        } = form;
        Self {
            phase: phase.0,
            message: message.into_owned(),
            counts: Counts::from(counts),
            struck: struck.map(Struck::from),
            cut_short: cut_short.map(Stop::from),
            taken,
            good,
            measurements: VecDeque::with_capacity(kept.min(1_000)),
            due_at: due_at.map(|moment| moment.0),
            in_flight: in_flight.map(|InFlightForm { number, started_at }| InFlight {
                number,
                started_at: started_at.0,
            }),
            waiting_since: waiting_since.map(|moment| moment.0),
        }
    }
}

impl From<Counts> for CountsForm {
    fn from(counts: Counts) -> Self {
        let Counts {
            successful,
            failed,
            inconclusive,
            error,
            count,
            consecutive_error,
            consecutive_success,
            consecutive_failure,
        } = counts;
        Self {
            successful,
            failed,
            inconclusive,
            error,
            count,
            consecutive_error,
            consecutive_success,
            consecutive_failure,
        }
    }
}

impl From<CountsForm> for Counts {
    fn from(form: CountsForm) -> Self {
        let CountsForm {
            successful,
            failed,
            inconclusive,
            error,
            count,
            consecutive_error,
            consecutive_success,
            consecutive_failure,
        } = form;
        Self {
            successful,
            failed,
            inconclusive,
            error,
            count,
            consecutive_error,
            consecutive_success,
            consecutive_failure,
        }
    }
}

impl From<Stop> for StopForm {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Terminated => Self::Terminated,
            Stop::Concluded => Self::Concluded,
            Stop::Metric(metric) => Self::Metric(metric),
        }
    }
}

impl From<StopForm> for Stop {
    fn from(form: StopForm) -> Self {
        match form {
            StopForm::Terminated => Self::Terminated,
            StopForm::Concluded => Self::Concluded,
            StopForm::Metric(metric) => Self::Metric(metric),
        }
    }
}

impl From<Struck> for StruckForm {
    fn from(struck: Struck) -> Self {
        match struck {
            Struck::Failures { failed, limit } => Self::Failures { failed, limit },
            Struck::FailuresInARow { failures, limit } => Self::FailuresInARow { failures, limit },
            Struck::Inconclusives {
                inconclusive,
                limit,
            } => Self::Inconclusives {
                inconclusive,
                limit,
            },
            Struck::ErrorsInARow { errors, limit } => Self::ErrorsInARow { errors, limit },
            Struck::NoData { waited } => Self::NoData { waited },
        }
    }
}

impl From<StruckForm> for Struck {
    fn from(form: StruckForm) -> Self {
        match form {
            StruckForm::Failures { failed, limit } => Self::Failures { failed, limit },
            StruckForm::FailuresInARow { failures, limit } => {
                Self::FailuresInARow { failures, limit }
            }
            StruckForm::Inconclusives {
                inconclusive,
                limit,
            } => Self::Inconclusives {
                inconclusive,
                limit,
            },
            StruckForm::ErrorsInARow { errors, limit } => Self::ErrorsInARow { errors, limit },
            StruckForm::NoData { waited } => Self::NoData { waited },
        }
    }
}
