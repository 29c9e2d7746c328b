//! What the counts mean, and moving runs.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use skygate::domain::assess::{Counts, assess};
use skygate::domain::judge::judge;
use skygate::domain::measurement::{Measurement, Phase};
use skygate::domain::plan::Plan;
use skygate::domain::run::{Event, Run, RunId, step};

use super::fixtures::{Asked, metric, now, plan_of};

/// The phase of a metric after one more measurement.
#[divan::bench]
fn count_and_assess(bencher: Bencher<'_, '_>) {
    let plan = plan_of(3, None);
    let limits = metric(&plan).limits;
    bencher.bench(|| {
        let mut counts = black_box(Counts::default());
        counts.record(Phase::Successful);
        assess(&limits, true, &counts, Some(Phase::Successful), false)
    });
}

/// A tick of runs that have measured nothing yet: each becomes due, measures, and takes the measurement in.
#[divan::bench(args = [10_000], sample_count = 20)]
fn first_tick(bencher: Bencher<'_, '_>, runs: usize) {
    tick(bencher, runs, 0);
}

/// A tick of runs whose history is full, so that their oldest measurement has to go.
#[divan::bench(args = [1_000], sample_count = 20)]
fn later_tick(bencher: Bencher<'_, '_>, runs: usize) {
    tick(bencher, runs, 20);
}

fn tick(bencher: Bencher<'_, '_>, runs: usize, measured: u64) {
    let plan = Arc::new(plan_of(3, None));
    let measurement = measurement(&plan);
    let run = (0..measured).fold(new_run(&plan), |run, _| ticked(run, measurement.clone()));
    assert_eq!(
        ticked(run.clone(), measurement.clone()).metrics[0].taken,
        measured + 1
    );
    bencher
        .counter(ItemsCount::new(runs))
        .with_inputs(|| vec![(run.clone(), measurement.clone()); runs])
        .bench_values(|runs| {
            let ticked = runs.into_iter().map(|(run, it)| ticked(run, it));
            ticked.collect::<Vec<_>>()
        });
}

/// A run that has measured so often, and goes on.
pub(super) fn measured_run(count: u64) -> Run {
    let plan = Arc::new(plan_of(3, None));
    let measurement = measurement(&plan);
    (0..count).fold(new_run(&plan), |run, _| ticked(run, measurement.clone()))
}

/// `run` after its next measurement came to what `measurement` says.
fn ticked(run: Run, mut measurement: Measurement) -> Run {
    let due = run.next_due().expect("a run that goes on");
    let (run, effects) = step(run, Event::Due, due);
    assert_eq!(effects.len(), 1, "its only metric is due");
    measurement.number = run.metrics[0].taken + 1;
    measurement.started_at = due;
    measurement.finished_at = Some(due);
    let measured = Event::Measured {
        metric: 0,
        measurement,
    };
    step(run, measured, due).0
}

fn new_run(plan: &Arc<Plan>) -> Run {
    let id = RunId("7d3c1f0e-5a3b-4c1d-9e2f-0123456789ab".to_owned());
    Run::new(id, "bookinfo", "apdex", Arc::clone(plan), now())
}

fn measurement(plan: &Plan) -> Measurement {
    let reading = Asked::about(3).reading();
    judge(metric(plan), reading, 1, now(), now(), &plan.masker)
}
