//! Who may do what.

use reqwest::Method;
use skygate::api::{Access, description};

use super::run_of;
use crate::harness::{Answer, Served, Setup};

const READ: &str = "read-0123456789abcdef";
const RUN: &str = "run-0123456789abcdef";
const ADMIN: &str = "admin-0123456789abcdef";

fn tokens() -> String {
    format!("viewer read {READ}\nci run {RUN}\nroot admin {ADMIN}\n")
}

async fn send(served: &Served, method: &str, path: &str, token: Option<&str>) -> Answer {
    let method: Method = method.parse().expect("a method");
    let mut request = served.request(method, path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Answer::of(request).await
}

/// Every operation that is described, as its method, its path with something in it, and its name.
fn operations() -> Vec<(String, String, String)> {
    let described = serde_json::to_value(description()).expect("it is JSON");
    let paths = described["paths"].as_object().expect("paths").clone();
    let mut operations = Vec::new();
    for (path, item) in paths {
        let path = path
            .replace("{id}", "x")
            .replace("{namespace}", "x")
            .replace("{name}", "x");
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id");
            operations.push((method.to_uppercase(), path.clone(), id.to_owned()));
        }
    }
    assert!(operations.len() > 20, "{operations:?}");
    operations
}

/// The tokens that an operation takes, the weakest first.
fn allowed(operation: &str) -> &'static [&'static str] {
    match operation {
        "startRun" | "patchRun" | "terminateRun" | "rerun" | "measure" => &[RUN, ADMIN],
        it if it.ends_with("Rollout") && it != "getRollout" => &[RUN, ADMIN],
        "applyTemplates"
        | "deleteTemplate"
        | "deleteClusterTemplate"
        | "deleteRun"
        | "deleteCanary" => &[ADMIN],
        _ => &[READ, RUN, ADMIN],
    }
}

#[tokio::test]
async fn every_operation_wants_a_token_that_allows_it() {
    let served = Setup::saying("S").with_tokens(&tokens()).start().await;
    for (method, path, operation) in operations() {
        // Flagger's hooks answer in its own form, and are tried on their own.
        if operation == "answerFlagger" {
            continue;
        }
        if ["isAlive", "isReady", "describe"].contains(&operation.as_str()) {
            assert_eq!(
                send(&served, &method, &path, None).await.status,
                200,
                "{operation}"
            );
            continue;
        }
        let without = send(&served, &method, &path, None).await;
        assert_eq!(without.problem(), "unauthorized", "{operation}");
        assert_eq!(
            without.header("www-authenticate"),
            "Bearer realm=\"skygate\""
        );
        let wrong = send(&served, &method, &path, Some("nobody-has-this-one")).await;
        assert_eq!(wrong.problem(), "unauthorized", "{operation}");
        for token in [READ, RUN, ADMIN] {
            let answer = send(&served, &method, &path, Some(token)).await;
            let is_refused = answer.status == 403 || answer.status == 401;
            assert_eq!(
                is_refused,
                !allowed(&operation).contains(&token),
                "{operation}: {answer}"
            );
            assert!(!answer.body.contains(token), "{answer}");
        }
    }
    // What isn't there is not told from what nobody may see.
    assert_eq!(send(&served, "GET", "/nothing", None).await.status, 404);
}

#[tokio::test]
async fn other_ways_to_say_a_token_are_none() {
    let served = Setup::saying("S").with_tokens(&tokens()).start().await;
    for (header, status) in [
        (format!("Bearer {READ}"), 200),
        (format!("bearer  {READ} "), 200),
        (format!("Basic {READ}"), 401),
        (READ.to_owned(), 401),
        (format!("Bearer {READ}x"), 401),
        ("Bearer ".to_owned(), 401),
    ] {
        let request = served.request(Method::GET, "/api/v1/runs");
        let answer = Answer::of(request.header("authorization", &header)).await;
        assert_eq!(answer.status, status, "{header}");
    }
    let asked = served
        .get(&format!("/api/v1/runs?access_token={READ}"))
        .await;
    assert_eq!(asked.status, 401);
}

#[tokio::test]
async fn two_callers_can_have_the_same_idempotency_key() {
    let served = Setup::saying("S").with_tokens(&tokens()).start().await;
    let start = |token: &str| {
        let request = served.request(Method::POST, "/api/v1/runs");
        let request = request.header("authorization", format!("Bearer {token}"));
        Answer::of(
            request
                .header("idempotency-key", "k")
                .body(run_of("interval: 5h")),
        )
    };
    let (first, second, again) = (start(RUN).await, start(ADMIN).await, start(RUN).await);
    assert_eq!((first.status, second.status, again.status), (201, 201, 200));
    assert_eq!(first.header("location"), again.header("location"));
    assert_ne!(first.header("location"), second.header("location"));
}

#[tokio::test]
async fn on_loopback_pages_from_elsewhere_are_not_heard() {
    let served = Setup::saying("S").start().await;
    let send = async |header: &str, value: &str| {
        let request = served
            .request(Method::POST, "/api/v1/runs")
            .header(header, value);
        Answer::of(request.body(run_of("count: 1"))).await
    };
    for (header, value, status) in [
        ("host", "localhost:80", 201),
        ("host", "[::1]", 201),
        ("host", "skygate.example", 421),
        ("host", "127.0.0.1.rebind.example", 421),
        ("origin", "http://localhost:3000", 201),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
    ] {
        let answer = send(header, value).await;
        assert_eq!(answer.status, status, "{header}: {value}: {answer}");
    }
    let rows = served.get("/api/v1/runs").await.json();
    assert_eq!(rows["items"].as_array().map(Vec::len), Some(3));

    // Where there are tokens a page has none, and an open service is what its operator wants.
    let mut open = Setup::saying("S");
    open.access = Access::Open;
    for setup in [open, Setup::saying("S").with_tokens(&tokens())] {
        let served = setup.start().await;
        let request = served.request(Method::GET, "/api/v1/runs");
        let request = request.header("authorization", format!("Bearer {READ}"));
        let answer = Answer::of(request.header("host", "skygate.example")).await;
        assert_eq!(answer.status, 200, "{answer}");
    }
}
