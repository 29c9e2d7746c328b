//! The OAP is a shared, small server: what is asked at the same time is sent once, and only so much at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;
use skygate::domain::reading::Reading;
use skygate::oap::Options;
use skygate::ports::{MetricSource, Moment};
use tokio::sync::{Barrier, Semaphore};

use super::stub::{CANARY, Seen, Stub, client, expression, modern, read_seed, seed};

/// A modern server that holds each request back until it gets a permit; the other semaphore gets one for each request.
async fn held() -> (Stub, Arc<Semaphore>, Arc<Semaphore>) {
    let (gate, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (opens, arrives) = (Arc::clone(&gate), Arc::clone(&arrived));
    let stub = Stub::start_async(Arc::new(move |seen: Seen| {
        let (gate, arrived) = (Arc::clone(&opens), Arc::clone(&arrives));
        async move {
            arrived.add_permits(1);
            gate.acquire().await.expect("it stays open").forget();
            modern(&seen)
        }
        .boxed()
    }))
    .await;
    (stub, gate, arrived)
}

const ALL: usize = 1_000;

#[tokio::test]
async fn identical_questions_are_sent_once() {
    let (stub, gate, arrived) = held().await;
    let oap = client(Options::default());
    let reads = join_all((0..20).map(|_| read_seed(&oap, &stub.url)));
    let open = async {
        arrived.acquire().await.expect("it stays open").forget();
        gate.add_permits(ALL);
    };
    let (readings, ()) = tokio::join!(reads, open);
    assert!(
        readings
            .iter()
            .all(|reading| reading == &readings[0] && reading.answer.is_ok())
    );
    assert_eq!(
        stub.take_operations(),
        ["", "TimeInfo", "TypeFields", "TypeOfMetrics"]
    );
}

#[tokio::test]
async fn what_one_gives_up_another_still_gets() {
    let (stub, gate, arrived) = held().await;
    let oap = Arc::new(client(Options::default()));
    let mut first = Box::pin(read_seed(&oap, &stub.url));
    // The first asks, the second joins it, the first leaves.
    tokio::select! {
        reading = &mut first => unreachable!("{reading:?}"),
        permit = arrived.acquire() => permit.expect("it stays open").forget(),
    }
    let mut second = Box::pin(read_seed(&oap, &stub.url));
    assert!(second.as_mut().now_or_never().is_none());
    drop(first);
    gate.add_permits(ALL);
    let reading: Reading = second.await;
    assert!(reading.answer.is_ok(), "{reading:?}");
    let asked = stub.take_operations();
    assert_eq!(asked, ["", "TimeInfo", "TypeFields", "TypeOfMetrics"]);
}

#[tokio::test]
async fn different_questions_are_not_confused() {
    let stub = Stub::modern(|_| None).await;
    let oap = client(Options::default());
    let plans = ["a", "b", "c"].map(|service| seed(&stub.url, service));
    let reads = plans.iter().map(|plan| oap.read(plan, Moment::default()));
    for (reading, name) in join_all(reads).await.iter().zip(["a", "b", "c"]) {
        assert!(reading.request.contains(&format!(r#""{name}""#)));
    }
    assert_eq!(stub.take_reads().len(), 3);
}

#[tokio::test]
async fn only_so_many_requests_are_under_way_at_a_time() {
    const CAP: usize = 3;
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // Nobody is answered before as many have come as may come at all: fewer would never end, more would be counted.
    let full = Arc::new(Barrier::new(CAP));
    let seen_most = Arc::clone(&most);
    let stub = Stub::start_async(Arc::new(move |seen: Seen| {
        let (under_way, most, full) =
            (Arc::clone(&under_way), Arc::clone(&most), Arc::clone(&full));
        async move {
            if seen.operation() == "ExecExpression" {
                let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                full.wait().await;
                under_way.fetch_sub(1, Ordering::SeqCst);
            }
            modern(&seen)
        }
        .boxed()
    }))
    .await;
    let oap = client(Options {
        concurrency: CAP,
        ..Options::default()
    });
    let plans: Vec<_> = (0..4 * CAP)
        .map(|i| expression(&stub.url, &format!("service_apdex + {i}")))
        .collect();
    let readings = join_all(plans.iter().map(|plan| oap.read(plan, Moment::default()))).await;
    assert!(
        readings.iter().all(|reading| reading.answer.is_ok()),
        "{readings:?}"
    );
    assert_eq!(seen_most.load(Ordering::SeqCst), CAP);
}

#[tokio::test]
async fn the_same_again_later_is_asked_again() {
    let stub = Stub::modern(|_| None).await;
    let oap = client(Options::default());
    for _ in 0..3 {
        oap.read(&seed(&stub.url, CANARY), Moment::default())
            .await
            .answer
            .unwrap();
    }
    assert_eq!(stub.take_reads().len(), 3);
}
