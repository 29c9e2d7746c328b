//! The service is killed again and again while many runs live, and started anew on the same store.
//!
//! What its OAP answered is on record, each answer with a number of its own. At the end every run's history is held against that record:
//! each measurement is one answer, no answer is two measurements, and counters and verdict are what the measurements come to.
//!
//! An ordinary run of the tests kills a few times. `SKYGATE_KILLS=300 SKYGATE_KILL_RUNS=300` is the long form.

mod history;
mod lives;
mod oap;
mod plot;

use std::time::Duration;

use lives::Lives;
use oap::RecordingOap;
use plot::{Dice, Kind, Plot};

/// How often it is killed, and how many runs live meanwhile, where nobody says otherwise.
const FEW: usize = 6;
const FEW_RUNS: usize = 60;

/// The same every time, so that a failure can be looked at again.
const SEED: u64 = 20_261_128;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_run_survives_kills_at_any_moment() {
    let kills = asked("SKYGATE_KILLS").unwrap_or(FEW);
    let runs = asked("SKYGATE_KILL_RUNS").unwrap_or(FEW_RUNS);
    let plots = Plot::some(runs, kills);
    let oap = RecordingOap::start(&plots).await;
    let mut lives = Lives::new(&oap.url, plots, Dice::new(SEED));
    for kill in 0..kills {
        if kill % 7 == 3 {
            oap.go_away();
        }
        lives.live_and_die().await;
    }
    let told = lives.live_to_the_end().await;

    let mut violations = told.violations;
    let mut measurements = 0;
    let mut latest = (Duration::ZERO, Kind::Good);
    for (plot, run) in &told.runs {
        let history = history::check(plot, run, &oap.answers());
        measurements += history.measurements;
        if history.latest > latest.0 {
            latest = (history.latest, plot.kind);
        }
        violations.extend(history.violations);
    }
    violations.extend(history::answers_used_twice(&told.runs));
    #[expect(
        clippy::print_stderr,
        reason = "whoever asks for a long run wants to know what became of it"
    )]
    {
        eprintln!(
            "{} runs, {kills} kills, {measurements} measurements of {} answers, {} restarts before it was ready, {} violations; the latest measurement was {latest:?} late",
            told.runs.len(),
            oap.answers().len(),
            told.killed_early,
            violations.len(),
        );
    }
    assert_eq!(told.runs.len(), runs);
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

fn asked(variable: &str) -> Option<usize> {
    let asked = std::env::var_os(variable)?;
    let number = asked.to_str().and_then(|text| text.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{variable} is a number")))
}
