//! A plan that is made again of what is stored of it is the same plan.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};
use skygate::documents::Documents;
use skygate::domain::analysis::{Analysis, Library, Request};
use skygate::domain::condition::Language;
use skygate::domain::plan::{Overrides, Plan, Server};
use skygate::domain::run::{Run, RunId};
use skygate::domain::spec::{AnalysisSpec, Argument, Kind, Template, TemplateRef};
use skygate::ports::{Store, StoreError};
use skygate::store::SqliteStore;

use crate::harness::start;

fn overrides() -> Overrides {
    Overrides {
        server: Some(Server::Named("fake".to_owned())),
    }
}

/// Every secret there is has its own name for a value.
fn secrets(_: &str, name: &str, key: &str) -> Result<String, String> {
    match name {
        "missing" => Err("there is none".to_owned()),
        _ => Ok(format!("s3cret-{name}-{key}")),
    }
}

/// Everything of a plan that decides anything.
fn seen(plan: &Plan) -> String {
    format!(
        "{:#?}\n{:?}\n{:?}\n{:?}\n{:?}",
        plan.metrics, plan.ttl, plan.masker, plan.warnings, plan.unready
    )
}

/// Plans `analysis`, and what is written of it once more; `None` where it is no plan, or one whose secret was supplied.
fn check(analysis: &Analysis) -> Option<()> {
    for overrides in [Overrides::default(), overrides()] {
        let Ok(plan) = Plan::make(analysis, &overrides, &secrets) else {
            continue;
        };
        if analysis.supplied_secrets().next().is_some() {
            return None;
        }
        let written = analysis.written();
        let text = written.to_string();
        let read: Value = serde_json::from_str(&text).expect("JSON");
        let again = Analysis::of_written(analysis.namespace.clone(), &read);
        let again = again.speaking(plan.languages());
        assert_eq!(again.written(), written);
        let planned = Plan::make(&again, &overrides, &secrets);
        let planned = planned.unwrap_or_else(|faults| panic!("{faults}\n{written:#}"));
        assert_eq!(seen(&planned), seen(&plan), "{written:#}");
        assert_eq!(planned.languages(), plan.languages());
        return Some(());
    }
    None
}

/// The template, as it is and with every argument that it lacks.
fn check_template(template: &Template, library: &Library) -> bool {
    let request = Request {
        namespace: template.namespace.clone().unwrap_or("default".to_owned()),
        templates: vec![TemplateRef::new(template.kind, &template.name)],
        ..Request::default()
    };
    let plain = Analysis::assemble(library, &request);
    let lacking = plain
        .args
        .iter()
        .filter(|argument| argument.value.is_none())
        .map(|argument| Argument::new(argument.name.clone(), "5"));
    let supplied = Request {
        args: lacking.collect(),
        ..request
    };
    let supplied = Analysis::assemble(library, &supplied);
    check(&plain).is_some() | check(&supplied).is_some()
}

#[test]
fn of_every_example() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/api/examples");
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/seed/analysis.yaml");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("as it should be")
        .map(|entry| entry.expect("as it should be").path())
        .filter(|path| path.is_file())
        .collect();
    paths.push(seed.into());
    let mut planned = 0;
    for path in paths {
        let documents = Documents::read(&std::fs::read(&path).expect("as it should be"));
        let templates = documents.templates.clone();
        let library = Library::gather(documents.templates).expect("as it should be");
        for template in &templates {
            planned += usize::from(check_template(template, &library));
        }
    }
    assert!(planned >= 6, "{planned}");
}

/// Everything in the corpora that is a spec, wherever it stands.
fn specs(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| specs(item, found)),
        Value::Object(fields) => {
            if fields.get("metrics").is_some_and(Value::is_array) {
                found.push(value.clone());
            }
            fields.values().for_each(|field| specs(field, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The spec with a provider that can be measured in place of each that can't, so that more of the corpora can be planned.
fn measurable(mut spec: Value) -> Value {
    for metric in spec["metrics"].as_array_mut().into_iter().flatten() {
        if metric.is_object() {
            metric["provider"] = json!({"skywalking": {"interval": "1m", "query": "{ a }"}});
        }
    }
    spec
}

fn analysis_of(spec: &Value, args: Vec<Argument>) -> Analysis {
    let mut faults = Vec::new();
    let spec = AnalysisSpec::read(spec, "spec", &mut faults);
    let request = Request {
        namespace: "default".to_owned(),
        spec: Some(spec),
        args,
        faults,
        ..Request::default()
    };
    Analysis::assemble(&Library::default(), &request)
}

#[test]
fn of_every_corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/conformance");
    let (mut found, mut planned) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).expect("as it should be") {
        let path = entry.expect("as it should be").path();
        if path.extension().is_some_and(|it| it == "json") {
            let corpus: Value =
                serde_json::from_slice(&std::fs::read(path).expect("as it should be"))
                    .expect("as it should be");
            specs(&corpus, &mut found);
        }
    }
    for spec in &found {
        for spec in [spec.clone(), measurable(spec.clone())] {
            let plain = analysis_of(&spec, Vec::new());
            let lacking = plain.args.iter().filter(|it| it.value.is_none());
            let lacking = lacking.map(|it| Argument::new(it.name.clone(), "3"));
            let supplied = analysis_of(&spec, lacking.collect());
            planned += usize::from(check(&plain).is_some() || check(&supplied).is_some());
        }
    }
    assert!(
        found.len() > 150 && planned > 100,
        "{planned} of {}",
        found.len()
    );
}

/// A field of a metric as somebody may write it: absent most of the time.
fn maybe(values: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        2 => Just(None),
        3 => prop::sample::select(values).prop_map(Some),
    ]
}

fn conditions() -> Vec<Value> {
    let conditions = [
        "",
        "all(values >= 99)",
        "all(result.values, {asFloat(.value) >= 0.5})",
        "result.values.all(p, double(p.value) >= 9900.0)",
        "result.ok == true",
        "size(result.values) > 3",
        "all(values >= {{ args.limit }})",
        "len(result) > 0",
        "result == \"{{args.name}}\"",
        "1 == 1",
    ];
    conditions.into_iter().map(Value::from).collect()
}

fn metrics() -> impl Strategy<Value = Value> {
    let texts = |texts: &[&str]| texts.iter().copied().map(Value::from).collect::<Vec<_>>();
    let numbers = || {
        vec![
            json!(0),
            json!(1),
            json!("2"),
            json!("{{ args.limit }}"),
            json!(7),
        ]
    };
    let own = (
        maybe(texts(&["1m", "1h30m", "{{ args.pace }}", "10s", ""])),
        maybe(texts(&["0s", "5s", "{{ args.pace }}"])),
        maybe(numbers()),
        maybe(conditions()),
        maybe(conditions()),
        maybe(numbers()),
        maybe(numbers()),
        maybe(numbers()),
        maybe(numbers()),
        maybe(texts(&["", "expr", "cel"])),
    );
    let asked = prop_oneof![
        Just(
            json!({"query": "{ m: readMetricsValues(condition: {name: \"{{ args.name }}\"}, duration: $duration) { values { values { value } } } }"})
        ),
        Just(json!({"query": "query($duration: Duration!) { a(duration: $duration) { b } }"})),
        Just(
            json!({"expression": "service_sla/100", "entity": {"scope": "Service", "serviceName": "<< args.name >>", "normal": "true"}})
        ),
        Just(
            json!({"expression": "service_percentile{p='50,99'}", "entity": {"serviceName": "a", "normal": true}})
        ),
        Just(
            json!({"expression": "service_cpm", "entity": {"serviceName": "a", "normal": "{{ args.flag }}"}})
        ),
    ];
    let provider = (
        asked,
        maybe(texts(&[
            "http://oap:12800",
            "http://{{ args.name }}:12800/graphql",
        ])),
        maybe(texts(&["MINUTE", "HOUR"])),
        maybe(texts(&["0s", "2m"])),
        maybe(texts(&["zero", "skip"])),
        maybe(texts(&["Wait", "Failed", "Error"])),
        maybe(texts(&["5m"])),
        prop::sample::select(texts(&["3m", "{{ args.pace }}"])),
    );
    (own, provider).prop_map(|(own, provider)| {
        let mut metric = json!({});
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                metric[name] = value;
            }
        };
        put("interval", own.0);
        put("initialDelay", own.1);
        put("count", own.2);
        put("successCondition", own.3);
        put("failureCondition", own.4);
        put("failureLimit", own.5);
        put("inconclusiveLimit", own.6);
        put("consecutiveErrorLimit", own.7);
        put("consecutiveFailureLimit", own.8);
        put("conditionLanguage", own.9);
        let mut skywalking = provider.0;
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                skywalking[name] = value;
            }
        };
        put("address", provider.1);
        put("step", provider.2);
        put("settle", provider.3);
        put("gaps", provider.4);
        put("noData", provider.5);
        put("noDataTimeout", provider.6);
        put("interval", Some(provider.7));
        metric["provider"] = json!({ "skywalking": skywalking });
        metric
    })
}

/// Several templates, one of them of the cluster, that nest or follow one another, and what a request says on top.
fn analyses() -> impl Strategy<Value = Analysis> {
    let args = json!([
        {"name": "name", "value": "checkout"},
        {"name": "limit", "value": "5"},
        {"name": "pace", "value": "1m"},
        {"name": "flag", "value": "false"},
        {"name": "token", "valueFrom": {"secretKeyRef": {"name": "oap", "key": "token"}}},
    ]);
    let parts = prop::collection::vec(prop::collection::vec(metrics(), 1..3), 1..4);
    let supplied = prop::collection::vec(
        prop::sample::select(vec![
            ("name", "a\"b"),
            ("limit", "7"),
            ("pace", "30s"),
            ("flag", "true"),
        ]),
        0..3,
    );
    let rules = (any::<bool>(), any::<bool>(), of_ttl(), any::<bool>());
    (parts, supplied, rules).prop_map(move |(parts, supplied, (dry, kept, ttl, nests))| {
        let mut library = Library::default();
        let mut references = Vec::new();
        let last = parts.len() - 1;
        for (part, mut metrics) in parts.into_iter().enumerate() {
            for (n, metric) in metrics.iter_mut().enumerate() {
                metric["name"] = format!("m{part}-{n}").into();
            }
            let mut spec = json!({"metrics": metrics, "args": args});
            if dry && part == 0 {
                spec["dryRun"] = json!([{"metricName": "m0-.*"}]);
            }
            if kept && part == last {
                spec["measurementRetention"] = json!([{"metricName": "m", "limit": 50}]);
            }
            if let Some(ttl) = ttl.clone().filter(|_| part == last) {
                spec["ttlStrategy"] = ttl;
            }
            if nests && part < last {
                spec["templates"] = json!([{"templateName": format!("t{}", part + 1)}]);
            }
            let kind = if part == 1 && !nests {
                Kind::Cluster
            } else {
                Kind::Namespaced
            };
            let manifest = json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": kind.name(),
                "metadata": {"name": format!("t{part}")},
                "spec": spec,
            });
            let template = Template::read(kind, &manifest);
            if !nests || part == 0 {
                references.push(TemplateRef::new(kind, &template.name));
            }
            library.insert(template);
        }
        let request = Request {
            namespace: "default".to_owned(),
            templates: references,
            args: supplied
                .iter()
                .map(|(name, value)| Argument::new(*name, *value))
                .collect(),
            ..Request::default()
        };
        Analysis::assemble(&library, &request)
    })
}

fn of_ttl() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(json!({"secondsAfterCompletion": 60}))),
        Just(Some(
            json!({"secondsAfterSuccess": 0, "secondsAfterFailure": 9})
        )),
        Just(Some(json!({}))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn of_whatever_can_be_planned(analysis in analyses()) {
        check(&analysis);
    }
}

#[test]
fn most_of_what_is_generated_can_be_planned() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let planned = (0..100).filter(|_| {
        let analysis = analyses()
            .new_tree(&mut runner)
            .expect("as it should be")
            .current();
        check(&analysis).is_some()
    });
    let planned = planned.count();
    assert!(planned > 10, "{planned}");
}

#[test]
fn a_condition_stays_in_the_language_that_it_was_found_in() {
    let spec = |condition: &str| {
        json!({"metrics": [{
            "name": "m",
            "successCondition": condition,
            "failureCondition": "result.ok.size() > 3",
            "provider": {"skywalking": {"address": "http://oap", "interval": "1m", "query": "{ a }"}},
        }]})
    };
    let both = analysis_of(&spec("result.ok == true"), Vec::new());
    let plan = Plan::make(&both, &Overrides::default(), &secrets).expect("as it should be");
    let [found] = plan.languages()[..] else {
        panic!("one metric");
    };
    assert_eq!(
        (found.success, found.failure),
        (Some(Language::Expr), Some(Language::Cel))
    );

    // As if an earlier version had taken it for CEL, which it is too.
    let mut said = found;
    said.success = Some(Language::Cel);
    let again = Plan::make(&both.speaking(vec![said]), &Overrides::default(), &secrets)
        .expect("as it should be");
    assert_eq!(again.languages(), [said]);
}

fn store() -> SqliteStore {
    SqliteStore::in_memory(Arc::new(|analysis: &Analysis| {
        Plan::make_again(analysis, &overrides(), &secrets)
    }))
    .expect("as it should be")
}

fn secret_spec(name: &str) -> Value {
    json!({
        "metrics": [{"name": "m", "interval": "1m", "provider": {"skywalking": {"interval": "1m", "query": "{ a(b: \"{{ args.tok }}\") }"}}}],
        "args": [{"name": "tok", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}],
    })
}

fn run_of_analysis(id: &str, analysis: &Analysis) -> Run {
    let plan = Plan::make(analysis, &overrides(), &|_, name, key| {
        Ok(format!("s3cret-{name}-{key}"))
    });
    let plan = Arc::new(plan.expect("as it should be"));
    Run::new(RunId(id.to_owned()), "default", "n", plan, start())
}

#[tokio::test]
async fn a_secret_that_was_supplied_is_not_kept() {
    let supplied = analysis_of(&secret_spec("s"), vec![Argument::new("tok", "HUNTER2")]);
    let run = run_of_analysis("a", &supplied);
    let refused = store().insert(&run, None).await;
    assert_eq!(refused, Err(StoreError::SecretSupplied("tok".to_owned())));
}

#[tokio::test]
async fn a_run_whose_secret_is_gone_is_read_as_one_that_cannot_be_measured() {
    let store = store();
    let run = run_of_analysis("a", &analysis_of(&secret_spec("s"), Vec::new()));
    store.insert(&run, None).await.expect("as it should be");
    let found = store
        .get(&run.id)
        .await
        .expect("as it should be")
        .expect("as it should be");
    assert_eq!(seen(&found.plan), seen(&run.plan));
    assert!(found.plan.masker.mask("s3cret-s-k").contains("***"));

    // One that was begun by a process that knew it.
    let folder = tempfile::tempdir().expect("as it should be");
    let path = folder.path().join("s.db");
    let run = run_of_analysis("b", &analysis_of(&secret_spec("missing"), Vec::new()));
    let open = || {
        let planner = |analysis: &Analysis| Plan::make_again(analysis, &overrides(), &secrets);
        SqliteStore::open(&path, Arc::new(planner)).expect("as it should be")
    };
    open().insert(&run, None).await.expect("as it should be");
    let found = open()
        .get(&run.id)
        .await
        .expect("as it should be")
        .expect("as it should be");
    let why = found.plan.unready.clone().expect("it is unready");
    assert!(why.contains("there is none"), "{why}");
    let bytes = std::fs::read(&path).expect("as it should be");
    assert!(
        !bytes.windows(6).any(|it| it == b"s3cret"),
        "no secret is in the file"
    );
}
