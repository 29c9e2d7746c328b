//! Who works on which run.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use skygate::domain::run::{Event, Run, RunId, step};
use skygate::ports::{Lease, Next, StoreError};

use super::{Shelf, assert_same, new_run, on_every_store};
use crate::harness::{at, live_once};

on_every_store!(
    the_longest_due_are_leased_first,
    what_is_leased_is_not_leased_again_until_its_lease_is_over,
    a_lease_that_is_over_and_that_nobody_has_taken_still_holds,
    a_newer_lease_has_a_higher_number,
    a_lease_that_is_renewed_lasts_longer,
    a_run_that_is_given_back_is_due_when_it_says_so,
    a_lease_that_was_given_back_is_no_lease,
    a_lease_on_a_run_that_is_gone_is_told_so,
    leases_at_the_same_time_are_of_different_runs,
    a_holder_that_was_never_told_holds_nothing,
    a_run_whose_holder_is_gone_is_as_it_was_last_saved,
);

/// `run` once it has begun.
fn begun(run: Run, seconds: u64) -> Run {
    step(run, Event::Due, at(seconds)).0
}

async fn the_longest_due_are_leased_first(mut shelf: Shelf) {
    for (id, due) in [("c", 30), ("a", 10), ("d", 40), ("b", 20)] {
        shelf.insert(&new_run(id, due)).await;
    }
    shelf.step();
    assert_eq!(shelf.next_due().await, Some(10));
    let leased = shelf
        .runs()
        .lease_due(at(30), at(60), 2)
        .await
        .expect("as it should be");
    let ids: BTreeSet<&str> = leased.iter().map(|it| it.run.id.0.as_str()).collect();
    assert_eq!(ids, ["a", "b"].into());
    assert_eq!(shelf.lease_one(30).await.run.id.0, "c");
    assert_eq!(shelf.lease(39).await.len(), 0);
    assert_eq!(shelf.next_due().await, Some(40));
    assert_eq!(
        shelf
            .runs()
            .lease_due(at(50), at(60), 0)
            .await
            .expect("as it should be")
            .len(),
        0
    );
}

async fn what_is_leased_is_not_leased_again_until_its_lease_is_over(mut shelf: Shelf) {
    shelf.insert(&new_run("a", 0)).await;
    shelf.step();
    let first = shelf.lease_one(5).await;
    assert_eq!(shelf.next_due().await, Some(65));
    assert_eq!(shelf.lease(64).await.len(), 0);

    let second = shelf.lease_one(65).await;
    let lost = StoreError::LeaseLost(first.run.id.clone());
    let (runs, id) = (shelf.runs(), &first.run.id);
    let run = begun(first.run.clone(), 5);
    for next in [Next::Hold, Next::Release] {
        assert_eq!(runs.save(first.lease, &run, next).await, Err(lost.clone()));
    }
    assert_eq!(
        runs.renew(first.lease, id, at(999)).await,
        Err(lost.clone())
    );
    assert_eq!(runs.collect(first.lease, id).await, Err(lost));
    assert_same(&shelf.get("a").await.expect("as it should be"), &first.run);
    runs.save(second.lease, &run, Next::Hold)
        .await
        .expect("as it should be");
    assert_same(&shelf.get("a").await.expect("as it should be"), &run);
}

async fn a_lease_that_is_over_and_that_nobody_has_taken_still_holds(shelf: Shelf) {
    shelf.insert(&new_run("a", 0)).await;
    let leased = shelf.lease_one(0).await;
    let run = begun(leased.run, 500);
    let saved = shelf.runs().save(leased.lease, &run, Next::Hold).await;
    assert_eq!(saved, Ok(()));
}

async fn a_newer_lease_has_a_higher_number(mut shelf: Shelf) {
    shelf.insert(&new_run("a", 0)).await;
    let mut last = Lease(0);
    for round in 0..5 {
        let leased = shelf.lease_one(1_000 * round).await;
        assert!(leased.lease > last, "{:?} after {last:?}", leased.lease);
        last = leased.lease;
        let run = begun(leased.run, 1_000 * round);
        if round % 2 == 0 {
            let given_back = Run {
                metrics: vec![skygate::domain::run::MetricRun {
                    due_at: Some(at(0)),
                    in_flight: None,
                    ..run.metrics[0].clone()
                }],
                ..run
            };
            let saved = shelf.runs().save(last, &given_back, Next::Release).await;
            saved.expect("as it should be");
        }
        shelf.step();
    }
}

async fn a_lease_that_is_renewed_lasts_longer(shelf: Shelf) {
    shelf.insert(&new_run("a", 0)).await;
    let leased = shelf.lease_one(0).await;
    let id = &leased.run.id;
    let renewed = shelf.runs().renew(leased.lease, id, at(500)).await;
    assert_eq!(renewed, Ok(()));
    assert_eq!(shelf.next_due().await, Some(500));
    assert_eq!(shelf.lease(499).await.len(), 0);
    assert_eq!(shelf.lease(500).await.len(), 1);
}

async fn a_run_that_is_given_back_is_due_when_it_says_so(mut shelf: Shelf) {
    shelf.insert(&new_run("a", 0)).await;
    let leased = shelf.lease_one(0).await;
    let mut run = begun(leased.run, 0);
    // As if its measurement had come back.
    run.metrics[0].in_flight = None;
    run.metrics[0].due_at = Some(at(77));
    let saved = shelf.runs().save(leased.lease, &run, Next::Release).await;
    assert_eq!(saved, Ok(()));
    shelf.step();
    assert_eq!(shelf.next_due().await, Some(77));
    assert_eq!(shelf.lease(76).await.len(), 0);

    let leased = shelf.lease_one(77).await;
    run.phase = skygate::domain::measurement::Phase::Successful;
    run.completed_at = Some(at(77));
    let saved = shelf.runs().save(leased.lease, &run, Next::Release).await;
    assert_eq!(saved, Ok(()));
    shelf.step();
    assert_eq!(shelf.next_due().await, None, "it is over");
}

async fn a_lease_that_was_given_back_is_no_lease(shelf: Shelf) {
    shelf.insert(&new_run("a", 0)).await;
    let leased = shelf.lease_one(0).await;
    let (run, lease) = (begun(leased.run, 0), leased.lease);
    shelf
        .runs()
        .save(lease, &run, Next::Release)
        .await
        .expect("as it should be");
    let lost = Err(StoreError::LeaseLost(run.id.clone()));
    assert_eq!(shelf.runs().save(lease, &run, Next::Hold).await, lost);
    assert_eq!(shelf.runs().renew(lease, &run.id, at(99)).await, lost);
}

async fn a_lease_on_a_run_that_is_gone_is_told_so(shelf: Shelf) {
    shelf.insert(&new_run("a", 0)).await;
    let leased = shelf.lease_one(0).await;
    let (id, lease) = (leased.run.id.clone(), leased.lease);
    assert_eq!(shelf.runs().delete(&id).await, Ok(true));
    let gone = StoreError::NotFound(id.clone());
    let run = begun(leased.run, 0);
    for next in [Next::Hold, Next::Release] {
        assert_eq!(
            shelf.runs().save(lease, &run, next).await,
            Err(gone.clone())
        );
    }
    assert_eq!(
        shelf.runs().renew(lease, &id, at(99)).await,
        Err(gone.clone())
    );
    assert_eq!(shelf.runs().collect(lease, &id).await, Err(gone));
    assert!(shelf.get("a").await.is_none());
    assert_eq!(shelf.next_due().await, None);

    // Another run of the same name is not its own.
    shelf.insert(&new_run("a", 7)).await;
    let lost = Err(StoreError::LeaseLost(id.clone()));
    assert_eq!(shelf.runs().save(lease, &run, Next::Release).await, lost);
    assert_same(
        &shelf.get("a").await.expect("as it should be"),
        &new_run("a", 7),
    );
    assert_eq!(shelf.next_due().await, Some(7));
}

async fn leases_at_the_same_time_are_of_different_runs(shelf: Shelf) {
    const RUNS: usize = 200;
    for n in 0..RUNS {
        shelf.insert(&new_run(&format!("r{n}"), 0)).await;
    }
    let leases = (0..16).map(|n| shelf.runs().lease_due(at(0), at(60), 7 + n));
    let leased: Vec<_> = join_all(leases)
        .await
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let ids: BTreeSet<RunId> = leased.iter().map(|it| it.run.id.clone()).collect();
    let numbers: BTreeSet<Lease> = leased.iter().map(|it| it.lease).collect();
    assert_eq!((ids.len(), numbers.len()), (RUNS, RUNS));
    assert_eq!(leased.len(), RUNS);
}

async fn a_holder_that_was_never_told_holds_nothing(shelf: Shelf) {
    const RUNS: usize = 100;
    for n in 0..RUNS {
        shelf.insert(&new_run(&format!("r{n}"), 0)).await;
    }
    // As far as the first wait, and no further.
    let mut leased = 0;
    for _ in 0..20 {
        let leasing = shelf.runs().lease_due(at(0), at(60), 3);
        if let Some(told) = live_once(leasing).await {
            leased += told.expect("as it should be").len();
        }
    }
    for _ in 0..1_000 {
        leased += shelf.lease(0).await.len();
        if leased == RUNS {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("only {leased} of {RUNS} can be leased");
}

async fn a_run_whose_holder_is_gone_is_as_it_was_last_saved(mut shelf: Shelf) {
    shelf.insert(&new_run("a", 0)).await;
    let leased = shelf.lease_one(0).await;
    let run = begun(leased.run, 0);
    shelf
        .runs()
        .save(leased.lease, &run, Next::Hold)
        .await
        .expect("as it should be");
    shelf.step();
    let taken_over = shelf.lease_one(60).await;
    assert_same(&taken_over.run, &run);
    assert_eq!(taken_over.run.outstanding().len(), 1);
}
