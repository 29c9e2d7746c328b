//! Calls that nobody should make, and callers who may not make them: always a 4xx.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use skygate::domain::plan::SourcePlan;
use skygate::domain::reading::{ErrorClass, Reading, SourceError};
use skygate::ports::{MetricSource, Moment};
use tokio::sync::Semaphore;

use super::table::{keep_simple, simple};
use super::{House, assert_is_plain, body, call, keep, keep_template, newest_run};
use crate::harness::{Answer, Served, Setup, simulated};

async fn check(served: &Served, path: &str, sent: &str, status: u16, expected: &str) {
    let answer = served.post(path, sent).await;
    assert_eq!(answer.status, status, "{path} {sent}: {answer}");
    assert_is_plain(&answer);
    let is_told = answer.body.contains(expected);
    assert!(is_told, "{path} {sent}: {expected} in {answer}");
}

#[tokio::test]
async fn what_cannot_be_read() {
    let served = Setup::saying("S").start().await;
    let good = body("reviews", "v2", "Progressing").to_string();
    let of = |field: &str, value: Value| {
        let mut body = body("reviews", "v2", "Progressing");
        body[field] = value;
        body.to_string()
    };
    let no_template = of("metadata", json!({}));
    for (path, sent, status, expected) in [
        ("pre-rollout", "", 400, "not what Flagger sends"),
        ("pre-rollout", "{", 400, "not what Flagger sends"),
        ("pre-rollout", "[]", 400, "not what Flagger sends"),
        ("rollback", &of("name", json!(1)), 400, "invalid type"),
        ("rollout", &of("name", json!("a/b")), 400, "name is"),
        ("rollout", &of("namespace", json!("")), 400, "namespace is"),
        ("rollout", &no_template, 400, "no template"),
        ("event", &no_template, 200, "noted"),
        ("promote", &good, 404, "confirm-promotion"),
        ("rollout?template=x", &no_template, 403, "'x'"),
        ("rollout?template=%ff", &good, 400, "no UTF-8 text"),
        ("%ff", &good, 400, "no UTF-8 text"),
    ] {
        check(&served, &format!("/flagger/{path}"), sent, status, expected).await;
    }
    let long = of("phase", json!("a".repeat(2 << 20)));
    check(&served, "/flagger/rollout", &long, 413, "longer than").await;
    // Where nobody answers, too: Flagger shows the body as it is.
    for path in ["/flagger", "/flagger/", "/flagger/rollout/x"] {
        check(&served, path, &good, 404, "nothing is at").await;
    }
    let answer = served.get("/flagger/rollout").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    assert_is_plain(&answer);
    assert_eq!(served.get("/flaggers").await.problem(), "not-found");
}

#[tokio::test]
async fn templates_and_arguments_that_are_wrong() {
    let (setup, _sim) = simulated(&["reviews=healthy"]).await;
    let served = setup.start().await;
    keep_template(&served).await;
    let with = |metadata: Value| {
        let mut body = body("reviews", "v2", "Initialized");
        body["metadata"] = metadata;
        body.to_string()
    };
    for hook in ["confirm-rollout", "pre-rollout", "rollout"] {
        let path = format!("/flagger/{hook}");
        let unknown = with(json!({ "template": "apdx", "args.service-name": "reviews" }));
        let expected = "metadata.template: AnalysisTemplate 'apdx' not found";
        check(&served, &path, &unknown, 403, expected).await;
        let told = served.post(&path, unknown.as_str()).await.body;
        assert!(!told.contains("service-name"), "{told}");
        let missing = with(json!({ "template": "apdex" }));
        let way_out = "put `args.service-name: VALUE` into the hook's metadata";
        check(&served, &path, &missing, 403, way_out).await;
        let strange = json!({ "template": "apdex", "args.service-name": "reviews", "args.x": "y" });
        let expected = "metadata.args.x: no argument is named `x`";
        check(&served, &path, &with(strange), 403, expected).await;
        let elsewhere = with(json!({ "template": "apdex", "namespace": "shop" }));
        check(&served, &path, &elsewhere, 403, "'apdex'").await;
    }
    // What was refused has begun nothing, and the URL's query says the same as metadata.
    let runs = served.get("/api/v1/runs").await.json();
    assert_eq!(runs["items"], json!([]));
    let path = "/flagger/pre-rollout?template=apdex&args.service-name=reviews";
    check(&served, path, &with(Value::Null), 200, "begins").await;
}

#[tokio::test]
async fn an_oap_that_does_not_answer() {
    let (setup, _sim) = simulated(&["reviews=outage"]).await;
    let served = setup.start().await;
    keep_template(&served).await;
    let answer = call(
        &served,
        "confirm-rollout",
        &body("reviews", "v1", "Initialized"),
    )
    .await;
    assert_eq!(answer.status, 403, "{answer}");
    assert!(answer.body.contains("metric \"apdex\""), "{answer}");
}

/// Who asks again and again, and has been refused so far.
#[derive(Debug)]
struct Refused;

#[async_trait::async_trait]
impl MetricSource for Refused {
    async fn read(&self, _: &SourcePlan, _: Moment) -> Reading {
        std::future::pending().await
    }

    fn trouble(&self, _: &SourcePlan) -> Option<SourceError> {
        Some(SourceError {
            class: ErrorClass::Unreachable,
            message: "the connection was refused".to_owned(),
        })
    }
}

#[tokio::test]
async fn an_oap_that_is_asked_in_vain() {
    let served = Setup::asking(|_| Arc::new(Refused)).start().await;
    keep_simple(&served).await;
    let sent = body("reviews", "v1", "Initialized").to_string();
    let path = "/flagger/confirm-rollout";
    let expected = "metric \"a\": the connection was refused; it was asked again for 7s";
    check(&served, path, &sent, 403, expected).await;
}

/// An OAP that never answers, and tells whoever asks that it was asked.
#[derive(Debug)]
struct Hanging(Arc<Semaphore>);

#[async_trait::async_trait]
impl MetricSource for Hanging {
    async fn read(&self, _: &SourcePlan, _: Moment) -> Reading {
        self.0.add_permits(1);
        std::future::pending().await
    }
}

/// Whatever else is asked about the canary meanwhile, the time that a call has is enough to say so.
#[tokio::test]
async fn an_oap_that_hangs_while_others_call() {
    let asked = Arc::new(Semaphore::new(0));
    let source = Arc::new(Hanging(Arc::clone(&asked)));
    let served = Setup::asking(|_| source).start().await;
    keep_simple(&served).await;
    let version = body("reviews", "v1", "Initialized");
    let confirmed = call(&served, "confirm-rollout", &version);
    let other = async {
        let turn = asked.acquire().await;
        turn.expect("it is open").forget();
        call(&served, "event", &version).await
    };
    let (answer, event) = tokio::join!(confirmed, other);
    assert_eq!(event.status, 200, "{event}");
    assert_eq!(answer.status, 403, "{answer}");
    assert_is_plain(&answer);
    let why = "metric \"a\": the OAP did not answer within 7s";
    assert!(answer.body.contains(why), "{answer}");
    assert_eq!(asked.available_permits(), 0, "it is asked once");
}

#[tokio::test]
async fn other_arguments_than_an_attempt_was_begun_with() {
    let served = Setup::saying("S").start().await;
    let mut template = simple();
    template["spec"]["args"] =
        json!([{ "name": "service-name" }, { "name": "limit", "value": "0" }]);
    keep(&served, &template).await;
    let mut version = body("reviews", "v2", "Progressing");
    call(&served, "pre-rollout", &version).await;
    version["metadata"]["args.service-name"] = json!("ratings");
    let sent = version.to_string();
    let expected = "this attempt is judged with other `args.service-name`; a second judge needs";
    for hook in [
        "pre-rollout",
        "confirm-traffic-increase",
        "rollout",
        "confirm-promotion",
    ] {
        check(&served, &format!("/flagger/{hook}"), &sent, 403, expected).await;
    }
    // What the template says by itself is no other, and what it does not know is told.
    let mut same = body("reviews", "v2", "Progressing");
    same["metadata"]["args.limit"] = json!("0");
    let same = same.to_string();
    check(&served, "/flagger/rollout", &same, 200, "").await;
    let strange = same.replace("args.limit", "args.x");
    let unknown = "no such argument of the template: `args.x`; take it";
    check(&served, "/flagger/rollout", &strange, 403, unknown).await;
    let runs = served.get("/api/v1/runs").await.json();
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1), "{runs:#}");
    // The way out that it tells of.
    let canary = "/api/v1/flagger/canaries/bookinfo/reviews";
    assert_eq!(served.delete(canary).await.status, 204);
    check(&served, "/flagger/pre-rollout", &sent, 200, "begins").await;
}

#[tokio::test]
async fn the_longest_names() {
    let served = Setup::saying("S").start().await;
    keep_simple(&served).await;
    let long = "r".repeat(253);
    let version = body(&long, "v2", "Progressing").to_string();
    check(&served, "/flagger/pre-rollout", &version, 200, "begins").await;
    let run = served.get(&newest_run(&served, &long).await).await.json();
    let name = run["metadata"]["name"].as_str().expect("a name");
    assert!(name.len() <= 253 && name.ends_with("-1"), "{name}");
    let longer = body(&"r".repeat(254), "v2", "Progressing").to_string();
    check(&served, "/flagger/pre-rollout", &longer, 400, "name is").await;
}

#[tokio::test]
async fn tokens() {
    const RUN: &str = "0123456789abcdef-run";
    const READ: &str = "0123456789abcdef-read";
    let setup = Setup::saying("S").with_tokens(&format!("ci run {RUN}\neyes read {READ}\n"));
    let house = House::of(&setup);
    keep_template(&house.open().await).await;
    let served = setup.start().await;
    for (place, token, status) in [
        ("nowhere", "", 401),
        ("metadata", RUN, 200),
        ("metadata", READ, 403),
        ("metadata", "0123456789abcdef-else", 401),
        ("header", RUN, 200),
        ("header", READ, 403),
        ("query", RUN, 200),
        ("query", "0123456789abcdef-else", 401),
    ] {
        let mut body = body("reviews", "v2", "Progressing");
        let mut path = "/flagger/event".to_owned();
        if place == "metadata" {
            body["metadata"]["token"] = json!(token);
        }
        if place == "query" {
            path = format!("{path}?token={token}");
        }
        let mut request = served.request(Method::POST, &path).body(body.to_string());
        if place == "header" {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{place} {token}: {answer}");
        assert_is_plain(&answer);
        assert!(token.is_empty() || !answer.body.contains(token), "{answer}");
        if place == "nowhere" {
            let told = "put `token: TOKEN` into the hook's metadata";
            assert!(answer.body.contains(told), "{answer}");
        }
    }
}
