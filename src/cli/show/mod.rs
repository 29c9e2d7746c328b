//! Measurements and runs as people read them.

mod measurement;
mod run;

use jiff::tz::Offset;

pub(super) use self::measurement::{PointRow, in_a_run, measurement, point_rows, reason, verdict};
pub(super) use self::run::{INTERRUPTED, NOT_OVER, run, table};
use crate::domain::duration::short;
use crate::domain::plan::{Ask, MetricPlan};
use crate::domain::window::Step;

/// What a metric does: `apdex: a query every 5m, over 3 minutes settled for 1m30s`.
pub(in crate::cli) fn metric(metric: &MetricPlan) -> String {
    let what = match &metric.source.ask {
        Ask::Query(_) => "a query",
        Ask::Expression { .. } => "an expression",
    };
    let pace = match (metric.interval, metric.limits.count) {
        (None, _) => "once".to_owned(),
        (Some(interval), 0) => format!("every {}", short(interval)),
        (Some(interval), count) => format!("every {}, {count} times", short(interval)),
    };
    let window = &metric.source.window;
    let buckets = counted(window.buckets(), unit(window.step));
    let settled = if window.settle.is_zero() {
        "up to now, unsettled ones included".to_owned()
    } else {
        format!("settled for {}", short(window.settle))
    };
    let dry = if metric.dry_run { "; a dry run" } else { "" };
    format!(
        "{}: {what} {pace}, over {buckets} {settled}{dry}",
        metric.name
    )
}

/// `4 (limit 3)`.
pub(in crate::cli) fn limited(count: u64, limit: i64) -> String {
    if limit < 0 {
        format!("{count} (no limit)")
    } else {
        format!("{count} (limit {limit})")
    }
}

fn unit(step: Step) -> &'static str {
    match step {
        Step::Minute => "minute",
        Step::Hour => "hour",
        Step::Day => "day",
    }
}

/// `1 minute`, `3 minutes`.
pub(in crate::cli) fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// `+05:30`.
pub(in crate::cli) fn zone_text(zone: Offset) -> String {
    let seconds = zone.seconds();
    let (sign, rest) = if seconds < 0 {
        ('-', -seconds)
    } else {
        ('+', seconds)
    };
    format!("{sign}{:02}:{:02}", rest / 3_600, rest / 60 % 60)
}

/// The newest values as a line of bars, scaled between the least and the greatest of them.
pub(in crate::cli) fn sparkline(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (least, greatest) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    let bar = |value: f64| {
        if greatest <= least {
            return BARS[3];
        }
        let share = ((value - least) / (greatest - least) * 7.0).round();
        BARS.iter()
            .copied()
            .zip(0_u8..)
            .find(|(_, level)| share <= f64::from(*level))
            .map_or(BARS[7], |(bar, _)| bar)
    };
    finite().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_between_the_least_and_the_greatest() {
        assert_eq!(sparkline(&[0.0, 5000.0, 10000.0]), "▁▅█");
        assert_eq!(sparkline(&[10000.0, 10000.0]), "▄▄");
        assert_eq!(sparkline(&[f64::NAN, 1.0]), "▄");
        assert_eq!(sparkline(&[]), "");
    }
}
