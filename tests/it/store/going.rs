//! Runs that go: somebody deletes them, or their time is over. And how many are left.

use std::collections::BTreeSet;

use skygate::domain::measurement::Phase;
use skygate::domain::plan::{Plan, Ttl};
use skygate::domain::run::{Run, RunId};
use skygate::ports::{RunQuery, Tally};

use super::{Shelf, ids, new_run, on_every_store};
use crate::harness::at;

on_every_store!(
    a_run_that_is_deleted_is_gone_at_once,
    runs_are_forgotten_when_they_ended_long_ago,
    runs_are_forgotten_by_their_own_strategy,
    no_more_are_forgotten_than_asked_for,
    every_phase_is_counted,
);

/// A run that ended so many seconds after the start.
fn ended(id: &str, seconds: u64, phase: Phase) -> Run {
    let mut run = new_run(id, 0);
    run.phase = phase;
    run.completed_at = Some(at(seconds));
    run
}

async fn forget(shelf: &Shelf, before: u64, now: u64, limit: usize) -> BTreeSet<String> {
    let forgotten = shelf.runs().forget(at(before), at(now), limit).await;
    let forgotten = forgotten.expect("a working store");
    let ids: BTreeSet<String> = forgotten.iter().map(|id| id.0.clone()).collect();
    assert_eq!(ids.len(), forgotten.len(), "each is told once");
    ids
}

async fn left(shelf: &Shelf) -> String {
    let runs = shelf
        .runs()
        .list(&RunQuery::default())
        .await
        .expect("as it should be");
    let mut left = ids(&runs);
    left.sort_unstable();
    left.join(" ")
}

async fn a_run_that_is_deleted_is_gone_at_once(mut shelf: Shelf) {
    for id in ["a", "b"] {
        let mut run = new_run(id, 0);
        run.labels.insert("l".to_owned(), "v".to_owned());
        shelf.insert(&run).await;
    }
    shelf.step();
    let a = RunId("a".to_owned());
    assert_eq!(shelf.runs().delete(&a).await, Ok(true));
    assert_eq!(shelf.runs().delete(&a).await, Ok(false));
    shelf.step();
    assert!(shelf.get("a").await.is_none());
    assert_eq!(left(&shelf).await, "b");
    assert_eq!(shelf.lease_one(0).await.run.id.0, "b");
}

async fn runs_are_forgotten_when_they_ended_long_ago(mut shelf: Shelf) {
    shelf.insert(&new_run("live", 0)).await;
    shelf.insert(&ended("old", 10, Phase::Failed)).await;
    shelf.insert(&ended("older", 5, Phase::Successful)).await;
    shelf.insert(&ended("new", 20, Phase::Error)).await;
    shelf.step();
    assert_eq!(forget(&shelf, 5, 100, 9).await, [].into());
    let gone = forget(&shelf, 20, 100, 9).await;
    assert_eq!(gone, ["old", "older"].map(str::to_owned).into());
    shelf.step();
    assert_eq!(left(&shelf).await, "live new");
}

async fn runs_are_forgotten_by_their_own_strategy(mut shelf: Shelf) {
    let with = |id: &str, phase, ttl: Ttl| {
        let mut run = ended(id, 100, phase);
        // As the manifest would have it, which is what is stored.
        let spec = {
            let mut spec = run.plan.analysis.written();
            let seconds = |after: Option<std::time::Duration>| after.map(|after| after.as_secs());
            spec["ttlStrategy"] = serde_json::json!({
                "secondsAfterCompletion": seconds(ttl.after_completion),
                "secondsAfterSuccess": seconds(ttl.after_success),
                "secondsAfterFailure": seconds(ttl.after_failure),
            });
            spec
        };
        let analysis = skygate::domain::analysis::Analysis::of_written("default", &spec);
        let plan = super::planner()(&analysis).expect("a plan");
        assert_eq!(plan.ttl, ttl);
        run.plan = std::sync::Arc::new(Plan { ..plan });
        run
    };
    let after = |seconds| Some(std::time::Duration::from_secs(seconds));
    let both = Ttl {
        after_completion: after(50),
        after_success: after(5),
        after_failure: None,
    };
    shelf.insert(&with("failed", Phase::Failed, both)).await;
    shelf.insert(&with("good", Phase::Successful, both)).await;
    let never = Ttl {
        after_failure: after(5),
        ..Ttl::default()
    };
    shelf.insert(&with("kept", Phase::Successful, never)).await;
    shelf.step();
    assert_eq!(forget(&shelf, 0, 105, 9).await, [].into());
    assert_eq!(forget(&shelf, 0, 106, 9).await, ["good".to_owned()].into());
    shelf.step();
    assert_eq!(forget(&shelf, 0, 150, 9).await, [].into());
    assert_eq!(
        forget(&shelf, 0, 151, 9).await,
        ["failed".to_owned()].into()
    );
    assert_eq!(left(&shelf).await, "kept");
    assert_eq!(
        forget(&shelf, 101, 9_999, 9).await,
        ["kept".to_owned()].into()
    );
}

async fn no_more_are_forgotten_than_asked_for(shelf: Shelf) {
    for n in 0..10 {
        shelf
            .insert(&ended(&format!("r{n}"), n, Phase::Failed))
            .await;
    }
    for expected in [4, 4, 2, 0] {
        assert_eq!(forget(&shelf, 1_000, 1_000, 4).await.len(), expected);
    }
}

async fn every_phase_is_counted(mut shelf: Shelf) {
    assert_eq!(shelf.runs().tally().await, Ok(Tally::new()));
    shelf.insert(&new_run("a", 0)).await;
    shelf.insert(&new_run("b", 0)).await;
    shelf.insert(&ended("c", 9, Phase::Inconclusive)).await;
    shelf.step();
    let tally: Tally = [("Inconclusive", 1), ("Pending", 2)].into();
    assert_eq!(shelf.runs().tally().await, Ok(tally));
}
