//! From counts and limits to a phase: Argo's rules, in Argo's order, in Argo's words.
//!
//! Source of the rules: Argo Rollouts' analysis controller, as `tests/data/conformance/metric_status.json` records it.
//! Ours are [`Limits::consecutive_failure`] and the end of a metric that waited for data in vain.

use std::fmt;
use std::time::Duration;

use super::duration::short;
use super::measurement::Phase;
use super::plan::Limits;

/// What a metric's measurements came to, those that wait for data left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Successful measurements.
    pub successful: u64,
    /// Failed measurements.
    pub failed: u64,
    /// Inconclusive measurements.
    pub inconclusive: u64,
    /// Measurements that could not be made.
    pub error: u64,
    /// All of them but the errors: what `count` is held against.
    pub count: u64,
    /// The errors since anything else.
    pub consecutive_error: u64,
    /// The successes since anything else, errors included.
    pub consecutive_success: u64,
    /// The failures since anything else, errors included.
    pub consecutive_failure: u64,
}

impl Counts {
    /// Counts one more measurement of this phase; one that isn't over is not counted.
    pub fn record(&mut self, phase: Phase) {
        let tally = match phase {
            Phase::Pending | Phase::Running => return,
            Phase::Successful => &mut self.successful,
            Phase::Failed => &mut self.failed,
            Phase::Inconclusive => &mut self.inconclusive,
            Phase::Error => &mut self.error,
        };
        *tally += 1;
        if phase != Phase::Error {
            self.count += 1;
        }
        for (streak, of) in [
            (&mut self.consecutive_error, Phase::Error),
            (&mut self.consecutive_success, Phase::Successful),
            (&mut self.consecutive_failure, Phase::Failed),
        ] {
            *streak = if phase == of { *streak + 1 } else { 0 };
        }
    }

    /// All measurements that were counted, errors included.
    pub fn total(&self) -> u64 {
        self.count + self.error
    }
}

/// A limit that ended a metric. Its text is Argo's where the limit is Argo's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// More failures than `failureLimit` allows.
    Failures {
        /// How many.
        failed: u64,
        /// The limit.
        limit: i64,
    },
    /// As many failures in a row as `consecutiveFailureLimit` says.
    FailuresInARow {
        /// How many.
        failures: u64,
        /// The limit.
        limit: i64,
    },
    /// More inconclusive measurements than `inconclusiveLimit` allows.
    Inconclusives {
        /// How many.
        inconclusive: u64,
        /// The limit.
        limit: i64,
    },
    /// More errors in a row than `consecutiveErrorLimit` allows.
    ErrorsInARow {
        /// How many.
        errors: u64,
        /// The limit.
        limit: i64,
    },
    /// No data for `noDataTimeout`.
    NoData {
        /// How long there was none.
        waited: Duration,
    },
}

impl Struck {
    /// What it makes of the metric.
    pub fn phase(self) -> Phase {
        match self {
            Self::Failures { .. } | Self::FailuresInARow { .. } => Phase::Failed,
            Self::Inconclusives { .. } | Self::NoData { .. } => Phase::Inconclusive,
            Self::ErrorsInARow { .. } => Phase::Error,
        }
    }
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures { failed, limit } => {
                write!(f, "failed ({failed}) > failureLimit ({limit})")
            }
            Self::FailuresInARow { failures, limit } => write!(
                f,
                "consecutiveFailures ({failures}) >= consecutiveFailureLimit ({limit})"
            ),
            Self::Inconclusives {
                inconclusive,
                limit,
            } => write!(
                f,
                "inconclusive ({inconclusive}) > inconclusiveLimit ({limit})"
            ),
            Self::ErrorsInARow { errors, limit } => write!(
                f,
                "consecutiveErrors ({errors}) > consecutiveErrorLimit ({limit})"
            ),
            Self::NoData { waited } => write!(
                f,
                "no data for {}",
                short(Duration::from_secs(waited.as_secs()))
            ),
        }
    }
}

/// The phase of a metric after its `last` measurement, and the limit that decided it, if one did.
///
/// `terminating`: nothing more will be measured, so that a metric without an end of its own is Successful, as Argo has it.
/// A metric that is over stays as it is: don't ask again.
pub fn assess(
    limits: &Limits,
    has_interval: bool,
    counts: &Counts,
    last: Option<Phase>,
    terminating: bool,
) -> (Phase, Option<Struck>) {
    match last {
        None if terminating => return (Phase::Successful, None),
        None => return (Phase::Pending, None),
        Some(Phase::Pending | Phase::Running) => return (Phase::Running, None),
        Some(Phase::Successful | Phase::Failed | Phase::Error | Phase::Inconclusive) => {}
    }
    if let Some(struck) = struck(limits, counts) {
        return (struck.phase(), Some(struck));
    }
    let phase = if is_streak_reached(limits, counts) {
        Phase::Successful
    } else if effective_count(limits, has_interval)
        .is_some_and(|count| reaches(counts.count, count))
    {
        // The streak that was asked for did not come in time. Argo calls that Inconclusive,
        // and Failed where the streak was the only rule.
        match (limits.consecutive_success > 0, limits.failure >= 0) {
            (true, true) => Phase::Inconclusive,
            (true, false) => Phase::Failed,
            (false, _) => Phase::Successful,
        }
    } else if terminating {
        Phase::Successful
    } else {
        Phase::Running
    };
    (phase, None)
}

/// How many measurements end a metric by themselves; `None`: it has no end of its own.
pub fn effective_count(limits: &Limits, has_interval: bool) -> Option<i64> {
    match limits.count {
        0 if has_interval => None,
        0 => Some(1),
        count => Some(count),
    }
}

/// Whether the successes in a row that the limits ask for have come; never so where they ask for none.
pub fn is_streak_reached(limits: &Limits, counts: &Counts) -> bool {
    limits.consecutive_success > 0
        && reaches(counts.consecutive_success, limits.consecutive_success)
}

/// The worst of the phases of metrics that are over; Successful where there are none.
pub fn worst(phases: impl IntoIterator<Item = Phase>) -> Phase {
    phases.into_iter().fold(Phase::Successful, |worst, phase| {
        if is_worse(phase, worst) { phase } else { worst }
    })
}

/// Whether `phase` is the worse of two phases of metrics that are over: Successful, Inconclusive, Error, Failed.
pub fn is_worse(phase: Phase, than: Phase) -> bool {
    severity(phase) > severity(than)
}

/// The limit that the counts have struck: an error outweighs all, inconclusive outweighs failed.
fn struck(limits: &Limits, counts: &Counts) -> Option<Struck> {
    if exceeds(counts.consecutive_error, limits.consecutive_error) {
        return Some(Struck::ErrorsInARow {
            errors: counts.consecutive_error,
            limit: limits.consecutive_error,
        });
    }
    if exceeds(counts.inconclusive, limits.inconclusive) {
        return Some(Struck::Inconclusives {
            inconclusive: counts.inconclusive,
            limit: limits.inconclusive,
        });
    }
    if exceeds(counts.failed, limits.failure) {
        return Some(Struck::Failures {
            failed: counts.failed,
            limit: limits.failure,
        });
    }
    let limit = limits.consecutive_failure;
    (limit > 0 && reaches(counts.consecutive_failure, limit)).then_some(Struck::FailuresInARow {
        failures: counts.consecutive_failure,
        limit,
    })
}

/// A negative limit is never exceeded.
fn exceeds(count: u64, limit: i64) -> bool {
    limit >= 0 && i128::from(count) > i128::from(limit)
}

fn reaches(count: u64, limit: i64) -> bool {
    i128::from(count) >= i128::from(limit)
}

fn severity(phase: Phase) -> u8 {
    match phase {
        Phase::Pending => 0,
        Phase::Running => 1,
        Phase::Successful => 2,
        Phase::Inconclusive => 3,
        Phase::Error => 4,
        Phase::Failed => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds measurements, written as their first letters, until the metric is over; says phase, how many it took, and the limit.
    fn check(limits: Limits, measurements: &str) -> String {
        let mut counts = Counts::default();
        let mut last = None;
        for letter in measurements.chars() {
            let phase = match letter {
                'S' => Phase::Successful,
                'F' => Phase::Failed,
                'I' => Phase::Inconclusive,
                _ => Phase::Error,
            };
            counts.record(phase);
            last = Some(phase);
            if assess(&limits, true, &counts, last, false).0.is_over() {
                break;
            }
        }
        let (phase, struck) = assess(&limits, true, &counts, last, false);
        let struck = struck.map_or_else(String::new, |struck| format!(": {struck}"));
        format!("{phase} after {}{struck}", counts.total())
    }

    #[test]
    fn failures_in_a_row_end_a_metric_that_many_in_all_would_not() {
        let limits = Limits {
            failure: 10,
            consecutive_failure: 3,
            ..Limits::default()
        };
        assert_eq!(check(limits, "FFSFF"), "Running after 5");
        assert_eq!(
            check(limits, "FFSFFFSS"),
            "Failed after 6: consecutiveFailures (3) >= consecutiveFailureLimit (3)"
        );
        // As Argo's streak of successes, this one is broken by an error too.
        assert_eq!(check(limits, "FFEFF"), "Running after 5");
    }

    #[test]
    fn argos_limit_is_named_first_where_both_are_struck() {
        let limits = Limits {
            failure: 1,
            consecutive_failure: 2,
            ..Limits::default()
        };
        assert_eq!(
            check(limits, "FF"),
            "Failed after 2: failed (2) > failureLimit (1)"
        );
    }

    #[test]
    fn negative_limits_never_strike() {
        let limits = Limits {
            failure: -1,
            inconclusive: -1,
            consecutive_error: -1,
            ..Limits::default()
        };
        assert_eq!(check(limits, "FIEEEEEEFIF"), "Running after 11");
    }

    #[test]
    fn worse_is_argos_order() {
        let order = [
            Phase::Successful,
            Phase::Inconclusive,
            Phase::Error,
            Phase::Failed,
        ];
        for pair in order.windows(2) {
            assert!(is_worse(pair[1], pair[0]), "{pair:?}");
            assert!(!is_worse(pair[0], pair[1]), "{pair:?}");
        }
        assert!(!is_worse(Phase::Failed, Phase::Failed));
    }
}
