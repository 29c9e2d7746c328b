//! OAPs to measure, each on a thread of its own: one that answers what it holds ready, and the simulated one.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::serve::ListenerExt;
use serde_json::json;
use skygate::ports::Clock;
use skygate::sim::{self, Config, Sim};
use tokio::net::TcpListener;
use tokio::runtime;

use super::fixtures::{now, query_body, window_of};

/// A server that can say what it was asked.
pub(super) struct Server {
    pub(super) url: String,
    log: Log,
}

enum Log {
    Canned(Arc<Canned>),
    Simulated(Arc<Sim>),
}

impl Server {
    /// One that answers the example's query with so many points, at next to no cost.
    pub(super) fn canned(points: u64) -> Self {
        let canned = Arc::new(Canned::new(points));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&canned));
        let url = on_own_thread(|listener| async {
            let listener = listener.tap_io(|stream| {
                stream.set_nodelay(true).expect("a socket");
            });
            axum::serve(listener, router).await
        });
        Self {
            url,
            log: Log::Canned(canned),
        }
    }

    /// The simulated OAP.
    pub(super) fn simulated(clock: Arc<dyn Clock>) -> Self {
        let sim = Arc::new(Sim::new(Config::new(now()), clock));
        let served = Arc::clone(&sim);
        let url = on_own_thread(|listener| sim::serve(listener, served, std::future::pending()));
        Self {
            url,
            log: Log::Simulated(sim),
        }
    }

    /// How many requests it has had.
    pub(super) fn requests(&self) -> u64 {
        match &self.log {
            Log::Canned(canned) => canned.requests.load(Ordering::Relaxed),
            Log::Simulated(sim) => sim.counts().values().sum(),
        }
    }

    /// The first bodies that it was sent, in their order; not many.
    pub(super) fn first_bodies(&self) -> Vec<String> {
        match &self.log {
            Log::Canned(canned) => canned.bodies().clone(),
            Log::Simulated(sim) => sim.served().into_iter().map(|it| it.body).collect(),
        }
    }
}

/// Serves on a free port, on a thread whose CPU time isn't the caller's, until the process ends.
fn on_own_thread<F>(serve: impl FnOnce(TcpListener) -> F + Send + 'static) -> String
where
    F: Future<Output = io::Result<()>>,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::from_std(listener).expect("a socket");
            serve(listener).await.expect("it serves");
        });
    });
    url
}

/// As many bodies as one measurement sends at most.
const KEPT: u64 = 4;

/// Answers that only need to be sent.
struct Canned {
    points: Bytes,
    time: Bytes,
    fields: Bytes,
    kind: Bytes,
    requests: AtomicU64,
    bodies: Mutex<Vec<String>>,
}

impl Canned {
    fn new(points: u64) -> Self {
        let data = |data: serde_json::Value| Bytes::from(json!({ "data": data }).to_string());
        let time = json!({"timezone": "+0000", "currentTimestamp": now().as_millisecond()});
        let fields = json!([{"name": "id"}, {"name": "value"}, {"name": "isEmptyValue"}]);
        Self {
            points: query_body(&window_of(points)).into(),
            time: data(json!({ "getTimeInfo": time })),
            fields: data(json!({"__type": {"fields": fields}})),
            kind: data(json!({"typeOfMetrics": "REGULAR_VALUE"})),
            requests: AtomicU64::new(0),
            bodies: Mutex::default(),
        }
    }

    fn answer(&self, body: &str) -> Bytes {
        if self.requests.fetch_add(1, Ordering::Relaxed) < KEPT {
            self.bodies().push(body.to_owned());
        }
        let answers = [
            ("query queryData", &self.points),
            ("query TimeInfo", &self.time),
            ("query TypeFields", &self.fields),
            ("query TypeOfMetrics", &self.kind),
        ];
        let found = answers.iter().find(|(query, _)| body.contains(query));
        let (_, answer) = found.expect("a question that a measurement asks");
        Bytes::clone(answer)
    }

    fn bodies(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(canned): State<Arc<Canned>>, body: String) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], canned.answer(&body))
}
