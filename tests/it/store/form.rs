//! The stored form: what is read is what was written, whatever it was.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use proptest::option::of;
use proptest::prelude::*;
use skygate::domain::assess::{Counts, Struck};
use skygate::domain::measurement::{Decided, Explanation, Measurement, Phase, Side};
use skygate::domain::plan::Plan;
use skygate::domain::reading::{ErrorClass, PathStep, Point, PointKind, Series};
use skygate::domain::run::{InFlight, MetricRun, Run, RunId, Stop};
use skygate::domain::window::{Step, Window, WindowParts};
use skygate::ports::{Inserted, Store};
use skygate::store::SqliteStore;

use super::{everything, planner};
use crate::harness::{fake_plan, metric};

fn moments() -> impl Strategy<Value = Timestamp> {
    let seconds = prop_oneof![
        4 => 1_700_000_000..1_900_000_000_i64,
        1 => Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
    ];
    let nanoseconds = prop_oneof![Just(0), 0..1_000_000_000_i32];
    (seconds, nanoseconds).prop_map(|(second, nanosecond)| {
        Timestamp::new(second, nanosecond).unwrap_or(Timestamp::MAX)
    })
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[ -~]{0,20}",
        1 => any::<String>(),
        1 => Just("\u{0}\"\\\n{{ args.x }}\u{2028}".to_owned()),
    ]
}

fn phases() -> impl Strategy<Value = Phase> {
    prop::sample::select(vec![
        Phase::Pending,
        Phase::Running,
        Phase::Successful,
        Phase::Failed,
        Phase::Error,
        Phase::Inconclusive,
    ])
}

fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0),
        Just(0.1 + 0.2),
    ]
}

fn points() -> impl Strategy<Value = Point> {
    let kinds = prop::sample::select(vec![
        PointKind::Data,
        PointKind::Gap,
        PointKind::Unsettled,
        PointKind::Stale,
        PointKind::ZeroOrNothing,
    ]);
    (of(moments()), of(numbers()), kinds).prop_map(|(at, value, kind)| Point { at, value, kind })
}

fn series() -> impl Strategy<Value = Series> {
    let steps = prop_oneof![
        texts().prop_map(PathStep::Key),
        any::<usize>().prop_map(PathStep::Index),
    ];
    let path = of(prop::collection::vec(steps, 0..3));
    let points = prop::collection::vec(points(), 0..4);
    (texts(), path, points).prop_map(|(name, path, points)| Series { name, path, points })
}

fn windows() -> impl Strategy<Value = Window> {
    let steps = prop::sample::select(vec![Step::Minute, Step::Hour, Step::Day]);
    let zones = -50_400..50_400_i32;
    (moments(), moments(), moments(), steps, zones).prop_map(
        |(one, other, settled_until, step, zone)| {
            let parts = WindowParts {
                first: one.min(other),
                last: one.max(other),
                step,
                zone: Offset::from_seconds(zone).expect("as it should be"),
                settled_until,
            };
            let window = Window::of_parts(parts).expect("a window");
            assert_eq!(window.parts(), parts);
            window
        },
    )
}

fn decisions() -> impl Strategy<Value = Decided> {
    let sides = prop::sample::select(vec![Side::Success, Side::Failure]);
    let points = prop::collection::vec(any::<(usize, usize)>(), 0..3);
    (sides, texts(), any::<bool>(), texts(), points).prop_map(
        |(side, condition, holds, reason, points)| Decided {
            side,
            condition,
            holds,
            reason,
            points,
        },
    )
}

fn explanations() -> impl Strategy<Value = Explanation> {
    let errors = prop::sample::select(vec![
        ErrorClass::Unreachable,
        ErrorClass::Refused,
        ErrorClass::Malformed,
        ErrorClass::BadQuery,
        ErrorClass::UnknownMetric,
        ErrorClass::IncompleteEntity,
        ErrorClass::WrongKindOfMetric,
        ErrorClass::Unsupported,
    ]);
    let skews = any::<i64>().prop_map(SignedDuration::from_nanos);
    (
        texts(),
        texts(),
        of(windows()),
        of(skews),
        prop::collection::vec(series(), 0..3),
        of(decisions()),
        any::<bool>(),
        of(errors),
        prop::collection::vec(texts(), 0..3),
    )
        .prop_map(
            |(server, request, window, skew, series, decided, no_data, error, notes)| Explanation {
                server,
                request,
                window,
                skew,
                series,
                decided,
                no_data,
                error,
                notes,
            },
        )
}

fn measurements() -> impl Strategy<Value = Measurement> {
    (
        phases(),
        any::<bool>(),
        texts(),
        texts(),
        moments(),
        of(moments()),
        of(explanations()),
    )
        .prop_map(
            |(phase, counts, message, value, started_at, finished_at, explanation)| Measurement {
                number: 0,
                phase,
                counts,
                message,
                value,
                started_at,
                finished_at,
                explanation: explanation.map(Box::new),
            },
        )
}

fn stops() -> impl Strategy<Value = Stop> {
    prop_oneof![
        Just(Stop::Terminated),
        Just(Stop::Concluded),
        any::<usize>().prop_map(Stop::Metric),
    ]
}

fn strikes() -> impl Strategy<Value = Struck> {
    (0..5, any::<u64>(), any::<i64>(), any::<Duration>()).prop_map(|(kind, n, limit, waited)| {
        match kind {
            0 => Struck::Failures { failed: n, limit },
            1 => Struck::FailuresInARow { failures: n, limit },
            2 => Struck::Inconclusives {
                inconclusive: n,
                limit,
            },
            3 => Struck::ErrorsInARow { errors: n, limit },
            _ => Struck::NoData { waited },
        }
    })
}

fn metric_runs() -> impl Strategy<Value = MetricRun> {
    let counts = any::<[u64; 8]>().prop_map(|n| Counts {
        successful: n[0],
        failed: n[1],
        inconclusive: n[2],
        error: n[3],
        count: n[4],
        consecutive_error: n[5],
        consecutive_success: n[6],
        consecutive_failure: n[7],
    });
    let in_flight =
        (any::<u64>(), moments()).prop_map(|(number, started_at)| InFlight { number, started_at });
    let history = (1..1_000_u64, prop::collection::vec(measurements(), 0..4));
    (
        (phases(), texts(), counts, of(strikes()), of(stops())),
        (any::<u64>(), any::<u64>(), history),
        (of(moments()), of(in_flight), of(moments())),
    )
        .prop_map(
            |(
                (phase, message, counts, struck, cut_short),
                (taken, good, (first, measurements)),
                (due_at, in_flight, waiting_since),
            )| {
                let number = |(number, it): (u64, Measurement)| Measurement { number, ..it };
                MetricRun {
                    phase,
                    message,
                    counts,
                    struck,
                    cut_short,
                    taken,
                    good,
                    measurements: (first..)
                        .zip(measurements)
                        .map(number)
                        .collect::<VecDeque<_>>(),
                    due_at,
                    in_flight,
                    waiting_since,
                }
            },
        )
}

fn plan() -> Arc<Plan> {
    fake_plan(&[metric("a", "interval: 1m"), metric("b", "count: 1")])
}

fn runs() -> impl Strategy<Value = Run> {
    let labels = prop::collection::btree_map(texts(), texts(), 0..3);
    let templates = prop::collection::vec(texts(), 0..3);
    (
        (texts(), texts(), labels, templates),
        (moments(), of(moments()), of(any::<Duration>())),
        (phases(), texts(), of(moments()), of(moments()), of(stops())),
        (metric_runs(), metric_runs()),
    )
        .prop_map(
            |(
                (namespace, name, labels, templates),
                (created_at, not_before, conclude_after),
                (phase, message, started_at, completed_at, stop),
                (one, other),
            )| Run {
                id: RunId("r".to_owned()),
                namespace,
                name,
                labels,
                templates,
                plan: plan(),
                created_at,
                not_before,
                conclude_after,
                phase,
                message,
                started_at,
                completed_at,
                stop,
                metrics: vec![one, other],
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_run_is_read_as_it_was_written(run in runs()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("as it should be");
        let store = SqliteStore::in_memory(planner()).expect("as it should be");
        let found = runtime.block_on(async {
            assert_eq!(store.insert(&run, None).await, Ok(Inserted::New));
            store.get(&run.id).await.expect("as it should be").expect("it is kept")
        });
        prop_assert_eq!(everything(&found), everything(&run));
    }
}

#[test]
fn what_is_no_window_does_not_become_one() {
    let first: Timestamp = "2026-11-23T10:01:00Z".parse().expect("as it should be");
    let parts = WindowParts {
        first,
        last: "2026-11-23T10:00:00Z".parse().expect("as it should be"),
        step: Step::Minute,
        zone: Offset::UTC,
        settled_until: first,
    };
    assert_eq!(Window::of_parts(parts), None);
}
