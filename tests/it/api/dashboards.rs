//! What panels show: runs, measurements as series and annotations, all as flat rows; and whether the Grafana dashboard finds it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use skygate::api::description;
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{
    Command, Event, Posted, Rollout, RolloutSpec, Settings, Version, Weight, step,
};

use super::{metric, run_of};
use crate::harness::{
    Answer, Served, Setup, ago, fake_plan, metric as harness_metric, run_of as harness_run,
};

/// The page at `path`: its rows, and what leads to the next one.
async fn page(served: &Served, path: &str) -> (Vec<Value>, Option<String>) {
    let answer = served.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer}");
    let page = answer.json();
    let rows = page["items"].as_array().expect("rows").clone();
    let next = page["next"].as_str().map(str::to_owned);
    assert!(next.is_some() || page["next"].is_null(), "{page}");
    (rows, next)
}

/// The rows at `path`, which has all of them.
async fn rows(served: &Served, path: &str) -> Vec<Value> {
    let (rows, next) = page(served, path).await;
    assert_eq!(next, None, "{path}");
    rows
}

/// All rows at `path`, which has a query, in pages of `limit`; each page is in order of time, and older than the one before.
async fn paged(served: &Served, path: &str, limit: usize) -> Vec<Value> {
    let mut all = Vec::new();
    let mut more = String::new();
    loop {
        let (mut found, next) = page(served, &format!("{path}&limit={limit}{more}")).await;
        assert!(found.len() <= limit, "{found:?}");
        assert_in_order(&found);
        found.extend(all);
        all = found;
        match next {
            Some(next) => more = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn assert_in_order(rows: &[Value]) {
    let time = |row: &Value| -> Timestamp { text(row, "time").parse().expect("a moment") };
    let times: Vec<Timestamp> = rows.iter().map(time).collect();
    assert!(times.is_sorted(), "{times:?}");
}

fn text<'v>(row: &'v Value, field: &str) -> &'v str {
    row[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field}: {row}"))
}

fn texts(rows: &[Value], field: &str) -> Vec<String> {
    rows.iter().map(|row| text(row, field).to_owned()).collect()
}

/// Whatever is described is there, in every row, and nothing within it.
fn assert_flat(rows: &[Value], schema: &str) {
    let described = serde_json::to_value(description()).expect("it is JSON");
    let schema = &described["components"]["schemas"][schema]["properties"];
    let fields: BTreeSet<&String> = schema.as_object().expect("fields").keys().collect();
    assert!(!rows.is_empty());
    for row in rows {
        let row = row.as_object().expect("a row");
        assert_eq!(row.keys().collect::<BTreeSet<_>>(), fields, "{row:?}");
        let is_flat = |value: &Value| !value.is_object() && !value.is_array();
        assert!(row.values().all(is_flat), "{row:?}");
    }
}

/// A service with two runs that are over, of four measurements and of two.
async fn measured() -> (Served, Value, Value) {
    let served = Setup::saying("SFSF").start().await;
    let first = format!(
        "namespace: shop\nname: first\nlabels: {{ app: cart }}\nspec: {{ metrics: [{}, {}], dryRun: [{{ metricName: b }}] }}",
        metric("a", "interval: 1m, count: 2, failureLimit: 2"),
        metric("b", "interval: 1m, count: 2, failureLimit: 2"),
    );
    let run = served.start_run(first).await;
    let first = served.await_end(&run).await;
    let second = format!(
        "namespace: bookinfo\nname: second\n{}",
        run_of("interval: 1m, count: 2, failureLimit: 2")
    );
    let run = served.start_run(second).await;
    let second = served.await_end(&run).await;
    (served, first, second)
}

#[tokio::test]
async fn measurements_are_a_series() {
    let (served, first, second) = measured().await;
    let found = rows(&served, "/api/v1/measurements").await;
    assert_flat(&found, "MeasurementRow");
    assert_in_order(&found);
    assert_eq!(found.len(), 6);
    // A row says what the run says.
    for run in [&first, &second] {
        for result in run["status"]["metricResults"].as_array().expect("metrics") {
            for measurement in result["measurements"].as_array().expect("measurements") {
                let is_it = |row: &&Value| {
                    row["run"] == run["metadata"]["uid"]
                        && row["metric"] == result["name"]
                        && row["number"] == measurement["number"]
                };
                let row = found.iter().find(is_it).expect("a row");
                assert_eq!(row["time"], measurement["finishedAt"]);
                assert_eq!(row["namespace"], run["metadata"]["namespace"]);
                assert_eq!(row["name"], run["metadata"]["name"]);
                assert_eq!(row["phase"], measurement["phase"]);
                assert_eq!(row["dryRun"], result["name"] == "b");
                let why = &measurement["explanation"];
                assert_eq!(row["series"], why["series"][0]["name"]);
                let value = &why["series"][0]["points"][0]["value"];
                for field in ["value", "min", "max", "mean"] {
                    assert_eq!(&row[field], value, "{field}: {row}");
                }
                assert_eq!(row["count"], 1);
                assert_eq!(row["reason"], why["reason"]);
                assert_eq!(row["windowFrom"], why["window"]["from"]);
                assert_eq!(row["windowTo"], why["window"]["to"]);
            }
        }
    }
    // Every parameter keeps out what it should.
    let id = text(&first["metadata"], "uid");
    // The second run's first: two metrics of one run may be measured in the same moment.
    let middle = text(&found[4], "time");
    for (query, expected) in [
        ("namespace=shop", 4),
        ("name=second", 2),
        ("label=app=cart", 4),
        ("label=app=cart&metric=a", 2),
        ("metric=a&metric=b", 6),
        ("metric=c", 0),
        ("template=none", 0),
        (&format!("run={id}"), 4),
        (&format!("run={id}&metric=b&limit=2"), 2),
        (&format!("run={id}&namespace=bookinfo"), 0),
        ("run=nowhere", 0),
        ("phase=Successful", 3),
        ("phase=Failed&phase=Successful", 6),
        ("phase=Error,Inconclusive", 0),
        (&format!("from={middle}"), 2),
        (&format!("to={middle}"), 4),
        (&format!("from={middle}&to={middle}"), 0),
    ] {
        let found = rows(&served, &format!("/api/v1/measurements?{query}")).await;
        assert_eq!(found.len(), expected, "{query}: {found:#?}");
    }
    // Grafana's moments are milliseconds, a shell's seconds.
    let begun = ago(&served, Duration::from_hours(1));
    for from in [begun.as_second(), begun.as_millisecond()] {
        let query = format!("/api/v1/measurements?from={from}&to={}", 4_102_444_800_u64);
        assert_eq!(rows(&served, &query).await.len(), 6, "{query}");
    }
}

#[tokio::test]
async fn measurements_come_in_pages() {
    let (served, first, _) = measured().await;
    let whole = rows(&served, "/api/v1/measurements").await;
    let key = |row: &Value| format!("{} {} {}", row["run"], row["metric"], row["number"]);
    let keys = |rows: &[Value]| rows.iter().map(key).collect::<Vec<_>>();
    for limit in 1..=7 {
        let found = paged(&served, "/api/v1/measurements?namespace=", limit).await;
        assert_eq!(keys(&found), keys(&whole), "{limit}");
        let run = text(&first["metadata"], "uid");
        let found = paged(&served, &format!("/api/v1/measurements?run={run}"), limit).await;
        assert_eq!(keys(&found), keys(&whole[..4]), "{limit}");
    }
    // A run that is gone meanwhile is left out, and those before it are not.
    let (_, next) = page(&served, "/api/v1/measurements?limit=1").await;
    let newest = text(&whole[5], "run");
    let gone = served.delete(&format!("/api/v1/runs/{newest}")).await;
    assert_eq!(gone.status, 204, "{gone}");
    let next = next.expect("there are more");
    let found = rows(&served, &format!("/api/v1/measurements?cursor={next}")).await;
    assert_eq!(keys(&found), keys(&whole[..4]));
}

/// No page makes the service read all that it keeps: a search for what is rare goes on where it was left off.
#[tokio::test]
async fn a_page_looks_through_so_many_runs() {
    let setup = Setup::saying("S");
    let now = setup.clock.now();
    let plan = fake_plan(&[harness_metric("a", "count: 1")]);
    for n in 0..5_010 {
        let mut run = harness_run(&format!("r{n:04}"), &plan, now - Duration::from_secs(n));
        run.phase = Phase::Successful;
        run.completed_at = Some(now);
        setup.store.insert(&run, None).await.expect("room");
    }
    let served = setup.start().await;
    let rare = "/api/v1/measurements?metric=a";
    let (found, next) = page(&served, rare).await;
    assert!(found.is_empty());
    let next = next.expect("there are more");
    assert!(
        rows(&served, &format!("{rare}&cursor={next}"))
            .await
            .is_empty()
    );
    let marks = paged(&served, "/api/v1/annotations?kind=run", 1_000).await;
    assert_eq!(marks.len(), 5_010);
}

#[tokio::test]
async fn what_could_not_be_measured_is_a_row_without_a_number() {
    let served = Setup::saying("EW").start().await;
    let run = served
        .start_run(run_of("interval: 1m, consecutiveErrorLimit: 3"))
        .await;
    served.await_measurements(&run, 2).await;
    let found = rows(&served, "/api/v1/measurements").await;
    let [error, nothing] = &found[..2] else {
        panic!("{found:#?}")
    };
    assert_eq!(error["phase"], "Error");
    assert_eq!(error["series"], "");
    assert!(text(error, "reason").contains("no answer"), "{error}");
    assert_eq!(nothing["phase"], "Inconclusive");
    assert_ne!(nothing["series"], "");
    for row in [error, nothing] {
        for field in ["value", "min", "max", "mean"] {
            assert_eq!(row[field], Value::Null, "{row}");
        }
        assert_eq!(row["count"], 0);
    }
}

/// A template of `api/examples`, kept in the namespace `default`.
async fn keep_example(served: &Served, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/examples");
    let template = fs::read_to_string(path.join(name)).expect("an example");
    let kept = served
        .post("/api/v1/templates?namespace=default", template)
        .await;
    assert_eq!(kept.status, 200, "{kept}");
}

#[tokio::test]
async fn each_series_is_a_row() {
    let (served, _sim) = Served::simulated(&["checkout=healthy"]).await;
    let run = json!({ "spec": { "metrics": [{
        "name": "slow",
        "interval": "5h",
        "successCondition": "series[\"p=99\"][0] > 0",
        "provider": { "skywalking": {
            "address": "http://oap.istio-system:12800",
            "interval": "3m",
            "expression": "service_percentile{p='50,99'}",
            "entity": { "serviceName": "checkout", "normal": true },
        } },
    }] } });
    let run = served.start_run(run.to_string()).await;
    let run = served.await_measurements(&run, 1).await;
    let why = &run["status"]["metricResults"][0]["measurements"][0]["explanation"];
    let series = why["series"].as_array().expect("series");
    assert!(series.len() > 1, "{why:#}");
    let found = rows(&served, "/api/v1/measurements").await;
    for series in series {
        let is_it = |row: &&Value| row["series"] == series["name"] && row["number"] == 1;
        let row = found.iter().find(is_it).expect("a row");
        let points = series["points"].as_array().expect("points");
        let numbers: Vec<f64> = points
            .iter()
            .filter_map(|point| point["value"].as_f64())
            .collect();
        assert_eq!(row["value"].as_f64(), numbers.last().copied());
        assert_eq!(row["count"], numbers.len());
        assert_eq!(
            row["max"].as_f64(),
            numbers.iter().copied().reduce(f64::max)
        );
    }
}

#[tokio::test]
async fn a_run_is_listed_while_it_lives() {
    let (served, first, second) = measured().await;
    let run = served
        .start_run("name: third\n".to_owned() + &run_of("interval: 5h, failureLimit: 5"))
        .await;
    served.await_measurements(&run, 1).await;
    let names = async |query: &str| {
        let found = rows(&served, &format!("/api/v1/runs?{query}")).await;
        texts(&found, "name").join(" ")
    };
    let end = text(&first["status"], "completedAt");
    let begin = text(&second["metadata"], "creationTimestamp");
    // It was created before, and ended within.
    assert_eq!(names(&format!("from={end}&to={begin}")).await, "first");
    assert_eq!(names(&format!("from={begin}")).await, "third second");
    assert_eq!(names(&format!("to={begin}")).await, "first");
    assert_eq!(names("from=4102444800").await, "third");
    assert_eq!(names("name=second").await, "second");
}

/// Keeps a rollout of `shop/cart` in the service, as a stepper does: its canary got 20 %, then somebody aborted it.
async fn keep_rollout(served: &Served) {
    let document = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": { "name": "cart" },
        "spec": { "strategy": { "canary": { "steps": [{ "setWeight": 20 }, { "pause": {} }] } } },
    });
    let spec = Arc::new(RolloutSpec::read(&document).expect("a Rollout"));
    let now = served.app.ports.clock.now();
    let begin = Rollout::new(
        "shop",
        spec,
        Version::named("v2"),
        None,
        Settings::default(),
        now,
    );
    let abort = Posted {
        number: 1,
        command: Command::Abort,
        seen: None,
    };
    let events = [
        Event::Tick,
        Event::Routed {
            weight: Weight::new(20).expect("a percentage"),
        },
        Event::Command(abort),
        Event::Routed {
            weight: Weight::NONE,
        },
    ];
    let mut rollout = begin;
    for (second, event) in (0..).zip(events) {
        let at = now + Duration::from_secs(second);
        rollout = step(rollout, event, at).0;
    }
    let place = "/api/v1/rollouts/shop/cart";
    let lease = served
        .post(&format!("{place}/lease"), r#"{"holder": "test"}"#)
        .await;
    let save = json!({ "fence": lease.json()["fence"], "rollout": rollout.to_record() });
    let save = served.request(Method::PUT, place).body(save.to_string());
    let saved = Answer::of(save.header("if-none-match", "*")).await;
    assert!([200, 201, 204].contains(&saved.status), "{saved}");
}

/// Has Flagger tell of a canary of `shop`, and ask about it.
async fn call_for_canary(served: &Served) {
    let call = async |hook: &str, phase: &str, metadata: Value| {
        let body = json!({
            "name": "checkout", "namespace": "shop", "phase": phase, "checksum": "1", "metadata": metadata,
        });
        let path =
            format!("/flagger/{hook}?template=apdex&namespace=default&args.service-name=checkout");
        let answer = served.post(&path, body.to_string()).await;
        assert!(matches!(answer.status, 200 | 403), "{answer}");
        answer.status
    };
    let said = json!({ "eventMessage": "Starting canary analysis for checkout.shop", "eventType": "Normal", "timestamp": "1795425120000" });
    call("event", "Progressing", said).await;
    assert_eq!(
        call("confirm-traffic-increase", "Progressing", json!({})).await,
        200
    );
    call("confirm-promotion", "WaitingPromotion", json!({})).await;
    call("rollback", "Progressing", json!({})).await;
    call("post-rollout", "Failed", json!({})).await;
}

#[tokio::test]
async fn what_happened_is_annotated() {
    let (served, first, _) = measured().await;
    let since = served.app.ports.clock.now();
    keep_rollout(&served).await;
    let template = super::template("apdex", "interval: 5h, failureLimit: 5")
        .replace("spec: {", "spec: { args: [{ name: service-name }], ");
    let kept = served
        .post("/api/v1/templates?namespace=default", template)
        .await;
    assert_eq!(kept.status, 200, "{kept}");
    call_for_canary(&served).await;

    let found = rows(&served, "/api/v1/annotations").await;
    assert_flat(&found, "Annotation");
    assert_in_order(&found);
    let ids: BTreeSet<String> = texts(&found, "id").into_iter().collect();
    assert_eq!(ids.len(), found.len(), "{found:#?}");

    // A run is a region from its start to its end, with the verdict.
    let runs = rows(&served, "/api/v1/annotations?kind=run").await;
    assert_eq!(runs.len(), 3);
    assert_eq!(runs[0]["id"], first["metadata"]["uid"]);
    assert_eq!(runs[0]["time"], first["metadata"]["creationTimestamp"]);
    assert_eq!(runs[0]["timeEnd"], first["status"]["completedAt"]);
    assert_eq!(runs[0]["text"], first["status"]["explanation"]);
    let phase = text(&first["status"], "phase");
    assert_eq!(runs[0]["title"], format!("first: {phase}"));
    assert!(text(&runs[0], "tags").starts_with(&format!("run,shop,{phase}")));

    // A rollout's are moments.
    let marks = rows(&served, "/api/v1/annotations?kind=rollout").await;
    assert_eq!(
        texts(&marks, "title"),
        [
            "cart: revision 1 begins",
            "cart: weight 20 %",
            "cart: aborted",
            "cart: weight 0 %"
        ]
    );
    assert!(marks.iter().all(|mark| mark["timeEnd"].is_null()));
    assert_eq!(marks[2]["tags"], "rollout,shop,Degraded");
    assert!(text(&marks[2], "text").contains("RolloutAborted"));

    // Of Flagger's calls those by which traffic moves.
    let marks = rows(&served, "/api/v1/annotations?kind=flagger").await;
    assert_eq!(
        texts(&marks, "title"),
        [
            "checkout: Flagger says",
            "checkout: more traffic is allowed",
            "checkout: the rollout is over"
        ]
    );
    assert_eq!(
        marks[0]["text"],
        "Starting canary analysis for checkout.shop"
    );
    assert_eq!(marks[2]["tags"], "flagger,shop,Failed");

    let of_canary = rows(&served, "/api/v1/runs?label=flagger-canary=checkout").await;
    let of_canary = text(&of_canary[0], "name");
    for (query, expected) in [
        ("kind=run,rollout", 7),
        ("kind=run&kind=rollout&kind=flagger", 10),
        ("namespace=shop", 8),
        ("namespace=default", 1),
        ("namespace=bookinfo", 1),
        ("name=cart", 4),
        ("name=checkout", 3),
        (&format!("name={of_canary}"), 1),
        ("template=apdex", 4),
        ("template=clustertemplates/apdex", 0),
        ("label=app=cart", 1),
        ("label=app=cart&kind=rollout", 0),
        (&format!("kind=run&from={since}"), 1),
        (&format!("kind=rollout&to={since}"), 0),
        (&format!("to={}", since.as_millisecond()), 2),
        ("kind=rollout,flagger&from=4102444800", 0),
    ] {
        let found = rows(&served, &format!("/api/v1/annotations?{query}")).await;
        assert_eq!(found.len(), expected, "{query}: {found:#?}");
    }
    for limit in 1..=11 {
        let pages = paged(&served, "/api/v1/annotations?namespace=", limit).await;
        assert_eq!(texts(&pages, "id"), texts(&found, "id"), "{limit}");
    }
}

/// The dashboard that is provisioned.
fn dashboard() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/grafana/skygate.json");
    let text = fs::read_to_string(path).expect("a dashboard");
    serde_json::from_str(&text).expect("JSON")
}

/// Every query of the dashboard, those of its annotations included.
fn targets(dashboard: &Value) -> Vec<Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let of_panels = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets").clone());
    let annotations = dashboard["annotations"]["list"].as_array();
    let annotations = annotations.expect("annotations").iter();
    of_panels
        .chain(annotations.map(|it| it["target"].clone()))
        .collect()
}

#[tokio::test]
async fn the_dashboard_finds_what_it_shows() {
    let (served, _sim) = Served::simulated(&["checkout=degraded", "away=outage"]).await;
    keep_example(&served, "apdex.yaml").await;
    for service in ["checkout", "away"] {
        let run = json!({
            "templates": [{ "templateName": "apdex" }],
            "args": [{ "name": "service-name", "value": service }],
            "concludeAfter": "15m",
        });
        let run = served.start_run(run.to_string()).await;
        served.await_end(&run).await;
    }
    keep_rollout(&served).await;
    call_for_canary(&served).await;

    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().expect("some");
    let now = served.app.ports.clock.now() + Duration::from_mins(1);
    let mut urls = 0;
    for target in targets(&dashboard) {
        let Some(url) = target["url"].as_str() else {
            continue;
        };
        urls += 1;
        // As Grafana fills it in: moments in milliseconds, and variables with what they are at first.
        let from = ago(&served, Duration::from_hours(3)).as_millisecond();
        let mut url = url
            .replace("${__from}", &from.to_string())
            .replace("${__to}", &now.as_millisecond().to_string());
        for variable in variables {
            let name = format!("${{{}}}", text(variable, "name"));
            let value = variable["current"]["value"].as_str().unwrap_or_default();
            url = url.replace(&name, value);
        }
        assert!(!url.contains('$'), "{url}");
        let found = rows(&served, &url).await;
        assert!(!found.is_empty(), "{url}");
        assert_eq!(target["root_selector"], "items");
        for column in target["columns"].as_array().expect("columns") {
            let of_type = |value: &Value| match text(column, "type") {
                "timestamp" => value.as_str().is_some_and(|it| it.ends_with('Z')),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                "string" => value.is_string(),
                other => panic!("{other}: {column}"),
            };
            let values = || found.iter().map(|row| row.get(text(column, "selector")));
            assert!(
                values().all(|value| value.is_some_and(|it| it.is_null() || of_type(it))),
                "{url}: {column} in {found:#?}"
            );
            assert!(
                values().flatten().any(of_type),
                "{url}: {column} is never there"
            );
        }
    }
    assert_eq!(urls, 5);
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_name_families_that_are_told() {
    let (served, _sim) = Served::simulated(&["checkout=healthy", "away=outage"]).await;
    keep_example(&served, "apdex.yaml").await;
    for service in ["checkout", "away"] {
        let run = json!({
            "templates": [{ "templateName": "apdex" }],
            "args": [{ "name": "service-name", "value": service }],
            "concludeAfter": "15m",
        });
        let run = served.start_run(run.to_string()).await;
        served.await_end(&run).await;
    }
    let told = served.get("/metrics").await.body;
    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/prometheus/alerts.yaml");
    let alerts = fs::read_to_string(alerts).expect("rules");
    let targets = targets(&dashboard());
    let of_dashboard = targets.iter().filter_map(|target| target["expr"].as_str());
    let of_alerts = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    let family = Regex::new(r"\b(?:skygate|analysis_run)_[a-z_]+").expect("a pattern");
    let named: BTreeSet<&str> = of_dashboard
        .chain(of_alerts)
        .flat_map(|expression| family.find_iter(expression))
        .map(|found| found.as_str())
        .collect();
    assert!(named.len() > 8, "{named:?}");
    for name in named {
        let declared = name
            .strip_suffix("_bucket")
            .or(name.strip_suffix("_count"))
            .unwrap_or(name);
        let is_told = told.contains(&format!("# TYPE {declared} "));
        assert!(is_told, "no {name} in {told}");
    }
}
