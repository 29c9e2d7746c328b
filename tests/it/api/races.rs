//! Many callers at the same moment.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;

use super::run_of;
use crate::harness::{Answer, Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_is_one_run() {
    let served = Setup::saying("S").start().await;
    let start = |body: String| {
        let request = served.request(Method::POST, "/api/v1/runs");
        Answer::of(request.header("idempotency-key", "k").body(body))
    };
    let body = run_of("interval: 5h");
    let answers = join_all((0..50).map(|_| start(body.clone()))).await;
    let places: BTreeSet<&str> = answers.iter().map(|it| it.header("location")).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    let new = answers.iter().filter(|it| it.status == 201).count();
    let before = answers.iter().filter(|it| it.status == 200).count();
    assert_eq!((new, before), (1, 49));
    let rows = served.get("/api/v1/runs").await.json();
    assert_eq!(rows["items"].as_array().map(Vec::len), Some(1));

    // Fields in another order are the same request; anything else is another one.
    let same = r#"{"labels": {}, "spec": {"metrics": []}}"#;
    let key = |body: &str| {
        let request = served.request(Method::POST, "/api/v1/runs");
        Answer::of(request.header("idempotency-key", "k").body(body.to_owned()))
    };
    assert_eq!(key(same).await.problem(), "idempotency-key-reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_with_two_requests_is_the_run_of_one_of_them() {
    let served = Setup::saying("S").start().await;
    let start = |n: usize| {
        let request = served.request(Method::POST, "/api/v1/runs");
        let body = format!("labels: {{ n: \"{}\" }}\n{}", n % 2, run_of("interval: 5h"));
        Answer::of(request.header("idempotency-key", "k").body(body))
    };
    let answers = join_all((0..20).map(start)).await;
    let statuses = |wanted: u16| answers.iter().filter(|it| it.status == wanted).count();
    assert_eq!((statuses(201), statuses(200), statuses(422)), (1, 9, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_is_terminated_once() {
    let served = Setup::saying("S").start().await;
    let run = served.start_run(run_of("interval: 5h")).await;
    let path = format!("{run}/terminate");
    let answers = join_all((0..50).map(|_| served.post(&path, ""))).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(answer.json()["status"]["phase"], "Successful", "{answer}");
    }
    let ends: BTreeSet<String> = answers
        .iter()
        .map(|it| it.json()["status"]["completedAt"].to_string())
        .collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_moments_one_is_taken() {
    let served = Setup::saying("S").start().await;
    let run = served.start_run(run_of("interval: 5h")).await;
    let patch = |n: usize| {
        let body = format!(r#"{{"notBefore": "2026-11-23T0{}:00:00Z"}}"#, n % 2);
        served.patch(&run, body)
    };
    let answers = join_all((0..20).map(patch)).await;
    let statuses = |wanted: u16| answers.iter().filter(|it| it.status == wanted).count();
    assert_eq!((statuses(200), statuses(409)), (10, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deleting_and_terminating_at_once_leaves_nothing() {
    let served = Setup::saying("S").start().await;
    for _ in 0..20 {
        let run = served.start_run(run_of("interval: 5h")).await;
        let (path, wait) = (format!("{run}/terminate"), format!("{run}?wait=30s"));
        let (terminated, deleted, seen) = tokio::join!(
            served.post(&path, ""),
            served.delete(&run),
            served.get(&wait)
        );
        assert!([200, 404].contains(&terminated.status), "{terminated}");
        assert_eq!(deleted.status, 204, "{deleted}");
        assert!([200, 404].contains(&seen.status), "{seen}");
        assert_eq!(served.get(&run).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn templates_are_applied_whole() {
    let served = Setup::saying("S").start().await;
    let names: Vec<String> = (0..8).map(|n| format!("t{n}")).collect();
    let apply = |n: usize| {
        let metric = format!("count: 1, failureLimit: {}", n % 2);
        let all: Vec<String> = names
            .iter()
            .map(|it| super::template(it, &metric))
            .collect();
        served.post("/api/v1/templates", all.join("---\n"))
    };
    let limit = async |name: &String| {
        let template = served
            .get(&format!("/api/v1/templates/default/{name}"))
            .await;
        template.json()["spec"]["metrics"][0]["failureLimit"].clone()
    };
    for round in 0..30 {
        for answer in join_all((0..20).map(apply)).await {
            assert_eq!(answer.status, 200, "{answer}");
        }
        let limits = join_all(names.iter().map(limit)).await;
        let [first, others @ ..] = &limits[..] else {
            unreachable!("there are eight")
        };
        assert!(others.iter().all(|it| it == first), "{round}: {limits:?}");
    }
}
