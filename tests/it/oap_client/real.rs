//! The seed's query against a real OAP, where one is at hand.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use skygate::oap::{Directory, Oap, Options};
use skygate::ports::{Clock, MetricSource, Moment};

use super::stub::{CANARY, expression, seed};

#[derive(Debug)]
struct RealClock;

#[async_trait]
impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this clock is where time comes from"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that is skipped should say so")]
async fn a_real_oap_answers_the_seeds_query() {
    let Some(url) = std::env::var_os("SKYGATE_TEST_OAP") else {
        eprintln!("skipped: SKYGATE_TEST_OAP names no OAP (a URL such as http://127.0.0.1:12800)");
        return;
    };
    let url = url.to_str().expect("a URL");
    let oap = Oap::new(
        Options::default(),
        Directory::default(),
        Arc::new(RealClock),
    )
    .unwrap();
    for plan in [seed(url, CANARY), expression(url, "service_apdex")] {
        for finding in oap.preflight(&plan).await {
            eprintln!("{finding}");
            assert!(!finding.is_fault(), "{finding}");
        }
        let reading = oap.read(&plan, Moment::default()).await;
        let answer = reading.answer.expect("an answer");
        assert_eq!(answer.series.len(), 1, "{answer:?}");
        assert_eq!(
            reading.window.expect("a window").buckets().len(),
            answer.series[0].points.len()
        );
    }
}
