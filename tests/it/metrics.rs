//! What Prometheus sees of runs that come and go.

use std::time::Duration;

use skygate::domain::measurement::Phase;
use skygate::domain::run::{Run, RunId};
use skygate::ports::Observer;
use skygate::telemetry::Metrics;

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
