//! What an OAP told us, kept for a while.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// More than a reasonable template asks about, so that an unreasonable one can't fill our memory.
const MOST: usize = 1_000;

/// What an OAP told us of each `K`, and for how long it holds. Nobody waits in here: those who find nothing all ask, and the
/// way to the OAP sends the same question once.
pub(super) struct Memory<K, T>(Mutex<HashMap<K, Kept<T>>>);

struct Kept<T> {
    since: Timestamp,
    until: Timestamp,
    value: T,
}

impl<T> Kept<T> {
    /// A clock that was set back makes what we know as doubtful as one that ran on.
    fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

impl<K: Eq + Hash, T: Clone> Memory<K, T> {
    /// What holds of `key`.
    pub(super) fn recall<Q>(&self, key: &Q, now: Timestamp) -> Option<T>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let kept = self.lock();
        let found = kept.get(key).filter(|kept| kept.holds(now))?;
        Some(found.value.clone())
    }

    /// Keeps `value` for `time` from `now` on.
    pub(super) fn keep(&self, key: K, value: T, now: Timestamp, time: Duration) {
        let until = now.checked_add(time).unwrap_or(Timestamp::MAX);
        let mut kept = self.lock();
        if kept.len() >= MOST {
            kept.retain(|_, kept| kept.holds(now));
        }
        if kept.len() < MOST {
            kept.insert(
                key,
                Kept {
                    since: now,
                    until,
                    value,
                },
            );
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Kept<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T> Default for Memory<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K, T> fmt::Debug for Memory<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_holds_for_a_while() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let memory = Memory::default();
        memory.keep((), "+0000", at(100), Duration::from_mins(1));
        let check = |second, expected| assert_eq!(memory.recall(&(), at(second)), expected);
        check(99, None);
        check(100, Some("+0000"));
        check(159, Some("+0000"));
        check(160, None);
        memory.forget();
        check(100, None);
    }

    #[test]
    fn it_never_grows_beyond_bounds() {
        let now = Timestamp::UNIX_EPOCH;
        let memory = Memory::default();
        for key in 0..2 * MOST {
            memory.keep(key, (), now, Duration::from_secs(1));
        }
        assert_eq!(memory.lock().len(), MOST);
        let later = now.checked_add(Duration::from_secs(1)).unwrap();
        memory.keep(MOST, (), later, Duration::from_secs(1));
        assert_eq!(memory.recall(&MOST, later), Some(()));
    }
}
