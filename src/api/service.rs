//! The whole service as one future: what moves runs, what answers requests, what forgets old runs. None of it can die unseen.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::health::EngineRuns;
use super::server::{Limits, serve};
use super::{App, canaries, router};

/// How often it is looked for runs that may be forgotten.
const SWEEP: Duration = Duration::from_mins(1);

/// How many of them are forgotten in one go: others want the store too.
const SWEPT_AT_ONCE: usize = 500;

/// How often it is looked for what Flagger asked long ago: all that is kept of that is read for it.
const SWEEP_CANARIES: Duration = Duration::from_mins(10);

/// How much longer than requests the rest may take to stop.
const GRACE: Duration = Duration::from_secs(5);

/// A service, ready to run.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it answers with.
    pub app: Arc<App>,
    /// How much of it clients can hold.
    pub limits: Limits,
    /// How long ended runs are kept that have no `ttlStrategy`, and what Flagger has asked.
    pub retain: Duration,
}

/// A part of the service ended that never should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} stopped: {why}")]
pub struct Died {
    part: &'static str,
    why: String,
}

impl Service {
    /// Runs until `stop` resolves, or [`super::Health::stop`] was called, and then stops: nothing new is accepted, whoever waits is answered, what is under way is finished within limits.
    /// `beside` is one more part of it, to be stopped by [`super::Health::stopped`] as the others are.
    pub async fn run(
        self,
        listener: TcpListener,
        beside: impl Future<Output = ()> + Send + 'static,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Died> {
        let mut parts = JoinSet::new();
        // Counts from here on: whoever is answered first finds the service ready.
        let engine_runs = EngineRuns::of(Arc::clone(&self.app));
        parts.spawn(named(
            "the engine",
            move_runs(Arc::clone(&self.app), engine_runs),
        ));
        parts.spawn(named(
            "the sweeper",
            sweep(Arc::clone(&self.app), self.retain),
        ));
        parts.spawn(named("the server", self.clone().answer(listener)));
        parts.spawn(named("a task beside it", beside));

        let died = tokio::select! {
            biased;
            () = stop => None,
            () = self.app.health.stopped() => None,
            Some(ended) = parts.join_next() => Some(obituary(ended)),
        };
        info!("the service stops");
        self.app.health.stop();
        let all = timeout(self.limits.drain_within + GRACE, async {
            while let Some(ended) = parts.join_next().await {
                if let Err(failure) = ended {
                    error!(error = %failure, "a part of the service failed while it stopped: {failure}");
                }
            }
        });
        if all.await.is_err() {
            warn!("gave up what was still under way; it goes on when the service is started again");
            parts.shutdown().await;
        }
        died.map_or(Ok(()), Err)
    }

    async fn answer(self, listener: TcpListener) {
        let stopped = self.app.health.stopped();
        serve(listener, router(&self.app), self.limits, stopped).await;
    }
}

async fn named(name: &'static str, part: impl Future<Output = ()>) -> &'static str {
    part.await;
    name
}

fn obituary(ended: Result<&'static str, tokio::task::JoinError>) -> Died {
    match ended {
        Ok(part) => Died {
            part,
            why: "it came to an end by itself".to_owned(),
        },
        Err(failure) => Died {
            part: "a part of the service",
            why: failure.to_string(),
        },
    }
}

async fn move_runs(app: Arc<App>, _engine_runs: EngineRuns) {
    app.engine.run(app.health.stopped()).await;
}

/// Forgets runs that are over for longer than they are kept, and canaries that Flagger has not asked about for so long.
async fn sweep(app: Arc<App>, retain: Duration) {
    let stopped = app.health.stopped();
    tokio::pin!(stopped);
    let mut canaries_at = app.ports.clock.now();
    loop {
        let wait = match app.engine.sweep(retain, SWEPT_AT_ONCE).await {
            Ok(SWEPT_AT_ONCE) => Duration::from_millis(100),
            Ok(_) => SWEEP,
            Err(failure) => {
                warn!(error = %failure, "failed to forget old runs: {failure}");
                SWEEP
            }
        };
        let now = app.ports.clock.now();
        if now >= canaries_at {
            let moment = now.checked_sub(retain).unwrap_or(Timestamp::MIN);
            if let Err(failure) = canaries::forget(&app, moment).await {
                warn!(error = %failure, "failed to forget old canaries of Flagger's: {failure}");
            }
            canaries_at = now.checked_add(SWEEP_CANARIES).unwrap_or(Timestamp::MAX);
        }
        tokio::select! {
            () = &mut stopped => return,
            () = app.ports.clock.sleep(wait) => {}
        }
    }
}
