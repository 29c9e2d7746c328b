//! An Argo `Rollout` as it is written, checked: what the stepper plays of it.
//!
//! A stepper moves traffic and nothing else. What a document says about workloads is accepted and told in a note;
//! what could only be played by a controller that moves workloads is refused, since leaving it out would be another rollout.

mod analysis;
mod pass;
mod routing;
mod steps;

use serde_json::Value;

use super::super::fault::{Fault, Faults, shown};
use super::super::spec::reader::{Fields, read_object};
use super::super::spec::{read_api_version, read_metadata};
use super::room::too_long;

pub use analysis::{AnalysisSite, Background};
pub use routing::IstioRouting;
pub use steps::Step;

/// The kind of document that is read here.
pub const KIND: &str = "Rollout";

/// What a stepper plays of a `Rollout`.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutSpec {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`, if the document says it.
    pub namespace: Option<String>,
    /// `strategy.canary.steps`.
    pub steps: Vec<Step>,
    /// `strategy.canary.analysis`: the analysis that runs beside the steps.
    pub analysis: Option<Background>,
    /// `strategy.canary.trafficRouting.istio`, with what stands beside it.
    pub istio: Option<IstioRouting>,
    /// `spec.paused`: begins paused by hand.
    pub is_paused: bool,
    /// What was accepted and has no effect here, one line each.
    pub notes: Vec<String>,
    /// The document, without its status: arguments may take their values from it, and the record keeps it.
    pub document: Value,
}

impl RolloutSpec {
    /// Reads a document of the kind `Rollout`; all its faults if there are any.
    pub fn read(document: &Value) -> Result<Self, Faults> {
        let kind = document.get("kind").and_then(Value::as_str);
        if kind != Some(KIND) {
            let found = kind.map_or("nothing".to_owned(), shown);
            let fault = Fault::new("kind", format!("expected `{KIND}`, found {found}"));
            return Err(fault.into());
        }
        let mut faults = Vec::new();
        let mut passed = Passed::default();
        let mut spec = Self {
            document: without_status(document),
            ..read_object(document, "", &mut faults, |fields| {
                read_rollout(fields, &mut passed)
            })
        };
        faults.extend(too_long(&spec.document));
        spec.notes = notes(&passed, &spec);
        check_starting_step(&spec, &mut faults);
        Faults::none_or(faults, spec)
    }

    /// Every analysis that it may ask for.
    pub fn analyses(&self) -> impl Iterator<Item = &AnalysisSite> {
        let of_steps = self.steps.iter().filter_map(|step| match step {
            Step::Analysis(site) => Some(site.as_ref()),
            Step::SetWeight(_) | Step::Pause(_) => None,
        });
        let background = self.analysis.iter().map(|background| &background.site);
        background.chain(of_steps)
    }
}

/// The paths of fields about workloads, as they are met.
#[derive(Debug, Default)]
struct Passed(Vec<String>);

fn notes(passed: &Passed, spec: &RolloutSpec) -> Vec<String> {
    let mut notes = Vec::new();
    if !passed.0.is_empty() {
        let paths: Vec<String> = passed.0.iter().map(|it| format!("`{it}`")).collect();
        notes.push(format!(
            "not looked at, since a stepper moves traffic and leaves workloads alone: {}",
            paths.join(", ")
        ));
    }
    let annotated = spec.analyses().filter(|site| site.is_annotated);
    notes.extend(annotated.map(|site| {
        format!(
            "{}.analysisRunMetadata.annotations: a run has labels only",
            site.at
        )
    }));
    notes
}

fn read_rollout(fields: &mut Fields<'_, '_>, passed: &mut Passed) -> RolloutSpec {
    read_api_version(fields);
    fields.value("kind");
    fields.value("status");
    let (name, namespace) = read_metadata(fields, "a rollout is kept under its name");
    if fields.value("spec").is_none() {
        fields.fault("spec", "missing: it holds the strategy");
    }
    let spec = fields.object("spec", |fields| read_spec(fields, passed));
    RolloutSpec {
        name,
        namespace,
        ..spec.unwrap_or_else(nothing)
    }
}

fn read_spec(fields: &mut Fields<'_, '_>, passed: &mut Passed) -> RolloutSpec {
    pass::of_spec(fields, passed);
    let is_paused = fields.boolean("paused").unwrap_or_default();
    if fields.value("strategy").is_none() {
        fields.fault("strategy", "missing: `canary` is expected under it");
    }
    let canary = fields.object("strategy", |fields| read_strategy(fields, passed));
    RolloutSpec {
        is_paused,
        ..canary.unwrap_or_else(nothing)
    }
}

fn read_strategy(fields: &mut Fields<'_, '_>, passed: &mut Passed) -> RolloutSpec {
    if fields.value("blueGreen").is_some() {
        let path = fields.path("blueGreen");
        fields.add(
            needs_a_controller(&path, "blue-green moves workloads")
                .hint("a stepper plays `canary`; without steps it sends all traffic over at once"),
        );
    } else if fields.value("canary").is_none() {
        fields.fault("canary", "missing: a stepper plays the canary strategy");
    }
    let canary = fields.object("canary", |fields| read_canary(fields, passed));
    canary.unwrap_or_else(nothing)
}

fn read_canary(fields: &mut Fields<'_, '_>, passed: &mut Passed) -> RolloutSpec {
    pass::of_canary(fields, passed);
    let istio = routing::read(fields);
    RolloutSpec {
        steps: fields
            .objects("steps", steps::read)
            .into_iter()
            .flatten()
            .collect(),
        analysis: fields.object("analysis", Background::read),
        istio,
        ..nothing()
    }
}

/// A background analysis that would never be started would never stand in the way of a bad version.
fn check_starting_step(spec: &RolloutSpec, faults: &mut Vec<Fault>) {
    let Some(background) = &spec.analysis else {
        return;
    };
    let (first, steps) = (background.starting_step, spec.steps.len());
    if first > 0 && first >= steps {
        faults.push(
            Fault::new(
                "spec.strategy.canary.analysis.startingStep",
                format!("there is no step {first} among {steps}"),
            )
            .hint("steps are counted from 0"),
        );
    }
}

fn needs_a_controller(path: &str, why: &str) -> Fault {
    Fault::new(path, format!("needs a controller in the cluster: {why}"))
}

fn without_status(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(object) = document.as_object_mut() {
        object.remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    }
    document
}

/// Where there is nothing to read there is a fault, too.
fn nothing() -> RolloutSpec {
    RolloutSpec {
        name: String::new(),
        namespace: None,
        steps: Vec::new(),
        analysis: None,
        istio: None,
        is_paused: false,
        notes: Vec::new(),
        document: Value::Null,
    }
}
