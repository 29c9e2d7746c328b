//! Argo's schedule, as `tests/data/conformance/schedule.json` records it, lived through by the engine.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use skygate::domain::measurement::Phase;

use crate::harness::{
    FakeSource, HandClock, Make, Rehearsal, Say, fake_plan, metric, over_every_store, run_of,
    since, start,
};

/// What the strict level of checking refuses, and Argo takes for something else.
const REFUSED: [(&str, &str); 2] = [
    ("t-12-delay-negative", "a negative delay is a fault"),
    ("t-22-zero-interval", "an interval of 0s is a fault"),
];

/// The cases that say when something is measured, those left out that can't run here.
fn cases() -> Vec<Value> {
    let path = format!(
        "{}/tests/data/conformance/schedule.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).expect("the corpus is in the repository");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("a list of cases");
    let is_refused = |case: &Value| REFUSED.iter().any(|(id, _)| case["id"] == *id);
    cases
        .into_iter()
        .filter(|case| case["expect"]["measuredAtSeconds"].is_object() && !is_refused(case))
        .collect()
}

/// What a metric's source says, one answer after the other, and how long each takes.
fn script(case: &Value, name: &str) -> Vec<(Say, Duration)> {
    let answers = case["metricSequences"][name].as_array().expect("a list");
    let read = |answer: &Value| {
        let phase = answer.as_str().or(answer["phase"].as_str());
        let letter = phase.and_then(|phase| phase.chars().next());
        let takes = answer["takesSeconds"].as_f64().unwrap_or_default();
        (
            Say::from_letter(letter.expect("a phase")),
            Duration::from_secs_f64(takes),
        )
    };
    answers.iter().map(read).collect()
}

/// The corpus' clock moves on a millisecond with every reconcile: its seconds are whole ones but for these.
fn whole(seconds: f64) -> i64 {
    let moment = start().checked_add(SignedDuration::from_secs_f64(seconds));
    since(start(), moment.expect("a moment"))
}

/// A metric of the corpus, written as a template has it.
fn written(spec: &Value) -> String {
    let fields = spec.as_object().expect("an object").iter();
    let more: Vec<String> = fields
        .filter(|(field, _)| *field != "name")
        .map(|(field, value)| format!("{field}: {value}"))
        .collect();
    metric(spec["name"].as_str().expect("a name"), &more.join(", "))
}

over_every_store!(
    #[tokio::test]
    the_engine_measures_when_argo_does
);

async fn the_engine_measures_when_argo_does(make: Make) {
    let cases = cases();
    assert_eq!(cases.len(), 8);
    for case in &cases {
        let metrics = case["spec"]["metrics"].as_array().expect("a list");
        let plan = fake_plan(&metrics.iter().map(written).collect::<Vec<_>>());
        let scripts = {
            let case = case.clone();
            move |name: &str, before: usize| script(&case, name)[before]
        };
        let answers: usize = plan
            .metrics
            .iter()
            .map(|metric| script(case, &metric.name).len())
            .sum();

        let clock = HandClock::new();
        let source = FakeSource::new(clock.clone(), scripts);
        let stage = Rehearsal::over(make(), clock.clone(), source);
        let run = run_of("a", &plan, start());
        let id = run.id.clone();
        stage.engine.start(&run).await.expect("a new run");
        while stage.source.asked().len() < answers
            && let Some(due) = stage.tick().await.expect("a working store")
        {
            clock.move_to(due);
        }

        let run = stage.get(&id).await;
        let expect = &case["expect"];
        let label = &case["id"];
        assert_eq!(run.phase.name(), expect["phase"], "{label}");
        assert_eq!(
            run.phase == Phase::Running,
            run.completed_at.is_none(),
            "{label}"
        );
        for (name, moments) in expect["measuredAtSeconds"].as_object().expect("an object") {
            let asked = stage.source.asked();
            let ours = asked.iter().filter(|(asked, _)| asked == name);
            let ours: Vec<i64> = ours.map(|(_, at)| since(start(), *at)).collect();
            let moments = moments.as_array().expect("a list").iter();
            let argos: Vec<i64> = moments
                .map(|at| whole(at.as_f64().expect("seconds")))
                .collect();
            assert_eq!(ours, argos, "{label}: {name}");
        }
    }
}

#[test]
fn what_is_refused_stands_in_the_corpus() {
    let text = include_str!("../../data/conformance/schedule.json");
    for (id, reason) in REFUSED {
        assert!(text.contains(id), "{id}: {reason}");
    }
}
