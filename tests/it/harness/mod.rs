//! What tests of whole runs stand on.
//!
//! - [`Stage`]: a simulated OAP behind a real socket, the real client, an engine over a store in memory, all on one [`HandClock`].
//! - [`Rehearsal`]: an engine without any OAP, over a [`FakeSource`], which answers by script, late, never or with a panic,
//!   and a [`FaultyStore`], which fails where it is told to, and where every call is a place to die.
//! - [`Served`]: the whole service behind a real socket, over either.
//! - [`plan_of`], [`history`], [`moments`]: from a template to a plan, and what a run came to in a few letters.

mod clock;
mod rehearsal;
pub(crate) mod routes;
mod service;
mod source;
mod stage;
mod store;

use std::fmt::Write as _;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use skygate::documents::Documents;
use skygate::domain::analysis::{Analysis, Library, Request};
use skygate::domain::fault::Faults;
use skygate::domain::judge::judge;
use skygate::domain::measurement::{Measurement, Phase};
use skygate::domain::plan::{Overrides, Plan, Server};
use skygate::domain::run::{Effect, Event, Run, RunId};
use skygate::domain::spec::{Argument, TemplateRef};

pub(crate) use clock::HandClock;
pub(crate) use rehearsal::{Rehearsal, Ticking, live_for};
pub(crate) use service::{Answer, LIMIT, Served, Setup, ago, client, simulated, stable};
pub(crate) use source::{FakeSource, Say, read_by_letter};
pub(crate) use stage::Stage;
pub(crate) use store::{FaultyStore, Make, at_once, over_every_store, planner, sqlite};

/// The template of the original use case, as users get it.
pub(crate) const SEED: &str = include_str!("../../../api/examples/apdex.yaml");

/// The moment at which every clock starts.
pub(crate) fn start() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().expect("a moment")
}

/// The moment so many seconds after [`start`].
pub(crate) fn at(seconds: u64) -> Timestamp {
    start()
        .checked_add(Duration::from_secs(seconds))
        .expect("a moment")
}

/// The plan of the template in `yaml` with these arguments, which asks `server` whatever the template says.
pub(crate) fn plan_of(yaml: &str, args: &[(&str, &str)], server: Server) -> Arc<Plan> {
    let documents = Documents::read(yaml.as_bytes());
    assert_eq!(documents.all_faults(), [], "{yaml}");
    let request = Request {
        namespace: "default".to_owned(),
        templates: documents
            .templates
            .iter()
            .map(|template| TemplateRef::new(template.kind, &template.name))
            .collect(),
        args: args
            .iter()
            .map(|(name, value)| Argument::new(*name, *value))
            .collect(),
        ..Request::default()
    };
    let plan = Library::gather(documents.templates).and_then(|library| {
        let overrides = Overrides {
            server: Some(server),
        };
        let no_secrets = |_: &str, _: &str, _: &str| Err("there are none".to_owned());
        Plan::make(
            &Analysis::assemble(&library, &request),
            &overrides,
            &no_secrets,
        )
    });
    Arc::new(plan.unwrap_or_else(|faults: Faults| panic!("{faults}\n{yaml}")))
}

/// A metric for a [`FakeSource`], in YAML: `name` is what the source is asked for, `more` are further fields as in `interval: 1m, count: 3`.
pub(crate) fn metric(name: &str, more: &str) -> String {
    let separator = if more.is_empty() { "" } else { ", " };
    format!(
        r#"{{ name: {name}{separator}{more}, successCondition: "values[0] > 0", failureCondition: "values[0] < 0",
              provider: {{ skywalking: {{ interval: 1m, expression: {name}, entity: {{ scope: Service, serviceName: a, normal: true }} }} }} }}"#
    )
}

/// A plan of such metrics.
pub(crate) fn fake_plan(metrics: &[String]) -> Arc<Plan> {
    let mut yaml = String::from(
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: { name: fake }\nspec:\n  metrics:\n",
    );
    for metric in metrics {
        writeln!(yaml, "  - {metric}").expect("a string takes everything");
    }
    plan_of(&yaml, &[], Server::Named("fake".to_owned()))
}

/// A run of `plan`, created at `created_at`.
pub(crate) fn run_of(id: &str, plan: &Arc<Plan>, created_at: Timestamp) -> Run {
    Run::new(
        RunId(id.to_owned()),
        "default",
        "fake",
        Arc::clone(plan),
        created_at,
    )
}

/// That what `effect` asks for came to what `letter` says, at `now`.
pub(crate) fn measured(run: &Run, effect: Effect, letter: char, now: Timestamp) -> Event {
    let Effect::Measure { metric, number } = effect;
    let spec = &run.plan.metrics[metric];
    let reading = read_by_letter(&spec.name, letter, now);
    Event::Measured {
        metric,
        measurement: judge(spec, reading, number, now, now, &run.plan.masker),
    }
}

/// Polls `future` once; what it came to, if that is all it took.
pub(crate) async fn live_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    })
    .await
}

/// The kept measurements of a run's first metric, a letter each: the phase's first, and `W` for one that waits for data.
pub(crate) fn history(run: &Run) -> String {
    history_of(run, 0)
}

/// The same of another metric.
pub(crate) fn history_of(run: &Run, metric: usize) -> String {
    run.metrics[metric]
        .measurements
        .iter()
        .map(letter)
        .collect()
}

fn letter(measurement: &Measurement) -> char {
    match measurement.phase {
        Phase::Successful => 'S',
        Phase::Failed => 'F',
        Phase::Inconclusive if !measurement.counts => 'W',
        Phase::Inconclusive => 'I',
        Phase::Error => 'E',
        Phase::Pending | Phase::Running => panic!("a measurement that isn't done is never kept"),
    }
}

/// When the kept measurements of a run's first metric began, in seconds since the run was created.
pub(crate) fn moments(run: &Run) -> Vec<i64> {
    let begun = run.metrics[0].measurements.iter();
    begun
        .map(|measurement| since(run.created_at, measurement.started_at))
        .collect()
}

/// The whole seconds from `from` to `to`. A runtime whose time is paused wakes a millisecond late at times; more than a few is a fault.
pub(crate) fn since(from: Timestamp, to: Timestamp) -> i64 {
    let passed = to.duration_since(from);
    let seconds = passed.as_secs() + i64::from(passed.subsec_millis() >= 500);
    let off = passed - SignedDuration::from_secs(seconds);
    assert!(off.abs() <= SignedDuration::from_millis(20), "{passed:?}");
    seconds
}
