//! What an OAP tells about itself, how long that holds, and what is made of it.

use std::collections::BTreeSet;

use serde_json::json;
use skygate::domain::plan::{Gaps, Server, SourcePlan};
use skygate::domain::reading::{ErrorClass, PointKind};
use skygate::oap::{Directory, Oap, Options};
use skygate::ports::{MetricSource, Moment};

use super::stub::{
    CANARY, HandClock, Reply, Seen, Stub, address, apdex, client, expression, failure, query,
    read_of, read_seed, seed,
};

fn undefined(field: &str, on: &str) -> Reply {
    let message = format!(
        "Validation error (FieldUndefined@[service_apdex/values/values/{field}]) : Field '{field}' in type '{on}' is undefined"
    );
    Reply::Other(
        400,
        "application/json",
        json!({"errors": [{"message": message}]}).to_string(),
    )
}

#[tokio::test]
async fn it_is_found_out_once() {
    let stub = Stub::modern(|_| None).await;
    let oap = client(Options::default());
    read_seed(&oap, &stub.url).await.answer.unwrap();
    assert_eq!(
        stub.take_operations(),
        ["", "TimeInfo", "TypeFields", "TypeOfMetrics"]
    );
    read_seed(&oap, &format!("{}/", stub.url))
        .await
        .answer
        .unwrap();
    assert_eq!(stub.take_operations(), [""]);
    let plan = expression(&stub.url, "service_apdex");
    oap.read(&plan, Moment::default()).await.answer.unwrap();
    assert_eq!(stub.take_operations(), ["ExecExpression"]);
}

#[tokio::test]
async fn a_modern_server_is_asked_for_more_than_the_user_asked() {
    let stub = Stub::modern(|_| None).await;
    let reading = read_seed(&client(Options::default()), &stub.url).await;
    let asked = stub.take_reads();
    assert!(
        asked[0]
            .query()
            .contains("skygate_isEmptyValue: isEmptyValue"),
        "{}",
        asked[0].query()
    );
    assert!(
        !reading.request.contains("isEmptyValue"),
        "{}",
        reading.request
    );
    assert_eq!(asked[0].path, "/graphql");
}

#[tokio::test]
async fn an_old_server_is_not_asked_for_what_it_lacks() {
    let stub = Stub::modern(|seen| match seen.operation() {
        "TypeFields" => Some(Reply::Json(
            json!({"data": {"__type": {"fields": [{"name": "id"}, {"name": "value"}]}}}),
        )),
        "" if seen.query().contains("isEmptyValue") => Some(undefined("isEmptyValue", "KVInt")),
        _ => None,
    })
    .await;
    let reading = read_seed(&client(Options::default()), &stub.url).await;
    assert!(reading.answer.is_ok(), "{reading:?}");
    let asked = stub.take_reads();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].query().contains("skygate_id: id"));
}

#[tokio::test]
async fn a_server_that_hides_its_types_tells_by_its_first_answer() {
    let refused = "This request is not asking for introspection in good faith";
    for refusal in [
        Reply::Json(json!({"errors": [{"message": refused}]})),
        Reply::Other(403, "text/html", "<html>".into()),
        Reply::Json(json!({"data": {"__type": null}})),
    ] {
        let stub = Stub::modern(move |seen| match seen.operation() {
            "TypeFields" => Some(refusal.clone()),
            "" if seen.query().contains("isEmptyValue") => Some(undefined("isEmptyValue", "KVInt")),
            "" if seen.query().contains(": id") => Some(undefined("id", "KVInt")),
            _ => None,
        })
        .await;
        let oap = client(Options::default());
        let reading = read_seed(&oap, &stub.url).await;
        assert!(reading.answer.is_ok(), "{reading:?}");
        assert_eq!(
            stub.take_reads().len(),
            3,
            "with both, without one, without any"
        );
        read_seed(&oap, &stub.url).await.answer.unwrap();
        assert_eq!(stub.take_operations(), [""], "it remembers");
    }
}

#[tokio::test]
async fn a_field_that_the_user_asks_an_old_server_for_is_named() {
    let stub =
        Stub::modern(|seen| (seen.operation() == "").then(|| undefined("isEmptyValue", "KVInt")))
            .await;
    let (class, text) = failure(&read_seed(&client(Options::default()), &stub.url).await);
    assert_eq!(class, ErrorClass::Unsupported);
    assert_eq!(
        text,
        "this OAP (10.4.0-b272da3) has no field `isEmptyValue` in `KVInt`, which came with 9.5; leave it out, or upgrade the OAP"
    );
}

/// A query of `metric` by `field`, and what becomes of it without the metric ever being read.
async fn check_kind(field: &str, metric: &str, class: ErrorClass, expected: &str) {
    let stub = Stub::modern(|_| None).await;
    let labels = if field.contains("Labeled") {
        r#"labels: ["0"], "#
    } else {
        ""
    };
    let plan = query(
        &stub.url,
        &format!(
            r#"query q($duration: Duration!) {{ m: {field}(condition: {{name: "{metric}", entity: {{scope: Service, serviceName: "a", normal: true}}}}, {labels}duration: $duration) {{ values {{ values {{ value }} }} }} }}"#
        ),
    );
    let reading = client(Options::default())
        .read(&plan, Moment::default())
        .await;
    assert_eq!(failure(&reading), (class, expected.to_owned()));
    assert_eq!(stub.take_reads().len(), 0);
}

#[tokio::test]
async fn a_metric_is_looked_at_before_it_is_read() {
    check_kind(
        "readMetricsValues",
        "service_apdx",
        ErrorClass::UnknownMetric,
        "the OAP knows no metric named `service_apdx`; did you mean `service_apdex`?",
    )
    .await;
    check_kind(
        "readMetricsValues",
        "throughput",
        ErrorClass::UnknownMetric,
        "the OAP knows no metric named `throughput`",
    )
    .await;
    check_kind(
        "readMetricsValues",
        "service_percentile",
        ErrorClass::WrongKindOfMetric,
        "`service_percentile` is a labelled metric, which `readMetricsValues` cannot read: use `readLabeledMetricsValues`, or an `expression` such as `service_percentile{p='99'}`",
    )
    .await;
    check_kind(
        "readLabeledMetricsValues",
        "service_apdex",
        ErrorClass::WrongKindOfMetric,
        "`service_apdex` has no labels, so `readLabeledMetricsValues` finds nothing: use `readMetricsValues`",
    )
    .await;
}

#[tokio::test]
async fn kinds_come_from_the_list_where_the_server_does_not_tell_one() {
    let stub = Stub::modern(|seen| {
        (seen.operation() == "TypeOfMetrics").then(|| undefined("typeOfMetrics", "Query"))
    })
    .await;
    let oap = client(Options::default());
    assert!(read_seed(&oap, &stub.url).await.answer.is_ok());
    let plan = query(&stub.url, &read_of("service_apdx"));
    assert_eq!(
        failure(&oap.read(&plan, Moment::default()).await).0,
        ErrorClass::UnknownMetric
    );

    let silent = Stub::modern(|seen| match seen.operation() {
        "TypeOfMetrics" | "ListMetrics" => Some(Reply::Other(403, "text/plain", String::new())),
        _ => None,
    })
    .await;
    assert!(
        read_seed(&client(Options::default()), &silent.url)
            .await
            .answer
            .is_ok()
    );
}

#[tokio::test]
async fn an_unknown_metric_in_an_expression_gets_its_nearest_name() {
    let stub = Stub::modern(|seen| {
        (seen.operation() == "ExecExpression").then(|| {
            Reply::Json(json!({"data": {"execExpression": {
                "type": "UNKNOWN", "error": "Metric: [service_apdx] does not exist.", "results": [],
            }}}))
        })
    })
    .await;
    let plan = expression(&stub.url, "avg(service_apdx)");
    let (class, text) = failure(
        &client(Options::default())
            .read(&plan, Moment::default())
            .await,
    );
    assert_eq!(class, ErrorClass::UnknownMetric);
    assert!(
        text.contains("`service_apdx`") && text.contains("`service_apdex`"),
        "{text}"
    );
}

#[tokio::test]
async fn an_expression_is_sent_with_nothing_that_an_old_server_lacks() {
    let stub = Stub::modern(|_| None).await;
    let plan = expression(&stub.url, "service_apdex/10000");
    let reading = client(Options::default())
        .read(&plan, Moment::default())
        .await;
    assert_eq!(reading.request, "service_apdex/10000");
    let asked = stub.take_reads();
    assert_eq!(
        asked[0].body["variables"],
        json!({
            "expression": "service_apdex/10000",
            "entity": {"scope": "Service", "serviceName": CANARY, "normal": true},
            "duration": {"start": "2026-11-23 0908", "end": "2026-11-23 0910", "step": "MINUTE"},
        })
    );
    for lacking in ["owner", "coldStage", "debug"] {
        assert!(!asked[0].query().contains(lacking), "{}", asked[0].query());
    }
}

#[tokio::test]
async fn a_service_without_data_that_was_never_seen_is_noted() {
    let empty = |seen: &Seen| (seen.operation() == "").then(|| Reply::Json(apdex(&[(0, true); 3])));
    let stub = Stub::modern(empty).await;
    let oap = client(Options::default());
    let notes = async |service: &str| {
        let reading = oap.read(&seed(&stub.url, service), Moment::default()).await;
        let notes = reading.answer.unwrap().notes;
        notes
            .into_iter()
            .filter(|note| note.contains("never seen"))
            .collect::<Vec<_>>()
    };
    assert_eq!(notes(CANARY).await, Vec::<String>::new());
    assert_eq!(
        notes("canari|reviews|bookinfo|cp-cluster-1|-").await,
        [
            "this OAP has never seen a service `canari|reviews|bookinfo|cp-cluster-1|-`; the nearest that it knows is `canary|reviews|bookinfo|cp-cluster-1|-`"
        ]
    );
    assert_eq!(
        notes("payment").await,
        ["this OAP has never seen a service `payment`"]
    );
    let looked_up = |seen: &[Seen]| {
        seen.iter()
            .filter(|it| it.operation() == "FindService")
            .count()
    };
    assert_eq!(looked_up(&stub.take()), 3);
    notes("payment").await;
    assert_eq!(looked_up(&stub.take()), 0);
}

#[tokio::test]
async fn the_zeros_of_a_service_that_was_never_seen_are_no_data() {
    // What an OAP of 9.4 answers for nothing, in a list and as a number.
    let stub = Stub::modern(|seen| match seen.operation() {
        "TypeFields" => Some(Reply::Json(
            json!({"data": {"__type": {"fields": [{"name": "id"}, {"name": "value"}]}}}),
        )),
        "" if seen.query().contains("readMetricsValue(") => {
            Some(Reply::Json(json!({"data": {"service_apdex": 0}})))
        }
        "" => Some(Reply::Json(apdex(&[(0, false); 3]))),
        _ => None,
    })
    .await;
    let number = |service: &str| {
        query(
            &stub.url,
            &format!(
                r#"query q($duration: Duration!) {{ service_apdex: readMetricsValue(condition: {{name: "service_apdex", entity: {{scope: Service, serviceName: "{service}", normal: true}}}}, duration: $duration) }}"#
            ),
        )
    };
    let oap = client(Options::default());
    let check = async |mut plan: SourcePlan, gaps, kind, value| {
        plan.gaps = gaps;
        let answer = oap.read(&plan, Moment::default()).await.answer.unwrap();
        let [series] = answer.series.as_slice() else {
            unreachable!("{answer:?}")
        };
        for point in &series.points {
            assert_eq!((point.kind, point.value), (kind, value));
        }
        assert_eq!(answer.without_data().is_empty(), kind != PointKind::Gap);
        assert_eq!(
            answer.notes.iter().any(|it| it.contains("never seen")),
            kind == PointKind::Gap,
            "{:?}",
            answer.notes
        );
        let list = &answer.result["service_apdex"]["values"]["values"];
        if let Some(list) = list.as_array() {
            assert_eq!(list.len(), series.values().count());
        }
    };
    let ambiguous = (PointKind::ZeroOrNothing, Some(0.0));
    check(
        seed(&stub.url, CANARY),
        Gaps::Skip,
        ambiguous.0,
        ambiguous.1,
    )
    .await;
    check(number(CANARY), Gaps::Skip, ambiguous.0, ambiguous.1).await;
    check(seed(&stub.url, "payment"), Gaps::Skip, PointKind::Gap, None).await;
    check(number("payment"), Gaps::Skip, PointKind::Gap, None).await;
    check(number("payment"), Gaps::Zero, PointKind::Gap, Some(0.0)).await;
}

#[tokio::test]
async fn a_name_means_the_server_that_it_was_given() {
    let stub = Stub::modern(|_| None).await;
    let directory = Directory::default().name("production", address(&stub.url));
    let oap = Oap::new(Options::default(), directory, HandClock::new()).unwrap();
    let mut plan = seed("", CANARY);
    plan.server = Server::Named("production".into());
    let reading = oap.read(&plan, Moment::default()).await;
    assert!(reading.answer.is_ok(), "{reading:?}");
    assert_eq!(reading.server, stub.url);

    plan.server = Server::Named("staging".into());
    let reading = oap.read(&plan, Moment::default()).await;
    assert_eq!(
        failure(&reading),
        (
            ErrorClass::Refused,
            "no OAP is known by the name `OAP` (named are `production`); name it as `NAME=URL`, or give its `address`".to_owned()
        )
    );
}

#[tokio::test]
async fn a_context_path_is_kept() {
    let stub = Stub::modern(|_| None).await;
    let reading = read_seed(&client(Options::default()), &format!("{}/sky/", stub.url)).await;
    assert!(reading.answer.is_ok());
    let paths: BTreeSet<String> = stub.take().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, BTreeSet::from(["/sky/graphql".to_owned()]));
}
