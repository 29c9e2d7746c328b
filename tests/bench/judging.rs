//! From a reading to a measurement with its explanation.

use divan::{Bencher, black_box};
use skygate::domain::judge::judge;
use skygate::domain::measurement::{Measurement, Phase};
use skygate::domain::plan::Plan;
use skygate::domain::reading::Reading;

use super::fixtures::{Asked, metric, now, plan_of};

const POINTS: [u64; 3] = [3, 60, 500];

#[divan::bench(args = POINTS)]
fn healthy(bencher: Bencher<'_, '_>, count: u64) {
    bench(bencher, &Asked::about(count).reading(), Phase::Successful);
}

/// Every point is one that the reason names or counts.
#[divan::bench(args = POINTS)]
fn degraded(bencher: Bencher<'_, '_>, count: u64) {
    let mut reading = Asked::about(count).reading();
    degrade(&mut reading);
    bench(bencher, &reading, Phase::Failed);
}

fn bench(bencher: Bencher<'_, '_>, reading: &Reading, expected: Phase) {
    let plan = plan_of(3, None);
    assert_eq!(judged(&plan, reading.clone()).phase, expected);
    bencher
        .with_inputs(|| reading.clone())
        .bench_values(|reading| judged(&plan, black_box(reading)));
}

fn judged(plan: &Plan, reading: Reading) -> Measurement {
    judge(metric(plan), reading, 1, now(), now(), &plan.masker)
}

fn degrade(reading: &mut Reading) {
    let answer = reading.answer.as_mut().expect("an answer");
    let list = answer.result.pointer_mut("/service_apdex/values/values");
    let list = list.and_then(serde_json::Value::as_array_mut);
    for point in list.expect("points") {
        point["value"] = 4_200.into();
    }
    for point in answer.series.iter_mut().flat_map(|it| &mut it.points) {
        point.value = Some(4_200.0);
    }
}
