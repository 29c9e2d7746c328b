//! The client of the service against one that answers as it is told: what it sends, what it sends again, and what it makes of answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use skygate::client::{Client, ClientError, Filter, Manifest, Options, RolloutName, Token};
use skygate::clock::FastClock;
use skygate::domain::run::{Run, RunId};
use skygate::domain::spec::Kind;
use skygate::ports::Clock;
use skygate::wire::{self, ArgumentValue, MeasurementRequest, RunRequest, TemplateReference};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::harness::{fake_plan, metric, run_of, start};

/// A request as it came.
#[derive(Clone, Debug)]
struct Seen {
    /// `POST /api/v1/runs?a=b`.
    line: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// An answer that is given once; the last one is given for ever.
#[derive(Clone, Debug)]
struct Say {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// A problem is of our type unless it says otherwise.
fn say(status: u16, body: &Value) -> Say {
    let mut body = body.clone();
    if status >= 400 && body.get("type").is_none() {
        body["type"] = json!("urn:skygate:problem:some");
    }
    let form = if status < 400 {
        "application/json"
    } else {
        "application/problem+json"
    };
    Say {
        status,
        headers: vec![("content-type", form.to_owned())],
        body: body.to_string(),
    }
}

fn plain(status: u16, form: &str, body: &str) -> Say {
    Say {
        status,
        headers: vec![("content-type", form.to_owned())],
        body: body.to_owned(),
    }
}

impl Say {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

#[derive(Debug, Default)]
struct Script {
    says: Mutex<VecDeque<Say>>,
    seen: Mutex<Vec<Seen>>,
}

/// A server that answers by script.
struct Stub {
    url: String,
    script: Arc<Script>,
    clock: Arc<FastClock>,
    // Dropping the set ends the server.
    _serving: JoinSet<()>,
}

impl Stub {
    async fn saying(says: impl IntoIterator<Item = Say>) -> Self {
        let script = Arc::new(Script::default());
        script.says.lock().expect("a lock").extend(says);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            url,
            script,
            clock: Arc::new(FastClock::new(start(), 1_000)),
            _serving: serving,
        }
    }

    fn client(&self, change: impl FnOnce(&mut Options)) -> Client {
        let mut options = Options::new(&self.url);
        options.patience = Duration::from_mins(10);
        change(&mut options);
        Client::new(&options, Arc::clone(&self.clock) as Arc<dyn Clock>).expect("usable options")
    }

    fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().expect("a lock").clone()
    }

    fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// `text` without its port.
    fn stable(&self, text: &impl ToString) -> String {
        text.to_string().replace(&self.url, "http://SERVER")
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    script.seen.lock().expect("a lock").push(Seen {
        line: format!("{} {}", head.method, head.uri),
        headers: head.headers,
        body,
    });
    let mut says = script.says.lock().expect("a lock");
    let say = if says.len() > 1 {
        says.pop_front()
    } else {
        says.front().cloned()
    };
    let say = say.expect("something to say");
    let mut response = Response::builder().status(say.status);
    for (name, value) in say.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(say.body)).expect("an answer")
}

fn run() -> Run {
    let plan = fake_plan(&[metric("a", "interval: 1m, count: 3")]);
    run_of("7f1c", &plan, start())
}

fn document() -> Value {
    serde_json::to_value(wire::AnalysisRun::new(&run())).expect("JSON")
}

fn id() -> RunId {
    RunId("7f1c".to_owned())
}

#[tokio::test]
async fn a_run_is_asked_for_in_argos_words_and_under_a_key() {
    let stub = Stub::saying([say(201, &document())]).await;
    let client = stub.client(|options| options.token = Some(Token::new("t0ken")));
    let new = RunRequest {
        namespace: Some("bookinfo".to_owned()),
        templates: vec![TemplateReference {
            template_name: Some("apdex".to_owned()),
            cluster_scope: true,
            ..TemplateReference::default()
        }],
        args: vec![ArgumentValue {
            name: "service-name".to_owned(),
            value: Some("a=b".to_owned()),
            value_from: None,
        }],
        labels: [("app".to_owned(), "reviews".to_owned())].into(),
        not_before: Some(wire::time(start())),
        conclude_after: Some("30m".to_owned()),
        ..RunRequest::default()
    };
    let created = client.create_run(&new, "k1").await.expect("a run");
    assert_eq!(created.id, id());
    let [seen] = stub.seen().try_into().expect("one request");
    assert_eq!(seen.line, "POST /api/v1/runs");
    assert_eq!(seen.header("authorization"), "Bearer t0ken");
    assert_eq!(seen.header("idempotency-key"), "k1");
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(
        seen.json(),
        json!({
            "namespace": "bookinfo",
            "templates": [{"templateName": "apdex", "clusterScope": true}],
            "args": [{"name": "service-name", "value": "a=b"}],
            "labels": {"app": "reviews"},
            "notBefore": "2026-11-23T10:00:00Z",
            "concludeAfter": "30m",
        })
    );
}

#[tokio::test]
async fn every_call_has_its_path() {
    let stub =
        Stub::saying([say(200, &json!({"items": [], "next": null})).with("etag", "\"1\"")]).await;
    let client = stub.client(|_| {});
    let filter = Filter {
        namespace: Some("a b".to_owned()),
        phases: vec!["Failed".to_owned(), "Error".to_owned()],
        labels: vec!["app=x/y".to_owned()],
        from: Some(start()),
        limit: Some(7),
        cursor: Some("c+".to_owned()),
        ..Filter::default()
    };
    client.list_runs(&filter).await.expect("a page");
    client.terminate(&id()).await.expect("it ends");
    client
        .delete_run(&RunId("a/b ?".to_owned()))
        .await
        .expect("it goes");
    client
        .list_templates(Kind::Cluster, None, Some("x"))
        .await
        .expect("a page");
    client
        .apply_templates(b"kind: x".to_vec(), Some("n"))
        .await
        .expect("applied");
    let which = |kind| Manifest {
        kind,
        namespace: "default",
        name: "apdex",
    };
    client
        .get_template(which(Kind::Namespaced))
        .await
        .expect("a manifest");
    client
        .delete_template(which(Kind::Cluster))
        .await
        .expect("it goes");
    assert_eq!(
        stub.lines(),
        [
            "GET /api/v1/runs?namespace=a+b&phase=Failed&phase=Error&label=app%3Dx%2Fy&from=2026-11-23T10%3A00%3A00Z&limit=7&cursor=c%2B",
            "POST /api/v1/runs/7f1c/terminate",
            "DELETE /api/v1/runs/a%2Fb%20%3F",
            "GET /api/v1/clustertemplates?cursor=x",
            "POST /api/v1/templates?namespace=n",
            "GET /api/v1/templates/default/apdex",
            "DELETE /api/v1/clustertemplates/apdex",
        ]
    );
}

#[tokio::test]
async fn a_path_before_the_api_is_kept() {
    let stub = Stub::saying([say(200, &document())]).await;
    let client = stub.client(|options| options.url.push_str("/gate/way/"));
    client.get_run(&id()).await.expect("a run");
    assert_eq!(stub.lines(), ["GET /gate/way/api/v1/runs/7f1c"]);
}

#[tokio::test]
async fn news_are_waited_for_with_what_was_seen() {
    let stub = Stub::saying([
        say(200, &document()).with("etag", "\"1\""),
        say(200, &document()).with("etag", "\"2\""),
        say(200, &document()),
    ])
    .await;
    let client = stub.client(|_| {});
    let mut news = client.news(&id());
    for _ in 0..3 {
        news.next().await.expect("a run");
    }
    let waits = "GET /api/v1/runs/7f1c?wait=25s";
    assert_eq!(stub.lines(), ["GET /api/v1/runs/7f1c", waits, waits]);
    let tags: Vec<String> = stub
        .seen()
        .iter()
        .map(|seen| seen.header("if-none-match").to_owned())
        .collect();
    assert_eq!(tags, ["", "\"1\"", "\"2\""]);
}

#[tokio::test]
async fn what_may_pass_is_asked_again_under_the_same_key() {
    let busy = json!({"type": "urn:skygate:problem:too-many", "title": "busy", "status": 429});
    let stub = Stub::saying([
        plain(502, "text/html", "<html>"),
        say(503, &json!({"title": "not ready"})),
        say(429, &busy).with("retry-after", "7"),
        plain(504, "text/plain", "gateway"),
        say(201, &document()),
    ])
    .await;
    let client = stub.client(|_| {});
    let begun = stub.clock.now();
    client
        .create_run(&RunRequest::default(), "k2")
        .await
        .expect("a run");
    assert_eq!(stub.lines().len(), 5);
    assert!(
        stub.seen()
            .iter()
            .all(|seen| seen.header("idempotency-key") == "k2")
    );
    let took = stub.clock.now().duration_since(begun);
    assert!(took.as_secs() >= 7, "Retry-After was not kept: {took:?}");
}

#[tokio::test]
async fn patience_ends() {
    let stub = Stub::saying([say(
        503,
        &json!({"title": "not ready", "detail": "no store"}),
    )])
    .await;
    let error = stub
        .client(|_| {})
        .get_run(&id())
        .await
        .expect_err("no run");
    let tries = stub.lines().len();
    assert!(tries > 5, "{tries}");
    assert_eq!(
        stub.stable(&error),
        format!(
            "`GET http://SERVER/api/v1/runs/7f1c` answered 503: not ready: no store (tried {tries} times)"
        )
    );
    assert!(error.is_passing());

    // Asking again in an hour is no help to anybody.
    let stub =
        Stub::saying([say(429, &json!({"title": "busy"})).with("retry-after", "3600")]).await;
    stub.client(|_| {})
        .get_run(&id())
        .await
        .expect_err("no run");
    assert_eq!(stub.lines().len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_not_asked_again() {
    let check = async |status: u16, body: Value, expected: &str, hint: Option<&str>| {
        let stub = Stub::saying([say(status, &body)]).await;
        let error = stub
            .client(|_| {})
            .get_run(&id())
            .await
            .expect_err("no run");
        assert_eq!(stub.stable(&error), expected);
        assert_eq!(error.hint().as_deref(), hint);
        assert_eq!(stub.lines().len(), 1);
    };
    check(
        401,
        json!({"title": "A token is needed", "detail": "no such token"}),
        "`GET http://SERVER/api/v1/runs/7f1c` answered 401: A token is needed: no such token",
        Some("give a token of the service's: a file of it, or the variable SKYGATE_TOKEN"),
    )
    .await;
    check(
        404,
        json!({"title": "There is no such thing", "detail": "no run `7f1c`"}),
        "`GET http://SERVER/api/v1/runs/7f1c` answered 404: There is no such thing: no run `7f1c`",
        None,
    )
    .await;
    check(
        500,
        json!({"title": "Something failed inside the service"}),
        "`GET http://SERVER/api/v1/runs/7f1c` answered 500: Something failed inside the service",
        None,
    )
    .await;
}

#[tokio::test]
async fn answers_of_somebody_else_are_told_apart() {
    let check = async |says: Say, expected: &str| {
        let stub = Stub::saying([says]).await;
        let client = stub.client(|options| options.response_cap = 1_000);
        let error = client.get_run(&id()).await.expect_err("no run");
        assert_eq!(stub.stable(&error), expected);
        assert!(error.hint().is_some());
    };
    let asked = "`GET http://SERVER/api/v1/runs/7f1c`";
    check(
        plain(200, "text/html; charset=utf-8", "<html>"),
        &format!(
            "{asked} answered 200 OK with text/html where JSON of a skygate service was expected"
        ),
    )
    .await;
    check(
        plain(404, "", ""),
        &format!("{asked} answered 404 Not Found and nothing more where JSON of a skygate service was expected"),
    )
    .await;
    check(
        plain(302, "text/html", "").with("location", "http://jane:s3cret@elsewhere/login?next=x"),
        &format!(
            "{asked} redirects (302 Found) to `http://elsewhere/login`; redirects are not followed"
        ),
    )
    .await;
    check(
        plain(200, "application/json", &" ".repeat(1_001)),
        "the answer to `GET http://SERVER/api/v1/runs/7f1c` is larger than 1000 bytes",
    )
    .await;
    let version = env!("CARGO_PKG_VERSION");
    check(
        plain(200, "application/json", "{"),
        &format!("what {asked} answered cannot be read by this version ({version}): it is no JSON: EOF while parsing an object at line 1 column 1"),
    )
    .await;
    check(
        say(200, &json!({"metadata": {}, "status": {}})),
        &format!("what {asked} answered cannot be read by this version ({version}): metadata.namespace: missing"),
    )
    .await;
}

#[tokio::test]
async fn a_service_of_another_version_is_named() {
    let newer = say(200, &json!({"kind": "AnalysisRun"})).with("server", "skygate/9.1.0");
    let stub = Stub::saying([newer]).await;
    let error = stub
        .client(|_| {})
        .get_run(&id())
        .await
        .expect_err("no run");
    assert_eq!(
        error.hint().as_deref(),
        Some("the service is skygate 9.1.0: use a `skygate` of the same version")
    );
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    // Nobody listens on the discard port of a test machine.
    let mut options = Options::new("http://127.0.0.1:9");
    options.patience = Duration::from_secs(2);
    let clock = Arc::new(FastClock::new(start(), 1_000));
    let client = Client::new(&options, clock).expect("usable options");
    let error = client.get_run(&id()).await.expect_err("no run");
    let text = error.to_string();
    assert!(
        text.starts_with("no answer from `http://127.0.0.1:9`: Connection refused")
            && text.contains("(tried "),
        "{text}"
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("is `skygate serve` running there?")
    );
}

/// A server that takes requests and closes the connection, and how often it did.
async fn hanging_up() -> (String, Arc<Mutex<usize>>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = [0; 4_096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            if read > 0 {
                *counted.lock().expect("a lock") += 1;
            }
            let _ = stream.write_all(b"HTTP/1.1 200").await;
        }
    });
    (url, count, serving)
}

#[tokio::test]
async fn a_record_is_not_written_twice_where_the_first_may_have_arrived() {
    let (url, count, _serving) = hanging_up().await;
    let clock: Arc<dyn Clock> = Arc::new(FastClock::new(start(), 1_000));
    let client = Client::new(&Options::new(url), clock).expect("usable options");
    let error = client
        .save_rollout(reviews(), 7, "\"4\"", &json!({}))
        .await
        .expect_err("no answer");
    assert!(error.is_passing(), "{error}");
    assert_eq!(*count.lock().expect("a lock"), 1);
    // What has the same effect once or twice is asked again.
    client.terminate(&id()).await.expect_err("no answer");
    assert!(*count.lock().expect("a lock") > 3);
}

#[tokio::test]
async fn a_record_is_written_under_the_version_that_was_seen() {
    let stub = Stub::saying([
        say(200, &json!({"step": 1})).with("etag", "\"2\""),
        say(412, &json!({"title": "changed"})),
    ])
    .await;
    let client = stub.client(|_| {});
    let tag = client
        .save_rollout(reviews(), 7, "\"1\"", &json!({"step": 1}))
        .await
        .expect("written");
    assert_eq!(tag, "\"2\"");
    let error = client
        .save_rollout(reviews(), 7, "\"1\"", &json!({"step": 0}))
        .await
        .expect_err("changed");
    assert!(error.is_conflict(), "{error}");
    let seen = stub.seen();
    let conditions: Vec<&str> = seen.iter().map(|it| it.header("if-match")).collect();
    assert_eq!(conditions, ["\"1\"", "\"1\""]);
}

fn reviews() -> RolloutName<'static> {
    RolloutName {
        namespace: "n",
        name: "reviews",
    }
}

#[tokio::test]
async fn faults_come_with_their_places() {
    let problem = json!({
        "type": "urn:skygate:problem:invalid", "title": "not valid", "status": 422, "detail": "1 fault",
        "faults": [{"path": "args[0]", "message": "missing", "hint": "give it"}],
    });
    let stub = Stub::saying([say(422, &problem)]).await;
    let error = stub
        .client(|_| {})
        .measure(&MeasurementRequest::default())
        .await
        .expect_err("faults");
    let ClientError::Problem(problem) = error else {
        panic!("{error}")
    };
    assert_eq!(problem.kind, "invalid");
    assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        problem.faults[0].to_string(),
        "args[0]: missing (hint: give it)"
    );
}
