//! What handlers work with.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::access::Access;
use super::health::Health;
use super::planning::Planner;
use super::problem::{Kind, Problem};
use super::rendering::Renderings;
use crate::domain::measurement::Phase;
use crate::engine::{Desks, Engine};
use crate::ports::{Clock, Records, Store, StoreError};
use crate::telemetry::Metrics;

/// What the API shares: one for the whole service.
#[derive(Debug)]
pub struct App {
    /// What moves runs; polls ask its board.
    pub engine: Engine,
    /// Where runs, records and the time come from.
    pub ports: Ports,
    /// Where steppers and people meet.
    pub rollouts: Desks,
    /// What makes plans.
    pub planner: Planner,
    /// Who may do what.
    pub access: Access,
    /// Limits.
    pub settings: Settings,
    /// How the service does.
    pub health: Health,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    pub(super) renderings: Renderings,
    pub(super) measuring: Semaphore,
    live: LiveRuns,
}

/// So many requests for a measurement are served at a time; others wait for their turn.
const MEASURED_AT_ONCE: usize = 512;

/// The ports that handlers use themselves.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where runs are kept.
    pub store: Arc<dyn Store>,
    /// Where everything else is.
    pub records: Arc<dyn Records>,
}

/// Limits that an operator may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many runs may be under way at a time.
    pub most_runs: u64,
    /// How long the body of a request may take to arrive.
    pub body_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            most_runs: 20_000,
            body_within: Duration::from_secs(10),
        }
    }
}

impl App {
    /// An app of these parts.
    pub fn new(
        engine: Engine,
        ports: Ports,
        planner: Planner,
        access: Access,
        settings: Settings,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            rollouts: Desks::new(Arc::clone(&ports.records), Arc::clone(&ports.clock)),
            ports,
            planner,
            access,
            settings,
            health: Health::default(),
            metrics,
            renderings: Renderings::default(),
            measuring: Semaphore::new(MEASURED_AT_ONCE),
            live: LiveRuns::default(),
        })
    }

    /// Refuses one more run where there are as many as there may be.
    pub(super) async fn refuse_too_many(&self) -> Result<(), Problem> {
        let most = self.settings.most_runs;
        if self.live.with_one_more(self.ports.store.as_ref()).await? <= most {
            return Ok(());
        }
        let problem = Problem::new(
            Kind::TooMany,
            format!("{most} runs are under way, which is as many as this service takes"),
        );
        Err(problem.retry_after(Duration::from_secs(10)))
    }
}

/// For how long a count of live runs is believed, those counted that have begun since.
const BELIEVED: Duration = Duration::from_secs(1);

/// How many runs are under way, more or less: the store is asked now and then.
#[derive(Debug, Default)]
struct LiveRuns(Mutex<Option<(Instant, u64)>>);

impl LiveRuns {
    async fn with_one_more(&self, store: &dyn Store) -> Result<u64, StoreError> {
        let now = Instant::now();
        if let Some((counted_at, count)) =
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && now.duration_since(*counted_at) < BELIEVED
        {
            *count += 1;
            return Ok(*count);
        }
        let tally = store.tally().await?;
        let live = [Phase::Pending, Phase::Running]
            .iter()
            .filter_map(|phase| tally.get(phase.name()))
            .sum::<u64>();
        let live = live + 1;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, live));
        Ok(live)
    }
}
