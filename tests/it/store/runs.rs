//! Runs that are kept and found again.

use std::time::Duration;

use futures_util::future::join_all;
use skygate::domain::run::{Event, step};
use skygate::ports::{Next, StoreError};

use super::{Shelf, assert_same, new_run, on_every_store};
use crate::harness::{at, fake_plan, measured, metric, run_of, start};

on_every_store!(
    a_run_is_found_as_it_was_given,
    a_run_is_kept_once,
    a_run_is_found_as_it_was_last_saved,
    only_what_the_plan_keeps_is_kept,
    a_run_that_has_come_far_is_kept_like_a_new_one,
    of_many_asked_for_at_once_each_gets_its_own_answer,
);

async fn a_run_is_found_as_it_was_given(mut shelf: Shelf) {
    let mut run = new_run("a", 0);
    "näme \u{0}'\";--".clone_into(&mut run.name);
    "space".clone_into(&mut run.namespace);
    run.labels = [("b", "2"), ("a", ""), ("ä", "'")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    run.templates = ["z", "clustertemplates/a", "z"].map(str::to_owned).into();
    run.not_before = Some(at(5));
    run.conclude_after = Some(Duration::from_millis(1_500));
    run.created_at = super::nanoseconds(123_456_789);
    shelf.insert(&run).await;
    shelf.step();
    assert_same(&shelf.get("a").await.expect("it is kept"), &run);
    assert!(shelf.get("b").await.is_none());
    assert!(shelf.get("A").await.is_none());
}

async fn a_run_is_kept_once(mut shelf: Shelf) {
    let run = new_run("a", 0);
    shelf.insert(&run).await;
    shelf.step();
    let mut other = new_run("a", 5);
    "other".clone_into(&mut other.name);
    let inserted = shelf.runs().insert(&other, None).await;
    assert_eq!(inserted, Err(StoreError::Exists(run.id.clone())));
    shelf.step();
    assert_same(&shelf.get("a").await.expect("it is kept"), &run);
}

async fn a_run_is_found_as_it_was_last_saved(mut shelf: Shelf) {
    let plan = fake_plan(&[
        metric("a", "interval: 1m, failureLimit: 2"),
        metric("b", "interval: 90s, initialDelay: 10s"),
    ]);
    let mut run = run_of("a", &plan, start());
    run.labels.insert("team".to_owned(), "x".to_owned());
    shelf.insert(&run).await;
    for letter in "SFWSEIFFS".chars() {
        let due = run.next_due();
        let Some(now) = due else { break };
        let leased = shelf
            .runs()
            .lease_due(now, at(100_000), 10)
            .await
            .expect("as it should be");
        assert_eq!(leased.len(), 1);
        assert_same(&leased[0].run, &run);

        let effects;
        (run, effects) = step(run, Event::Due, now);
        let lease = leased[0].lease;
        shelf
            .runs()
            .save(lease, &run, Next::Hold)
            .await
            .expect("as it should be");
        assert_same(&shelf.get("a").await.expect("as it should be"), &run);
        for effect in effects {
            let event = measured(&run, effect, letter, now);
            (run, _) = step(run, event, now);
        }
        shelf
            .runs()
            .save(lease, &run, Next::Release)
            .await
            .expect("as it should be");
        shelf.step();
        assert_same(&shelf.get("a").await.expect("as it should be"), &run);
        assert_eq!(shelf.runs().next_due().await, Ok(run.next_due()));
    }
    assert!(run.phase.is_over(), "{run:?}");
    assert_eq!(shelf.lease(1_000_000).await.len(), 0);
}

async fn only_what_the_plan_keeps_is_kept(mut shelf: Shelf) {
    let plan = fake_plan(&[metric("a", "interval: 1m, failureLimit: 100")]);
    let mut run = run_of("a", &plan, start());
    shelf.insert(&run).await;
    for round in 0..25 {
        let now = run.next_due().expect("it goes on");
        let lease = shelf
            .runs()
            .lease_due(now, at(100_000), 10)
            .await
            .expect("as it should be")[0]
            .lease;
        let effects;
        (run, effects) = step(run, Event::Due, now);
        for effect in effects {
            let event = measured(&run, effect, if round % 3 == 0 { 'F' } else { 'S' }, now);
            (run, _) = step(run, event, now);
        }
        shelf
            .runs()
            .save(lease, &run, Next::Release)
            .await
            .expect("as it should be");
    }
    shelf.step();
    let found = shelf.get("a").await.expect("as it should be");
    assert_same(&found, &run);
    let numbers: Vec<u64> = found.metrics[0]
        .measurements
        .iter()
        .map(|it| it.number)
        .collect();
    assert_eq!(numbers, (16..=25).collect::<Vec<_>>());
}

async fn a_run_that_has_come_far_is_kept_like_a_new_one(mut shelf: Shelf) {
    let plan = fake_plan(&[metric("a", "interval: 1m, count: 3")]);
    let mut run = run_of("a", &plan, start());
    for _ in 0..3 {
        let now = run.next_due().expect("it goes on");
        let effects;
        (run, effects) = step(run, Event::Due, now);
        for effect in effects {
            let event = measured(&run, effect, 'S', now);
            (run, _) = step(run, event, now);
        }
    }
    assert!(run.phase.is_over());
    shelf.insert(&run).await;
    shelf.step();
    assert_same(&shelf.get("a").await.expect("as it should be"), &run);
    assert_eq!(shelf.next_due().await, None);
}

async fn of_many_asked_for_at_once_each_gets_its_own_answer(mut shelf: Shelf) {
    let runs: Vec<_> = (0..120)
        .map(|n| new_run(&format!("r{}", n % 40), n))
        .collect();
    let inserted = join_all(runs.iter().map(|run| shelf.runs().insert(run, None))).await;
    let kept = inserted.iter().filter(|it| it.is_ok()).count();
    assert_eq!(kept, 40);
    let refused = inserted.iter().zip(&runs).filter(|(it, _)| it.is_err());
    for (refused, run) in refused {
        assert_eq!(*refused, Err(StoreError::Exists(run.id.clone())));
    }
    shelf.step();
    for (inserted, run) in inserted.iter().zip(&runs) {
        if inserted.is_ok() {
            assert_same(&shelf.get(&run.id.0).await.expect("as it should be"), run);
        }
    }
}
