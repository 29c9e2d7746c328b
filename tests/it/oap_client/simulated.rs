//! The client against the simulated OAP: both generations, other zones, every kind of service.

use std::sync::Arc;

use jiff::SignedDuration;
use skygate::domain::plan::SourcePlan;
use skygate::domain::reading::{Answer, ErrorClass, PointKind, Reading};
use skygate::domain::window::parse_zone;
use skygate::oap::{Finding, Oap, Options};
use skygate::ports::{MetricSource, Moment};
use skygate::sim::{Behaviour, Config, Generation, Service, Sim};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::stub::{CANARY, HandClock, NOW, client_on, expression, query, read_of, seed};

const GENERATIONS: [Generation; 2] = [Generation::V9_7, Generation::V10_4];

/// A simulated OAP and a client, on the same clock.
struct Simulated {
    oap: Oap,
    sim: Arc<Sim>,
    url: String,
    _serving: JoinSet<()>,
}

impl Simulated {
    async fn start(generation: Generation, change: impl FnOnce(&mut Config)) -> Self {
        let clock = HandClock::new();
        let mut config = Config::new(NOW.parse().expect("a moment"));
        config.generation = generation;
        change(&mut config);
        let sim = Arc::new(Sim::new(config, clock.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut serving = JoinSet::new();
        let served = Arc::clone(&sim);
        serving.spawn(async move {
            let stopped = skygate::sim::serve(listener, served, std::future::pending()).await;
            stopped.expect("it serves");
        });
        Self {
            oap: client_on(clock, Options::default()),
            sim,
            url,
            _serving: serving,
        }
    }

    async fn read(&self, plan: &SourcePlan) -> Reading {
        self.oap.read(plan, Moment::default()).await
    }

    async fn seed(&self, service: &str) -> Reading {
        let name = format!("{service}|reviews|bookinfo|cp-cluster-1|-");
        self.read(&seed(&self.url, &name)).await
    }

    fn count(&self, operation: &str) -> u64 {
        self.sim.counts().get(operation).copied().unwrap_or(0)
    }
}

/// The points of the answer's only series.
fn points(answer: &Answer) -> Vec<(PointKind, Option<f64>)> {
    assert_eq!(answer.series.len(), 1, "{answer:?}");
    let points = answer.series[0].points.iter();
    points.map(|point| (point.kind, point.value)).collect()
}

fn answer(reading: Reading) -> Answer {
    reading.answer.expect("an answer")
}

fn error(reading: Reading) -> (ErrorClass, String) {
    let error = reading.answer.expect_err("no answer");
    (error.class, error.message)
}

#[tokio::test]
async fn no_data_and_zero_are_told_apart() {
    for generation in GENERATIONS {
        let server = Simulated::start(generation, |_| {}).await;
        let data = |value| (PointKind::Data, Some(value));
        let gap = (PointKind::Gap, None);

        assert_eq!(
            points(&answer(server.seed("canary").await)),
            [data(10_000.0); 3]
        );
        assert_eq!(
            points(&answer(server.seed("frustrated").await)),
            [data(0.0); 3]
        );

        let absent = answer(server.seed("absent").await);
        assert_eq!(points(&absent), [gap; 3]);
        assert!(
            absent.notes.iter().any(|note| note.contains("never seen")),
            "{absent:?}"
        );

        let degraded = points(&answer(server.seed("degraded").await));
        assert!(degraded.iter().all(|(kind, value)| {
            *kind == PointKind::Data && value.is_some_and(|value| value < 9_900.0)
        }));

        let mut long = seed(&server.url, "gappy|reviews|bookinfo|cp-cluster-1|-");
        long.window.interval *= 4;
        let gappy = points(&answer(server.read(&long).await));
        assert_eq!(gappy.iter().filter(|point| **point == gap).count(), 3);
        assert_eq!(gappy.len(), 12);
    }
}

#[tokio::test]
async fn any_zone_and_any_clock_give_the_same_points() {
    for (zone, skew) in [("+0000", 0), ("+0530", 0), ("-0330", 90), ("+1345", -3_600)] {
        let server = Simulated::start(Generation::V10_4, |config| {
            config.zone = parse_zone(zone).expect("a zone");
            config.skew = SignedDuration::from_secs(skew);
        })
        .await;
        for plan in [
            seed(&server.url, CANARY),
            expression(&server.url, "service_apdex"),
        ] {
            let reading = server.read(&plan).await;
            let time = reading.time.expect("a time");
            assert_eq!(time.skew, SignedDuration::from_secs(skew));
            assert_eq!(Some(time.zone), parse_zone(zone));
            let answer = answer(reading);
            assert_eq!(
                points(&answer),
                [(PointKind::Data, Some(10_000.0)); 3],
                "{zone}"
            );
        }
    }
}

#[tokio::test]
async fn false_friends_are_errors() {
    for generation in GENERATIONS {
        let server = Simulated::start(generation, |_| {}).await;
        let unknown = server
            .read(&query(&server.url, &read_of("service_apdx")))
            .await;
        let expected =
            "the OAP knows no metric named `service_apdx`; did you mean `service_apdex`?";
        assert_eq!(
            error(unknown),
            (ErrorClass::UnknownMetric, expected.to_owned())
        );
        assert_eq!(server.count("q"), 0);

        let labelled = server
            .read(&query(&server.url, &read_of("service_percentile")))
            .await;
        assert_eq!(error(labelled).0, ErrorClass::WrongKindOfMetric);
        assert_eq!(server.count("q"), 0);

        let unknown = server
            .read(&expression(&server.url, "avg(service_apdx)"))
            .await;
        assert_eq!(
            error(unknown),
            (ErrorClass::UnknownMetric, expected.to_owned())
        );
    }
}

#[tokio::test]
async fn labels_are_spelled_as_the_generation_spells_them() {
    let modern = Simulated::start(Generation::V10_4, |_| {}).await;
    let plan = expression(&modern.url, "service_percentile{p='50,99'}");
    let answered = answer(modern.read(&plan).await);
    let names: Vec<&str> = answered.series.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["p=50", "p=99"]);

    let old = Simulated::start(Generation::V9_7, |_| {}).await;
    let plan = expression(&old.url, "service_percentile{p='50,99'}");
    assert_eq!(error(old.read(&plan).await).0, ErrorClass::Unsupported);
}

#[tokio::test]
async fn a_disturbed_server_is_an_error_and_never_a_verdict() {
    let server = Simulated::start(Generation::V10_4, |config| {
        config.services = vec![
            Service::new("out", Behaviour::Outage),
            Service::new("odd", Behaviour::Malformed),
        ];
    })
    .await;
    for (service, class) in [
        ("out", ErrorClass::Unreachable),
        ("odd", ErrorClass::Malformed),
    ] {
        let reading = server.read(&seed(&server.url, service)).await;
        assert_eq!(error(reading).0, class, "{service}");
    }
}

#[tokio::test]
async fn a_preflight_of_either_generation_finds_no_fault() {
    for generation in GENERATIONS {
        let server = Simulated::start(generation, |_| {}).await;
        for plan in [
            seed(&server.url, CANARY),
            expression(&server.url, "service_apdex"),
        ] {
            let findings = server.oap.preflight(&plan).await;
            assert!(
                findings.contains(&Finding::Service(CANARY.to_owned())),
                "{findings:?}"
            );
            assert!(!findings.iter().any(Finding::is_fault), "{findings:?}");
        }
    }
}
