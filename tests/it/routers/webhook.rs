//! The webhook router, against a receiver on loopback that checks signatures as the specification wants it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use ring::hmac;
use serde_json::{Value, json};
use skygate::ports::{Clock, Observed, Remedy, RouterError, Shifted, TrafficRouter};
use skygate::routers::webhook::{SigningKeys, WebhookOptions, WebhookRouter};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{owner, shift};
use crate::harness::HandClock;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Clone, Debug)]
struct Seen {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Checks the signature as a receiver does: over the bytes that came.
    fn is_signed_with(&self, key: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend(&self.body);
        self.header("webhook-signature")
            .split(' ')
            .any(|signature| {
                let encoded = signature.strip_prefix("v1,").expect("version 1");
                let tag = STANDARD.decode(encoded).expect("base64");
                hmac::verify(&key, &signed, &tag).is_ok()
            })
    }
}

/// What the receiver answers: a status, headers, a body.
type Reply = (u16, Vec<(&'static str, String)>, String);

/// A receiver that answers as it is told, the last answer again and again.
struct Receiver {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _serving: JoinSet<()>,
}

impl Receiver {
    async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let remembered = Arc::clone(&seen);
        let replies = Arc::new(replies);
        let router = Router::new().fallback(move |request: Request| {
            let (remembered, replies) = (Arc::clone(&remembered), Arc::clone(&replies));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                let mut seen = remembered.lock().expect("no panic");
                let index = seen.len().min(replies.len() - 1);
                seen.push(Seen {
                    headers: parts.headers,
                    body: body.to_vec(),
                });
                let (status, headers, body) = replies[index].clone();
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(body)).expect("a response")
            }
        });
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self {
            url,
            seen,
            _serving: serving,
        }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

fn ok() -> Reply {
    (204, Vec::new(), String::new())
}

fn say(status: u16, body: &str) -> Reply {
    (status, Vec::new(), body.to_owned())
}

fn router_with(url: &str, secret: Option<&str>, clock: &Arc<HandClock>) -> WebhookRouter {
    let mut options = WebhookOptions::new(url);
    options.keys = secret.map(|secret| SigningKeys::parse(secret).expect("a secret"));
    WebhookRouter::new(owner(), options, Arc::clone(clock) as _).expect("it can be made")
}

#[tokio::test]
async fn weights_arrive_signed() {
    let receiver = Receiver::start(vec![ok()]).await;
    let clock = HandClock::new();
    let secrets = format!("{SECRET}\nan older one");
    let router = router_with(&receiver.url, Some(&secrets), &clock);
    assert_eq!(router.set(&shift(20, 7)).await, Ok(Shifted::Written));
    assert_eq!(router.observe().await, Ok(Observed::default()));
    let seen = receiver.seen();
    assert_eq!(
        seen[0].json(),
        json!({
            "type": "rollout.weights", "namespace": "bookinfo", "rollout": "reviews-rollout",
            "revision": "v2", "step": 0, "change": 1, "fence": 7,
            "weights": {"stable": 80, "canary": 20},
        })
    );
    let now = clock.now().as_second().to_string();
    assert_eq!(seen[0].header("webhook-timestamp"), now);
    assert_eq!(seen[0].header("content-type"), "application/json");
    let key = STANDARD.decode(&SECRET["whsec_".len()..]).expect("base64");
    assert!(seen[0].is_signed_with(&key) && seen[0].is_signed_with(b"an older one"));
    assert!(!seen[0].is_signed_with(b"another one"));

    let unsigned = router_with(&receiver.url, None, &clock);
    assert_eq!(unsigned.set(&shift(20, 7)).await, Ok(Shifted::Written));
    assert_eq!(receiver.seen()[1].header("webhook-signature"), "");
}

#[tokio::test]
async fn one_change_has_one_id() {
    let receiver = Receiver::start(vec![say(503, ""), ok()]).await;
    let clock = HandClock::new();
    let router = router_with(&receiver.url, Some(SECRET), &clock);
    let mut shift = shift(20, 7);
    let first = router.set(&shift).await;
    assert_eq!(first.expect_err("not yet").remedy(), Remedy::TryAgain);
    router.set(&shift).await.expect("the second try succeeds");
    router.set(&shift).await.expect("asserted again");
    let ids = |seen: &[Seen]| -> Vec<String> {
        seen.iter()
            .map(|seen| seen.header("webhook-id").to_owned())
            .collect()
    };
    let first = ids(&receiver.seen());
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|id| *id == first[0]), "{first:?}");
    // The same weight in a later change, and the same change under a later lease.
    shift.change = 2;
    router.set(&shift).await.expect("it is taken");
    shift.fence = 8;
    router.set(&shift).await.expect("it is taken");
    let all = ids(&receiver.seen());
    assert!(
        all[3] != all[0] && all[4] != all[3] && all[4] != all[0],
        "{all:?}"
    );
    // Each try has its own moment, and a signature that fits it.
    let seen = receiver.seen();
    assert_ne!(seen[0].header("webhook-timestamp"), "");
    assert_ne!(seen[0].header("webhook-id"), "");
}

/// Trying again is the stepper's: it may want another weight by then, and an older one must not arrive after it.
#[tokio::test]
async fn what_may_pass_is_tried_once_a_call() {
    let later = (429, vec![("retry-after", "9".to_owned())], String::new());
    let receiver = Receiver::start(vec![say(503, "maintenance"), later, ok()]).await;
    let router = router_with(&receiver.url, None, &HandClock::new());
    for (count, expected) in [(1, None), (2, Some(9))] {
        let refused = router.set(&shift(20, 7)).await.expect_err("not yet");
        assert_eq!(refused.remedy(), Remedy::TryAgain);
        assert_eq!(receiver.seen().len(), count);
        let RouterError::Unreachable { what, after } = refused else {
            panic!("{refused:?}");
        };
        assert!(what.contains("` answered "), "{what}");
        assert_eq!(after.map(|after| after.as_secs()), expected);
    }
    assert_eq!(router.set(&shift(20, 7)).await, Ok(Shifted::Written));
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!(
        "http://jane:s3cret@{}/",
        listener.local_addr().expect("an address")
    );
    drop(listener);
    let router = router_with(&url, None, &HandClock::new());
    let refused = router.set(&shift(20, 7)).await.expect_err("nobody answers");
    assert_eq!(refused.remedy(), Remedy::TryAgain);
    let said = refused.to_string();
    assert!(
        said.contains("refused") && !said.contains("s3cret"),
        "{said}"
    );
    assert!(!format!("{router:?}").contains("s3cret"));
}

#[tokio::test]
async fn answers_are_told_apart() {
    let check = async |reply: Reply, remedy: Remedy, expected: &str| {
        let receiver = Receiver::start(vec![reply]).await;
        let router = router_with(&receiver.url, None, &HandClock::new());
        let refused = router.set(&shift(20, 7)).await.expect_err("it is refused");
        let said = refused.to_string().replace(&receiver.url, "URL");
        assert_eq!((said.as_str(), refused.remedy()), (expected, remedy));
        assert_eq!(receiver.seen().len(), 1, "it isn't tried again");
        refused
    };
    let fenced = check(
        say(409, "{\"fence\": 9}"),
        Remedy::StandDown,
        "`URL` answered 409 Conflict: `{\"fence\": 9}`; a newer stepper of `bookinfo/reviews-rollout` has been there",
    )
    .await;
    assert!(
        matches!(fenced, RouterError::Fenced { found: Some(9), .. }),
        "{fenced:?}"
    );
    let fenced = check(
        say(409, "no"),
        Remedy::StandDown,
        "`URL` answered 409 Conflict: `no`; a newer stepper of `bookinfo/reviews-rollout` has been there",
    )
    .await;
    assert!(
        matches!(fenced, RouterError::Fenced { found: None, .. }),
        "{fenced:?}"
    );
    let elsewhere = vec![("location", "http://127.0.0.1:9/".to_owned())];
    check(
        (307, elsewhere, String::new()),
        Remedy::AskPerson,
        "`URL` answered 307 Temporary Redirect; redirects are not followed, so give the address that really serves",
    )
    .await;
    check(
        say(401, ""),
        Remedy::AskPerson,
        "`URL` answered 401 Unauthorized; the secret here and there may differ, or credentials be missing from the URL",
    )
    .await;
    check(
        say(404, ""),
        Remedy::AskPerson,
        "`URL` answered 404 Not Found",
    )
    .await;
    check(
        say(422, "no such rollout"),
        Remedy::AskPerson,
        "`URL` answered 422 Unprocessable Entity: `no such rollout`",
    )
    .await;
    // However much it says, little is kept.
    let receiver = Receiver::start(vec![say(400, &"x".repeat(1 << 20))]).await;
    let router = router_with(&receiver.url, None, &HandClock::new());
    let refused = router.set(&shift(20, 7)).await.expect_err("it is refused");
    assert!(refused.to_string().len() < 300, "{refused}");
}

#[tokio::test]
async fn what_is_no_webhook_is_refused_at_once() {
    let check = |url: &str, expected: &str| {
        let made = WebhookRouter::new(owner(), WebhookOptions::new(url), HandClock::new());
        let refused = made.expect_err("it is refused").to_string();
        assert_eq!(refused, expected);
    };
    check(
        "nowhere",
        "the webhook `nowhere` is no URL: relative URL without a base",
    );
    check(
        "ftp://a:b@host/x",
        "the webhook `ftp://*****@host/x` is none of `http://…` and `https://…`",
    );
}
