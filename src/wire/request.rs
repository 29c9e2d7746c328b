//! What programs send: the bodies of requests, as clients write them. The service reads them in `domain::spec`, with every fault told.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What is to be analysed, in the words of Argo's `analysis` in a Rollout.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRequest {
    /// Where templates and secrets are looked for; `default` where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length = 63)]
    pub namespace: Option<String>,
    /// What the run is called; where it is left out, as its templates are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 253)]
    pub name: Option<String>,
    /// The templates, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateReference>,
    /// Metrics of the request's own: the `spec` of an AnalysisTemplate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub spec: Option<Value>,
    /// Values for arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<ArgumentValue>,
    /// Metrics that are measured and never counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// When the ended run may be forgotten, instead of what the templates and the service say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_strategy: Option<TtlStrategy>,
    /// The run's labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When the version first took traffic: older buckets belong to another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub not_before: Option<String>,
    /// Ends a run that has no `count` after this time, a Go duration: Successful with evidence, else Inconclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "30m")]
    pub conclude_after: Option<String>,
}

/// What is to be measured once.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeasurementRequest {
    /// Where templates and secrets are looked for; `default` where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length = 63)]
    pub namespace: Option<String>,
    /// The templates, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateReference>,
    /// Metrics of the request's own: the `spec` of an AnalysisTemplate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub spec: Option<Value>,
    /// Values for arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<ArgumentValue>,
    /// Metrics that don't count towards the phase.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// Taken and ignored: the words are those of a run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Taken and ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_strategy: Option<TtlStrategy>,
    /// When the version first took traffic: older buckets belong to another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub not_before: Option<String>,
    /// A past moment to ask about; now where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub at: Option<String>,
    /// Only these metrics; all of them where it is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
}

/// What may be changed of a run.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunPatch {
    /// When the version first took traffic; can be set once.
    #[schema(format = DateTime)]
    pub not_before: String,
}

/// A template by name: `templateName`, or `name`, which says the same.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateReference {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_name: Option<String>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is a ClusterAnalysisTemplate.
    pub cluster_scope: bool,
}

/// A value for an argument, or where it comes from.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgumentValue {
    /// The argument's name.
    pub name: String,
    /// Its value; refused where the argument is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where its value comes from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueSource>,
}

/// Where the value of an argument comes from.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueSource {
    /// A key of a secret in the run's namespace.
    pub secret_key_ref: SecretKeyRef,
}

/// A key of a secret.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    /// The secret's name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// Metrics that are measured and never counted.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DryRun {
    /// A regular expression for their names, unanchored.
    pub metric_name: String,
}

/// How many measurements are kept of metrics.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeasurementRetention {
    /// A regular expression for their names, unanchored.
    pub metric_name: String,
    /// How many.
    pub limit: i32,
}

/// When an ended run may be forgotten, in seconds after its end.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TtlStrategy {
    /// However it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub seconds_after_completion: Option<i32>,
    /// Where it was Successful.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub seconds_after_success: Option<i32>,
    /// Where it Failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub seconds_after_failure: Option<i32>,
}
