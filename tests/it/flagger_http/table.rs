//! Every hook at every phase that the run of an attempt may be in.

use serde_json::{Value, json};
use skygate::domain::flagger::Hook;

use super::{assert_is_plain, body, call, keep, newest_run};
use crate::harness::{Served, Setup};

/// A service whose source always says `letter`, and the template for it: nothing is measured before there is traffic.
async fn saying(letter: &str) -> Served {
    let served = Setup::saying(letter).start().await;
    keep_simple(&served).await;
    served
}

/// Keeps that template.
pub(super) async fn keep_simple(served: &Served) {
    keep(served, &simple()).await;
}

/// That template.
pub(super) fn simple() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": { "name": "apdex", "namespace": "bookinfo" },
        "spec": {
            "args": [{ "name": "service-name" }],
            "metrics": [{
                "name": "a",
                "interval": "1m",
                "initialDelay": "10m",
                "successCondition": "values[0] > 0",
                "failureCondition": "values[0] < 0",
                "provider": { "skywalking": {
                    "oap": "sim",
                    "interval": "1m",
                    "expression": "a",
                    "entity": { "scope": "Service", "serviceName": "{{ args.service-name }}", "normal": true },
                } },
            }],
        },
    })
}

/// What each hook is answered about a version whose run is in some phase; each is asked about a canary of its own.
async fn check(letter: &str, is_over: bool, expected: [u16; 8]) {
    let served = saying(letter).await;
    let mut found = Vec::new();
    for hook in Hook::ALL {
        let version = body(hook.name(), "v2", "Progressing");
        for first in ["pre-rollout", "confirm-traffic-increase"] {
            let answer = call(&served, first, &version).await;
            assert_eq!(answer.status, 200, "{answer}");
        }
        let run = newest_run(&served, hook.name()).await;
        if is_over {
            served.await_end(&run).await;
        } else {
            served.await_measurements(&run, 7).await;
        }
        let answer = call(&served, hook.name(), &version).await;
        assert_is_plain(&answer);
        found.push((hook.name(), answer.status, answer.body));
    }
    let statuses: Vec<u16> = found.iter().map(|(_, status, _)| *status).collect();
    assert_eq!(statuses, expected, "{letter}: {found:#?}");
}

// In the order of `Hook::ALL`: may it begin, before, each round, more traffic, all of it, after, back, an event.

#[tokio::test]
async fn a_run_that_finds_it_good() {
    check("S", false, [200, 200, 200, 200, 200, 200, 403, 200]).await;
}

#[tokio::test]
async fn a_failed_run() {
    check("F", true, [200, 200, 403, 403, 403, 200, 200, 200]).await;
}

#[tokio::test]
async fn an_inconclusive_run() {
    check("I", true, [200, 200, 200, 403, 403, 200, 403, 200]).await;
}

#[tokio::test]
async fn a_run_that_ended_in_error() {
    check("E", true, [403, 200, 403, 403, 403, 200, 403, 200]).await;
}

#[tokio::test]
async fn no_run_at_all() {
    let served = saying("S").await;
    let mut statuses = Vec::new();
    for hook in Hook::ALL {
        let answer = call(
            &served,
            hook.name(),
            &body(hook.name(), "v2", "Progressing"),
        )
        .await;
        assert_is_plain(&answer);
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 403, 200, 403, 200]);
}
