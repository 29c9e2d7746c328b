//! An OAP that fails in every way it can: each ends as documented, and the service stays ready.

use std::time::Duration;

use serde_json::Value;
use skygate::sim::Fault;
use tokio::time::{Instant, timeout};

use crate::harness::{Answer, LIMIT, Served};

fn body(more: &str) -> String {
    format!(
        "spec: {{ metrics: [{{ name: m{more}, provider: {{ skywalking: {{ oap: sim, interval: 3m, expression: service_apdex, entity: {{ serviceName: checkout, normal: true }} }} }} }}] }}"
    )
}

fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("http 500", Fault::Refuse { status: 500 }),
        ("http 503", Fault::Refuse { status: 503 }),
        ("garbage", Fault::Garbage),
        ("huge", Fault::Huge { bytes: 9 << 20 }),
        (
            "redirecting",
            Fault::Redirect {
                to: "http://169.254.169.254/graphql".to_owned(),
            },
        ),
    ]
}

async fn measure(served: &Served) -> Answer {
    served.post("/api/v1/measurements", body("")).await
}

/// What a measurement says of its failure, in short.
fn failure(measured: &Value) -> String {
    let metric = &measured["metrics"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} {}",
        text(&metric["phase"]),
        text(&metric["explanation"]["error"])
    )
}

#[tokio::test]
async fn each_failure_is_an_error_that_says_so() {
    let (served, sim) = Served::simulated(&["checkout=healthy"]).await;
    assert_eq!(measure(&served).await.json()["phase"], "Successful");
    for (name, fault) in faults() {
        sim.set_fault(fault);
        let answer = measure(&served).await;
        assert_eq!(answer.status, 200, "{name}: {answer}");
        let measured = answer.json();
        assert_eq!(measured["phase"], "Error", "{name}: {answer}");
        assert_eq!(measured["evidence"], false, "{name}");
        let expected = match name {
            "http 503" => "Error Unreachable",
            "redirecting" => "Error Refused",
            _ => "Error Malformed",
        };
        assert_eq!(failure(&measured), expected, "{name}: {answer}");
        assert_eq!(served.get("/readyz").await.status, 200, "{name}");
        // Nothing that the redirect leads to was asked.
        sim.clear_faults();
        assert_eq!(
            measure(&served).await.json()["phase"],
            "Successful",
            "{name}"
        );
    }
    let metrics = served.get("/metrics").await.body;
    for class in ["Unreachable", "Refused", "Malformed"] {
        let counted = format!("class=\"{class}\"");
        assert!(metrics.contains(&counted), "{counted} in {metrics}");
    }
}

#[tokio::test]
async fn runs_go_on_when_the_oap_is_back() {
    let (served, sim) = Served::simulated(&["checkout=healthy"]).await;
    for (name, fault) in faults() {
        sim.fail_next(2, &fault);
        let run = served
            .start_run(body(", interval: 1m, count: 2, consecutiveErrorLimit: 20"))
            .await;
        let ended = served.await_end(&run).await;
        assert_eq!(ended["status"]["phase"], "Successful", "{name}: {ended}");
        assert_eq!(ended["status"]["metricResults"][0]["good"], 2, "{name}");
        sim.clear_faults();
    }
}

#[tokio::test]
async fn a_run_whose_oap_stays_away_is_an_error() {
    let (served, sim) = Served::simulated(&["checkout=healthy"]).await;
    sim.set_fault(Fault::Refuse { status: 500 });
    let run = served.start_run(body(", interval: 1m")).await;
    let ended = served.await_end(&run).await;
    assert_eq!(ended["status"]["phase"], "Error", "{ended}");
    assert_eq!(ended["status"]["metricResults"][0]["consecutiveError"], 5);
    assert_eq!(served.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn an_oap_that_says_nothing_is_an_error_within_eight_seconds() {
    let (served, sim) = Served::simulated(&["checkout=healthy"]).await;
    assert_eq!(measure(&served).await.json()["phase"], "Successful");
    sim.set_fault(Fault::Hang);
    let begun = Instant::now();
    let answer = timeout(LIMIT, measure(&served)).await.expect("in time");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (answer.status, failure(&answer.json())),
        (200, "Error Unreachable".to_owned())
    );
    // A run that waits for it ends when somebody wants it to.
    let run = served.start_run(body(", interval: 1m")).await;
    let terminated = served.post(&format!("{run}/terminate"), "").await;
    assert_eq!(terminated.status, 200, "{terminated}");
    assert_eq!(served.get("/readyz").await.status, 200);
}
