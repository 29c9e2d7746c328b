//! What a measurement costs beside the same numbers by hand: time, and CPU, which divan doesn't measure.
//!
//! Both sides take turns in short rounds on one thread, so that whatever else the machine does falls on both.
//! The server has a thread of its own: the CPU of the process has its part in it, that of the client's thread has not.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::measuring::Stage;

/// How often either side takes its turn, and how many measurements it then makes: few, so that most turns fit into the time
/// that a busy machine gives a thread at once.
const ROUNDS: u32 = 801;
const MEASUREMENTS: u32 = 10;

/// What is read before and after a round; CPU is that of the program and of the kernel for it.
const CLOCKS: [(&str, ClockId); 3] = [
    ("wall", ClockId::Monotonic),
    ("CPU of both ends", ClockId::ProcessCPUTime),
    ("CPU of the client", ClockId::ThreadCPUTime),
];

/// For each of [`CLOCKS`], microseconds.
type Cost = [f64; CLOCKS.len()];

/// Whether the benchmarks were started without a filter, or for this table.
pub(super) fn is_wanted(table: &str, arguments: impl Iterator<Item = String>) -> bool {
    let (bench, others): (Vec<String>, Vec<String>) = arguments.partition(|it| it == "--bench");
    !bench.is_empty() && others.iter().all(|it| it == table)
}

/// Whether the benchmarks were started for this table and nothing else.
pub(super) fn is_meant(table: &str, arguments: impl Iterator<Item = String>) -> bool {
    let (bench, others): (Vec<String>, Vec<String>) = arguments.partition(|it| it == "--bench");
    !bench.is_empty() && others == [table]
}

/// Measures and prints the table.
#[expect(clippy::print_stdout, reason = "this is what it is for")]
pub(super) fn print() {
    println!(
        "\ncomparison: microseconds a measurement, by hand > Skygate, medians of {ROUNDS} rounds of {MEASUREMENTS}"
    );
    let titles = CLOCKS.map(|(title, _)| format!("{title:^28}"));
    println!("{:<20}{}", "", titles.concat());
    for points in [3, 60, 500] {
        let row = known(&Stage::canned(points));
        println!("{:<20}{row}", format!("{points} points"));
    }
    println!("{:<20}{}", "3, unknown server", unknown(&Stage::canned(3)));
    println!("{:<20}{}", "3, simulated OAP", known(&Stage::simulated()));
}

/// One request a measurement.
fn known(stage: &Stage) -> String {
    let by_hand = async || stage.measure_by_hand().await;
    row(stage, 1, by_hand, async || stage.measure().await)
}

/// Four requests a measurement.
fn unknown(stage: &Stage) -> String {
    let by_hand = async || stage.measure_anew_by_hand().await;
    row(stage, 4, by_hand, async || stage.measure_anew().await)
}

/// Lets both sides take turns; each of their measurements has to send so many requests.
fn row(stage: &Stage, requests: u32, by_hand: impl AsyncFn(), skygate: impl AsyncFn()) -> String {
    let before = stage.server.requests();
    let rounds = (0..ROUNDS).map(|_| (round(stage, &by_hand), round(stage, &skygate)));
    let (by_hand, skygate): (Vec<Cost>, Vec<Cost>) = rounds.unzip();
    let sent = stage.server.requests() - before;
    let expected = 2 * ROUNDS * MEASUREMENTS * requests;
    assert_eq!(sent, u64::from(expected), "every measurement asks");

    let (by_hand, skygate) = (medians(&by_hand), medians(&skygate));
    let cells: [String; CLOCKS.len()] = std::array::from_fn(|i| cell(by_hand[i], skygate[i]));
    cells.concat()
}

fn cell(by_hand: f64, skygate: f64) -> String {
    let ratio = skygate / by_hand;
    format!("{by_hand:>9.1} >{skygate:>7.1}  ×{ratio:<7.2}")
}

/// What one measurement of a round costs.
fn round(stage: &Stage, measure: &impl AsyncFn()) -> Cost {
    let begun = CLOCKS.map(microseconds);
    stage.runtime.block_on(async {
        for _ in 0..MEASUREMENTS {
            measure().await;
        }
    });
    let ended = CLOCKS.map(microseconds);
    std::array::from_fn(|i| (ended[i] - begun[i]) / f64::from(MEASUREMENTS))
}

fn medians(rounds: &[Cost]) -> Cost {
    std::array::from_fn(|i| {
        let mut costs: Vec<f64> = rounds.iter().map(|cost| cost[i]).collect();
        costs.sort_by(f64::total_cmp);
        costs[costs.len() / 2]
    })
}

fn microseconds((_, clock): (&str, ClockId)) -> f64 {
    let shown = Duration::try_from(clock_gettime(clock));
    shown.expect("these clocks count from 0 on").as_secs_f64() * 1e6
}
