//! What Argo Rollouts itself would refuse: its `ValidateMetrics` and what surrounds it, but all faults at once.

use std::collections::{BTreeMap, BTreeSet};

use super::super::args::Arguments;
use super::super::duration::{DURATION_HINT, GoDuration};
use super::super::fault::{Fault, Faults, shown};
use super::super::spec::{IntOrString, MetricSpec};
use super::{Analysis, Part, arguments, rules};

/// Where an analysis is used: a rollout's step must end by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// By itself, or in the background of a rollout.
    #[default]
    Free,
    /// As a step of a rollout.
    Step,
}

/// What Argo would run.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The metrics, rendered; secrets are still hidden.
    pub metrics: Vec<MetricSpec>,
    /// The names of the metrics that are dry runs.
    pub dry_run: BTreeSet<String>,
    /// How many measurements are kept of metrics that a rule names; 0 and less mean the default.
    pub retention: BTreeMap<String, i32>,
}

/// What Argo puts for arguments while it checks a rollout's step.
const DUMMY_VALUE: &str = "dummy-value";

impl Analysis {
    /// Checks what Argo checks, from the form of the templates on; all faults at once.
    pub fn check(&self, context: Context) -> Result<Checked, Faults> {
        let mut faults = self.faults.clone();
        let checked = self.examine(context, &mut faults);
        Faults::none_or(self.by_metric(faults), checked)
    }

    /// The faults with those of a metric together: first those of no metric, then metric by metric.
    pub(crate) fn by_metric(&self, mut faults: Vec<Fault>) -> Vec<Fault> {
        let is_of = |fault: &Fault, metric: &MetricSpec| {
            fault
                .path
                .strip_prefix(&metric.at)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        faults.sort_by_cached_key(|fault| self.metrics.iter().position(|it| is_of(fault, it)));
        faults
    }

    /// What was found while the templates were read and merged.
    pub(crate) fn found(&self) -> &[Fault] {
        &self.faults
    }

    /// What is left of the analysis after the checks, to be looked at further.
    pub(crate) fn examine(&self, context: Context, faults: &mut Vec<Fault>) -> Checked {
        match context {
            Context::Step => {
                let mut found = Vec::new();
                self.parts.iter().for_each(|it| check_step(it, &mut found));
                add_new(faults, found);
            }
            Context::Free => {}
        }

        let mut found = Vec::new();
        let args = arguments(&self.args, &mut found);
        let metrics: Vec<MetricSpec> = self
            .metrics
            .iter()
            .map(|metric| checked_metric(metric, &args, &mut found))
            .collect();
        if metrics.is_empty() && !self.parts.is_empty() {
            found.push(Fault::new("spec.metrics", "no metrics specified"));
        }
        let checked = Checked {
            dry_run: rules::dry_run(&self.dry_run, &metrics, &mut found),
            retention: rules::retention(&self.measurement_retention, &metrics, &mut found),
            metrics,
        };
        refuse_names_made_equal(self, &checked.metrics, &mut found);
        add_new(faults, found);
        checked
    }
}

/// Adds what `later` found to what is known, leaving out what only follows from it: the same field, or a part of one that is wrong.
pub(crate) fn add_new(known: &mut Vec<Fault>, later: Vec<Fault>) {
    let wrong: BTreeSet<String> = known.iter().map(|fault| fault.path.clone()).collect();
    known.extend(
        later
            .into_iter()
            .filter(|fault| !is_at_or_under(&fault.path, &wrong)),
    );
}

fn is_at_or_under(path: &str, wrong: &BTreeSet<String>) -> bool {
    wrong.contains(path)
        || path
            .match_indices(['.', '['])
            .any(|(end, _)| wrong.contains(&path[..end]))
}

/// Two names that differ as written can be the same once rendered.
fn refuse_names_made_equal(analysis: &Analysis, metrics: &[MetricSpec], faults: &mut Vec<Fault>) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (written, rendered) in analysis.metrics.iter().zip(metrics) {
        match seen.get(rendered.name.as_str()) {
            Some(first) if *first != written.name => faults.push(Fault::new(
                format!("{}.name", written.at),
                format!("duplicate name {}", shown(&rendered.name)),
            )),
            Some(_) => {}
            None => {
                seen.insert(&rendered.name, &written.name);
            }
        }
    }
}

/// The rendered metric, checked by Argo's `ValidateMetric`.
fn checked_metric(spec: &MetricSpec, args: &Arguments, faults: &mut Vec<Fault>) -> MetricSpec {
    let metric = spec.render(args, faults);
    let found = wrong_limits(&metric)
        .into_iter()
        .map(|(field, message)| Fault::new(field, message))
        .chain(wrong_interval(spec, &metric))
        .chain(wrong_durations(&metric))
        .chain(wrong_providers(&metric));
    faults.extend(found.map(|fault| fault.under(&spec.at)));
    metric
}

/// Which limits contradict themselves or each other. A text that is no number is 0 to Argo.
fn wrong_limits(metric: &MetricSpec) -> Vec<(&'static str, String)> {
    let number = |limit: Option<&IntOrString>| limit.map_or(0, IntOrString::lenient);
    let count = number(metric.count.as_ref());
    let failure = number(metric.failure_limit.as_ref());
    let streak = number(metric.consecutive_success_limit.as_ref());
    let inconclusive = number(metric.inconclusive_limit.as_ref());
    let errors = number(metric.consecutive_error_limit.as_ref());

    let mut wrong = Vec::new();
    for (field, limit) in [
        ("consecutiveSuccessLimit", streak),
        ("inconclusiveLimit", inconclusive),
        ("consecutiveErrorLimit", errors),
    ] {
        if limit < 0 {
            wrong.push((field, format!("{field} must be >= 0, found `{limit}`")));
        }
    }
    if failure < -1 {
        wrong.push((
            "failureLimit",
            format!("failureLimit must be >= 0, or -1 to be disabled, found `{failure}`"),
        ));
    }
    if streak == 0 && failure == -1 {
        wrong.push((
            "failureLimit",
            "failureLimit and consecutiveSuccessLimit cannot both be disabled".to_owned(),
        ));
    }
    if count > 0 && streak >= 0 && failure >= 0 && count < failure.saturating_add(streak) {
        wrong.push((
            "count",
            format!(
                "count ({count}) must be >= failureLimit + consecutiveSuccessLimit ({failure} + {streak}) if both >= 0"
            ),
        ));
    }
    if count > 0 && failure < 0 && count < streak {
        wrong.push((
            "count",
            format!("count must be >= consecutiveSuccessLimit ({count} < {streak})"),
        ));
    }
    if count > 0 && count < inconclusive {
        wrong.push((
            "count",
            format!("count must be >= inconclusiveLimit ({count} < {inconclusive})"),
        ));
    }
    wrong
}

fn wrong_interval(spec: &MetricSpec, metric: &MetricSpec) -> Option<Fault> {
    let repeats = metric.count.as_ref().is_some_and(|it| it.lenient() > 1);
    (repeats && is_left_out(spec.interval.as_ref(), metric.interval.as_ref()))
        .then(|| Fault::new("interval", "interval must be specified when count > 1"))
}

fn wrong_durations(metric: &MetricSpec) -> impl Iterator<Item = Fault> {
    [
        ("interval", "interval", &metric.interval),
        ("initialDelay", "startDelay", &metric.initial_delay),
    ]
    .into_iter()
    .filter_map(|(field, named, text)| {
        let text = text.as_deref().filter(|text| !text.is_empty())?;
        let error = GoDuration::parse(text).err()?;
        let message = format!("invalid {named} string: {error}");
        Some(Fault::new(field, message).hint(DURATION_HINT))
    })
}

fn wrong_providers(metric: &MetricSpec) -> Option<Fault> {
    match metric.providers.len() {
        0 => Some(Fault::new("provider", "no provider specified")),
        1 => None,
        _ => Some(Fault::new("provider", "multiple providers specified")),
    }
}

/// Whether a field is absent or empty; one that could not be rendered is there.
fn is_left_out(written: Option<&String>, rendered: Option<&String>) -> bool {
    written.is_none() || rendered.is_some_and(String::is_empty)
}

/// Argo's check of a template that a rollout's step refers to: by itself, with dummies for what it doesn't say.
fn check_step(part: &Part, faults: &mut Vec<Fault>) {
    let template = shown(&part.name);
    let mut args = Arguments::default();
    for argument in &part.spec.args {
        if argument.value.is_some() && argument.value_from.is_some() {
            faults.push(Fault::new(
                super::place_of(argument),
                format!(
                    "AnalysisTemplate {template}: arg {} has both Value and ValueFrom fields",
                    shown(&argument.name)
                ),
            ));
        }
        args.set(
            argument.name.as_str(),
            argument.value.as_deref().unwrap_or(DUMMY_VALUE),
        );
    }
    for metric in &part.spec.metrics {
        let rendered = metric.render(&args, faults);
        let is_endless = rendered.count.as_ref().map_or(0, IntOrString::lenient) == 0
            && !is_left_out(metric.interval.as_ref(), rendered.interval.as_ref());
        if is_endless {
            let fault = Fault::new(
                format!("{}.count", metric.at),
                format!(
                    "AnalysisTemplate {template} has metric {} which runs indefinitely",
                    shown(&rendered.name)
                ),
            );
            faults.push(fault.hint("a step's analysis has to end by itself: give it a count"));
        }
    }
}
