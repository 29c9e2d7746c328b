//! The arguments of an analysis, with their values.

use serde_json::Value;

use super::super::fault::{Fault, shown};
use super::super::spec::Argument;
use super::field_path::value_at;
use super::room::too_much;
use super::spec::AnalysisSite;
use super::state::Supplied;

/// What arguments may take their values from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    /// The rollout's object, its status included.
    pub(super) object: &'a Value,
    /// The name of the version that is rolled out.
    pub(super) latest: &'a str,
    /// The name of the stable version, where it is known.
    pub(super) stable: Option<&'a str>,
}

/// The arguments of `site` with their values, or what is wrong with them.
pub(super) fn resolve(
    site: &AnalysisSite,
    sources: Sources<'_>,
) -> Result<Vec<Supplied>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut supplied = Vec::new();
    for argument in &site.args {
        match value_of(argument, sources) {
            Ok(value) => supplied.push(Supplied {
                name: argument.name.clone(),
                value,
            }),
            Err(fault) => faults.push(fault.under(&argument.at)),
        }
    }
    faults.extend(too_much(site, &supplied));
    if faults.is_empty() {
        Ok(supplied)
    } else {
        Err(faults)
    }
}

/// An argument that names neither a value nor a place is empty, as in Argo.
fn value_of(argument: &Argument, sources: Sources<'_>) -> Result<String, Fault> {
    let Some(from) = &argument.value_from else {
        return Ok(argument.value.clone().unwrap_or_default());
    };
    if let Some(which) = &from.pod_template_hash {
        let name = match which.as_str() {
            "Latest" => Some(sources.latest),
            _ => sources.stable,
        };
        return name.map(str::to_owned).ok_or_else(|| {
            Fault::new(
                "valueFrom.podTemplateHashValue",
                format!(
                    "argument {} wants the name of the stable version, which nobody has told",
                    shown(&argument.name)
                ),
            )
            .hint("name it when the rollout begins")
        });
    }
    let path = from.field_path.as_deref().unwrap_or_default();
    value_at(sources.object, path).map_err(|error| {
        Fault::new(
            "valueFrom.fieldRef.fieldPath",
            format!("argument {}: {error}", shown(&argument.name)),
        )
    })
}
