//! The lives of a service, one after another on the same store, and its callers, who outlive it.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::super::process::{Follow, Running, command};
use super::plot::{Dice, Plot};
use crate::harness::{Answer, client};

/// The longest that the last life may take, beyond what its runs need anyway.
const LIMIT: Duration = Duration::from_mins(10);

/// All that is known of a service that is killed again and again.
pub(super) struct Lives {
    folder: TempDir,
    oap: String,
    dice: Dice,
    client: reqwest::Client,
    waiting: VecDeque<Plot>,
    started: Vec<Started>,
    killed_early: usize,
    violations: Vec<String>,
}

/// A run that the service has acknowledged.
struct Started {
    plot: Plot,
    id: String,
    /// Whether its termination was acknowledged.
    is_terminated: bool,
    /// Its status as it was last answered.
    seen: Value,
}

/// What it came to.
pub(super) struct Told {
    /// Each run as it ended.
    pub(super) runs: Vec<(Plot, Value)>,
    /// How often it was killed before it said that it was ready.
    pub(super) killed_early: usize,
    pub(super) violations: Vec<String>,
}

impl Lives {
    pub(super) fn new(oap: &str, plots: Vec<Plot>, dice: Dice) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            oap: oap.to_owned(),
            dice,
            client: client(),
            waiting: plots.into(),
            started: Vec::new(),
            killed_early: 0,
            violations: Vec::new(),
        }
    }

    /// One life, and its end at some moment, which may come before it is ready.
    pub(super) async fn live_and_die(&mut self) {
        let mut process = self.begin();
        if self.dice.one_in(5) {
            self.killed_early += 1;
            let moment = self.dice.below(0..60) as u64;
            tokio::time::sleep(Duration::from_millis(moment)).await;
        } else {
            let url = process.line_with("http://");
            let life = Duration::from_millis(self.dice.below(20..900) as u64);
            let _ = tokio::time::timeout(life, self.be_busy(&url)).await;
        }
        process.kill();
        self.listen(process);
    }

    /// One last life, in which every run comes to its end.
    pub(super) async fn live_to_the_end(mut self) -> Told {
        let process = self.begin();
        let url = process.line_with("http://");
        let ending = async {
            while self.start_one(&url).await {}
            for index in 0..self.started.len() {
                self.terminate(&url, index).await;
            }
            let mut runs = Vec::new();
            for index in 0..self.started.len() {
                let run = self.await_end(&url, index).await;
                runs.push((self.started[index].plot.clone(), run));
            }
            self.count(&url).await;
            runs
        };
        let ended = tokio::time::timeout(LIMIT, ending).await;
        let runs = ended.expect("every run comes to its end");
        process.signal("TERM");
        let code = self.listen(process);
        assert_eq!(code, Some(0));
        Told {
            runs,
            killed_early: self.killed_early,
            violations: self.violations,
        }
    }

    fn begin(&self) -> Running {
        let store = format!("sqlite:{}", self.folder.path().join("skygate.db").display());
        let oap = format!("sim={}", self.oap);
        let args = ["serve", "--listen", "127.0.0.1:0", "--store", &store];
        let args = [&args[..], &["--oap", &oap, "--oap-concurrency", "64"]].concat();
        Running::start(command(&args), Follow::Stdout)
    }

    /// Hears what a process that has ended had to say: its code.
    fn listen(&mut self, process: Running) -> Option<i32> {
        let (code, stderr) = process.end();
        for word in ["panicked", "failed to save", "cannot be read"] {
            if stderr.contains(word) {
                self.violations.push(format!("it said: {stderr}"));
            }
        }
        code
    }

    /// Starts runs, looks at some, ends one now and then, for as long as it is let.
    async fn be_busy(&mut self, url: &str) {
        loop {
            self.start_one(url).await;
            if self.started.is_empty() {
                continue;
            }
            let index = self.dice.below(0..self.started.len());
            if self.dice.one_in(50) {
                self.terminate(url, index).await;
            } else {
                self.look(url, index, "").await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Starts the next run. It counts as started once that is answered; else the same is asked again, in the next life if need be.
    async fn start_one(&mut self, url: &str) -> bool {
        let Some(plot) = self.waiting.front() else {
            return false;
        };
        let request = self.client.post(format!("{url}/api/v1/runs"));
        let request = request.header("idempotency-key", plot.key());
        let answer = Answer::of(request.body(plot.body())).await;
        assert!(matches!(answer.status, 200 | 201), "{answer}");
        let plot = self.waiting.pop_front().expect("it was there");
        let run = answer.json();
        let id = run["metadata"]["uid"].as_str().expect("an id");
        self.started.push(Started {
            plot,
            id: id.to_owned(),
            is_terminated: false,
            seen: run["status"].clone(),
        });
        true
    }

    /// Ends a run that would not end by itself.
    async fn terminate(&mut self, url: &str, index: usize) {
        let started = &self.started[index];
        if started.is_terminated || !started.plot.is_endless() {
            return;
        }
        let path = format!("{url}/api/v1/runs/{}/terminate", started.id);
        let answer = Answer::of(self.client.request(Method::POST, path)).await;
        assert!(matches!(answer.status, 200 | 202), "{answer}");
        self.started[index].is_terminated = true;
    }

    /// Looks at a run: nothing that was answered before may have been taken back.
    async fn look(&mut self, url: &str, index: usize, parameters: &str) -> Value {
        let started = &self.started[index];
        let path = format!("{url}/api/v1/runs/{}{parameters}", started.id);
        let answer = Answer::of(self.client.get(path)).await;
        assert_eq!(answer.status, 200, "{answer}");
        let run = answer.json();
        let (before, now) = (&started.seen, &run["status"]);
        let was_over = before["completedAt"].is_string();
        if (was_over && before != now) || !goes_on(before, now) {
            let id = &started.id;
            self.violations
                .push(format!("run {id} was\n{before}\nand then\n{now}"));
        }
        self.started[index].seen = now.clone();
        run
    }

    async fn await_end(&mut self, url: &str, index: usize) -> Value {
        loop {
            let run = self.look(url, index, "?wait=30s").await;
            if run["status"]["completedAt"].is_string() {
                return run;
            }
        }
    }

    /// Every run that was asked for is there once.
    async fn count(&mut self, url: &str) {
        let mut ids = Vec::new();
        let mut page = "?limit=100".to_owned();
        loop {
            let answer = Answer::of(self.client.get(format!("{url}/api/v1/runs{page}"))).await;
            let rows = answer.json();
            let items = rows["items"].as_array().expect("rows");
            ids.extend(items.iter().map(|row| row["id"].clone()));
            let Some(next) = rows["next"].as_str() else {
                break;
            };
            page = format!("?limit=100&cursor={next}");
        }
        let known: Vec<Value> = self
            .started
            .iter()
            .map(|it| it.id.as_str().into())
            .collect();
        if ids.len() != known.len() || !known.iter().all(|id| ids.contains(id)) {
            let (there, known) = (ids.len(), known.len());
            self.violations
                .push(format!("{known} runs were acknowledged, {there} are there"));
        }
    }
}

/// Whether every measurement of `before` is in `now`, as it was.
fn goes_on(before: &Value, now: &Value) -> bool {
    let metrics = |status: &Value| status["metricResults"].as_array().cloned();
    let (before, now) = (metrics(before), metrics(now));
    let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
    before.iter().zip(&now).all(|(before, now)| {
        let taken = |metric: &Value| metric["measurements"].as_array().cloned();
        let (before, now) = (taken(before), taken(now));
        let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
        now.starts_with(&before)
    })
}
