//! A source that says something else every time it is asked, and remembers all of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use skygate::domain::measurement::Measurement;
use skygate::domain::plan::{Ask, SourcePlan};
use skygate::domain::reading::Reading;
use skygate::domain::run::RunId;
use skygate::ports::{Clock, MetricSource, Moment, Store};

use crate::harness::{HandClock, at_once, read_by_letter};

/// One time that the source was asked.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Which time, of all.
    pub(super) id: usize,
    pub(super) run: String,
    pub(super) metric: usize,
    /// The number that was in flight when it was asked.
    pub(super) number: u64,
    /// What it said.
    pub(super) letter: char,
    /// When the measurement was begun and done that it became, where it became one.
    pub(super) begun: Option<Timestamp>,
    pub(super) done: Option<Timestamp>,
}

/// Everything that was ever said.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<Vec<Attempt>>);

impl Attempts {
    /// The attempt that became `measurement`.
    pub(super) fn of(&self, measurement: &Measurement) -> Attempt {
        let why = measurement.explanation.as_ref().expect("a reading");
        let id: usize = why.server.parse().expect("the number of an attempt");
        self.0.lock().expect("no panic")[id].clone()
    }

    fn add(&self, run: &str, metric: usize, number: u64) -> Attempt {
        let mut attempts = self.0.lock().expect("no panic");
        let id = attempts.len();
        let attempt = Attempt {
            id,
            run: run.to_owned(),
            metric,
            number,
            letter: letter(id, number),
            begun: None,
            done: None,
        };
        attempts.push(attempt.clone());
        attempt
    }
}

/// What is said the `id`-th time: each attempt at the same measurement says something of its own, mostly good.
/// Whoever waits for data gets some in the end.
fn letter(id: usize, number: u64) -> char {
    // A number without a pattern (the finaliser of a known generator).
    let mut x = (id as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let letters: &[char] = if number > 30 {
        &['S', 'F', 'E']
    } else {
        &['S', 'S', 'S', 'S', 'F', 'I', 'E', 'W']
    };
    let place = usize::try_from((x ^ (x >> 31)) % letters.len() as u64);
    letters[place.expect("a few")]
}

/// The source of one engine.
#[derive(Debug)]
pub(super) struct TellingSource {
    pub(super) attempts: Arc<Attempts>,
    pub(super) kept: Arc<dyn Store>,
    pub(super) clock: Arc<HandClock>,
}

#[async_trait]
impl MetricSource for TellingSource {
    async fn read(&self, source: &SourcePlan, _moment: Moment) -> Reading {
        let Ask::Expression { expression, .. } = &source.ask else {
            panic!("a metric is named by its expression");
        };
        let (run, metric) = expression.split_once('m').expect("a run and a metric");
        let metric: usize = metric.parse().expect("an index");
        let number = self.number_in_flight(run, metric);
        let attempt = self.attempts.add(run, metric, number);
        // Some answers take their time, and all others of the moment with them.
        if attempt.id.is_multiple_of(3) {
            self.clock.sleep(Duration::from_secs(2)).await;
        } else {
            tokio::task::yield_now().await;
        }
        Reading {
            server: attempt.id.to_string(),
            ..read_by_letter(expression, attempt.letter, self.clock.now())
        }
    }
}

impl TellingSource {
    /// What was begun last, as the saved run says. Whoever has lost his lease may ask for nothing at all: what he gets is refused.
    fn number_in_flight(&self, run: &str, metric: usize) -> u64 {
        let found = at_once(self.kept.get(&RunId(run.to_owned()))).expect("a working store");
        let in_flight = found.and_then(|run| run.metrics[metric].in_flight);
        in_flight.map_or(0, |in_flight| in_flight.number)
    }
}
