//! Arguments and secrets.

use serde_json::{Value, json};
use skygate::domain::plan::{Ask, Overrides, Plan};

use super::{inline, plan, spec_with_args};

#[test]
fn arguments_that_fit_nothing_are_told() {
    let spec = spec_with_args(
        &json!([{"name": "service-name"}, {"name": "threshold", "value": "1"}]),
        &json!({"successCondition": "all(values > {{args.treshold}})"}),
        &json!({"query": "{{ args.service-name }} << args.other >>"}),
    );
    let faults = plan(&spec, &[("service_name", "a")]).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "spec.args[0]: args.service-name was not resolved: argument `service-name` was not supplied and has no default (hint: supply it: --arg service-name=VALUE)\n\
         args.service_name: no argument is named `service_name`; the template declares `service-name`, `threshold` (hint: did you mean `service-name`?)\n\
         spec.metrics[0].successCondition: failed to resolve {{args.treshold}}: no argument is named `treshold`; the template declares `service-name`, `threshold` (hint: did you mean `threshold`?)\n\
         spec.metrics[0].provider.skywalking.query: failed to resolve << args.other >>: no argument is named `other`; the template declares `service-name`, `threshold` (hint: declare it under `args`)"
    );
}

fn with_secret(value: &'static str) -> impl Fn(&str, &str, &str) -> Result<String, String> {
    move |namespace, name, key| {
        assert_eq!((namespace, name, key), ("bookinfo", "sec", "key"));
        Ok(value.to_owned())
    }
}

fn spec_with_secret(metric: &Value, provider: &Value) -> Value {
    let from = json!({"secretKeyRef": {"name": "sec", "key": "key"}});
    spec_with_args(
        &json!([{"name": "token", "valueFrom": from}]),
        metric,
        provider,
    )
}

#[test]
fn secrets_reach_the_query_and_no_message() {
    let plan_with = |spec: &Value, args: &[(&str, &str)], secret: &'static str| {
        Plan::make(
            &inline(spec, args),
            &Overrides::default(),
            &with_secret(secret),
        )
    };

    let spec = spec_with_secret(
        &json!({}),
        &json!({"query": "{ a(b: \"{{args.token}}\") }"}),
    );
    let plan = plan_with(&spec, &[], "s3cret").expect("it is right");
    let Ask::Query(query) = &plan.metrics[0].source.ask else {
        panic!("a query is planned")
    };
    assert_eq!(query.text(), "{ a(b: \"s3cret\") }");
    assert_eq!(plan.masker.mask(query.text()), "{ a(b: \"*****\") }");
    let shown = format!("{:?}", inline(&spec, &[]));
    assert!(!shown.contains("s3cret"), "{shown}");

    // However a query writes it.
    for (template, secret, expected) in [
        (
            r#"{ a(b: "x{{args.token}}y") }"#,
            "k\u{8}\\\"k\u{85}",
            r#"{ a(b: "x*****y") }"#,
        ),
        (
            r#"{ a(b: """x{{args.token}}y""") }"#,
            r#"k"""k"#,
            r#"{ a(b: """x*****y""") }"#,
        ),
    ] {
        let spec = spec_with_secret(&json!({}), &json!({"query": template}));
        let plan = plan_with(&spec, &[], secret).expect("it is right");
        let Ask::Query(query) = &plan.metrics[0].source.ask else {
            panic!("a query is planned")
        };
        assert_eq!(plan.masker.mask(query.text()), expected);
        assert!(plan.metrics[0].source.holds_secret);
    }

    // A value that somebody supplies for a secret is one too.
    let plan = plan_with(&spec, &[("token", "mine")], "s3cret").expect("it is right");
    assert_eq!(plan.masker.mask("mine s3cret"), "***** s3cret");

    let faults = plan_with(&spec, &[], "").unwrap_err().to_string();
    assert_eq!(
        faults,
        "spec.args[0].valueFrom.secretKeyRef: key 'key' of secret 'sec' is empty"
    );

    let secret = "s3cret-that-is-longer-than-what-a-message-would-ever-show-of-a-text-that-somebody-wrote-0123456789";
    let everywhere = spec_with_secret(
        &json!({
            "name": "{{args.token}}",
            "failureLimit": "{{args.token}}",
            "conditionLanguage": "{{args.token}}",
            "successCondition": "all(values > {{args.token}}",
        }),
        &json!({
            "address": "{{args.token}}",
            "step": "{{args.token}}",
            "settle": "{{args.token}}",
            "gaps": "{{args.token}}",
            "noData": "{{args.token}}",
        }),
    );
    let faults = plan_with(&everywhere, &[], secret).unwrap_err();
    assert_eq!(faults.iter().count(), 9, "{faults}");
    assert!(!faults.to_string().contains("s3cret"), "{faults}");
}

#[test]
fn a_value_and_a_source_are_one_too_many() {
    let spec = spec_with_args(
        &json!([{
            "name": "x",
            "value": "1",
            "valueFrom": {"secretKeyRef": {"name": "sec", "key": "key"}},
        }]),
        &json!({}),
        &json!({}),
    );
    assert_eq!(
        plan(&spec, &[]).unwrap_err().to_string(),
        "spec.args[0]: argument `x` has both `value` and `valueFrom`: keep one"
    );
}

#[test]
fn hostile_arguments_are_refused_in_a_line() {
    let spec = spec_with_args(
        &json!([{"name": "x"}]),
        &json!({"interval": "{{args.x}}", "count": "{{args.x}}"}),
        &json!({"address": "{{args.x}}", "step": "{{args.x}}"}),
    );
    let megabyte = "{{args.x}}\"'".repeat(90_000);
    for value in [
        megabyte.as_str(),
        "\u{0}",
        "\"}}{{\n",
        "{{args.x}}",
        "😀\u{202e}",
    ] {
        let faults = plan(&spec, &[("x", value)]).unwrap_err();
        for fault in &faults {
            let text = fault.to_string();
            assert!(text.len() < 1_000, "{} bytes", text.len());
            assert!(!text.contains(['\0', '\n']), "{text}");
        }
    }
}
