//! The routers behind the [`TrafficRouter`](crate::ports::TrafficRouter) port: Istio's objects in a cluster or in files, and a webhook.

pub mod file;
pub mod istio;
pub mod webhook;

use serde_json::Value;

use crate::domain::routes::{Change, RouteError, Routed, Traffic, Weight};
use crate::ports::{Observed, RouterError, Shift};

/// What `shift` means for `object`.
fn change(
    traffic: &Traffic,
    object: &Value,
    routed: &Routed,
    shift: &Shift,
) -> Result<Change, RouteError> {
    if shift.is_unsaved && shift.canary == Weight::NONE {
        traffic.take_back(object, routed, shift.fence)
    } else if shift.is_last && shift.canary == Weight::NONE {
        traffic.finish(object, routed, shift.fence)
    } else {
        traffic.change(object, routed, shift.canary, shift.fence)
    }
}

/// What an object's error means for a stepper; `place` says where the object is.
fn fenced_or_invalid(error: RouteError, place: &str) -> RouterError {
    match error {
        RouteError::Fenced { found, .. } => RouterError::Fenced {
            what: format!("{place}: {error}"),
            found: Some(found),
        },
        RouteError::TakenBack { .. } => RouterError::TakenBack(format!("{place}: {error}")),
        other => RouterError::Invalid(format!("{place}: {other}")),
    }
}

/// What several objects say together.
#[derive(Default)]
struct Read {
    canaries: Vec<Option<Weight>>,
    fence: Option<u64>,
    lacks_fence: bool,
}

impl Read {
    fn add(
        &mut self,
        traffic: &Traffic,
        routed: &Routed,
        object: &Value,
        place: &str,
    ) -> Result<(), RouterError> {
        let of_object = |error| fenced_or_invalid(error, place);
        self.canaries
            .push(traffic.observe(object, routed).map_err(of_object)?);
        let fence = traffic.fence(object).map_err(of_object)?;
        self.fence = self.fence.max(fence);
        self.lacks_fence |= fence.is_none();
        Ok(())
    }

    /// The canary's share is known where all agree.
    fn observed(self) -> Observed {
        let first = self.canaries.first().copied().flatten();
        let is_same = self.canaries.iter().all(|canary| *canary == first);
        Observed {
            canary: first.filter(|_| is_same),
            fence: self.fence,
            lacks_fence: self.lacks_fence,
        }
    }
}

/// Makes ring the process's one provider of cryptography. Fails only where one is installed already, which is as well.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
