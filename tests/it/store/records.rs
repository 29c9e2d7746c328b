//! Records: whoever changes one says what it was.

use futures_util::future::join_all;
use serde_json::{Value, json};
use skygate::ports::{Change, Expected, Record, RecordKey, RecordKind, StoreError, To};

use super::{Shelf, on_every_store};
use crate::harness::at;

on_every_store!(
    a_record_is_found_as_it_was_written,
    a_change_is_made_only_of_what_was_expected,
    several_changes_are_made_or_none,
    what_stays_the_same_is_still_expected,
    changes_build_on_one_another,
    no_version_comes_twice,
    of_changes_at_the_same_time_one_wins,
    records_are_listed_in_order,
);

fn key(name: &str) -> RecordKey {
    RecordKey::new(RecordKind::Rollout, "space", name)
}

fn change(name: &str, expected: Expected, to: To) -> Change {
    Change {
        key: key(name),
        expected,
        to,
    }
}

async fn make(shelf: &Shelf, changes: &[Change]) -> Result<Vec<u64>, StoreError> {
    shelf.records().change(changes, at(7)).await
}

/// Writes one record, and says at which version it is then.
async fn put(
    shelf: &Shelf,
    name: &str,
    expected: Expected,
    body: Value,
) -> Result<u64, StoreError> {
    let versions = make(shelf, &[change(name, expected, To::Body(body))]).await?;
    assert_eq!(versions.len(), 1);
    Ok(versions[0])
}

async fn read(shelf: &Shelf, name: &str) -> Option<Record> {
    shelf
        .records()
        .read(&key(name))
        .await
        .expect("a working store")
}

fn changed(name: &str, found: u64) -> StoreError {
    StoreError::Changed {
        key: key(name),
        found,
    }
}

async fn a_record_is_found_as_it_was_written(mut shelf: Shelf) {
    let body = json!({"a": [1, -2.5, null, true, "ä\u{0}'"], "b": {}, "": u64::MAX});
    let version = put(&shelf, "r", Expected::Absent, body.clone())
        .await
        .expect("as it should be");
    assert!(version > 0);
    shelf.step();
    let expected = Record {
        key: key("r"),
        version,
        changed_at: at(7),
        body,
    };
    assert_eq!(read(&shelf, "r").await, Some(expected));
    for other in [
        RecordKey::new(RecordKind::Template, "space", "r"),
        RecordKey::new(RecordKind::Rollout, "", "r"),
        RecordKey::new(RecordKind::Rollout, "space", "R"),
    ] {
        assert_eq!(shelf.records().read(&other).await, Ok(None));
    }
}

async fn a_change_is_made_only_of_what_was_expected(mut shelf: Shelf) {
    let first = put(&shelf, "r", Expected::Absent, json!(1))
        .await
        .expect("as it should be");
    shelf.step();
    let refused = put(&shelf, "r", Expected::Absent, json!(2)).await;
    assert_eq!(refused, Err(changed("r", first)));
    let refused = put(&shelf, "r", Expected::Version(first + 1), json!(2)).await;
    assert_eq!(refused, Err(changed("r", first)));
    let second = put(&shelf, "r", Expected::Version(first), json!(2)).await;
    let second = second.expect("as it should be");
    let third = put(&shelf, "r", Expected::Anything, json!(3))
        .await
        .expect("as it should be");
    assert!(first < second && second < third);
    shelf.step();
    assert_eq!(
        read(&shelf, "r").await.expect("as it should be").body,
        json!(3)
    );

    let removal = |expected| change("r", expected, To::Gone);
    let refused = make(&shelf, &[removal(Expected::Version(second))]).await;
    assert_eq!(refused, Err(changed("r", third)));
    let removed = make(&shelf, &[removal(Expected::Version(third))]).await;
    assert_eq!(removed, Ok(vec![0]));
    shelf.step();
    assert_eq!(read(&shelf, "r").await, None);
    let again = make(&shelf, &[removal(Expected::Anything)]).await;
    assert_eq!(again, Ok(vec![0]));
    let refused = make(&shelf, &[removal(Expected::Version(third))]).await;
    assert_eq!(refused, Err(changed("r", 0)));
}

async fn several_changes_are_made_or_none(mut shelf: Shelf) {
    let a = put(&shelf, "a", Expected::Absent, json!("a"))
        .await
        .expect("as it should be");
    let refused = make(
        &shelf,
        &[
            change("a", Expected::Version(a), To::Body(json!("changed"))),
            change("b", Expected::Absent, To::Body(json!("b"))),
            change("a", Expected::Anything, To::Gone),
            change("c", Expected::Version(1_000), To::Body(json!("c"))),
        ],
    )
    .await;
    assert_eq!(refused, Err(changed("c", 0)));
    shelf.step();
    assert_eq!(read(&shelf, "a").await.expect("as it should be").version, a);
    assert_eq!(
        read(&shelf, "a").await.expect("as it should be").body,
        json!("a")
    );
    assert_eq!(read(&shelf, "b").await, None);
    assert_eq!(make(&shelf, &[]).await, Ok(vec![]));
}

async fn what_stays_the_same_is_still_expected(mut shelf: Shelf) {
    let a = put(&shelf, "a", Expected::Absent, json!("a"))
        .await
        .expect("as it should be");
    shelf.step();
    let beside = |a: Expected, none: Expected| {
        [
            change("a", a, To::Same),
            change("none", none, To::Same),
            change("b", Expected::Anything, To::Body(json!("b"))),
        ]
    };
    let refused = make(&shelf, &beside(Expected::Version(a + 1), Expected::Absent)).await;
    assert_eq!(refused, Err(changed("a", a)));
    let refused = make(&shelf, &beside(Expected::Version(a), Expected::Version(a))).await;
    assert_eq!(refused, Err(changed("none", 0)));
    assert_eq!(read(&shelf, "b").await, None);

    let before = read(&shelf, "a").await;
    let made = make(&shelf, &beside(Expected::Version(a), Expected::Absent)).await;
    let b = read(&shelf, "b").await.expect("as it should be").version;
    assert_eq!(made, Ok(vec![a, 0, b]));
    shelf.step();
    assert_eq!(read(&shelf, "a").await, before);
    assert_eq!(read(&shelf, "none").await, None);
}

async fn changes_build_on_one_another(mut shelf: Shelf) {
    let a = put(&shelf, "a", Expected::Absent, json!(0))
        .await
        .expect("as it should be");
    let versions = make(
        &shelf,
        &[
            change("a", Expected::Version(a), To::Gone),
            change("a", Expected::Absent, To::Body(json!(1))),
            change("b", Expected::Absent, To::Body(json!(2))),
        ],
    )
    .await
    .expect("as it should be");
    shelf.step();
    assert_eq!(versions[0], 0);
    assert!(versions[1] > a && versions[2] > versions[1]);
    assert_eq!(
        read(&shelf, "a").await.expect("as it should be").version,
        versions[1]
    );
    assert_eq!(
        read(&shelf, "b").await.expect("as it should be").version,
        versions[2]
    );
}

async fn no_version_comes_twice(mut shelf: Shelf) {
    let mut last = 0;
    for round in 0..6 {
        let version = put(&shelf, "r", Expected::Anything, json!(round)).await;
        let version = version.expect("as it should be");
        assert!(version > last);
        last = version;
        if round % 2 == 0 {
            let removal = change("r", Expected::Anything, To::Gone);
            make(&shelf, &[removal]).await.expect("as it should be");
        }
        shelf.step();
    }
}

async fn of_changes_at_the_same_time_one_wins(shelf: Shelf) {
    let first = put(&shelf, "r", Expected::Absent, json!(0))
        .await
        .expect("as it should be");
    let puts = (0..32).map(|n| put(&shelf, "r", Expected::Version(first), json!(n)));
    let done = join_all(puts).await;
    let won: Vec<&u64> = done.iter().flatten().collect();
    let [won] = won[..] else {
        panic!("{done:?}");
    };
    let lost = done.iter().filter_map(|it| it.as_ref().err());
    assert!(lost.clone().all(|it| *it == changed("r", *won)));
    assert_eq!(lost.count(), 31);
}

async fn records_are_listed_in_order(mut shelf: Shelf) {
    for (kind, namespace, name) in [
        (RecordKind::Template, "b", "a"),
        (RecordKind::Template, "a", "z"),
        (RecordKind::Template, "a", "b"),
        (RecordKind::Template, "a", "ä"),
        (RecordKind::ClusterTemplate, "", "c"),
        (RecordKind::Template, "ab", "a"),
    ] {
        let change = Change {
            key: RecordKey::new(kind, namespace, name),
            expected: Expected::Absent,
            to: To::Body(json!({})),
        };
        make(&shelf, &[change]).await.expect("as it should be");
    }
    shelf.step();
    let list = async |namespace, after, limit| {
        let found = shelf
            .records()
            .records(RecordKind::Template, namespace, after, limit)
            .await;
        let found = found.expect("a working store");
        let names = found
            .iter()
            .map(|it| format!("{}/{}", it.key.namespace, it.key.name));
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(None, None, 9).await, "a/b a/z a/ä ab/a b/a");
    assert_eq!(list(Some("a"), None, 9).await, "a/b a/z a/ä");
    assert_eq!(list(None, Some(("a", "z")), 2).await, "a/ä ab/a");
    assert_eq!(list(Some("a"), Some(("a", "b")), 1).await, "a/z");
    assert_eq!(list(None, Some(("b", "a")), 9).await, "");
    assert_eq!(list(Some("c"), None, 9).await, "");
    assert_eq!(list(None, None, 0).await, "");
}
