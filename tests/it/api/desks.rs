//! The desks of rollouts, as callers over HTTP find them.

use serde_json::json;

use crate::harness::Setup;

const ROLLOUT: &str = "/api/v1/rollouts/bookinfo/reviews";

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
