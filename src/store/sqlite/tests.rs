//! What can only be brought about from within: a file that may not grow, operations that share a transaction.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::analysis::Analysis;
use crate::domain::plan::{Overrides, Plan, Server};
use serde_json::json;

fn plan(analysis: &Analysis) -> Plan {
    let overrides = Overrides {
        server: Some(Server::Named("oap".to_owned())),
    };
    Plan::make(analysis, &overrides, &|_, _, _| Err("none".to_owned())).unwrap()
}

fn run(id: &str, query: &str) -> Run {
    let spec = json!({"metrics": [
        {"name": "m", "interval": "1m", "provider": {"skywalking": {"interval": "1m", "query": query}}}
    ]});
    let plan = plan(&Analysis::of_written("default", &spec));
    let created_at = Timestamp::from_second(1_000).unwrap();
    Run::new(
        RunId(id.to_owned()),
        "default",
        id,
        Arc::new(plan),
        created_at,
    )
}

fn store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = SqliteStore::open(&path, Arc::new(|analysis| Ok(plan(analysis)))).unwrap();
    (folder, store)
}

/// Lets the file have so many pages and no more.
async fn limit(store: &SqliteStore, pages: i64) {
    let limited = store.writer.ask(move |connection, _| {
        let limit = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        Ok(connection.pragma_update_and_check(None, "max_page_count", pages, limit)?)
    });
    limited.await.unwrap();
}

/// The writer busy until the answer is dropped, so that what comes meanwhile shares a transaction.
async fn hold_up(store: &SqliteStore) -> std::sync::mpsc::Sender<()> {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel::<()>();
    let held = store.writer.ask(move |_, _| {
        drop(began);
        let _ = released.recv_timeout(Duration::from_secs(10));
        Ok(())
    });
    // It goes on without anybody who waits for it.
    let mut held = Box::pin(held);
    let poll = std::future::poll_fn(|context| std::task::Poll::Ready(held.as_mut().poll(context)));
    assert!(poll.await.is_pending());
    let _ = begun.await;
    release
}

#[tokio::test]
async fn a_full_disk_is_told_and_outlived() {
    let (_folder, store) = store();
    let pages = store.writer.ask(|connection, _| {
        Ok(connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))?)
    });
    limit(&store, pages.await.unwrap() + 8).await;
    let query = format!("{{ a(b: \"{}\") }}", "x".repeat(2_000));
    let mut kept = Vec::new();
    let failure = loop {
        let id = format!("r{}", kept.len());
        // Each has a plan of its own.
        match store
            .insert(&run(&id, &query.replacen('x', &id, 1)), None)
            .await
        {
            Ok(_) => kept.push(id),
            Err(failure) => break failure,
        }
        assert!(kept.len() < 1_000, "the file never fills");
    };
    assert!(
        matches!(&failure, StoreError::Broken(why) if why.ends_with(": the disk is full: free some space")),
        "{failure}"
    );

    // It works as far as it can, and altogether once there is space.
    let next = format!("r{}", kept.len());
    assert!(store.get(&RunId(next.clone())).await.unwrap().is_none());
    let leased = store
        .lease_due(Timestamp::MAX, Timestamp::MAX, 99)
        .await
        .unwrap();
    assert_eq!(leased.len(), kept.len());
    limit(&store, 1_000_000).await;
    store.insert(&run(&next, &query), None).await.unwrap();
    for leased in leased {
        store
            .save(leased.lease, &leased.run, Next::Release)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn operations_of_one_transaction_fail_each_for_itself() {
    let (_folder, store) = store();
    let (a, b, c) = (run("a", "{ a }"), run("b", "{ b }"), run("c", "{ c }"));
    store.insert(&a, None).await.unwrap();
    let held = hold_up(&store).await;
    let unknown = RunId("unknown".to_owned());
    let key = RecordKey::new(RecordKind::Rollout, "n", "r");
    let refused = Change {
        key: key.clone(),
        expected: crate::ports::Expected::Version(7),
        to: crate::ports::To::Gone,
    };
    let accepted = Change {
        expected: crate::ports::Expected::Absent,
        to: crate::ports::To::Body(json!(1)),
        ..refused.clone()
    };
    let changes = [accepted.clone(), refused];
    let panicking = store.writer.ask(|connection, _| -> Result<(), StoreError> {
        connection.execute("DELETE FROM runs", [])?;
        panic!("as told");
    });
    let all = async {
        tokio::join!(
            store.insert(&b, None),
            store.insert(&a, None),
            store.post(&unknown, Command::Terminate),
            store.change(&changes, Timestamp::UNIX_EPOCH),
            panicking,
            store.insert(&c, None),
            store.post(&c.id, Command::Terminate),
            async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(held);
            },
        )
    };
    let (b, again, unknown_post, refused, panicked, c, post, ()) = all.await;
    assert_eq!((b, c, post), (Ok(Inserted::New), Ok(Inserted::New), Ok(())));
    assert_eq!(again, Err(StoreError::Exists(a.id.clone())));
    assert_eq!(unknown_post, Err(StoreError::NotFound(unknown)));
    assert_eq!(
        refused,
        Err(StoreError::Changed {
            key: key.clone(),
            found: 1
        })
    );
    assert!(matches!(panicked, Err(StoreError::Broken(_))));
    let tally: Tally = [("Pending", 3)].into();
    assert_eq!(store.tally().await, Ok(tally));
    assert_eq!(Records::read(&store, &key).await, Ok(None));
    let version = store.change(&[accepted], Timestamp::UNIX_EPOCH).await;
    assert_eq!(version, Ok(vec![1]), "what was undone left nothing behind");
    assert_eq!(store.next_due().await.unwrap(), Some(moment(desk::AT_ONCE)));
}

#[tokio::test]
async fn nobody_takes_a_run_over_while_it_is_being_saved() {
    let (_folder, store) = store();
    store.insert(&run("a", "{ a }"), None).await.unwrap();
    let at = |second| Timestamp::from_second(second).unwrap();
    let leased = store
        .lease_due(at(1_000), at(1_060), 9)
        .await
        .unwrap()
        .remove(0);
    let held = hold_up(&store).await;
    let mut begun = leased.run.clone();
    begun.message = "saved".to_owned();
    let saving = store.save(leased.lease, &begun, Next::Hold);
    let taking_over = async {
        // The lease is over, and what its holder saves is on its way.
        let taken = store.lease_due(at(1_060), at(1_120), 9).await.unwrap();
        assert_eq!(taken.len(), 0);
        drop(held);
    };
    assert_eq!(tokio::join!(saving, taking_over).0, Ok(()));
    let taken = store
        .lease_due(at(1_060), at(1_120), 9)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(taken.run.message, "saved");
    let lost = store.save(leased.lease, &begun, Next::Release).await;
    assert_eq!(lost, Err(StoreError::LeaseLost(begun.id)));
}

#[tokio::test]
async fn dropping_the_store_does_what_was_asked_of_it() {
    let (folder, store) = store();
    let held = hold_up(&store).await;
    let a = run("a", "{ a }");
    let mut inserting = Box::pin(store.insert(&a, None));
    let poll =
        std::future::poll_fn(|context| std::task::Poll::Ready(inserting.as_mut().poll(context)));
    assert!(poll.await.is_pending());
    drop(inserting);
    drop(held);
    drop(store);
    let path = folder.path().join("s.db");
    let store = SqliteStore::open(&path, Arc::new(|analysis| Ok(plan(analysis)))).unwrap();
    assert!(store.get(&a.id).await.unwrap().is_some());
}
