//! The desks of rollouts, as callers over HTTP find them.

use reqwest::Method;
use serde_json::json;
use skygate::domain::rollout::{Rollout, RolloutSpec, Settings, Version};

use crate::harness::{Answer, Setup};

const ROLLOUT: &str = "/api/v1/rollouts/bookinfo/reviews";

/// serde reads a list as the fields of a struct in order, and an empty one as their defaults.
#[tokio::test]
async fn a_list_is_no_body() {
    let served = Setup::saying("S").start().await;
    for command in ["abort", "promote", "retry", "pause", "resume"] {
        let path = format!("{ROLLOUT}/{command}");
        for body in ["[]", "[null, false]", "{\"seen\": [1, 2]}", "- seen"] {
            let answer = served.post(&path, body).await;
            assert_eq!(answer.status, 422, "{command} {body}: {answer}");
            assert!(answer.body.contains("expected an object, found a list"));
        }
        // Nothing in it is as good as no body at all: there is no such rollout.
        for body in ["", "{}", "null", "{\"seen\": null}"] {
            let answer = served.post(&path, body).await;
            assert_eq!(answer.status, 404, "{command} {body}: {answer}");
        }
    }
    for body in ["[]", "[\"a\", null, false]"] {
        let answer = served.post(&format!("{ROLLOUT}/lease"), body).await;
        assert_eq!(answer.status, 422, "{body}: {answer}");
    }
    let save = served.request(Method::PUT, ROLLOUT).body("[1, {}]");
    let answer = Answer::of(save.header("if-none-match", "*")).await;
    assert_eq!(answer.status, 422, "{answer}");
    assert_eq!(served.get(ROLLOUT).await.status, 404);
}

/// The service's clock went an hour ahead, and was put right: whoever asks next is told when it really ends, and so is everybody.
#[tokio::test]
async fn a_lease_that_ends_too_late_is_cut() {
    let served = Setup::saying("S").start().await;
    let lease = format!("{ROLLOUT}/lease");
    let planted = served
        .app
        .rollouts
        .change("bookinfo", "reviews", |desk, now, until| {
            let hour = std::time::Duration::from_hours(1000);
            desk.take("a", now + hour, until + hour)
        });
    let (_, planted) = planted.await.expect("a lease");
    let answer = served
        .post(&lease, json!({"holder": "b"}).to_string())
        .await;
    assert_eq!(answer.status, 409, "{answer}");
    let kept = served.get(ROLLOUT).await.json();
    let expires_at = kept["lease"]["expiresAt"].as_str().expect("a moment");
    let expires_at: jiff::Timestamp = expires_at.parse().expect("a moment");
    assert!(expires_at < planted.expires_at - std::time::Duration::from_hours(900));
}

/// A stepper of another make may send what ours refuses itself.
#[tokio::test]
async fn a_document_that_leaves_no_room_is_refused() {
    let served = Setup::saying("S").start().await;
    let holder = json!({"holder": "a"}).to_string();
    let took = served.post(&format!("{ROLLOUT}/lease"), holder).await;
    let fence = took.json()["fence"].clone();
    let save = async |length: usize| {
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "reviews", "annotations": {"a": "x"}},
            "spec": {"strategy": {"canary": {"steps": [{"setWeight": 10}]}}},
        });
        let spec = RolloutSpec::read(&document).expect("a Rollout");
        let version = Version::named("v2");
        let now = served.app.ports.clock.now();
        let rollout = Rollout::new(
            "bookinfo",
            spec.into(),
            version,
            None,
            Settings::default(),
            now,
        );
        let mut record = rollout.to_record();
        record["document"]["metadata"]["annotations"]["a"] = "x".repeat(length).into();
        let body = json!({"fence": fence, "rollout": record}).to_string();
        let save = served.request(Method::PUT, ROLLOUT).body(body);
        Answer::of(save.header("if-none-match", "*")).await
    };
    let answer = save(600_000).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (422, "invalid"),
        "{answer}"
    );
    assert!(answer.body.contains("up to 524288 are kept"), "{answer}");
    assert_eq!(save(500_000).await.status, 200);
}
