//! Which destinations of a VirtualService change, and to what.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::error::RouteError;
use super::rule::{Choice, Role, Versions};
use super::weight::Weight;
use crate::domain::fault::{listed, shown};

/// One destination that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where it is.
    pub place: Place,
    /// What becomes of it.
    pub action: Action,
}

/// What becomes of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Its `weight` is set, or inserted where it has none.
    Weigh(Weight),
    /// It is taken out of its route.
    Remove,
}

/// A destination's place in a VirtualService, as `spec.http[0].route[1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which list of routes.
    pub protocol: Protocol,
    /// Which route of it.
    pub route: usize,
    /// Which destination of that.
    pub destination: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.name();
        write!(
            f,
            "spec.{protocol}[{}].route[{}]",
            self.route, self.destination
        )
    }
}

/// A kind of route, each with a list of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// `spec.http`
    Http,
    /// `spec.tls`
    Tls,
    /// `spec.tcp`
    Tcp,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Http, Self::Tls, Self::Tcp];

    /// The list's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }

    /// Where a rollout lists routes of this kind.
    fn list(self) -> &'static str {
        match self {
            Self::Http => "routes",
            Self::Tls => "tlsRoutes",
            Self::Tcp => "tcpRoutes",
        }
    }
}

impl Edit {
    pub(super) fn apply(&self, object: &mut Value) {
        let Place {
            protocol,
            route,
            destination,
        } = self.place;
        let list = object.pointer_mut(&format!("/spec/{}/{route}/route", protocol.name()));
        let Some(list) = list.and_then(Value::as_array_mut) else {
            return;
        };
        if destination >= list.len() {
            return;
        }
        match self.action {
            Action::Weigh(weight) => list[destination]["weight"] = weight.percent().into(),
            Action::Remove => {
                list.remove(destination);
            }
        }
    }
}

/// The edits that give the canary `weight`, in the order of the object.
pub(super) fn plan(
    object: &Value,
    versions: &Versions,
    choice: &Choice,
    weight: Weight,
) -> Result<Vec<Edit>, RouteError> {
    let mut edits = Vec::new();
    for (protocol, index, route) in chosen(object, choice)? {
        let at = |destination| Place {
            protocol,
            route: index,
            destination,
        };
        let destinations = destinations(protocol, index, route)?;
        check_versions(protocol, index, destinations, versions)?;
        let mut found = Vec::with_capacity(destinations.len());
        let mut kept = 0;
        for (i, destination) in destinations.iter().enumerate() {
            let role = versions.role(destination);
            let now = weight_of(destination, at(i))?;
            if role == Role::Additional {
                kept += now;
            }
            found.push((i, role, now));
        }
        let stable = i64::from(weight.rest().percent()).saturating_sub(kept);
        let stable = u8::try_from(stable.max(0)).ok().and_then(Weight::new);
        for (i, role, now) in found {
            let action = match role {
                Role::Canary => Action::Weigh(weight),
                Role::Stable => Action::Weigh(stable.unwrap_or(Weight::NONE)),
                Role::Other if now > 0 => Action::Remove,
                Role::Other | Role::Additional | Role::Nameless => continue,
            };
            if action != current(now) {
                edits.push(Edit {
                    place: at(i),
                    action,
                });
            }
        }
    }
    Ok(edits)
}

/// The action that a destination of weight `now` has no need of.
fn current(now: i64) -> Action {
    let weight = u8::try_from(now).ok().and_then(Weight::new);
    weight.map_or(Action::Remove, Action::Weigh)
}

/// The weight that setting again would change nothing.
pub(super) fn observe(
    object: &Value,
    versions: &Versions,
    choice: &Choice,
) -> Result<Option<Weight>, RouteError> {
    let mut canary = None;
    for (protocol, index, route) in chosen(object, choice)? {
        let destinations = destinations(protocol, index, route)?;
        check_versions(protocol, index, destinations, versions)?;
        let found = destinations.iter().enumerate();
        if canary.is_none()
            && let Some((i, it)) = found
                .into_iter()
                .find(|(_, it)| versions.role(it) == Role::Canary)
        {
            let place = Place {
                protocol,
                route: index,
                destination: i,
            };
            canary = Some(weight_of(it, place)?);
        }
    }
    let canary = canary.and_then(|canary| u8::try_from(canary).ok());
    let Some(weight) = canary.and_then(Weight::new) else {
        return Ok(None);
    };
    let is_so = plan(object, versions, choice, weight)?.is_empty();
    Ok(is_so.then_some(weight))
}

/// The routes that are edited, each once, in the order of the object.
fn chosen<'v>(
    object: &'v Value,
    choice: &Choice,
) -> Result<Vec<(Protocol, usize, &'v Value)>, RouteError> {
    let mut chosen = Vec::new();
    for protocol in Protocol::ALL {
        let routes = routes(object, protocol)?;
        let indexes = match protocol {
            Protocol::Http => http_routes(routes, choice)?,
            Protocol::Tls => matched(
                protocol,
                routes,
                choice.tls.iter().map(|wanted| {
                    let mut hosts: Vec<&str> =
                        wanted.sni_hosts.iter().map(String::as_str).collect();
                    hosts.sort_unstable();
                    hosts.dedup();
                    (wanted.port, Some(hosts))
                }),
            )?,
            Protocol::Tcp => matched(
                protocol,
                routes,
                choice.tcp.iter().map(|wanted| (wanted.port, None)),
            )?,
        };
        chosen.extend(indexes.into_iter().map(|i| (protocol, i, &routes[i])));
    }
    if chosen.is_empty() {
        return Err(RouteError::NotOneRoute {
            protocol: Protocol::Http.name(),
            list: Protocol::Http.list(),
        });
    }
    Ok(chosen)
}

fn routes(object: &Value, protocol: Protocol) -> Result<&[Value], RouteError> {
    let name = protocol.name();
    match object.pointer(&format!("/spec/{name}")) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(routes)) => Ok(routes),
        Some(other) => Err(form(format!("spec.{name}"), other, "a list of routes")),
    }
}

fn name_of(route: &Value) -> &str {
    let name = route.get("name").and_then(Value::as_str);
    name.unwrap_or_default()
}

fn http_routes(routes: &[Value], choice: &Choice) -> Result<BTreeSet<usize>, RouteError> {
    if !choice.http.is_empty() {
        return choice
            .http
            .iter()
            .map(|wanted| {
                let found = routes.iter().position(|route| name_of(route) == wanted);
                found.ok_or_else(|| RouteError::NoRoute {
                    protocol: Protocol::Http.name(),
                    route: wanted.clone(),
                    known: listed(routes.iter().map(name_of)),
                })
            })
            .collect();
    }
    if routes.len() <= 1 {
        return Ok((0..routes.len()).collect());
    }
    let is_managed = |route: &Value| choice.managed.iter().any(|name| name == name_of(route));
    let mut others = routes
        .iter()
        .enumerate()
        .filter(|(_, route)| !is_managed(route));
    match (others.next(), others.next()) {
        (Some((i, route)), None) if name_of(route).is_empty() => Ok(BTreeSet::from([i])),
        (Some((_, route)), None) => Err(RouteError::NamedRoute {
            name: name_of(route).to_owned(),
        }),
        _ => Err(RouteError::NotOneRoute {
            protocol: Protocol::Http.name(),
            list: Protocol::Http.list(),
        }),
    }
}

/// The TLS or TCP routes whose matches name the wanted port and, for TLS, hosts.
fn matched<'w>(
    protocol: Protocol,
    routes: &[Value],
    wanted: impl ExactSizeIterator<Item = (u64, Option<Vec<&'w str>>)>,
) -> Result<BTreeSet<usize>, RouteError> {
    if wanted.len() == 0 {
        return match routes.len() {
            0 | 1 => Ok((0..routes.len()).collect()),
            _ => Err(RouteError::NotOneRoute {
                protocol: protocol.name(),
                list: protocol.list(),
            }),
        };
    }
    let known: Vec<(BTreeSet<u64>, Vec<&str>)> = routes.iter().map(matches_of).collect();
    let mut indexes = BTreeSet::new();
    for (port, hosts) in wanted {
        let is_it = |(ports, known): &(BTreeSet<u64>, Vec<&str>)| {
            // Matches without a port are of port 0, and so is a route without matches.
            let only = ports.first().copied().unwrap_or(0);
            ports.len() <= 1 && only == port && hosts.as_ref().is_none_or(|hosts| hosts == known)
        };
        let found = known.iter().enumerate().filter(|(_, route)| is_it(route));
        let found: Vec<usize> = found.map(|(i, _)| i).collect();
        if found.is_empty() {
            let described = |port: u64, hosts: &[&str]| match hosts {
                [] => format!("port {port}"),
                hosts => format!("port {port} and {}", hosts.join(" ")),
            };
            let all: Vec<String> = known
                .iter()
                .flat_map(|(ports, hosts)| ports.iter().map(|port| described(*port, hosts)))
                .collect();
            return Err(RouteError::NoRoute {
                protocol: protocol.name(),
                route: described(port, hosts.as_deref().unwrap_or_default()),
                known: listed(all.iter().map(String::as_str)),
            });
        }
        indexes.extend(found);
    }
    Ok(indexes)
}

/// The ports and the SNI hosts that a route's matches name, all together.
fn matches_of(route: &Value) -> (BTreeSet<u64>, Vec<&str>) {
    let matches = route.get("match").and_then(Value::as_array);
    let matches = matches.map(Vec::as_slice).unwrap_or_default();
    let ports = matches
        .iter()
        .map(|it| it.get("port").and_then(Value::as_u64).unwrap_or(0))
        .collect();
    let mut hosts: Vec<&str> = matches
        .iter()
        .filter_map(|it| it.get("sniHosts")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    (ports, hosts)
}

/// A route's destinations; none where it redirects or answers itself.
fn destinations(protocol: Protocol, index: usize, route: &Value) -> Result<&[Value], RouteError> {
    match route.get("route") {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(destinations)) => Ok(destinations),
        Some(other) => Err(form(
            format!("spec.{}[{index}].route", protocol.name()),
            other,
            "a list of destinations",
        )),
    }
}

/// Whether a route has destinations of both versions. The canary's is missed first.
fn check_versions(
    protocol: Protocol,
    index: usize,
    destinations: &[Value],
    versions: &Versions,
) -> Result<(), RouteError> {
    let services = (&versions.canary_service, &versions.stable_service);
    let (what, canary, stable) = match (&versions.subsets, services) {
        (Some(subsets), _) => (
            "DestinationRule subset",
            subsets.canary.as_str(),
            subsets.stable.as_str(),
        ),
        (None, (canary, stable)) => (
            "Service",
            canary.as_deref().unwrap_or_default(),
            stable.as_deref().unwrap_or_default(),
        ),
    };
    for (version, role, name) in [
        ("Canary", Role::Canary, canary),
        ("Stable", Role::Stable, stable),
    ] {
        // With a DestinationRule no host makes up for a missing subset.
        let is_it = |it: &Value| {
            let subset = it.pointer("/destination/subset").and_then(Value::as_str);
            versions.role(it) == role && (versions.subsets.is_none() || subset == Some(name))
        };
        if !destinations.iter().any(is_it) {
            let field = if versions.subsets.is_some() {
                "subset"
            } else {
                "host"
            };
            let known = destinations
                .iter()
                .filter_map(|it| it.get("destination")?.get(field)?.as_str());
            return Err(RouteError::NoDestination {
                version,
                what,
                name: name.to_owned(),
                place: format!("spec.{}[{index}]", protocol.name()),
                known: listed(known),
            });
        }
    }
    Ok(())
}

/// A destination's weight; 0 where it has none.
fn weight_of(destination: &Value, place: Place) -> Result<i64, RouteError> {
    let weight = destination.get("weight");
    let whole = |number: &serde_json::Number| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is compared is whole and small"
        )]
        let of_float =
            |float: f64| (float.fract() == 0.0 && float.abs() < 1e9).then_some(float as i64);
        number.as_i64().or_else(|| of_float(number.as_f64()?))
    };
    match weight {
        None | Some(Value::Null) => Ok(0),
        Some(Value::Number(number)) if whole(number).is_some() => {
            Ok(whole(number).unwrap_or_default())
        }
        Some(other) => Err(form(format!("{place}.weight"), other, "a whole number")),
    }
}

fn form(place: String, found: &Value, expected: &'static str) -> RouteError {
    RouteError::Form {
        place,
        found: shown(&found.to_string()),
        expected,
    }
}
