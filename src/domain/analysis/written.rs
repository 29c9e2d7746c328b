//! `spec` of an `AnalysisRun`: the merged templates as their authors wrote them. A secret is a reference, never a value.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::plan::Ttl;
use super::super::spec::{
    AnalysisSpec, Argument, IntOrString, MetricSpec, Provider, SkyWalkingSpec, ValueFrom,
};
use super::{Analysis, Library, Request};

/// An object of the fields that are there: a spec says nothing of what its author left out.
struct Object(Map<String, Value>);

impl Object {
    fn new() -> Self {
        Self(Map::new())
    }

    fn put(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

impl Analysis {
    /// The analysis as the `spec` of an `AnalysisRun`: one spec with the metrics, arguments and rules of all that was merged.
    /// Placeholders stay unrendered. A value that was supplied for a secret is left out.
    ///
    /// [`Analysis::of_written`] is the way back: what it reads plans as this one does, unless a secret was supplied.
    pub fn written(&self) -> Value {
        written(self)
    }

    /// The analysis that was once [`Analysis::written`] as `spec`.
    pub fn of_written(namespace: impl Into<String>, spec: &Value) -> Self {
        let mut faults = Vec::new();
        let spec = AnalysisSpec::read(spec, "spec", &mut faults);
        let request = Request {
            namespace: namespace.into(),
            spec: Some(spec),
            faults,
            ..Request::default()
        };
        Self::assemble(&Library::default(), &request)
    }
}

fn written(analysis: &Analysis) -> Value {
    let args = analysis.args.iter().map(|it| {
        let is_secret = analysis.supplies_secret(&it.name);
        let value = it.value.as_deref().filter(|_| !is_secret);
        // A value that was supplied stands instead of where the template would have looked for one.
        let is_replaced = value.is_some() && analysis.is_supplied(&it.name);
        argument(it, value, it.value_from.as_ref().filter(|_| !is_replaced))
    });
    let dry_run = analysis
        .dry_run
        .iter()
        .map(|rule| json!({ "metricName": rule.metric_name }));
    let retention = analysis
        .measurement_retention
        .iter()
        .map(|rule| json!({ "metricName": rule.metric_name, "limit": rule.limit }));
    Object::new()
        .put(
            "metrics",
            Some(analysis.metrics.iter().map(metric).collect::<Value>()),
        )
        .put("args", Some(args.collect::<Value>()))
        .put("dryRun", Some(dry_run.collect::<Value>()))
        .put("measurementRetention", Some(retention.collect::<Value>()))
        .put("ttlStrategy", ttl(&analysis.ttl))
        .into()
}

fn metric(metric: &MetricSpec) -> Value {
    let MetricSpec {
        at: _,
        name,
        interval,
        initial_delay,
        count,
        success_condition,
        failure_condition,
        failure_limit,
        inconclusive_limit,
        consecutive_error_limit,
        consecutive_success_limit,
        consecutive_failure_limit,
        condition_language,
        providers,
    } = metric;
    let providers: Map<String, Value> = providers.iter().map(provider).collect();
    Object::new()
        .put("name", Some(name.as_str()))
        .put("interval", interval.as_deref())
        .put("initialDelay", initial_delay.as_deref())
        .put("count", number(count.as_ref()))
        .put("successCondition", success_condition.as_deref())
        .put("failureCondition", failure_condition.as_deref())
        .put("failureLimit", number(failure_limit.as_ref()))
        .put("inconclusiveLimit", number(inconclusive_limit.as_ref()))
        .put(
            "consecutiveErrorLimit",
            number(consecutive_error_limit.as_ref()),
        )
        .put(
            "consecutiveSuccessLimit",
            number(consecutive_success_limit.as_ref()),
        )
        .put(
            "consecutiveFailureLimit",
            number(consecutive_failure_limit.as_ref()),
        )
        .put("conditionLanguage", condition_language.as_deref())
        .put("provider", Some(providers))
        .into()
}

fn number(number: Option<&IntOrString>) -> Option<Value> {
    number.map(|number| match number {
        IntOrString::Int(number) => Value::from(*number),
        IntOrString::Text(text) => Value::from(text.as_str()),
    })
}

fn provider(provider: &Provider) -> (String, Value) {
    match provider {
        Provider::SkyWalking(spec) => ("skywalking".to_owned(), skywalking(spec)),
        Provider::Other { name, config } => (name.clone(), config.clone()),
    }
}

fn skywalking(spec: &SkyWalkingSpec) -> Value {
    let SkyWalkingSpec {
        address,
        query,
        interval,
        oap,
        expression,
        entity,
        queries,
        step,
        settle,
        gaps,
        no_data,
        no_data_timeout,
    } = spec;
    let entity = entity.as_ref().map(|fields| {
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), flag(name, value)))
            .collect::<Map<_, _>>()
    });
    Object::new()
        .put("address", address.as_deref())
        .put("query", query.as_deref())
        .put("interval", interval.as_deref())
        .put("oap", oap.as_deref())
        .put("expression", expression.as_deref())
        .put("entity", entity)
        .put("queries", queries.clone())
        .put("step", step.as_deref())
        .put("settle", settle.as_deref())
        .put("gaps", gaps.as_deref())
        .put("noData", no_data.as_deref())
        .put("noDataTimeout", no_data_timeout.as_deref())
        .into()
}

/// `normal` and `destNormal` are booleans again, unless they are placeholders.
fn flag(name: &str, value: &str) -> Value {
    match (name, value) {
        ("normal" | "destNormal", "true") => Value::Bool(true),
        ("normal" | "destNormal", "false") => Value::Bool(false),
        _ => Value::from(value),
    }
}

fn argument(argument: &Argument, value: Option<&str>, from: Option<&ValueFrom>) -> Value {
    let from = from.map(|from| {
        Object::new()
            .put(
                "secretKeyRef",
                from.secret
                    .as_ref()
                    .map(|secret| json!({ "name": secret.name, "key": secret.key })),
            )
            .put(
                "fieldRef",
                from.field_path
                    .as_ref()
                    .map(|path| json!({ "fieldPath": path })),
            )
            .put("podTemplateHashValue", from.pod_template_hash.as_deref())
    });
    Object::new()
        .put("name", Some(argument.name.as_str()))
        .put("value", value)
        .put("valueFrom", from)
        .into()
}

fn ttl(ttl: &Ttl) -> Option<Value> {
    let seconds = |after: Option<Duration>| after.map(|after| after.as_secs());
    let Ttl {
        after_completion,
        after_success,
        after_failure,
    } = *ttl;
    (*ttl != Ttl::default()).then(|| {
        Object::new()
            .put("secondsAfterCompletion", seconds(after_completion))
            .put("secondsAfterSuccess", seconds(after_success))
            .put("secondsAfterFailure", seconds(after_failure))
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::{Overrides, Plan};
    use crate::domain::spec::{API_VERSION, Kind, Template, TemplateRef};

    const SECRET: &str = "HUNTER2";

    /// The arguments in the spec of a run of two templates, one within the other, with a value supplied for `tok`.
    fn shown(outer: &Value, nested: &Value) -> Value {
        let metric = json!({"name": "m", "provider": {"skywalking": {
            "address": "http://oap:12800", "interval": "1m", "query": format!("{{ {SECRET} }}"),
        }}});
        let template = |name: &str, mut spec: Value| {
            spec["metrics"] = json!([metric]);
            spec["metrics"][0]["name"] = name.into();
            let manifest = json!({
                "apiVersion": API_VERSION,
                "kind": Kind::Namespaced.name(),
                "metadata": {"name": name},
                "spec": spec,
            });
            Template::read(Kind::Namespaced, &manifest)
        };
        let outer = json!({"args": outer, "templates": [{"templateName": "nested"}]});
        let outer = template("outer", outer);
        let reference = TemplateRef::new(outer.kind, &outer.name);
        let nested = template("nested", json!({"args": nested}));
        let request = Request {
            namespace: "default".to_owned(),
            templates: vec![reference],
            args: vec![Argument::new("tok", SECRET)],
            ..Request::default()
        };
        let library = Library::gather(vec![outer, nested]).unwrap();
        let analysis = Analysis::assemble(&library, &request);
        let plan = Plan::make(&analysis, &Overrides::default(), &|_, _, _| {
            Err("there is none".to_owned())
        });
        plan.unwrap();
        let spec = analysis.written();
        assert!(!spec["args"].to_string().contains(SECRET), "{spec}");
        spec["args"].clone()
    }

    #[test]
    fn a_value_that_was_supplied_for_a_secret_is_not_told() {
        let plain = json!([{"name": "tok"}]);
        let with_default = json!([{"name": "tok", "value": "none"}]);
        let secret = json!([
            {"name": "tok", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
        ]);
        assert_eq!(shown(&secret, &json!([])), secret);
        assert_eq!(shown(&plain, &secret), secret);
        assert_eq!(shown(&secret, &plain), plain);
        assert_eq!(shown(&with_default, &secret), plain);
    }
}
