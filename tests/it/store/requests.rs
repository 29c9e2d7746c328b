//! Requests that their callers send twice.

use futures_util::future::join_all;
use skygate::domain::run::RunId;
use skygate::ports::{Inserted, RequestKey};

use super::{Shelf, new_run, on_every_store};

on_every_store!(
    a_request_makes_one_run,
    a_request_is_known_by_its_key_alone,
    a_request_goes_with_its_run,
    of_requests_at_the_same_time_one_wins,
);

fn request(key: &str, fingerprint: &str) -> RequestKey {
    RequestKey {
        key: key.to_owned(),
        fingerprint: fingerprint.to_owned(),
    }
}

async fn insert(shelf: &Shelf, id: &str, request: &RequestKey) -> Inserted {
    let inserted = shelf.runs().insert(&new_run(id, 0), Some(request)).await;
    inserted.expect("a working store")
}

/// The same without keeping anything.
async fn requested(shelf: &Shelf, request: &RequestKey) -> Option<Inserted> {
    let requested = shelf.runs().requested(request).await;
    requested.expect("a working store")
}

async fn a_request_makes_one_run(mut shelf: Shelf) {
    let request = request("k", "f");
    assert_eq!(requested(&shelf, &request).await, None);
    assert_eq!(insert(&shelf, "a", &request).await, Inserted::New);
    shelf.step();
    let before = Inserted::Before(RunId("a".to_owned()));
    assert_eq!(requested(&shelf, &request).await, Some(before.clone()));
    assert_eq!(insert(&shelf, "b", &request).await, before);
    assert_eq!(insert(&shelf, "a", &request).await, before);
    assert!(shelf.get("b").await.is_none());
    assert_eq!(shelf.lease(0).await.len(), 1);
}

async fn a_request_is_known_by_its_key_alone(mut shelf: Shelf) {
    assert_eq!(insert(&shelf, "a", &request("k", "f")).await, Inserted::New);
    shelf.step();
    let differs = insert(&shelf, "b", &request("k", "g")).await;
    assert_eq!(differs, Inserted::Differs);
    let differs = requested(&shelf, &request("k", "g")).await;
    assert_eq!(differs, Some(Inserted::Differs));
    assert!(shelf.get("b").await.is_none());
    assert_eq!(insert(&shelf, "b", &request("K", "f")).await, Inserted::New);
}

async fn a_request_goes_with_its_run(mut shelf: Shelf) {
    let request = request("k", "f");
    insert(&shelf, "a", &request).await;
    let deleted = shelf.runs().delete(&RunId("a".to_owned())).await;
    assert_eq!(deleted, Ok(true));
    shelf.step();
    assert_eq!(insert(&shelf, "b", &request).await, Inserted::New);
}

async fn of_requests_at_the_same_time_one_wins(shelf: Shelf) {
    let request = request("k", "f");
    let names: Vec<String> = (0..32).map(|n| format!("r{n}")).collect();
    let inserts = names.iter().map(|id| insert(&shelf, id, &request));
    let inserted = join_all(inserts).await;
    let winner = inserted.iter().position(|it| *it == Inserted::New);
    let winner = winner.expect("one of them is kept");
    for (n, inserted) in inserted.iter().enumerate() {
        if n != winner {
            let id = RunId(names[winner].clone());
            assert_eq!(*inserted, Inserted::Before(id));
        }
    }
    let kept: u64 = shelf
        .runs()
        .tally()
        .await
        .expect("as it should be")
        .values()
        .sum();
    assert_eq!(kept, 1);
}
