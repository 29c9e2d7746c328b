//! Flagger's hooks over HTTP, as Flagger calls them.
//!
//! - `canary`: a whole rollout in Flagger's order of calls, a service that is started again between any two of them included.
//! - `canaries`: what is kept of that, shown, deleted and forgotten; and what Prometheus sees of it.
//! - `table`: every hook at every phase. `refusals`: calls that nobody should make.

mod canaries;
mod canary;
mod refusals;
mod table;

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use skygate::domain::analysis::Analysis;
use skygate::domain::fault::Faults;
use skygate::domain::plan::{Overrides, Plan};
use skygate::ports::{Clock, MetricSource};
use skygate::store::{self, Kept};
use tempfile::TempDir;

use crate::harness::{Answer, Served, Setup};

/// What a service needs that outlives its process.
struct House {
    clock: Arc<dyn Clock>,
    source: Arc<dyn MetricSource>,
    kept: Stores,
}

enum Stores {
    /// In memory.
    Open(Kept),
    /// In a file of this folder, which is closed while no service is open.
    File(TempDir),
}

impl House {
    fn of(setup: &Setup) -> Self {
        let kept = Kept {
            runs: Arc::clone(&setup.store),
            records: Arc::clone(&setup.records),
        };
        Self::keeping(setup, Stores::Open(kept))
    }

    /// One that keeps everything in an SQLite file.
    fn with_file(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::keeping(setup, Stores::File(folder))
    }

    fn keeping(setup: &Setup, kept: Stores) -> Self {
        Self {
            clock: Arc::clone(&setup.clock),
            source: Arc::clone(&setup.source),
            kept,
        }
    }

    async fn open(&self) -> Served {
        let kept = match &self.kept {
            Stores::Open(kept) => kept.clone(),
            Stores::File(folder) => {
                let url = format!("sqlite:{}", folder.path().join("skygate.db").display());
                store::open(&url, Arc::new(plan_again)).expect("nobody else has it open")
            }
        };
        let setup = Setup {
            clock: Arc::clone(&self.clock),
            source: Arc::clone(&self.source),
            store: kept.runs,
            records: kept.records,
            ..Setup::saying("S")
        };
        setup.start().await
    }
}

/// Plans a run that was kept as it was planned before.
fn plan_again(analysis: &Analysis) -> Result<Plan, Faults> {
    Plan::make_again(analysis, &Overrides::default(), &|_, _, _| {
        Err("there are none".to_owned())
    })
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
