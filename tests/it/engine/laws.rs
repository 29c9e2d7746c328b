//! Laws of two engines on one store, whatever happens to them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use skygate::domain::assess::Counts;
use skygate::domain::measurement::Phase;
use skygate::domain::plan::Plan;
use skygate::domain::run::{Command, Run, RunId, Stop};
use skygate::ports::{Store, StoreError};
use skygate::store::MemoryStore;
use tokio::runtime::Runtime;

use crate::harness::{
    FakeSource, HandClock, Rehearsal, Say, Ticking, at, at_once, fake_plan, live_for, metric,
    run_of, start,
};

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Time passes, in seconds.
    Advance(u64),
    /// One of the engines does what is due.
    Tick(usize),
    /// One of the engines begins to, and dies after so many steps: before or after a save, an answer, a release.
    Die(usize, usize),
    /// One of the engines begins to, and is held up after so many steps.
    Pause(usize, usize),
    /// An engine that was held up goes on, knowing nothing of what happened meanwhile.
    Resume(usize),
    /// Somebody terminates the run.
    Terminate,
    /// Somebody says that traffic came so many seconds after the start.
    NotBefore(u64),
}

fn op(with_commands: bool) -> impl Strategy<Value = Op> {
    let commands = u32::from(with_commands);
    let steps = 0..14_usize;
    prop_oneof![
        8 => (1..200_u64).prop_map(Op::Advance),
        6 => (0..2_usize).prop_map(Op::Tick),
        6 => (0..2_usize, steps.clone()).prop_map(|(engine, steps)| Op::Die(engine, steps)),
        4 => (0..2_usize, steps).prop_map(|(engine, steps)| Op::Pause(engine, steps)),
        4 => (0..8_usize).prop_map(Op::Resume),
        commands => Just(Op::Terminate),
        commands => (0..500_u64).prop_map(Op::NotBefore),
    ]
}

fn ops(with_commands: bool) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(with_commands), 0..40)
}

/// What a metric's measurements bring, by their numbers.
fn letters() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!['S', 'S', 'S', 'F', 'I', 'E', 'W']),
        1..12,
    )
    .prop_map(String::from_iter)
}

/// The limits of a metric that ends some day, whatever it is told.
fn limits() -> impl Strategy<Value = String> {
    (1..8_u32, 0..4_u32, 0..4_u32).prop_map(|(count, failure, inconclusive)| {
        let (failure, inconclusive) = (failure.min(count), inconclusive.min(count));
        format!(
            "interval: 1m, count: {count}, failureLimit: {failure}, inconclusiveLimit: {inconclusive}, consecutiveErrorLimit: 2"
        )
    })
}

/// The measurement `number` of a metric that says these letters; only so many wait for data, so that there is an end.
fn said(letters: &str, number: u64) -> char {
    let i = usize::try_from(number).expect("a few") - 1;
    match letters.as_bytes()[i % letters.len()] {
        b'W' if i >= 2 * letters.len() => 'E',
        letter => char::from(letter),
    }
}

/// Two engines, one store, one run.
struct World {
    clock: Arc<HandClock>,
    engines: [Rehearsal; 2],
    letters: String,
    paused: Vec<Ticking>,
    terminated: bool,
    not_before: Option<Timestamp>,
    /// The run when it was first seen to be over.
    ended: Option<String>,
}

impl World {
    async fn new(plan: &Arc<Plan>, letters: &str) -> Self {
        let clock = HandClock::new();
        let kept: Arc<dyn Store> = Arc::<MemoryStore>::default();
        let engine = || {
            let script = {
                let (kept, letters) = (Arc::clone(&kept), letters.to_owned());
                move |_: &str, _| {
                    let letter = said(&letters, number_in_flight(kept.as_ref()));
                    (Say::from_letter(letter), Duration::from_secs(2))
                }
            };
            let source = FakeSource::new(clock.clone(), script);
            Rehearsal::over(Arc::clone(&kept), clock.clone(), source)
        };
        let engines = [engine(), engine()];
        let run = run_of("r", plan, start());
        engines[0].engine.start(&run).await.expect("a new run");
        Self {
            clock,
            engines,
            letters: letters.to_owned(),
            paused: Vec::new(),
            terminated: false,
            not_before: None,
            ended: None,
        }
    }

    async fn run(&self) -> Run {
        self.engines[0].get(&id()).await
    }

    async fn live(&mut self, op: Op) {
        match op {
            Op::Advance(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Op::Tick(engine) => accept(self.engines[engine].tick().await),
            Op::Die(engine, steps) => {
                live_for(&mut self.engines[engine].ticking(), steps).await;
            }
            Op::Pause(engine, steps) => {
                let mut tick = self.engines[engine].ticking();
                if live_for(&mut tick, steps).await.is_none() {
                    self.paused.push(tick);
                }
            }
            Op::Resume(which) => {
                if !self.paused.is_empty() {
                    let tick = self.paused.remove(which % self.paused.len());
                    accept(tick.await);
                }
            }
            Op::Terminate => {
                self.terminated = true;
                self.post(Command::Terminate).await;
            }
            Op::NotBefore(seconds) => {
                let moment = at(seconds);
                self.not_before.get_or_insert(moment);
                self.post(Command::NotBefore(moment)).await;
            }
        }
    }

    async fn post(&self, command: Command) {
        let posted = self.engines[0].engine.post(&id(), command).await;
        posted.expect("a known run");
    }

    /// An engine that lives lives on until there is nothing to do.
    async fn finish(&mut self) {
        for tick in std::mem::take(&mut self.paused) {
            accept(tick.await);
        }
        let clock = Arc::clone(&self.clock);
        self.engines[1].play(|due| clock.move_to(due)).await;
    }

    /// What holds at any moment.
    async fn check(&mut self) -> TestCaseResult {
        let run = self.run().await;
        let state = &run.metrics[0];

        // Each number was counted once, for what it brought.
        let mut counts = Counts::default();
        for number in 1..=state.taken {
            match said(&self.letters, number) {
                'W' => {}
                letter => counts.record(phase_of(letter)),
            }
        }
        prop_assert_eq!(state.counts, counts);
        let kept = state.measurements.len() as u64;
        let numbers: Vec<u64> = state.measurements.iter().map(|it| it.number).collect();
        let expected: Vec<u64> = (state.taken - kept + 1..=state.taken).collect();
        prop_assert_eq!(numbers, expected);

        // An ended run stays as it ended.
        let shown = format!("{run:?}");
        if let Some(ended) = &self.ended {
            prop_assert_eq!(ended, &shown);
        } else if run.phase.is_over() {
            self.ended = Some(shown);
        }

        // Traffic begins once.
        prop_assert!(run.not_before.is_none() || run.not_before == self.not_before);
        prop_assert!(run.stop != Some(Stop::Terminated) || self.terminated);
        Ok(())
    }
}

fn id() -> RunId {
    RunId("r".to_owned())
}

/// What was begun last, as the saved run says.
fn number_in_flight(kept: &dyn Store) -> u64 {
    let run = at_once(kept.get(&id()));
    let run = run.expect("a working store").expect("a known run");
    // Whoever has lost his lease may ask for nothing at all; what he gets is refused.
    run.metrics[0]
        .in_flight
        .map_or(1, |in_flight| in_flight.number)
}

/// A tick may find its lease lost, and nothing else.
fn accept(outcome: Result<Option<Timestamp>, StoreError>) {
    match outcome {
        Ok(_) | Err(StoreError::LeaseLost(_)) => {}
        Err(failure) => panic!("{failure}"),
    }
}

fn phase_of(letter: char) -> Phase {
    match letter {
        'S' => Phase::Successful,
        'F' => Phase::Failed,
        'I' => Phase::Inconclusive,
        'E' => Phase::Error,
        other => panic!("no phase is written {other}"),
    }
}

/// A run without its times.
fn history(run: &Run) -> (Phase, String, Vec<(u64, Phase, bool)>) {
    let kept = run.metrics[0].measurements.iter();
    (
        run.phase,
        run.message.clone(),
        kept.map(|it| (it.number, it.phase, it.counts)).collect(),
    )
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

fn plan(limits: &str) -> Arc<Plan> {
    // Waiting for data ends by the number of letters here, never by the time that passes.
    let metric = metric("a", limits).replace(
        "interval: 1m, expression",
        "noDataTimeout: 1000h, interval: 1m, expression",
    );
    fake_plan(&[metric])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_counted_twice_and_what_ended_stays_ended(
        limits in limits(),
        letters in letters(),
        ops in ops(true),
    ) {
        runtime().block_on(async {
            let mut world = World::new(&plan(&limits), &letters).await;
            for op in ops {
                world.live(op).await;
                world.check().await?;
            }
            world.finish().await;
            world.check().await?;
            let run = world.run().await;
            prop_assert!(run.phase.is_over());
            prop_assert_eq!(run.outstanding(), []);
            Ok(())
        })?;
    }

    #[test]
    fn deaths_and_delays_leave_the_history_as_it_would_have_been(
        limits in limits(),
        letters in letters(),
        ops in ops(false),
    ) {
        runtime().block_on(async {
            let plan = plan(&limits);
            let mut undisturbed = World::new(&plan, &letters).await;
            undisturbed.finish().await;

            let mut world = World::new(&plan, &letters).await;
            for op in ops {
                world.live(op).await;
            }
            world.finish().await;
            prop_assert_eq!(history(&world.run().await), history(&undisturbed.run().await));
            Ok(())
        })?;
    }
}
