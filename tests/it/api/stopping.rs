//! The end of a service: asked for, or because a part of it died.

use std::sync::Arc;
use std::time::Duration;

use skygate::ports::Store;
use skygate::store::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::run_of;
use crate::harness::{FaultyStore, LIMIT, Setup};

#[tokio::test]
async fn a_service_that_stops_is_not_ready_and_then_gone() {
    let mut served = Setup::saying("S").start().await;
    let run = served.start_run(run_of("interval: 5h")).await;
    served.await_measurements(&run, 1).await;
    assert_eq!(served.stop().await, Ok(()));
    assert!(served.client.get(&served.url).send().await.is_err());
    assert!(served.app.health.is_stopping());
}

#[tokio::test]
async fn requests_under_way_are_answered() {
    let mut served = Setup::saying("S").start().await;
    let address = served.url.strip_prefix("http://").expect("its URL");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let body = run_of("interval: 5h");
    let (begun, rest) = body.split_at(10);
    let length = body.len();
    let head = format!(
        "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // The service says so once it waits for the body.
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.expect("an answer");
    assert!(said.starts_with(b"HTTP/1.1 100 Continue"));
    stream.write_all(begun.as_bytes()).await.expect("sent");
    served.tell_to_stop();
    served.app.health.stopped().await;
    stream.write_all(rest.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    timeout(LIMIT, read)
        .await
        .expect("in time")
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(served.end().await, Ok(()));
}

#[tokio::test]
async fn a_dead_engine_ends_the_service() {
    let mut setup = Setup::saying("S");
    let store = Arc::new(FaultyStore::over(Arc::new(MemoryStore::default())));
    setup.store = Arc::clone(&store) as Arc<dyn Store>;
    let mut served = setup.start().await;
    assert_eq!(served.get("/readyz").await.status, 200);
    store.panic("lease_due");
    let _ = served.post("/api/v1/runs", run_of("count: 1")).await;
    let died = served.end().await.expect_err("the engine died");
    assert!(died.to_string().contains("panic"), "{died}");
}

#[tokio::test]
async fn a_store_in_trouble_is_told_and_survived() {
    let mut setup = Setup::saying("S");
    let store = Arc::new(FaultyStore::over(Arc::new(MemoryStore::default())));
    setup.store = Arc::clone(&store) as Arc<dyn Store>;
    let served = setup.start().await;
    let run = served.start_run(run_of("interval: 5h")).await;
    served.await_measurements(&run, 1).await;
    store.fail("list", 1);
    let answer = served.get("/api/v1/runs").await;
    assert_eq!(answer.problem(), "unavailable", "{answer}");
    assert!(!answer.body.contains("as told"), "{answer}");
    assert_eq!(served.get("/api/v1/runs").await.status, 200);

    // The engine asks this too, and goes on asking.
    store.fail("probe", 100);
    let answer = served.get("/readyz").await;
    assert_eq!(answer.status, 503, "{answer}");
    assert!(answer.body.contains("the store fails"), "{answer}");
    assert!(!answer.body.contains("as told"), "{answer}");
    while served.get("/readyz").await.status != 200 {}

    store.fail("insert", 1);
    let answer = served.post("/api/v1/runs", run_of("count: 1")).await;
    assert_eq!(answer.problem(), "unavailable", "{answer}");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn old_runs_are_forgotten() {
    let mut setup = Setup::saying("S");
    setup.retain = Duration::from_mins(30);
    let served = setup.start().await;
    let run = served.start_run(run_of("count: 1")).await;
    let live = served.start_run(run_of("interval: 5h")).await;
    let own = served
        .start_run(run_of("count: 1") + "\nttlStrategy: { secondsAfterCompletion: 1 }")
        .await;
    for gone in [own, run] {
        while served.get(&gone).await.status != 404 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(served.get(&live).await.status, 200);
}
