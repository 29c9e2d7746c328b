//! What every store has to do, whatever it keeps things in.
//!
//! A test of the contract is a function of a [`Shelf`], and [`on_every_store`] runs it on each of them. On the one that is closed and
//! opened anew with every [`Shelf::step`] whatever was answered has to be there afterwards; only leases may end with whoever held them.

mod bounds;
mod file;
mod form;
mod going;
mod inbox;
mod leases;
mod list;
mod plans;
mod records;
mod requests;
mod runs;

use std::sync::Arc;

use jiff::Timestamp;
use skygate::domain::plan::Plan;
use skygate::domain::run::{Run, RunId};
use skygate::ports::{Inserted, Leased, Records, Store};
use skygate::store::{Kept, MemoryStore};
use tempfile::TempDir;

pub(crate) use crate::harness::planner;
use crate::harness::{at, fake_plan, metric, run_of, start};

/// Runs these tests on every store.
macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::Shelf::memory()).await;
            })*
        }

        mod sqlite_in_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::Shelf::sqlite_in_memory()).await;
            })*
        }

        mod sqlite_in_a_file {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::Shelf::sqlite_in_a_file()).await;
            })*
        }

        mod sqlite_opened_anew {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::Shelf::sqlite_opened_anew()).await;
            })*
        }
    };
}
pub(crate) use on_every_store;

/// A store under test.
pub(crate) struct Shelf {
    kept: Option<Kept>,
    /// Where its file is.
    folder: Option<TempDir>,
    is_opened_anew: bool,
}

impl Shelf {
    pub(crate) fn memory() -> Self {
        let store = Arc::<MemoryStore>::default();
        Self {
            kept: Some(Kept {
                runs: Arc::clone(&store) as Arc<dyn Store>,
                records: store,
            }),
            folder: None,
            is_opened_anew: false,
        }
    }

    pub(crate) fn sqlite_in_memory() -> Self {
        Self {
            kept: Some(opened("sqlite::memory:")),
            folder: None,
            is_opened_anew: false,
        }
    }

    pub(crate) fn sqlite_in_a_file() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            kept: Some(opened(&url(&folder))),
            folder: Some(folder),
            is_opened_anew: false,
        }
    }

    pub(crate) fn sqlite_opened_anew() -> Self {
        Self {
            is_opened_anew: true,
            ..Self::sqlite_in_a_file()
        }
    }

    /// Closes the store and opens it again, where it is one that lasts.
    pub(crate) fn step(&mut self) {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.is_opened_anew) {
            self.kept = None;
            self.kept = Some(opened(&url(folder)));
        }
    }

    fn kept(&self) -> &Kept {
        self.kept.as_ref().expect("it is open")
    }

    pub(crate) fn runs(&self) -> &dyn Store {
        self.kept().runs.as_ref()
    }

    pub(crate) fn records(&self) -> &dyn Records {
        self.kept().records.as_ref()
    }

    /// Keeps a new run.
    pub(crate) async fn insert(&self, run: &Run) {
        let inserted = self.runs().insert(run, None).await;
        assert_eq!(inserted, Ok(Inserted::New));
    }

    pub(crate) async fn get(&self, id: &str) -> Option<Run> {
        let run = self.runs().get(&RunId(id.to_owned())).await;
        run.expect("a working store")
    }

    /// Leases everything that is due so many seconds after the start, for a minute.
    pub(crate) async fn lease(&self, seconds: u64) -> Vec<Leased> {
        let leased = self
            .runs()
            .lease_due(at(seconds), at(seconds + 60), usize::MAX)
            .await;
        leased.expect("a working store")
    }

    /// The same where exactly one run is due.
    pub(crate) async fn lease_one(&self, seconds: u64) -> Leased {
        let mut leased = self.lease(seconds).await;
        assert_eq!(leased.len(), 1, "{leased:?}");
        leased.remove(0)
    }

    /// When something is due next, in seconds since the start; 0: at once.
    pub(crate) async fn next_due(&self) -> Option<i64> {
        let due = self.runs().next_due().await.expect("a working store");
        due.map(|due| due.duration_since(start()).as_secs().max(0))
    }
}

fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("skygate.db").display())
}

fn opened(url: &str) -> Kept {
    skygate::store::open(url, planner()).unwrap_or_else(|error| panic!("{error}"))
}

/// A plan that is measured every minute.
pub(crate) fn minutely() -> Arc<Plan> {
    fake_plan(&[metric("a", "interval: 1m")])
}

/// A run that was created so many seconds after the start, and nothing has happened to.
pub(crate) fn new_run(id: &str, seconds: u64) -> Run {
    run_of(id, &minutely(), at(seconds))
}

/// Everything of a run, as text. Its plan may have been made again, and says where its parts were written.
pub(crate) fn everything(run: &Run) -> String {
    let plan = &run.plan;
    let planned = format!(
        "{:?} {:?} {:?} {:?} {}",
        plan.metrics,
        plan.ttl,
        plan.warnings,
        plan.unready,
        plan.analysis.written()
    );
    let rest = Run {
        plan: minutely(),
        ..run.clone()
    };
    format!("{rest:#?}\n{planned}")
}

pub(crate) fn assert_same(found: &Run, expected: &Run) {
    assert_eq!(everything(found), everything(expected));
}

pub(crate) fn ids(runs: &[Run]) -> Vec<&str> {
    runs.iter().map(|run| run.id.0.as_str()).collect()
}

pub(crate) fn nanoseconds(count: i64) -> Timestamp {
    start()
        .checked_add(jiff::SignedDuration::from_nanos(count))
        .expect("a moment")
}
