//! What is asked of a service.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::duration::short;
use crate::domain::spec::TemplateRef;

/// A run that is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRun {
    /// Where templates and secrets are looked for; the service's own default where it is absent.
    pub namespace: Option<String>,
    /// Templates that the service has.
    pub templates: Vec<TemplateRef>,
    /// A spec of its own.
    pub spec: Option<Value>,
    /// Values for arguments.
    pub args: Vec<(String, String)>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When the version first took traffic.
    pub not_before: Option<Timestamp>,
    /// How long after its start it is ended where it has no end of its own.
    pub conclude_after: Option<Duration>,
}

impl NewRun {
    pub(super) fn body(&self) -> Value {
        let mut body = wanted(
            self.namespace.as_ref(),
            &self.templates,
            self.spec.as_ref(),
            &self.args,
        );
        put(
            &mut body,
            "labels",
            (!self.labels.is_empty()).then(|| json!(self.labels)),
        );
        put(&mut body, "notBefore", self.not_before.map(moment));
        put(
            &mut body,
            "concludeAfter",
            self.conclude_after.map(|after| short(after).into()),
        );
        body.into()
    }
}

/// A measurement that is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewMeasurement {
    /// Where templates and secrets are looked for; the service's own default where it is absent.
    pub namespace: Option<String>,
    /// Templates that the service has.
    pub templates: Vec<TemplateRef>,
    /// A spec of its own.
    pub spec: Option<Value>,
    /// Values for arguments.
    pub args: Vec<(String, String)>,
    /// When the version first took traffic.
    pub not_before: Option<Timestamp>,
    /// A past moment; now where it is absent.
    pub at: Option<Timestamp>,
    /// Only these metrics; all where there are none.
    pub metrics: Vec<String>,
}

impl NewMeasurement {
    pub(super) fn body(&self) -> Value {
        let mut body = wanted(
            self.namespace.as_ref(),
            &self.templates,
            self.spec.as_ref(),
            &self.args,
        );
        put(&mut body, "notBefore", self.not_before.map(moment));
        put(&mut body, "at", self.at.map(moment));
        put(
            &mut body,
            "metrics",
            (!self.metrics.is_empty()).then(|| json!(self.metrics)),
        );
        body.into()
    }
}

/// What runs and measurements have in common: the words of Argo's `analysis` in a Rollout.
fn wanted(
    namespace: Option<&String>,
    templates: &[TemplateRef],
    spec: Option<&Value>,
    args: &[(String, String)],
) -> Map<String, Value> {
    let templates = templates
        .iter()
        .map(|it| json!({ "templateName": it.name, "clusterScope": it.cluster_scope }));
    let args = args
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }));
    let mut body = Map::new();
    put(
        &mut body,
        "namespace",
        namespace.map(|it| it.as_str().into()),
    );
    put(&mut body, "templates", Some(templates.collect()));
    put(&mut body, "spec", spec.cloned());
    put(&mut body, "args", Some(args.collect()));
    body
}

fn put(body: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
}

fn moment(at: Timestamp) -> Value {
    at.to_string().into()
}

/// Which runs somebody wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this namespace.
    pub namespace: Option<String>,
    /// Only those that were asked for by this template.
    pub template: Option<String>,
    /// Only those in one of these phases.
    pub phases: Vec<String>,
    /// Only those with all of these labels, as `name=value`.
    pub labels: Vec<String>,
    /// Only those created at this moment or later.
    pub from: Option<Timestamp>,
    /// Only those created before this moment.
    pub to: Option<Timestamp>,
    /// At most so many on a page.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Filter {
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Self {
            namespace,
            template,
            phases,
            labels,
            from,
            to,
            limit,
            cursor,
        } = self.clone();
        let one = |name, value: Option<String>| value.map(|value| (name, value)).into_iter();
        let all = |name, values: Vec<String>| values.into_iter().map(move |value| (name, value));
        one("namespace", namespace)
            .chain(one("template", template))
            .chain(all("phase", phases))
            .chain(all("label", labels))
            .chain(one("from", from.map(|at| at.to_string())))
            .chain(one("to", to.map(|at| at.to_string())))
            .chain(one("limit", limit.map(|limit| limit.to_string())))
            .chain(one("cursor", cursor))
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its rows.
    pub items: Vec<Value>,
    /// Where the list goes on; `None`: that was all.
    pub next: Option<String>,
}

impl Page {
    pub(super) fn read(document: &Value) -> Option<Self> {
        let items = document.get("items")?.as_array()?.clone();
        let next = match document.get("next") {
            None | Some(Value::Null) => None,
            Some(next) => Some(next.as_str()?.to_owned()),
        };
        Some(Self { items, next })
    }
}
