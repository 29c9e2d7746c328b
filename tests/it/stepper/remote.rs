//! What a stepper makes of answers that are not the service's own: a gateway's, while the service is restarted or moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use skygate::client::{Client, Options};
use skygate::clock::FastClock;
use skygate::domain::run::RunId;
use skygate::ports::Clock;
use skygate::stepper::{RemoteService, Service, ServiceError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::harness::start;

/// A status, a content type, a body.
type Said = (u16, &'static str, String);

/// Something that answers the same to everybody.
struct Gateway {
    says: Arc<Mutex<Said>>,
    service: RemoteService,
    // Dropping the set ends it.
    _serving: JoinSet<()>,
}

impl Gateway {
    async fn start() -> Self {
        let says = Arc::new(Mutex::new((200, "", String::new())));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(Arc::clone(&says));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        let clock: Arc<dyn Clock> = Arc::new(FastClock::new(start(), 1_000));
        let mut options = Options::new(format!("http://{address}"));
        options.patience = Duration::ZERO;
        let client = Client::new(&options, clock).expect("usable options");
        Self {
            says,
            service: RemoteService::new(client, "bookinfo", "reviews")
                .with_templates(vec![b"kind: AnalysisTemplate".to_vec()]),
            _serving: serving,
        }
    }

    fn says(&self, status: u16, form: &'static str, body: &Value) {
        *self.says.lock().expect("a lock") = (status, form, body.to_string());
    }

    /// What goes wrong of everything that a stepper asks for, but for the run of an analysis.
    async fn errors(&self) -> Vec<(&'static str, ServiceError)> {
        let service = &self.service;
        let run = RunId("7f1c".to_owned());
        let failed = |what, error: Option<ServiceError>| error.map(|error| (what, error));
        let failed = [
            failed("take", service.take("a").await.err()),
            failed("renew", service.renew(1).await.err()),
            failed("release", service.release(1).await.err()),
            failed("read", service.read().await.err()),
            failed("news", service.news("\"1\"").await.err()),
            failed("save", service.save(1, "\"1\"", &json!({})).await.err()),
            failed("restore", service.restore().await.err()),
            failed("look", service.look(&run, None).await.err()),
            failed("terminate", service.terminate(&run).await.err()),
            failed("find", service.find(&BTreeMap::new()).await.err()),
        ];
        failed.into_iter().flatten().collect()
    }
}

async fn answer(State(says): State<Arc<Mutex<Said>>>) -> Response {
    let (status, form, body) = says.lock().expect("a lock").clone();
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(CONTENT_TYPE, form)], body).into_response()
}

#[tokio::test]
async fn what_a_gateway_says_is_an_outage() {
    let gateway = Gateway::start().await;
    let bodies = [
        ("application/json", json!({})),
        ("application/json", json!({"message": "no Route matched"})),
        (
            "application/problem+json",
            json!({"title": "no route", "status": 404}),
        ),
        (
            "application/problem+json",
            json!({"type": "about:blank", "detail": "no"}),
        ),
        (
            "application/problem+json",
            json!({"type": "urn:other:problem:not-found"}),
        ),
        ("application/json", json!([])),
        ("text/html", json!("<html>")),
    ];
    for status in [
        200, 400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 421, 422, 429, 500, 503,
    ] {
        for (form, body) in &bodies {
            gateway.says(status, form, body);
            let errors = gateway.errors().await;
            assert!(status == 200 || errors.len() == 10, "{status} {body}");
            for (what, error) in errors {
                let is_away = matches!(error, ServiceError::Away(_));
                assert!(is_away, "{what}: {status} {body}: {error:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_the_service_says_itself_counts() {
    let gateway = Gateway::start().await;
    let check = async |status: u16, kind: &str, whom: &[&str], is_it: fn(&ServiceError) -> bool| {
        let body = json!({"type": format!("urn:skygate:problem:{kind}"), "detail": "no"});
        gateway.says(status, "application/problem+json", &body);
        for (what, error) in gateway.errors().await {
            let is_meant = whom.is_empty() || whom.contains(&what);
            assert_eq!(is_meant, is_it(&error), "{what}: {kind}: {error:?}");
        }
    };
    check(404, "not-found", &[], |it| {
        matches!(it, ServiceError::Gone(_))
    })
    .await;
    let under_the_lease = ["renew", "release", "save"];
    check(409, "conflict", &under_the_lease, |it| {
        matches!(it, ServiceError::Lost(_))
    })
    .await;
    check(409, "conflict", &["take"], |it| {
        matches!(it, ServiceError::Held(_))
    })
    .await;
    check(412, "changed", &["save"], |it| {
        matches!(it, ServiceError::Overtaken(_))
    })
    .await;
    check(503, "unavailable", &[], |it| {
        matches!(it, ServiceError::Away(_))
    })
    .await;
}
