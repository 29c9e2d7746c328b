//! The two generations of OAP that were recorded, and where they differ.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::traffic::RANKS;

/// Which OAP is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generation {
    /// 9.7.0 on its embedded store: no `owner`, no `coldStage`, percentiles labelled `_` 0 to 4, no health check.
    V9_7,
    /// 10.4.0 on `PostgreSQL`.
    #[default]
    V10_4,
}

/// The layers of 10.4 in its order; `true`: 9.7 has it as well.
const LAYERS: [(&str, bool); 46] = [
    ("CLICKHOUSE", false),
    ("BROWSER", true),
    ("RABBITMQ", true),
    ("MESH", true),
    ("GENERAL", true),
    ("FAAS", true),
    ("MESH_CP", true),
    ("AWS_GATEWAY", true),
    ("GENAI", false),
    ("BANYANDB", false),
    ("NGINX", true),
    ("SO11Y_JAVA_AGENT", false),
    ("ACTIVEMQ", false),
    ("SO11Y_SATELLITE", true),
    ("K8S_SERVICE", true),
    ("VIRTUAL_GATEWAY", true),
    ("CILIUM_SERVICE", false),
    ("AWS_EKS", true),
    ("MQ", true),
    ("MYSQL", true),
    ("VIRTUAL_DATABASE", true),
    ("K8S", true),
    ("VIRTUAL_MQ", true),
    ("PULSAR", true),
    ("MONGODB", true),
    ("CACHE", true),
    ("OS_WINDOWS", true),
    ("SO11Y_GO_AGENT", false),
    ("ENVOY_AI_GATEWAY", false),
    ("MESH_DP", true),
    ("VIRTUAL_GENAI", false),
    ("SO11Y_OAP", true),
    ("DATABASE", true),
    ("OS_LINUX", true),
    ("REDIS", true),
    ("KAFKA", true),
    ("ELASTICSEARCH", true),
    ("ROCKETMQ", false),
    ("APISIX", true),
    ("VIRTUAL_CACHE", true),
    ("POSTGRESQL", true),
    ("AWS_S3", true),
    ("BOOKKEEPER", true),
    ("KONG", false),
    ("FLINK", false),
    ("AWS_DYNAMODB", true),
];

impl Generation {
    /// What the server says of itself.
    pub fn version(self) -> &'static str {
        match self {
            Self::V9_7 => "9.7.0-066457b",
            Self::V10_4 => "10.4.0-b272da3",
        }
    }

    /// How an exception reads: the newer server names its class.
    pub(super) fn exception(self, class: &str, text: &str) -> String {
        match self {
            Self::V9_7 => text.to_owned(),
            Self::V10_4 => format!("{class}: {text}"),
        }
    }

    /// Whether a request may use each door of introspection once only.
    pub(super) fn guards_introspection(self) -> bool {
        match self {
            Self::V9_7 => false,
            Self::V10_4 => true,
        }
    }

    /// Whether it serves `/healthcheck` and `/status/config/ttl`.
    pub(super) fn serves_status(self) -> bool {
        match self {
            Self::V9_7 => false,
            Self::V10_4 => true,
        }
    }

    /// The label of each percentile in MQE.
    pub(super) fn percentile_labels(self) -> Vec<(String, String)> {
        let label = |(i, rank): (usize, &u32)| match self {
            Self::V9_7 => ("_".to_owned(), i.to_string()),
            Self::V10_4 => ("p".to_owned(), rank.to_string()),
        };
        RANKS.iter().enumerate().map(label).collect()
    }

    pub(super) fn layers(self) -> Vec<&'static str> {
        LAYERS
            .iter()
            .filter(|(_, is_old)| *is_old || self == Self::V10_4)
            .map(|(name, _)| *name)
            .collect()
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V9_7 => "9.7",
            Self::V10_4 => "10.4",
        })
    }
}

/// A text that names no generation.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no OAP `{0}` is simulated; there are `9.7` and `10.4`")]
pub struct UnknownGeneration(String);

impl FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, UnknownGeneration> {
        match text {
            "9.7" => Ok(Self::V9_7),
            "10.4" => Ok(Self::V10_4),
            other => Err(UnknownGeneration(other.to_owned())),
        }
    }
}
