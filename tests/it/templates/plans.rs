//! What a good template becomes.

use serde_json::{Value, json};
use skygate::documents::Documents;
use skygate::domain::analysis::{Analysis, Library, Request};
use skygate::domain::plan::{Ask, Gaps, NoData, Overrides, Plan, Server};
use skygate::domain::spec::{Argument, Kind, TemplateRef};
use skygate::domain::window::Step;

use super::{inline, no_secrets, plan, spec_with, spec_with_args};

const SEED: &[u8] = include_bytes!("../../data/seed/analysis.yaml");

#[test]
fn the_seeds_template_is_planned_unchanged() {
    let documents = Documents::read(SEED);
    assert_eq!(documents.all_faults(), []);
    let library = Library::gather(documents.templates).expect("one template");
    let request = Request {
        namespace: "bookinfo".to_owned(),
        templates: vec![TemplateRef::new(Kind::Namespaced, "apdex")],
        args: vec![Argument::new(
            "service-name",
            "canary|reviews|bookinfo|cp-cluster-1|-",
        )],
        ..Request::default()
    };
    let analysis = Analysis::assemble(&library, &request);
    let plan = Plan::make(&analysis, &Overrides::default(), &no_secrets).expect("it is right");
    let [metric] = plan.metrics.as_slice() else {
        panic!("{:?}", plan.metrics)
    };
    assert_eq!(metric.name, "apdex");
    assert_eq!(metric.interval.map(|it| it.as_secs()), Some(300));
    assert_eq!((metric.limits.count, metric.limits.failure), (0, 3));
    assert_eq!(
        metric.success.as_ref().map(|it| it.source()),
        Some("all(result.service_apdex.values.values, {asFloat(.value) >= 9900})")
    );
    assert_eq!(
        metric.source.server,
        Server::Address("http://oap.istio-system:12800".to_owned())
    );
    assert_eq!(metric.source.window.step, Step::Minute);
    assert_eq!(metric.source.window.interval.as_secs(), 180);
    assert_eq!(metric.source.window.settle.as_secs(), 90);
    let Ask::Query(query) = &metric.source.ask else {
        panic!("{:?}", metric.source.ask)
    };
    assert!(
        query
            .text()
            .contains("serviceName: \"canary|reviews|bookinfo|cp-cluster-1|-\"")
    );
    assert_eq!(
        plan.warnings,
        ["metric `apdex`: a measurement every 5m looks at 3m: 2m of every 5m are never looked at",]
    );
}

#[test]
fn a_flag_stands_in_for_an_address() {
    let overrides = Overrides {
        server: Some(Server::Address("http://localhost:1".to_owned())),
    };
    for address in [json!(null), json!("http://oap:12800")] {
        let spec = spec_with(&json!({}), &json!({"address": address}));
        let plan = Plan::make(&inline(&spec, &[]), &overrides, &no_secrets).expect("it is right");
        assert_eq!(
            Some(&plan.metrics[0].source.server),
            overrides.server.as_ref()
        );
    }
}

#[test]
fn addresses_lose_what_is_appended_to_them() {
    for address in [
        "http://oap:12800",
        "http://oap:12800/",
        "http://oap:12800/graphql",
    ] {
        let plan = plan(&spec_with(&json!({}), &json!({"address": address})), &[]).expect(address);
        assert_eq!(
            plan.metrics[0].source.server,
            Server::Address("http://oap:12800".to_owned())
        );
    }
}

#[test]
fn an_expression_is_planned_with_its_entity() {
    let spec = spec_with_args(
        &json!([{"name": "service"}, {"name": "p", "value": "50,99"}, {"name": "normal", "value": "true"}]),
        &json!({}),
        &json!({
            "query": null,
            "address": null,
            "oap": "prod",
            "expression": "service_percentile{p='<< args.p >>'}",
            "entity": {
                "scope": "Service",
                "serviceName": "{{ args.service }}",
                "normal": "{{ args.normal }}",
            },
            "step": "HOUR",
            "gaps": "zero",
            "noData": "Failed",
            "noDataTimeout": "1h",
        }),
    );
    let plan = plan(&spec, &[("service", "a|b'\"")]).expect("it is right");
    let metric = &plan.metrics[0];
    assert_eq!(metric.source.server, Server::Named("prod".to_owned()));
    assert_eq!(metric.source.window.step, Step::Hour);
    assert_eq!(metric.source.window.settle.as_secs(), 300);
    assert_eq!(metric.source.gaps, Gaps::Zero);
    assert_eq!(metric.no_data, NoData::Failed);
    assert_eq!(metric.no_data_timeout.as_secs(), 3_600);
    let Ask::Expression { expression, entity } = &metric.source.ask else {
        panic!("{:?}", metric.source.ask)
    };
    assert_eq!(expression, "service_percentile{p='50,99'}");
    assert_eq!(entity.service_name.as_deref(), Some("a|b'\""));
    assert_eq!(entity.normal, Some(true));
}

#[test]
fn an_expression_may_ask_what_a_query_may() {
    let check = |expression: &str, entity: Value, is_right: bool| {
        let graphql: Vec<String> = entity
            .as_object()
            .expect("an object")
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("scope", Value::String(scope)) => format!("scope: {scope}"),
                (name, value) => format!("{name}: {value}"),
            })
            .collect();
        let query = format!(
            r#"query($duration: Duration!) {{ execExpression(expression: "{expression}", entity: {{ {} }}, duration: $duration) {{ type }} }}"#,
            graphql.join(", ")
        );
        for provider in [
            json!({"query": query}),
            json!({"query": null, "expression": expression, "entity": entity}),
        ] {
            let planned = plan(&spec_with(&json!({}), &provider), &[]);
            assert_eq!(planned.is_ok(), is_right, "{provider}: {planned:?}");
        }
    };
    let all_services = || json!({"scope": "Service", "normal": true});
    check("top_n(service_cpm,3,des)", all_services(), true);
    check("service_cpm", all_services(), false);
    check("avg(all_percentile)", json!({"scope": "All"}), true);
    check(
        "service_cpm",
        json!({"scope": "Services", "normal": true}),
        false,
    );
}

#[test]
fn limits_have_argos_defaults() {
    let spec = json!({"metrics": [{"name": "m", "provider": {"skywalking": {
        "address": "http://oap", "query": "{a}", "interval": "1m",
    }}}]});
    let plan = plan(&spec, &[]).expect("it is right");
    let limits = plan.metrics[0].limits;
    assert_eq!(
        (limits.count, limits.failure, limits.inconclusive),
        (0, 0, 0)
    );
    assert_eq!(limits.consecutive_error, 4);
    assert_eq!(
        (limits.consecutive_success, limits.consecutive_failure),
        (0, 0)
    );
    assert_eq!(plan.metrics[0].retention, 10);
    assert!(!plan.metrics[0].dry_run);
}

#[test]
fn rules_pick_metrics_by_their_rendered_names() {
    let mut spec = spec_with_args(
        &json!([{"name": "x", "value": "1"}]),
        &json!({"name": "m-{{args.x}}"}),
        &json!({}),
    );
    spec["dryRun"] = json!([{"metricName": "1$"}]);
    spec["measurementRetention"] =
        json!([{"metricName": "m", "limit": 7}, {"metricName": "-1", "limit": 3}]);
    let found = plan(&spec, &[]).expect("it is right");
    assert_eq!(found.metrics[0].name, "m-1");
    assert!(found.metrics[0].dry_run);
    assert_eq!(found.metrics[0].retention, 3);

    spec["measurementRetention"] = json!([{"metricName": "m", "limit": -1}]);
    assert_eq!(
        plan(&spec, &[]).expect("it is right").metrics[0].retention,
        10
    );
}

#[test]
fn warnings_say_what_would_happen() {
    let check = |metric: Value, provider: Value, expected: &[&str]| {
        let plan = plan(&spec_with(&metric, &provider), &[]).expect("it is right");
        let expected: Vec<String> = expected
            .iter()
            .map(|warning| format!("metric `apdex`: {warning}"))
            .collect();
        assert_eq!(plan.warnings, expected, "for {metric} and {provider}");
    };
    let nothing = || json!({});
    let apart = |mut changes: Value| {
        changes["interval"] = json!("3m");
        changes
    };
    check(apart(nothing()), nothing(), &[]);
    check(
        apart(json!({"successCondition": null})),
        nothing(),
        &["has no condition: every measurement is Successful"],
    );
    check(
        json!({"interval": "30s"}),
        nothing(),
        &[
            "the interval of 30s is shorter than a bucket of 1m: one bad minute would be counted up to 5 times; its failureLimit is 1",
        ],
    );
    check(
        json!({"count": 0, "failureLimit": 3}),
        json!({"interval": "10m"}),
        &[
            "the interval of 1m is shorter than the window of 10m: one bad minute would be counted up to 10 times; its failureLimit is 3",
        ],
    );
    check(
        json!({"interval": "1s", "count": 0, "failureLimit": -1, "consecutiveSuccessLimit": 3}),
        json!({"interval": "1h"}),
        &[
            "the interval of 1s is shorter than a bucket of 1m: one bad minute would be counted more than 1000 times",
        ],
    );
    check(json!({"count": 1, "failureLimit": 0}), nothing(), &[]);
    check(
        json!({"interval": "5m"}),
        nothing(),
        &["a measurement every 5m looks at 3m: 2m of every 5m are never looked at"],
    );
    check(apart(json!({"count": 0})), nothing(), &[]);
    check(
        apart(json!({"failureLimit": 5, "inconclusiveLimit": 5})),
        nothing(),
        &[
            "failureLimit 5 never strikes: there are at most 5 measurements",
            "inconclusiveLimit 5 never strikes: there are at most 5 measurements",
        ],
    );
    check(
        json!({"interval": null, "count": null}),
        nothing(),
        &["failureLimit 1 never strikes: there are at most 1 measurement"],
    );
    check(
        apart(json!({"consecutiveFailureLimit": 3})),
        nothing(),
        &["consecutiveFailureLimit 3 is never reached: failureLimit 1 strikes before"],
    );
    check(
        apart(nothing()),
        json!({
            "query": null,
            "expression": "sum (service_cpm)",
            "entity": {"serviceName": "a", "normal": true},
        }),
        &["`sum(…)` is 0 where there is no data: no traffic looks like a measured zero"],
    );
    check(
        apart(nothing()),
        json!({
            "query": null,
            "expression": "my_sum(a) + discount(b) + count",
            "entity": {"serviceName": "a", "normal": true},
        }),
        &[],
    );
}
