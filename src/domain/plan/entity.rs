//! Whom an expression is about. An entity that its scope needs more of is answered with zeros, nulls or the numbers of somebody
//! else, never with an error: it is checked before it is sent. Source of the rules: SkyWalking's `Entity.isValid`.

use super::super::fault::{listed, shown};
use super::super::nearest::nearest;
use super::super::spec::EntitySpec;
use super::Entity;
use super::strict::Strict;

/// What each scope needs, besides itself.
const SCOPES: [(&str, &[&str]); 9] = [
    ("All", &[]),
    ("Service", &["serviceName", "normal"]),
    (
        "ServiceInstance",
        &["serviceName", "normal", "serviceInstanceName"],
    ),
    ("Endpoint", &["serviceName", "normal", "endpointName"]),
    (
        "Process",
        &[
            "serviceName",
            "normal",
            "serviceInstanceName",
            "processName",
        ],
    ),
    (
        "ServiceRelation",
        &["serviceName", "normal", "destServiceName", "destNormal"],
    ),
    (
        "ServiceInstanceRelation",
        &[
            "serviceName",
            "normal",
            "serviceInstanceName",
            "destServiceName",
            "destNormal",
            "destServiceInstanceName",
        ],
    ),
    (
        "EndpointRelation",
        &[
            "serviceName",
            "normal",
            "endpointName",
            "destServiceName",
            "destNormal",
            "destEndpointName",
        ],
    ),
    (
        "ProcessRelation",
        &[
            "serviceName",
            "normal",
            "serviceInstanceName",
            "processName",
            "destServiceName",
            "destNormal",
            "destServiceInstanceName",
            "destProcessName",
        ],
    ),
];

/// The entity, complete for its scope and without fields that the scope doesn't read. One of `is_ranking` may lack names: it ranks all that it doesn't name.
pub(super) fn plan(
    written: &EntitySpec,
    rendered: &EntitySpec,
    is_ranking: bool,
    s: &mut Strict<'_>,
) -> Option<Entity> {
    let before = s.faults.len();
    // What could not be rendered has been said.
    let is_rendered = written.len() == rendered.len();
    for (name, value) in rendered {
        if value.trim().is_empty() {
            s.fault(name, "is empty");
        }
    }
    let normal = boolean(rendered, "normal", s);
    let dest_normal = boolean(rendered, "destNormal", s);

    let (scope, needed) = scope_of(written, rendered, s)?;
    let is_missing = |name: &&&str| !is_ranking && !written.contains_key(**name);
    for name in needed.iter().filter(is_missing) {
        s.fault_with_hint(
            name,
            format!("missing: the scope `{scope}` needs it"),
            hint_for(name),
        );
    }
    for name in written
        .keys()
        .filter(|name| **name != "scope" && !needed.contains(*name))
    {
        s.fault(
            name,
            format!(
                "the scope `{scope}` doesn't read it: leave it out, or name the scope that does"
            ),
        );
    }

    let text = |name: &str| rendered.get(name).cloned();
    (is_rendered && s.faults.len() == before).then(|| Entity {
        scope: text("scope"),
        service_name: text("serviceName"),
        normal,
        service_instance_name: text("serviceInstanceName"),
        endpoint_name: text("endpointName"),
        process_name: text("processName"),
        dest_service_name: text("destServiceName"),
        dest_normal,
        dest_service_instance_name: text("destServiceInstanceName"),
        dest_endpoint_name: text("destEndpointName"),
        dest_process_name: text("destProcessName"),
    })
}

fn hint_for(name: &str) -> &'static str {
    match name {
        "normal" | "destNormal" => {
            "true for a service that is observed itself, false for one only seen as somebody's peer"
        }
        _ => "the OAP would answer for something else, without an error",
    }
}

fn boolean(rendered: &EntitySpec, name: &'static str, s: &mut Strict<'_>) -> Option<bool> {
    s.word(
        name,
        rendered.get(name).map(String::as_str),
        None,
        &[("true", Some(true)), ("false", Some(false))],
    )
    .flatten()
}

/// The scope and what it needs: as named, or as the OAP infers it from what is there.
fn scope_of(
    written: &EntitySpec,
    rendered: &EntitySpec,
    s: &mut Strict<'_>,
) -> Option<(&'static str, &'static [&'static str])> {
    let known = |name: &str| SCOPES.into_iter().find(|(scope, _)| *scope == name);
    if !written.contains_key("scope") {
        return known(inferred(written));
    }
    let name = rendered.get("scope")?;
    let scope = known(name);
    if scope.is_none() {
        let names = || SCOPES.iter().map(|(scope, _)| *scope);
        let message = format!(
            "expected one of {}, found {}",
            listed(names()),
            s.shown(name)
        );
        match nearest(name, names()) {
            Some(meant) => {
                s.fault_with_hint("scope", message, &format!("did you mean {}?", shown(meant)));
            }
            None => s.fault("scope", message),
        }
    }
    scope
}

fn inferred(written: &EntitySpec) -> &'static str {
    let has = |name: &str| written.contains_key(name);
    let is_relation = written.keys().any(|name| name.starts_with("dest"));
    let has_either = |own: &str, dest: &str| has(own) || has(dest);
    match is_relation {
        true if has_either("processName", "destProcessName") => "ProcessRelation",
        true if has_either("endpointName", "destEndpointName") => "EndpointRelation",
        true if has_either("serviceInstanceName", "destServiceInstanceName") => {
            "ServiceInstanceRelation"
        }
        true => "ServiceRelation",
        false if has("processName") => "Process",
        false if has("endpointName") => "Endpoint",
        false if has("serviceInstanceName") => "ServiceInstance",
        false => "Service",
    }
}
