//! What an entity needs for its scope. An OAP never says that something is missing: it answers with zeros, with nothing,
//! or with the numbers of the whole service.

use crate::domain::fault::Fault;
use crate::domain::nearest::nearest;
use crate::domain::plan::Entity;

/// OAP's scopes, each with the fields that its entities need (SkyWalking's `Entity.isValid`).
const SCOPES: [(&str, &[Field]); 9] = [
    ("All", &[]),
    ("Service", &[SERVICE, NORMAL]),
    ("ServiceInstance", &[SERVICE, NORMAL, INSTANCE]),
    ("Endpoint", &[SERVICE, NORMAL, ENDPOINT]),
    ("Process", &[SERVICE, NORMAL, INSTANCE, PROCESS]),
    (
        "ServiceRelation",
        &[SERVICE, NORMAL, DEST_SERVICE, DEST_NORMAL],
    ),
    (
        "ServiceInstanceRelation",
        &[
            SERVICE,
            NORMAL,
            INSTANCE,
            DEST_SERVICE,
            DEST_NORMAL,
            DEST_INSTANCE,
        ],
    ),
    (
        "EndpointRelation",
        &[
            SERVICE,
            NORMAL,
            ENDPOINT,
            DEST_SERVICE,
            DEST_NORMAL,
            DEST_ENDPOINT,
        ],
    ),
    // What a process talks to may be outside of any service.
    (
        "ProcessRelation",
        &[SERVICE, NORMAL, INSTANCE, PROCESS, DEST_PROCESS],
    ),
];

type Field = (&'static str, fn(&Entity) -> bool);

const SERVICE: Field = ("serviceName", |e| e.service_name.is_some());
const NORMAL: Field = ("normal", |e| e.normal.is_some());
const INSTANCE: Field = ("serviceInstanceName", |e| e.service_instance_name.is_some());
const ENDPOINT: Field = ("endpointName", |e| e.endpoint_name.is_some());
const PROCESS: Field = ("processName", |e| e.process_name.is_some());
const DEST_SERVICE: Field = ("destServiceName", |e| e.dest_service_name.is_some());
const DEST_NORMAL: Field = ("destNormal", |e| e.dest_normal.is_some());
const DEST_INSTANCE: Field = ("destServiceInstanceName", |e| {
    e.dest_service_instance_name.is_some()
});
const DEST_ENDPOINT: Field = ("destEndpointName", |e| e.dest_endpoint_name.is_some());
const DEST_PROCESS: Field = ("destProcessName", |e| e.dest_process_name.is_some());

/// What is wrong with an entity, if anything: a scope that doesn't exist, or one that needs more than is given.
/// Without a scope the OAP infers it from the metric; then only what *no* scope could do without is asked for.
///
/// An expression that ranks entities may have one without a name: don't check its entity.
pub fn incomplete_entity(entity: &Entity) -> Option<Fault> {
    let needed = match &entity.scope {
        None => inferred(entity),
        Some(scope) => match SCOPES.iter().find(|(name, _)| name == scope) {
            Some((_, needed)) => needed.to_vec(),
            None => return Some(unknown_scope(scope)),
        },
    };
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|(_, is_given)| !is_given(entity))
        .map(|(name, _)| name)
        .collect();
    if missing.is_empty() {
        return None;
    }
    let list = listed(&missing);
    let fault = Fault::new(
        "",
        match &entity.scope {
            Some(scope) => format!("an entity of the scope `{scope}` needs {list}"),
            None => format!("the entity needs {list}"),
        },
    );
    let about_normal = missing
        .iter()
        .any(|name| *name == NORMAL.0 || *name == DEST_NORMAL.0);
    Some(if about_normal {
        fault.hint("`normal` is true for a service that an agent or a mesh observes, false for one that is known as somebody's peer only")
    } else {
        fault
    })
}

/// Whether `expression` ranks entities, and so may be about all of a scope's instead of a named one.
pub(crate) fn ranks_entities(expression: &str) -> bool {
    expression.contains("top_n")
}

fn inferred(entity: &Entity) -> Vec<Field> {
    let any = |fields: &[Field]| fields.iter().any(|(_, is_given)| is_given(entity));
    let mut needed = Vec::new();
    if any(&[SERVICE, INSTANCE, ENDPOINT, PROCESS]) {
        needed.extend([SERVICE, NORMAL]);
    }
    if any(&[DEST_SERVICE, DEST_INSTANCE, DEST_ENDPOINT]) {
        needed.extend([DEST_SERVICE, DEST_NORMAL]);
    }
    needed
}

fn unknown_scope(scope: &str) -> Fault {
    let names = SCOPES.map(|(name, _)| name);
    let fault = Fault::new("", format!("no scope is named {}", super::shown(scope)));
    fault.hint(match nearest(scope, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("one of {}", listed(&names)),
    })
}

/// `` `a`, `b` and `c` ``.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(scope: &str, given: &[&str]) -> Entity {
        let text = |name: &str| given.contains(&name).then(|| "x".to_owned());
        let flag = |name: &str| given.contains(&name).then_some(true);
        Entity {
            scope: (!scope.is_empty()).then(|| scope.to_owned()),
            service_name: text("serviceName"),
            normal: flag("normal"),
            service_instance_name: text("serviceInstanceName"),
            endpoint_name: text("endpointName"),
            process_name: text("processName"),
            dest_service_name: text("destServiceName"),
            dest_normal: flag("destNormal"),
            dest_service_instance_name: text("destServiceInstanceName"),
            dest_endpoint_name: text("destEndpointName"),
            dest_process_name: text("destProcessName"),
        }
    }

    #[test]
    fn an_entity_needs_what_its_scope_needs() {
        let check = |scope, given: &[&str], expected: Option<&str>| {
            let found = incomplete_entity(&entity(scope, given));
            assert_eq!(
                found.map(|fault| fault.message).as_deref(),
                expected,
                "{scope} {given:?}"
            );
        };
        let service = ["serviceName", "normal"];
        check("All", &[], None);
        check("Service", &service, None);
        check(
            "Service",
            &["normal"],
            Some("an entity of the scope `Service` needs `serviceName`"),
        );
        check(
            "Service",
            &["serviceName"],
            Some("an entity of the scope `Service` needs `normal`"),
        );
        check(
            "ServiceInstance",
            &service,
            Some("an entity of the scope `ServiceInstance` needs `serviceInstanceName`"),
        );
        check(
            "ServiceInstance",
            &["serviceName", "normal", "serviceInstanceName"],
            None,
        );
        check(
            "Endpoint",
            &["endpointName"],
            Some("an entity of the scope `Endpoint` needs `serviceName` and `normal`"),
        );
        check("Endpoint", &["serviceName", "normal", "endpointName"], None);
        check(
            "ServiceRelation",
            &service,
            Some(
                "an entity of the scope `ServiceRelation` needs `destServiceName` and `destNormal`",
            ),
        );
        check(
            "Process",
            &service,
            Some("an entity of the scope `Process` needs `serviceInstanceName` and `processName`"),
        );
        check("service", &service, Some("no scope is named `service`"));
    }

    #[test]
    fn without_a_scope_a_name_still_needs_its_service() {
        let check = |given: &[&str], expected: Option<&str>| {
            let found = incomplete_entity(&entity("", given));
            assert_eq!(
                found.map(|fault| fault.message).as_deref(),
                expected,
                "{given:?}"
            );
        };
        check(&[], None);
        check(&["serviceName", "normal"], None);
        check(&["serviceName"], Some("the entity needs `normal`"));
        check(
            &["endpointName"],
            Some("the entity needs `serviceName` and `normal`"),
        );
        check(
            &["serviceName", "normal", "destServiceName"],
            Some("the entity needs `destNormal`"),
        );
    }

    #[test]
    fn a_mistyped_scope_is_recognised() {
        let fault = incomplete_entity(&entity("service", &[])).unwrap();
        assert_eq!(fault.hint.as_deref(), Some("did you mean `Service`?"));
    }
}
