//! Flagger's hooks over HTTP, as Flagger calls them.
//!
//! - `canary`: a whole rollout in Flagger's order of calls, a service that is started again between any two of them included.
//! - `table`: every hook at every phase. `refusals`: calls that nobody should make.

mod canary;
mod refusals;
mod table;

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use skygate::ports::{Clock, MetricSource, Records, Store};

use crate::harness::{Answer, Served, Setup};

/// What a service needs that outlives its process.
struct House {
    clock: Arc<dyn Clock>,
    source: Arc<dyn MetricSource>,
    store: Arc<dyn Store>,
    records: Arc<dyn Records>,
}

impl House {
    fn of(setup: &Setup) -> Self {
        Self {
            clock: Arc::clone(&setup.clock),
            source: Arc::clone(&setup.source),
            store: Arc::clone(&setup.store),
            records: Arc::clone(&setup.records),
        }
    }

    async fn open(&self) -> Served {
        let setup = Setup {
            clock: Arc::clone(&self.clock),
            source: Arc::clone(&self.source),
            store: Arc::clone(&self.store),
            records: Arc::clone(&self.records),
            ..Setup::saying("S")
        };
        setup.start().await
    }
}

/// The template that the canaries are judged by, kept in the service: it goes on until it is concluded, and one failure is enough.
async fn keep_template(served: &Served) {
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": { "name": "apdex", "namespace": "bookinfo" },
        "spec": {
            "args": [{ "name": "service-name" }],
            "metrics": [{
                "name": "apdex",
                "interval": "1m",
                "successCondition": "all(values >= 9900)",
                "provider": { "skywalking": {
                    "address": "http://oap.istio-system:12800",
                    "interval": "1m",
                    "expression": "service_apdex",
                    "entity": { "scope": "Service", "serviceName": "{{ args.service-name }}", "normal": true },
                } },
            }],
        },
    });
    keep(served, &template).await;
}

async fn keep(served: &Served, template: &Value) {
    let answer = served.post("/api/v1/templates", template.to_string()).await;
    assert_eq!(answer.status, 200, "{answer}");
}

/// What Flagger sends about a canary in `bookinfo` that is judged by the template `apdex`.
fn body(canary: &str, checksum: &str, phase: &str) -> Value {
    json!({
        "name": canary,
        "namespace": "bookinfo",
        "phase": phase,
        "checksum": checksum,
        "metadata": { "template": "apdex", "args.service-name": "reviews" },
    })
}

/// Sends it as Flagger does.
async fn call(served: &Served, hook: &str, body: &Value) -> Answer {
    let request = served.request(Method::POST, &format!("/flagger/{hook}"));
    let request = request.header("content-type", "application/json");
    Answer::of(request.body(body.to_string())).await
}

/// Every answer is a line of text that people can read.
fn assert_is_plain(answer: &Answer) {
    let kind = answer.header("content-type");
    assert_eq!(kind, "text/plain; charset=utf-8", "{answer}");
    let line = &answer.body;
    assert!(!line.is_empty() && !line.contains('\n'), "{answer}");
}

/// Where the newest run of a canary is.
async fn newest_run(served: &Served, canary: &str) -> String {
    let list = format!("/api/v1/runs?label=flagger-canary%3D{canary}");
    let runs = served.get(&list).await.json();
    let id = runs["items"][0]["id"].as_str();
    format!("/api/v1/runs/{}", id.unwrap_or_else(|| panic!("{runs}")))
}
