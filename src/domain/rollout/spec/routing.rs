//! Through what the traffic goes.

use super::super::super::fault::Fault;
use super::super::super::spec::reader::Fields;
use super::needs_a_controller;

/// `trafficRouting.istio`: whose weights are moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IstioRouting {
    /// `virtualService`, or each of `virtualServices`; never empty.
    pub virtual_services: Vec<VirtualServiceRef>,
    /// `destinationRule`: tells destinations apart by subset instead of host.
    pub destination_rule: Option<DestinationRuleRef>,
}

/// A VirtualService, and which of its routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualServiceRef {
    /// Its name: `name`, `name.namespace`, or that with `.cluster.local` at its end.
    pub name: String,
    /// The names of its HTTP routes; empty: the only one.
    pub routes: Vec<String>,
    /// Its TLS routes; empty: the only one.
    pub tls_routes: Vec<TlsRoute>,
    /// Its TCP routes; empty: the only one.
    pub tcp_routes: Vec<TcpRoute>,
}

/// Which TLS route: by its port and the names that clients ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsRoute {
    /// `port`.
    pub port: Option<i32>,
    /// `sniHosts`.
    pub sni_hosts: Vec<String>,
}

/// Which TCP route: by its port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpRoute {
    /// `port`.
    pub port: Option<i32>,
}

/// A DestinationRule, and which of its subsets is which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationRuleRef {
    /// Its name.
    pub name: String,
    /// `canarySubsetName`.
    pub canary_subset: String,
    /// `stableSubsetName`.
    pub stable_subset: String,
    /// `additionalSubsetNames`: subsets whose weight stays as it is.
    pub additional_subsets: Vec<String>,
}

/// What stands under `trafficRouting`.
#[derive(Debug, Default)]
pub(super) struct Routing {
    pub(super) istio: Option<IstioRouting>,
    pub(super) managed_routes: Vec<String>,
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

pub(super) fn read(fields: &mut Fields<'_, '_>) -> Routing {
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
    Routing {
        managed_routes: fields.objects("managedRoutes", |fields| named(fields, "a route")),
        istio: fields.object("istio", read_istio),
    }
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
        (false, false) => {
            let path = fields.path("virtualService");
            fields.add(Fault::new(
                path,
                "missing: it names the VirtualService whose weights are moved",
            ));
        }
        (true, false) | (false, true) => {}
    }
    IstioRouting {
        virtual_services: one.into_iter().chain(several).collect(),
        destination_rule: fields.object("destinationRule", read_destination_rule),
    }
}

fn read_virtual_service(fields: &mut Fields<'_, '_>) -> VirtualServiceRef {
    VirtualServiceRef {
        name: named(fields, "a VirtualService"),
        routes: fields.texts("routes"),
        tls_routes: fields.objects("tlsRoutes", |fields| TlsRoute {
            port: fields.int("port"),
            sni_hosts: fields.texts("sniHosts"),
        }),
        tcp_routes: fields.objects("tcpRoutes", |fields| TcpRoute {
            port: fields.int("port"),
        }),
    }
}

fn read_destination_rule(fields: &mut Fields<'_, '_>) -> DestinationRuleRef {
    let mut subset = |name: &'static str| {
        let subset = fields.text(name).unwrap_or_default();
        if subset.is_empty() {
            fields.fault(name, "missing: it tells the destinations of a route apart");
        }
        subset
    };
    let (canary_subset, stable_subset) = (subset("canarySubsetName"), subset("stableSubsetName"));
    if !canary_subset.is_empty() && canary_subset == stable_subset {
        fields.fault(
            "stableSubsetName",
            "is the canary's subset too: two different subsets are needed",
        );
    }
    DestinationRuleRef {
        name: named(fields, "a DestinationRule"),
        canary_subset,
        stable_subset,
        additional_subsets: fields.texts("additionalSubsetNames"),
    }
}

fn named(fields: &mut Fields<'_, '_>, what: &str) -> String {
    let name = fields.text("name").unwrap_or_default();
    if name.is_empty() {
        fields.fault("name", format!("missing: it names {what}"));
    }
    name
}
