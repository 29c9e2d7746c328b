//! How a VirtualService is edited so that the canary gets its share, by Argo's rules: pure, so that a cluster's objects and files are edited alike.
//!
//! [`Traffic::change`] says what has to be done to an object, [`Change::apply`] does it to a value;
//! the file router does the same to a text. [`Traffic::observe`] says which share the canary has:
//! the one that setting again would change nothing.

mod choose;
mod edit;
mod error;
mod fence;
mod rule;
mod weight;

use serde_json::Value;

pub use choose::Protocol;
pub use edit::{Action, Edit, Place};
pub use error::RouteError;
pub use fence::{FENCE_ANNOTATION, Owner};
pub use rule::{Choice, ObjectName, Routed, Subsets, TcpRoute, TlsRoute, Traffic, Versions};
pub use weight::Weight;

use fence::{Fences, Left, Mark, Rival};

/// What has to be done to an object; nothing, where both parts are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The destinations to be edited, in the order of the object.
    pub edits: Vec<Edit>,
    /// What the annotation [`FENCE_ANNOTATION`] has to hold, where it doesn't yet.
    pub annotation: Option<String>,
}

impl Change {
    /// Whether the object is as it should be.
    pub fn is_nothing(&self) -> bool {
        self.edits.is_empty() && self.annotation.is_none()
    }

    /// Does it to `object`.
    pub fn apply(&self, object: &mut Value) {
        // From the last to the first, so that a removal moves nothing that is still to be edited.
        for edit in self.edits.iter().rev() {
            edit.apply(object);
        }
        if let Some(annotation) = &self.annotation {
            annotate(object, annotation);
        }
    }
}

/// Sets the fence's annotation.
fn annotate(object: &mut Value, annotation: &str) {
    let metadata = &mut object["metadata"];
    if !metadata["annotations"].is_object() {
        metadata["annotations"] = Value::Object(serde_json::Map::new());
    }
    metadata["annotations"][FENCE_ANNOTATION] = Value::from(annotation);
}

impl Traffic {
    /// What has to be done to `object`, the VirtualService `routed`, so that the canary gets `weight` from the holder of the lease `fence`.
    ///
    /// One that was taken back gets none; where that is what is wanted, the mark goes.
    pub fn change(
        &self,
        object: &Value,
        routed: &Routed,
        weight: Weight,
        fence: u64,
    ) -> Result<Change, RouteError> {
        self.mark(object, routed, weight, (fence, Left::Live))
    }

    /// What has to be done to `object`, so that the canary gets nothing and the routes are another rollout's to take.
    pub fn finish(
        &self,
        object: &Value,
        routed: &Routed,
        fence: u64,
    ) -> Result<Change, RouteError> {
        self.mark(object, routed, Weight::NONE, (fence, Left::Over))
    }

    /// What has to be done to `object`, so that the canary gets nothing, and nothing again from anybody who does not know of that.
    pub fn take_back(
        &self,
        object: &Value,
        routed: &Routed,
        fence: u64,
    ) -> Result<Change, RouteError> {
        self.mark(object, routed, Weight::NONE, (fence, Left::TakenBack))
    }

    fn mark(
        &self,
        object: &Value,
        routed: &Routed,
        weight: Weight,
        (fence, left): (u64, Left),
    ) -> Result<Change, RouteError> {
        let before = fences(object)?;
        let found = before.of(&self.owner);
        if let Some(found) = found.as_ref().filter(|found| found.number > fence) {
            return Err(RouteError::Fenced {
                owner: self.owner.clone(),
                found: found.number,
                ours: fence,
            });
        }
        let is_taken_back = found
            .as_ref()
            .is_some_and(|found| found.left == Left::TakenBack);
        if weight > Weight::NONE && is_taken_back {
            return Err(RouteError::TakenBack {
                owner: self.owner.clone(),
            });
        }
        let edits = edit::plan(object, &self.versions, &routed.choice, weight)?;
        let routes = choose::called(object, &routed.choice)?;
        let fences = if self.takes_routes {
            before.clone().without_rivals(&self.owner, &routes)
        } else {
            before.clone()
        };
        let is_over = found.as_ref().is_some_and(|it| it.left == Left::Over);
        if let Err(rival) = refuse_rival(&fences, &self.owner, &routes) {
            // They were taken from this rollout: there is nothing of it to send back.
            return if weight == Weight::NONE && is_over {
                Ok(Change::default())
            } else {
                Err(rival)
            };
        }
        let mark = Mark {
            number: fence,
            left,
            routes,
        };
        let is_there = found.as_ref() == Some(&mark) && fences == before;
        let annotation = fences.with(&self.owner, &mark);
        Ok(Change {
            edits,
            annotation: (!is_there).then_some(annotation),
        })
    }

    /// The canary's share in `object`, the VirtualService `routed`: the weight that setting again would change nothing.
    /// `None` where the routes are as no rollout leaves them. Another rollout's are an error.
    pub fn observe(&self, object: &Value, routed: &Routed) -> Result<Option<Weight>, RouteError> {
        let observed = edit::observe(object, &self.versions, &routed.choice)?;
        if !self.takes_routes {
            let routes = choose::called(object, &routed.choice)?;
            refuse_rival(&fences(object)?, &self.owner, &routes)?;
        }
        Ok(observed)
    }

    /// The number of the last lease that edited `object` for this rollout.
    pub fn fence(&self, object: &Value) -> Result<Option<u64>, RouteError> {
        Ok(fences(object)?.of(&self.owner).map(|mark| mark.number))
    }
}

fn refuse_rival(fences: &Fences, owner: &Owner, routes: &[String]) -> Result<(), RouteError> {
    match fences.rival(owner, routes) {
        None => Ok(()),
        Some(Rival {
            owner,
            number,
            route,
        }) => Err(RouteError::Occupied {
            other: owner,
            number,
            route,
        }),
    }
}

fn annotation_of(object: &Value) -> Option<&Value> {
    let annotations = object.pointer("/metadata/annotations");
    annotations.and_then(|it| it.get(FENCE_ANNOTATION))
}

fn fences(object: &Value) -> Result<Fences, RouteError> {
    match annotation_of(object) {
        None | Some(Value::Null) => Fences::read(None),
        Some(Value::String(text)) => Fences::read(Some(text)),
        Some(other) => Err(RouteError::MalformedFence {
            found: crate::domain::fault::shown(&other.to_string()),
        }),
    }
}
