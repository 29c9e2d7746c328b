//! Which buckets are asked for: the OAP's zone, the OAP's clock, other versions, past moments.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skygate::domain::reading::{ErrorClass, PointKind};
use skygate::domain::window::Step;
use skygate::oap::Options;
use skygate::ports::{Clock, MetricSource, Moment};

use super::stub::{
    CANARY, HandClock, NOW, Reply, Stub, client, client_on, expression, failure, query, read_seed,
    seed, time_info,
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

#[tokio::test]
async fn the_window_is_in_the_zone_and_on_the_clock_of_the_oap() {
    let check = async |zone: &'static str, clock: &'static str, expected: &str| {
        let stub = Stub::modern(move |seen| {
            (seen.operation() == "TimeInfo").then(|| time_info(zone, clock))
        })
        .await;
        let reading = read_seed(&client(Options::default()), &stub.url).await;
        assert_eq!(stub.take_reads()[0].window(), expected);
        let time = reading.time.unwrap();
        assert_eq!(time.skew, at(clock).duration_since(at(NOW)));
        let notes = reading.answer.unwrap().notes.join("; ");
        assert_eq!(
            notes.contains("the OAP's clock is"),
            time.skew.abs() >= SignedDuration::from_secs(30),
            "{notes}"
        );
    };
    check("+0000", NOW, "2026-11-23 0908..2026-11-23 0910 MINUTE").await;
    check("+0530", NOW, "2026-11-23 1438..2026-11-23 1440 MINUTE").await;
    check("-0330", NOW, "2026-11-23 0538..2026-11-23 0540 MINUTE").await;
    check(
        "+0000",
        "2026-11-23T09:12:29Z",
        "2026-11-23 0907..2026-11-23 0909 MINUTE",
    )
    .await;
    check(
        "+0000",
        "2026-11-23T10:12:30Z",
        "2026-11-23 1008..2026-11-23 1010 MINUTE",
    )
    .await;
    check(
        "-0330",
        "2026-11-23T03:02:30Z",
        "2026-11-22 2328..2026-11-22 2330 MINUTE",
    )
    .await;
}

#[tokio::test]
async fn hours_and_days_are_asked_for_as_such() {
    let stub = Stub::modern(|_| None).await;
    let oap = client(Options::default());
    for (step, expected) in [
        (Step::Hour, "2026-11-23 07..2026-11-23 08 HOUR"),
        (Step::Day, "2026-11-21..2026-11-22 DAY"),
    ] {
        for mut plan in [
            seed(&stub.url, CANARY),
            expression(&stub.url, "service_apdex"),
        ] {
            plan.window.step = step;
            plan.window.interval = step.width() * 2;
            plan.window.settle = step.default_settle();
            oap.read(&plan, Moment::default()).await.answer.unwrap();
            assert_eq!(stub.take_reads()[0].window(), expected);
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_time_is_not_read() {
    for (told, shown) in [
        (json!(null), "nothing"),
        (
            json!({"timezone": null, "currentTimestamp": 1_795_425_150_000_i64}),
            "no zone and the moment 1795425150000",
        ),
        (
            json!({"timezone": "CET", "currentTimestamp": 1_795_425_150_000_i64}),
            "the zone `CET` and the moment 1795425150000",
        ),
        (
            json!({"timezone": "+0000", "currentTimestamp": null}),
            "the zone `+0000` and no moment",
        ),
    ] {
        let stub = Stub::modern(move |seen| {
            (seen.operation() == "TimeInfo")
                .then(|| Reply::Json(json!({"data": {"getTimeInfo": told}})))
        })
        .await;
        let (class, text) = failure(&read_seed(&client(Options::default()), &stub.url).await);
        assert_eq!(class, ErrorClass::Malformed);
        let expected = format!(
            "`OAP` doesn't tell its time (`getTimeInfo` answered {shown}), so no window can be chosen"
        );
        assert_eq!(text, expected);
        assert_eq!(stub.take_reads().len(), 0);
    }
}

#[tokio::test]
async fn the_time_is_asked_for_again_after_a_minute_a_quarter_of_an_hour_and_an_error() {
    let fails = Arc::new(Mutex::new(false));
    let (failing, clock) = (fails.clone(), HandClock::new());
    let theirs = clock.clone();
    let stub = Stub::modern(move |seen| match seen.operation() {
        "TimeInfo" => Some(time_info("+0000", &theirs.now().to_string())),
        "" if *failing.lock().unwrap() => Some(Reply::Json(json!({"errors": [{"message": "no"}]}))),
        _ => None,
    })
    .await;
    let oap = client_on(clock.clone(), Options::default());
    let asks = async || {
        let _ = read_seed(&oap, &stub.url).await;
        stub.take_operations().contains(&"TimeInfo".to_owned())
    };
    assert!(asks().await);
    clock.advance(Duration::from_secs(59));
    assert!(!asks().await);
    clock.advance(Duration::from_secs(1));
    assert!(asks().await, "a minute later");
    clock.advance(Duration::from_secs(50));
    assert!(!asks().await);
    clock.advance(Duration::from_secs(39));
    assert!(asks().await, "09:14:59, more than a minute later");
    assert!(!asks().await);
    clock.advance(Duration::from_secs(1));
    assert!(asks().await, "09:15:00, when a zone may change its offset");
    *fails.lock().unwrap() = true;
    assert!(!asks().await);
    assert!(asks().await, "after an error");
}

#[tokio::test]
async fn buckets_of_another_version_are_not_asked_for() {
    let stub = Stub::modern(|_| None).await;
    let oap = client(Options::default());
    let read = async |not_before: &str, expression_instead: bool| {
        let plan = if expression_instead {
            expression(&stub.url, "service_apdex")
        } else {
            seed(&stub.url, CANARY)
        };
        let moment = Moment {
            at: None,
            not_before: Some(at(not_before)),
        };
        oap.read(&plan, moment).await
    };
    for instead in [false, true] {
        let some = read("2026-11-23T09:08:30Z", instead).await;
        assert_eq!(
            stub.take_reads()[0].window(),
            "2026-11-23 0909..2026-11-23 0910 MINUTE"
        );
        let window = some.window.unwrap();
        assert_eq!(window.first(), at("2026-11-23T09:09:00Z"));

        let none = read("2026-11-23T09:12:00Z", instead).await;
        assert_eq!(stub.take_reads().len(), 0);
        assert_eq!(none.window, None);
        let answer = none.answer.unwrap();
        assert_eq!(answer.result, Value::Null);
        assert_eq!(answer.series.len(), 1);
        assert_eq!(answer.series[0].name, "service_apdex");
        let points: Vec<_> = answer.series[0]
            .points
            .iter()
            .map(|p| (p.at, p.value, p.kind))
            .collect();
        assert_eq!(
            points,
            [8, 9, 10].map(|minute| (
                Some(at(&format!("2026-11-23T09:{minute:02}:00Z"))),
                None,
                PointKind::Stale
            ))
        );
        assert_eq!(answer.without_data(), ["service_apdex"]);
    }
}

#[tokio::test]
async fn stale_buckets_stand_before_those_that_were_asked_for() {
    let stub = Stub::modern(|seen| {
        (seen.operation() == "ExecExpression").then(|| {
            let minute = |m: i64| (at("2026-11-23T09:00:00Z").as_millisecond() + m * 60_000).to_string();
            Reply::Json(json!({"data": {"execExpression": {"type": "TIME_SERIES_VALUES", "error": null, "results": [
                {"metric": {"labels": []}, "values": [{"id": minute(9), "value": "1"}, {"id": minute(10), "value": null}]},
            ]}}}))
        })
    })
    .await;
    let plan = expression(&stub.url, "service_apdex");
    let moment = Moment {
        at: None,
        not_before: Some(at("2026-11-23T09:08:01Z")),
    };
    let reading = client(Options::default()).read(&plan, moment).await;
    let answer = reading.answer.unwrap();
    let kinds: Vec<PointKind> = answer.series[0]
        .points
        .iter()
        .map(|point| point.kind)
        .collect();
    assert_eq!(kinds, [PointKind::Stale, PointKind::Data, PointKind::Gap]);
}

#[tokio::test]
async fn a_past_moment_has_the_window_of_then_and_the_settling_of_now() {
    let stub = Stub::modern(|_| None).await;
    let mut plan = seed(&stub.url, CANARY);
    plan.window.settle = Duration::ZERO;
    let moment = Moment {
        at: Some(at("2026-11-23T08:00:20Z")),
        not_before: None,
    };
    let reading = client(Options::default()).read(&plan, moment).await;
    assert_eq!(
        stub.take_reads()[0].window(),
        "2026-11-23 0757..2026-11-23 0800 MINUTE"
    );
    let window = reading.window.unwrap();
    assert!(window.buckets().all(|bucket| window.is_settled(bucket)));
}

#[tokio::test]
async fn an_answer_for_another_time_than_asked_is_not_judged() {
    let cases = [
        (
            "service_apdex_202611230857_Y2FuYXJ5.1",
            "202611230857",
            "2026-11-23 08:57",
        ),
        (
            "service_apdex_202611230911_Y2FuYXJ5.1",
            "1795425060000",
            "2026-11-23 09:11",
        ),
    ];
    for (id, mqe_id, shown) in cases {
        let stub = Stub::modern(move |seen| {
            let data = match seen.operation() {
                "" if seen.query().contains("execExpression") => {
                    json!({"e": {"type": "TIME_SERIES_VALUES", "results": [{"values": [{"id": mqe_id, "value": "1"}]}]}})
                }
                "" => json!({"service_apdex": {"values": {"values": [
                    {"value": 1, "skygate_id": id, "skygate_isEmptyValue": false},
                ]}}}),
                "ExecExpression" => {
                    json!({"execExpression": {"type": "TIME_SERIES_VALUES", "results": [{"values": [{"id": mqe_id, "value": "1"}]}]}})
                }
                _ => return None,
            };
            Some(Reply::Json(json!({ "data": data })))
        })
        .await;
        let embedded = r#"query q($duration: Duration!) { e: execExpression(expression: "service_apdex", entity: {scope: Service, serviceName: "a", normal: true}, duration: $duration) { type results { values { id value } } } }"#;
        for plan in [
            seed(&stub.url, CANARY),
            query(&stub.url, embedded),
            expression(&stub.url, "service_apdex"),
        ] {
            let reading = client(Options::default())
                .read(&plan, Moment::default())
                .await;
            assert_eq!(
                failure(&reading),
                (
                    ErrorClass::Malformed,
                    format!(
                        "the OAP answered for another time than asked: for {shown}, which is not within 2026-11-23 09:08 to 2026-11-23 09:10 (OAP time)"
                    )
                )
            );
        }
    }
}
