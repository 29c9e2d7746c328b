//! When what a service did becomes visible: the rounds in which an OAP writes its aggregates.

use std::time::Duration;

use jiff::Timestamp;

use super::buckets::Step;

/// The rounds of OAP's persistence timer.
///
/// A round starts a fixed delay after the last one *ended*, so the rounds drift against the minute.
/// Measured: 25.07 s from round to round, and what arrived less than a second before a round waits for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// The delay between the end of one round and the start of the next: OAP's `persistentPeriod`.
    pub period: Duration,
    /// How long a round takes.
    pub work: Duration,
    /// A moment at which a round takes place; all others follow from it, before and after.
    pub anchor: Timestamp,
    /// How old a request must be to be part of a round.
    pub lag: Duration,
    /// How long after a round its rows can be read. An Elasticsearch adds up to 30 s here.
    pub storage: Duration,
}

/// The rounds measured, anchored at the epoch.
impl Default for Flush {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(25),
            work: Duration::from_millis(70),
            anchor: Timestamp::UNIX_EPOCH,
            lag: Duration::from_secs(1),
            storage: Duration::ZERO,
        }
    }
}

impl Flush {
    /// The newest moment whose requests can be read at `now`, in buckets of `step`; both in milliseconds since the epoch.
    ///
    /// Minutes are written in every round, hours and days in every fourth.
    pub(super) fn visible_until(&self, step: Step, now: i64) -> i64 {
        let round = millis(self.period).saturating_add(millis(self.work)).max(1);
        let round = match step {
            Step::Second | Step::Minute => round,
            Step::Hour | Step::Day => round.saturating_mul(4),
        };
        let anchor = self.anchor.as_millisecond();
        let readable = now.saturating_sub(millis(self.storage));
        let last = (readable - anchor).div_euclid(round) * round + anchor;
        last.saturating_sub(millis(self.lag))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_drift_against_the_minute() {
        let flush = Flush::default();
        let check = |now: i64, seen| assert_eq!(flush.visible_until(Step::Minute, now), seen);
        check(0, -1_000);
        check(25_069, -1_000);
        check(25_070, 24_070);
        check(60_000, 49_140);
        check(-1, -26_070);
    }

    #[test]
    fn hours_and_days_wait_for_the_fourth_round() {
        let flush = Flush::default();
        assert_eq!(flush.visible_until(Step::Hour, 100_279), -1_000);
        assert_eq!(flush.visible_until(Step::Day, 100_280), 99_280);
    }

    #[test]
    fn a_slow_storage_shows_a_round_later() {
        let flush = Flush {
            storage: Duration::from_secs(30),
            ..Flush::default()
        };
        assert_eq!(flush.visible_until(Step::Minute, 55_069), -1_000);
        assert_eq!(flush.visible_until(Step::Minute, 55_070), 24_070);
    }
}
