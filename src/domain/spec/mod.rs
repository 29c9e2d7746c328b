//! Templates as they are written: placeholders unrendered, durations and numbers still texts.
//!
//! The decoder reads JSON values, whatever they came from, and collects every fault with its path. A field that is wrong reads as
//! absent, so that everything else can still be checked; the faults stay with the template.

mod body;
mod metric;
pub(super) mod reader;

use std::time::Duration;

use serde_json::Value;

use super::fault::{Fault, Faults, shown};
use super::plan::Ttl;
pub(super) use reader::LONGEST_LIST;
use reader::{Fields, read_object};

pub use body::{MeasurementBody, PatchBody, RunBody, unknown_names};
pub use metric::{ENTITY_FIELDS, EntitySpec, MetricSpec, Provider, SkyWalkingSpec};

/// The API version of Argo Rollouts' resources.
pub const API_VERSION: &str = "argoproj.io/v1alpha1";

/// The two kinds of templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `AnalysisTemplate`: lives in a namespace.
    Namespaced,
    /// `ClusterAnalysisTemplate`: seen from every namespace.
    Cluster,
}

impl Kind {
    /// Kubernetes' name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaced => "AnalysisTemplate",
            Self::Cluster => "ClusterAnalysisTemplate",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Namespaced, Self::Cluster]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// An `AnalysisTemplate` or `ClusterAnalysisTemplate`, with what is wrong with its form.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Which of the two.
    pub kind: Kind,
    /// `metadata.name`; empty where it is missing, which is one of its faults.
    pub name: String,
    /// `metadata.namespace`, if the manifest says it.
    pub namespace: Option<String>,
    /// What it says.
    pub spec: AnalysisSpec,
    faults: Vec<Fault>,
}

impl Template {
    /// Reads a manifest of the given kind, faults and all.
    pub fn read(kind: Kind, document: &Value) -> Self {
        let mut faults = Vec::new();
        let (name, namespace, spec) = read_object(document, "", &mut faults, |fields| {
            read_api_version(fields);
            fields.value("kind");
            let (name, namespace) = read_metadata(fields, "a template is referred to by its name");
            (
                name,
                namespace,
                fields.object("spec", AnalysisSpec::read_fields),
            )
        });
        if spec.is_none() && document.get("spec").is_none_or(Value::is_null) {
            faults.push(Fault::new("spec", "missing: it holds the metrics"));
        }
        Self {
            kind,
            name,
            namespace,
            spec: spec.unwrap_or_default(),
            faults,
        }
    }

    /// Reads a manifest, which names its kind; all its faults if there are any.
    pub fn decode(document: &Value) -> Result<Self, Faults> {
        let named = document.get("kind").and_then(Value::as_str);
        let Some(kind) = named.and_then(Kind::named) else {
            let found = named.map_or("nothing".to_owned(), shown);
            return Err(Fault::new(
                "kind",
                format!("expected `AnalysisTemplate` or `ClusterAnalysisTemplate`, found {found}"),
            )
            .into());
        };
        let template = Self::read(kind, document);
        Faults::none_or(template.faults.clone(), template)
    }

    /// What is wrong with its form, with paths from its root.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How faults name it among others: `AnalysisTemplate/apdex`.
    pub fn label(&self) -> String {
        format!(
            "{}/{}",
            self.kind.name(),
            shown(&self.name).trim_matches('`')
        )
    }
}

/// What a template or a run says: `spec`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnalysisSpec {
    /// What is measured.
    pub metrics: Vec<MetricSpec>,
    /// The arguments it takes, with their defaults.
    pub args: Vec<Argument>,
    /// Metrics that are measured and never counted.
    pub dry_run: Vec<DryRunRule>,
    /// How many measurements are kept.
    pub measurement_retention: Vec<RetentionRule>,
    /// Templates whose metrics join these.
    pub templates: Vec<TemplateRef>,
    /// When an ended run may be forgotten. Argo has it in runs only; here a template may have it too.
    pub ttl: Option<Ttl>,
}

impl AnalysisSpec {
    /// Reads a spec that stands at the path `at`, and adds what is wrong with it to `faults`.
    pub fn read(spec: &Value, at: &str, faults: &mut Vec<Fault>) -> Self {
        read_object(spec, at, faults, Self::read_fields)
    }

    fn read_fields(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            metrics: fields.objects("metrics", MetricSpec::read),
            args: fields.objects("args", Argument::read),
            dry_run: fields.objects("dryRun", DryRunRule::read),
            measurement_retention: fields.objects("measurementRetention", RetentionRule::read),
            templates: fields.objects("templates", TemplateRef::read),
            ttl: fields.object("ttlStrategy", read_ttl),
        }
    }
}

/// One entry of `args`, declared by a template or supplied to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Argument {
    /// Where it stands.
    pub at: String,
    /// Its name.
    pub name: String,
    /// Its value or default.
    pub value: Option<String>,
    /// Where its value comes from instead.
    pub value_from: Option<ValueFrom>,
}

impl Argument {
    /// An argument with a value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
            ..Self::default()
        }
    }

    pub(in crate::domain) fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            at: fields.at().to_owned(),
            name: fields.text("name").unwrap_or_default(),
            value: fields.text("value"),
            value_from: fields.object("valueFrom", ValueFrom::read),
        }
    }
}

/// Where the value of an argument comes from: one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueFrom {
    /// `secretKeyRef`: a key of a secret.
    pub secret: Option<SecretRef>,
    /// `fieldRef.fieldPath`: a field of the rollout, which only a rollout can fill in.
    pub field_path: Option<String>,
    /// `podTemplateHashValue`: likewise.
    pub pod_template_hash: Option<String>,
}

impl ValueFrom {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            secret: fields.object("secretKeyRef", |fields| SecretRef {
                name: fields.text("name").unwrap_or_default(),
                key: fields.text("key").unwrap_or_default(),
            }),
            field_path: fields.object("fieldRef", |fields| {
                fields.text("fieldPath").unwrap_or_default()
            }),
            pod_template_hash: fields.text("podTemplateHashValue"),
        }
    }
}

/// A key of a secret, in the namespace of the run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRef {
    /// The secret's name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// `dryRun`: metrics whose names match are measured and never counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryRunRule {
    /// Where it stands.
    pub at: String,
    /// A regular expression, unanchored.
    pub metric_name: String,
}

impl DryRunRule {
    pub(in crate::domain) fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            at: fields.at().to_owned(),
            metric_name: fields.text("metricName").unwrap_or_default(),
        }
    }
}

/// `measurementRetention`: how many measurements are kept of metrics whose names match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionRule {
    /// Where it stands.
    pub at: String,
    /// A regular expression, unanchored.
    pub metric_name: String,
    /// How many; 0 and less mean the default.
    pub limit: i32,
}

impl RetentionRule {
    pub(in crate::domain) fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            at: fields.at().to_owned(),
            metric_name: fields.text("metricName").unwrap_or_default(),
            limit: fields.int("limit").unwrap_or_default(),
        }
    }
}

/// A reference to a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateRef {
    /// Where it stands.
    pub at: String,
    /// `templateName`.
    pub name: String,
    /// `clusterScope`: a `ClusterAnalysisTemplate` instead of one in the run's namespace.
    pub cluster_scope: bool,
}

impl TemplateRef {
    /// A reference to the template of this kind and name.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            at: String::new(),
            name: name.into(),
            cluster_scope: kind == Kind::Cluster,
        }
    }

    /// Which kind it refers to.
    pub fn kind(&self) -> Kind {
        if self.cluster_scope {
            Kind::Cluster
        } else {
            Kind::Namespaced
        }
    }

    pub(in crate::domain) fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            at: fields.at().to_owned(),
            name: fields.text("templateName").unwrap_or_default(),
            cluster_scope: fields.boolean("clusterScope").unwrap_or_default(),
        }
    }
}

/// A count or limit: a whole number, or a text of which one is made when its arguments are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrString {
    /// A number.
    Int(i32),
    /// A text.
    Text(String),
}

impl IntOrString {
    /// The number as Argo takes it: a text that is no number counts as 0.
    pub fn lenient(&self) -> i64 {
        self.strict().unwrap_or(0)
    }

    /// The number, or the text that is none.
    pub fn strict(&self) -> Result<i64, &str> {
        match self {
            Self::Int(number) => Ok(i64::from(*number)),
            Self::Text(text) => text.parse().map_err(|_| text.as_str()),
        }
    }
}

pub(super) fn read_api_version(fields: &mut Fields<'_, '_>) {
    match fields.text("apiVersion").as_deref() {
        Some(API_VERSION) => {}
        Some(other) => fields.fault(
            "apiVersion",
            format!("expected `{API_VERSION}`, found {}", shown(other)),
        ),
        None => fields.fault(
            "apiVersion",
            format!("missing: `{API_VERSION}` is expected"),
        ),
    }
}

/// The name and namespace; Kubernetes' many other fields pass. `need` says why there must be a name.
pub(super) fn read_metadata(fields: &mut Fields<'_, '_>, need: &str) -> (String, Option<String>) {
    let named = fields.object("metadata", |fields| {
        fields.allow_others();
        let namespace = fields.text("namespace").filter(|text| !text.is_empty());
        if let Some(namespace) = &namespace
            && !is_dns_name(namespace, false)
        {
            fields.fault("namespace", not_a_dns_name("namespace", namespace));
        }
        let name = fields.text("name").unwrap_or_default();
        if !name.is_empty() && !is_dns_name(&name, true) {
            fields.fault("name", not_a_dns_name("name", &name));
        }
        (name, namespace)
    });
    let (name, namespace) = named.unwrap_or_default();
    if name.is_empty() {
        fields.fault("metadata.name", format!("missing: {need}"));
    }
    (name, namespace)
}

/// Whether Kubernetes would take `name`: lower-case letters, digits and inner dashes, with `dots` in labels joined by dots.
fn is_dns_name(name: &str, dots: bool) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if dots {
        name.len() <= 253 && name.split('.').all(is_label)
    } else {
        name.len() <= 63 && is_label(name)
    }
}

fn not_a_dns_name(what: &str, name: &str) -> String {
    format!(
        "{} is no {what} for Kubernetes: lower-case letters, digits and inner dashes are allowed",
        shown(name)
    )
}

fn read_ttl(fields: &mut Fields<'_, '_>) -> Ttl {
    let mut seconds = |name: &'static str| {
        let number = fields.int(name)?;
        if let Ok(seconds) = u64::try_from(number) {
            return Some(Duration::from_secs(seconds));
        }
        fields.fault(name, format!("must not be negative, found `{number}`"));
        None
    };
    Ttl {
        after_completion: seconds("secondsAfterCompletion"),
        after_success: seconds("secondsAfterSuccess"),
        after_failure: seconds("secondsAfterFailure"),
    }
}
