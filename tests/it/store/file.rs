//! What is particular to a store in a file: who may open it, what was in it before, what is wrong with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use skygate::domain::analysis::Analysis;
use skygate::domain::fault::Fault;
use skygate::domain::run::{Command, Event, Run, RunId, step};
use skygate::ports::{
    Change, Expected, Inserted, Next, Record, RecordKey, RecordKind, Records, RequestKey, RunQuery,
    Store, StoreError, To,
};
use skygate::store::{OpenError, Planner, SqliteStore};
use tempfile::TempDir;

use super::{assert_same, ids, new_run, planner};
use crate::harness::{at, fake_plan, measured, metric, run_of, start};

/// A folder, and a file in it that a store may be in.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("skygate.db");
    (folder, path)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, planner()).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(path: &Path) -> String {
    let refused = SqliteStore::open(path, planner()).expect_err("it is refused");
    let text = refused.to_string();
    text.replace(&path.display().to_string(), "PATH")
}

fn id(id: &str) -> RunId {
    RunId(id.to_owned())
}

async fn insert(store: &SqliteStore, run: &Run) {
    assert_eq!(store.insert(run, None).await, Ok(Inserted::New));
}

#[test]
fn one_process_opens_it_at_a_time() {
    let (folder, path) = place();
    let store = open(&path);
    let ours = std::process::id();
    let told = format!(
        "`PATH` is in use by another Skygate, process {ours}: give each a file of its own, or end that one"
    );
    assert_eq!(refusal(&path), told);

    // The same file by other names.
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).expect("as it should be");
    let refused = SqliteStore::open(&link, planner()).expect_err("it is refused");
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");

    drop(store);
    drop(open(&link));
    open(&path);
}

#[tokio::test]
async fn its_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, path) = place();
    let store = open(&path);
    insert(&store, &new_run("a", 0)).await;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.path()).expect("as it should be") {
        let entry = entry.expect("as it should be");
        let mode = entry
            .metadata()
            .expect("as it should be")
            .permissions()
            .mode()
            & 0o777;
        files.push((
            entry.file_name().into_string().expect("as it should be"),
            mode,
        ));
    }
    files.sort();
    let names = [
        "skygate.db",
        "skygate.db-lock",
        "skygate.db-shm",
        "skygate.db-wal",
    ];
    assert_eq!(files, names.map(|name| (name.to_owned(), 0o600)));

    // An owner who lets others read it has his reasons.
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("as it should be");
    open(&path);
    assert_eq!(
        fs::metadata(&path)
            .expect("as it should be")
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
}

#[test]
fn what_is_no_store_is_told_from_one() {
    let (folder, path) = place();
    let missing = folder.path().join("missing").join("skygate.db");
    assert_eq!(
        refusal(&missing),
        "cannot open `PATH`: its folder does not exist"
    );
    let text = refusal(folder.path());
    assert!(text.starts_with("cannot open `PATH`: "), "{text}");

    fs::write(
        &path,
        "this is a text, and long enough to be read as a header ".repeat(20),
    )
    .expect("as it should be");
    assert_eq!(
        refusal(&path),
        "cannot open `PATH`: it is damaged or no SQLite database (file is not a database): put a backup in its place, or move it away to start anew"
    );

    fs::remove_file(&path).expect("as it should be");
    let other = Connection::open(&path).expect("as it should be");
    other
        .execute_batch("CREATE TABLE songs (name)")
        .expect("as it should be");
    drop(other);
    assert_eq!(
        refusal(&path),
        "`PATH` is a database of another program: give another path"
    );
}

#[test]
fn a_file_of_a_later_version_is_refused_and_left_alone() {
    let (_folder, path) = place();
    drop(open(&path));
    let tampered = Connection::open(&path).expect("as it should be");
    tampered
        .pragma_update(None, "user_version", 99)
        .expect("as it should be");
    drop(tampered);
    let before = fs::read(&path).expect("as it should be");
    assert_eq!(
        refusal(&path),
        "`PATH` was written by a later version of Skygate: its schema is version 99, and this one knows none above 1; use that version, or another file"
    );
    assert!(fs::read(&path).expect("as it should be") == before);
}

#[test]
fn urls() {
    let (folder, path) = place();
    let url = format!("sqlite:{}", path.display());
    drop(skygate::store::open(&url, planner()).expect("as it should be"));
    let url = format!("sqlite://{}", path.display());
    drop(skygate::store::open(&url, planner()).expect("as it should be"));
    assert_eq!(
        fs::read_dir(folder.path())
            .expect("as it should be")
            .count(),
        2
    );
    for url in ["", "skygate.db", "sqlite:", "postgres://x"] {
        let refused = skygate::store::open(url, planner()).expect_err(url);
        assert_eq!(
            refused.to_string(),
            format!("expected `sqlite:PATH` or `sqlite::memory:`, found `{url}`")
        );
    }
}

#[tokio::test]
async fn what_was_answered_is_in_the_file_although_nobody_closed_it() {
    let (folder, path) = place();
    let store = open(&path);
    let run = new_run("a", 0);
    insert(&store, &run).await;
    let leased = store
        .lease_due(at(0), at(60), 9)
        .await
        .expect("as it should be")
        .remove(0);
    let begun = step(leased.run, Event::Due, at(0)).0;
    store
        .save(leased.lease, &begun, Next::Hold)
        .await
        .expect("as it should be");
    store
        .post(&run.id, Command::Terminate)
        .await
        .expect("as it should be");

    // What a process that is killed leaves behind.
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let file = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(file(&path), file(&copy)).expect("as it should be");
    }
    let found = open(&copy);
    let again = found
        .lease_due(at(0), at(60), 9)
        .await
        .expect("as it should be")
        .remove(0);
    assert_same(&again.run, &begun);
    assert_eq!(again.inbox, [Command::Terminate]);
    assert!(
        again.lease > leased.lease,
        "the lease of whoever was killed is over"
    );
}

/// A store with the runs `a`, `b` and `c`, and a way to spoil its file.
async fn spoiled(spoil: &str) -> (TempDir, SqliteStore) {
    let (folder, path) = place();
    let store = open(&path);
    for id in ["a", "b", "c"] {
        let mut run = new_run(id, 0);
        let now = run.created_at;
        let effects;
        (run, effects) = step(run, Event::Due, now);
        let event = measured(&run, effects[0], 'S', now);
        insert(&store, &step(run, event, now).0).await;
    }
    drop(store);
    let tampered = Connection::open(&path).expect("as it should be");
    tampered.execute_batch(spoil).expect("as it should be");
    drop(tampered);
    (folder, open(&path))
}

#[tokio::test]
async fn a_run_that_cannot_be_read_is_no_trouble_to_others() {
    let cases = [
        (
            "UPDATE runs SET form = 7 WHERE id = 'b'",
            "it is stored in form 7, and this version of Skygate knows none above 1: use the version that wrote it, or a later one",
        ),
        (
            "UPDATE runs SET state = 'x' WHERE id = 'b'",
            "it is not stored in the form that it should be: expected value at line 1 column 1",
        ),
        (
            "UPDATE runs SET state = replace(state, 'Running', 'Walking') WHERE id = 'b'",
            "it is not stored in the form that it should be: `Walking` is no phase",
        ),
        (
            "UPDATE runs SET state = replace(state, '\"taken\"', '\"given\"') WHERE id = 'b'",
            "it is not stored in the form that it should be: unknown field `given`, expected one of",
        ),
        (
            "DELETE FROM measurements WHERE run = (SELECT seq FROM runs WHERE id = 'b')",
            "its pieces do not fit together: metric 0 keeps 1 measurements, and 0 are there",
        ),
        (
            "UPDATE measurements SET metric = 3 WHERE run = (SELECT seq FROM runs WHERE id = 'b')",
            "its pieces do not fit together: there is a measurement of metric 3, and 1 metrics",
        ),
        (
            "UPDATE measurements SET measurement = '{}' WHERE run = (SELECT seq FROM runs WHERE id = 'b')",
            "it is not stored in the form that it should be: missing field `number`",
        ),
        (
            "UPDATE runs SET state = x'00ff' WHERE id = 'b'",
            "Invalid column type Blob at index: 5, name: state",
        ),
        (
            "INSERT INTO inbox (run, form, command) SELECT seq, 1, '\"dance\"' FROM runs WHERE id = 'b'",
            "",
        ),
    ];
    for (spoil, expected) in cases {
        let (_folder, store) = spoiled(spoil).await;
        let read = store.get(&id("b")).await;
        match read {
            Ok(Some(_)) => assert_eq!(expected, "", "only its inbox is spoiled"),
            Err(StoreError::Unreadable(what, why)) => {
                assert!(
                    what == "run `b`" || what.starts_with("run number"),
                    "{what}"
                );
                assert!(
                    !expected.is_empty() && why.contains(expected),
                    "{spoil}: {why}"
                );
            }
            other => panic!("{spoil}: {other:?}"),
        }
        let leased = store
            .lease_due(at(60), at(120), 9)
            .await
            .expect("as it should be");
        let leased: Vec<Run> = leased.into_iter().map(|it| it.run).collect();
        assert_eq!(ids(&leased), ["a", "c"], "{spoil}");
        // Nobody is told again and again that it is due.
        assert_eq!(store.next_due().await, Ok(Some(at(120))));
        let listed = store
            .list(&RunQuery::default())
            .await
            .expect("as it should be");
        let listed: Vec<&str> = ids(&listed).into_iter().filter(|id| *id != "b").collect();
        assert_eq!(listed, ["c", "a"]);
        assert_eq!(store.delete(&id("b")).await, Ok(true), "{spoil}");
        assert_eq!(
            store
                .get(&id("b"))
                .await
                .expect("as it should be")
                .map(drop),
            None
        );
    }
}

#[tokio::test]
async fn a_list_is_as_long_as_asked_for_whatever_cannot_be_read() {
    let (_folder, store) = spoiled("UPDATE runs SET form = 7 WHERE id = 'b'").await;
    let query = RunQuery {
        limit: 2,
        ..RunQuery::default()
    };
    assert_eq!(
        ids(&store.list(&query).await.expect("as it should be")),
        ["c", "a"]
    );
}

#[tokio::test]
async fn a_run_whose_spec_is_refused_by_now_is_told_so() {
    let (_folder, path) = place();
    insert(&open(&path), &new_run("a", 0)).await;
    let strict: Arc<Planner> =
        Arc::new(|_: &Analysis| Err(Fault::new("spec.metrics[0]", "is out of fashion").into()));
    let store = SqliteStore::open(&path, strict).expect("as it should be");
    let why = "its spec is refused by this version of Skygate: spec.metrics[0]: is out of fashion";
    let unreadable = StoreError::Unreadable("run `a`".to_owned(), why.to_owned());
    assert_eq!(store.get(&id("a")).await.map(drop), Err(unreadable));
    assert_eq!(
        store
            .lease_due(at(0), at(60), 9)
            .await
            .expect("as it should be")
            .len(),
        0
    );
}

#[tokio::test]
async fn a_planner_that_panics_costs_an_answer_and_no_more() {
    let (_folder, path) = place();
    insert(&open(&path), &new_run("a", 0)).await;
    let panicking: Arc<Planner> = Arc::new(|_: &Analysis| panic!("as told"));
    let store = SqliteStore::open(&path, panicking).expect("as it should be");
    for _ in 0..5 {
        let failed = store.get(&id("a")).await.map(drop);
        assert!(matches!(failed, Err(StoreError::Broken(_))), "{failed:?}");
    }
    assert_eq!(store.delete(&id("a")).await, Ok(true));
}

#[tokio::test]
async fn a_plan_goes_with_its_last_run() {
    let (_folder, path) = place();
    let plans = || {
        let file = Connection::open(&path).expect("as it should be");
        let count = "SELECT count(*) FROM plans";
        file.query_row(count, [], |row| row.get::<_, i64>(0))
            .expect("as it should be")
    };
    let store = open(&path);
    for id in ["a", "b"] {
        insert(&store, &new_run(id, 0)).await;
    }
    let other = fake_plan(&[metric("other", "count: 1")]);
    insert(&store, &run_of("c", &other, start())).await;
    assert_eq!(plans(), 2);
    for (gone, left) in [("a", 2), ("c", 1), ("b", 0)] {
        assert_eq!(store.delete(&id(gone)).await, Ok(true));
        assert_eq!(plans(), left);
    }
    insert(&store, &new_run("a", 0)).await;
    assert_same(
        &store
            .get(&id("a"))
            .await
            .expect("as it should be")
            .expect("as it should be"),
        &new_run("a", 0),
    );
}

#[tokio::test]
async fn a_program_that_holds_a_lock_is_waited_for_and_told_of() {
    let (_folder, path) = place();
    let store = open(&path);
    let other = Connection::open(&path).expect("as it should be");
    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("as it should be");
    let run = new_run("a", 0);
    let inserting = store.insert(&run, None);
    let waiting = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        other.execute_batch("ROLLBACK").expect("as it should be");
    };
    assert_eq!(tokio::join!(inserting, waiting).0, Ok(Inserted::New));

    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("as it should be");
    let told = store.delete(&run.id).await.expect_err("it stays locked");
    assert_eq!(
        told,
        StoreError::Broken(format!(
            "`{}`: another program has locked it: let nothing else write to it",
            path.display()
        ))
    );
    assert!(
        store.get(&run.id).await.expect("as it should be").is_some(),
        "it can be read"
    );
    other.execute_batch("ROLLBACK").expect("as it should be");
    assert_eq!(store.delete(&run.id).await, Ok(true));
}

/// What the store of the first version was told that wrote `tests/data/store/1.db`.
mod first {
    use super::*;

    pub(super) fn run() -> Run {
        let plan = fake_plan(&[
            metric("a", "interval: 1m, failureLimit: 3"),
            metric("b", "count: 1, initialDelay: 90s"),
        ]);
        let mut run = run_of("r", &plan, start());
        run.labels.insert("team".to_owned(), "mesh".to_owned());
        run.templates.push("apdex".to_owned());
        run.not_before = Some(at(5));
        run.conclude_after = Some(Duration::from_mins(30));
        for letter in "SFWE".chars() {
            let now = run.next_due().expect("it goes on");
            let effects;
            (run, effects) = step(run, Event::Due, now);
            for effect in effects {
                let event = measured(&run, effect, letter, now);
                (run, _) = step(run, event, now);
            }
        }
        run
    }

    pub(super) fn request() -> RequestKey {
        RequestKey {
            key: "key".to_owned(),
            fingerprint: "print".to_owned(),
        }
    }

    pub(super) fn record() -> Change {
        Change {
            key: RecordKey::new(RecordKind::Template, "default", "apdex"),
            expected: Expected::Absent,
            to: To::Body(json!({"kind": "AnalysisTemplate"})),
        }
    }

    /// Writes such a file. It is kept as the first version wrote it; this is how.
    pub(super) async fn write(path: &Path) {
        let store = open(path);
        let inserted = store.insert(&run(), Some(&request())).await;
        assert_eq!(inserted, Ok(Inserted::New));
        insert(&store, &new_run("new", 500)).await;
        let post = store.post(&id("new"), Command::NotBefore(at(7))).await;
        post.expect("a known run");
        store
            .change(&[record()], at(9))
            .await
            .expect("a new record");
    }

    pub(super) async fn check(path: &Path) {
        let store = open(path);
        assert_same(
            &store
                .get(&id("r"))
                .await
                .expect("as it should be")
                .expect("as it should be"),
            &run(),
        );
        let again = store.insert(&new_run("x", 0), Some(&request())).await;
        assert_eq!(again, Ok(Inserted::Before(id("r"))));
        let leased = store
            .lease_due(at(0), at(60), 9)
            .await
            .expect("as it should be");
        assert_eq!(leased.len(), 1);
        assert_eq!(leased[0].inbox, [Command::NotBefore(at(7))]);
        assert_same(&leased[0].run, &new_run("new", 500));
        let record = store.read(&record().key).await.expect("as it should be");
        let expected = Record {
            key: first::record().key,
            version: 1,
            changed_at: at(9),
            body: json!({"kind": "AnalysisTemplate"}),
        };
        assert_eq!(record, Some(expected));
    }
}

#[tokio::test]
async fn what_the_first_version_wrote_is_read() {
    let (_folder, path) = place();
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/store/1.db");
    fs::copy(kept, &path).expect("it is in the repository");
    first::check(&path).await;
    // What this version writes of the same says the same.
    let (_folder, path) = place();
    first::write(&path).await;
    first::check(&path).await;
}
