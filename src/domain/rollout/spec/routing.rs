//! Through what the traffic goes: `trafficRouting`, in the words of [`routes`](super::super::super::routes).

use super::super::super::fault::{Fault, shown};
use super::super::super::routes::{
    Choice, ObjectName, Owner, Routed, Subsets, TcpRoute, TlsRoute, Traffic, Versions,
};
use super::super::super::spec::reader::Fields;
use super::{RolloutSpec, needs_a_controller};

/// `trafficRouting.istio`: whose weights are moved, and how the versions are told apart there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IstioRouting {
    /// By subset or by host.
    pub versions: Versions,
    /// Each VirtualService's name as it is written, and which of its routes; never empty.
    pub virtual_services: Vec<(String, Choice)>,
}

/// Argo's other routers.
const OTHERS: [&str; 8] = [
    "alb",
    "ambassador",
    "apisix",
    "appMesh",
    "nginx",
    "plugins",
    "smi",
    "traefik",
];

impl RolloutSpec {
    /// What a router of Istio's objects edits for a rollout that lives in `namespace`; `None` where the document names none of them.
    pub fn traffic(&self, namespace: &str) -> Option<Traffic> {
        let istio = self.istio.as_ref()?;
        let routed = |(name, choice): &(String, Choice)| {
            let name = ObjectName::written(name, namespace)?;
            let choice = choice.clone();
            Some(Routed { name, choice })
        };
        Some(Traffic {
            owner: Owner {
                namespace: namespace.to_owned(),
                name: self.name.clone(),
            },
            versions: istio.versions.clone(),
            virtual_services: istio.virtual_services.iter().filter_map(routed).collect(),
            takes_routes: false,
        })
    }
}

/// Reads `trafficRouting` of the canary strategy in `fields`, and the two services beside it.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<IstioRouting> {
    let mut service = |name| fields.text(name).filter(|it| !it.is_empty());
    let (canary_service, stable_service) = (service("canaryService"), service("stableService"));
    if canary_service.is_some() && canary_service == stable_service {
        fields.fault(
            "stableService",
            "is the canary's service too: two different services are needed",
        );
    }
    let mut istio = fields.object("trafficRouting", read_routers).flatten()?;
    if istio.versions.subsets.is_none() {
        for (name, service) in [
            ("canaryService", &canary_service),
            ("stableService", &stable_service),
        ] {
            if service.is_none() {
                let path = fields.path(name);
                fields.add(
                    Fault::new(path, "missing: it tells the destinations of a route apart")
                        .hint("name both services, or a `destinationRule` with two subsets"),
                );
            }
        }
    }
    istio.versions.canary_service = canary_service;
    istio.versions.stable_service = stable_service;
    Some(istio)
}

fn read_routers(fields: &mut Fields<'_, '_>) -> Option<IstioRouting> {
    for name in OTHERS {
        if fields.value(name).is_some() {
            let path = fields.path(name);
            fields.add(
                needs_a_controller(&path, "a stepper moves `istio`")
                    .hint("leave `trafficRouting` out and have the weights posted to a webhook"),
            );
        }
    }
    if fields.value("maxTrafficWeight").is_some_and(|it| it != 100) {
        fields.fault(
            "maxTrafficWeight",
            "weights are percent here: only `100` is possible",
        );
    }
    let managed = fields.objects("managedRoutes", |fields| named(fields, "a route"));
    let mut istio = fields.object("istio", read_istio)?;
    for (_, choice) in &mut istio.virtual_services {
        choice.managed.clone_from(&managed);
    }
    Some(istio)
}

fn read_istio(fields: &mut Fields<'_, '_>) -> IstioRouting {
    let one = fields.object("virtualService", read_virtual_service);
    let several = fields.objects("virtualServices", read_virtual_service);
    let is_given = |fields: &mut Fields<'_, '_>, name| fields.value(name).is_some();
    match (
        is_given(fields, "virtualService"),
        is_given(fields, "virtualServices"),
    ) {
        (true, true) => fields.fault(
            "virtualServices",
            "`virtualService` is given too: one of the two is expected",
        ),
        (false, true) if several.is_empty() => {
            fields.fault("virtualServices", "names no VirtualService");
        }
        (false, false) => fields.fault(
            "virtualService",
            "missing: it names the VirtualService whose weights are moved",
        ),
        (true, false) | (false, true) => {}
    }
    IstioRouting {
        virtual_services: one.into_iter().chain(several).collect(),
        versions: Versions {
            subsets: fields.object("destinationRule", read_destination_rule),
            ..Versions::default()
        },
    }
}

fn read_virtual_service(fields: &mut Fields<'_, '_>) -> (String, Choice) {
    let name = named(fields, "a VirtualService");
    if !name.is_empty() && ObjectName::written(&name, "default").is_none() {
        fields.fault(
            "name",
            format!(
                "expected `name`, `name.namespace` or one of them with `.cluster.local`, found {}",
                shown(&name)
            ),
        );
    }
    let choice = Choice {
        http: fields.texts("routes"),
        tls: fields.objects("tlsRoutes", |fields| TlsRoute {
            port: read_port(fields),
            sni_hosts: fields.texts("sniHosts"),
        }),
        tcp: fields.objects("tcpRoutes", |fields| TcpRoute {
            port: read_port(fields),
        }),
        managed: Vec::new(),
    };
    (name, choice)
}

/// A port; 0 where none is named.
fn read_port(fields: &mut Fields<'_, '_>) -> u64 {
    let port = fields.int("port").unwrap_or_default();
    u64::try_from(port).unwrap_or_else(|_| {
        fields.fault("port", format!("is no port: `{port}`"));
        0
    })
}

fn read_destination_rule(fields: &mut Fields<'_, '_>) -> Subsets {
    let mut subset = |name: &'static str| {
        let subset = fields.text(name).unwrap_or_default();
        if subset.is_empty() {
            fields.fault(name, "missing: it tells the destinations of a route apart");
        }
        subset
    };
    let (canary, stable) = (subset("canarySubsetName"), subset("stableSubsetName"));
    if !canary.is_empty() && canary == stable {
        fields.fault(
            "stableSubsetName",
            "is the canary's subset too: two different subsets are needed",
        );
    }
    Subsets {
        rule: named(fields, "a DestinationRule"),
        canary,
        stable,
        additional: fields.texts("additionalSubsetNames"),
    }
}

fn named(fields: &mut Fields<'_, '_>, what: &str) -> String {
    let name = fields.text("name").unwrap_or_default();
    if name.is_empty() {
        fields.fault("name", format!("missing: it names {what}"));
    }
    name
}
