//! Who may move the traffic: the number of a stepper's lease, kept in the very object that it edits.
//!
//! Every new lease of a rollout has a higher number than the ones before. A stepper that was thought dead and wakes up finds the number
//! of its successor in the object and touches nothing, whatever it believes of its own lease.
//!
//! One that took all traffic from the canary while it could not tell the service so marks that: `bookinfo/reviews=7/taken-back`. Whoever
//! takes over finds in the service's record what the canary had before, and must not give it that again.
//!
//! Several rollouts may route through one object, so the annotation names whose number it is, and which routes are moved for it:
//! `bookinfo/reviews=7@http.primary,bookinfo/ratings=3@http.ratings`. Two rollouts on one route would undo each other's weights, so
//! the second is refused until the first has ended: it leaves `bookinfo/reviews=7/over@http.primary`, whose number still keeps its own
//! late steppers away.

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

/// What stands between a number and how the traffic was left: it was taken back unsaved, or the rollout has ended.
const LEFT: char = '/';
const TAKEN_BACK: &str = "taken-back";
const OVER: &str = "over";

/// What stands before the routes, and between them.
const ROUTES: char = '@';
const AND: char = '+';

/// What a stepper leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The number of its lease.
    pub(super) number: u64,
    /// How it left the traffic.
    pub(super) left: Left,
    /// The routes that it moves, as [`super::choose::called`] names them; none where whoever wrote it did not say.
    pub(super) routes: Vec<String>,
}

/// How a stepper left the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    /// The rollout has ended.
    Over,
    /// It moves it still, or whoever follows does.
    Live,
    /// It took all of it from the canary, and could not have that saved.
    TakenBack,
}

/// Another rollout that moves a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rival {
    /// Which one.
    pub(super) owner: String,
    /// The number of its lease.
    pub(super) number: u64,
    /// The route.
    pub(super) route: String,
}

/// The annotation's value, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fences(Vec<(String, Mark)>);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        match self.left {
            Left::Over => write!(f, "{LEFT}{OVER}")?,
            Left::Live => {}
            Left::TakenBack => write!(f, "{LEFT}{TAKEN_BACK}")?,
        }
        for (i, route) in self.routes.iter().enumerate() {
            let before = if i == 0 { ROUTES } else { AND };
            write!(f, "{before}{route}")?;
        }
        Ok(())
    }
}

impl Fences {
    pub(super) fn read(annotation: Option<&str>) -> Result<Self, RouteError> {
        let entries = annotation.unwrap_or_default().split(',');
        let entries = entries.map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| {
            let (owner, mark) = entry.split_once('=')?;
            let (number, routes) = match mark.split_once(ROUTES) {
                Some((number, routes)) => (number.trim(), routes.split(AND).collect()),
                None => (mark.trim(), Vec::new()),
            };
            let (number, left) = match number.split_once(LEFT) {
                None => (number, Left::Live),
                Some((number, TAKEN_BACK)) => (number, Left::TakenBack),
                Some((number, OVER)) => (number, Left::Over),
                Some(_) => return None,
            };
            let mark = Mark {
                number: number.parse().ok()?,
                left,
                routes: routes.into_iter().map(|it| it.trim().to_owned()).collect(),
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
        ours.map(|(_, mark)| mark.clone())
            .max_by_key(|mark| (mark.number, mark.left))
    }

    /// Another rollout than `owner`'s that has not ended and moves one of `routes`.
    pub(super) fn rival(&self, owner: &Owner, routes: &[String]) -> Option<Rival> {
        let owner = owner.to_string();
        let others = self.0.iter().filter(|(other, _)| *other != owner);
        let mut live = others.filter(|(_, mark)| mark.left != Left::Over);
        let rival = |(other, mark): &(String, Mark)| {
            let route = mark.routes.iter().find(|it| routes.contains(it))?;
            Some(Rival {
                owner: other.clone(),
                number: mark.number,
                route: route.clone(),
            })
        };
        live.find_map(rival)
    }

    /// The same where whoever else moves one of `routes` does so no more. Their numbers stay.
    pub(super) fn without_rivals(mut self, owner: &Owner, routes: &[String]) -> Self {
        let owner = owner.to_string();
        let others = self.0.iter_mut().filter(|(other, _)| *other != owner);
        for (_, mark) in others {
            if mark.routes.iter().any(|it| routes.contains(it)) {
                mark.left = Left::Over;
            }
        }
        self
    }

    /// The annotation's value with `mark` for `owner` in it, those of others as they were.
    pub(super) fn with(&self, owner: &Owner, mark: &Mark) -> String {
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

    fn mark(number: u64, left: Left, routes: &[&str]) -> Mark {
        Mark {
            number,
            left,
            routes: routes.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn fences_of_several_rollouts_share_an_object() {
        let check = |annotation: Option<&str>, found, with| {
            let fences = Fences::read(annotation).unwrap();
            let number = fences.of(&owner()).map(|mark| mark.number);
            assert_eq!(number, found, "{annotation:?}");
            let mark = mark(8, Left::Live, &[]);
            assert_eq!(fences.with(&owner(), &mark), with, "{annotation:?}");
        };
        check(None, None, "bookinfo/reviews=8");
        check(Some(""), None, "bookinfo/reviews=8");
        check(Some("bookinfo/reviews=7"), Some(7), "bookinfo/reviews=8");
        check(
            Some("bookinfo/ratings=12@http.b"),
            None,
            "bookinfo/ratings=12@http.b,bookinfo/reviews=8",
        );
        check(
            Some(" bookinfo/reviews = 3 , bookinfo/ratings=1, bookinfo/reviews=5@http.0"),
            Some(5),
            "bookinfo/ratings=1,bookinfo/reviews=8",
        );
    }

    #[test]
    fn a_mark_tells_how_traffic_was_left_and_where() {
        let check = |annotation: &str, expected: Option<Mark>| {
            let fences = Fences::read(Some(annotation)).unwrap();
            assert_eq!(fences.of(&owner()), expected, "{annotation}");
            if let Some(mark) = expected {
                assert_eq!(fences.with(&owner(), &mark), annotation);
            }
        };
        check(
            "bookinfo/reviews=7/taken-back",
            Some(mark(7, Left::TakenBack, &[])),
        );
        check(
            "bookinfo/ratings=9/taken-back,bookinfo/reviews=7@http.a+tcp.0",
            Some(mark(7, Left::Live, &["http.a", "tcp.0"])),
        );
        check(
            "bookinfo/reviews=7/over@http.0",
            Some(mark(7, Left::Over, &["http.0"])),
        );
        check("bookinfo/ratings=9/taken-back", None);
    }

    #[test]
    fn a_rival_is_live_and_on_the_same_route() {
        let routes = ["http.a".to_owned(), "http.b".to_owned()];
        let check = |annotation: &str, expected: Option<&str>, without: &str| {
            let fences = Fences::read(Some(annotation)).unwrap();
            let rival = fences.rival(&owner(), &routes).map(|rival| rival.owner);
            assert_eq!(rival.as_deref(), expected, "{annotation}");
            let alone = fences.without_rivals(&owner(), &routes);
            assert_eq!(alone.rival(&owner(), &routes), None, "{annotation}");
            let kept = alone.with(&owner(), &mark(1, Left::Live, &[]));
            assert_eq!(kept, format!("{without},bookinfo/reviews=1"));
        };
        check(
            "prod/reviews=7@http.a",
            Some("prod/reviews"),
            "prod/reviews=7/over@http.a",
        );
        check(
            "x/y=7/taken-back@http.c+http.b",
            Some("x/y"),
            "x/y=7/over@http.c+http.b",
        );
        check("x/y=7/over@http.b", None, "x/y=7/over@http.b");
        check("x/y=7@http.c", None, "x/y=7@http.c");
        check("x/y=7", None, "x/y=7");
    }

    #[test]
    fn what_is_no_fence_is_never_taken_for_none() {
        for annotation in [
            "7",
            "bookinfo/reviews",
            "bookinfo/reviews=x",
            "bookinfo/reviews=7/lost",
            "bookinfo/reviews=@http.0",
            "a=1/b",
            "a=1,b",
        ] {
            let refused = Fences::read(Some(annotation)).unwrap_err().to_string();
            assert!(refused.contains(annotation), "{refused}");
        }
    }
}
