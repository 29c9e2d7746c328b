//! Every endpoint through its contract, request by request.

use std::time::Duration;

use reqwest::Method;

use super::{Story, metric, run_of, template};
use crate::harness::{Served, Setup, ago};

const KEY: (&str, &str) = ("idempotency-key", "deploy-7");

#[tokio::test]
async fn a_run_from_its_start_to_its_end() {
    let served = Setup::saying("SSF").start().await;
    let mut story = Story::of(&served);
    let body = "namespace: bookinfo\nlabels: { app: reviews }\n".to_owned()
        + &run_of("interval: 1m, count: 3, failureLimit: 1");

    story.tell("A run is started once, however often its request is sent.");
    let started = story
        .send(Method::POST, "/api/v1/runs", &[KEY], &body)
        .await;
    let run = started.header("location").to_owned();
    served.await_end(&run).await;
    let again = served
        .request(Method::POST, "/api/v1/runs")
        .header(KEY.0, KEY.1)
        .body(body.clone());
    let again = crate::harness::Answer::of(again).await;
    assert_eq!(
        (again.status, again.header("location")),
        (200, run.as_str())
    );
    story
        .send(Method::POST, "/api/v1/runs", &[KEY], &run_of("count: 1"))
        .await;

    story.tell("It is over.");
    let ended = story.get(&run).await;
    story
        .send(
            Method::GET,
            &run,
            &[("if-none-match", ended.header("etag"))],
            "",
        )
        .await;
    story.get(&format!("{run}/summary")).await;
    let waited = served.get(&format!("{run}?wait=30s")).await;
    assert_eq!((waited.status, waited.body), (200, ended.body.clone()));

    story.tell("It cannot end otherwise, and is told nothing more.");
    assert_eq!(
        served.post(&format!("{run}/terminate"), "").await.body,
        ended.body
    );
    story
        .send(
            Method::PATCH,
            &run,
            &[],
            r#"{"notBefore": "2026-11-23T09:00:00Z"}"#,
        )
        .await;

    story.tell("It is gone.");
    story.delete(&run).await;
    story.get(&run).await;
    story.delete(&run).await;
    story.end("run");
}

#[tokio::test]
async fn a_run_is_terminated_and_repeated() {
    let served = Setup::saying("S").start().await;
    let mut story = Story::of(&served);
    let body = run_of("interval: 5h");
    let run = served.start_run(body).await;
    served.await_measurements(&run, 1).await;

    story.tell("When its version first took traffic is said once.");
    let moment = ago(&served, Duration::from_mins(5));
    let patch = format!(r#"{{"notBefore": "{moment}"}}"#);
    for patch in [&patch, &patch] {
        let patched = served.patch(&run, patch.as_str()).await;
        assert_eq!(patched.status, 200, "{patched}");
        assert!(patched.json()["status"]["notBefore"].is_string());
    }
    story
        .send(
            Method::PATCH,
            &run,
            &[],
            r#"{"notBefore": "2020-01-01T00:00:00Z"}"#,
        )
        .await;

    story.tell("It ends when somebody wants it to.");
    let terminated = story.post(&format!("{run}/terminate"), "").await;
    assert_eq!(terminated.status, 200);
    let again = served.post(&format!("{run}/terminate"), "").await;
    assert_eq!((again.status, again.body), (200, terminated.body));

    story.tell("It is run again.");
    let rerun = served.post(&format!("{run}/rerun"), "").await;
    assert_eq!(rerun.status, 201, "{rerun}");
    let rerun = rerun.header("location").to_owned();
    assert_ne!(rerun, run);
    let measured = served.await_measurements(&rerun, 1).await;
    assert_eq!(
        measured["metadata"]["labels"]["rerun-of"],
        run.rsplit('/').next().expect("an id")
    );
    assert!(measured["status"]["notBefore"].is_string());
    story.get(&format!("{rerun}/summary")).await;
    story.end("terminated");
}

#[tokio::test]
async fn runs_are_listed() {
    let served = Setup::saying("S").start().await;
    let mut story = Story::of(&served);
    for (namespace, label, more) in [
        ("bookinfo", "reviews", "count: 1"),
        ("bookinfo", "ratings", "count: 1"),
        ("shop", "cart", "interval: 5h"),
    ] {
        let body = format!(
            "namespace: {namespace}\nlabels: {{ app: {label} }}\n{}",
            run_of(more)
        );
        let run = served.start_run(body).await;
        served.await_measurements(&run, 1).await;
    }
    story.get("/api/v1/runs?namespace=bookinfo").await;
    story.get("/api/v1/runs?phase=Running&label=app=cart").await;
    story.get("/api/v1/runs?template=none").await;

    let names = |body: &serde_json::Value| {
        let items = body["items"].as_array().expect("rows").clone();
        let labels = items
            .iter()
            .map(|row| row["labels"].as_str().map(str::to_owned));
        labels.map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    // Newest first, in pages.
    let mut seen = Vec::new();
    let mut path = "/api/v1/runs?limit=2".to_owned();
    loop {
        let page = served.get(&path).await.json();
        seen.extend(names(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/runs?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["app=cart", "app=ratings", "app=reviews"]);
    // Since a moment as Grafana has it, and until one in RFC 3339.
    let count = async |query: &str| {
        let page = served.get(&format!("/api/v1/runs?{query}")).await.json();
        names(&page).len()
    };
    let from = ago(&served, Duration::from_hours(24 * 365)).as_millisecond();
    assert_eq!(count(&format!("from={from}")).await, 3);
    // One of them is under way for as long as anybody likes.
    assert_eq!(count("from=4102444800000").await, 1);
    assert_eq!(count("from=4102444800&phase=Successful").await, 0);
    assert_eq!(count("to=2126-01-01T00:00:00Z").await, 3);
    assert_eq!(count("to=2020-01-01T00:00:00Z").await, 0);
    story.end("list");
}

#[tokio::test]
async fn templates_are_applied_and_run() {
    let served = Setup::saying("S").start().await;
    let mut story = Story::of(&served);

    story.tell("Several documents, all of them or none.");
    let inner = template("inner", "count: 1");
    let outer = "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: { name: outer, namespace: bookinfo }\nspec: { templates: [{ templateName: inner }, { templateName: whole, clusterScope: true }] }\n";
    let cluster = template("whole", "count: 1")
        .replace("kind: Analysis", "kind: ClusterAnalysis")
        .replace("name: a,", "name: \"{{ args.metric }}\",");
    let documents = format!(
        "{inner}---\n{outer}---\n{cluster}---\nkind: Service\nmetadata: {{ name: reviews }}\n"
    );
    story
        .post("/api/v1/templates?namespace=bookinfo", &documents)
        .await;
    let again = served
        .post("/api/v1/templates?namespace=bookinfo", documents.as_str())
        .await;
    assert!(
        again.json()["items"]
            .as_array()
            .expect("items")
            .iter()
            .all(|it| it["result"] == "unchanged"),
        "{again}"
    );
    story
        .post(
            "/api/v1/templates?namespace=bookinfo",
            &template("inner", "count: 2, interval: 1m"),
        )
        .await;
    let wrong = format!(
        "{}---\n{}",
        template("fine", "count: 1"),
        template("wrong", "count: 1, foo: 2, interval: 1x")
    );
    story.post("/api/v1/templates", &wrong).await;

    story.tell("They are there.");
    story.get("/api/v1/templates").await;
    story.get("/api/v1/templates/bookinfo/inner").await;
    story.get("/api/v1/clustertemplates").await;
    story.get("/api/v1/clustertemplates/whole").await;
    story.get("/api/v1/templates/default/fine").await;

    story.tell("A run asks for them by name.");
    let run = served
        .start_run(r#"{"namespace": "bookinfo", "templates": [{"name": "inner"}], "args": []}"#)
        .await;
    served.await_end(&run).await;
    story.get(&format!("{run}/summary")).await;
    let nested = served
        .post(
            "/api/v1/runs",
            r#"{"namespace": "bookinfo", "templates": [{"templateName": "outer"}, {"templateName": "whole", "clusterScope": true}], "args": [{"name": "metric", "value": "b"}]}"#,
        )
        .await;
    assert_eq!(
        nested.problem(),
        "invalid",
        "no template declares `metric`: {nested}"
    );
    let rows = served.get("/api/v1/runs?template=inner").await.json();
    assert_eq!(rows["items"].as_array().map(Vec::len), Some(1));

    story.tell("They are gone, and runs of them are not.");
    story.delete("/api/v1/templates/bookinfo/inner").await;
    story.delete("/api/v1/templates/bookinfo/inner").await;
    story.delete("/api/v1/clustertemplates/whole").await;
    assert_eq!(served.get(&run).await.status, 200);
    story
        .post(
            "/api/v1/runs",
            r#"{"namespace": "bookinfo", "templates": [{"name": "outr"}]}"#,
        )
        .await;
    story.end("templates");
}

#[tokio::test]
async fn measurements_are_explained() {
    let (served, _sim) =
        Served::simulated(&["checkout=healthy", "cart=frustrated", "idle=absent"]).await;
    let mut story = Story::of(&served);
    let body = |service: &str, more: &str| {
        format!(
            r#"{{{more}"spec": {{"metrics": [{{"name": "apdex", "successCondition": "all(values >= 9900)",
  "provider": {{"skywalking": {{"address": "http://oap.istio-system:12800", "interval": "3m",
    "expression": "service_apdex", "entity": {{"scope": "Service", "serviceName": "{service}", "normal": true}}}}}}}}]}}}}"#
        )
    };
    story.tell("Good, bad, and nothing to be seen.");
    story
        .post("/api/v1/measurements", &body("checkout", ""))
        .await;
    let bad = served.post("/api/v1/measurements", body("cart", "")).await;
    assert_eq!(
        (bad.status, bad.json()["phase"].clone()),
        (200, "Failed".into()),
        "{bad}"
    );
    let nothing = served
        .post("/api/v1/measurements", body("idle", ""))
        .await
        .json();
    assert_eq!(nothing["phase"], "Inconclusive", "{nothing}");
    assert_eq!(nothing["evidence"], false);

    story.tell("A moment of the past, and some of the metrics.");
    let then = ago(&served, Duration::from_hours(1));
    let more = format!(r#""at": "{then}", "metrics": ["apdex"], "#);
    let past = served
        .post("/api/v1/measurements", body("checkout", &more))
        .await
        .json();
    assert_eq!(past["phase"], "Successful", "{past}");
    let more = r#""at": "2126-01-01T00:00:00Z", "metrics": ["apdx"], "#;
    story
        .post("/api/v1/measurements", &body("checkout", more))
        .await;

    story.tell("A dry run doesn't count.");
    let dry = served
        .post(
            "/api/v1/measurements",
            body("cart", r#""dryRun": [{"metricName": "apdex"}], "#),
        )
        .await
        .json();
    assert_eq!(dry["phase"], "Successful", "{dry}");
    assert_eq!(dry["metrics"][0]["phase"], "Failed");
    story.end("measurements");
}

#[tokio::test]
async fn the_service_tells_how_it_does() {
    let served = Setup::saying("S").start().await;
    let mut story = Story::of(&served);
    story.get("/healthz").await;
    story.get("/readyz").await;
    story.get("/nothing").await;
    story.send(Method::PUT, "/api/v1/runs", &[], "").await;
    story.end("health");
    let run = served
        .start_run(format!(
            "spec: {{ metrics: [{}, {}] }}",
            metric("a", "count: 1"),
            metric("b", "count: 1")
        ))
        .await;
    served.await_end(&run).await;
    let metrics = served.get("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    for expected in [
        "analysis_run_phase{phase=\"Successful\"} 1",
        "analysis_run_metric_phase{dry_run=\"false\",metric=\"b\",name=\"analysis\",namespace=\"default\",phase=\"Successful\"} 1",
        "skygate_runs_ended_total{name=\"analysis\",namespace=\"default\",phase=\"Successful\"} 1",
        "skygate_measurements_total{phase=\"Successful\"} 2",
        "skygate_measurement_lateness_seconds_count 2",
        "skygate_oap_read_duration_seconds_count{server=\"fake\"} 2",
        "skygate_http_requests_total{method=\"POST\",route=\"/api/v1/runs\",status=\"201\"} 1",
    ] {
        assert!(
            metrics.body.contains(expected),
            "{expected} in {}",
            metrics.body
        );
    }
    let id = run.rsplit('/').next().expect("an id");
    assert!(!metrics.body.contains(id), "no family has a run's id");
}
