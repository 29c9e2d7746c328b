//! What can be measured of whom, and the reader that measures it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::buckets::{Buckets, Step};
use super::script::{EVERY_SERVICE, Service};
use super::traffic::{self, Call, Figure, RANKS};
use super::{Config, Generation};

/// How long an OAP keeps metrics.
const TTL_MILLIS: i64 = 7 * 86_400_000;

/// A metric that the simulator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) catalog: Catalog,
    kind: MetricKind,
}

/// What a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Catalog {
    Service,
    Instance,
    Endpoint,
    /// Listed; the simulated services don't call each other.
    ServiceRelation,
}

impl Catalog {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Service => "SERVICE",
            Self::Instance => "SERVICE_INSTANCE",
            Self::Endpoint => "ENDPOINT",
            Self::ServiceRelation => "SERVICE_RELATION",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Plain(Figure),
    /// One series a rank.
    Percentile,
}

const fn plain(name: &'static str, catalog: Catalog, figure: Figure) -> Metric {
    Metric {
        name,
        catalog,
        kind: MetricKind::Plain(figure),
    }
}

const fn percentile(name: &'static str, catalog: Catalog) -> Metric {
    Metric {
        name,
        catalog,
        kind: MetricKind::Percentile,
    }
}

impl Metric {
    /// All of them, in the order in which an OAP lists the recorded ones.
    pub(super) const ALL: [Self; 14] = [
        plain("service_cpm", Catalog::Service, Figure::Cpm),
        plain(
            "service_relation_client_cpm",
            Catalog::ServiceRelation,
            Figure::Cpm,
        ),
        plain("service_apdex", Catalog::Service, Figure::Apdex),
        plain("service_resp_time", Catalog::Service, Figure::RespTime),
        plain("service_sla", Catalog::Service, Figure::Sla),
        percentile("service_percentile", Catalog::Service),
        plain("service_instance_cpm", Catalog::Instance, Figure::Cpm),
        plain(
            "service_instance_resp_time",
            Catalog::Instance,
            Figure::RespTime,
        ),
        plain("service_instance_sla", Catalog::Instance, Figure::Sla),
        percentile("service_instance_percentile", Catalog::Instance),
        plain("endpoint_cpm", Catalog::Endpoint, Figure::Cpm),
        plain("endpoint_resp_time", Catalog::Endpoint, Figure::RespTime),
        plain("endpoint_sla", Catalog::Endpoint, Figure::Sla),
        percentile("endpoint_percentile", Catalog::Endpoint),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name == name)
    }

    pub(super) fn kind(self) -> MetricKind {
        self.kind
    }

    /// OAP's `MetricsType`.
    pub(super) fn type_name(self) -> &'static str {
        match self.kind {
            MetricKind::Plain(_) => "REGULAR_VALUE",
            MetricKind::Percentile => "LABELED_VALUE",
        }
    }
}

/// Whom a question is about. An OAP finds the scope out from what is named, whatever the caller calls it.
#[derive(Clone, Debug, Default)]
pub(super) struct Entity {
    service: Option<String>,
    normal: Option<bool>,
    instance: Option<String>,
    endpoint: Option<String>,
    is_relation: bool,
}

impl Entity {
    pub(super) fn from_json(value: &Value) -> Self {
        let text = |key: &str| {
            let text = value.get(key).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Self {
            service: text("serviceName"),
            normal: value.get("normal").and_then(Value::as_bool),
            instance: text("serviceInstanceName"),
            endpoint: text("endpointName"),
            is_relation: text("destServiceName").is_some(),
        }
    }

    /// Whether an OAP takes it for an entity at all.
    pub(super) fn is_legal(&self) -> bool {
        self.service.is_some() && self.normal.is_some()
    }

    fn catalog(&self) -> Catalog {
        match (&self.instance, &self.endpoint) {
            _ if self.is_relation => Catalog::ServiceRelation,
            (_, Some(_)) => Catalog::Endpoint,
            (Some(_), None) => Catalog::Instance,
            (None, None) => Catalog::Service,
        }
    }

    /// The id under which its rows are kept.
    pub(super) fn id(&self) -> String {
        let service = service_id(
            self.service.as_deref().unwrap_or(""),
            self.normal.unwrap_or(false),
        );
        match self.endpoint.as_ref().or(self.instance.as_ref()) {
            Some(part) => format!("{service}_{}", STANDARD.encode(part)),
            None => service,
        }
    }
}

/// OAP's id of a service.
pub(super) fn service_id(name: &str, normal: bool) -> String {
    format!("{}.{}", STANDARD.encode(name), u8::from(normal))
}

/// The metrics as they can be read at one moment.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    config: &'a Config,
    services: &'a [Service],
    /// The OAP's clock, in milliseconds since the epoch.
    now: i64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(config: &'a Config, services: &'a [Service], now: i64) -> Self {
        Self {
            config,
            services,
            now,
        }
    }

    pub(super) fn generation(&self) -> Generation {
        self.config.generation
    }

    /// The services that an OAP lists: those that ever were there.
    pub(super) fn services(&self) -> impl Iterator<Item = &'a Service> + use<'a> {
        self.services
            .iter()
            .filter(|service| service.name() != EVERY_SERVICE && !service.is_always_absent())
    }

    /// A plain metric's value in each bucket.
    pub(super) fn plain(
        &self,
        metric: Metric,
        entity: &Entity,
        buckets: &Buckets,
    ) -> Vec<Option<i64>> {
        let MetricKind::Plain(figure) = metric.kind else {
            return buckets.starts().map(|_| None).collect();
        };
        let minutes = buckets.step.millis() / Step::Minute.millis();
        self.each(metric, entity, buckets, |calls| {
            traffic::figure(figure, calls, minutes)
        })
    }

    /// A percentile's values in each bucket, in the order of [`RANKS`].
    pub(super) fn percentiles(
        &self,
        metric: Metric,
        entity: &Entity,
        buckets: &Buckets,
    ) -> Vec<Option<[i64; RANKS.len()]>> {
        self.each(metric, entity, buckets, traffic::percentiles)
    }

    /// Each service with its mean over the window, in the order in which they are listed; those without data left out.
    pub(super) fn ranked(&self, metric: Metric, buckets: &Buckets) -> Vec<(String, i64)> {
        self.services()
            .filter_map(|service| {
                let entity = Entity {
                    service: Some(service.name().to_owned()),
                    normal: Some(true),
                    ..Entity::default()
                };
                let mean = mean(&self.plain(metric, &entity, buckets))?;
                Some((service.name().to_owned(), mean))
            })
            .collect()
    }

    fn each<T>(
        &self,
        metric: Metric,
        entity: &Entity,
        buckets: &Buckets,
        read: impl Fn(&[Call]) -> Option<T>,
    ) -> Vec<Option<T>> {
        let service = self.service_of(metric, entity);
        buckets
            .starts()
            .map(|start| read(&self.calls(service?, buckets.step, start)))
            .collect()
    }

    /// The service whose traffic a metric of an entity counts: all of it goes through one instance and one endpoint.
    fn service_of(&self, metric: Metric, entity: &Entity) -> Option<&'a Service> {
        if entity.normal != Some(true) || entity.catalog() != metric.catalog {
            return None;
        }
        let name = entity.service.as_deref()?;
        let service = self.services().find(|service| service.name() == name)?;
        let is_there = match metric.catalog {
            Catalog::Service => true,
            Catalog::Instance => entity.instance == Some(format!("{name}-pod-1")),
            Catalog::Endpoint => entity.endpoint.as_deref() == Some("/reviews/0"),
            Catalog::ServiceRelation => false,
        };
        is_there.then_some(service)
    }

    /// The requests of a bucket that can be read by now.
    fn calls(&self, service: &Service, step: Step, start: i64) -> Vec<Call> {
        let end = start + step.millis();
        if step == Step::Second || end < self.now - TTL_MILLIS {
            return Vec::new();
        }
        let since = self
            .config
            .traffic_since
            .map_or(i64::MIN, jiff::Timestamp::as_millisecond);
        let visible = self.config.flush.visible_until(step, self.now);
        traffic::calls(
            service,
            self.config.start.as_millisecond(),
            start.max(since),
            end.min(visible.saturating_add(1)),
        )
    }
}

/// The mean of the buckets with data, as OAP's databases take it: cut, not rounded.
pub(super) fn mean(values: &[Option<i64>]) -> Option<i64> {
    let present: Vec<i64> = values.iter().copied().flatten().collect();
    let count = i64::try_from(present.len()).unwrap_or(i64::MAX);
    (count > 0).then(|| present.iter().sum::<i64>() / count)
}
