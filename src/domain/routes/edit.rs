//! Which destinations of a VirtualService change, and to what.

use std::fmt;

use serde_json::Value;

use super::choose::{Protocol, chosen};
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

pub(super) fn form(place: String, found: &Value, expected: &'static str) -> RouteError {
    RouteError::Form {
        place,
        found: shown(&found.to_string()),
        expected,
    }
}
