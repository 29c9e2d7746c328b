//! The whole service behind a real socket, and a client that calls it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use skygate::api::{Access, App, Died, Limits, Planner, Ports, Service, Settings, Tokens};
use skygate::clock::FastClock;
use skygate::domain::plan::Overrides;
use skygate::engine::Engine;
use skygate::oap::{Address, Directory, Oap, Options};
use skygate::ports::{Clock, MetricSource, Observer, Records, Store};
use skygate::secrets::SecretFiles;
use skygate::sim::{Config, Sim};
use skygate::store::MemoryStore;
use skygate::telemetry::{Metrics, ObservedSource, ObservedStore};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::{FakeSource, start};

/// The longest that any answer may take, in real time.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// How fast time runs for a service under test: a minute in a tenth of a second.
const SPEED: u32 = 600;

/// What a service is made of before it is started.
pub(crate) struct Setup {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) source: Arc<dyn MetricSource>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) access: Access,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) retain: Duration,
    pub(crate) secrets: SecretFiles,
}

impl Setup {
    /// One that asks `source`, on a fast clock.
    pub(crate) fn asking(source: impl FnOnce(Arc<dyn Clock>) -> Arc<dyn MetricSource>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(FastClock::new(start(), SPEED));
        let memory = Arc::new(MemoryStore::default());
        Self {
            source: source(Arc::clone(&clock)),
            clock,
            store: Arc::clone(&memory) as Arc<dyn Store>,
            records: memory,
            access: Access::Loopback,
            settings: Settings::default(),
            limits: Limits::default(),
            retain: Duration::from_hours(24 * 365),
            secrets: SecretFiles::of_service(None),
        }
    }

    /// One whose source says these letters, one after another.
    pub(crate) fn saying(letters: &str) -> Self {
        Self::asking(|clock| Arc::new(FakeSource::saying(clock, letters)))
    }

    /// The same for whoever has a token of this file.
    pub(crate) fn with_tokens(mut self, text: &str) -> Self {
        let tokens = Tokens::parse(text).expect("a file of tokens");
        self.access = Access::Tokens(Arc::new(tokens));
        self
    }

    pub(crate) async fn start(self) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let metrics = Arc::new(Metrics::new());
        let source: Arc<dyn MetricSource> =
            Arc::new(ObservedSource::new(self.source, Arc::clone(&metrics)));
        let store: Arc<dyn Store> = Arc::new(ObservedStore::new(self.store, Arc::clone(&metrics)));
        let engine = Engine::new(
            Arc::clone(&self.clock),
            Arc::clone(&store),
            Arc::clone(&source),
        )
        .observed_by(Arc::clone(&metrics) as Arc<dyn Observer>);
        let secrets = self.secrets;
        let planner = Planner {
            records: Arc::clone(&self.records),
            secrets: Arc::new(move |namespace, name, key| secrets.find(namespace, name, key)),
            overrides: Overrides::default(),
            source,
        };
        let ports = Ports {
            clock: self.clock,
            store,
            records: self.records,
        };
        let app = App::new(engine, ports, planner, self.access, self.settings, metrics);
        let service = Service {
            app: Arc::clone(&app),
            limits: self.limits,
            retain: self.retain,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let beside = app.health.stopped();
        let mut running = JoinSet::new();
        running.spawn(service.run(listener, beside, async {
            drop(stopped.await);
        }));
        Served {
            url,
            app,
            client: client(),
            stop: Some(stop),
            running,
        }
    }
}

/// A client of plain HTTP that waits as long as a test may take.
pub(crate) fn client() -> Client {
    // Any client wants to know who does its cryptography, be it for none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().tls_certs_only([]).timeout(LIMIT).build();
    client.expect("a client")
}

/// A service that runs until this is dropped or told to stop.
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) app: Arc<App>,
    pub(crate) client: Client,
    stop: Option<oneshot::Sender<()>>,
    running: JoinSet<Result<(), Died>>,
}

impl Served {
    /// A service whose only OAP is a simulated one with these services; templates find it at `http://oap.istio-system:12800`.
    pub(crate) async fn simulated(services: &[&str]) -> (Self, Arc<Sim>) {
        let (setup, sim) = simulated(services).await;
        (setup.start().await, sim)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// Sends JSON, or whatever text it is.
    pub(crate) async fn post(&self, path: &str, body: impl Into<String>) -> Answer {
        Answer::of(self.request(Method::POST, path).body(body.into())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: impl Into<String>) -> Answer {
        Answer::of(self.request(Method::PATCH, path).body(body.into())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// Starts a run, which must be a valid one; where it is.
    pub(crate) async fn start_run(&self, body: impl Into<String>) -> String {
        let answer = self.post("/api/v1/runs", body).await;
        assert_eq!(answer.status, 201, "{answer}");
        answer.header("location").to_owned()
    }

    /// The run at `path` once it is over.
    pub(crate) async fn await_end(&self, path: &str) -> Value {
        loop {
            let answer = self.get(&format!("{path}?wait=30s")).await;
            assert_eq!(answer.status, 200, "{answer}");
            let run = answer.json();
            if run["status"]["completedAt"].is_string() {
                return run;
            }
        }
    }

    /// The run at `path` once so many measurements of its first metric were taken.
    pub(crate) async fn await_measurements(&self, path: &str, count: usize) -> Value {
        loop {
            let run = self.get(&format!("{path}?wait=1s")).await.json();
            let taken = run["status"]["metricResults"][0]["measurements"].as_array();
            if taken.is_some_and(|taken| taken.len() >= count) {
                return run;
            }
        }
    }

    /// Asks it to stop, and does not wait for that.
    pub(crate) fn tell_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn stop(&mut self) -> Result<(), Died> {
        self.tell_to_stop();
        self.end().await
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> Result<(), Died> {
        let ended = tokio::time::timeout(LIMIT, self.running.join_next()).await;
        let ended = ended.expect("it ends in time").expect("it runs");
        ended.expect("it never panics")
    }
}

/// The same before it is started.
pub(crate) async fn simulated(services: &[&str]) -> (Setup, Arc<Sim>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut made = None;
    let setup = Setup::asking(|clock| {
        let mut config = Config::new(clock.now());
        config.services = services
            .iter()
            .map(|service| service.parse().expect("a script"))
            .collect();
        made = Some(Arc::new(Sim::new(config, Arc::clone(&clock))));
        Arc::new(closed_oap(&url, clock))
    });
    let sim = made.expect("it was made with its clock");
    // It lives as long as the runtime of the test does.
    let served = Arc::clone(&sim);
    keep(async move {
        let served = skygate::sim::serve(listener, served, std::future::pending()).await;
        served.expect("it serves");
    });
    (setup, sim)
}

/// An OAP that is called `sim`, and is also what templates call `http://oap.istio-system:12800`. No other is called.
fn closed_oap(url: &str, clock: Arc<dyn Clock>) -> Oap {
    let address = |text: &str| Address::parse(text).expect("an address");
    let directory = Directory::default()
        .name("sim", address(url))
        .instead_of(&address("http://oap.istio-system:12800"), address(url))
        .closed();
    let options = Options {
        timeout: Duration::from_mins(1),
        ..Options::default()
    };
    Oap::new(options, directory, clock).expect("usable options")
}

#[expect(
    clippy::disallowed_methods,
    reason = "it ends with the runtime of its test, and nobody waits for it before"
)]
fn keep(task: impl Future<Output = ()> + Send + 'static) {
    tokio::task::spawn(task);
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// What comes of sending `request`.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("an answer")
    }

    /// The same; `None` where the connection breaks.
    pub(crate) async fn try_of(request: RequestBuilder) -> Option<Self> {
        let response = request.send().await.ok()?;
        let headers = response.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        });
        Some(Self {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.text().await.ok()?,
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map_or("", |(_, value)| value)
    }

    /// The name of the problem that it tells of; its status is that problem's.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self}");
        let kind = problem["type"].as_str().unwrap_or_default();
        let kind = kind.strip_prefix("urn:skygate:problem:");
        kind.expect("a problem of ours").to_owned()
    }

    /// The paths of the faults that it tells of.
    pub(crate) fn fault_paths(&self) -> Vec<String> {
        let problem = self.json();
        let faults = problem["faults"].as_array().cloned().unwrap_or_default();
        let paths = faults.iter().map(|fault| fault["path"].as_str());
        paths
            .map(|path| path.unwrap_or_default().to_owned())
            .collect()
    }
}

/// As people read it, without what differs from time to time: status, the headers that matter, the body.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for name in [
            "content-type",
            "location",
            "etag",
            "allow",
            "retry-after",
            "www-authenticate",
        ] {
            let value = self.header(name);
            if !value.is_empty() {
                writeln!(f, "{name}: {}", stable(value))?;
            }
        }
        let body = match serde_json::from_str::<Value>(&self.body) {
            Ok(value) => serde_json::to_string_pretty(&value).map_err(|_| fmt::Error)?,
            Err(_) => self.body.clone(),
        };
        if !body.is_empty() {
            writeln!(f, "\n{}", stable(&body))?;
        }
        Ok(())
    }
}

/// `text` without what differs from time to time: moments, ports, ids, tags.
pub(crate) fn stable(text: &str) -> String {
    const DIFFERING: [(&str, &str); 9] = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "MOMENT"),
        (r"\d{4}-\d\d-\d\d \d{4}", "MINUTE"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "ID"),
        (r"(?m)^(etag|if-none-match): .+$", "$1: TAG"),
        (r#""skewSeconds": -?[0-9.e-]+"#, "\"skewSeconds\": SKEW"),
        (
            r#""durationSeconds": [0-9.e-]+"#,
            "\"durationSeconds\": TIME",
        ),
        (r"\b\d\d:\d\d\b", "HH:MM"),
        (r#""cursor=[A-Za-z0-9_-]+"#, "cursor=CURSOR"),
    ];
    DIFFERING
        .iter()
        .fold(text.to_owned(), |text, (pattern, name)| {
            let pattern = Regex::new(pattern).expect("a pattern of ours");
            pattern.replace_all(&text, *name).into_owned()
        })
}

/// The moment so long before what the service's clock shows.
pub(crate) fn ago(served: &Served, time: Duration) -> Timestamp {
    let now = served.app.ports.clock.now();
    now.checked_sub(time).expect("a moment")
}
