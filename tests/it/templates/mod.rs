//! Templates, from their text to a plan.

mod arguments;
mod corpus;
mod faults;
mod library;
mod plans;

use serde_json::{Value, json};
use skygate::documents::Documents;
use skygate::domain::analysis::{Analysis, Library, Request};
use skygate::domain::fault::Faults;
use skygate::domain::plan::{Overrides, Plan};
use skygate::domain::spec::{AnalysisSpec, Argument};

fn inline(spec: &Value, args: &[(&str, &str)]) -> Analysis {
    let mut faults = Vec::new();
    let spec = AnalysisSpec::read(spec, "spec", &mut faults);
    let request = Request {
        namespace: "bookinfo".to_owned(),
        spec: Some(spec),
        args: args
            .iter()
            .map(|(name, value)| Argument::new(*name, *value))
            .collect(),
        faults,
        ..Request::default()
    };
    Analysis::assemble(&Library::default(), &request)
}

fn no_secrets(_: &str, name: &str, key: &str) -> Result<String, String> {
    Err(format!("there is no secret '{name}' with a key '{key}'"))
}

fn plan(spec: &Value, args: &[(&str, &str)]) -> Result<Plan, Faults> {
    Plan::make(&inline(spec, args), &Overrides::default(), &no_secrets)
}

/// A spec of one good metric with some fields changed: those of the metric, then those of its provider.
fn spec_with(metric: &Value, provider: &Value) -> Value {
    let mut good = json!({
        "name": "apdex",
        "interval": "1m",
        "count": 5,
        "failureLimit": 1,
        "successCondition": "all(values >= 9900)",
        "provider": {"skywalking": {
            "address": "http://oap:12800",
            "interval": "3m",
            "query": "{ a }",
        }},
    });
    let change = |target: &mut Value, changes: &Value| {
        for (name, value) in changes.as_object().expect("an object") {
            target[name] = value.clone();
        }
    };
    change(&mut good, metric);
    if provider.as_object().is_some_and(|it| !it.is_empty()) {
        change(&mut good["provider"]["skywalking"], provider);
    }
    json!({"metrics": [good]})
}

/// A spec with arguments: what the template declares, and its one metric.
fn spec_with_args(args: &Value, metric: &Value, provider: &Value) -> Value {
    let mut spec = spec_with(metric, provider);
    spec["args"] = args.clone();
    spec
}

fn template(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name, "labels": {"a": "b"}, "resourceVersion": "1"},
        "spec": spec,
    })
}

fn read(documents: &[Value]) -> Documents {
    let text: Vec<String> = documents.iter().map(ToString::to_string).collect();
    Documents::read(text.join("\n").as_bytes())
}
