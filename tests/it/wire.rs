//! What programs read says all that a command shows: a run read back from it is the run that was told.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::Offset;
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use skygate::domain::analysis::{Analysis, Library, Request};
use skygate::domain::measurement::{Decided, Explanation, Measurement, Side};
use skygate::domain::plan::{Overrides, Plan, Server};
use skygate::domain::reading::{ErrorClass, Point, PointKind, Series};
use skygate::domain::run::{Run, RunId};
use skygate::domain::spec::{Argument, Kind, Template, TemplateRef};
use skygate::domain::window::{Step, Window};
use skygate::wire::{AnalysisRun, Measured, read};

use crate::harness::{SEED, Stage};
use crate::judging::laws::{World, ops};

/// What another process gets to read.
fn told(run: &Run) -> Value {
    let text = serde_json::to_string(&AnalysisRun::new(run)).expect("JSON");
    serde_json::from_str(&text).expect("JSON")
}

/// `run` without what nobody outside is told: less than a millisecond, where a series stands in a result, whom to ask.
fn as_told(mut run: Run) -> Run {
    let cut = |at: &mut Timestamp| *at = to_the_millisecond(*at);
    cut(&mut run.created_at);
    for at in [
        &mut run.started_at,
        &mut run.completed_at,
        &mut run.not_before,
    ] {
        at.iter_mut().for_each(cut);
    }
    for metric in &mut run.metrics {
        metric.due_at.iter_mut().for_each(cut);
        metric.waiting_since.iter_mut().for_each(cut);
        if let Some(in_flight) = &mut metric.in_flight {
            cut(&mut in_flight.started_at);
        }
        for measured in &mut metric.measurements {
            *measured = measurement_as_told(measured.clone());
        }
    }
    run
}

fn measurement_as_told(mut measured: Measurement) -> Measurement {
    measured.started_at = to_the_millisecond(measured.started_at);
    measured.finished_at = measured.finished_at.map(to_the_millisecond);
    if let Some(why) = &mut measured.explanation {
        why.window = why.window.map(|window| {
            let (first, last) = (window.first(), window.last());
            Window::told(first, last, window.step(), window.zone())
        });
        for series in &mut why.series {
            series.path = None;
        }
        if let Some(decided) = &mut why.decided {
            decided.points.sort_unstable();
        }
    }
    measured
}

fn to_the_millisecond(at: Timestamp) -> Timestamp {
    let round = TimestampRound::new()
        .smallest(Unit::Millisecond)
        .mode(RoundMode::Trunc);
    at.round(round).expect("a moment")
}

/// Everything that anything is shown of, the server and the analysis of the plan aside.
fn shown(run: &Run) -> String {
    let plan: Vec<String> = run
        .plan
        .metrics
        .iter()
        .map(|metric| {
            let source = &metric.source;
            let mut metric = metric.clone();
            metric.source = Arc::new(skygate::domain::plan::SourcePlan {
                server: Server::Named(String::new()),
                ..skygate::domain::plan::SourcePlan::clone(source)
            });
            format!("{metric:?}")
        })
        .collect();
    let metrics: Vec<String> = run.metrics.iter().map(|it| format!("{it:#?}")).collect();
    format!(
        "{:#?} {:#?} {:#?} {} {} {} {}",
        (&run.id, &run.namespace, &run.name, &run.labels),
        (&run.templates, run.created_at, run.not_before),
        (
            run.conclude_after,
            run.started_at,
            run.completed_at,
            run.stop
        ),
        run.phase,
        run.message,
        metrics.join("\n"),
        plan.join("\n"),
    )
}

fn check(run: &Run) {
    let document = told(run);
    let back = read::run(&document).unwrap_or_else(|error| panic!("{error}\n{document:#}"));
    assert_eq!(shown(&back), shown(&as_told(run.clone())));
    assert_eq!(back.explanation(), run.explanation());
    assert_eq!(back.has_evidence(), run.has_evidence());
    assert_eq!(back.plan.analysis.written(), run.plan.analysis.written());
    assert_eq!(told(&back), document);
}

fn planned(spec: &Value) -> Option<Plan> {
    let overrides = Overrides {
        server: Some(Server::Named("oap".to_owned())),
    };
    let analysis = Analysis::of_written("bookinfo", spec);
    Plan::make(&analysis, &overrides, &|_, _, _| Err("none".to_owned())).ok()
}

/// A spec of a few metrics with whatever limits.
fn plans() -> impl Strategy<Value = Plan> {
    let limits = (0..6i64, -1..4i64, 0..3i64, 0..5i64, 0..4i64, 0..4i64);
    let interval = prop_oneof![Just(None), Just(Some("10s")), Just(Some("1m"))];
    let metric = (interval, limits, any::<bool>(), 1..5i32);
    vec(metric, 1..4).prop_filter_map("a plan", |metrics| {
        let mut spec = json!({"metrics": [], "dryRun": [], "measurementRetention": []});
        let add = |spec: &mut Value, field: &str, value: Value| {
            spec[field].as_array_mut().expect("a list").push(value);
        };
        for (i, (interval, limits, is_dry, retention)) in metrics.into_iter().enumerate() {
            let (count, failure, inconclusive, error, success, failures) = limits;
            let name = format!("m{i}");
            let mut metric = json!({
                "name": name,
                "failureLimit": failure, "inconclusiveLimit": inconclusive,
                "consecutiveErrorLimit": error, "consecutiveSuccessLimit": success,
                "consecutiveFailureLimit": failures,
                "successCondition": "all(values >= 9900)",
                "provider": {"skywalking": {
                    "interval": "3m", "expression": "service_apdex", "noDataTimeout": "2m",
                    "entity": {"scope": "Service", "serviceName": "a", "normal": true},
                }},
            });
            if let Some(interval) = interval {
                metric["interval"] = interval.into();
                metric["count"] = count.into();
            }
            add(&mut spec, "metrics", metric);
            let rule = format!("^{name}$");
            if is_dry {
                add(&mut spec, "dryRun", json!({"metricName": rule}));
            }
            let retention = json!({"metricName": rule, "limit": retention});
            add(&mut spec, "measurementRetention", retention);
        }
        planned(&spec)
    })
}

fn runs() -> impl Strategy<Value = Run> {
    let conclude_after = option::of(0..600u64);
    (plans(), conclude_after, any::<bool>()).prop_map(|(plan, conclude_after, labelled)| {
        // The moment at which the clock of the laws begins.
        let created_at = Timestamp::from_millisecond(1_800_000_000_000).expect("a moment");
        let id = RunId("7f1c".to_owned());
        let mut run = Run::new(id, "bookinfo", "reviews", Arc::new(plan), created_at);
        run.conclude_after = conclude_after.map(Duration::from_secs);
        if labelled {
            run.labels = [("team".to_owned(), "a.b/c".to_owned())].into();
            run.templates = vec!["apdex".to_owned(), "clustertemplates/x".to_owned()];
        }
        run
    })
}

fn explanations() -> impl Strategy<Value = Explanation> {
    let kind = prop_oneof![
        Just(PointKind::Data),
        Just(PointKind::Gap),
        Just(PointKind::Unsettled),
        Just(PointKind::Stale),
        Just(PointKind::ZeroOrNothing),
    ];
    let value = prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
        (0..10_000i32).prop_map(f64::from),
        (0..100_000i32).prop_map(|value| f64::from(value) / 3.0),
    ];
    let points = vec(
        (option::of(0..9i64), option::of(value), kind, any::<bool>()),
        0..5,
    );
    let series = vec(("[a-z{}=\"é ]{0,9}", points), 0..3);
    let window = (
        prop_oneof![Just(Step::Minute), Just(Step::Hour), Just(Step::Day)],
        prop_oneof![Just(0), Just(19_800), Just(-12_600), Just(49_500)],
        0..5i64,
    );
    let decided = option::of((any::<bool>(), any::<bool>(), ".{0,9}"));
    let error = prop_oneof![
        3 => Just(None),
        1 => Just(Some(ErrorClass::Unreachable)),
        1 => Just(Some(ErrorClass::WrongKindOfMetric)),
    ];
    let skew = option::of(-9_000_000_000i64..9_000_000_000);
    (series, option::of(window), decided, error, skew, ".{0,9}").prop_map(
        |(series, window, decided, error, skew, text)| {
            let start = Timestamp::from_second(1_800_000_000).expect("a moment");
            let after = |seconds: i64| {
                start
                    .checked_add(SignedDuration::from_secs(seconds))
                    .expect("a moment")
            };
            let deciding = series.iter().enumerate().flat_map(|(i, (_, points))| {
                let deciding = points.iter().enumerate().filter(|(_, point)| point.3);
                deciding.map(move |(j, _)| (i, j))
            });
            let decided = decided.map(|(success, holds, text)| Decided {
                side: if success {
                    Side::Success
                } else {
                    Side::Failure
                },
                condition: text.clone(),
                holds,
                reason: text,
                points: deciding.collect(),
            });
            Explanation {
                server: "http://oap:12800".to_owned(),
                request: text.clone(),
                window: window.map(|(step, zone, buckets)| {
                    let width = i64::try_from(step.width().as_secs()).expect("a day at most");
                    let zone = Offset::from_seconds(zone).expect("a zone");
                    Window::told(start, after(width * buckets), step, zone)
                }),
                skew: skew.map(SignedDuration::from_nanos),
                series: series
                    .iter()
                    .map(|(name, points)| Series {
                        name: name.clone(),
                        path: None,
                        points: points
                            .iter()
                            .map(|(at, value, kind, _)| Point {
                                at: at.map(|minutes| after(minutes * 60)),
                                value: *value,
                                kind: *kind,
                            })
                            .collect(),
                    })
                    .collect(),
                decided,
                no_data: series.len() == 1,
                error,
                notes: vec![text],
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_run_read_back_is_the_run_that_was_told(
        run in runs(),
        ops in ops(),
        whys in vec(explanations(), 4),
    ) {
        let mut world = World::new(run);
        check(&world.run);
        for op in &ops {
            world.live(op);
        }
        let mut run = world.run;
        let whys = whys.into_iter().cycle();
        let measured = run.metrics.iter_mut().flat_map(|metric| &mut metric.measurements);
        for (measured, why) in measured.zip(whys) {
            measured.explanation = Some(Box::new(why));
        }
        check(&run);
    }

    #[test]
    fn measurements_read_back_are_those_that_were_told(whys in vec(explanations(), 3)) {
        let plan = planned(&two_metrics()).expect("a plan");
        let at = Timestamp::from_millisecond(1_800_000_000_123).expect("a moment");
        let measured: Vec<Measurement> = whys
            .into_iter()
            .zip([true, false])
            .map(|(why, counts)| Measurement {
                number: 1,
                phase: skygate::domain::measurement::Phase::Failed,
                counts,
                message: "why".to_owned(),
                value: "{}".to_owned(),
                started_at: at,
                finished_at: counts.then_some(at),
                explanation: counts.then(|| Box::new(why)),
            })
            .collect();
        let names = ["a", "b"];
        let named = || names.into_iter().zip(&measured);
        let text = serde_json::to_string(&Measured::new(named()).with_spec(&plan)).expect("JSON");
        let back = read::measured(&serde_json::from_str(&text).expect("JSON"));
        let back = back.expect("what was told can be read");
        let back: Vec<(&str, &Measurement)> = back
            .metrics()
            .map(|(metric, measured)| (metric.name.as_str(), measured))
            .collect();
        prop_assert_eq!(back, named().collect::<Vec<_>>());
    }
}

fn two_metrics() -> Value {
    let metric = |name: &str| {
        json!({"name": name, "provider": {"skywalking": {
            "interval": "3m", "address": "http://oap:12800", "query": "{ version }",
        }}})
    };
    json!({"metrics": [metric("a"), metric("b")]})
}

/// A run of the reference template, told at every step.
async fn played(script: &str, change: impl FnOnce(&mut Run)) -> Run {
    let mut stage = Stage::script(script).await;
    let mut run = stage.run(SEED);
    run.conclude_after = Some(Duration::from_mins(40));
    change(&mut run);
    stage.engine.start(&run).await.expect("a new run");
    loop {
        let due = stage.tick().await;
        let now = stage.get(&run.id).await;
        check(&now);
        match due {
            Some(due) => stage.clock.move_to(due),
            None => return now,
        }
    }
}

#[tokio::test]
async fn whatever_an_oap_says_is_read_back() {
    for (script, expected) in [
        ("canary=healthy", "Successful"),
        ("canary=degraded@5m", "Failed"),
        ("canary=frustrated", "Failed"),
        ("canary=gappy", "Successful"),
        ("canary=absent", "Inconclusive"),
        ("canary=malformed", "Error"),
    ] {
        let run = played(script, |_| {}).await;
        assert_eq!(run.phase.name(), expected, "{script}");
    }
    played("canary=healthy", |run| {
        run.not_before = run.created_at.checked_add(Duration::from_mins(3)).ok();
    })
    .await;
}

/// A run of a template that takes a secret, which is supplied or found, and what is told of it.
fn secretive(supplied: &[Argument]) -> (Run, Value) {
    let manifest = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "secretive"},
        "spec": {
            "args": [{"name": "tok", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "metrics": [{"name": "m", "provider": {"skywalking": {
                "address": "http://oap:12800", "interval": "1m", "expression": "service_apdex",
                "entity": {"scope": "Service", "serviceName": "<< args.tok >>", "normal": true},
            }}}],
        },
    });
    let request = Request {
        namespace: "default".to_owned(),
        templates: vec![TemplateRef::new(Kind::Namespaced, "secretive")],
        args: supplied.to_vec(),
        ..Request::default()
    };
    let template = Template::decode(&manifest).expect("a template");
    let library = Library::gather(vec![template]).expect("a library");
    let analysis = Analysis::assemble(&library, &request);
    let plan = Plan::make(&analysis, &Overrides::default(), &|_, _, _| {
        Ok("HUNTER2".to_owned())
    });
    let plan = Arc::new(plan.expect("a plan"));
    let run = Run::new(
        RunId("1".to_owned()),
        "default",
        "secretive",
        plan,
        Timestamp::UNIX_EPOCH,
    );
    let document = told(&run);
    (run, document)
}

#[test]
fn secrets_are_not_told_and_not_missed() {
    for supplied in [vec![], vec![Argument::new("tok", "HUNTER2")]] {
        let (run, document) = secretive(&supplied);
        assert!(!document.to_string().contains("HUNTER2"), "{document:#}");
        let back = read::run(&document).expect("what was told can be read");
        assert_eq!(back.plan.unready, None);
        let entity = format!("{:?}", back.plan.metrics[0].source.ask);
        assert!(entity.contains("*****"), "{entity}");
        assert_eq!(told(&back)["spec"], document["spec"]);
        assert_eq!(run.plan.metrics.len(), 1);
    }
}

fn seeded() -> Value {
    let plan = planned(&two_metrics()).expect("a plan");
    let id = RunId("1".to_owned());
    let run = Run::new(id, "default", "two", Arc::new(plan), Timestamp::UNIX_EPOCH);
    told(&run)
}

#[test]
fn what_a_newer_server_says_in_addition_is_passed_over() {
    let mut document = seeded();
    let before = shown(&read::run(&document).expect("a run"));
    document["mood"] = "good".into();
    document["status"]["mood"] = json!({"good": true});
    document["status"]["metricResults"][1]["mood"] = json!([1]);
    document["spec"]["mood"] = "good".into();
    document["spec"]["metrics"][1]["mood"] = json!({"a": 1});
    document["spec"]["metrics"][0]["provider"]["skywalking"]["mood"] = 1.into();
    let run = read::run(&document).expect("a run all the same");
    assert_eq!(shown(&run), before);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut document = seeded();
        change(&mut document);
        let error = read::run(&document).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    let status = |field: &str, value: Value| {
        let field = field.to_owned();
        move |document: &mut Value| document["status"][&field] = value.clone()
    };
    check(
        &|it| *it = json!([]),
        "an object was expected, found a list",
    );
    check(
        &|it| {
            it["status"]["metricResults"][1]
                .as_object_mut()
                .expect("an object")
                .remove("taken");
        },
        "status.metricResults[1].taken: missing",
    );
    check(
        &status("phase", "Fine".into()),
        "status.phase: one of Pending, Running, Successful, Failed, Error, Inconclusive was expected, found `Fine`",
    );
    check(
        &status("startedAt", "noon".into()),
        "status.startedAt: a moment such as 2026-11-23T09:12:00Z was expected, found `noon`",
    );
    check(
        &status("metricResults", json!([])),
        "status: says nothing of the metric `a`",
    );
    check(
        &status("stop", "Bored".into()),
        "status.stop: one of Terminated, Concluded, Metric was expected, found `Bored`",
    );
    check(
        &|it| it["metadata"]["labels"] = json!({"a": 1}),
        "metadata.labels.a: a text was expected, found `1`",
    );
    check(
        &|it| it["spec"]["metrics"][0]["interval"] = "soon".into(),
        "makes no plan here: spec.metrics[0].interval: invalid interval string: time: invalid duration \"soon\" (hint: durations are written 90s, 5m or 1h30m)",
    );
}

/// The moments of the laws are whole milliseconds; those of a real clock aren't.
#[test]
fn moments_are_cut_and_not_rounded() {
    let plan = planned(&two_metrics()).expect("a plan");
    let created_at = Timestamp::from_nanosecond(1_799_999_999_999_999_999).expect("a moment");
    let id = RunId("1".to_owned());
    let run = Run::new(id, "default", "two", Arc::new(plan), created_at);
    assert_eq!(
        told(&run)["metadata"]["creationTimestamp"],
        "2027-01-15T07:59:59.999Z"
    );
    check(&run);
}
