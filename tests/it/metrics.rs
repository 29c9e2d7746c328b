//! What Prometheus sees of runs that come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use skygate::domain::measurement::Phase;
use skygate::domain::run::{Run, RunId};
use skygate::ports::Observer;
use skygate::telemetry::Metrics;

use crate::harness::Setup;
use crate::judging::driver::{metric, run_of};

/// A run of that name which has failed.
fn failed(id: &str, name: &str) -> Run {
    Run {
        id: RunId(id.to_owned()),
        name: name.to_owned(),
        phase: Phase::Failed,
        ..run_of(vec![metric("apdex", Some(60))])
    }
}

/// The series whose names hold `part`, each with its value.
fn series(text: &str, part: &str) -> BTreeMap<String, f64> {
    let of_part = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(part));
    of_part
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

/// Whatever alerts count of a run and its OAP increases from 0, whenever it first happens.
#[tokio::test]
async fn what_alerts_go_by_is_there_before_it_happens() {
    let served = Setup::saying("E").start().await;
    let metrics = async || served.get("/metrics").await.body;
    let store = series(&metrics().await, "skygate_store_errors_total");
    assert!(store.values().all(|count| *count == 0.0), "{store:?}");

    let waiting = r"{ name: cart, spec: { metrics: [{ name: a, initialDelay: 1h, consecutiveErrorLimit: 0,
        provider: { skywalking: { oap: sim, interval: 1m, expression: a, entity: { scope: Service, serviceName: a, normal: true } } } }] } }";
    let run = served.start_run(waiting).await;
    let ended = series(&metrics().await, "skygate_runs_ended_total");
    let of_error: Vec<_> = ended
        .iter()
        .filter(|(it, _)| it.contains("Error"))
        .collect();
    assert!(
        matches!(of_error.as_slice(), [(name, 0.0)] if name.contains("name=\"cart\"")),
        "{ended:?}"
    );
    served.await_end(&run).await;

    let now = metrics().await;
    for part in ["skygate_runs_ended_total", "skygate_oap_errors_total"] {
        let errors = series(&now, part);
        let happened: f64 = errors.values().sum();
        assert!((happened - 1.0).abs() < f64::EPSILON, "{errors:?}");
        assert!(errors.values().any(|count| *count == 0.0), "{errors:?}");
    }
    let called = series(&now, "skygate_store_duration_seconds_count");
    let operation = |name: &str| name.split_once('{').map(|(_, labels)| labels.to_owned());
    let known: Vec<_> = store.keys().map(|name| operation(name)).collect();
    for name in called.keys() {
        assert!(known.contains(&operation(name)), "{name} in {known:?}");
    }
    let answers = series(&now, "route=\"/metrics\",status=\"503\"");
    assert!(answers.values().eq([&0.0]), "{answers:?}");
}

/// The lines about runs of that name.
fn lines(metrics: &Metrics, name: &str) -> usize {
    let text = metrics.text().expect("families");
    let label = format!("name=\"{name}\"");
    text.lines().filter(|line| line.contains(&label)).count()
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_under_a_name_goes_after_its_last_run() {
    let metrics = Metrics::new();
    for run in [failed("1", "a"), failed("2", "a"), failed("3", "b")] {
        metrics.measured(&run, 0, Phase::Failed);
        metrics.ended(&run);
    }
    let (of_a, of_b) = (lines(&metrics, "a"), lines(&metrics, "b"));
    assert!(of_a > 0 && of_a == of_b);
    let id = |id: &str| RunId(id.to_owned());
    metrics.forgotten(&[id("1"), id("3"), id("9")]);
    tokio::time::sleep(Duration::from_mins(59)).await;
    metrics.forgotten(&[]);
    // An alert looks back for a while.
    assert_eq!((lines(&metrics, "a"), lines(&metrics, "b")), (of_a, of_b));
    tokio::time::sleep(Duration::from_mins(1)).await;
    metrics.forgotten(&[]);
    // One of them is kept still.
    assert_eq!((lines(&metrics, "a"), lines(&metrics, "b")), (of_a, 0));
    // A name that comes back stays, whatever became of its runs before.
    metrics.forgotten(&[id("2")]);
    tokio::time::sleep(Duration::from_mins(30)).await;
    metrics.ended(&failed("4", "a"));
    tokio::time::sleep(Duration::from_mins(40)).await;
    metrics.forgotten(&[]);
    assert_eq!(lines(&metrics, "a"), of_a);
}

#[tokio::test(start_paused = true)]
async fn names_make_room_for_others() {
    let metrics = Metrics::new();
    for n in 0..600 {
        metrics.ended(&failed(&n.to_string(), &format!("pipeline-{n}")));
    }
    assert!(lines(&metrics, "other") > 0);
    let all: Vec<RunId> = (0..600).map(|n: u32| RunId(n.to_string())).collect();
    metrics.forgotten(&all);
    tokio::time::sleep(Duration::from_hours(1)).await;
    metrics.forgotten(&[]);
    metrics.ended(&failed("600", "pipeline-600"));
    assert!(lines(&metrics, "pipeline-600") > 0);
    assert_eq!(lines(&metrics, "pipeline-0"), 0);
}
