//! Rules that pick metrics by name: `dryRun` and `measurementRetention`.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};

use super::super::fault::{Fault, listed, shown};
use super::super::spec::{DryRunRule, MetricSpec, RetentionRule};

/// How many measurements of a metric are kept where no rule says otherwise.
pub const DEFAULT_RETENTION: usize = 10;

/// The names of the metrics that are dry runs.
pub(super) fn dry_run(
    rules: &[DryRunRule],
    metrics: &[MetricSpec],
    faults: &mut Vec<Fault>,
) -> BTreeSet<String> {
    rules
        .iter()
        .flat_map(|rule| matches(&rule.metric_name, &rule.at, metrics, faults))
        .map(str::to_owned)
        .collect()
}

/// The limits of the metrics that a rule names; the last rule wins.
pub(super) fn retention(
    rules: &[RetentionRule],
    metrics: &[MetricSpec],
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, i32> {
    let mut limits = BTreeMap::new();
    for rule in rules {
        for name in matches(&rule.metric_name, &rule.at, metrics, faults) {
            limits.insert(name.to_owned(), rule.limit);
        }
    }
    limits
}

/// The names that match `pattern` anywhere in them, as with Go's `regexp.MatchString`; a rule must match one.
fn matches<'m>(
    pattern: &str,
    at: &str,
    metrics: &'m [MetricSpec],
    faults: &mut Vec<Fault>,
) -> Vec<&'m str> {
    let names = || metrics.iter().map(|metric| metric.name.as_str());
    let fault = |why: String| {
        Fault::new(
            if at.is_empty() { "metricName" } else { at },
            format!("rule didn't match any metric name(s): {why}"),
        )
    };
    match compile(pattern) {
        Ok(regex) => {
            let matching: Vec<&str> = names().filter(|name| regex.is_match(name)).collect();
            if matching.is_empty() {
                faults.push(fault(format!(
                    "{} is none of {}",
                    shown(pattern),
                    listed(names().collect::<BTreeSet<_>>())
                )));
            }
            matching
        }
        Err(why) => {
            faults.push(fault(why));
            Vec::new()
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    const LONGEST: usize = 1_024;
    if pattern.len() > LONGEST {
        return Err(format!("{} is longer than {LONGEST} bytes", shown(pattern)));
    }
    RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| format!("{} is no regular expression", shown(pattern)))
}
