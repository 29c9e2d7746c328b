//! What a `Rollout` may say that a stepper passes over, and what it cannot pass over.

use serde_json::Value;

use super::super::super::spec::reader::Fields;
use super::{Passed, needs_a_controller};

/// Fields of `spec` that tell a controller how to treat workloads.
const OF_SPEC: [&str; 11] = [
    "replicas",
    "selector",
    "template",
    "workloadRef",
    "minReadySeconds",
    "revisionHistoryLimit",
    "progressDeadlineSeconds",
    "progressDeadlineAbort",
    "restartAt",
    "rollbackWindow",
    "analysis",
];

/// The same of `spec.strategy.canary`.
const OF_CANARY: [&str; 10] = [
    "maxSurge",
    "maxUnavailable",
    "antiAffinity",
    "canaryMetadata",
    "stableMetadata",
    "scaleDownDelaySeconds",
    "scaleDownDelayRevisionLimit",
    "abortScaleDownDelaySeconds",
    "dynamicStableScale",
    "minPodsPerReplicaSet",
];

pub(super) fn of_spec(fields: &mut Fields<'_, '_>, passed: &mut Passed) {
    pass(fields, &OF_SPEC, "", passed);
}

pub(super) fn of_canary(fields: &mut Fields<'_, '_>, passed: &mut Passed) {
    pass(fields, &OF_CANARY, "strategy.canary.", passed);
    for (name, why) in [
        (
            "pingPong",
            "the two services change places with every revision",
        ),
        (
            "replicaProgressThreshold",
            "a stepper does not know how many replicas are ready",
        ),
    ] {
        if fields.value(name).is_some() {
            let path = fields.path(name);
            fields.add(needs_a_controller(&path, why));
        }
    }
}

fn pass(fields: &mut Fields<'_, '_>, names: &[&'static str], prefix: &str, passed: &mut Passed) {
    for name in names {
        let is_said = fields
            .value(name)
            .is_some_and(|value| *value != Value::Bool(false));
        if is_said {
            passed.0.push(format!("{prefix}{name}"));
        }
    }
}
