//! What real OAPs answered (`tests/data/oap`), asked again of the simulator: what passes here passes there.
//!
//! Held are status, content type and shape of every answer, and every value in it, except the figures that hang on
//! latencies which the simulator draws itself ([`DRAWN`]) and a few answers with a reason each ([`EXCEPTIONS`]).
//! The event API (`events.json`) is not simulated.
#![expect(
    clippy::unwrap_used,
    reason = "a helper may panic where the test around it may"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use skygate::domain::window::parse_zone;
use skygate::ports::Clock;
use skygate::sim::{Config, Fault, Flush, Generation, Reply, Request, Service, Sim, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A recorded file, and what its server had been through.
struct Recording {
    file: &'static str,
    /// When its traffic began, to the hour: older hours are empty.
    fed_since: &'static str,
    /// Whether it was fed twice up to 09:10.
    was_fed_twice: bool,
    /// A moment at which it flushed, as far as its newest minutes tell.
    flushed: &'static str,
}

const fn old(file: &'static str) -> Recording {
    Recording {
        file,
        fed_since: "2026-11-23T08:00:00Z",
        was_fed_twice: false,
        flushed: "2026-11-23T09:21:07.2Z",
    }
}

const fn new(file: &'static str) -> Recording {
    Recording {
        file,
        fed_since: "2026-11-23T06:00:00Z",
        was_fed_twice: true,
        flushed: "2026-11-23T09:14:13.8Z",
    }
}

const RECORDINGS: [Recording; 13] = [
    new("oap-10.4.0/preflight"),
    new("oap-10.4.0/failures"),
    new("oap-10.4.0/read_metrics_values"),
    new("oap-10.4.0/read_others"),
    new("oap-10.4.0/exec_expression"),
    new("oap-10.4.0/moments"),
    Recording {
        file: "oap-10.4.0/zones",
        fed_since: "2026-11-23T08:00:00Z",
        was_fed_twice: false,
        flushed: "2026-11-23T09:23:50Z",
    },
    old("oap-9.7.0/preflight"),
    old("oap-9.7.0/failures"),
    old("oap-9.7.0/read_metrics_values"),
    old("oap-9.7.0/read_others"),
    old("oap-9.7.0/exec_expression"),
    old("oap-9.7.0/moments"),
];

/// Answers whose numbers come out of drawn latencies and errors, or of the time that an answer took: held in everything else.
const DRAWN: [&str; 18] = [
    "time_info",
    "seed_degraded",
    "marked_degraded",
    "apdex_degraded",
    "service_sla_degraded",
    "service_resp_time_degraded",
    "resp_time",
    "arith_two",
    "read_metrics_value",
    "read_nullable_metrics_value",
    "read_labeled_metrics_values",
    "read_metrics_values_of_labeled",
    "percentile_all",
    "percentile_99",
    "percentile_two",
    "relabels",
    "aggregate_labels",
    "sort_values_label",
];

/// Answers that differ, and why that is right.
const EXCEPTIONS: [(&str, &str); 3] = [
    (
        "oap-10.4.0/read_others/sort_metrics",
        "two services share the fifth place, and the database gave the other one",
    ),
    (
        "oap-9.7.0/read_metrics_values/hour",
        "the server had been fed its past seconds before, and hours wait for a fourth round",
    ),
    (
        "oap-9.7.0/read_metrics_values/day",
        "the server had been fed its past seconds before, and days wait for a fourth round",
    ),
];

#[test]
fn every_recorded_answer_is_given_again() {
    let mut wrong = Vec::new();
    let mut drawn: BTreeSet<&str> = DRAWN.into();
    for recording in &RECORDINGS {
        let recorded = read(recording.file);
        let sim = simulated(&recorded, recording);
        for answer in recorded["answers"].as_array().unwrap() {
            let name = text(answer, "name");
            let full_name = format!("{}/{name}", recording.file);
            let reply = ask(&sim, answer);
            let exactly = compare(&answer["response"], &reply, false);
            let held = if DRAWN.contains(&name) {
                if exactly.is_err() {
                    drawn.remove(name);
                }
                compare(&answer["response"], &reply, true)
            } else {
                exactly
            };
            match (
                held,
                EXCEPTIONS.iter().any(|(known, _)| *known == full_name),
            ) {
                (Ok(()), false) | (Err(_), true) => {}
                (Ok(()), true) => wrong.push(format!("{full_name}: no exception any more")),
                (Err(difference), false) => wrong.push(format!("{full_name}: {difference}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(drawn.is_empty(), "need no excuse: {drawn:?}");
}

/// How often Argo's window fails a healthy service: a fifth of all moments, as recorded.
#[test]
fn minutes_settle_as_recorded() {
    let recorded = read("oap-10.4.0/settling");
    let rows = recorded["rows"].as_array().unwrap();
    let sim = simulated(
        &recorded,
        &Recording {
            file: "oap-10.4.0/settling",
            fed_since: "2026-11-23T06:00:00Z",
            was_fed_twice: false,
            flushed: "2026-11-23T09:26:46Z",
        },
    );
    let mut same = 0;
    let mut failed = 0;
    for row in rows {
        // A row says the second; it was asked somewhere within.
        let at: Timestamp = format!("2026-11-23T{}.5Z", text(row, "at"))
            .parse()
            .unwrap();
        let (apdex, cpm) = newest_minutes(&sim, at);
        same += u32::from(json!(apdex) == row["apdex"] && json!(cpm) == row["cpm"]);
        failed += u32::from(apdex.iter().any(|value| value.unwrap_or(0) < 9_900));
    }
    assert_eq!(rows.len(), 297);
    assert!(
        (42..=80).contains(&failed),
        "{failed} of 297 fail; 60 were recorded"
    );
    assert!(same >= 270, "only {same} of 297 rows are the same");
}

/// A bucket that ended a minute and a half ago never changes again.
#[test]
fn what_ended_ninety_seconds_ago_has_settled() {
    let recorded = read("oap-10.4.0/settling");
    let sim = simulated(&recorded, &new("oap-10.4.0/settling"));
    let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    for second in 0..600 {
        let at = start + Duration::from_secs(second);
        let (_, cpm) = newest_minutes(&sim, at);
        let began_ago = |minutes_back: u64| 60 * minutes_back + second % 60;
        let has_settled = |minutes_back: u64| began_ago(minutes_back) >= 60 + 90;
        let settled = (0..4).rev().zip(cpm).filter(|(back, _)| has_settled(*back));
        for (_, value) in settled {
            assert_eq!(value, Some(12), "{at}");
        }
    }
}

/// The last four minutes of `canary` up to the current one, as Argo's window for three minutes has them.
fn newest_minutes(sim: &Sim, at: Timestamp) -> (Vec<Option<i64>>, Vec<Option<i64>>) {
    let minute = |back: u64| (at - Duration::from_secs(60 * back)).strftime("%Y-%m-%d %H%M");
    let body = json!({
        "query": "query q($d: Duration!, $e: Entity!) {
            apdex: readMetricsValues(condition: {name: \"service_apdex\", entity: $e}, duration: $d) { ...P }
            cpm: readMetricsValues(condition: {name: \"service_cpm\", entity: $e}, duration: $d) { ...P }
        }
        fragment P on MetricsValues { values { values { value isEmptyValue } } }",
        "variables": {
            "d": {"start": minute(3).to_string(), "end": minute(0).to_string(), "step": "MINUTE"},
            "e": {"scope": "Service", "serviceName": "canary|reviews|bookinfo|cp-cluster-1|-", "normal": true},
        },
    });
    let reply = sim.answer_at(&Request::graphql(body.to_string().as_bytes()), at);
    let answer = reply.json().unwrap();
    let points = |key: &str| {
        let points = answer["data"][key]["values"]["values"].as_array();
        let points = points.unwrap_or_else(|| panic!("{answer}"));
        let value = |point: &Value| {
            (point["isEmptyValue"] == false).then(|| point["value"].as_i64().unwrap())
        };
        points.iter().map(value).collect()
    };
    (points("apdex"), points("cpm"))
}

fn read(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/oap/{file}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("`{key}` in {value}"))
}

/// A simulator of the recorded server.
fn simulated(recorded: &Value, recording: &Recording) -> Sim {
    let fed_since: Timestamp = recording.fed_since.parse().unwrap();
    let services = if recording.was_fed_twice {
        twice_fed(fed_since)
    } else {
        Service::recorded()
    };
    let config = Config {
        generation: match text(recorded, "oap") {
            "9.7.0" => Generation::V9_7,
            _ => Generation::V10_4,
        },
        zone: parse_zone(text(recorded, "timezone")).unwrap(),
        services,
        traffic_since: Some(fed_since),
        flush: Flush {
            anchor: recording.flushed.parse().unwrap(),
            ..Flush::default()
        },
        ..Config::new(fed_since)
    };
    Sim::new(config, Arc::new(StoppedClock))
}

/// The recorded services with twice their load up to 09:10.
fn twice_fed(start: Timestamp) -> Vec<Service> {
    let once: Timestamp = "2026-11-23T09:10:00Z".parse().unwrap();
    let minutes = (once.as_second() - start.as_second()) / 60;
    let script = |service: Service| {
        let written = service.to_string();
        let (name, script) = written.rsplit_once('=').unwrap();
        let (behaviour, rate) = script.split_once(':').unwrap_or((script, "12"));
        let twice = rate.parse::<u32>().unwrap() * 2;
        format!("{name}={behaviour}:{twice},{behaviour}:{rate}@{minutes}m")
            .parse()
            .unwrap()
    };
    let is_there = |service: &Service| !service.name().starts_with("absent");
    Service::recorded()
        .into_iter()
        .filter(is_there)
        .map(script)
        .collect()
}

/// A clock that stands still: every question is about a moment of its own.
#[derive(Debug)]
struct StoppedClock;

#[async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn ask(sim: &Sim, answer: &Value) -> Reply {
    let request = &answer["request"];
    let body = match (&request["body"], &request["body_text"]) {
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, body) => body.as_str().unwrap().to_owned(),
        (body, _) => body.to_string(),
    };
    let request = Request {
        method: text(request, "method"),
        path: text(request, "path"),
        content_type: request["headers"]["content-type"].as_str(),
        body: body.as_bytes(),
    };
    sim.answer_at(&request, text(answer, "at").parse().unwrap())
}

fn compare(recorded: &Value, reply: &Reply, is_drawn: bool) -> Result<(), String> {
    let head = |status: &Value, kind: &Value| json!({"status": status, "content_type": kind});
    same(
        "",
        &head(&recorded["status"], &recorded["content_type"]),
        &head(&json!(reply.status), &json!(reply.content_type)),
    )?;
    let (recorded, found) = match &recorded["body_text"] {
        Value::Null => (recorded["body"].clone(), reply.json().unwrap_or_default()),
        body => (body.clone(), json!(String::from_utf8_lossy(&reply.body))),
    };
    if is_drawn {
        same("", &without_figures(recorded), &without_figures(found))
    } else {
        same("", &recorded, &found)
    }
}

/// The same answer with every figure in it as `0`; ids, labels, emptiness and absence stay.
fn without_figures(answer: Value) -> Value {
    match answer {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                let value = match (key.as_str(), value) {
                    (_, Value::Number(_)) => json!(0),
                    ("value" | "message", Value::String(text)) => json!(digits_as_zero(&text)),
                    (_, value) => without_figures(value),
                };
                (key, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(without_figures).collect(),
        other => other,
    }
}

fn digits_as_zero(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_digit() { '0' } else { c };
        if c != '0' || !shown.ends_with('0') {
            shown.push(c);
        }
    }
    shown
}

/// Where two answers differ. A recorded list may say `"..."`: that so many points were left out.
fn same(path: &str, recorded: &Value, found: &Value) -> Result<(), String> {
    match (recorded, found) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => a
            .iter()
            .try_for_each(|(key, value)| same(&format!("{path}/{key}"), value, &b[key])),
        (Value::Array(a), Value::Array(b)) => {
            let gap = a.iter().position(|item| item.get("...").is_some());
            let (before, after, left_out) = match gap {
                Some(gap) => (&a[..gap], &a[gap + 1..], count_left_out(&a[gap])),
                None => (&a[..], &[][..], 0),
            };
            let count = before.len() + left_out + after.len();
            if b.len() != count {
                return Err(format!("{path}: {} items, not {count}", b.len()));
            }
            let found = b[..before.len()]
                .iter()
                .chain(&b[before.len() + left_out..]);
            let mut pairs = before.iter().chain(after).zip(found).enumerate();
            pairs.try_for_each(|(i, (a, b))| same(&format!("{path}/{i}"), a, b))
        }
        (a, b) if a == b => Ok(()),
        (a, b) => Err(format!("{path}: {b}, not {a}")),
    }
}

fn count_left_out(item: &Value) -> usize {
    let (count, _) = text(item, "...").split_once(' ').unwrap();
    count.parse().unwrap()
}

/// A served simulator and what stops it.
struct Running {
    sim: Arc<Sim>,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinSet<io::Result<()>>,
}

async fn running() -> Running {
    let config = Config::new("2026-11-23T10:00:00Z".parse().unwrap());
    let sim = Arc::new(Sim::new(config, Arc::new(StoppedClock)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let mut server = JoinSet::new();
    server.spawn(serve(listener, Arc::clone(&sim), async move {
        stopped.await.unwrap();
    }));
    Running {
        sim,
        address,
        stop,
        server,
    }
}

impl Running {
    async fn connect(&self, query: &str) -> TcpStream {
        let body = json!({ "query": query }).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: oap\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, query: &str) -> String {
        response(self.connect(query).await).await
    }

    async fn stop(mut self) {
        self.stop.send(()).unwrap();
        self.server.join_next().await.unwrap().unwrap().unwrap();
    }
}

async fn response(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn it_serves_over_http_and_counts() {
    let running = running().await;
    let answer = running.ask("query Ask { version }").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: application/json\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with(r#"{"data":{"version":"10.4.0-b272da3"}}"#),
        "{answer}"
    );

    running.sim.fail_next(
        1,
        &Fault::Redirect {
            to: "http://elsewhere/".to_owned(),
        },
    );
    let answer = running.ask("{ version }").await;
    assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
    assert!(
        answer.contains("location: http://elsewhere/\r\n"),
        "{answer}"
    );

    let counts = BTreeMap::from([("Ask".to_owned(), 1), ("version".to_owned(), 1)]);
    assert_eq!(running.sim.counts(), counts);
    running.stop().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_does_not_hold_up_the_end() {
    let running = running().await;
    running.sim.set_fault(Fault::Hang);
    let waiting = running.connect("{ version }").await;
    // The request has arrived once it is counted.
    while running.sim.served().is_empty() {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    assert!(response(waiting).await.starts_with("HTTP/1.1 503 "));
}
