//! From an analysis to a plan.

use std::sync::Arc;
use std::time::Duration;

use super::super::analysis::{Analysis, Checked, Context, DEFAULT_RETENTION, add_new, resolve};
use super::super::args::{Arguments, Masker};
use super::super::condition::{Condition, Language, Languages};
use super::super::duration::short;
use super::super::fault::{Fault, Faults, listed, shown};
use super::super::nearest::nearest;
use super::super::spec::{LONGEST_LIST, MetricSpec, Provider};
use super::strict::Strict;
use super::{
    Gaps, Limits, MetricPlan, NoData, Overrides, Plan, Secrets, SourcePlan, source, warnings,
};

/// How long `noData: Wait` waits in a row where the template doesn't say.
const DEFAULT_NO_DATA_TIMEOUT: Duration = Duration::from_mins(10);

/// The shortest time between two measurements of a metric.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// So many undeclared arguments are reported.
const MOST_UNDECLARED: usize = 20;

/// The longest name of a metric: it labels rows, files and series.
const LONGEST_NAME: usize = 253;

pub(super) fn make(
    analysis: &Analysis,
    overrides: &Overrides,
    secrets: &Secrets<'_>,
) -> Result<Plan, Faults> {
    let mut faults = analysis.found().to_vec();
    let checked = analysis.examine(Context::Free, &mut faults);

    let mut found = Vec::new();
    refuse_undeclared(analysis, &mut found);
    refuse_two_sources(analysis, &mut found);
    refuse_rules_for_all(analysis, &mut found);
    refuse_too_many(analysis, &mut found);
    let args = resolve_with_secrets(analysis, secrets, &mut found);
    let masker = args.masker();
    let planner = Planner {
        checked: &checked,
        overrides,
        args: &args,
        masker: &masker,
    };
    let metrics: Vec<MetricPlan> = analysis
        .metrics
        .iter()
        .enumerate()
        .filter_map(|(index, spec)| planner.metric(spec, analysis.languages_of(index), &mut found))
        .collect();
    add_new(&mut faults, found);

    let warnings = warnings::of(&metrics)
        .iter()
        .map(|warning| masker.mask(warning))
        .collect();
    let faults = analysis
        .by_metric(faults)
        .into_iter()
        .map(|fault| masked(fault, &masker))
        .collect();
    Faults::none_or(
        faults,
        Plan {
            analysis: Arc::new(analysis.clone()),
            metrics,
            ttl: analysis.ttl,
            masker: masker.clone(),
            warnings,
            unready: None,
        },
    )
}

fn masked(fault: Fault, masker: &Masker) -> Fault {
    Fault {
        path: masker.mask(&fault.path),
        message: masker.mask(&fault.message),
        hint: fault.hint.map(|hint| masker.mask(&hint)),
    }
}

/// Argo drops a value for an argument that no template declares, and with it a typing error.
fn refuse_undeclared(analysis: &Analysis, faults: &mut Vec<Fault>) {
    for argument in analysis.undeclared.iter().take(MOST_UNDECLARED) {
        let name = shown(&argument.name);
        let at = if argument.at.is_empty() {
            format!("args.{}", name.trim_matches('`'))
        } else {
            argument.at.clone()
        };
        let fault = Fault::new(
            at,
            format!(
                "no argument is named {name}; the template declares {}",
                listed(analysis.declared())
            ),
        );
        faults.push(match nearest(&argument.name, analysis.declared()) {
            Some(meant) => fault.hint(format!("did you mean {}?", shown(meant))),
            None => fault,
        });
    }
}

fn refuse_two_sources(analysis: &Analysis, faults: &mut Vec<Fault>) {
    for argument in &analysis.args {
        let has_both = argument.value.is_some() && argument.value_from.is_some();
        if has_both && !analysis.is_supplied(&argument.name) {
            faults.push(Fault::new(
                argument.at.clone(),
                format!(
                    "argument {} has both `value` and `valueFrom`: keep one",
                    shown(&argument.name)
                ),
            ));
        }
        if argument.name.is_empty() {
            faults.push(Fault::new(
                format!("{}.name", argument.at),
                "missing: an argument needs a name",
            ));
        }
    }
}

/// An empty name would match every metric: with a dry run that is a run that cannot fail.
fn refuse_rules_for_all(analysis: &Analysis, faults: &mut Vec<Fault>) {
    let dry_run = analysis.dry_run.iter().map(|it| (&it.metric_name, &it.at));
    let retention = analysis
        .measurement_retention
        .iter()
        .map(|it| (&it.metric_name, &it.at));
    for (_, at) in dry_run.chain(retention).filter(|(name, _)| name.is_empty()) {
        faults.push(
            Fault::new(
                format!("{at}.metricName"),
                "missing: which metrics the rule is for",
            )
            .hint("`.*` is for all of them"),
        );
    }
}

/// A run holds the lists of all its templates, and is read again as one spec.
fn refuse_too_many(analysis: &Analysis, faults: &mut Vec<Fault>) {
    for (list, count) in [
        ("metrics", analysis.metrics.len()),
        ("args", analysis.args.len()),
        ("dryRun", analysis.dry_run.len()),
        ("measurementRetention", analysis.measurement_retention.len()),
    ] {
        if count > LONGEST_LIST {
            faults.push(Fault::new(
                format!("spec.{list}"),
                format!("the templates have {count} in all; at most {LONGEST_LIST} are allowed"),
            ));
        }
    }
}

fn resolve_with_secrets(
    analysis: &Analysis,
    secrets: &Secrets<'_>,
    faults: &mut Vec<Fault>,
) -> Arguments {
    resolve(
        &analysis.args,
        |name| analysis.supplies_secret(name),
        |reference| {
            let (name, key) = (reference.name.as_str(), reference.key.as_str());
            let value = secrets(&analysis.namespace, name, key)?;
            if value.is_empty() {
                return Err(format!("key '{key}' of secret '{name}' is empty"));
            }
            Ok(value)
        },
        faults,
    )
}

/// What every metric is planned with.
struct Planner<'a> {
    checked: &'a Checked,
    overrides: &'a Overrides,
    args: &'a Arguments,
    masker: &'a Masker,
}

impl Planner<'_> {
    fn metric(
        &self,
        spec: &MetricSpec,
        found: Languages,
        faults: &mut Vec<Fault>,
    ) -> Option<MetricPlan> {
        let metric = spec.render(self.args, faults);
        let mut strict = Strict {
            at: spec.at.clone(),
            masker: self.masker,
            faults,
        };
        let s = &mut strict;

        let name = self.name(&metric, s);
        let interval = given(metric.interval.as_ref()).map(|text| pace(text, s));
        let initial_delay = match given(metric.initial_delay.as_ref()) {
            Some(text) => s.duration("initialDelay", text),
            None => Some(Duration::ZERO),
        };
        let limits = limits(&metric, s);
        let language = s.word(
            "conditionLanguage",
            metric.condition_language.as_deref(),
            None,
            &Language::ALL.map(|language| (language.name(), Some(language))),
        );
        let parse_as = |found: Option<Language>| {
            move |text: &str| match found.or(language.flatten()) {
                Some(language) => Condition::parse_as(language, text),
                None => Condition::parse(text),
            }
        };
        let success = s.condition(
            "successCondition",
            metric.success_condition.as_ref(),
            parse_as(found.success),
        );
        let failure = s.condition(
            "failureCondition",
            metric.failure_condition.as_ref(),
            parse_as(found.failure),
        );
        let measured = self.measured(spec, &metric, s);

        let (source, no_data, no_data_timeout) = measured?;
        let name = name?;
        Some(MetricPlan {
            dry_run: self.checked.dry_run.contains(&name),
            retention: retention(self.checked.retention.get(&name).copied()),
            name,
            interval: match interval {
                Some(interval) => Some(interval?),
                None => None,
            },
            initial_delay: initial_delay?,
            limits: limits?,
            success: success?,
            failure: failure?,
            source: Arc::new(source),
            no_data,
            no_data_timeout,
        })
    }

    fn name(&self, metric: &MetricSpec, s: &mut Strict<'_>) -> Option<String> {
        let name = &metric.name;
        let wrong = if name.trim().is_empty() {
            "missing: a metric needs a name".to_owned()
        } else if self.masker.mask(name) != *name {
            "holds a secret: names are shown everywhere".to_owned()
        } else if name.len() > LONGEST_NAME || name.contains(char::is_control) {
            format!(
                "expected at most {LONGEST_NAME} bytes without control characters, found {}",
                s.shown(name)
            )
        } else {
            return Some(name.clone());
        };
        s.fault("name", wrong);
        None
    }

    fn measured(
        &self,
        spec: &MetricSpec,
        metric: &MetricSpec,
        s: &mut Strict<'_>,
    ) -> Option<(SourcePlan, NoData, Duration)> {
        let [written] = spec.providers.as_slice() else {
            // None or several: Argo refuses that too, and it has been said.
            return None;
        };
        let (Provider::SkyWalking(written), [Provider::SkyWalking(rendered)]) =
            (written, metric.providers.as_slice())
        else {
            if let Provider::Other { name, .. } = written {
                s.fault_with_hint(
                    "provider",
                    format!("metrics of {} cannot be measured here", shown(name)),
                    "`skywalking` is the provider that is supported",
                );
            }
            return None;
        };
        let mut s = s.part("provider.skywalking");
        let source = source::plan(written, rendered, self.args, self.overrides, &mut s);
        let no_data = s.word(
            "noData",
            rendered.no_data.as_deref(),
            source.as_ref().map_or(NoData::default(), no_data_default),
            &[
                ("Wait", NoData::Wait),
                ("Inconclusive", NoData::Inconclusive),
                ("Failed", NoData::Failed),
                ("Successful", NoData::Successful),
                ("Error", NoData::Error),
            ],
        );
        let timeout = match given(rendered.no_data_timeout.as_ref()) {
            Some(text) => s.positive("noDataTimeout", text),
            None => Some(DEFAULT_NO_DATA_TIMEOUT),
        };
        Some((source?, no_data?, timeout?))
    }
}

/// The time between measurements. Argo takes any; an OAP is shared, and its newest bucket changes every few seconds at most.
fn pace(text: &str, s: &mut Strict<'_>) -> Option<Duration> {
    let interval = s.positive("interval", text)?;
    if interval < SHORTEST_INTERVAL {
        let text = s.shown(text);
        s.fault_with_hint(
            "interval",
            format!(
                "must be at least {}, found {text}",
                short(SHORTEST_INTERVAL)
            ),
            "every measurement asks an OAP that others need too",
        );
        return None;
    }
    Some(interval)
}

/// Whoever asks for Argo's window and Argo's zeros gets Argo's way with them.
fn no_data_default(source: &SourcePlan) -> NoData {
    if source.window.settle.is_zero() && source.gaps == Gaps::Zero {
        NoData::AsZero
    } else {
        NoData::Wait
    }
}

/// How many measurements are kept: what the rule says, or the default for 0 and less.
fn retention(limit: Option<i32>) -> usize {
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0)
        .unwrap_or(DEFAULT_RETENTION)
}

fn limits(metric: &MetricSpec, s: &mut Strict<'_>) -> Option<Limits> {
    let defaults = Limits::default();
    let count = s.limit("count", metric.count.as_ref(), defaults.count, 0);
    let failure = s.limit(
        "failureLimit",
        metric.failure_limit.as_ref(),
        defaults.failure,
        -1,
    );
    let inconclusive = s.limit(
        "inconclusiveLimit",
        metric.inconclusive_limit.as_ref(),
        defaults.inconclusive,
        0,
    );
    let consecutive_error = s.limit(
        "consecutiveErrorLimit",
        metric.consecutive_error_limit.as_ref(),
        defaults.consecutive_error,
        0,
    );
    let consecutive_success = s.limit(
        "consecutiveSuccessLimit",
        metric.consecutive_success_limit.as_ref(),
        defaults.consecutive_success,
        0,
    );
    let consecutive_failure = s.limit(
        "consecutiveFailureLimit",
        metric.consecutive_failure_limit.as_ref(),
        defaults.consecutive_failure,
        0,
    );
    Some(Limits {
        count: count?,
        failure: failure?,
        inconclusive: inconclusive?,
        consecutive_error: consecutive_error?,
        consecutive_success: consecutive_success?,
        consecutive_failure: consecutive_failure?,
    })
}

/// A text that is there and not empty: to Argo, empty and absent are the same.
pub(super) fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}
