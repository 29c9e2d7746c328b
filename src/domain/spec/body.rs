//! What callers send to have something analysed: the words of Argo's `analysis` in a Rollout, and ours beside them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::super::analysis::Request;
use super::super::duration::{DURATION_HINT, GoDuration};
use super::super::fault::{Fault, shown};
use super::super::nearest::nearest;
use super::reader::{Fields, read_object, wrong_kind};
use super::{
    AnalysisSpec, Argument, DryRunRule, RetentionRule, TemplateRef, is_dns_name, not_a_dns_name,
    read_ttl,
};

/// The most labels that a run may have.
const MOST_LABELS: usize = 64;

/// The longest name or value of a label, in bytes.
const LONGEST_LABEL: usize = 253;

/// The most metrics that a caller may name.
const MOST_NAMES: usize = 1_000;

/// Somebody's request for a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunBody {
    /// What is to be analysed, in which namespace; with all that is wrong with the whole body.
    pub request: Request,
    /// What the run is called; where nobody says, as its templates are.
    pub name: Option<String>,
    /// The run's labels.
    pub labels: BTreeMap<String, String>,
    /// When the version first took traffic.
    pub not_before: Option<Timestamp>,
    /// When a run without an end of its own is ended.
    pub conclude_after: Option<Duration>,
}

impl RunBody {
    /// Reads a body. Whatever is wrong with it is in its request, to be told with what else is found.
    pub fn read(body: &Value) -> Self {
        let mut faults = Vec::new();
        let mut read = read_body(body, &mut faults, |fields| Self {
            request: read_request(fields),
            name: read_name(fields),
            labels: read_labels(fields),
            not_before: read_moment(fields, "notBefore"),
            conclude_after: read_span(fields, "concludeAfter"),
        });
        read.request.faults = faults;
        read
    }
}

/// Somebody's request for one measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasurementBody {
    /// What is to be measured, in which namespace; with all that is wrong with the whole body.
    pub request: Request,
    /// When the version first took traffic.
    pub not_before: Option<Timestamp>,
    /// The moment that is asked about; without it, now.
    pub at: Option<Timestamp>,
    /// Only these metrics; empty: all of them.
    pub metrics: Vec<String>,
}

impl MeasurementBody {
    /// Reads a body. Whatever is wrong with it is in its request, to be told with what else is found.
    pub fn read(body: &Value) -> Self {
        let mut faults = Vec::new();
        let mut read = read_body(body, &mut faults, |fields| Self {
            request: read_request(fields),
            not_before: read_moment(fields, "notBefore"),
            at: read_moment(fields, "at"),
            metrics: read_names(fields, "metrics"),
        });
        read.request.faults = faults;
        read
    }
}

/// What somebody wants to change of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchBody {
    /// When the version first took traffic.
    pub not_before: Option<Timestamp>,
}

impl PatchBody {
    /// Reads a body; all its faults if there are any.
    pub fn read(body: &Value) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let read = read_body(body, &mut faults, |fields| Self {
            not_before: read_moment(fields, "notBefore"),
        });
        if read.not_before.is_none() && faults.is_empty() {
            faults.push(
                Fault::new("notBefore", "missing: it is what can be changed of a run")
                    .hint("a moment such as 2026-11-23T09:12:00Z"),
            );
        }
        (read, faults)
    }
}

/// A body is an object; nothing at all is none.
fn read_body<T>(
    body: &Value,
    faults: &mut Vec<Fault>,
    read: impl FnOnce(&mut Fields<'_, '_>) -> T,
) -> T {
    if body.is_null() {
        faults.push(wrong_kind("", "an object", body));
    }
    read_object(body, "", faults, read)
}

fn read_request(fields: &mut Fields<'_, '_>) -> Request {
    let namespace = fields.text("namespace").filter(|text| !text.is_empty());
    if let Some(namespace) = &namespace
        && !is_dns_name(namespace, false)
    {
        fields.fault("namespace", not_a_dns_name("namespace", namespace));
    }
    Request {
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        templates: fields.objects("templates", read_reference),
        spec: fields.object("spec", AnalysisSpec::read_fields),
        args: fields.objects("args", Argument::read),
        dry_run: fields.objects("dryRun", DryRunRule::read),
        measurement_retention: fields.objects("measurementRetention", RetentionRule::read),
        ttl: fields.object("ttlStrategy", read_ttl),
        faults: Vec::new(),
    }
}

/// What a run is called: people read it, nothing goes by it.
fn read_name(fields: &mut Fields<'_, '_>) -> Option<String> {
    let name = fields.text("name").filter(|name| !name.is_empty())?;
    let wrong = wrong_label_value(&name);
    if let Some(wrong) = wrong {
        fields.fault("name", wrong);
        return None;
    }
    Some(name)
}

/// `name` says the same as `templateName`.
fn read_reference(fields: &mut Fields<'_, '_>) -> TemplateRef {
    let long = fields.text("templateName").filter(|name| !name.is_empty());
    let short = fields.text("name").filter(|name| !name.is_empty());
    match (&long, &short) {
        (Some(_), Some(_)) => fields.fault("name", "says what `templateName` does: keep one"),
        (None, None) => fields.fault("templateName", "missing: which template"),
        (Some(_), None) | (None, Some(_)) => {}
    }
    TemplateRef {
        at: fields.at().to_owned(),
        name: long.or(short).unwrap_or_default(),
        cluster_scope: fields.boolean("clusterScope").unwrap_or_default(),
    }
}

fn read_labels(fields: &mut Fields<'_, '_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let given = match fields.value("labels") {
        None => return labels,
        Some(Value::Object(given)) => given,
        Some(other) => {
            let fault = wrong_kind(&fields.path("labels"), "an object of texts", other);
            fields.add(fault);
            return labels;
        }
    };
    if given.len() > MOST_LABELS {
        let count = given.len();
        fields.fault(
            "labels",
            format!("holds {count} labels; at most {MOST_LABELS} are allowed"),
        );
    }
    for (name, value) in given.iter().take(MOST_LABELS) {
        let at = fields.path(&format!("labels.{}", shown(name).trim_matches('`')));
        let Value::String(value) = value else {
            let fault = wrong_kind(&at, "a text", value);
            fields.add(fault);
            continue;
        };
        match wrong_label(name).or_else(|| wrong_label_value(value)) {
            Some(wrong) => fields.add(Fault::new(at, wrong)),
            None => {
                labels.insert(name.clone(), value.clone());
            }
        }
    }
    labels
}

/// Labels are asked for as `name=value`.
fn wrong_label(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (name.is_empty() || name.len() > LONGEST_LABEL || !name.chars().all(is_plain)).then(|| {
        format!(
            "{} is no name for a label: letters, digits and `-_./` are allowed, {LONGEST_LABEL} of them",
            shown(name)
        )
    })
}

fn wrong_label_value(value: &str) -> Option<String> {
    (value.len() > LONGEST_LABEL || value.contains(char::is_control)).then(|| {
        format!(
            "expected at most {LONGEST_LABEL} bytes without control characters, found {}",
            shown(value)
        )
    })
}

fn read_moment(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<Timestamp> {
    let text = fields.text(name)?;
    let moment = text.parse().ok();
    if moment.is_none() {
        let message = format!("expected a moment, found {}", shown(&text));
        let fault = Fault::new(fields.path(name), message);
        fields.add(fault.hint("for example 2026-11-23T09:12:00Z"));
    }
    moment
}

fn read_span(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<Duration> {
    let text = fields.duration(name)?;
    let message = match GoDuration::parse(&text).map(GoDuration::to_std) {
        Ok(Some(span)) if !span.is_zero() => return Some(span),
        Ok(_) => format!("must be above zero, found {}", shown(&text)),
        Err(error) => error.to_string(),
    };
    let fault = Fault::new(fields.path(name), message);
    fields.add(fault.hint(DURATION_HINT));
    None
}

fn read_names(fields: &mut Fields<'_, '_>, name: &'static str) -> Vec<String> {
    let items = match fields.value(name) {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            let fault = wrong_kind(&fields.path(name), "a list of texts", other);
            fields.add(fault);
            return Vec::new();
        }
    };
    if items.len() > MOST_NAMES {
        let count = items.len();
        fields.fault(
            name,
            format!("holds {count} names; at most {MOST_NAMES} are allowed"),
        );
    }
    let mut names = Vec::new();
    for (i, item) in items.iter().take(MOST_NAMES).enumerate() {
        match item {
            Value::String(text) => names.push(text.clone()),
            other => {
                let at = format!("{}[{i}]", fields.path(name));
                fields.add(wrong_kind(&at, "a text", other));
            }
        }
    }
    names
}

/// A fault for each of `wanted` that is none of `known`, at the field `at`.
pub fn unknown_names<'a>(
    at: &str,
    wanted: &[String],
    known: &(impl Iterator<Item = &'a str> + Clone),
) -> Vec<Fault> {
    let unknown = |(i, name): (usize, &String)| {
        let is_known = known.clone().any(|known| known == name);
        (!is_known).then(|| {
            let fault = Fault::new(
                format!("{at}[{i}]"),
                format!(
                    "no metric {}; there are {}",
                    shown(name),
                    super::super::fault::listed(known.clone())
                ),
            );
            match nearest(name, known.clone()) {
                Some(meant) => fault.hint(format!("did you mean {}?", shown(meant))),
                None => fault,
            }
        })
    };
    wanted.iter().enumerate().filter_map(unknown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(body: &Value) -> Vec<String> {
        let body = RunBody::read(body);
        body.request
            .faults
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_body_has_the_words_of_argos_analysis() {
        let body = RunBody::read(&json!({
            "namespace": "bookinfo",
            "name": "reviews-v2",
            "templates": [{"templateName": "a"}, {"name": "b", "clusterScope": true}],
            "args": [{"name": "x", "value": "1"}],
            "labels": {"app": "reviews"},
            "notBefore": "2026-11-23T09:12:00Z",
            "concludeAfter": "30m",
        }));
        assert_eq!(body.request.faults, []);
        assert_eq!(body.request.namespace, "bookinfo");
        assert_eq!(body.name.as_deref(), Some("reviews-v2"));
        let names: Vec<(&str, bool)> = body
            .request
            .templates
            .iter()
            .map(|it| (it.name.as_str(), it.cluster_scope))
            .collect();
        assert_eq!(names, [("a", false), ("b", true)]);
        assert_eq!(body.labels["app"], "reviews");
        assert_eq!(body.conclude_after, Some(Duration::from_mins(30)));
        assert!(body.not_before.is_some());
    }

    #[test]
    fn every_fault_is_told_with_its_path() {
        assert_eq!(
            faults(&json!({
                "nameSpace": "x",
                "name": "a\nb",
                "templates": [{"name": "a", "templateName": "b"}, {}, "c"],
                "spec": {"metrics": [{"name": "m", "foo": 1}]},
                "labels": {"a b": "x", "c": 1, "d": "1\n2"},
                "notBefore": "yesterday",
                "concludeAfter": "0s",
            })),
            [
                "templates[0].name: says what `templateName` does: keep one",
                "templates[1].templateName: missing: which template",
                "templates[2]: expected an object, found the text `c`",
                "spec.metrics[0].foo: unknown field; known here: `name`, `interval`, `initialDelay`, `count`, `successCondition`, `failureCondition`, `failureLimit`, `inconclusiveLimit`, `consecutiveErrorLimit`, `consecutiveSuccessLimit`, `consecutiveFailureLimit`, `conditionLanguage`, `provider`",
                "name: expected at most 253 bytes without control characters, found `a\\nb`",
                "labels.a b: `a b` is no name for a label: letters, digits and `-_./` are allowed, 253 of them",
                "labels.c: expected a text, found the number `1`",
                "labels.d: expected at most 253 bytes without control characters, found `1\\n2`",
                "notBefore: expected a moment, found `yesterday` (hint: for example 2026-11-23T09:12:00Z)",
                "concludeAfter: must be above zero, found `0s` (hint: durations are written 90s, 5m or 1h30m)",
                "nameSpace: unknown field, did you mean `namespace`?",
            ]
        );
        assert_eq!(faults(&json!([])), ["expected an object, found a list"]);
        assert_eq!(faults(&Value::Null), ["expected an object, found nothing"]);
    }

    #[test]
    fn a_measurement_may_be_of_the_past_and_of_some_metrics() {
        let body = MeasurementBody::read(
            &json!({"at": "2026-11-23T09:12:00Z", "metrics": ["a", 1], "concludeAfter": "1m"}),
        );
        assert_eq!(body.metrics, ["a"]);
        assert!(body.at.is_some());
        let faults: Vec<&str> = body
            .request
            .faults
            .iter()
            .map(|it| it.path.as_str())
            .collect();
        assert_eq!(faults, ["metrics[1]", "concludeAfter"]);
    }

    #[test]
    fn a_patch_changes_something() {
        let check = |body: Value, expected: &str| {
            let (_, faults) = PatchBody::read(&body);
            let faults: Vec<&str> = faults.iter().map(|it| it.path.as_str()).collect();
            assert_eq!(faults.join(" "), expected, "{body}");
        };
        check(json!({"notBefore": "2026-11-23T09:12:00Z"}), "");
        check(json!({}), "notBefore");
        check(json!({"phase": "Failed"}), "phase");
    }
}
