//! Who may move the traffic: the number of a stepper's lease, kept in the very object that it edits.
//!
//! Every new lease of a rollout has a higher number than the ones before. A stepper that was thought dead and wakes up finds the number
//! of its successor in the object and touches nothing, whatever it believes of its own lease.
//!
//! Several rollouts may route through one object, so the annotation names whose number it is: `bookinfo/reviews=7,bookinfo/ratings=3`.

use std::fmt;

use super::error::RouteError;
use crate::domain::fault::shown;

/// The annotation that holds the fence.
pub const FENCE_ANNOTATION: &str = "skygate.io/fence";

/// The rollout that moves the traffic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The rollout's namespace.
    pub namespace: String,
    /// The rollout's name.
    pub name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The annotation's value, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fences(Vec<(String, u64)>);

impl Fences {
    pub(super) fn read(annotation: Option<&str>) -> Result<Self, RouteError> {
        let entries = annotation.unwrap_or_default().split(',');
        let entries = entries.map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| {
            let (owner, number) = entry.split_once('=')?;
            let number = number.trim().parse().ok()?;
            Some((owner.trim().to_owned(), number))
        };
        entries
            .map(|entry| {
                read(entry).ok_or_else(|| RouteError::MalformedFence {
                    found: shown(annotation.unwrap_or_default()),
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The highest number that `owner` left.
    pub(super) fn of(&self, owner: &Owner) -> Option<u64> {
        let owner = owner.to_string();
        let ours = self.0.iter().filter(|(other, _)| *other == owner);
        ours.map(|(_, number)| *number).max()
    }

    /// The annotation's value with `number` for `owner` in it, those of others as they were.
    pub(super) fn with(&self, owner: &Owner, number: u64) -> String {
        let ours = owner.to_string();
        let others = self.0.iter().filter(|(other, _)| *other != ours);
        let mut entries: Vec<String> = others
            .map(|(other, number)| format!("{other}={number}"))
            .collect();
        entries.push(format!("{ours}={number}"));
        entries.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            namespace: "bookinfo".to_owned(),
            name: "reviews".to_owned(),
        }
    }

    #[test]
    fn fences_of_several_rollouts_share_an_object() {
        let check = |annotation: Option<&str>, found, with| {
            let fences = Fences::read(annotation).unwrap();
            assert_eq!(fences.of(&owner()), found, "{annotation:?}");
            assert_eq!(fences.with(&owner(), 8), with, "{annotation:?}");
        };
        check(None, None, "bookinfo/reviews=8");
        check(Some(""), None, "bookinfo/reviews=8");
        check(Some("bookinfo/reviews=7"), Some(7), "bookinfo/reviews=8");
        check(
            Some("bookinfo/ratings=12"),
            None,
            "bookinfo/ratings=12,bookinfo/reviews=8",
        );
        check(
            Some(" bookinfo/reviews = 3 , bookinfo/ratings=1, bookinfo/reviews=5"),
            Some(5),
            "bookinfo/ratings=1,bookinfo/reviews=8",
        );
    }

    #[test]
    fn what_is_no_fence_is_never_taken_for_none() {
        for annotation in ["7", "bookinfo/reviews", "bookinfo/reviews=x", "a=1,b"] {
            let refused = Fences::read(Some(annotation)).unwrap_err().to_string();
            assert!(refused.contains(annotation), "{refused}");
        }
    }
}
