//! Callers that wait: long polls and events.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use tokio::time::{Instant, timeout};

use super::run_of;
use crate::harness::{Answer, FakeSource, LIMIT, Served, Setup};

/// A service whose source waits until it is opened.
async fn gated() -> (Served, Arc<FakeSource>) {
    let mut source = None;
    let setup = Setup::asking(|clock| {
        let gated = Arc::new(FakeSource::saying(clock, "S").gated());
        source = Some(Arc::clone(&gated));
        gated
    });
    (setup.start().await, source.expect("it was asked for"))
}

/// The run at `path` once its measurement is under way, and the tag of that state.
async fn await_measuring(served: &Served, path: &str) -> Answer {
    let mut seen = String::new();
    loop {
        let request = served.request(Method::GET, &format!("{path}?wait=30s"));
        let answer = Answer::of(request.header("if-none-match", &seen)).await;
        if answer.json()["status"]["metricResults"][0]["inFlightSince"].is_string() {
            return answer;
        }
        answer.header("etag").clone_into(&mut seen);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_wait_for_one_run() {
    let (served, source) = gated().await;
    let run = served.start_run(run_of("count: 1")).await;
    let measuring = await_measuring(&served, &run).await;
    let path = format!("{run}?wait=60s");
    let polls = join_all((0..1_000).map(|_| {
        let request = served.request(Method::GET, &path);
        Answer::of(request.header("if-none-match", measuring.header("etag")))
    }));
    let release = async {
        // Others are served meanwhile.
        for _ in 0..10 {
            assert_eq!(served.get("/readyz").await.status, 200);
        }
        source.open();
    };
    let (answers, ()) = tokio::join!(polls, release);
    for answer in &answers {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["status"]["phase"], "Successful");
        assert_eq!(answer.body, answers[0].body);
    }
}

#[tokio::test]
async fn a_wait_ends_with_the_next_change_or_its_time() {
    let (served, source) = gated().await;
    let run = served.start_run(run_of("count: 1")).await;
    let measuring = await_measuring(&served, &run).await;
    let tag = measuring.header("etag");

    // Nothing happens: the answer is what there is, and 200 all the same.
    for path in [format!("{run}?wait=50ms"), format!("{run}?wait=0")] {
        let request = served
            .request(Method::GET, &path)
            .header("if-none-match", tag);
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.header("etag")), (200, tag), "{path}");
    }
    // Whoever has seen something else is told at once.
    let request = served.request(Method::GET, &format!("{run}?wait=60s"));
    let answer = Answer::of(request.header("if-none-match", "\"other\"")).await;
    assert_eq!((answer.status, answer.header("etag")), (200, tag));

    source.open();
    let ended = served.await_end(&run).await;
    assert_eq!(ended["status"]["phase"], "Successful");
    // There is nothing more to wait for.
    for path in [format!("{run}?wait=60s"), format!("{run}/summary?wait=60s")] {
        let answer = timeout(LIMIT / 2, served.get(&path))
            .await
            .expect("at once");
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn a_summary_is_waited_for_by_its_own_tag() {
    let (served, source) = gated().await;
    let run = served.start_run(run_of("count: 1")).await;
    let measuring = await_measuring(&served, &run).await;
    let ask = |wait: &str, tag: &str| {
        let request = served.request(Method::GET, &format!("{run}/summary?wait={wait}"));
        Answer::of(request.header("if-none-match", tag.to_owned()))
    };
    // The tag of the run is not that of its summary.
    let at_once = timeout(LIMIT / 2, ask("60s", measuring.header("etag"))).await;
    let summary = at_once.expect("at once");
    let tag = summary.header("etag");
    assert_eq!(summary.status, 200);
    let same = ask("50ms", tag).await;
    assert_eq!((same.status, same.header("etag")), (200, tag));

    let opening = async {
        while served.app.health.waiting() < 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        source.open();
    };
    let (changed, ()) = tokio::join!(ask("60s", tag), opening);
    assert_ne!(changed.header("etag"), tag);
    // Whoever has missed the end is told of it at once.
    let ended = served.await_end(&run).await;
    assert_eq!(ended["status"]["phase"], "Successful");
    let told = timeout(LIMIT / 2, ask("60s", tag)).await.expect("at once");
    assert_eq!(told.json()["phase"], "Successful");
}

#[tokio::test]
async fn whoever_waits_for_a_run_that_goes_is_told() {
    let (served, _source) = gated().await;
    let run = served.start_run(run_of("count: 1")).await;
    let measuring = await_measuring(&served, &run).await;
    let (poll, events) = (format!("{run}?wait=60s"), format!("{run}/events"));
    let poll = Answer::of(
        served
            .request(Method::GET, &poll)
            .header("if-none-match", measuring.header("etag")),
    );
    let (waited, followed, deleted) = tokio::join!(poll, served.get(&events), served.delete(&run));
    assert_eq!(deleted.status, 204);
    assert_eq!(waited.problem(), "not-found");
    assert!(
        followed.status == 404 || followed.body.ends_with("event: gone\ndata: {}\n\n"),
        "{followed}"
    );
}

/// The events in `text` as their kinds, and the phases of the runs in them.
fn events(text: &str) -> Vec<String> {
    let mut events = Vec::new();
    for event in text.split("\n\n").filter(|event| !event.is_empty()) {
        let field = |name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().to_owned()
        };
        let data: serde_json::Value = serde_json::from_str(&field("data: ")).expect("JSON");
        let phase = data["status"]["phase"].as_str().unwrap_or_default();
        let taken = &data["status"]["metricResults"][0]["taken"];
        events.push(format!("{} {phase} {taken}", field("event: ")));
    }
    events
}

#[tokio::test]
async fn events_tell_every_change_and_end_with_the_run() {
    let served = Setup::saying("SSS").start().await;
    let run = served.start_run(run_of("count: 3, interval: 1h")).await;
    let followed = served.get(&format!("{run}/events")).await;
    assert_eq!(followed.header("content-type"), "text/event-stream");
    let told = events(&followed.body);
    assert_eq!(told.last().map(String::as_str), Some("run Successful 3"));
    for taken in ["run Running 1", "run Running 2"] {
        assert!(told.iter().any(|it| it == taken), "{taken} in {told:?}");
    }

    // Whoever comes back is told what is new, and not to come back where nothing will be.
    let last = followed
        .body
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("id: "));
    let again = |id: &str| {
        let request = served.request(Method::GET, &format!("{run}/events"));
        Answer::of(request.header("last-event-id", id))
    };
    assert_eq!(again(last.expect("an id")).await.status, 204);
    assert_eq!(events(&again("x").await.body), ["run Successful 3"]);
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_service_stops() {
    let (mut served, source) = gated().await;
    let run = served.start_run(run_of("count: 1")).await;
    let measuring = await_measuring(&served, &run).await;
    let wait = |path: String| {
        let request = served.request(Method::GET, &path);
        Answer::of(request.header("if-none-match", measuring.header("etag").to_owned()))
    };
    let poll = wait(format!("{run}?wait=60s"));
    let events = wait(format!("{run}/events"));
    let waiting = async { tokio::join!(poll, events) };
    let begun = Instant::now();
    let asked = async {
        // Both are being waited for once the service has counted them in.
        while served.app.health.waiting() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        served.app.health.stop();
    };
    let ((polled, followed), ()) = tokio::join!(waiting, asked);
    assert_eq!((polled.status, polled.body), (200, measuring.body));
    assert_eq!(followed.status, 200);
    assert!(begun.elapsed() < LIMIT / 2);
    source.open();
    assert_eq!(served.stop().await, Ok(()));
}
