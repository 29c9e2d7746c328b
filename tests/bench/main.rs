//! Benchmarks: what planning, deciding and measuring cost.
//!
//! `cargo bench` runs all of it in less than a minute, `cargo bench -- conditions` one module, `cargo bench -- comparison` only the
//! table at the end, and `polling` beside it: measurements over HTTP beside a bare loop of reqwest and `serde_json`, with the CPU that either takes.
//!
//! `cargo bench -- living` has the engine move up to 100,000 runs over a store, and `starting` starts the service as a process: minutes each.
//!
//! Names that end in `by_hand` are baselines: the least code that comes to the same numbers.

mod comparison;
mod conditions;
mod decoding;
mod fixtures;
mod judging;
mod living;
mod measuring;
mod planning;
mod polling;
mod running;
mod server;
mod starting;

use std::time::Duration;

use divan::Divan;

/// What each benchmark gets, so that all of them together stay bounded.
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(1);

/// Tables that take minutes: only for whoever names one.
const LONG: [(&str, fn()); 2] = [("living", living::print), ("starting", starting::print)];

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().is_some_and(|it| it == living::ONE) {
        return living::measure_one(arguments);
    }
    for (table, print) in LONG {
        if comparison::is_meant(table, std::env::args().skip(1)) {
            return print();
        }
    }
    Divan::default()
        .min_time(LEAST)
        .max_time(MOST)
        .config_with_args()
        .main();
    if comparison::is_wanted("comparison", std::env::args().skip(1)) {
        comparison::print();
    }
    if comparison::is_wanted("polling", std::env::args().skip(1)) {
        polling::print();
    }
}
