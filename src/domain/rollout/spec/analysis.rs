//! Where a rollout asks for an analysis.

use std::collections::BTreeMap;

use super::super::super::fault::{Fault, shown};
use super::super::super::spec::reader::Fields;
use super::super::super::spec::{Argument, DryRunRule, RetentionRule, TemplateRef};

/// An analysis that a rollout asks for: which templates, with what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnalysisSite {
    /// Where it stands: `spec.strategy.canary.analysis`.
    pub at: String,
    /// `templates`; never empty.
    pub templates: Vec<TemplateRef>,
    /// `args`: each with a value, a field of the rollout or a version's name.
    pub args: Vec<Argument>,
    /// `dryRun`.
    pub dry_run: Vec<DryRunRule>,
    /// `measurementRetention`.
    pub measurement_retention: Vec<RetentionRule>,
    /// `analysisRunMetadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// Whether `analysisRunMetadata` has annotations, which a run has no place for.
    pub is_annotated: bool,
}

/// `strategy.canary.analysis`: an analysis beside the steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Background {
    /// What it asks for.
    pub site: AnalysisSite,
    /// `startingStep`: it starts when this step does, counted from 0.
    pub starting_step: usize,
}

impl AnalysisSite {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Self {
        let templates = fields.objects("templates", |fields| {
            let template = TemplateRef::read(fields);
            if template.name.is_empty() && fields.value("templateName").is_none_or(|it| it == "") {
                fields.fault("templateName", "missing: it names a template");
            }
            template
        });
        let is_said = fields
            .value("templates")
            .is_some_and(|it| it.as_array().is_none_or(|it| !it.is_empty()));
        if !is_said {
            fields.fault("templates", "missing: they say what is measured");
        }
        let run_metadata = fields.object("analysisRunMetadata", |fields| {
            let is_annotated = !fields.labels("annotations").is_empty();
            (fields.labels("labels"), is_annotated)
        });
        let (labels, is_annotated) = run_metadata.unwrap_or_default();
        Self {
            at: fields.at().to_owned(),
            templates,
            args: fields.objects("args", read_argument),
            dry_run: fields.objects("dryRun", DryRunRule::read),
            measurement_retention: fields.objects("measurementRetention", RetentionRule::read),
            labels,
            is_annotated,
        }
    }
}

impl Background {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Self {
        let starting_step = fields.int("startingStep").unwrap_or_default();
        if starting_step < 0 {
            let path = fields.path("startingStep");
            fields.add(
                Fault::new(path, format!("there is no step {starting_step}"))
                    .hint("steps are counted from 0"),
            );
        }
        let site = AnalysisSite::read(fields);
        Self {
            site,
            starting_step: usize::try_from(starting_step).unwrap_or_default(),
        }
    }
}

/// An argument: secrets are the template's to name, so that they never pass through a rollout.
fn read_argument(fields: &mut Fields<'_, '_>) -> Argument {
    let argument = Argument::read(fields);
    if argument.name.is_empty() && fields.value("name").is_none_or(|it| it == "") {
        fields.fault("name", "missing: it names an argument of the template");
    }
    let Some(from) = &argument.value_from else {
        return argument;
    };
    if from.secret.is_some() {
        fields.fault(
            "valueFrom.secretKeyRef",
            "a rollout hands over no secrets: the template names them itself",
        );
        return argument;
    }
    match (&from.field_path, &from.pod_template_hash) {
        (Some(_), Some(_)) => fields.fault(
            "valueFrom",
            "has `fieldRef` and `podTemplateHashValue`: a value comes from one place",
        ),
        (None, None) => fields.fault(
            "valueFrom",
            "is empty: `fieldRef` or `podTemplateHashValue` is expected",
        ),
        (Some(path), None) if path.is_empty() => {
            fields.fault(
                "valueFrom.fieldRef.fieldPath",
                "missing: it names a field of the rollout",
            );
        }
        (None, Some(which)) if which != "Latest" && which != "Stable" => fields.fault(
            "valueFrom.podTemplateHashValue",
            format!("expected `Latest` or `Stable`, found {}", shown(which)),
        ),
        (Some(_), None) | (None, Some(_)) => {}
    }
    argument
}
