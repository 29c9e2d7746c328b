//! What an OAP tells about itself, and for how long that holds.

use std::sync::Arc;
use std::time::Duration;

use graphql_client::GraphQLQuery;
use jiff::Timestamp;

use super::answer::{MetricType, MetricTypes};
use super::error::OapError;
use super::graphql::{self, written};
use super::memory::Memory;
use super::operations::{
    FindService, ListMetrics, ListServices, TimeInfo, TypeFields, TypeName, TypeOfMetrics, Version,
    find_service, list_metrics, list_services, time_info, type_of_metrics, version,
};
use super::transport::Transport;
use crate::domain::nearest::nearest;
use crate::domain::query::{Extras, Query};
use crate::domain::window::{OapTime, parse_zone};
use crate::ports::Clock;

/// How long an OAP's clock and zone hold.
const TIME_HOLDS: Duration = Duration::from_mins(1);

/// Zones change their offset at quarters of an hour and nowhere else: what was learnt before one says nothing about after.
const QUARTER: i64 = 15 * 60;

/// How long it holds what only an upgrade changes.
const NATURE_HOLDS: Duration = Duration::from_mins(10);

/// How long it holds that something is unknown, which traffic or a new rule may change at any time.
const ABSENCE_HOLDS: Duration = Duration::from_secs(30);

/// What an OAP told us about itself; what it didn't is asked for.
///
/// Nobody waits for another here: all who find something missing ask for it, and the way to the OAP sends it once.
#[derive(Debug)]
pub(super) struct Knowledge {
    transport: Arc<Transport>,
    clock: Arc<dyn Clock>,
    time: Memory<(), OapTime>,
    version: Memory<(), String>,
    extras: Memory<(), Extras>,
    kinds: Memory<String, Option<MetricType>>,
    metrics: Memory<(), Arc<[String]>>,
    services: Memory<String, bool>,
}

impl Knowledge {
    pub(super) fn new(transport: Arc<Transport>, clock: Arc<dyn Clock>) -> Self {
        Self {
            transport,
            clock,
            time: Memory::default(),
            version: Memory::default(),
            extras: Memory::default(),
            kinds: Memory::default(),
            metrics: Memory::default(),
            services: Memory::default(),
        }
    }

    /// The moment on our clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Its clock and its zone.
    pub(super) async fn time(&self) -> Result<OapTime, OapError> {
        if let Some(time) = self.time.recall(&(), self.now()) {
            return Ok(time);
        }
        let question = TimeInfo::build_query(time_info::Variables {});
        let exchange = self.transport.ask(written(&question)).await?;
        let told: time_info::ResponseData = graphql::open(self.transport.server(), &exchange)?;
        let told = told.get_time_info;
        let zone = told
            .as_ref()
            .and_then(|it| parse_zone(it.timezone.as_deref()?));
        let clock = told
            .as_ref()
            .and_then(|it| Timestamp::from_millisecond(it.current_timestamp?).ok());
        let (Some(zone), Some(clock)) = (zone, clock) else {
            let got = told.map_or("nothing".to_owned(), |it| {
                let zone = it.timezone.map(|zone| format!("the zone `{zone}`"));
                let moment = it.current_timestamp.map(|at| format!("the moment {at}"));
                format!(
                    "{} and {}",
                    zone.as_deref().unwrap_or("no zone"),
                    moment.as_deref().unwrap_or("no moment")
                )
            });
            let server = self.transport.server().to_owned();
            return Err(OapError::NoTime { server, got });
        };
        let asked = exchange.midpoint();
        let time = OapTime {
            zone,
            skew: clock.duration_since(asked),
        };
        let left = u64::try_from(QUARTER - clock.as_second().rem_euclid(QUARTER)).unwrap_or(0);
        self.time
            .keep((), time, asked, TIME_HOLDS.min(Duration::from_secs(left)));
        Ok(time)
    }

    /// What it calls itself: `10.4.0-b272da3`.
    pub(super) async fn version(&self) -> Result<String, OapError> {
        let now = self.now();
        if let Some(version) = self.version.recall(&(), now) {
            return Ok(version);
        }
        let told = self.put::<Version>(version::Variables {}).await?;
        let version = told.version.unwrap_or_default();
        self.version.keep((), version.clone(), now, NATURE_HOLDS);
        Ok(version)
    }

    /// What it can tell of a point beside its value. A server that isn't willing to describe itself is taken for a modern one:
    /// should that be wrong, its first answer says so.
    pub(super) async fn extras(&self) -> Result<Extras, OapError> {
        let now = self.now();
        if let Some(extras) = self.extras.recall(&(), now) {
            return Ok(extras);
        }
        let extras = match self.put::<TypeFields>(TypeName { name: "KVInt" }).await {
            Ok(told) if told.is_known() => Extras {
                id: told.has("id"),
                is_empty_value: told.has("isEmptyValue"),
            },
            Err(error) if error.is_passing() => return Err(error),
            Ok(_) | Err(_) => Extras {
                id: true,
                is_empty_value: true,
            },
        };
        self.extras.keep((), extras, now, NATURE_HOLDS);
        Ok(extras)
    }

    /// What kind of metric `name` is; `None` where the server doesn't say.
    async fn kind(&self, name: &str) -> Result<Option<MetricType>, OapError> {
        let now = self.now();
        if let Some(kind) = self.kinds.recall(name, now) {
            return Ok(kind);
        }
        let variables = type_of_metrics::Variables {
            name: name.to_owned(),
        };
        let kind = match self.put::<TypeOfMetrics>(variables).await {
            Ok(told) => Some(told.type_of_metrics.0),
            Err(error) if error.is_passing() => return Err(error),
            Err(_) => self.listed_kind(name).await,
        };
        let holds = match kind {
            Some(MetricType::Unknown) | None => ABSENCE_HOLDS,
            Some(_) => NATURE_HOLDS,
        };
        self.kinds.keep(name.to_owned(), kind, now, holds);
        Ok(kind)
    }

    /// The same from the list of all metrics, for a server that doesn't answer `typeOfMetrics`.
    async fn listed_kind(&self, name: &str) -> Option<MetricType> {
        let variables = list_metrics::Variables {};
        let told = self.put::<ListMetrics>(variables).await.ok()?;
        let found = told.list_metrics.into_iter().find(|it| it.name == name);
        Some(found.map_or(MetricType::Unknown, |metric| metric.type_.0))
    }

    /// The names of its metrics; none where it doesn't say.
    pub(super) async fn metrics(&self) -> Arc<[String]> {
        let now = self.now();
        if let Some(metrics) = self.metrics.recall(&(), now) {
            return metrics;
        }
        let told = self.put::<ListMetrics>(list_metrics::Variables {}).await;
        let told = told.map(|told| told.list_metrics).unwrap_or_default();
        let metrics: Arc<[String]> = told.into_iter().map(|metric| metric.name).collect();
        self.metrics
            .keep((), Arc::clone(&metrics), now, ABSENCE_HOLDS);
        metrics
    }

    /// Whether it ever saw the service, which must be one that is observed itself (`normal: true`): others it doesn't look up.
    pub(super) async fn knows_service(&self, name: &str) -> Result<bool, OapError> {
        let now = self.now();
        if let Some(known) = self.services.recall(name, now) {
            return Ok(known);
        }
        let variables = find_service::Variables {
            name: name.to_owned(),
        };
        let known = self
            .put::<FindService>(variables)
            .await?
            .find_service
            .is_some();
        self.services
            .keep(name.to_owned(), known, now, ABSENCE_HOLDS);
        Ok(known)
    }

    /// The service that comes nearest to one that it never saw.
    pub(super) async fn nearest_service(&self, name: &str) -> Option<String> {
        let told = self
            .put::<ListServices>(list_services::Variables {})
            .await
            .ok()?;
        let known = told
            .list_services
            .iter()
            .map(|service| service.name.as_str());
        nearest(name, known).map(str::to_owned)
    }

    /// The types of the metrics that `query` reads, as far as the server tells them.
    pub(super) async fn types(&self, query: &Query) -> Result<MetricTypes, OapError> {
        let mut types = MetricTypes::new();
        for metric in query.reads().iter().filter_map(|it| it.metric.as_ref()) {
            if let Some(kind) = self.kind(metric).await? {
                types.insert(metric.clone(), kind);
            }
        }
        Ok(types)
    }

    /// Remembers what an answer has shown.
    pub(super) fn learn_extras(&self, extras: Extras) {
        self.extras.keep((), extras, self.now(), NATURE_HOLDS);
    }

    /// Forgets what an error makes doubtful: the clock and the zone, whatever it was; and everything else where the server was out of
    /// reach, for another may come up in its place.
    pub(super) fn doubt(&self, error: &OapError) {
        self.time.forget();
        if error.is_passing() {
            self.version.forget();
            self.extras.forget();
            self.kinds.forget();
            self.metrics.forget();
            self.services.forget();
        }
    }

    async fn put<Q: GraphQLQuery>(
        &self,
        variables: Q::Variables,
    ) -> Result<Q::ResponseData, OapError> {
        let exchange = self
            .transport
            .ask(written(&Q::build_query(variables)))
            .await?;
        graphql::open(self.transport.server(), &exchange)
    }
}
