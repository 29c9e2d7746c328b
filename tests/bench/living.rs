//! Many live runs over a store: how fast they are moved, how late they are, and what they take.
//!
//! Every row is a process of its own, so that its memory is its own too. The source answers at once, so what is seen is engine and store.
//! Beside it, in the same process: the same engine over a store in memory, and the bare writes, which are two updates and an insert of
//! the same sizes for every measurement, in transactions of the size that the engine's workers make.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and bytes are far below what a double holds"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use rusqlite::{Connection, params};
use rustix::time::{ClockId, clock_gettime};
use skygate::clock::SystemClock;
use skygate::domain::analysis::Analysis;
use skygate::domain::plan::{Overrides, Plan, SourcePlan};
use skygate::domain::reading::Reading;
use skygate::domain::run::{Run, RunId};
use skygate::engine::Engine;
use skygate::ports::{Clock, MetricSource, Moment, RunQuery, Store};
use skygate::store::{MemoryStore, Planner, SqliteStore};
use tokio::sync::oneshot;

use super::fixtures::{Asked, TEMPLATE, assemble, plan, read};

/// What makes this program measure one row and print it.
pub(super) const ONE: &str = "living-one";

/// How long paced runs live, and how often each is measured then.
const LIFE: Duration = Duration::from_secs(45);
const PACE: Duration = Duration::from_secs(10);

/// As many as the engine works on at a time.
const AT_A_TIME: usize = 256;

/// How many runs, and whether each has a plan of its own.
const ROWS: [(usize, bool); 5] = [
    (1_000, false),
    (10_000, false),
    (10_000, true),
    (100_000, false),
    (100_000, true),
];

/// Measures and prints the tables.
#[expect(clippy::print_stdout, reason = "this is what it is for")]
pub(super) fn print() {
    println!("\nliving: runs that are all due, each measured once; a second");
    for (runs, own) in ROWS {
        println!("{}", in_a_process("drain", runs, own));
    }
    println!(
        "\nliving: runs every {} s, for {} s",
        PACE.as_secs(),
        LIFE.as_secs()
    );
    for (runs, own) in ROWS {
        println!("{}", in_a_process("pace", runs, own));
    }
}

fn in_a_process(what: &str, runs: usize, own: bool) -> String {
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(program)
        .args([ONE, what, &runs.to_string(), &own.to_string()])
        .output()
        .expect("it starts again");
    let text = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    if output.status.success() {
        text
    } else {
        format!("{text}\n{}", String::from_utf8_lossy(&output.stderr))
    }
}

/// Measures one row, as the arguments after [`ONE`] say.
#[expect(clippy::print_stdout, reason = "the other process reads it")]
pub(super) fn measure_one(mut arguments: impl Iterator<Item = String>) {
    let what = arguments.next().expect("what to do");
    let runs: usize = arguments
        .next()
        .and_then(|it| it.parse().ok())
        .expect("how many");
    let own = arguments.next().is_some_and(|it| it == "true");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let line = runtime.block_on(async {
        match what.as_str() {
            "drain" => drain(runs, own).await,
            _ => pace(runs, own).await,
        }
    });
    let plans = if own { "own plans" } else { "one plan" };
    println!("{runs:>7} runs, {plans:<9}  {line}");
}

/// Answers at once, always the same.
#[derive(Debug)]
struct Immediate {
    reading: Reading,
    asked: AtomicU64,
}

impl Immediate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            reading: Asked::about(3).reading(),
            asked: AtomicU64::new(0),
        })
    }
}

#[async_trait]
impl MetricSource for Immediate {
    async fn read(&self, _source: &SourcePlan, _moment: Moment) -> Reading {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.reading.clone()
    }
}

pub(super) fn planner() -> Arc<Planner> {
    Arc::new(|analysis: &Analysis| {
        Plan::make_again(analysis, &Overrides::default(), &|_, _, _| {
            Err("there are none".to_owned())
        })
    })
}

/// The example, measured so often, about the n-th service where each is about one of its own.
fn plan_every(interval: Duration, n: Option<usize>) -> Arc<Plan> {
    let seconds = interval.as_secs();
    let mut text = TEMPLATE.replace("interval: 5m", &format!("interval: {seconds}s"));
    if let Some(n) = n {
        text = text.replace("- name: apdex", &format!("- name: apdex-{n}"));
    }
    let plan = plan(&assemble(read(&text)), None);
    assert_eq!(plan.metrics[0].interval, Some(interval));
    Arc::new(plan)
}

/// New runs, due from `due` on, spread over `spread`.
pub(super) fn new_runs(count: usize, own: bool, every: Duration, spread: Duration) -> Vec<Run> {
    let shared = plan_every(every, None);
    let now = SystemClock.now();
    (0..count)
        .map(|n| {
            let plan = if own {
                plan_every(every, Some(n))
            } else {
                Arc::clone(&shared)
            };
            let later =
                spread * u32::try_from(n).expect("fewer") / u32::try_from(count).expect("fewer");
            let created_at = now.checked_add(later).expect("a moment");
            let id = RunId(format!("7d3c1f0e-5a3b-4c1d-9e2f-{n:012}"));
            Run::new(id, "bookinfo", format!("apdex-{n}"), plan, created_at)
        })
        .collect()
}

pub(super) async fn insert(store: &dyn Store, runs: &[Run]) {
    for some in runs.chunks(AT_A_TIME) {
        let inserts = some.iter().map(|run| store.insert(run, None));
        for inserted in futures_util::future::join_all(inserts).await {
            inserted.expect("a working store");
        }
    }
}

/// Runs an engine until nothing is due any more.
async fn work(store: &Arc<dyn Store>) -> Duration {
    let begun = now();
    let engine = Engine::new(Arc::new(SystemClock), Arc::clone(store), Immediate::new());
    let (stop, stopped) = oneshot::channel::<()>();
    let looping = engine.run(async { drop(stopped.await) });
    let watching = async {
        loop {
            let due = store.next_due().await.expect("a working store");
            let soon = SystemClock
                .now()
                .checked_add(Duration::from_mins(30))
                .expect("a moment");
            if due.is_none_or(|due| due > soon) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = since(begun);
        let _ = stop.send(());
        took
    };
    tokio::join!(looping, watching).1
}

async fn drain(count: usize, own: bool) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("skygate.db");
    let hourly = Duration::from_hours(1);
    let runs = new_runs(count, own, hourly, Duration::ZERO);

    let store: Arc<dyn Store> = Arc::<MemoryStore>::default();
    insert(store.as_ref(), &runs).await;
    let memory = work(&store).await;
    drop(store);

    let store = SqliteStore::open(&path, planner()).expect("a new file");
    let begun = now();
    insert(&store, &runs).await;
    let inserting = since(begun);
    drop(store);
    drop(runs);

    let begun = now();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, planner()).expect("the file"));
    let opening = since(begun);
    let sqlite = work(&store).await;
    let tally = store.tally().await.expect("a working store");
    assert_eq!(tally.get("Running"), Some(&(count as u64)), "{tally:?}");
    drop(store);
    let bare = bare_writes(&folder.path().join("bare.db"), count);

    let each = |took: Duration| count as f64 / took.as_secs_f64();
    format!(
        "SQLite {:>7.0}  memory {:>7.0}  bare writes {:>7.0}  | all done {:>6.2} s after {:>5.1} ms to open; inserted {:>7.0}; file {:>5.1} KiB a run",
        each(sqlite),
        each(memory),
        each(bare),
        sqlite.as_secs_f64(),
        opening.as_secs_f64() * 1e3,
        each(inserting),
        std::fs::metadata(&path).expect("the file").len() as f64 / 1024.0 / count as f64,
    )
}

/// The least that SQLite can be asked to do for the same: no agenda, no leases, no texts to make.
fn bare_writes(path: &Path, count: usize) -> Duration {
    let connection = Connection::open(path).expect("a new file");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE runs (seq INTEGER PRIMARY KEY, due INTEGER, state TEXT);
             CREATE INDEX due ON runs (due);
             CREATE TABLE measurements (run INTEGER, number INTEGER, body TEXT);
             CREATE UNIQUE INDEX number ON measurements (run, number);",
        )
        .expect("a schema");
    let (state, body) = ("s".repeat(400), "m".repeat(1_400));
    let count = i64::try_from(count).expect("fewer");
    let run = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let mut statement = connection.prepare_cached(sql).expect("SQL");
        statement.execute(parameters).expect("a working disk");
    };
    run("BEGIN", &[]);
    for n in 0..count {
        run("INSERT INTO runs VALUES (?1, ?2, ?3)", params![n, n, state]);
    }
    run("COMMIT", &[]);
    let begun = now();
    let runs: Vec<i64> = (0..count).collect();
    for some in runs.chunks(AT_A_TIME) {
        run("BEGIN", &[]);
        for n in some {
            run(
                "UPDATE runs SET state = ?2 WHERE seq = ?1",
                params![n, state],
            );
        }
        run("COMMIT", &[]);
        run("BEGIN", &[]);
        for n in some {
            run(
                "UPDATE runs SET state = ?2, due = ?3 WHERE seq = ?1",
                params![n, state, n + count],
            );
            run(
                "INSERT INTO measurements VALUES (?1, 1, ?2)",
                params![n, body],
            );
        }
        run("COMMIT", &[]);
    }
    since(begun)
}

async fn pace(count: usize, own: bool) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("skygate.db");
    let store = SqliteStore::open(&path, planner()).expect("a new file");
    insert(&store, &new_runs(count, own, PACE, PACE)).await;
    drop(store);

    let before = resident();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, planner()).expect("the file"));
    let source = Immediate::new();
    let engine = Engine::new(
        Arc::new(SystemClock),
        Arc::clone(&store),
        Arc::clone(&source) as Arc<dyn MetricSource>,
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let looping = engine.run(async { drop(stopped.await) });
    let mut memory = String::new();
    let watching = async {
        let cpu = cpu();
        let mut measured = source.asked.load(Ordering::Relaxed);
        for _ in 0..3 {
            tokio::time::sleep(LIFE / 3).await;
            let grown = resident().saturating_sub(before);
            let _ = write!(memory, " {:.2}", grown as f64 / 1024.0 / count as f64);
        }
        measured = source.asked.load(Ordering::Relaxed) - measured;
        let _ = stop.send(());
        (cpu_since(cpu) / LIFE.as_secs_f64(), measured)
    };
    let ((), (cpu, measured)) = tokio::join!(looping, watching);
    let late = lateness(store.as_ref()).await;
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    format!(
        "{:>6.0} measured a second of {:>6.0}  CPU {:>5.1}%  late p50 {:>6.1} ms, p99 {:>7.1} ms, most {:>7.1} ms  memory KiB a run{memory}",
        measured as f64 / LIFE.as_secs_f64(),
        count as f64 / PACE.as_secs_f64(),
        cpu * 100.0,
        at(0.5),
        at(0.99),
        at(1.0),
    )
}

/// How late each measurement was begun that is kept, in milliseconds, in order.
async fn lateness(store: &dyn Store) -> Vec<f64> {
    let mut query = RunQuery {
        limit: 1_000,
        ..RunQuery::default()
    };
    let mut late = Vec::new();
    loop {
        let runs = store.list(&query).await.expect("a working store");
        let Some(last) = runs.last() else { break };
        query.after = Some(skygate::ports::Cursor::of(last));
        for run in &runs {
            let mut due = run.created_at;
            for measurement in &run.metrics[0].measurements {
                if measurement.number == 1 {
                    late.push(measurement.started_at.duration_since(due).as_secs_f64() * 1e3);
                } else {
                    let by = measurement.started_at.duration_since(due);
                    late.push(by.max(SignedDuration::ZERO).as_secs_f64() * 1e3);
                }
                let finished = measurement.finished_at.expect("it is done");
                due = finished.checked_add(PACE).expect("a moment");
            }
        }
    }
    late.sort_by(f64::total_cmp);
    late
}

/// The memory that this process has in RAM, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = pages
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse().ok())
        .expect("a number");
    pages * 4096
}

pub(super) fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).expect("it counts from 0 on")
}

pub(super) fn since(begun: Duration) -> Duration {
    now().saturating_sub(begun)
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("it counts from 0 on")
}

fn cpu_since(before: Duration) -> f64 {
    cpu().saturating_sub(before).as_secs_f64()
}
