//! What is kept of Flagger's calls, and what Prometheus sees of their runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::table::{keep_simple, simple};
use super::{assert_is_plain, body, call, keep, newest_run};
use crate::harness::{Answer, FakeSource, Say, Served, Setup};

const LIST: &str = "/api/v1/flagger/canaries";
const REVIEWS: &str = "/api/v1/flagger/canaries/bookinfo/reviews";

/// Asks each of these hooks about a version, in these phases.
async fn ask(served: &Served, canary: &str, checksum: &str, calls: &[(&str, &str)]) {
    for (hook, phase) in calls {
        let answer = call(served, hook, &body(canary, checksum, phase)).await;
        assert_eq!(answer.status, 200, "{hook}: {answer}");
    }
}

const BEGUN: [(&str, &str); 2] = [
    ("pre-rollout", "Progressing"),
    ("confirm-traffic-increase", "Progressing"),
];

async fn service() -> Served {
    let served = Setup::saying("S").start().await;
    keep_simple(&served).await;
    served
}

/// The phase of the run of that id.
async fn phase(served: &Served, run: &Value) -> Value {
    let run = run.as_str().expect("an id");
    let path = format!("/api/v1/runs/{run}?wait=0s");
    served.get(&path).await.json()["status"]["phase"].clone()
}

#[tokio::test]
async fn what_was_asked_is_shown() {
    let served = service().await;
    ask(&served, "reviews", "v1", &BEGUN).await;
    ask(&served, "reviews", "v1", &[("event", "Failed")]).await;
    ask(&served, "reviews", "v2", &[("confirm-rollout", "Failed")]).await;
    ask(&served, "reviews", "v2", &BEGUN).await;
    let no = call(&served, "rollback", &body("reviews", "v2", "Progressing")).await;
    ask(&served, "ratings", "v7", &BEGUN).await;

    let shown = served.get(REVIEWS).await.json();
    assert_eq!(
        (&shown["namespace"], &shown["name"]),
        (&json!("bookinfo"), &json!("reviews"))
    );
    let [newest, before] = shown["attempts"].as_array().expect("attempts").as_slice() else {
        panic!("{shown:#}")
    };
    assert_eq!(
        (&newest["number"], &newest["checksum"]),
        (&json!(2), &json!("v2"))
    );
    assert_eq!(
        (&newest["isOpen"], &newest["phase"]),
        (&json!(true), &json!("Running"))
    );
    assert_eq!(newest["args"], json!({ "service-name": "reviews" }));
    assert_eq!(
        (&newest["template"], &newest["templateNamespace"]),
        (&json!("apdex"), &json!("bookinfo"))
    );
    assert!(newest["openedAt"].is_string() && newest["closedAt"].is_null());
    let last = &newest["calls"][0];
    assert_eq!(
        (&last["hook"], &last["status"]),
        (&json!("rollback"), &json!(403))
    );
    assert_eq!(
        (&last["phase"], &last["text"]),
        (&json!("Progressing"), &json!(no.body))
    );
    assert_eq!(newest["calls"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        (&before["number"], &before["isOpen"]),
        (&json!(1), &json!(false))
    );
    assert!(before["closedAt"].is_string());
    assert_eq!(before["calls"][0]["hook"], "event");
    assert_eq!(shown["calls"][0]["hook"], "confirm-rollout");
    assert_eq!(phase(&served, &newest["run"]).await, "Running");

    // By namespace and name, in pages.
    let first = served.get(&format!("{LIST}?limit=1")).await.json();
    assert_eq!(first["items"][0]["name"], "ratings");
    let next = first["next"].as_str().expect("another page");
    let second = served.get(&format!("{LIST}?cursor={next}")).await.json();
    assert_eq!(second["next"], Value::Null);
    let row = &second["items"][0];
    assert_eq!(
        (&row["name"], &row["attempt"]),
        (&json!("reviews"), &json!(2))
    );
    assert_eq!(
        (&row["phase"], &row["isOpen"]),
        (&json!("Running"), &json!(true))
    );
    assert_eq!((&row["run"], &row["lastCall"]), (&newest["run"], last));
    let elsewhere = served.get(&format!("{LIST}?namespace=shop")).await.json();
    assert_eq!(elsewhere, json!({ "items": [], "next": null }));
    let unknown = served.get(&format!("{LIST}/bookinfo/details")).await;
    assert_eq!(
        (unknown.status, unknown.problem().as_str()),
        (404, "not-found")
    );
}

#[tokio::test]
async fn what_is_deleted_begins_anew() {
    let served = service().await;
    ask(&served, "reviews", "v1", &BEGUN).await;
    ask(&served, "reviews2", "v1", &BEGUN).await;
    let run = served.get(REVIEWS).await.json()["attempts"][0]["run"].clone();
    // The first increase was allowed, and nobody heard it.
    let again = call(
        &served,
        "confirm-traffic-increase",
        &body("reviews", "v1", "Progressing"),
    )
    .await;
    assert_eq!(again.status, 403, "{again}");

    assert_eq!(served.delete(REVIEWS).await.status, 204);
    assert_eq!(served.get(REVIEWS).await.status, 404);
    assert_eq!(served.delete(REVIEWS).await.status, 404);
    let path = format!("/api/v1/runs/{}", run.as_str().expect("an id"));
    assert_eq!(
        served.await_end(&path).await["status"]["phase"],
        "Successful"
    );
    let other = served
        .get(&format!("{LIST}/bookinfo/reviews2"))
        .await
        .json();
    assert_eq!(other["attempts"][0]["isOpen"], true);
    ask(
        &served,
        "reviews",
        "v1",
        &[("confirm-traffic-increase", "Progressing")],
    )
    .await;
    let shown = served.get(REVIEWS).await.json();
    assert_eq!(shown["attempts"][0]["number"], 1, "{shown:#}");
    assert_ne!(shown["attempts"][0]["run"], run);
}

#[tokio::test]
async fn whoever_may_look_may_not_delete() {
    const TOKENS: [(&str, &str, u16, u16); 4] = [
        ("nobody", "0123456789abcdef-none", 401, 401),
        ("read", "0123456789abcdef-read", 404, 403),
        ("run", "0123456789abcdef-run", 404, 403),
        ("admin", "0123456789abcdef-admin", 404, 404),
    ];
    let known = TOKENS.iter().filter(|(scope, ..)| *scope != "nobody");
    let lines: Vec<String> = known
        .map(|(scope, token, ..)| format!("{scope} {scope} {token}"))
        .collect();
    let served = Setup::saying("S")
        .with_tokens(&lines.join("\n"))
        .start()
        .await;
    for (scope, token, get, delete) in TOKENS {
        for (method, expected) in [(Method::GET, get), (Method::DELETE, delete)] {
            let request = served.request(method.clone(), REVIEWS).bearer_auth(token);
            let answer = Answer::of(request).await;
            assert_eq!(answer.status, expected, "{method} as {scope}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_event_without_a_template_is_about_all_of_a_canary() {
    let served = service().await;
    ask(&served, "reviews", "v1", &BEGUN).await;
    let mut event = body("reviews", "v1", "Failed");
    event["metadata"] = json!({ "eventMessage": "Canary failed! Scaling down reviews.bookinfo" });
    let answer = call(&served, "event", &event).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "noted"));
    assert_is_plain(&answer);
    let attempt = served.get(REVIEWS).await.json()["attempts"][0].clone();
    assert_eq!(attempt["isOpen"], false, "{attempt:#}");
    assert_eq!(
        attempt["calls"][0]["text"],
        "Canary failed! Scaling down reviews.bookinfo"
    );
}

#[tokio::test]
async fn what_is_over_is_forgotten_as_runs_are() {
    let served = Setup {
        retain: Duration::from_mins(10),
        ..Setup::saying("S")
    };
    let served = served.start().await;
    keep_simple(&served).await;
    // One goes on without a word from Flagger; the other is over.
    ask(&served, "ratings", "v1", &BEGUN).await;
    ask(&served, "reviews", "v1", &BEGUN).await;
    ask(&served, "reviews", "v1", &[("post-rollout", "Failed")]).await;
    let forgotten = tokio::time::timeout(Duration::from_mins(1), async {
        while served.get(REVIEWS).await.status == 200 {
            served.app.ports.clock.sleep(Duration::from_mins(1)).await;
        }
    });
    forgotten.await.expect("it is forgotten");
    let other = served.get(&format!("{LIST}/bookinfo/ratings")).await.json();
    assert_eq!(other["attempts"][0]["phase"], "Running", "{other:#}");
    let again = call(
        &served,
        "pre-rollout",
        &body("reviews", "v1", "Progressing"),
    )
    .await;
    assert_eq!(again.status, 200, "{again}");
}

/// A run is concluded within the call that asks for the promotion: what was to be answered before that is nobody's answer.
#[tokio::test]
async fn each_call_has_one_answer() {
    let served = service().await;
    ask(&served, "reviews", "v1", &BEGUN).await;
    let run = served.get(REVIEWS).await.json()["attempts"][0]["run"].clone();
    let path = format!("/api/v1/runs/{}", run.as_str().expect("an id"));
    served.await_measurements(&path, 1).await;
    ask(
        &served,
        "reviews",
        "v1",
        &[("confirm-promotion", "WaitingPromotion")],
    )
    .await;
    let shown = served.get(REVIEWS).await.json();
    let calls = shown["attempts"][0]["calls"].as_array().expect("calls");
    let calls: Vec<&Value> = calls.iter().map(|call| &call["hook"]).collect();
    assert_eq!(
        calls,
        [
            "confirm-promotion",
            "confirm-traffic-increase",
            "pre-rollout"
        ]
    );
}

/// The OAP goes dark after some good measurements, and comes back.
#[tokio::test]
async fn a_promotion_waits_until_the_oap_is_back() {
    let is_dark = Arc::new(AtomicBool::new(false));
    let dark = Arc::clone(&is_dark);
    let say = move |_: &str, _| {
        let said = if dark.load(Ordering::SeqCst) {
            Say::Error
        } else {
            Say::Successful
        };
        (said, Duration::ZERO)
    };
    let setup = Setup::asking(|clock| Arc::new(FakeSource::new(clock, say)));
    let served = setup.start().await;
    let mut template = simple();
    template["spec"]["metrics"][0]["consecutiveErrorLimit"] = json!(1_000_000);
    keep(&served, &template).await;
    ask(&served, "reviews", "v1", &BEGUN).await;
    let run = newest_run(&served, "reviews").await;
    served.await_measurements(&run, 1).await;
    let version = body("reviews", "v1", "WaitingPromotion");
    let newest_is = async |phase: &str| loop {
        let run = served.get(&format!("{run}?wait=1s")).await.json();
        let taken = &run["status"]["metricResults"][0]["measurements"];
        let newest = taken.as_array().and_then(|taken| taken.last());
        if newest.is_some_and(|newest| newest["phase"] == phase) {
            return;
        }
    };

    is_dark.store(true, Ordering::SeqCst);
    newest_is("Error").await;
    let no = call(&served, "confirm-promotion", &version).await;
    assert_eq!(no.status, 403, "{no}");
    assert_is_plain(&no);
    let why = "the newest measurement of metric \"a\" is Error: ";
    assert!(no.body.starts_with(why), "{no}");

    is_dark.store(false, Ordering::SeqCst);
    newest_is("Successful").await;
    let yes = call(&served, "confirm-promotion", &version).await;
    assert_eq!(yes.status, 200, "{yes}");
}

/// The first round took so long that its run is over before anything was there to judge.
#[tokio::test]
async fn a_first_round_that_takes_long_is_made_up_for() {
    let served = Setup::saying("IS").start().await;
    keep_simple(&served).await;
    ask(&served, "reviews", "v1", &BEGUN[..1]).await;
    let before = newest_run(&served, "reviews").await;
    let found = served.await_end(&before).await;
    assert_eq!(found["status"]["phase"], "Inconclusive", "{found:#}");
    let version = body("reviews", "v1", "Progressing");
    let answer = call(&served, "rollout", &version).await;
    assert_eq!(answer.status, 200, "{answer}");
    assert!(
        answer.body.contains("says nothing of it: Inconclusive"),
        "{answer}"
    );
    let run = newest_run(&served, "reviews").await;
    assert_ne!(run, before);
    served.await_measurements(&run, 1).await;
    ask(
        &served,
        "reviews",
        "v1",
        &[("confirm-promotion", "WaitingPromotion")],
    )
    .await;
}

#[tokio::test]
async fn what_somebody_ended_is_counted_as_that() {
    let served = service().await;
    ask(&served, "reviews", "v1", &BEGUN).await;
    let run = served.get(REVIEWS).await.json()["attempts"][0]["run"].clone();
    let path = format!("/api/v1/runs/{}", run.as_str().expect("an id"));
    served.await_measurements(&path, 1).await;
    ask(&served, "reviews", "v1", &[("post-rollout", "Failed")]).await;
    served.await_end(&path).await;
    let metrics = served.get("/metrics").await.body;
    let ended = |phase: &str, count: u64| {
        format!(
            "skygate_runs_ended_total{{name=\"reviews-apdex\",namespace=\"bookinfo\",phase=\"{phase}\"}} {count}"
        )
    };
    for expected in [ended("Terminated", 1), ended("Successful", 0)] {
        assert!(metrics.contains(&expected), "{expected} in {metrics}");
    }
    let marks = served.get("/api/v1/annotations?kind=run").await.json();
    assert_eq!(marks["items"][0]["title"], "reviews-apdex-1: Terminated");
}

#[tokio::test]
async fn attempts_are_counted_under_one_name() {
    let served = Setup::saying("F").start().await;
    keep_simple(&served).await;
    for _ in 0..3 {
        ask(&served, "reviews", "v1", &BEGUN).await;
        let run = served.get(REVIEWS).await.json()["attempts"][0]["run"].clone();
        let path = format!("/api/v1/runs/{}", run.as_str().expect("an id"));
        let run = served.await_end(&path).await;
        assert_eq!(run["status"]["phase"], "Failed", "{run:#}");
        ask(&served, "reviews", "v1", &[("post-rollout", "Failed")]).await;
    }
    let metrics = served.get("/metrics").await.body;
    for expected in [
        "skygate_runs_ended_total{name=\"reviews-apdex\",namespace=\"bookinfo\",phase=\"Failed\"} 3",
        "analysis_run_metric_phase{dry_run=\"false\",metric=\"a\",name=\"reviews-apdex\",namespace=\"bookinfo\",phase=\"Failed\"} 1",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
    assert!(!metrics.contains("name=\"reviews-apdex-1\""), "{metrics}");
}
