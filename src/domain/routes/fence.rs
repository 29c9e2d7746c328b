//! Who may move the traffic: the number of a stepper's lease, kept in the very object that it edits.
//!
//! Every new lease of a rollout has a higher number than the ones before. A stepper that was thought dead and wakes up finds the number
//! of its successor in the object and touches nothing, whatever it believes of its own lease.
//!
//! One that took all traffic from the canary while it could not tell the service so marks that: `bookinfo/reviews=7/taken-back`. Whoever
//! takes over finds in the service's record what the canary had before, and must not give it that again.
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

/// What follows a number where traffic was taken back unsaved.
const TAKEN_BACK: &str = "/taken-back";

/// What a stepper leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    /// The number of its lease.
    pub(super) number: u64,
    /// Whether it took all traffic from the canary, and could not have that saved.
    pub(super) is_taken_back: bool,
}

/// The annotation's value, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fences(Vec<(String, Mark)>);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken_back = if self.is_taken_back { TAKEN_BACK } else { "" };
        write!(f, "{}{taken_back}", self.number)
    }
}

impl Fences {
    pub(super) fn read(annotation: Option<&str>) -> Result<Self, RouteError> {
        let entries = annotation.unwrap_or_default().split(',');
        let entries = entries.map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| {
            let (owner, number) = entry.split_once('=')?;
            let number = number.trim();
            let plain = number.strip_suffix(TAKEN_BACK);
            let mark = Mark {
                number: plain.unwrap_or(number).parse().ok()?,
                is_taken_back: plain.is_some(),
            };
            Some((owner.trim().to_owned(), mark))
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

    /// What `owner` left: the mark with the highest number.
    pub(super) fn of(&self, owner: &Owner) -> Option<Mark> {
        let owner = owner.to_string();
        let ours = self.0.iter().filter(|(other, _)| *other == owner);
        ours.map(|(_, mark)| *mark).max()
    }

    /// The annotation's value with `mark` for `owner` in it, those of others as they were.
    pub(super) fn with(&self, owner: &Owner, mark: Mark) -> String {
        let ours = owner.to_string();
        let others = self.0.iter().filter(|(other, _)| *other != ours);
        let mut entries: Vec<String> = others
            .map(|(other, mark)| format!("{other}={mark}"))
            .collect();
        entries.push(format!("{ours}={mark}"));
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
            let number = fences.of(&owner()).map(|mark| mark.number);
            assert_eq!(number, found, "{annotation:?}");
            let mark = Mark {
                number: 8,
                is_taken_back: false,
            };
            assert_eq!(fences.with(&owner(), mark), with, "{annotation:?}");
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
    fn what_was_taken_back_is_marked() {
        let check = |annotation: &str, expected: Option<Mark>| {
            let fences = Fences::read(Some(annotation)).unwrap();
            assert_eq!(fences.of(&owner()), expected, "{annotation}");
            if let Some(mark) = expected {
                assert_eq!(fences.with(&owner(), mark), annotation);
            }
        };
        let mark = |number, is_taken_back| {
            Some(Mark {
                number,
                is_taken_back,
            })
        };
        check("bookinfo/reviews=7/taken-back", mark(7, true));
        check(
            "bookinfo/ratings=9/taken-back,bookinfo/reviews=7",
            mark(7, false),
        );
        check("bookinfo/ratings=9/taken-back", None);
    }

    #[test]
    fn what_is_no_fence_is_never_taken_for_none() {
        for annotation in [
            "7",
            "bookinfo/reviews",
            "bookinfo/reviews=x",
            "a=1/b",
            "a=1,b",
        ] {
            let refused = Fences::read(Some(annotation)).unwrap_err().to_string();
            assert!(refused.contains(annotation), "{refused}");
        }
    }
}
