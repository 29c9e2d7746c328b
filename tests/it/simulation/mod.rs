//! Engines and runs under random operations, against a model that knows the whole history.
//!
//! Two engines share a store. Runs are started, measured, told things, deleted; time passes; engines die at any place between two calls
//! of the store, are held up and go on later; the store fails, or does as asked and fails to say so; the whole service is killed and
//! started again. Nothing is left to chance or to the time of day: a case is its list of operations.
//!
//! A violation is anything that [`World::check`] refuses. No violation are: a measurement that is made again because an engine died or
//! was late; a run that waits for a dead engine's lease to end; an error that the store was told to give.
//!
//! An ordinary run of the tests plays a few thousand operations. `SKYGATE_SIMULATE=100000` plays as many as it says on each store.
//! It has found nothing yet; what it finds is to stay as a test of its own.

mod model;
mod source;
mod world;

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};

use model::Shape;
use world::{Method, Op, Place, World};

/// How many operations a case has.
const LENGTH: std::ops::Range<usize> = 100..400;

/// How many operations are played on each store where nobody says otherwise.
const FEW: usize = 3_000;

fn shapes() -> impl Strategy<Value = Shape> {
    let counts = (1..8_i64, 0..4_i64, 0..4_i64);
    let paces = (
        prop::sample::select(vec![1, 10, 60, 90]),
        prop::sample::select(vec![0, 0, 30]),
    );
    (counts, paces, 1..4_usize).prop_map(
        |((count, failures, inconclusives), (interval, delay), metrics)| Shape {
            count,
            failures: failures.min(count),
            inconclusives: inconclusives.min(count),
            interval,
            delay,
            metrics,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let engine = || 0..2_usize;
    let steps = || prop_oneof![4 => 0..14_usize, 1 => 0..100_usize];
    let some = || any::<usize>();
    let method = || prop::sample::select(Method::ALL.to_vec());
    let request = || prop::option::of(0..6_u8);
    prop_oneof![
        6 => (shapes(), request()).prop_map(|(shape, request)| Op::Start(shape, request)),
        20 => (1..200_u64).prop_map(Op::Advance),
        20 => engine().prop_map(Op::Tick),
        14 => (engine(), steps()).prop_map(|(engine, steps)| Op::Die(engine, steps)),
        10 => (engine(), steps()).prop_map(|(engine, steps)| Op::HoldUp(engine, steps)),
        10 => some().prop_map(Op::GoOn),
        3 => some().prop_map(Op::Terminate),
        3 => (some(), 0..5_000_u64).prop_map(|(run, seconds)| Op::NotBefore(run, seconds)),
        2 => some().prop_map(Op::Delete),
        5 => (engine(), method(), 1..4_usize).prop_map(|(engine, method, times)| Op::Fail(engine, method, times)),
        5 => (engine(), method()).prop_map(|(engine, method)| Op::LeaveUnanswered(engine, method)),
        2 => Just(Op::Kill),
        2 => (0..3_000_u64).prop_map(Op::Sweep),
        3 => Just(Op::Settle),
    ]
}

/// Plays `ops` from the beginning, and then until nothing is left to do.
fn play(place: Place, ops: &[Op]) -> TestCaseResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new(place);
        for op in ops {
            world.live(*op).await;
            match op {
                // Nothing that is kept has changed.
                Op::Advance(_) | Op::Fail(..) | Op::LeaveUnanswered(..) => {}
                Op::Settle | Op::Kill => world.check()?,
                Op::Start(..)
                | Op::Tick(_)
                | Op::Die(..)
                | Op::HoldUp(..)
                | Op::GoOn(_)
                | Op::Terminate(_)
                | Op::NotBefore(..)
                | Op::Delete(_)
                | Op::Sweep(_) => world.check_live()?,
            }
        }
        world.finish().await?;
        world.check()
    })
}

/// As many cases as it takes for the operations that were asked for.
fn simulate(place: Place) {
    let asked = std::env::var_os("SKYGATE_SIMULATE");
    let operations = asked.map_or(FEW, |asked| {
        let asked = asked.to_str().and_then(|text| text.parse().ok());
        asked.expect("SKYGATE_SIMULATE is the number of operations")
    });
    let played = Cell::new(0);
    while played.get() < operations {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: 3_000,
            max_shrink_time: 60_000,
            ..ProptestConfig::default()
        });
        let ops = prop::collection::vec(op(), LENGTH);
        let outcome = runner.run(&ops, |ops| {
            played.set(played.get() + ops.len());
            play(place, &ops)
        });
        if let Err(failure) = outcome {
            panic!("{failure}");
        }
    }
    #[expect(
        clippy::print_stderr,
        reason = "whoever asks for a long run wants to know how long it was"
    )]
    {
        eprintln!("{} operations on {place:?}", played.get());
    }
}

#[test]
fn in_memory() {
    simulate(Place::Memory);
}

#[test]
fn in_sqlite() {
    simulate(Place::Sqlite);
}
