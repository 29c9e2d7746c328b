//! A metric as it is written.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::args::{Arguments, render};
use super::super::fault::Fault;
use super::IntOrString;
use super::reader::Fields;

/// One entry of `metrics`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricSpec {
    /// Where it stands: `spec.metrics[0]`.
    pub at: String,
    /// `name`.
    pub name: String,
    /// `interval`.
    pub interval: Option<String>,
    /// `initialDelay`.
    pub initial_delay: Option<String>,
    /// `count`.
    pub count: Option<IntOrString>,
    /// `successCondition`.
    pub success_condition: Option<String>,
    /// `failureCondition`.
    pub failure_condition: Option<String>,
    /// `failureLimit`.
    pub failure_limit: Option<IntOrString>,
    /// `inconclusiveLimit`.
    pub inconclusive_limit: Option<IntOrString>,
    /// `consecutiveErrorLimit`.
    pub consecutive_error_limit: Option<IntOrString>,
    /// `consecutiveSuccessLimit`.
    pub consecutive_success_limit: Option<IntOrString>,
    /// Ours: `consecutiveFailureLimit`.
    pub consecutive_failure_limit: Option<IntOrString>,
    /// Ours: `conditionLanguage`.
    pub condition_language: Option<String>,
    /// What is under `provider`: one, if the metric is right.
    pub providers: Vec<Provider>,
}

/// Where a metric's numbers come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Provider {
    /// `skywalking`.
    SkyWalking(Box<SkyWalkingSpec>),
    /// Another of Argo's, which cannot be measured here. It is kept, so that a template with several kinds of metrics can be.
    Other {
        /// Its name.
        name: String,
        /// What stands under it.
        config: Value,
    },
}

/// `provider.skywalking`: Argo's three fields and ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SkyWalkingSpec {
    /// `address`.
    pub address: Option<String>,
    /// `query`.
    pub query: Option<String>,
    /// `interval`: how much time a measurement looks at.
    pub interval: Option<String>,
    /// Ours: `oap`.
    pub oap: Option<String>,
    /// Ours: `expression`.
    pub expression: Option<String>,
    /// Ours: `entity`.
    pub entity: Option<EntitySpec>,
    /// Ours: `queries`, kept as it is.
    pub queries: Option<Value>,
    /// Ours: `step`.
    pub step: Option<String>,
    /// Ours: `settle`.
    pub settle: Option<String>,
    /// Ours: `gaps`.
    pub gaps: Option<String>,
    /// Ours: `noData`.
    pub no_data: Option<String>,
    /// Ours: `noDataTimeout`.
    pub no_data_timeout: Option<String>,
}

/// The fields of SkyWalking's `Entity`, by name. `normal` and `destNormal` are texts here: `true`, `false` or a placeholder.
pub type EntitySpec = BTreeMap<&'static str, String>;

/// The names of the fields of SkyWalking's `Entity`.
pub const ENTITY_FIELDS: [&str; 11] = [
    "scope",
    "serviceName",
    "normal",
    "serviceInstanceName",
    "endpointName",
    "processName",
    "destServiceName",
    "destNormal",
    "destServiceInstanceName",
    "destEndpointName",
    "destProcessName",
];

/// Argo's other providers.
const OTHER_PROVIDERS: [&str; 11] = [
    "prometheus",
    "kayenta",
    "web",
    "datadog",
    "wavefront",
    "newRelic",
    "job",
    "cloudWatch",
    "graphite",
    "influxdb",
    "plugin",
];

impl MetricSpec {
    /// Renders every text of the metric, as Argo does; what cannot be rendered is absent from the result and a fault.
    #[must_use]
    pub fn render(&self, args: &Arguments, faults: &mut Vec<Fault>) -> Self {
        let mut renderer = Renderer {
            args,
            at: &self.at,
            faults,
        };
        let r = &mut renderer;
        Self {
            at: self.at.clone(),
            name: r.text("name", &self.name).unwrap_or_default(),
            interval: r.optional("interval", self.interval.as_ref()),
            initial_delay: r.optional("initialDelay", self.initial_delay.as_ref()),
            count: r.number("count", self.count.as_ref()),
            success_condition: r.optional("successCondition", self.success_condition.as_ref()),
            failure_condition: r.optional("failureCondition", self.failure_condition.as_ref()),
            failure_limit: r.number("failureLimit", self.failure_limit.as_ref()),
            inconclusive_limit: r.number("inconclusiveLimit", self.inconclusive_limit.as_ref()),
            consecutive_error_limit: r.number(
                "consecutiveErrorLimit",
                self.consecutive_error_limit.as_ref(),
            ),
            consecutive_success_limit: r.number(
                "consecutiveSuccessLimit",
                self.consecutive_success_limit.as_ref(),
            ),
            consecutive_failure_limit: r.number(
                "consecutiveFailureLimit",
                self.consecutive_failure_limit.as_ref(),
            ),
            condition_language: r.optional("conditionLanguage", self.condition_language.as_ref()),
            providers: self.providers.iter().map(|it| r.provider(it)).collect(),
        }
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            at: fields.at().to_owned(),
            name: fields.text("name").unwrap_or_default(),
            interval: fields.duration("interval"),
            initial_delay: fields.duration("initialDelay"),
            count: fields.int_or_string("count"),
            success_condition: fields.text("successCondition"),
            failure_condition: fields.text("failureCondition"),
            failure_limit: fields.int_or_string("failureLimit"),
            inconclusive_limit: fields.int_or_string("inconclusiveLimit"),
            consecutive_error_limit: fields.int_or_string("consecutiveErrorLimit"),
            consecutive_success_limit: fields.int_or_string("consecutiveSuccessLimit"),
            consecutive_failure_limit: fields.int_or_string("consecutiveFailureLimit"),
            condition_language: fields.text("conditionLanguage"),
            providers: fields
                .object("provider", read_providers)
                .unwrap_or_default(),
        }
    }
}

impl SkyWalkingSpec {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            address: fields.text("address"),
            query: fields.text("query"),
            interval: fields.duration("interval"),
            oap: fields.text("oap"),
            expression: fields.text("expression"),
            entity: fields.object("entity", read_entity),
            queries: fields.value("queries").cloned(),
            step: fields.text("step"),
            settle: fields.duration("settle"),
            gaps: fields.text("gaps"),
            no_data: fields.text("noData"),
            no_data_timeout: fields.duration("noDataTimeout"),
        }
    }
}

fn read_entity(fields: &mut Fields<'_, '_>) -> EntitySpec {
    ENTITY_FIELDS
        .into_iter()
        .filter_map(|name| {
            let value = match name {
                "normal" | "destNormal" => fields.boolean_or_string(name),
                _ => fields.text(name),
            };
            value.map(|value| (name, value))
        })
        .collect()
}

fn read_providers(fields: &mut Fields<'_, '_>) -> Vec<Provider> {
    let mut providers = Vec::new();
    if let Some(spec) = fields.object("skywalking", SkyWalkingSpec::read) {
        providers.push(Provider::SkyWalking(Box::new(spec)));
    }
    for name in OTHER_PROVIDERS {
        let Some(config) = fields.value(name) else {
            continue;
        };
        match (name, config) {
            // Each plugin is a provider of its own.
            ("plugin", Value::Object(plugins)) => {
                providers.extend(plugins.iter().map(|(plugin, config)| Provider::Other {
                    name: format!("plugin.{plugin}"),
                    config: config.clone(),
                }));
            }
            (_, Value::Object(_)) => providers.push(Provider::Other {
                name: name.to_owned(),
                config: config.clone(),
            }),
            (_, other) => {
                let path = fields.path(name);
                fields.add(super::reader::wrong_kind(&path, "an object", other));
            }
        }
    }
    providers
}

/// With so many faults nobody reads on; looking for more would only cost time.
const ENOUGH_FAULTS: usize = 500;

/// Renders the texts of one metric.
struct Renderer<'a> {
    args: &'a Arguments,
    at: &'a str,
    faults: &'a mut Vec<Fault>,
}

impl Renderer<'_> {
    fn text(&mut self, field: &str, text: &str) -> Option<String> {
        if self.faults.len() >= ENOUGH_FAULTS {
            return None;
        }
        match render(text, self.args) {
            Ok(rendered) => Some(rendered),
            Err(faults) => {
                let path = format!("{}.{field}", self.at);
                self.faults
                    .extend(faults.into_iter().map(|fault| fault.under(&path)));
                None
            }
        }
    }

    fn optional(&mut self, field: &str, text: Option<&String>) -> Option<String> {
        self.text(field, text?)
    }

    fn number(&mut self, field: &str, number: Option<&IntOrString>) -> Option<IntOrString> {
        match number? {
            IntOrString::Int(number) => Some(IntOrString::Int(*number)),
            IntOrString::Text(text) => self.text(field, text).map(IntOrString::Text),
        }
    }

    fn provider(&mut self, provider: &Provider) -> Provider {
        match provider {
            Provider::SkyWalking(spec) => Provider::SkyWalking(Box::new(self.skywalking(spec))),
            Provider::Other { name, config } => Provider::Other {
                name: name.clone(),
                config: self.json(&format!("provider.{name}"), config),
            },
        }
    }

    fn skywalking(&mut self, spec: &SkyWalkingSpec) -> SkyWalkingSpec {
        let mut field = |name: &str, text: Option<&String>| {
            self.optional(&format!("provider.skywalking.{name}"), text)
        };
        SkyWalkingSpec {
            address: field("address", spec.address.as_ref()),
            query: field("query", spec.query.as_ref()),
            interval: field("interval", spec.interval.as_ref()),
            oap: field("oap", spec.oap.as_ref()),
            expression: field("expression", spec.expression.as_ref()),
            step: field("step", spec.step.as_ref()),
            settle: field("settle", spec.settle.as_ref()),
            gaps: field("gaps", spec.gaps.as_ref()),
            no_data: field("noData", spec.no_data.as_ref()),
            no_data_timeout: field("noDataTimeout", spec.no_data_timeout.as_ref()),
            entity: spec.entity.as_ref().map(|entity| {
                entity
                    .iter()
                    .filter_map(|(name, text)| {
                        Some((*name, field(&format!("entity.{name}"), Some(text))?))
                    })
                    .collect()
            }),
            queries: spec
                .queries
                .as_ref()
                .map(|queries| self.json("provider.skywalking.queries", queries)),
        }
    }

    /// Every text in `value`, keys included.
    fn json(&mut self, field: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(field, text).map_or(Value::Null, Value::String),
            Value::Array(items) => items.iter().map(|item| self.json(field, item)).collect(),
            Value::Object(map) => map
                .iter()
                .filter_map(|(key, value)| {
                    let value = self.json(field, value);
                    Some((self.text(field, key)?, value))
                })
                .collect::<Map<String, Value>>()
                .into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}
