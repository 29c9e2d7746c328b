//! What somebody outside wants of a run that somebody else works on.

use skygate::domain::run::{Command, RunId};
use skygate::ports::{Leased, Next, StoreError};

use super::{Shelf, new_run, on_every_store};
use crate::harness::at;

on_every_store!(
    a_command_makes_a_run_due,
    a_command_goes_with_the_save_of_whoever_was_given_it,
    a_command_is_collected_once,
    a_command_that_nobody_took_in_makes_the_run_due_again,
    a_command_that_its_holder_lost_is_given_to_the_next,
    a_command_for_nobody_is_refused,
    a_run_that_is_over_takes_commands_in_too,
);

const TERMINATE: Command = Command::Terminate;

fn id() -> RunId {
    RunId("a".to_owned())
}

fn not_before(seconds: u64) -> Command {
    Command::NotBefore(at(seconds))
}

async fn post(shelf: &Shelf, command: Command) {
    shelf
        .runs()
        .post(&id(), command)
        .await
        .expect("a known run");
}

async fn save(shelf: &Shelf, leased: &Leased, next: Next) {
    let saved = shelf.runs().save(leased.lease, &leased.run, next).await;
    assert_eq!(saved, Ok(()));
}

/// A run that is due in a thousand seconds.
async fn shelf_with_a_run(shelf: &mut Shelf) {
    shelf.insert(&new_run("a", 1_000)).await;
    shelf.step();
}

async fn a_command_makes_a_run_due(mut shelf: Shelf) {
    shelf_with_a_run(&mut shelf).await;
    assert_eq!(shelf.lease(0).await.len(), 0);
    let commands = [
        not_before(3),
        Command::NoTrafficBefore(at(4)),
        Command::Conclude,
        TERMINATE,
    ];
    for command in commands {
        post(&shelf, command).await;
    }
    shelf.step();
    assert_eq!(shelf.next_due().await, Some(0));
    let leased = shelf.lease_one(0).await;
    assert_eq!(leased.inbox, commands);
}

async fn a_command_goes_with_the_save_of_whoever_was_given_it(mut shelf: Shelf) {
    shelf_with_a_run(&mut shelf).await;
    post(&shelf, TERMINATE).await;
    let leased = shelf.lease_one(0).await;
    save(&shelf, &leased, Next::Hold).await;
    shelf.step();
    let leased = if shelf.next_due().await == Some(60) {
        leased
    } else {
        // Whoever held it is gone.
        assert_eq!(shelf.lease(0).await.len(), 0, "there is nothing to do");
        shelf.lease_one(1_000).await
    };
    assert_eq!(shelf.runs().collect(leased.lease, &id()).await, Ok(vec![]));
    save(&shelf, &leased, Next::Release).await;
    shelf.step();
    assert_eq!(shelf.next_due().await, Some(1_000));
    assert_eq!(shelf.lease_one(1_000).await.inbox, []);
}

async fn a_command_is_collected_once(mut shelf: Shelf) {
    shelf_with_a_run(&mut shelf).await;
    post(&shelf, not_before(1)).await;
    let leased = shelf.lease_one(0).await;
    post(&shelf, not_before(2)).await;
    post(&shelf, TERMINATE).await;
    let collect = || shelf.runs().collect(leased.lease, &leased.run.id);
    assert_eq!(collect().await, Ok(vec![not_before(2), TERMINATE]));
    assert_eq!(collect().await, Ok(vec![]));
    post(&shelf, not_before(3)).await;
    assert_eq!(collect().await, Ok(vec![not_before(3)]));
    save(&shelf, &leased, Next::Release).await;
    shelf.step();
    assert_eq!(shelf.next_due().await, Some(1_000));
}

async fn a_command_that_nobody_took_in_makes_the_run_due_again(mut shelf: Shelf) {
    shelf_with_a_run(&mut shelf).await;
    post(&shelf, not_before(1)).await;
    let leased = shelf.lease_one(0).await;
    post(&shelf, TERMINATE).await;
    save(&shelf, &leased, Next::Release).await;
    shelf.step();
    assert_eq!(shelf.next_due().await, Some(0));
    let leased = shelf.lease_one(0).await;
    assert_eq!(leased.inbox, [TERMINATE]);

    // The same with one that came after its holder had saved.
    save(&shelf, &leased, Next::Hold).await;
    post(&shelf, not_before(9)).await;
    save(&shelf, &leased, Next::Release).await;
    shelf.step();
    assert_eq!(shelf.lease_one(0).await.inbox, [not_before(9)]);
}

async fn a_command_that_its_holder_lost_is_given_to_the_next(mut shelf: Shelf) {
    shelf_with_a_run(&mut shelf).await;
    post(&shelf, not_before(1)).await;
    let lost = shelf.lease_one(0).await;
    post(&shelf, TERMINATE).await;
    let collected = shelf.runs().collect(lost.lease, &id()).await;
    assert_eq!(collected, Ok(vec![TERMINATE]));
    shelf.step();
    let leased = shelf.lease_one(60).await;
    assert_eq!(leased.inbox, [not_before(1), TERMINATE]);
    let refused = shelf
        .runs()
        .save(lost.lease, &lost.run, Next::Release)
        .await;
    assert_eq!(refused, Err(StoreError::LeaseLost(id())));
    save(&shelf, &leased, Next::Release).await;
    assert_eq!(shelf.next_due().await, Some(1_000));
}

async fn a_command_for_nobody_is_refused(shelf: Shelf) {
    let posted = shelf.runs().post(&id(), TERMINATE).await;
    assert_eq!(posted, Err(StoreError::NotFound(id())));
    assert_eq!(shelf.next_due().await, None);
}

async fn a_run_that_is_over_takes_commands_in_too(mut shelf: Shelf) {
    let mut run = new_run("a", 0);
    run.phase = skygate::domain::measurement::Phase::Failed;
    run.completed_at = Some(at(5));
    shelf.insert(&run).await;
    post(&shelf, TERMINATE).await;
    shelf.step();
    let leased = shelf.lease_one(10).await;
    assert_eq!(leased.inbox, [TERMINATE]);
    save(&shelf, &leased, Next::Release).await;
    shelf.step();
    assert_eq!(shelf.next_due().await, None);
}
