//! A whole rollout in the order in which Flagger calls.

use std::time::Duration;

use super::{House, Stores, assert_is_plain, body, call, keep_template, newest_run};
use crate::harness::{Served, simulated};

/// How long Flagger waits between two rounds.
const ROUND: Duration = Duration::from_mins(1);

/// More rounds than any rollout here takes.
const MOST_ROUNDS: usize = 60;

/// Flagger, as far as it calls. A service that keeps its runs in a file is started again before every call.
struct Flagger<'h> {
    house: &'h House,
    served: Option<Served>,
    /// What was answered, but for the rounds in which nothing changed.
    answers: Vec<String>,
    /// The hooks that this canary does not call, or whose calls never arrive.
    lost: &'static [&'static str],
}

/// How a rollout came out, and the last thing that was said about it.
#[derive(Debug, PartialEq)]
enum Outcome {
    Promoted,
    RolledBack(String),
}

impl<'h> Flagger<'h> {
    async fn new(house: &'h House) -> Self {
        let served = house.open().await;
        keep_template(&served).await;
        Self {
            house,
            served: Some(served),
            answers: Vec::new(),
            lost: &[],
        }
    }

    fn served(&self) -> &Served {
        self.served.as_ref().expect("a service")
    }

    /// Has the service end, let go of its store, and start again.
    async fn restart(&mut self) {
        let mut before = self.served.take().expect("a service");
        before.stop().await.expect("a clean stop");
        drop(before);
        self.served = Some(self.house.open().await);
    }

    /// Whether the answer is yes, and its text.
    async fn ask(&mut self, hook: &str, checksum: &str, phase: &str) -> (bool, String) {
        if self.lost.contains(&hook) {
            return (true, format!("{hook} was lost"));
        }
        if matches!(self.house.kept, Stores::File(_)) {
            self.restart().await;
        }
        let answer = call(self.served(), hook, &body("reviews", checksum, phase)).await;
        assert_is_plain(&answer);
        assert!(matches!(answer.status, 200 | 403), "{hook}: {answer}");
        let line = format!("{hook} {}", answer.status);
        if self.answers.last() != Some(&line) {
            self.answers.push(line);
        }
        (answer.status == 200, answer.body)
    }

    /// Rolls `checksum` out in two steps. `before` is the version that was there, which `confirm-rollout` names.
    async fn roll_out(&mut self, before: &str, checksum: &str) -> Outcome {
        let (may_begin, why) = self.ask("confirm-rollout", before, "Initialized").await;
        assert!(may_begin, "{why}");
        let mut weight = 0;
        for _ in 0..MOST_ROUNDS {
            let (must_go_back, why) = self.ask("rollback", checksum, "Progressing").await;
            if must_go_back {
                self.fail(checksum).await;
                return Outcome::RolledBack(why);
            }
            let hook = if weight == 0 {
                "pre-rollout"
            } else {
                "rollout"
            };
            let (is_good, why) = self.ask(hook, checksum, "Progressing").await;
            if !is_good {
                self.fail(checksum).await;
                return Outcome::RolledBack(why);
            }
            if weight < 2 {
                let more = self.ask("confirm-traffic-increase", checksum, "Progressing");
                weight += usize::from(more.await.0);
            } else if self
                .ask("confirm-promotion", checksum, "WaitingPromotion")
                .await
                .0
            {
                self.ask("post-rollout", checksum, "Succeeded").await;
                return Outcome::Promoted;
            }
            self.house.clock.sleep(ROUND).await;
        }
        panic!("no end after {MOST_ROUNDS} rounds: {:?}", self.answers);
    }

    /// The same in one iteration, as blue/green does it: all of the traffic once the promotion is allowed, and begun again where it is refused.
    async fn swap(&mut self, before: &str, checksum: &str) -> Outcome {
        let (may_begin, why) = self.ask("confirm-rollout", before, "Initialized").await;
        assert!(may_begin, "{why}");
        let mut done = 0;
        for _ in 0..MOST_ROUNDS {
            let (must_go_back, why) = self.ask("rollback", checksum, "Progressing").await;
            if must_go_back {
                self.fail(checksum).await;
                return Outcome::RolledBack(why);
            }
            let hook = if done == 0 { "pre-rollout" } else { "rollout" };
            let (is_good, why) = self.ask(hook, checksum, "Progressing").await;
            if !is_good {
                self.fail(checksum).await;
                return Outcome::RolledBack(why);
            }
            if done == 0 {
                done = 1;
            } else if !self
                .ask("confirm-promotion", checksum, "WaitingPromotion")
                .await
                .0
            {
                done = 0;
            } else if done == 1 {
                done = 2;
            } else {
                self.ask("post-rollout", checksum, "Succeeded").await;
                return Outcome::Promoted;
            }
            self.house.clock.sleep(ROUND).await;
        }
        panic!("no end after {MOST_ROUNDS} rounds: {:?}", self.answers);
    }

    /// What Flagger says once a version goes back.
    async fn fail(&mut self, checksum: &str) {
        self.ask("event", checksum, "Failed").await;
        self.ask("post-rollout", checksum, "Failed").await;
    }

    async fn phase_of_newest(&self) -> String {
        let run = newest_run(self.served(), "reviews").await;
        let run = self.served().await_end(&run).await;
        run["status"]["phase"].as_str().expect("a phase").to_owned()
    }
}

async fn check_healthy(house: &House) {
    let mut flagger = Flagger::new(house).await;
    let outcome = flagger.roll_out("v1", "v2").await;
    assert_eq!(outcome, Outcome::Promoted, "{:?}", flagger.answers);
    assert_eq!(flagger.phase_of_newest().await, "Successful");
}

/// For a service that is degraded for its first hour.
async fn check_degraded_then_mended(house: &House) {
    check_without(house, &[]).await;
}

/// The same where calls of these hooks are lost.
async fn check_without(house: &House, lost: &'static [&'static str]) {
    let mut flagger = Flagger {
        lost,
        ..Flagger::new(house).await
    };
    let outcome = flagger.roll_out("v1", "v2").await;
    let Outcome::RolledBack(why) = &outcome else {
        panic!("{outcome:?}: {:?}", flagger.answers)
    };
    assert!(why.contains("Failed: "), "{why}");
    let first = newest_run(flagger.served(), "reviews").await;
    assert_eq!(flagger.phase_of_newest().await, "Failed");

    house.clock.sleep(Duration::from_hours(1)).await;
    let outcome = flagger.roll_out("v1", "v2").await;
    assert_eq!(outcome, Outcome::Promoted, "{:?}", flagger.answers);
    let second = newest_run(flagger.served(), "reviews").await;
    assert_ne!(
        first, second,
        "the same version tried again has its own run"
    );
    assert_eq!(flagger.phase_of_newest().await, "Successful");
}

#[tokio::test]
async fn a_healthy_version_is_promoted() {
    let (setup, _sim) = simulated(&["reviews=healthy"]).await;
    check_healthy(&House::of(&setup)).await;
}

#[tokio::test]
async fn a_healthy_version_is_promoted_by_a_service_that_restarts_before_every_call() {
    let (setup, _sim) = simulated(&["reviews=healthy"]).await;
    check_healthy(&House::with_file(&setup)).await;
}

#[tokio::test]
async fn a_degraded_version_goes_back_and_is_tried_again() {
    let (setup, _sim) = simulated(&["reviews=degraded@0s+1h"]).await;
    check_degraded_then_mended(&House::of(&setup)).await;
}

#[tokio::test]
async fn a_degraded_version_goes_back_by_a_service_that_restarts_before_every_call() {
    let (setup, _sim) = simulated(&["reviews=degraded@0s+1h"]).await;
    check_degraded_then_mended(&House::with_file(&setup)).await;
}

#[tokio::test]
async fn one_iteration_is_begun_again_until_a_healthy_version_is_promoted() {
    let (setup, _sim) = simulated(&["reviews=healthy"]).await;
    let house = House::with_file(&setup);
    let mut flagger = Flagger::new(&house).await;
    let outcome = flagger.swap("v1", "v2").await;
    assert_eq!(outcome, Outcome::Promoted, "{:?}", flagger.answers);
    assert_eq!(flagger.phase_of_newest().await, "Successful");
    let runs = flagger.served().get("/api/v1/runs").await.json();
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1), "{runs:#}");
}

#[tokio::test]
async fn a_degraded_version_goes_back_from_its_only_iteration() {
    let (setup, _sim) = simulated(&["reviews=degraded"]).await;
    let house = House::of(&setup);
    let mut flagger = Flagger::new(&house).await;
    let outcome = flagger.swap("v1", "v2").await;
    let Outcome::RolledBack(why) = &outcome else {
        panic!("{outcome:?}: {:?}", flagger.answers)
    };
    assert!(why.contains("Failed: "), "{why}");
}

#[tokio::test]
async fn a_version_is_tried_again_whichever_word_of_its_end_is_lost() {
    for lost in [
        &["post-rollout", "confirm-rollout"] as &[_],
        &["event", "confirm-rollout"],
        &["event", "post-rollout"],
    ] {
        let (setup, _sim) = simulated(&["reviews=degraded@0s+1h"]).await;
        check_without(&House::with_file(&setup), lost).await;
    }
}
