//! Why an object can't be edited.

use super::fence::{FENCE_ANNOTATION, Owner};

/// Why an object can't be edited. Where Argo refuses too, its words come first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// A route has no destination for one of the versions.
    #[error("{version} {what} '{name}' not found in route; `{place}` goes to {known}")]
    NoDestination {
        /// `Canary` or `Stable`.
        version: &'static str,
        /// What it was looked for by: `Service` or `DestinationRule subset`.
        what: &'static str,
        /// The service or subset.
        name: String,
        /// The route.
        place: String,
        /// The destinations that it has.
        known: String,
    },
    /// A listed route isn't there.
    #[error("{} Its {} routes: {known}", no_route(protocol, route), protocol.to_uppercase())]
    NoRoute {
        /// `http`, `tls` or `tcp`.
        protocol: &'static str,
        /// The route that was asked for.
        route: String,
        /// Those that there are.
        known: String,
    },
    /// No routes are listed, and there isn't exactly one.
    #[error(
        "spec.{protocol}[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.{list}"
    )]
    NotOneRoute {
        /// `http`, `tls` or `tcp`.
        protocol: &'static str,
        /// Where routes would be listed.
        list: &'static str,
    },
    /// No routes are listed, and the only one that isn't managed has a name.
    #[error(
        "no routes are listed, and beside managed routes only one without a name is edited; list `{name}` in spec.strategy.canary.trafficRouting.istio.virtualService.routes"
    )]
    NamedRoute {
        /// Its name.
        name: String,
    },
    /// The object isn't formed as it should be.
    #[error("`{place}` is {found}; {expected} was expected")]
    Form {
        /// Where.
        place: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A DestinationRule lacks a subset.
    #[error("DestinationRule `{rule}` has no subset `{subset}`; it has {known}")]
    NoSubset {
        /// The DestinationRule's name.
        rule: String,
        /// The subset.
        subset: String,
        /// Those that it has.
        known: String,
    },
    /// Somebody wrote something else where the fence belongs.
    #[error(
        "the annotation `{FENCE_ANNOTATION}` holds {found}; `NAMESPACE/ROLLOUT=NUMBER` was expected. Remove it if no other stepper is at work"
    )]
    MalformedFence {
        /// What is there.
        found: String,
    },
    /// A newer lease of the same rollout has been here.
    #[error(
        "a newer stepper of `{owner}` was here: its lease has the number {found}, ours {ours}; nothing was changed"
    )]
    Fenced {
        /// The rollout.
        owner: Owner,
        /// The number that was found.
        found: u64,
        /// Ours.
        ours: u64,
    },
    /// Another rollout moves the same route.
    #[error(
        "the rollout `{other}` moves the route `{route}` already, under the lease {number}: two on one route would undo each other's weights. Let it end first, or take the route from it with --take-route; nothing was changed"
    )]
    Occupied {
        /// The other rollout.
        other: String,
        /// The number of its lease.
        number: u64,
        /// The route.
        route: String,
    },
    /// Somebody took all traffic from the canary while the service was out of sight.
    #[error(
        "a stepper of `{owner}` took all traffic from the canary while the service was out of sight; nothing was changed"
    )]
    TakenBack {
        /// The rollout.
        owner: Owner,
    },
}

fn no_route(protocol: &str, route: &str) -> String {
    match protocol {
        "http" => format!("HTTP Route '{route}' is not found in the defined Virtual Service."),
        _ => format!(
            "No matching {} routes found in the defined Virtual Service: none for {route}.",
            protocol.to_uppercase()
        ),
    }
}
