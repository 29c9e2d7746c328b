//! What a run may hold.

use skygate::domain::bounds::{MOST_WEIGHT, weight};
use skygate::domain::judge::LONGEST_VALUE;
use skygate::domain::run::{Event, Run, step};

use crate::harness::{fake_plan, measured, metric, run_of, start};

/// A run of as many metrics, after as many measurements of each whose values are as long as they can be.
fn grown(metrics: usize, measurements: usize) -> Run {
    let metrics: Vec<String> = (0..metrics)
        .map(|n| metric(&format!("m{n}"), "interval: 1m"))
        .collect();
    let plan = fake_plan(&metrics);
    let mut plan = skygate::domain::plan::Plan::clone(&plan);
    for metric in &mut plan.metrics {
        metric.retention = 1_000_000;
    }
    let mut run = run_of("a", &std::sync::Arc::new(plan), start());
    for _ in 0..measurements {
        let now = run.next_due().expect("it goes on");
        let effects;
        (run, effects) = step(run, Event::Due, now);
        for effect in effects {
            let Event::Measured {
                metric,
                mut measurement,
            } = measured(&run, effect, 'S', now)
            else {
                panic!("a measurement");
            };
            measurement.value = "x".repeat(LONGEST_VALUE);
            (run, _) = step(
                run,
                Event::Measured {
                    metric,
                    measurement,
                },
                now,
            );
        }
    }
    run
}

#[test]
fn a_run_never_weighs_more_than_it_may() {
    for (metrics, measurements) in [(1, 700), (10, 100)] {
        let run = grown(metrics, measurements);
        let kept: Vec<usize> = run.metrics.iter().map(|it| it.measurements.len()).collect();
        let weight: usize = run
            .metrics
            .iter()
            .flat_map(|it| &it.measurements)
            .map(weight)
            .sum();
        assert!(
            weight <= MOST_WEIGHT && weight > MOST_WEIGHT / 2,
            "{weight}: {kept:?}"
        );
        for state in &run.metrics {
            assert_eq!(state.taken, measurements as u64);
            let last = state.measurements.back().expect("the newest is kept");
            assert_eq!(last.number, state.taken);
        }
    }
}

#[test]
fn the_newest_measurement_is_kept_whatever_it_weighs() {
    let run = grown(1_000, 2);
    for state in &run.metrics {
        assert_eq!((state.taken, state.measurements.len()), (2, 1));
    }
}
