//! Which routes of a VirtualService are meant.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::edit::form;
use super::error::RouteError;
use super::rule::Choice;
use crate::domain::fault::listed;

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

/// The routes that are edited, each once, in the order of the object.
pub(super) fn chosen<'v>(
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

/// What the routes that are edited are called in a fence: by name, or by their place where they have none.
pub(super) fn called(object: &Value, choice: &Choice) -> Result<Vec<String>, RouteError> {
    let chosen = chosen(object, choice)?.into_iter();
    Ok(chosen
        .map(|(protocol, index, route)| {
            let list = protocol.name();
            match name_of(route) {
                "" => format!("{list}.{index}"),
                name => format!("{list}.{}", plain(name)),
            }
        })
        .collect())
}

/// A name without what means something in a fence.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            plain.push(char::from(byte));
        } else {
            let _ = write!(plain, "%{byte:02x}");
        }
    }
    plain
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
