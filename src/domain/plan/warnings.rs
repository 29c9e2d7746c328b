//! What a person should know before a plan runs: it would run, and not as meant.

use std::time::Duration;

use super::super::duration::short;
use super::super::fault::shown;
use super::expression::aggregate_of_nothing;
use super::{Ask, MetricPlan};

/// The warnings for all metrics, in their order.
pub(super) fn of(metrics: &[MetricPlan]) -> Vec<String> {
    let nothing_counts = !metrics.is_empty() && metrics.iter().all(|metric| metric.dry_run);
    let of_all = nothing_counts.then(|| {
        "every metric is a dry run: whatever they measure, the run is Successful".to_owned()
    });
    of_all.into_iter().chain(of_each(metrics)).collect()
}

fn of_each(metrics: &[MetricPlan]) -> impl Iterator<Item = String> {
    metrics.iter().flat_map(|metric| {
        [
            never_judged(metric),
            counted_repeatedly(metric),
            not_looked_at(metric),
            zero_for_nothing(metric),
        ]
        .into_iter()
        .flatten()
        .chain(never_strikes(metric))
        .map(|warning| format!("metric {}: {warning}", shown(&metric.name)))
    })
}

fn never_judged(metric: &MetricPlan) -> Option<String> {
    (metric.success.is_none() && metric.failure.is_none())
        .then(|| "has no condition: every measurement is Successful".to_owned())
}

fn counted_repeatedly(metric: &MetricPlan) -> Option<String> {
    let interval = metric.interval?;
    let window = &metric.source.window;
    let (width, length) = (window.step.width(), window_length(metric));
    if interval >= length {
        return None;
    }
    let longer = if interval < width {
        format!("a bucket of {}", short(width))
    } else {
        format!("the window of {}", short(length))
    };
    let limit = match metric.limits.failure {
        limit if limit < 0 => String::new(),
        limit => format!("; its failureLimit is {limit}"),
    };
    let bucket = window.step.name().to_lowercase();
    let times = times_counted(metric, interval, length)?;
    Some(format!(
        "the interval of {} is shorter than {longer}: one bad {bucket} would be counted {times} times{limit}",
        short(interval),
    ))
}

/// In how many measurements a bucket is; `None` where only one is made.
fn times_counted(metric: &MetricPlan, interval: Duration, length: Duration) -> Option<String> {
    const MOST: u128 = 1_000;
    let times = length.as_nanos().div_ceil(interval.as_nanos());
    let times = match u128::try_from(metric.limits.count) {
        Ok(count) if count > 0 => times.min(count),
        Ok(_) | Err(_) => times,
    };
    match times {
        0 | 1 => None,
        times if times > MOST => Some(format!("more than {MOST}")),
        times => Some(format!("up to {times}")),
    }
}

fn not_looked_at(metric: &MetricPlan) -> Option<String> {
    let interval = metric.interval?;
    let gap = interval.checked_sub(window_length(metric))?;
    (!gap.is_zero()).then(|| {
        format!(
            "a measurement every {} looks at {}: {} of every {} are never looked at",
            short(interval),
            short(window_length(metric)),
            short(gap),
            short(interval),
        )
    })
}

fn zero_for_nothing(metric: &MetricPlan) -> Option<String> {
    let Ask::Expression { expression, .. } = &metric.source.ask else {
        return None;
    };
    let aggregate = aggregate_of_nothing(expression)?;
    Some(format!(
        "`{aggregate}(…)` is 0 where there is no data: no traffic looks like a measured zero"
    ))
}

fn never_strikes(metric: &MetricPlan) -> Vec<String> {
    let limits = metric.limits;
    let most = match (limits.count, metric.interval) {
        (0, Some(_)) => None,
        (0, None) => Some(1),
        (count, _) => Some(count),
    };
    let mut warnings = Vec::new();
    if let Some(most) = most {
        let measurements = if most == 1 {
            "measurement"
        } else {
            "measurements"
        };
        for (name, limit) in [
            ("failureLimit", limits.failure),
            ("inconclusiveLimit", limits.inconclusive),
        ] {
            if limit >= most {
                warnings.push(format!(
                    "{name} {limit} never strikes: there are at most {most} {measurements}"
                ));
            }
        }
        for (name, limit) in [
            ("consecutiveSuccessLimit", limits.consecutive_success),
            ("consecutiveFailureLimit", limits.consecutive_failure),
        ] {
            if limit > most {
                warnings.push(format!(
                    "{name} {limit} is never reached: there are at most {most} {measurements}"
                ));
            }
        }
    }
    if limits.failure >= 0 && limits.consecutive_failure > limits.failure.saturating_add(1) {
        warnings.push(format!(
            "consecutiveFailureLimit {} is never reached: failureLimit {} strikes before",
            limits.consecutive_failure, limits.failure
        ));
    }
    warnings
}

/// How much time a measurement looks at: whole buckets.
fn window_length(metric: &MetricPlan) -> Duration {
    let window = &metric.source.window;
    let width = window.step.width();
    let buckets = window.interval.as_nanos().div_ceil(width.as_nanos()).max(1);
    width.saturating_mul(u32::try_from(buckets).unwrap_or(u32::MAX))
}
