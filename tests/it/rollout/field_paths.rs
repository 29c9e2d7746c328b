//! Arguments that take their values from the rollout.

use serde_json::{Value, json};
use skygate::domain::rollout::{Rollout, Settings, Version, value_at};

use super::driver::{Stage, at, spec};

const RENDERING: &str = include_str!("../../data/conformance/rendering.json");

#[test]
fn paths_are_walked_as_argo_walks_them() {
    let cases: Vec<Value> = serde_json::from_str(RENDERING).expect("the corpus is JSON");
    let cases: Vec<&Value> = cases
        .iter()
        .filter(|case| case["kind"] == "fieldPath")
        .collect();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let path = case["fieldPath"].as_str().expect("a path");
        let found = value_at(&case["rollout"], path);
        match case["expect"].as_str() {
            Some("error") => {
                let error = found.expect_err(path).to_string();
                assert_eq!(Some(&*error), case["message"].as_str(), "{}", case["id"]);
            }
            expected => assert_eq!(found.ok().as_deref(), expected, "{}", case["id"]),
        }
    }
}

fn analysis_with(args: &Value) -> Value {
    json!({
        "steps": [{"setWeight": 20}, {"pause": {}}],
        "analysis": {"startingStep": 1, "templates": [{"templateName": "a"}], "args": args},
    })
}

fn rollout(args: &Value, stable: Option<&str>) -> Rollout {
    let stable = stable.map(Version::named);
    Rollout::new(
        "bookinfo",
        spec(&analysis_with(args)),
        Version::named("v2"),
        stable,
        Settings::default(),
        at(0),
    )
}

#[test]
fn arguments_take_their_values_from_the_rollout() {
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let args = json!([
        {"name": "plain", "value": "x"},
        {"name": "empty"},
        {"name": "latest", "valueFrom": {"podTemplateHashValue": "Latest"}},
        {"name": "stable", "valueFrom": {"podTemplateHashValue": "Stable"}},
        {"name": "namespace", "valueFrom": field("metadata.namespace")},
        {"name": "label", "valueFrom": field("metadata.labels['app']")},
        {"name": "replicas", "valueFrom": field("spec.replicas")},
        {"name": "step", "valueFrom": field("status.currentStepIndex")},
        {"name": "weight", "valueFrom": field("status.canary.weights.canary.weight")},
    ]);
    let stage = Stage::of(rollout(&args, Some("v1")));
    let analysis = stage.rollout.background.as_ref().expect("it runs");
    let args: Vec<String> = analysis
        .args
        .iter()
        .map(|arg| format!("{}={}", arg.name, arg.value))
        .collect();
    assert_eq!(
        args,
        [
            "plain=x",
            "empty=",
            "latest=v2",
            "stable=v1",
            "namespace=bookinfo",
            "label=reviews",
            "replicas=5",
            "step=1",
            "weight=20",
        ]
    );
}

#[test]
fn arguments_without_a_value_are_told_before_anything_moves() {
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let args = json!([
        {"name": "nowhere", "valueFrom": field("spec.nowhere")},
        {"name": "later", "valueFrom": field("status.pauseConditions[3].reason")},
        {"name": "stable", "valueFrom": {"podTemplateHashValue": "Stable"}},
    ]);
    let faults = rollout(&args, None).check_arguments().unwrap_err();
    insta::assert_snapshot!(faults, @r"
    spec.strategy.canary.analysis.args[0].valueFrom.fieldRef.fieldPath: argument `nowhere`: invalid path spec.nowhere in rollout
    spec.strategy.canary.analysis.args[2].valueFrom.podTemplateHashValue: argument `stable` wants the name of the stable version, which nobody has told (hint: name it when the rollout begins)
    ");
    assert_eq!(rollout(&json!([]), None).check_arguments(), Ok(()));
}

#[test]
fn an_argument_that_leads_nowhere_is_an_error_of_its_analysis() {
    let args =
        json!([{"name": "later", "valueFrom": {"fieldRef": {"fieldPath": "status.nowhere"}}}]);
    let rollout = rollout(&args, None);
    assert_eq!(rollout.check_arguments(), Ok(()));
    let stage = Stage::of(rollout);
    insta::assert_snapshot!(stage.line(), @"Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 1: Background analysis phase error/failed: spec.strategy.canary.analysis.args[0].valueFrom.fieldRef.fieldPath: argument `later`: invalid path status.nowhere in rollout");
    assert_eq!(stage.started, [""; 0]);
}

#[test]
fn an_analysis_is_asked_for_with_everything_it_needs() {
    let mut canary = analysis_with(&json!([]));
    canary["analysis"]["analysisRunMetadata"] = json!({"labels": {"team": "shop", "rollout": "x"}});
    canary["steps"][1] = json!({"analysis": {"templates": [{"templateName": "b"}]}});
    let mut stage = Stage::of(Rollout::new(
        "bookinfo",
        spec(&canary),
        Version::named("v2"),
        None,
        Settings::default(),
        at(0),
    ));
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v2-1-1"]);
    let keys: Vec<_> = stage.rollout.analyses().map(|it| it.key.clone()).collect();
    let background = stage.rollout.request(&keys[0]).expect("it is asked for");
    assert_eq!(
        background.idempotency_key,
        "rollout/bookinfo/reviews/1/1800000000000/1/background"
    );
    assert_eq!(background.namespace, "bookinfo");
    assert_eq!(background.site.templates[0].name, "a");
    assert_eq!(background.not_before, Some(at(0)));
    assert!(!background.must_end);
    insta::assert_debug_snapshot!(background.labels, @r#"
    {
        "rollout": "reviews",
        "rollout-attempt": "1",
        "rollout-revision": "1",
        "rollout-type": "Background",
        "rollouts-pod-template-hash": "v2",
        "team": "shop",
    }
    "#);
    let of_step = stage.rollout.request(&keys[1]).expect("it is asked for");
    assert_eq!(
        of_step.idempotency_key,
        "rollout/bookinfo/reviews/1/1800000000000/1/step-1"
    );
    assert_eq!(of_step.site.templates[0].name, "b");
    assert_eq!(of_step.labels["step-index"], "1");
    assert!(of_step.must_end);

    stage.begin(&canary, "v3");
    assert_eq!(
        stage.rollout.request(&keys[0]),
        None,
        "it is not wanted any more"
    );
    assert_eq!(stage.rollout.labels(&keys[1])["step-index"], "1");
}

#[test]
fn the_analysis_beside_the_steps_is_told_since_when_the_canary_has_traffic() {
    let canary = json!({
        "steps": [{"pause": {"duration": 60}}, {"setWeight": 20}, {"pause": {}}],
        "analysis": {"templates": [{"templateName": "a"}]},
    });
    let mut stage = Stage::new(&canary, Settings::default());
    assert_eq!(stage.rollout.background, None, "nothing to be judged yet");
    stage.wake();
    assert_eq!(stage.rollout.traffic_since, Some(stage.now));
    let background = stage.rollout.background.as_ref().expect("it runs");
    assert_eq!(background.not_before, Some(stage.now));
}
