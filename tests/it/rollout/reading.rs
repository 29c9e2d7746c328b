//! What of a Rollout is read, and what is refused.

use std::time::Duration;

use serde_json::{Value, json};
use skygate::documents::rollouts;
use skygate::domain::rollout::{RolloutSpec, Step};
use skygate::domain::routes::Choice;

use super::driver::{document, weight};

const SEED: &str = include_str!("../../data/seed/rollout.yaml");

fn seed() -> RolloutSpec {
    let (documents, faults) = rollouts(SEED.as_bytes());
    assert_eq!(faults, []);
    RolloutSpec::read(&documents[0]).expect("the seed's Rollout has no faults")
}

/// The faults of a Rollout with this `strategy.canary`, one a line.
fn faults(canary: &Value) -> String {
    match RolloutSpec::read(&document(canary)) {
        Ok(_) => "none".to_owned(),
        Err(faults) => faults.to_string().replace("spec.strategy.canary.", ""),
    }
}

#[test]
fn the_seed_is_read_as_it_is() {
    let spec = seed();
    assert_eq!(spec.name, "reviews-rollout");
    assert_eq!(spec.namespace, None);
    let ten_minutes = Step::Pause(Some(Duration::from_mins(10)));
    let steps: Vec<Step> = [10, 20, 40, 60, 80]
        .into_iter()
        .flat_map(|percent| [Step::SetWeight(weight(percent)), ten_minutes.clone()])
        .collect();
    assert_eq!(spec.steps, steps);

    let background = spec.analysis.as_ref().expect("it has an analysis");
    assert_eq!(background.starting_step, 2);
    assert_eq!(background.site.templates[0].name, "apdex");
    let argument = &background.site.args[0];
    assert_eq!(argument.name, "service-name");
    assert_eq!(
        argument.value.as_deref(),
        Some("canary|reviews|bookinfo|cp-cluster-1|-")
    );

    let traffic = spec.traffic("bookinfo").expect("it is routed");
    assert_eq!(traffic.owner.to_string(), "bookinfo/reviews-rollout");
    assert_eq!(
        traffic.virtual_services[0].name.to_string(),
        "bookinfo/reviews"
    );
    assert_eq!(traffic.virtual_services[0].choice, Choice::default());
    let subsets = traffic.versions.subsets.expect("it has subsets");
    assert_eq!(
        (&*subsets.rule, &*subsets.canary, &*subsets.stable),
        ("reviews", "canary", "stable")
    );
    insta::assert_snapshot!(spec.notes.join("\n"), @"not looked at, since a stepper moves traffic and leaves workloads alone: `replicas`, `selector`, `workloadRef`, `strategy.canary.canaryMetadata`, `strategy.canary.stableMetadata`");
}

#[test]
fn rollouts_are_found_among_others() {
    let text = "kind: Service\n---\nkind: List\nitems:\n- kind: Rollout\n  metadata: {name: a}\n- kind: Pod\n---\nkind: Rollout\nmetadata: {name: b}\n";
    let (found, faults) = rollouts(text.as_bytes());
    assert_eq!(faults, []);
    let names: Vec<&str> = found
        .iter()
        .filter_map(|it| it["metadata"]["name"].as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    let (found, faults) = rollouts(b"kind: Rollout\n---\na: [");
    assert_eq!((found.len(), faults.len()), (1, 1));
}

/// The table of `rollout-steps.md`.
#[test]
fn pauses_last_as_long_as_argos() {
    let check = |duration: Value, expected: Option<Option<u64>>| {
        let canary = json!({"steps": [{"pause": {"duration": duration}}]});
        let read = RolloutSpec::read(&document(&canary)).ok();
        let read = read.map(|spec| match spec.steps[..] {
            [Step::Pause(duration)] => duration,
            ref other => panic!("{other:?}"),
        });
        let expected = expected.map(|seconds| seconds.map(Duration::from_secs));
        assert_eq!(read, expected, "for {duration}");
    };
    check(Value::Null, Some(None));
    check(json!(90), Some(Some(90)));
    check(json!("90"), Some(Some(90)));
    check(json!("10m"), Some(Some(600)));
    check(json!("1h30m"), Some(Some(5_400)));
    check(json!("1.5m"), Some(Some(90)));
    check(json!("500ms"), Some(Some(0)));
    check(json!("-500ms"), Some(Some(0)));
    check(json!(0), Some(Some(0)));
    check(json!("0"), Some(Some(0)));
    for invalid in [
        json!("1d"),
        json!("abc"),
        json!(""),
        json!(" 5"),
        json!("1e3"),
        json!(-5),
        json!("-5"),
        json!("-5s"),
        json!("9999999999"),
        json!(9_999_999_999_u64),
        json!("700000h"),
        json!(1.5),
        json!(true),
        json!({}),
    ] {
        check(invalid, None);
    }
}

#[test]
fn a_pause_without_a_duration_has_no_end() {
    let canary = json!({"steps": [{"pause": {}}]});
    let spec = RolloutSpec::read(&document(&canary)).expect("no faults");
    assert_eq!(spec.steps, [Step::Pause(None)]);
}

#[test]
fn faults_of_steps_are_told_all_at_once() {
    let canary = json!({"steps": [
        {},
        {"pause": null},
        {"setWeight": 101},
        {"setWeight": -1},
        {"setWeight": "20"},
        {"setWeight": 20, "pause": {}},
        {"pause": {"duration": "1d"}},
        {"pause": {"length": "1m"}},
        {"setweight": 20},
        {"analysis": {}},
        {"analysis": {"templates": [{"clusterScope": true}], "args": [{"value": "x"}]}},
        "pause",
    ]});
    insta::assert_snapshot!(faults(&canary), @r#"
    steps[0]: is no step: one of `setWeight`, `pause`, `analysis` is expected
    steps[1]: is no step: one of `setWeight`, `pause`, `analysis` is expected (hint: a pause until somebody promotes is written `pause: {}`)
    steps[2].setWeight: a weight is between 0 and 100, found `101`
    steps[3].setWeight: a weight is between 0 and 100, found `-1`
    steps[4].setWeight: expected a whole number of 32 bits, found the text `20`
    steps[5]: has `setWeight`, `pause`: a step is one thing (hint: make them steps of their own, in the order they are meant)
    steps[6].pause.duration: `1d` is no duration: time: unknown unit "d" in duration "1d" (hint: pauses last 90 (seconds), 10m or 1h30m; `pause: {}` lasts until somebody promotes)
    steps[7].pause.length: unknown field; known here: `duration`
    steps[8]: is no step: one of `setWeight`, `pause`, `analysis` is expected
    steps[8].setweight: unknown field, did you mean `setWeight`?
    steps[9].analysis.templates: missing: they say what is measured
    steps[10].analysis.templates[0].templateName: missing: it names a template
    steps[10].analysis.args[0].name: missing: it names an argument of the template
    steps[11]: expected an object, found the text `pause`
    "#);
}

#[test]
fn what_needs_a_controller_is_refused() {
    let canary = json!({
        "pingPong": {"pingService": "a", "pongService": "b"},
        "replicaProgressThreshold": {"type": "Percent", "value": 90},
        "trafficRouting": {"nginx": {"stableIngress": "x"}, "maxTrafficWeight": 1000},
        "steps": [
            {"experiment": {"templates": []}},
            {"setCanaryScale": {"weight": 25}},
            {"setHeaderRoute": {"name": "x"}},
            {"setMirrorRoute": {"name": "x"}},
            {"plugin": {"name": "x"}},
            {"replicaProgressThreshold": {"type": "Percent", "value": 90}},
        ],
    });
    insta::assert_snapshot!(faults(&canary), @r"
    pingPong: needs a controller in the cluster: the two services change places with every revision
    replicaProgressThreshold: needs a controller in the cluster: a stepper does not know how many replicas are ready
    trafficRouting.nginx: needs a controller in the cluster: a stepper moves `istio` (hint: leave `trafficRouting` out and have the weights posted to a webhook)
    trafficRouting.maxTrafficWeight: weights are percent here: only `100` is possible
    steps[0].experiment: needs a controller in the cluster: it runs versions beside each other (hint: a stepper plays `setWeight`, `pause`, `analysis`; leave the step out)
    steps[1].setCanaryScale: needs a controller in the cluster: it scales the canary (hint: a stepper plays `setWeight`, `pause`, `analysis`; leave the step out)
    steps[2].setHeaderRoute: needs a controller in the cluster: it keeps routes of its own (hint: a stepper plays `setWeight`, `pause`, `analysis`; leave the step out)
    steps[3].setMirrorRoute: needs a controller in the cluster: it keeps routes of its own (hint: a stepper plays `setWeight`, `pause`, `analysis`; leave the step out)
    steps[4].plugin: needs a controller in the cluster: it runs in the controller (hint: a stepper plays `setWeight`, `pause`, `analysis`; leave the step out)
    steps[5].replicaProgressThreshold: needs a controller in the cluster: a stepper does not know how many replicas are ready (hint: a stepper plays `setWeight`, `pause`, `analysis`; leave the step out)
    ");
    let mut blue_green = document(&json!({}));
    blue_green["spec"]["strategy"] = json!({"blueGreen": {"activeService": "a"}});
    insta::assert_snapshot!(RolloutSpec::read(&blue_green).unwrap_err(), @"spec.strategy.blueGreen: needs a controller in the cluster: blue-green moves workloads (hint: a stepper plays `canary`; without steps it sends all traffic over at once)");
}

#[test]
fn faults_of_routing_are_told() {
    let of = |istio: Value| faults(&json!({"trafficRouting": {"istio": istio}}));
    let subsets = json!({"name": "r", "canarySubsetName": "c", "stableSubsetName": "s"});
    insta::assert_snapshot!(of(json!({"destinationRule": subsets})), @"trafficRouting.istio.virtualService: missing: it names the VirtualService whose weights are moved");
    insta::assert_snapshot!(of(json!({
        "destinationRule": subsets,
        "virtualService": {"name": "a"},
        "virtualServices": [{"name": "b", "route": ["x"]}],
    })), @r"
    trafficRouting.istio.virtualServices[0].route: unknown field, did you mean `routes`?
    trafficRouting.istio.virtualServices: `virtualService` is given too: one of the two is expected
    ");
    insta::assert_snapshot!(of(json!({
        "virtualServices": [],
        "destinationRule": {"name": "r", "canarySubsetName": "c", "stableSubsetName": "c"},
    })), @r"
    trafficRouting.istio.virtualServices: names no VirtualService
    trafficRouting.istio.destinationRule.stableSubsetName: is the canary's subset too: two different subsets are needed
    ");
    insta::assert_snapshot!(
        of(json!({"virtualService": {"name": "a/b", "tcpRoutes": [{"port": -1}]}, "destinationRule": subsets})),
        @r"
    trafficRouting.istio.virtualService.name: expected `name`, `name.namespace` or one of them with `.cluster.local`, found `a/b`
    trafficRouting.istio.virtualService.tcpRoutes[0].port: is no port: `-1`
    "
    );
    insta::assert_snapshot!(of(json!({"virtualService": {}})), @r"
    trafficRouting.istio.virtualService.name: missing: it names a VirtualService
    canaryService: missing: it tells the destinations of a route apart (hint: name both services, or a `destinationRule` with two subsets)
    stableService: missing: it tells the destinations of a route apart (hint: name both services, or a `destinationRule` with two subsets)
    ");
    insta::assert_snapshot!(
        faults(&json!({"canaryService": "a", "stableService": "a"})),
        @"stableService: is the canary's service too: two different services are needed"
    );
}

#[test]
fn routes_of_all_kinds_are_read() {
    let canary = json!({
        "canaryService": "c",
        "stableService": "s",
        "trafficRouting": {
            "managedRoutes": [{"name": "header"}],
            "istio": {"virtualServices": [
                {"name": "a", "routes": ["main", "other"]},
                {"name": "b.shop", "tlsRoutes": [{"port": 443, "sniHosts": ["x"]}], "tcpRoutes": [{"port": 80}]},
            ]},
        },
    });
    let spec = RolloutSpec::read(&document(&canary)).expect("no faults");
    let traffic = spec.traffic("bookinfo").expect("it is routed");
    assert_eq!(traffic.versions.canary_service.as_deref(), Some("c"));
    assert_eq!(traffic.versions.stable_service.as_deref(), Some("s"));
    let [a, b] = &traffic.virtual_services[..] else {
        panic!("{traffic:?}");
    };
    assert_eq!(a.choice.http, ["main", "other"]);
    assert_eq!(b.name.to_string(), "shop/b");
    assert_eq!((a.choice.managed.len(), b.choice.managed.len()), (1, 1));
    assert_eq!(b.choice.tls[0].port, 443);
    assert_eq!(b.choice.tls[0].sni_hosts, ["x"]);
    assert_eq!(b.choice.tcp[0].port, 80);
    let plain = RolloutSpec::read(&document(&json!({}))).expect("no faults");
    assert_eq!(plain.traffic("bookinfo"), None);
}

#[test]
fn faults_of_analyses_are_told() {
    let canary = json!({
        "steps": [{"pause": {}}],
        "analysis": {
            "startingStep": 1,
            "templates": [{"templateName": "a", "scope": "x"}],
            "args": [
                {"name": "secret", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
                {"name": "hash", "valueFrom": {"podTemplateHashValue": "Newest"}},
                {"name": "both", "valueFrom": {"podTemplateHashValue": "Latest", "fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "none", "valueFrom": {}},
                {"name": "path", "valueFrom": {"fieldRef": {}}},
                {"name": "number", "value": 5},
            ],
            "analysisRunMetadata": {"labels": {"a": 1}},
        },
    });
    insta::assert_snapshot!(faults(&canary), @r#"
    analysis.templates[0].scope: unknown field; known here: `templateName`, `clusterScope`
    analysis.analysisRunMetadata.labels.a: expected a text, found the number `1`
    analysis.args[0].valueFrom.secretKeyRef: a rollout hands over no secrets: the template names them itself
    analysis.args[1].valueFrom.podTemplateHashValue: expected `Latest` or `Stable`, found `Newest`
    analysis.args[2].valueFrom: has `fieldRef` and `podTemplateHashValue`: a value comes from one place
    analysis.args[3].valueFrom: is empty: `fieldRef` or `podTemplateHashValue` is expected
    analysis.args[4].valueFrom.fieldRef.fieldPath: missing: it names a field of the rollout
    analysis.args[5].value: expected a text, found the number `5` (hint: put it in quotes: "5")
    analysis.startingStep: there is no step 1 among 1 (hint: steps are counted from 0)
    "#);
    let negative = json!({"analysis": {"startingStep": -1, "templates": [{"templateName": "a"}]}});
    insta::assert_snapshot!(faults(&negative), @"analysis.startingStep: there is no step -1 (hint: steps are counted from 0)");
}

#[test]
fn what_has_no_effect_is_noted() {
    let mut document = document(&json!({
        "abortScaleDownDelaySeconds": 30,
        "dynamicStableScale": false,
        "analysis": {
            "templates": [{"templateName": "a"}],
            "analysisRunMetadata": {"annotations": {"a": "b"}},
        },
    }));
    document["spec"]["progressDeadlineSeconds"] = json!(60);
    document["spec"]["paused"] = json!(true);
    document["status"] = json!({"phase": "Healthy"});
    let spec = RolloutSpec::read(&document).expect("no faults");
    assert!(spec.is_paused);
    assert_eq!(spec.document["status"], Value::Null);
    insta::assert_snapshot!(spec.notes.join("\n"), @r"
    not looked at, since a stepper moves traffic and leaves workloads alone: `replicas`, `progressDeadlineSeconds`, `strategy.canary.abortScaleDownDelaySeconds`
    spec.strategy.canary.analysis.analysisRunMetadata.annotations: a run has labels only
    ");
}

#[test]
fn other_documents_are_no_rollouts() {
    let check = |document: Value, expected: &str| {
        let faults = RolloutSpec::read(&document).unwrap_err();
        assert_eq!(faults.to_string(), expected);
    };
    check(
        json!({"kind": "Deployment"}),
        "kind: expected `Rollout`, found `Deployment`",
    );
    check(json!([]), "kind: expected `Rollout`, found nothing");
    check(
        json!({"kind": "Rollout"}),
        "apiVersion: missing: `argoproj.io/v1alpha1` is expected\n\
         metadata.name: missing: a rollout is kept under its name\n\
         spec: missing: it holds the strategy",
    );
    check(
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "A"}, "spec": {"replica": 1}}),
        "metadata.name: `A` is no name for Kubernetes: lower-case letters, digits and inner dashes are allowed\n\
         spec.strategy: missing: `canary` is expected under it\n\
         spec.replica: unknown field, did you mean `replicas`?",
    );
}
