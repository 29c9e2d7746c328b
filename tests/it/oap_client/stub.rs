//! What the tests of the client stand on: a server that answers as it is told, a clock that is moved by hand, sources to read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::serve::Listener;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use skygate::domain::args::Arguments;
use skygate::domain::plan::{Ask, Entity, Gaps, Server, SourcePlan};
use skygate::domain::query::Query;
use skygate::domain::reading::{ErrorClass, Reading};
use skygate::domain::window::{Step, WindowSpec};
use skygate::oap::{Address, Directory, Oap, Options};
use skygate::ports::{Clock, MetricSource, Moment};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The moment at which the tests begin: the three settled minutes before it are 09:08 to 09:10 UTC.
pub(super) const NOW: &str = "2026-11-23T09:12:30Z";

pub(super) const CANARY: &str = "canary|reviews|bookinfo|cp-cluster-1|-";

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Seen {
    /// The name of one of our own operations; empty for a user's query.
    pub(super) fn operation(&self) -> &str {
        self.body["operationName"].as_str().unwrap_or_default()
    }

    pub(super) fn query(&self) -> &str {
        self.body["query"].as_str().unwrap_or_default()
    }

    /// `start..end step` of the window that was asked for.
    pub(super) fn window(&self) -> String {
        let duration = &self.body["variables"]["duration"];
        let text = |field: &str| duration[field].as_str().unwrap_or("-").to_owned();
        format!("{}..{} {}", text("start"), text("end"), text("step"))
    }

    /// The buckets of the window that was asked for, as ids have them: `202611230908`.
    fn buckets(&self) -> Vec<String> {
        let duration = &self.body["variables"]["duration"];
        let (format, step) = match duration["step"].as_str() {
            Some("DAY") => ("%Y%m%d", 24.hours()),
            Some("HOUR") => ("%Y%m%d%H", 1.hour()),
            _ => ("%Y%m%d%H%M", 1.minute()),
        };
        // `2026-11-23 0908`, and less of it for wider buckets.
        let local = |field: &str| -> DateTime {
            let text = duration[field].as_str().expect("a local time");
            let (date, time) = text.split_once(' ').unwrap_or((text, ""));
            DateTime::strptime("%F %H%M", format!("{date} {time:0<4}")).expect("a local time")
        };
        let last = local("end");
        let buckets = local("start").series(step);
        buckets
            .take_while(|bucket| *bucket <= last)
            .map(|bucket| bucket.strftime(format).to_string())
            .collect()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
}

/// What the stub answers.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// 200 and JSON.
    Json(Value),
    /// A status, a content type, a body.
    Other(u16, &'static str, String),
    /// A redirect.
    To(u16, String),
    /// A body that is announced and never comes.
    Never,
}

type Answer = Arc<dyn Fn(Seen) -> BoxFuture<'static, Reply> + Send + Sync>;

/// A server that answers as it is told and remembers what it was asked.
pub(super) struct Stub {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _serving: JoinSet<()>,
}

impl Stub {
    /// Answers everything with `answer`.
    pub(super) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_async(Arc::new(move |seen| {
            let reply = answer(&seen);
            async move { reply }.boxed()
        }))
        .await
    }

    /// A modern server, except where `answer` says something else.
    pub(super) async fn modern(
        answer: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |seen| answer(seen).unwrap_or_else(|| modern(seen))).await
    }

    pub(super) async fn start_async(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        Self::serve(listener, url, answer)
    }

    pub(super) fn serve<L: Listener>(listener: L, url: String, answer: Answer) -> Self
    where
        L::Addr: std::fmt::Debug,
    {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let remembered = Arc::clone(&seen);
        let router = Router::new().fallback(move |request: Request| {
            let (answer, remembered) = (Arc::clone(&answer), Arc::clone(&remembered));
            async move {
                let seen = see(request).await;
                remembered.lock().expect("no panic").push(seen.clone());
                respond(answer(seen).await)
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

    /// What it was asked, and forgets it.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("no panic"))
    }

    /// The users' queries and the expressions among what it was asked, and forgets everything.
    pub(super) fn take_reads(&self) -> Vec<Seen> {
        let reads = |seen: &Seen| matches!(seen.operation(), "" | "ExecExpression");
        self.take().into_iter().filter(reads).collect()
    }

    /// The names of our own operations that it was asked, sorted, and forgets everything.
    pub(super) fn take_operations(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .take()
            .iter()
            .map(|it| it.operation().to_owned())
            .collect();
        names.sort();
        names
    }
}

async fn see(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .expect("a body");
    Seen {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

fn respond(reply: Reply) -> Response {
    let (status, kind, body) = match reply {
        Reply::Json(body) => (200, "application/json", Body::from(body.to_string())),
        Reply::Other(status, kind, body) => (status, kind, Body::from(body)),
        Reply::To(status, location) => {
            return Response::builder()
                .status(status)
                .header("location", location)
                .body(Body::empty())
                .expect("a response");
        }
        Reply::Never => {
            let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
            (200, "application/json", Body::from_stream(never))
        }
    };
    Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .header("content-type", kind)
        .body(body)
        .expect("a response")
}

/// What a 10.4 answers to our own operations, and the seed's query about a healthy service.
pub(super) fn modern(seen: &Seen) -> Reply {
    let metric = seen.body["variables"]["name"].as_str().unwrap_or_default();
    let data = match seen.operation() {
        "Version" => json!({"version": "10.4.0-b272da3"}),
        "TimeInfo" => return time_info("+0000", NOW),
        "TypeFields" => {
            json!({"__type": {"fields": [{"name": "id"}, {"name": "value"}, {"name": "isEmptyValue"}]}})
        }
        "TypeOfMetrics" => json!({"typeOfMetrics": match metric {
            "service_percentile" => "LABELED_VALUE",
            "service_apdex" | "service_sla" => "REGULAR_VALUE",
            _ => "UNKNOWN",
        }}),
        "ListMetrics" => json!({"listMetrics": [
            {"name": "service_sla", "type": "REGULAR_VALUE"},
            {"name": "service_apdex", "type": "REGULAR_VALUE"},
            {"name": "service_percentile", "type": "LABELED_VALUE"},
        ]}),
        "FindService" if metric == CANARY => json!({"findService": {"name": CANARY}}),
        "FindService" => json!({"findService": null}),
        "ListServices" => json!({"listServices": [{"name": CANARY}, {"name": "checkout"}]}),
        "ExecExpression" => expression_answer(&seen.buckets()),
        _ => return Reply::Json(apdex_of(&seen.buckets())),
    };
    Reply::Json(json!({ "data": data }))
}

pub(super) fn time_info(zone: &str, at: &str) -> Reply {
    let at: Timestamp = at.parse().expect("a moment");
    Reply::Json(json!({"data": {"getTimeInfo": {
        "timezone": zone,
        "currentTimestamp": at.as_millisecond(),
    }}}))
}

/// An answer to the seed's query for 09:08 and the minutes after it, with what we ask for in addition.
pub(super) fn apdex(points: &[(i64, bool)]) -> Value {
    let points = points.iter().enumerate().map(|(i, (value, empty))| {
        json!({
            "value": value,
            "skygate_id": format!("service_apdex_2026112309{:02}_Y2FuYXJ5.1", 8 + i),
            "skygate_isEmptyValue": empty,
        })
    });
    let points: Vec<Value> = points.collect();
    json!({"data": {"service_apdex": {"label": null, "values": {"values": points}}}})
}

/// An answer to the seed's query for these buckets.
fn apdex_of(buckets: &[String]) -> Value {
    let points = buckets
        .iter()
        .zip([10_000, 9_900, 10_000].into_iter().cycle());
    let points: Vec<Value> = points
        .map(|(bucket, value)| {
            json!({
                "value": value,
                "skygate_id": format!("service_apdex_{bucket}_Y2FuYXJ5.1"),
                "skygate_isEmptyValue": false,
            })
        })
        .collect();
    json!({"data": {"service_apdex": {"label": null, "values": {"values": points}}}})
}

fn expression_answer(buckets: &[String]) -> Value {
    let values: Vec<Value> = buckets
        .iter()
        .map(|bucket| json!({"id": bucket, "value": "10000"}))
        .collect();
    json!({"execExpression": {
        "type": "TIME_SERIES_VALUES",
        "error": null,
        "results": [{"metric": {"labels": []}, "values": values}],
    }})
}

/// A clock that only moves by hand, and by what is slept on it.
#[derive(Debug)]
pub(super) struct HandClock {
    now: Mutex<Timestamp>,
    slept: Mutex<Vec<Duration>>,
    /// What IO gets, in real time, where it isn't what it should get.
    patience: Option<Duration>,
}

impl HandClock {
    pub(super) fn new() -> Arc<Self> {
        Self::with_patience(None)
    }

    pub(super) fn with_patience(patience: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(NOW.parse().expect("a moment")),
            slept: Mutex::default(),
            patience,
        })
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut now = self.now.lock().expect("no panic");
        *now = now.checked_add(by).expect("a moment");
    }

    pub(super) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().expect("no panic")
    }

    async fn sleep(&self, duration: Duration) {
        self.slept.lock().expect("no panic").push(duration);
        self.advance(duration);
        tokio::task::yield_now().await;
    }

    fn deadline(&self, duration: Duration) -> Duration {
        self.patience.unwrap_or(duration)
    }
}

/// A client with these options, on a clock of its own.
pub(super) fn client(options: Options) -> Oap {
    client_on(HandClock::new(), options)
}

pub(super) fn client_on(clock: Arc<HandClock>, options: Options) -> Oap {
    Oap::new(options, Directory::default(), clock).expect("usable options")
}

/// A client of a user who names the OAP at `url` himself.
pub(super) fn client_of(url: &str, options: Options) -> Oap {
    let directory = Directory::default().name("mine", address(url));
    Oap::new(options, directory, HandClock::new()).expect("usable options")
}

/// The seed's query about `service`.
pub(super) fn seed(url: &str, service: &str) -> SourcePlan {
    let query = r#"query queryData($duration: Duration!) {
  service_apdex: readMetricsValues(
    condition: { name: "service_apdex", entity: { scope: Service, serviceName: "{{ args.service-name }}", normal: true } },
    duration: $duration) {
      label values { values { value } }
    }
}"#;
    plan(url, Ask::Query(rendered(query, service)))
}

/// Another query, with `{{ args.service-name }}` for the canary.
pub(super) fn query(url: &str, text: &str) -> SourcePlan {
    plan(url, Ask::Query(rendered(text, CANARY)))
}

/// A query of one metric of the canary.
pub(super) fn read_of(metric: &str) -> String {
    format!(
        r#"query q($duration: Duration!) {{ service_apdex: readMetricsValues(condition: {{name: "{metric}", entity: {{scope: Service, serviceName: "{CANARY}", normal: true}}}}, duration: $duration) {{ values {{ values {{ value }} }} }} }}"#
    )
}

fn rendered(text: &str, service: &str) -> Query {
    // Replaced here, so that these tests stand on as little as possible.
    let text = text.replace("{{ args.service-name }}", service);
    Query::render(&text, &Arguments::default()).expect("a query")
}

pub(super) fn expression(url: &str, expression: &str) -> SourcePlan {
    let entity = Entity {
        scope: Some("Service".into()),
        service_name: Some(CANARY.into()),
        normal: Some(true),
        ..Entity::default()
    };
    plan(
        url,
        Ask::Expression {
            expression: expression.into(),
            entity,
        },
    )
}

fn plan(url: &str, ask: Ask) -> SourcePlan {
    SourcePlan {
        server: Server::Address(url.into()),
        ask,
        window: WindowSpec {
            interval: Duration::from_mins(3),
            step: Step::Minute,
            settle: Duration::from_secs(90),
        },
        gaps: Gaps::Skip,
        holds_secret: false,
    }
}

/// Reads the seed's query about the canary, now.
pub(super) async fn read_seed(oap: &Oap, url: &str) -> Reading {
    oap.read(&seed(url, CANARY), Moment::default()).await
}

/// The class and the text of the reading's failure, with `OAP` for the server's address.
pub(super) fn failure(reading: &Reading) -> (ErrorClass, String) {
    let error = reading.answer.as_ref().expect_err("a failure");
    (
        error.class,
        error.to_string().replace(&reading.server, "OAP"),
    )
}

pub(super) fn address(url: &str) -> Address {
    Address::parse(url).expect("an address")
}
