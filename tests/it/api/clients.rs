//! Clients that send what is no HTTP, or too much of it, or take their time, or go away in the middle: each ends as documented,
//! and others are served all the while.

use std::net::SocketAddr;
use std::time::Duration;

use skygate::api::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::run_of;
use crate::harness::{LIMIT, Served, Setup};

/// A service that has no patience.
async fn impatient(connections: usize) -> Served {
    let mut setup = Setup::saying("S");
    setup.limits = Limits {
        connections,
        head_within: Duration::from_millis(300),
        write_within: Duration::from_millis(300),
        ..Limits::default()
    };
    setup.settings.body_within = Duration::from_millis(300);
    setup.start().await
}

async fn connect(served: &Served) -> TcpStream {
    let address = served.url.strip_prefix("http://").expect("its URL");
    let address: SocketAddr = address.parse().expect("an address");
    TcpStream::connect(address).await.expect("a connection")
}

/// All that comes back until the connection is closed.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut bytes)).await;
    // Whoever has sent more than is read gets the connection reset, after its answer.
    drop(read.expect("the connection is closed in time"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What comes back for `bytes`.
async fn say(served: &Served, bytes: &[u8]) -> String {
    let mut stream = connect(served).await;
    // It may be closed before all is written.
    let _ = stream.write_all(bytes).await;
    read_all(&mut stream).await
}

fn head(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

#[tokio::test]
async fn what_is_no_http_is_400() {
    let served = impatient(64).await;
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\n\r\n\r\nnonsense\r\n\r\n",
        b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n",
    ] {
        let said = say(&served, bytes).await;
        let shown = String::from_utf8_lossy(bytes).into_owned();
        assert!(said.starts_with("HTTP/1.1 400") || said.is_empty(), "{shown:?}: {said}");
    }
    // Two lengths of one body are how requests are smuggled.
    let both = "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let said = say(&served, both.as_bytes()).await;
    assert!(!said.contains("200 OK"), "{said}");
    assert_eq!(served.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_431() {
    let served = impatient(64).await;
    let long = "x".repeat(100 << 10);
    for head in [
        head("/healthz", &format!("A: {long}\r\n")),
        head(&format!("/{long}"), ""),
    ] {
        let said = say(&served, head.as_bytes()).await;
        assert!(
            said.starts_with("HTTP/1.1 431") || said.starts_with("HTTP/1.1 414"),
            "{said}"
        );
    }
    let many = "A: b\r\n".repeat(200);
    let said = say(&served, head("/healthz", &many).as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
    assert_eq!(served.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn whoever_takes_its_time_is_closed() {
    let served = impatient(64).await;
    // Nothing at all, half a head, and nothing after a first request.
    assert_eq!(say(&served, b"").await, "");
    assert_eq!(say(&served, b"GET /healthz HTTP/1.1\r\nHo").await, "");
    let said = say(&served, head("/healthz", "").as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    // A head that comes letter by letter has no more time than one that comes at once.
    let mut stream = connect(&served).await;
    let dripping = async {
        for byte in head("/healthz", "").bytes() {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        read_all(&mut stream).await
    };
    assert_eq!(dripping.await, "");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let served = impatient(64).await;
    for (length, sent) in [
        ("Content-Length: 100", "{"),
        ("Transfer-Encoding: chunked", "5\r\nspec:\r\n"),
    ] {
        let request =
            format!("POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n{sent}");
        let said = say(&served, request.as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        assert!(said.contains("did not arrive within"), "{said}");
    }
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_long_is_not_read() {
    let served = impatient(64).await;
    let request =
        "POST /api/v1/templates HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n";
    let said = say(&served, request.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_read_so_far_and_no_further() {
    let served = Setup::saying("S").start().await;
    let head =
        "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    let (mut reading, mut writing) = connect(&served).await.into_split();
    writing.write_all(head.as_bytes()).await.expect("sent");
    let sending = async {
        // Far more than is read: sooner or later the connection is closed.
        for _ in 0..1_000 {
            if writing.write_all(chunk.as_bytes()).await.is_err() {
                return;
            }
        }
        panic!("it reads on and on");
    };
    let mut said = Vec::new();
    let (read, ()) = tokio::join!(reading.read_to_end(&mut said), sending);
    drop(read);
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 413"),
        "{said}"
    );
    assert_eq!(served.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn whoever_closes_its_side_is_gone() {
    let served = Setup::saying("S").start().await;
    let run = served.start_run(run_of("interval: 5h")).await;
    served.await_measurements(&run, 1).await;
    // In the middle of a body.
    let mut stream = connect(&served).await;
    let half =
        "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nspec: {";
    stream.write_all(half.as_bytes()).await.expect("sent");
    stream.shutdown().await.expect("closed");
    let said = read_all(&mut stream).await;
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 400"),
        "{said}"
    );
    // While it waits: nobody waits any longer.
    for path in [format!("{run}?wait=60s"), format!("{run}/events")] {
        let mut stream = connect(&served).await;
        let request = head(&path, "");
        stream.write_all(request.as_bytes()).await.expect("sent");
        await_waiting(&served, 1).await;
        stream.shutdown().await.expect("closed");
        await_waiting(&served, 0).await;
    }
}

/// Waits until so many callers wait.
async fn await_waiting(served: &Served, count: usize) {
    let waiting = async {
        while served.app.health.waiting() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, waiting).await.expect("in time");
}

#[tokio::test]
async fn whoever_reads_nothing_is_closed() {
    let served = impatient(64).await;
    let mut stream = connect(&served).await;
    let request = head("/openapi.json", "").repeat(64);
    // Answers pile up until none fits in between, and the connection is given up.
    let stuck = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(LIMIT, stuck).await.expect("it is closed in time");
    assert_eq!(served.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn there_are_only_so_many_connections() {
    let served = impatient(2).await;
    let (mut first, second) = (connect(&served).await, connect(&served).await);
    for stream in [&mut first] {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\n")
            .await
            .expect("sent");
    }
    // Whoever comes now waits until those that do nothing are closed.
    let said = say(
        &served,
        head("/healthz", "Connection: close\r\n").as_bytes(),
    )
    .await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    drop((first, second));
}
