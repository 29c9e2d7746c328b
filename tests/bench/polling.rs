//! What a status poll and a long poll cost beside bare axum handlers that answer with the same run as JSON: requests a second over
//! sockets on loopback. Both servers are in this process, each on a thread of its own, and take turns in short rounds, so that
//! whatever else the machine does falls on both. The client's work is the same for both, and small: it reads bytes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use divan::Bencher;
use divan::counter::ItemsCount;
use futures_util::future::join_all;
use jiff::Timestamp;
use skygate::api::{Access, App, Limits, Planner, Ports, Service, Settings};
use skygate::domain::plan::Overrides;
use skygate::domain::run::{Command, Run, RunId};
use skygate::engine::Engine;
use skygate::oap::{Directory, Oap, Options};
use skygate::ports::{Clock, MetricSource, Store};
use skygate::store::MemoryStore;
use skygate::telemetry::Metrics;
use skygate::wire::AnalysisRun;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;

use super::fixtures::now;
use super::running::measured_run;

/// How many connections ask at the same time.
const CONNECTIONS: usize = 16;

/// How many wait at the same time.
const WAITING: usize = 200;

/// So many requests a connection make a round.
const REQUESTS: usize = 20;

/// How often each side takes its turn.
const ROUNDS: usize = 151;

/// Polls over a few connections, each as fast as it is answered.
#[divan::bench]
fn poll(bencher: Bencher<'_, '_>) {
    polled(bencher, &Stage::new().skygate);
}

#[divan::bench]
fn poll_by_hand(bencher: Bencher<'_, '_>) {
    polled(bencher, &Stage::new().by_hand);
}

fn polled(bencher: Bencher<'_, '_>, server: &Server) {
    let client = Client::new();
    let mut callers = client.connect(server, CONNECTIONS);
    let request = server.request("");
    bencher
        .counter(ItemsCount::new(CONNECTIONS * REQUESTS))
        .bench_local(|| client.ask(&mut callers, &request));
}

/// Measures both sides in turns and prints the table.
#[expect(clippy::print_stdout, reason = "this is what it is for")]
pub(super) fn print() {
    let stage = Stage::new();
    let bytes = stage.bytes;
    println!(
        "\npolling: requests a second, a run of {bytes} bytes, bare axum > Skygate, medians of {ROUNDS} rounds"
    );
    row(
        "status poll, beside a JSON handler",
        &stage.by_hand,
        &stage.skygate,
        stage.asking(CONNECTIONS),
    );
    row(
        "status poll, beside bytes held ready",
        &stage.bytes_by_hand,
        &stage.skygate,
        stage.asking(CONNECTIONS),
    );
    row(
        "long poll, 200 that wait",
        &stage.by_hand,
        &stage.skygate,
        stage.waiting(WAITING),
    );
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn row(name: &str, by_hand: &Server, skygate: &Server, mut round: impl FnMut(&Server) -> f64) {
    let rounds = (0..ROUNDS).map(|_| (round(by_hand), round(skygate)));
    let (by_hand, skygate): (Vec<f64>, Vec<f64>) = rounds.unzip();
    let (by_hand, skygate) = (median(by_hand), median(skygate));
    let ratio = skygate / by_hand;
    println!("{name:<40}{by_hand:>9.0} >{skygate:>9.0}  ×{ratio:.2}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Both servers and a client.
struct Stage {
    client: Client,
    skygate: Server,
    by_hand: Server,
    bytes_by_hand: Server,
    bytes: usize,
}

impl Stage {
    fn new() -> Self {
        let run = measured_run(10);
        let bytes = Bytes::from(serde_json::to_vec(&AnalysisRun::new(&run)).expect("JSON"));
        Self {
            client: Client::new(),
            skygate: skygate(run.clone()),
            by_hand: by_hand(&run),
            bytes_by_hand: bytes_by_hand(bytes.clone()),
            bytes: bytes.len(),
        }
    }

    /// Rounds of plain polls: requests a second.
    fn asking(&self, connections: usize) -> impl FnMut(&Server) -> f64 {
        let mut callers: HashMap<SocketAddr, Vec<Caller>> = HashMap::new();
        move |server| {
            let callers = callers
                .entry(server.address)
                .or_insert_with(|| self.client.connect(server, connections));
            let request = server.request("");
            let begun = Instant::now();
            self.client.ask(callers, &request);
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let requests = (connections * REQUESTS) as f64;
            requests / begun.elapsed().as_secs_f64()
        }
    }

    /// Rounds of polls that wait for one change: requests a second.
    fn waiting(&self, connections: usize) -> impl FnMut(&Server) -> f64 {
        let mut callers: HashMap<SocketAddr, Vec<Caller>> = HashMap::new();
        move |server| {
            let callers = callers
                .entry(server.address)
                .or_insert_with(|| self.client.connect(server, connections));
            let request = server.request("?wait=60s");
            let begun = Instant::now();
            self.client.wait(callers, &request, server);
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let requests = connections as f64;
            requests / begun.elapsed().as_secs_f64()
        }
    }
}

/// Where a server is, and what makes its run change.
struct Server {
    address: SocketAddr,
    id: RunId,
    waiting: Arc<dyn Fn() -> usize + Send + Sync>,
    change: Arc<dyn Fn() + Send + Sync>,
}

impl Server {
    fn request(&self, query: &str) -> Vec<u8> {
        let id = &self.id;
        format!("GET /api/v1/runs/{id}{query} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
    }
}

/// Whatever makes requests, all on one thread.
struct Client {
    runtime: Runtime,
}

impl Client {
    fn new() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        Self {
            runtime: runtime.expect("a runtime"),
        }
    }

    fn connect(&self, server: &Server, count: usize) -> Vec<Caller> {
        let connect = async |_| {
            let stream = TcpStream::connect(server.address)
                .await
                .expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            Caller {
                stream,
                answer: vec![0; 64 << 10],
            }
        };
        self.runtime.block_on(join_all((0..count).map(connect)))
    }

    /// Every caller asks some times in a row.
    fn ask(&self, callers: &mut [Caller], request: &[u8]) {
        self.runtime
            .block_on(join_all(callers.iter_mut().map(async |caller| {
                for _ in 0..REQUESTS {
                    caller.ask(request).await;
                }
            })));
    }

    /// Every caller asks once; once all of them wait the run changes.
    fn wait(&self, callers: &mut [Caller], request: &[u8], server: &Server) {
        let count = callers.len();
        let asking = join_all(callers.iter_mut().map(|caller| caller.ask(request)));
        let changing = async {
            while (server.waiting)() < count {
                tokio::task::yield_now().await;
            }
            (server.change)();
        };
        self.runtime
            .block_on(async { tokio::join!(asking, changing) });
    }
}

/// One connection.
struct Caller {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Caller {
    async fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.expect("sent");
        let mut read = 0;
        loop {
            let more = self.stream.read(&mut self.answer[read..]).await;
            read += more.expect("an answer");
            if whole_length(&self.answer[..read]).is_some_and(|length| length <= read) {
                assert!(self.answer.starts_with(b"HTTP/1.1 200"));
                return;
            }
        }
    }
}

/// The length of an answer whose head is there, as its head says.
fn whole_length(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).expect("a head");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse::<usize>().expect("a length"))
    });
    Some(end + length.expect("a length"))
}

/// A clock that stands still, so that nothing is due.
#[derive(Debug)]
struct StillClock;

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending::<()>().await;
    }
}

/// The service, with `run` in it.
fn skygate(run: Run) -> Server {
    let id = run.id.clone();
    let (app, address) = on_own_thread(move |listener| async move {
        let clock: Arc<dyn Clock> = Arc::new(StillClock);
        let source = Oap::new(Options::default(), Directory::default(), Arc::clone(&clock));
        let source: Arc<dyn MetricSource> = Arc::new(source.expect("options"));
        let store = Arc::new(MemoryStore::default());
        store.insert(&run, None).await.expect("a new run");
        let ports = Ports {
            clock: Arc::clone(&clock),
            store: Arc::clone(&store) as Arc<dyn Store>,
            records: store,
        };
        let planner = Planner {
            records: Arc::clone(&ports.records),
            secrets: Arc::new(|_, _, _| Err("there are none".to_owned())),
            overrides: Overrides::default(),
            source: Arc::clone(&source),
        };
        let engine = Engine::new(clock, Arc::clone(&ports.store), source);
        let app = App::new(
            engine,
            ports,
            planner,
            Access::Loopback,
            Settings::default(),
            Arc::new(Metrics::new()),
        );
        let service = Service {
            app: Arc::clone(&app),
            limits: Limits::default(),
            retain: Duration::from_hours(1_000),
        };
        let serving = async move {
            let beside = service.app.health.stopped();
            let served = service.run(listener, beside, std::future::pending()).await;
            served.expect("it serves");
        };
        (app, serving)
    });
    let (counting, changing) = (Arc::clone(&app), app);
    let moments = AtomicUsize::new(0);
    Server {
        address,
        id: id.clone(),
        waiting: Arc::new(move || counting.health.waiting()),
        change: Arc::new(move || {
            let second = moments.fetch_add(1, Ordering::Relaxed);
            let second = i64::try_from(second).expect("few");
            let moment = Timestamp::from_second(second + 1).expect("a moment");
            let (app, id) = (Arc::clone(&changing), id.clone());
            // What is posted to a store in memory is there at once.
            let posted = futures_util::FutureExt::now_or_never(
                app.engine.post(&id, Command::NoTrafficBefore(moment)),
            );
            posted.expect("at once").expect("a known run");
        }),
    }
}

/// The least that answers with a run as JSON, made of it each time, and lets callers wait for its next state.
fn by_hand(run: &Run) -> Server {
    #[derive(Clone)]
    struct Bare {
        newest: watch::Receiver<Arc<HashMap<String, AnalysisRun>>>,
        waiting: Arc<AtomicUsize>,
    }

    async fn answer(
        State(mut bare): State<Bare>,
        Path(id): Path<String>,
        uri: axum::http::Uri,
    ) -> Response {
        if uri.query().is_some() {
            bare.newest.mark_unchanged();
            bare.waiting.fetch_add(1, Ordering::Relaxed);
            bare.newest.changed().await.expect("a next state");
            bare.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let runs = Arc::clone(&bare.newest.borrow());
        Json(&runs[&id]).into_response()
    }

    let id = run.id.clone();
    let state =
        move |run: &Run| Arc::new(HashMap::from([(run.id.to_string(), AnalysisRun::new(run))]));
    let (newest, watching) = watch::channel(state(run));
    let waiting = Arc::new(AtomicUsize::new(0));
    let bare = Bare {
        newest: watching,
        waiting: Arc::clone(&waiting),
    };
    let router = Router::new()
        .route("/api/v1/runs/{id}", get(answer))
        .with_state(bare);
    let ((), address) =
        on_own_thread(move |listener| async move { ((), bare_server(listener, router)) });
    let run = run.clone();
    Server {
        address,
        id,
        waiting: Arc::new(move || waiting.load(Ordering::Relaxed)),
        change: Arc::new(move || {
            newest.send_replace(state(&run));
        }),
    }
}

/// The least that answers at all: the same bytes each time.
fn bytes_by_hand(bytes: Bytes) -> Server {
    async fn answer(State(bytes): State<Bytes>, Path(id): Path<String>) -> Response {
        divan::black_box(id);
        ([(CONTENT_TYPE, "application/json")], bytes).into_response()
    }

    let router = Router::new()
        .route("/api/v1/runs/{id}", get(answer))
        .with_state(bytes);
    let ((), address) =
        on_own_thread(move |listener| async move { ((), bare_server(listener, router)) });
    Server {
        address,
        id: RunId("x".to_owned()),
        waiting: Arc::new(|| 0),
        change: Arc::new(|| {}),
    }
}

async fn bare_server(listener: TcpListener, router: Router) {
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).expect("a socket");
    });
    axum::serve(listener, router).await.expect("it serves");
}

/// Serves on a free port, on a thread of its own, until the process ends.
fn on_own_thread<T, F, S>(serve: impl FnOnce(TcpListener) -> F + Send + 'static) -> (T, SocketAddr)
where
    T: Send + 'static,
    F: Future<Output = (T, S)>,
    S: Future<Output = ()>,
{
    let (sender, made) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let (part, serving) = serve(listener).await;
            sender.send((part, address)).expect("somebody waits for it");
            serving.await;
        });
    });
    made.recv().expect("a server")
}
