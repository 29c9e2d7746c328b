//! Which routes of which objects a rollout edits, and how its versions are known there: `trafficRouting.istio`, checked.

use std::fmt;

use serde_json::Value;

use super::error::RouteError;
use super::fence::Owner;

/// The traffic of one rollout, as Istio's objects route it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Whose it is.
    pub owner: Owner,
    /// How the destinations of the two versions are told apart.
    pub versions: Versions,
    /// The VirtualServices with the routes of each.
    pub virtual_services: Vec<Routed>,
    /// Whether routes are taken from other rollouts that move them.
    pub takes_routes: bool,
}

/// A VirtualService and which of its routes are edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// Its name.
    pub name: ObjectName,
    /// Which of its routes.
    pub choice: Choice,
}

/// An object's name and namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectName {
    /// Argo's spelling of a VirtualService: `name` in the rollout's namespace, `name.namespace`, either with `.cluster.local` at its end.
    /// What follows the last dot is the namespace. `None` where a part is empty.
    pub fn written(text: &str, namespace: &str) -> Option<Self> {
        let text = text.strip_suffix(".cluster.local").unwrap_or(text);
        let (name, namespace) = text.rsplit_once('.').unwrap_or((text, namespace));
        let written = Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        written.is_plain().then_some(written)
    }

    /// Whether both parts are such as Kubernetes knows, with nothing in them that means something in a path.
    pub fn is_plain(&self) -> bool {
        let is_plain = |part: &String| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        };
        is_plain(&self.namespace) && is_plain(&self.name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// How the destinations of the two versions are told apart: by subset where a DestinationRule is given, else by host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// `canaryService`, where there is one.
    pub canary_service: Option<String>,
    /// `stableService`, where there is one.
    pub stable_service: Option<String>,
    /// `destinationRule`, where there is one.
    pub subsets: Option<Subsets>,
}

/// A DestinationRule and the subsets of it that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subsets {
    /// The DestinationRule's name; it lies in the rollout's namespace.
    pub rule: String,
    /// The new version's.
    pub canary: String,
    /// The old version's.
    pub stable: String,
    /// Those that keep their weight, taken from the old version's.
    pub additional: Vec<String>,
}

impl Subsets {
    /// Whether `rule`, a DestinationRule, has both versions' subsets. Traffic for one that it lacks would be answered with 503.
    pub fn check(&self, rule: &Value) -> Result<(), RouteError> {
        let subsets = rule.pointer("/spec/subsets").and_then(Value::as_array);
        let names: Vec<&str> = subsets
            .into_iter()
            .flatten()
            .filter_map(|subset| subset.get("name")?.as_str())
            .collect();
        for subset in [&self.canary, &self.stable] {
            if !names.contains(&subset.as_str()) {
                return Err(RouteError::NoSubset {
                    rule: self.rule.clone(),
                    subset: subset.clone(),
                    known: crate::domain::fault::listed(names),
                });
            }
        }
        Ok(())
    }
}

/// Whose destination one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Canary,
    Stable,
    /// Keeps its weight.
    Additional,
    /// Gets no traffic any more.
    Other,
    /// Has no host that anything could be compared with, and is never touched.
    Nameless,
}

impl Versions {
    /// Whose destination `destination` is. Only the first label of its host counts.
    pub(super) fn role(&self, destination: &Value) -> Role {
        let text = |field: &str| {
            let destination = destination.get("destination");
            destination
                .and_then(|it| it.get(field)?.as_str())
                .unwrap_or_default()
        };
        let host = text("host").split('.').next().unwrap_or_default();
        if host.is_empty() {
            return Role::Nameless;
        }
        if let Some(subsets) = &self.subsets {
            let subset = text("subset");
            if subset == subsets.canary {
                return Role::Canary;
            }
            if subset == subsets.stable {
                return Role::Stable;
            }
            if subsets.additional.iter().any(|other| other == subset) {
                return Role::Additional;
            }
        }
        if self.canary_service.as_deref() == Some(host) {
            return Role::Canary;
        }
        if self.stable_service.as_deref() == Some(host) {
            return Role::Stable;
        }
        Role::Other
    }
}

/// Which routes of a VirtualService are edited. Where none are listed for a protocol, its only route is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// `routes`: HTTP routes by name.
    pub http: Vec<String>,
    /// `tlsRoutes`.
    pub tls: Vec<TlsRoute>,
    /// `tcpRoutes`.
    pub tcp: Vec<TcpRoute>,
    /// `managedRoutes`: HTTP routes that aren't counted where none are listed.
    pub managed: Vec<String>,
}

/// A TLS route, known by what it matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsRoute {
    /// The only port that its matches name; 0: they name none.
    pub port: u64,
    /// The SNI hosts of all of its matches together, in any order.
    pub sni_hosts: Vec<String>,
}

/// A TCP route, known by what it matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpRoute {
    /// The only port that its matches name; 0: they name none.
    pub port: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_argo_has_them() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(namespace, name)| ObjectName {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            });
            assert_eq!(ObjectName::written(text, "bookinfo"), expected, "{text}");
        };
        check("reviews", Some(("bookinfo", "reviews")));
        check("reviews.prod", Some(("prod", "reviews")));
        check("reviews.v2.prod", Some(("prod", "reviews.v2")));
        check("reviews.prod.cluster.local", Some(("prod", "reviews")));
        check("reviews.cluster.local", Some(("bookinfo", "reviews")));
        check("", None);
        check("reviews.", None);
        check(".prod", None);
        check("a/../../b", None);
        check("...x", None);
    }
}
