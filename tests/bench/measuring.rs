//! One measurement end to end over HTTP on loopback, and the same numbers by hand: the same question, the same server.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use divan::Bencher;
use jiff::Timestamp;
use reqwest::{Client, redirect};
use serde_json::Value;
use skygate::domain::judge::judge;
use skygate::domain::measurement::Phase;
use skygate::domain::plan::{Plan, Server as Address};
use skygate::oap::{Directory, Oap, Options};
use skygate::ports::{Clock, MetricSource, Moment};
use tokio::runtime::{self, Runtime};

use super::fixtures::{all_healthy, metric, now, plan_of, points};
use super::server::Server;

const POINTS: [u64; 3] = [3, 60, 500];

#[divan::bench(args = POINTS)]
fn measure(bencher: Bencher<'_, '_>, count: u64) {
    let stage = Stage::canned(count);
    bencher.bench_local(|| stage.runtime.block_on(stage.measure()));
}

#[divan::bench(args = POINTS)]
fn measure_by_hand(bencher: Bencher<'_, '_>, count: u64) {
    let stage = Stage::canned(count);
    bencher.bench_local(|| stage.runtime.block_on(stage.measure_by_hand()));
}

/// The first measurement of a server: its clock, its schema and the metric have to be asked for too.
#[divan::bench]
fn measure_unknown_server(bencher: Bencher<'_, '_>) {
    let stage = Stage::canned(3);
    bencher.bench_local(|| stage.runtime.block_on(stage.measure_anew()));
}

#[divan::bench]
fn measure_unknown_server_by_hand(bencher: Bencher<'_, '_>) {
    let stage = Stage::canned(3);
    bencher.bench_local(|| stage.runtime.block_on(stage.measure_anew_by_hand()));
}

#[divan::bench]
fn measure_simulated(bencher: Bencher<'_, '_>) {
    let stage = Stage::simulated();
    bencher.bench_local(|| stage.runtime.block_on(stage.measure()));
}

#[divan::bench]
fn measure_simulated_by_hand(bencher: Bencher<'_, '_>) {
    let stage = Stage::simulated();
    bencher.bench_local(|| stage.runtime.block_on(stage.measure_by_hand()));
}

/// A server and two ways to measure it, both on the thread that asks.
pub(super) struct Stage {
    pub(super) runtime: Runtime,
    pub(super) server: Server,
    clock: Arc<StillClock>,
    oap: Oap,
    plan: Plan,
    bare: Bare,
    /// The questions that the first measurement asked; the last of them is the template's.
    bodies: Vec<String>,
}

impl Stage {
    /// A server that answers with so many points, whatever it costs others.
    pub(super) fn canned(points: u64) -> Self {
        Self::new(&Arc::default(), Server::canned(points), points)
    }

    /// The simulated OAP, on the example's window.
    pub(super) fn simulated() -> Self {
        let clock: Arc<StillClock> = Arc::default();
        let server = Server::simulated(Arc::clone(&clock) as Arc<dyn Clock>);
        Self::new(&clock, server, 3)
    }

    fn new(clock: &Arc<StillClock>, server: Server, points: u64) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let port = Arc::clone(clock) as Arc<dyn Clock>;
        let oap = Oap::new(Options::default(), Directory::default(), port).expect("options");
        let mut stage = Self {
            runtime: runtime.expect("a runtime"),
            clock: Arc::clone(clock),
            // After `oap`, which installs the provider of cryptography that any client needs.
            bare: Bare::new(&server.url, points),
            plan: plan_of(points, Some(Address::Address(server.url.clone()))),
            oap,
            server,
            bodies: Vec::new(),
        };
        stage.runtime.block_on(stage.measure());
        stage.bodies = stage.server.first_bodies();
        assert_eq!(stage.bodies.len(), 4, "clock, schema, metric, query");
        stage
    }

    /// One measurement of a server that is known: one request.
    pub(super) async fn measure(&self) {
        let metric = metric(&self.plan);
        let started_at = self.clock.now();
        let reading = self.oap.read(&metric.source, Moment::default()).await;
        let finished_at = self.clock.now();
        let masker = &self.plan.masker;
        let measurement = judge(metric, reading, 1, started_at, finished_at, masker);
        assert_eq!(
            measurement.phase,
            Phase::Successful,
            "{}",
            measurement.message
        );
    }

    /// One measurement of a server that nothing is known of any more: four requests, two of them at the same time.
    pub(super) async fn measure_anew(&self) {
        self.clock.set_back();
        self.measure().await;
    }

    /// The numbers of [`Stage::measure`] by hand.
    pub(super) async fn measure_by_hand(&self) {
        let [.., query] = self.bodies.as_slice() else {
            panic!("the first measurement asked something");
        };
        let answer = self.bare.ask(query).await;
        self.bare.check(&answer);
    }

    /// The same requests as [`Stage::measure_anew`] by hand.
    pub(super) async fn measure_anew_by_hand(&self) {
        let [time, fields, kind, query] = self.bodies.as_slice() else {
            panic!("the first measurement asked four questions");
        };
        let time = self.bare.ask(time).await;
        let (fields, kind) = tokio::join!(self.bare.ask(fields), self.bare.ask(kind));
        for told in [time, fields, kind] {
            assert!(told["data"].is_object(), "{told}");
        }
        let answer = self.bare.ask(query).await;
        self.bare.check(&answer);
    }
}

/// The least that comes to the same numbers: reqwest, `serde_json`, a comparison. Its client is set up as the product's.
struct Bare {
    client: Client,
    url: String,
    points: usize,
}

impl Bare {
    fn new(url: &str, points: u64) -> Self {
        let client = Client::builder()
            .user_agent(Options::default().user_agent)
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .tls_certs_only([])
            .build();
        Self {
            client: client.expect("a client"),
            url: format!("{url}/graphql"),
            points: usize::try_from(points).expect("a small number"),
        }
    }

    async fn ask(&self, body: &str) -> Value {
        let request = self.client.post(&self.url);
        let request = request.header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.expect("sent");
        let body = response.bytes().await.expect("an answer");
        serde_json::from_slice(&body).expect("JSON")
    }

    fn check(&self, answer: &Value) {
        let points = points(answer);
        assert!(points.len() == self.points && all_healthy(points));
    }
}

/// A clock that stands still, so that every measurement asks the same question and what is known stays known.
#[derive(Debug)]
struct StillClock(AtomicI64);

impl StillClock {
    /// Makes everything that is known doubtful, as a clock does that is set back, however little.
    fn set_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for StillClock {
    fn default() -> Self {
        Self(AtomicI64::new(now().as_microsecond()))
    }
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::Relaxed)).expect("a moment near `now`")
    }

    async fn sleep(&self, _: Duration) {
        panic!("nothing is asked twice: the server answers at once");
    }
}
