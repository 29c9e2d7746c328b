//! The service as a process: how long it takes from its start until it is ready, with an empty store and with many live runs in it,
//! and what memory it holds while it has nothing to do. Beside it the least that this program can be started for: `--version`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use skygate::ports::Store;
use skygate::store::SqliteStore;

use super::living::{insert, new_runs, now, planner, since};

const PROGRAM: &str = env!("CARGO_BIN_EXE_skygate");

/// How often each is started.
const STARTS: usize = 21;

/// How many runs there are to go on with; none of them is due for a while.
const RUNS: [usize; 2] = [10_000, 100_000];
const LATER: Duration = Duration::from_hours(2);

/// How long it is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(2);

/// Measures and prints the table.
#[expect(clippy::print_stdout, reason = "this is what it is for")]
pub(super) fn print() {
    println!("\nstarting: medians of {STARTS} starts, and the longest");
    let version = || {
        let begun = now();
        let ended = Command::new(PROGRAM).arg("--version").output();
        assert!(ended.expect("it starts").status.success());
        since(begun)
    };
    println!(
        "{:<32}{}",
        "--version",
        times((0..STARTS).map(|_| version()))
    );

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("empty.db");
    println!("{:<32}{}", "serve, no runs", served(&path));
    for runs in RUNS {
        let path = folder.path().join(format!("{runs}.db"));
        fill(&path, runs);
        println!(
            "{:<32}{}",
            format!("serve, {runs} live runs"),
            served(&path)
        );
    }
}

/// Starts the service on this store some times.
fn served(path: &Path) -> String {
    let mut memory = String::new();
    let starts = (0..STARTS).map(|n| {
        let begun = now();
        let service = Service::start(path);
        let took = since(begun);
        if n + 1 == STARTS {
            std::thread::sleep(REST);
            memory = service.memory();
        }
        took
    });
    let times = times(starts);
    format!("{times}; at rest {memory}")
}

fn times(taken: impl Iterator<Item = Duration>) -> String {
    let mut taken: Vec<f64> = taken.map(|it| it.as_secs_f64() * 1e3).collect();
    taken.sort_by(f64::total_cmp);
    let (median, longest) = (taken[taken.len() / 2], taken[taken.len() - 1]);
    format!("{median:>8.1} ms, {longest:>8.1} ms")
}

fn fill(path: &Path, runs: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let mut runs = new_runs(runs, false, Duration::from_secs(10), Duration::ZERO);
        for run in &mut runs {
            run.created_at = run.created_at.checked_add(LATER).expect("a moment");
        }
        let store = SqliteStore::open(path, planner()).expect("a new file");
        insert(&store, &runs).await;
        assert!(store.next_due().await.expect("a working store").is_some());
    });
}

/// The service that has said that it is ready; killed when it is dropped.
struct Service(Child);

impl Service {
    fn start(path: &Path) -> Self {
        let store = format!("sqlite:{}", path.display());
        let child = Command::new(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0", "--store", &store])
            .args(["--oap", "http://127.0.0.1:9"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut service = Self(child.expect("it starts"));
        let output = service.0.stdout.take().expect("it was piped");
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        assert!(read.is_ok() && line.starts_with("http://"), "{line}");
        service
    }

    /// What it has in RAM, and what of that is its own: the rest is the program's file.
    fn memory(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.expect("Linux");
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().next());
            let kibibytes: f64 = kibibytes.and_then(|it| it.parse().ok()).expect("a number");
            kibibytes / 1024.0
        };
        let (all, own) = (mebibytes("VmRSS:"), mebibytes("RssAnon:"));
        format!("{all:.1} MiB, {own:.1} MiB of it its own")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
