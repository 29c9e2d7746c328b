//! The seed's template from start to verdict, for every kind of service, against the simulated OAP.

use std::collections::BTreeSet;
use std::time::Duration;

use skygate::domain::measurement::{Measurement, Phase};
use skygate::domain::reading::ErrorClass;
use skygate::domain::run::Command;
use skygate::sim::{Behaviour, Service};

use crate::harness::{SEED, Stage, at, history, moments, since};

/// How many measurements the seed's template takes in 31 minutes.
const SEVEN: &[i64] = &[0, 300, 600, 900, 1_200, 1_500, 1_800];

/// The seed's template, measured five times as often.
fn every_minute() -> String {
    SEED.replace("interval: 5m", "interval: 1m")
}

fn error_of(measurement: &Measurement) -> Option<ErrorClass> {
    measurement.explanation.as_ref()?.error
}

/// The starts of the buckets of a measurement's window, in minutes since the start.
fn buckets(measurement: &Measurement) -> Vec<i64> {
    let window = measurement
        .explanation
        .as_ref()
        .and_then(|why| why.window)
        .expect("a window");
    window
        .buckets()
        .map(|bucket| since(at(0), bucket) / 60)
        .collect()
}

#[tokio::test]
async fn a_healthy_service_is_measured_on_time_and_found_good() {
    let mut stage = Stage::with("canary", Behaviour::Healthy).await;
    let run = stage.run_for(SEED, 31).await;

    assert_eq!(
        (run.phase, history(&run).as_str()),
        (Phase::Successful, "SSSSSSS")
    );
    assert_eq!(moments(&run), SEVEN);
    assert_eq!(run.started_at, Some(at(0)));
    assert_eq!(run.completed_at, Some(at(31 * 60)));
    assert!(run.has_evidence());
    assert_eq!(
        run.explanation(),
        "concluded after 31m; good measurements: apdex 7 of 7"
    );
    assert_eq!(stage.sim.counts()["queryData"], 7);
}

#[tokio::test]
async fn a_frustrated_service_fails_on_true_zeros() {
    let mut stage = Stage::with("canary", Behaviour::Frustrated).await;
    let run = stage.run_to_end(SEED).await;

    assert_eq!((run.phase, history(&run).as_str()), (Phase::Failed, "FFFF"));
    assert_eq!(run.completed_at, Some(at(900)));
    assert_eq!(
        run.message,
        "Metric \"apdex\" assessed Failed due to failed (4) > failureLimit (3)"
    );
    assert_eq!(
        run.explanation(),
        "apdex failed 4 of 4 measurements (limit 3); the last: 3 of 3 points below 9900: 10:10 0, 10:11 0, 10:12 0"
    );
}

#[tokio::test]
async fn a_service_that_turns_bad_fails_at_the_fourth_bad_measurement() {
    let mut stage = Stage::script("canary=degraded@10m").await;
    let run = stage.run_to_end(SEED).await;

    // At 10 minutes the newest settled minutes are still good ones.
    assert_eq!(
        (run.phase, history(&run).as_str()),
        (Phase::Failed, "SSSFFFF")
    );
    assert_eq!(run.completed_at, Some(at(30 * 60)));
    assert_eq!(buckets(&run.metrics[0].measurements[2]), [5, 6, 7]);
}

#[tokio::test]
async fn a_bad_spell_within_the_limits_is_forgiven() {
    let mut stage = Stage::script("canary=degraded@5m+5m").await;
    let run = stage.run_for(SEED, 31).await;
    assert_eq!(
        (run.phase, history(&run).as_str()),
        (Phase::Successful, "SSFSSSS")
    );
}

#[tokio::test]
async fn minutes_without_a_request_fail_nobody() {
    let mut stage = Stage::with("canary", Behaviour::Gappy).await;
    for _ in 0..20 {
        let run = stage.run_for(SEED, 31).await;
        assert_eq!(
            (run.phase, history(&run).as_str()),
            (Phase::Successful, "SSSSSSS")
        );
        stage.clock.advance(Duration::from_secs(37));
    }
}

#[tokio::test]
async fn next_to_no_traffic_is_waited_for_and_never_failed() {
    let mut stage = Stage::with("canary", Behaviour::Rare).await;
    let mut histories = BTreeSet::new();
    for _ in 0..20 {
        let run = stage.run_for(SEED, 31).await;
        let expected = if run.has_evidence() {
            Phase::Successful
        } else {
            Phase::Inconclusive
        };
        assert_eq!(run.phase, expected);
        histories.insert(history(&run));
        stage.clock.advance(Duration::from_secs(37));
    }
    // One minute in ten has a request, and three are looked at every five.
    let expected = ["SWSWSWS", "WSWSWSW", "WWW"];
    assert_eq!(Vec::from_iter(&histories), expected);
}

#[tokio::test]
async fn a_service_that_never_comes_is_waited_for_and_then_inconclusive() {
    let mut stage = Stage::with("canary", Behaviour::Absent).await;
    let run = stage.run_to_end(SEED).await;

    assert_eq!(
        (run.phase, history(&run).as_str()),
        (Phase::Inconclusive, "WWW")
    );
    assert_eq!(run.completed_at, Some(at(600)));
    assert_eq!(run.metrics[0].counts.total(), 0);
    assert!(!run.has_evidence());
    let note = "this OAP has never seen a service `canary`";
    for measurement in &run.metrics[0].measurements {
        let why = measurement.explanation.as_ref().expect("an explanation");
        assert!(
            why.no_data && why.notes.iter().any(|it| it.contains(note)),
            "{why:?}"
        );
    }
}

#[tokio::test]
async fn a_version_is_judged_by_its_own_minutes_only() {
    let first_request = at(150);
    let services = vec![Service::new("canary", Behaviour::Healthy)];
    let mut stage = Stage::playing(services, |config| {
        config.traffic_since = Some(first_request);
    })
    .await;
    stage.clock.move_to(first_request);
    let mut run = stage.run(&every_minute());
    run.not_before = Some(first_request);
    run.conclude_after = Some(Duration::from_mins(8));
    let run = stage.play(run).await;

    // Its first whole minute is the third; that one has settled a minute and a half after its end, at 5:30.
    assert_eq!(
        (run.phase, history(&run).as_str()),
        (Phase::Successful, "WWWSSSSS")
    );
    let own: Vec<Vec<i64>> = run.metrics[0]
        .measurements
        .iter()
        .skip(3)
        .take(4)
        .map(buckets)
        .collect();
    assert_eq!(own, [vec![3], vec![3, 4], vec![3, 4, 5], vec![4, 5, 6]]);
    assert_eq!(run.metrics[0].counts.total(), 5);
}

#[tokio::test]
async fn traffic_that_is_announced_later_counts_from_then_on() {
    let mut stage = Stage::script("canary=healthy").await;
    let mut run = stage.run(&every_minute());
    run.conclude_after = Some(Duration::from_mins(10));
    let id = run.id.clone();
    stage.engine.start(&run).await.expect("a new run");
    stage.play_until(at(125)).await;
    stage.clock.move_to(at(125));
    let command = Command::NotBefore(at(125));
    stage.engine.post(&id, command).await.expect("a known run");
    stage.play_until(at(3_600)).await;

    // What was measured before it was known stands; after that there is nothing of its own until the minute from 3:00 has settled.
    let run = stage.get(&id).await;
    assert_eq!(run.not_before, Some(at(125)));
    assert_eq!(
        (run.phase, history(&run).as_str()),
        (Phase::Successful, "SSSWWWSSSS")
    );
}

#[tokio::test]
async fn an_outage_of_the_oap_is_no_verdict() {
    let mut stage = Stage::playing(
        vec![
            Service::new("canary", Behaviour::Healthy),
            "*=outage@4m+3m".parse().expect("a script"),
        ],
        |_| {},
    )
    .await;
    let run = stage.run_for(SEED, 31).await;

    assert_eq!(run.phase, Phase::Successful);
    let history = history(&run);
    let errors = history.matches('E').count();
    assert!(
        history.starts_with("SE")
            && history.trim_start_matches("SE").trim_start_matches('E') == "SSSSS",
        "{history}"
    );
    assert_eq!(run.metrics[0].counts.consecutive_error, 0);

    let measurements: Vec<&Measurement> = run.metrics[0].measurements.iter().collect();
    for pair in measurements[1..=errors + 1].windows(2) {
        let (before, next) = (pair[0], pair[1]);
        assert_eq!(
            error_of(before),
            Some(ErrorClass::Unreachable),
            "{before:?}"
        );
        let finished = before.finished_at.expect("it is over");
        assert_eq!(since(finished, next.started_at), 10);
        // It was tried again for most of half a minute before it was given up.
        let tried = finished.duration_since(before.started_at).as_secs();
        assert!((20..=30).contains(&tried), "{tried} s");
    }
}

#[tokio::test]
async fn an_oap_that_stays_away_ends_a_run_as_an_error() {
    let mut stage = Stage::with("canary", Behaviour::Outage).await;
    let run = stage.run_to_end(SEED).await;
    assert_eq!((run.phase, history(&run).as_str()), (Phase::Error, "EEEEE"));
    assert!(
        run.message.starts_with("Metric \"apdex\" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4)"),
        "{}",
        run.message
    );
}

#[tokio::test]
async fn a_slow_oap_is_waited_for() {
    let mut stage = Stage::with("canary", Behaviour::Slow).await;
    let run = stage.run_for(SEED, 20).await;
    // The next measurement is due so long after the end of the last.
    assert_eq!(history(&run), "SSSS");
    assert_eq!(moments(&run), [0, 345, 690, 1_035]);
}

#[tokio::test]
async fn moments_that_were_slept_through_are_not_made_up_for() {
    let mut stage = Stage::with("canary", Behaviour::Healthy).await;
    let run = stage.run(SEED);
    let id = run.id.clone();
    stage.engine.start(&run).await.expect("a new run");
    stage.play_until(at(301)).await;
    assert_eq!(history(&stage.get(&id).await), "SS");

    stage.clock.advance(Duration::from_hours(1));
    assert_eq!(stage.tick().await, Some(at(300 + 3_600 + 300)));
    assert_eq!(moments(&stage.get(&id).await), [0, 300, 3_900]);
}
