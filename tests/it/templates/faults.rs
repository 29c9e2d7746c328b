//! What a bad template is told: the strict level.

use serde_json::{Value, json};

use super::{plan, spec_with};

/// The faults of a metric that is good but for these fields, one a line.
fn check(metric: &Value, provider: &Value, expected: &str) {
    let found = match plan(&spec_with(metric, provider), &[]) {
        Ok(_) => String::new(),
        Err(faults) => faults.to_string().replace("spec.metrics[0].", ""),
    };
    assert_eq!(found, expected, "for {metric} and {provider}");
}

#[test]
fn unknown_fields_name_what_was_meant() {
    check(&json!({}), &json!({}), "");
    check(
        &json!({"failurelimit": 3, "foo": 1}),
        &json!({"intervall": "3m"}),
        "provider.skywalking.intervall: unknown field, did you mean `interval`?\n\
             failurelimit: unknown field, did you mean `failureLimit`?\n\
             foo: unknown field; known here: `name`, `interval`, `initialDelay`, `count`, `successCondition`, `failureCondition`, `failureLimit`, `inconclusiveLimit`, `consecutiveErrorLimit`, `consecutiveSuccessLimit`, `consecutiveFailureLimit`, `conditionLanguage`, `provider`",
    );
}

#[test]
fn the_kinds_of_values_are_kubernetes() {
    check(
        &json!({"successCondition": true}),
        &json!({}),
        "successCondition: expected a text, found `true` (hint: put it in quotes: \"true\")",
    );
    check(
        &json!({"count": 1.5}),
        &json!({}),
        "count: expected a whole number of 32 bits or a text, found the number `1.5`",
    );
    check(
        &json!({"count": null}),
        &json!({"interval": 3}),
        "provider.skywalking.interval: expected a duration, found the number `3` (hint: durations are written 90s, 5m or 1h30m)",
    );
    check(
        &json!({}),
        &json!({"query": ["a"]}),
        "provider.skywalking.query: expected a text, found a list",
    );
    check(
        &json!({"provider": "skywalking"}),
        &json!({}),
        "provider: expected an object, found the text `skywalking`",
    );
    check(
        &json!({"failureLimit": 3_000_000_000_i64}),
        &json!({}),
        "failureLimit: expected a whole number of 32 bits or a text, found the number `3000000000`",
    );
}

#[test]
fn limits_are_whole_numbers_that_make_sense() {
    check(
        &json!({"count": "many", "failureLimit": "", "inconclusiveLimit": "1.5"}),
        &json!({}),
        "count: expected a whole number, found `many` (hint: Argo Rollouts would silently take it for 0)\n\
             failureLimit: expected a whole number, found `` (hint: Argo Rollouts would silently take it for 0)\n\
             inconclusiveLimit: expected a whole number, found `1.5` (hint: Argo Rollouts would silently take it for 0)",
    );
    check(
        &json!({"count": -1}),
        &json!({}),
        "count: must be at least 0, found `-1`",
    );
    check(
        &json!({"failureLimit": -2, "consecutiveErrorLimit": -1}),
        &json!({}),
        "consecutiveErrorLimit: consecutiveErrorLimit must be >= 0, found `-1`\n\
             failureLimit: failureLimit must be >= 0, or -1 to be disabled, found `-2`",
    );
    check(
        &json!({"consecutiveFailureLimit": -1}),
        &json!({}),
        "consecutiveFailureLimit: must be at least 0, found `-1`",
    );
    check(
        &json!({"count": "5", "failureLimit": "-1", "consecutiveSuccessLimit": "3"}),
        &json!({}),
        "",
    );
}

/// Stricter than Argo, which would measure without a pause.
#[test]
fn an_interval_that_would_flood_an_oap_is_refused() {
    let hint = "(hint: every measurement asks an OAP that others need too)";
    check(
        &json!({"interval": "1ns"}),
        &json!({}),
        &format!("interval: must be at least 1s, found `1ns` {hint}"),
    );
    check(
        &json!({"interval": "999ms"}),
        &json!({}),
        &format!("interval: must be at least 1s, found `999ms` {hint}"),
    );
    check(&json!({"interval": "1s"}), &json!({}), "");
}

#[test]
fn durations_are_positive_where_they_must_be() {
    check(
        &json!({"interval": "-5s", "initialDelay": "-1m"}),
        &json!({}),
        "interval: must not be negative, found `-5s`\n\
             initialDelay: must not be negative, found `-1m`",
    );
    check(
        &json!({"interval": "0s"}),
        &json!({"interval": "0s"}),
        "interval: must be longer than nothing\n\
             provider.skywalking.interval: must be longer than nothing",
    );
    check(
        &json!({"interval": "5", "initialDelay": "1d"}),
        &json!({"interval": "3min"}),
        "interval: invalid interval string: time: missing unit in duration \"5\" (hint: durations are written 90s, 5m or 1h30m)\n\
             initialDelay: invalid startDelay string: time: unknown unit \"d\" in duration \"1d\" (hint: durations are written 90s, 5m or 1h30m)\n\
             provider.skywalking.interval: time: unknown unit \"min\" in duration \"3min\" (hint: durations are written 90s, 5m or 1h30m)",
    );
    check(
        &json!({}),
        &json!({"settle": "-1s", "noDataTimeout": "0s"}),
        "provider.skywalking.settle: must not be negative, found `-1s`\n\
             provider.skywalking.noDataTimeout: must be longer than nothing",
    );
    check(
        &json!({"interval": ""}),
        &json!({"interval": ""}),
        "interval: interval must be specified when count > 1\n\
             provider.skywalking.interval: missing: how much time a measurement looks at (hint: for example 3m: the three newest settled minutes)",
    );
}

#[test]
fn windows_fit_into_what_an_oap_answers() {
    check(&json!({}), &json!({"interval": "8h21m"}), "");
    check(
        &json!({}),
        &json!({"interval": "8h21m1s"}),
        "provider.skywalking.interval: 8h21m1s is 502 buckets of 1m; an OAP answers for 501 at most: the longest interval is 8h21m",
    );
    check(
        &json!({}),
        &json!({"interval": "8h21m", "settle": "0s"}),
        "provider.skywalking.interval: 8h21m is 502 buckets of 1m; an OAP answers for 501 at most: the longest interval is 8h20m",
    );
    check(&json!({}), &json!({"interval": "20h", "step": "HOUR"}), "");
    check(
        &json!({}),
        &json!({"interval": "9000h", "step": "HOUR"}),
        "provider.skywalking.interval: 9000h is 9000 buckets of 1h; an OAP answers for 501 at most: the longest interval is 501h",
    );
    check(
        &json!({}),
        &json!({"step": "SECOND"}),
        "provider.skywalking.step: `SECOND` is refused: an OAP keeps no metrics by the second, every bucket would be empty (hint: `MINUTE` is the finest)",
    );
    check(
        &json!({}),
        &json!({"step": "minute"}),
        "provider.skywalking.step: expected one of `MINUTE`, `HOUR`, `DAY`, found `minute` (hint: did you mean `MINUTE`?)",
    );
}

#[test]
fn words_are_those_of_the_documentation() {
    check(
        &json!({}),
        &json!({"gaps": "Skip", "noData": "Ignore"}),
        "provider.skywalking.gaps: expected one of `skip`, `zero`, found `Skip` (hint: did you mean `skip`?)\n\
             provider.skywalking.noData: expected one of `Wait`, `Inconclusive`, `Failed`, `Successful`, `Error`, found `Ignore`",
    );
    check(
        &json!({"conditionLanguage": "cel"}),
        &json!({}),
        "successCondition: all is not called like this (hint: as in `list.all(x, x > 1.0)`)",
    );
    check(
        &json!({"conditionLanguage": "expr", "successCondition": "values.all(v, v > 1.0)"}),
        &json!({}),
        "successCondition: no value has a method all (hint: it is a function: `all(…)`)",
    );
    check(
        &json!({"conditionLanguage": "cel", "successCondition": "values.all(v, v > 1.0)"}),
        &json!({"gaps": "zero", "noData": "Failed"}),
        "",
    );
    check(
        &json!({"conditionLanguage": "lua"}),
        &json!({}),
        "conditionLanguage: expected one of `expr`, `cel`, found `lua`",
    );
    check(
        &json!({"conditionLanguage": "expr"}),
        &json!({"gaps": "zero", "noData": "Failed"}),
        "",
    );
}

#[test]
fn there_is_one_server_and_one_question() {
    check(
        &json!({}),
        &json!({"address": null}),
        "provider.skywalking.address: missing: whom to ask (hint: give the OAP's URL here, `oap: NAME`, or the flag --oap)",
    );
    check(
        &json!({}),
        &json!({"oap": "prod"}),
        "provider.skywalking: `address` and `oap` both name a server: keep one",
    );
    check(
        &json!({}),
        &json!({"address": "oap:12800"}),
        "provider.skywalking.address: expected the URL of an OAP, found `oap:12800` (hint: for example http://oap.istio-system:12800)",
    );
    check(
        &json!({}),
        &json!({"address": "http://"}),
        "provider.skywalking.address: expected the URL of an OAP, found `http://` (hint: for example http://oap.istio-system:12800)",
    );
    check(
        &json!({}),
        &json!({"address": "http://oap:12800/graphql?x=1"}),
        "provider.skywalking.address: expected the URL of an OAP, found `http://oap:12800/graphql?x=1` (hint: for example http://oap.istio-system:12800)",
    );
    check(
        &json!({}),
        &json!({"query": null}),
        "provider.skywalking.query: missing: what to ask (hint: give a GraphQL `query`, or an MQE `expression` with its `entity`)",
    );
    check(
        &json!({}),
        &json!({"expression": "service_apdex"}),
        "provider.skywalking: `query` and `expression` both say what to ask: keep one",
    );
    check(
        &json!({}),
        &json!({"queries": {"canary": {}}}),
        "provider.skywalking.queries: named queries are not supported yet",
    );
    check(
        &json!({}),
        &json!({"entity": {"serviceName": "a", "normal": true}}),
        "provider.skywalking.entity: belongs to an `expression`; a `query` names its own",
    );
    check(
        &json!({}),
        &json!({"query": null, "expression": "service_apdex"}),
        "provider.skywalking.entity: missing: whom the expression is about (hint: for a service: `entity: { scope: Service, serviceName: NAME, normal: true }`)",
    );
}

#[test]
fn entities_are_complete() {
    let entity = |entity: Value, expected: &str| {
        let found = plan(
            &spec_with(
                &json!({}),
                &json!({"query": null, "expression": "service_apdex", "entity": entity}),
            ),
            &[],
        );
        let found: Vec<String> = match found {
            Ok(_) => Vec::new(),
            Err(faults) => faults
                .iter()
                .map(|it| format!("{}: {}", it.path, it.message))
                .map(|it| it.replace("spec.metrics[0].provider.skywalking.entity.", ""))
                .collect(),
        };
        assert_eq!(found.join("\n"), expected, "for {entity}");
    };
    entity(json!({"serviceName": "a", "normal": true}), "");
    entity(
        json!({"scope": "Service", "serviceName": "a", "normal": "false"}),
        "",
    );
    entity(
        json!({"scope": "Service", "serviceName": "a"}),
        "normal: missing: the scope `Service` needs it",
    );
    entity(
        json!({}),
        "serviceName: missing: the scope `Service` needs it\n\
         normal: missing: the scope `Service` needs it",
    );
    entity(
        json!({"scope": "ServiceInstance", "serviceName": "a", "normal": true}),
        "serviceInstanceName: missing: the scope `ServiceInstance` needs it",
    );
    entity(
        json!({"serviceName": "a", "normal": true, "processName": "p"}),
        "serviceInstanceName: missing: the scope `Process` needs it",
    );
    entity(
        json!({"serviceName": "a", "normal": true, "endpointName": "/", "destEndpointName": "/"}),
        "destServiceName: missing: the scope `EndpointRelation` needs it\n\
         destNormal: missing: the scope `EndpointRelation` needs it",
    );
    entity(
        json!({"scope": "service", "serviceName": "a", "normal": true}),
        "scope: expected one of `All`, `Service`, `ServiceInstance`, `Endpoint`, `Process`, `ServiceRelation`, `ServiceInstanceRelation`, `EndpointRelation`, `ProcessRelation`, found `service`",
    );
    entity(
        json!({"scope": "Service", "serviceName": "", "normal": "yes"}),
        "serviceName: is empty\n\
         normal: expected one of `true`, `false`, found `yes`",
    );
    entity(
        json!({"scope": "Service", "serviceName": "a", "normal": true, "endpointName": "/"}),
        "endpointName: the scope `Service` doesn't read it: leave it out, or name the scope that does",
    );
    entity(
        json!({"serviceNam": "a", "normal": 1}),
        "normal: expected true or false, found the number `1`\n\
         serviceNam: unknown field, did you mean `serviceName`?\n\
         serviceName: missing: the scope `Service` needs it",
    );
}

#[test]
fn other_providers_are_refused_by_name() {
    check(
        &json!({"provider": {"prometheus": {"address": "{{args.x}}", "query": "up"}}}),
        &Value::Object(serde_json::Map::new()),
        "provider.prometheus: failed to resolve {{args.x}}: no argument is named `x`; the template declares none (hint: declare it under `args`)\n\
             provider: metrics of `prometheus` cannot be measured here (hint: `skywalking` is the provider that is supported)",
    );
}

#[test]
fn faults_of_all_levels_come_at_once() {
    let spec = json!({
        "metrics": [
            {
                "name": "a",
                "intervall": "1m",
                "interval": "1d",
                "failureLimit": "x",
                "provider": {"skywalking": {"step": "SECOND"}},
            },
            {"name": "a", "count": 2, "provider": {"web": {}}},
        ],
        "dryRun": [{"metricName": "["}],
        "templates": [],
    });
    let paths: Vec<String> = plan(&spec, &[("x", "y")])
        .unwrap_err()
        .iter()
        .map(|fault| fault.path.clone())
        .collect();
    assert_eq!(
        paths,
        [
            "spec.dryRun[0]",
            "args.x",
            "spec.metrics[0].intervall",
            "spec.metrics[0].interval",
            "spec.metrics[0].failureLimit",
            "spec.metrics[0].provider.skywalking.address",
            "spec.metrics[0].provider.skywalking.query",
            "spec.metrics[0].provider.skywalking.step",
            "spec.metrics[0].provider.skywalking.interval",
            "spec.metrics[1].name",
            "spec.metrics[1].interval",
            "spec.metrics[1].provider",
        ]
    );
}

#[test]
fn a_rule_says_which_metrics_it_is_for() {
    let mut spec = spec_with(&json!({}), &json!({}));
    spec["dryRun"] = json!([{}]);
    assert_eq!(
        plan(&spec, &[]).unwrap_err().to_string(),
        "spec.dryRun[0].metricName: missing: which metrics the rule is for (hint: `.*` is for all of them)"
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// However many fields are wrong, each of them is told.
    #[test]
    fn every_wrong_field_is_told(wrong in proptest::collection::btree_set(0_usize..8, 1..8)) {
        let fields = [
            ("name", json!("")),
            ("interval", json!("1")),
            ("initialDelay", json!("1d")),
            ("count", json!("x")),
            ("failureLimit", json!("x")),
            ("inconclusiveLimit", json!(1.5)),
            ("conditionLanguage", json!("lua")),
            ("successcondition", json!("")),
        ];
        let chosen: serde_json::Map<String, Value> = wrong
            .iter()
            .map(|i| (fields[*i].0.to_owned(), fields[*i].1.clone()))
            .collect();
        let faults = plan(&spec_with(&chosen.clone().into(), &json!({})), &[]).unwrap_err();
        for name in chosen.keys() {
            let path = format!("spec.metrics[0].{name}");
            proptest::prop_assert!(faults.iter().any(|fault| fault.path == path), "{path} in {faults}");
        }
    }
}
