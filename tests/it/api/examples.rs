//! The requests in `api/requests` do what they are there to show.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::Served;

/// A file of `api/requests`, or else of `api/examples`.
fn read(name: &str) -> String {
    let folder = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("api").join(name);
    let request = folder("requests").join(name);
    let path = if request.exists() {
        request
    } else {
        folder("examples").join(name)
    };
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A service whose simulated OAP knows the services of the examples.
async fn served() -> Served {
    let (served, _sim) = Served::simulated(&[
        "checkout=healthy",
        "reviews=healthy",
        "canary|reviews|bookinfo|cp-cluster-1|-=healthy",
        "stable|reviews|bookinfo|cp-cluster-1|-=healthy",
    ])
    .await;
    served
}

#[tokio::test]
async fn every_template_can_be_applied() {
    let served = served().await;
    let mut applied = 0;
    for entry in
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("api/examples")).expect("a folder")
    {
        let name = entry.expect("an entry").file_name();
        let name = name.to_string_lossy();
        if !name.ends_with(".yaml") || !read(&name).contains("kind: AnalysisTemplate") {
            continue;
        }
        let answer = served.post("/api/v1/templates", read(&name)).await;
        assert_eq!(answer.status, 200, "{name}: {answer}");
        applied += 1;
    }
    assert!(applied >= 5, "only {applied} templates");
}

#[tokio::test]
async fn a_run_of_a_template() {
    let served = served().await;
    let applied = served
        .post("/api/v1/templates?namespace=bookinfo", read("apdex.yaml"))
        .await;
    assert_eq!(applied.status, 200, "{applied}");
    let run = served.start_run(read("run.json")).await;
    let ended = served.await_end(&run).await;
    assert_eq!(ended["status"]["phase"], "Successful", "{ended}");
    assert_eq!(ended["status"]["evidence"], true);
    assert_eq!(ended["metadata"]["labels"]["app"], "reviews");
}

#[tokio::test]
async fn a_run_with_a_spec_of_its_own() {
    let served = served().await;
    let run = served.start_run(read("run-inline.yaml")).await;
    let ended = served.await_end(&run).await;
    assert_eq!(ended["status"]["phase"], "Successful", "{ended}");
}

#[tokio::test]
async fn one_measurement() {
    let served = served().await;
    let applied = served
        .post("/api/v1/templates?namespace=bookinfo", read("apdex.yaml"))
        .await;
    assert_eq!(applied.status, 200, "{applied}");
    let answer = served
        .post("/api/v1/measurements", read("measurement.json"))
        .await;
    let measured = answer.json();
    assert_eq!(measured["phase"], "Successful", "{answer}");
}

/// Argo's `web` provider asks for one measurement and picks a field of the answer.
#[tokio::test]
async fn argos_web_provider() {
    let served = served().await;
    let applied = served
        .post("/api/v1/templates?namespace=bookinfo", read("apdex.yaml"))
        .await;
    assert_eq!(applied.status, 200, "{applied}");
    let template: Value = serde_norway::from_str(&read("argo-web.yaml")).expect("YAML");
    let metric = &template["spec"]["metrics"][0];
    let web = &metric["provider"]["web"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (_, path) = text(&web["url"])
        .split_once(".svc:8480")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("its address");
    // Argo fills in arguments of its own before it sends the body.
    let body = web["jsonBody"].to_string().replace(
        "{{args.service-name}}",
        "canary|reviews|bookinfo|cp-cluster-1|-",
    );
    let answer = served.post(&path, body).await;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(web["method"], "POST");
    assert_eq!(web["jsonPath"], "{$.phase}");
    assert_eq!(answer.json()["phase"], "Successful");
    assert_eq!(metric["successCondition"], "result == \"Successful\"");
    let timeout = web["timeoutSeconds"].as_u64().expect("a number");
    assert!(timeout >= 10, "a measurement may take eight seconds");
}
