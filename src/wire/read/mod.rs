//! From what programs read back to what the domain knows: how a run on another machine is shown as one in this process is.
//!
//! The plan is made again from the `spec`. Secrets are not in that, so nothing can be measured by it, only shown.
//! What a newer server says in addition is passed over; what an older one doesn't say yet is an error that names it.

mod measurement;
mod part;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::domain::analysis::Analysis;
use crate::domain::assess::{Counts, Struck};
use crate::domain::duration::GoDuration;
use crate::domain::fault::Faults;
use crate::domain::measurement::Measurement;
use crate::domain::plan::{MetricPlan, Overrides, Plan, Server};
use crate::domain::run::{InFlight, MetricRun, Run, RunId, Stop};
use measurement::{measurement, phase};
use part::Part;

pub use part::ReadError;

/// Reads an `AnalysisRun`.
pub fn run(document: &Value) -> Result<Run, ReadError> {
    let whole = Part::whole(document);
    let (metadata, status) = (whole.field("metadata")?, whole.field("status")?);
    let namespace = metadata.field("namespace")?.text()?;
    let plan = Arc::new(plan(&namespace, &whole.field("spec")?)?);
    let results = status.list("metricResults", |part| {
        Ok((part.field("name")?.text()?, metric(part, &plan)?))
    })?;
    let mut results: BTreeMap<String, MetricRun> = results.into_iter().collect();
    let metrics = plan.metrics.iter().map(|metric| {
        let missing = || status.wrong(format!("says nothing of the metric `{}`", metric.name));
        results.remove(&metric.name).ok_or_else(missing)
    });
    Ok(Run {
        metrics: metrics.collect::<Result<_, _>>()?,
        id: RunId(metadata.field("uid")?.text()?),
        namespace,
        name: metadata.field("name")?.text()?,
        labels: labels(&metadata.field("labels")?)?,
        templates: status.list("templates", Part::text)?,
        created_at: metadata.field("creationTimestamp")?.moment()?,
        not_before: status.optional("notBefore", Part::moment)?,
        conclude_after: status.optional("concludeAfter", duration)?,
        phase: phase(&status.field("phase")?)?,
        message: status.field("message")?.text()?,
        started_at: status.optional("startedAt", Part::moment)?,
        completed_at: status.optional("completedAt", Part::moment)?,
        stop: stop(&status, "stop", "stopBy", &plan)?,
        plan,
    })
}

/// What came of measuring once.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What was measured, as a plan that nothing can be measured by.
    pub plan: Arc<Plan>,
    /// Each measurement, with the index of its metric in the plan.
    pub measurements: Vec<(usize, Measurement)>,
}

impl Measured {
    /// Each measurement with its metric.
    pub fn metrics(&self) -> impl Iterator<Item = (&MetricPlan, &Measurement)> {
        self.measurements
            .iter()
            .filter_map(|(index, measured)| Some((self.plan.metrics.get(*index)?, measured)))
    }
}

/// Reads the measurements of one `measure`.
pub fn measured(document: &Value) -> Result<Measured, ReadError> {
    let whole = Part::whole(document);
    let plan = plan("default", &whole.field("spec")?)?;
    let measurements = whole.list("metrics", |part| {
        let name = part.field("name")?;
        let index = index_of(&name.text()?, &plan);
        let index = index.ok_or_else(|| name.expected("one of the spec's metrics"))?;
        Ok((index, measurement(part)?))
    })?;
    Ok(Measured {
        plan: Arc::new(plan),
        measurements,
    })
}

fn labels(part: &Part<'_>) -> Result<BTreeMap<String, String>, ReadError> {
    let Value::Object(labels) = part.value() else {
        return Err(part.expected("an object"));
    };
    labels
        .keys()
        .map(|name| Ok((name.clone(), part.field(name)?.text()?)))
        .collect()
}

fn duration(part: &Part<'_>) -> Result<Duration, ReadError> {
    part.parsed("a duration such as 30m", |text| {
        GoDuration::parse(text).ok()?.to_std()
    })
}

fn metric(part: &Part<'_>, plan: &Plan) -> Result<MetricRun, ReadError> {
    let count = |name: &str| part.field(name)?.count();
    let taken = count("taken")?;
    let in_flight = part.optional("inFlightSince", |since| {
        Ok(InFlight {
            number: taken.saturating_add(1),
            started_at: since.moment()?,
        })
    })?;
    Ok(MetricRun {
        phase: phase(&part.field("phase")?)?,
        message: part.field("message")?.text()?,
        counts: Counts {
            successful: count("successful")?,
            failed: count("failed")?,
            inconclusive: count("inconclusive")?,
            error: count("error")?,
            count: count("count")?,
            consecutive_error: count("consecutiveError")?,
            consecutive_success: count("consecutiveSuccess")?,
            consecutive_failure: count("consecutiveFailure")?,
        },
        struck: part.optional("struck", struck)?,
        cut_short: stop(part, "cutShort", "cutShortBy", plan)?,
        taken,
        good: count("good")?,
        measurements: part.list("measurements", measurement)?.into(),
        due_at: part.optional("dueAt", Part::moment)?,
        in_flight,
        waiting_since: part.optional("waitingSince", Part::moment)?,
    })
}

fn struck(part: &Part<'_>) -> Result<Struck, ReadError> {
    let limit = || part.field("limit")?.whole_number();
    let count = || part.field("count")?.count();
    let rule = part.field("rule")?;
    match rule.text()?.as_str() {
        "failureLimit" => Ok(Struck::Failures {
            failed: count()?,
            limit: limit()?,
        }),
        "consecutiveFailureLimit" => Ok(Struck::FailuresInARow {
            failures: count()?,
            limit: limit()?,
        }),
        "inconclusiveLimit" => Ok(Struck::Inconclusives {
            inconclusive: count()?,
            limit: limit()?,
        }),
        "consecutiveErrorLimit" => Ok(Struck::ErrorsInARow {
            errors: count()?,
            limit: limit()?,
        }),
        "noDataTimeout" => {
            let waited = part.field("waitedSeconds")?;
            let waited = Duration::try_from_secs_f64(waited.number()?)
                .map_err(|_| waited.expected("a number of seconds"))?;
            Ok(Struck::NoData { waited })
        }
        _ => Err(rule.expected("the name of a limit")),
    }
}

/// What the fields `word` and `by` say of an end before the end.
fn stop(part: &Part<'_>, word: &str, by: &str, plan: &Plan) -> Result<Option<Stop>, ReadError> {
    part.optional(word, |word| match word.text()?.as_str() {
        "Terminated" => Ok(Stop::Terminated),
        "Concluded" => Ok(Stop::Concluded),
        "Metric" => {
            let by = part.field(by)?;
            let index = index_of(&by.text()?, plan);
            index
                .map(Stop::Metric)
                .ok_or_else(|| by.expected("one of the spec's metrics"))
        }
        _ => Err(word.expected("one of Terminated, Concluded, Metric")),
    })
}

fn index_of(name: &str, plan: &Plan) -> Option<usize> {
    plan.metrics.iter().position(|metric| metric.name == name)
}

/// What stands for a secret: what is shown of it everywhere.
const MASKED: &str = "*****";

/// The plan of a spec that another process runs.
fn plan(namespace: &str, spec: &Part<'_>) -> Result<Plan, ReadError> {
    let planned = make(namespace, spec.value()).or_else(|faults| {
        let mut known = spec.value().clone();
        if !forget_unknown(&mut known, &faults) {
            return Err(faults);
        }
        make(namespace, &known)
    });
    let mut plan = planned.map_err(|faults| {
        // The fault names the field.
        let first = faults.iter().next().map(ToString::to_string);
        ReadError {
            at: String::new(),
            wrong: format!("makes no plan here: {}", first.unwrap_or_default()),
        }
    })?;
    // As it was told, and not with what stands for its secrets.
    plan.analysis = Arc::new(Analysis::of_written(namespace, spec.value()));
    Ok(plan)
}

fn make(namespace: &str, spec: &Value) -> Result<Plan, Faults> {
    let mut analysis = Analysis::of_written(namespace, spec);
    for argument in &mut analysis.args {
        // Its value was supplied for a secret, and so was left out.
        if argument.value.is_none() && argument.value_from.is_none() {
            argument.value = Some(MASKED.to_owned());
        }
    }
    // Whom the other process asks is its own affair; each measurement says whom it asked.
    let overrides = Overrides {
        server: Some(Server::Named(String::new())),
    };
    Plan::make_again(&analysis, &overrides, &|_, _, _| Ok(MASKED.to_owned()))
}

/// Takes out of `spec` whatever `faults` calls unknown; `false` where they call nothing so.
fn forget_unknown(spec: &mut Value, faults: &Faults) -> bool {
    let unknown = faults
        .iter()
        .filter(|fault| fault.message.starts_with("unknown field"));
    let mut is_changed = false;
    for fault in unknown {
        is_changed |= forget(spec, &fault.path);
    }
    is_changed
}

/// Takes the field at `path`, as a fault names it, out of `spec`.
fn forget(spec: &mut Value, path: &str) -> bool {
    let Some((parents, name)) = path.rsplit_once('.') else {
        return false;
    };
    let mut pointer = String::new();
    for step in parents.split(['.', '[']).skip(1) {
        pointer.push('/');
        pointer.push_str(step.trim_end_matches(']'));
    }
    spec.pointer_mut(&pointer)
        .and_then(Value::as_object_mut)
        .is_some_and(|fields| fields.remove(name).is_some())
}
