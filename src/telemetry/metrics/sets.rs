//! Which sets of labels are told apart, and for how long.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::flagger::counted_as;
use crate::domain::run::{Run, RunId};

/// So many different sets of labels that callers choose are told apart.
const MOST_SETS: usize = 500;

/// How long a name stays that no run has any more: an alert looks back half an hour at what was counted.
const LINGER: Duration = Duration::from_hours(1);

/// The sets of labels that are told apart.
#[derive(Debug, Default)]
pub(super) struct Sets(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sets: HashSet<String>,
    names: HashMap<Arc<str>, Named>,
    /// What each run is counted under that has been seen and is kept. Runs are many, so of their ids there is only a hash.
    runs: HashMap<u64, Arc<str>>,
    hashing: RandomState,
}

/// A name that runs are counted under.
#[derive(Debug, Default)]
struct Named {
    runs: usize,
    metrics: BTreeSet<(String, &'static str)>,
    /// Since when no run of it is kept.
    idle_since: Option<Instant>,
}

/// A name that stands for no run any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) namespace: String,
    pub(super) name: String,
    /// The metrics that were shown of it, and whether they were dry runs.
    pub(super) metrics: BTreeSet<(String, &'static str)>,
}

impl Sets {
    /// Whether this label is one that is told apart. It becomes one while there is room.
    pub(super) fn has(&self, label: &str) -> bool {
        self.known().has(label)
    }

    /// Whether what `run` is counted under is told apart, by the same rule.
    pub(super) fn has_run(&self, run: &Run) -> bool {
        self.known().has_run(run).is_some()
    }

    /// The same for a metric of `run`.
    pub(super) fn has_metric(&self, run: &Run, metric: &str, dry_run: &'static str) -> bool {
        let mut known = self.known();
        let Some(name) = known.has_run(run) else {
            return false;
        };
        let set = of_metric(&name, metric);
        if !known.has(&set) {
            return false;
        }
        if let Some(named) = known.names.get_mut(&name) {
            named.metrics.insert((metric.to_owned(), dry_run));
        }
        true
    }

    /// These runs are kept no longer.
    pub(super) fn forget(&self, runs: &[RunId], now: Instant) {
        let mut known = self.known();
        for id in runs {
            let hash = known.hashing.hash_one(&id.0);
            let Some(name) = known.runs.remove(&hash) else {
                continue;
            };
            let Some(named) = known.names.get_mut(&name) else {
                continue;
            };
            named.runs = named.runs.saturating_sub(1);
            if named.runs == 0 {
                named.idle_since = Some(now);
            }
        }
    }

    /// Takes out the names that no run has had for long enough.
    pub(super) fn take_idle(&self, now: Instant) -> Vec<Gone> {
        let mut known = self.known();
        let is_idle = |named: &Named| {
            let since = named.idle_since;
            since.is_some_and(|since| now.duration_since(since) >= LINGER)
        };
        let names = known.names.iter();
        let idle = names.filter(|(_, named)| is_idle(named));
        let idle: Vec<Arc<str>> = idle.map(|(name, _)| Arc::clone(name)).collect();
        let gone = idle.into_iter().filter_map(|key| {
            let named = known.names.remove(&key)?;
            known.sets.remove(&*key);
            for (metric, _) in &named.metrics {
                known.sets.remove(&of_metric(&key, metric));
            }
            let (namespace, name) = key.split_once('\0')?;
            Some(Gone {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                metrics: named.metrics,
            })
        });
        gone.collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn has(&mut self, set: &str) -> bool {
        if self.sets.contains(set) {
            return true;
        }
        let has_room = self.sets.len() < MOST_SETS;
        if has_room {
            self.sets.insert(set.to_owned());
        }
        has_room
    }

    /// What `run` is counted under, if that is told apart. From now on it stands for this run, too.
    fn has_run(&mut self, run: &Run) -> Option<Arc<str>> {
        let key = format!("{}\0{}", run.namespace, counted_as(run));
        if !self.has(&key) {
            return None;
        }
        let known = self.names.get_key_value(key.as_str());
        let name = known.map_or_else(|| Arc::from(key), |(name, _)| Arc::clone(name));
        let named = self.names.entry(Arc::clone(&name)).or_default();
        let hash = self.hashing.hash_one(&run.id.0);
        if self.runs.insert(hash, Arc::clone(&name)).is_none() {
            named.runs += 1;
            named.idle_since = None;
        }
        Some(name)
    }
}

fn of_metric(name: &str, metric: &str) -> String {
    format!("{name}\0{metric}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_callers_choose_are_bounded() {
        let sets = Sets::default();
        for i in 0..2 * MOST_SETS {
            assert_eq!(sets.has(&format!("a{i}")), i < MOST_SETS);
        }
        assert!(sets.has("a0"));
    }
}
