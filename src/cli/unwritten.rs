//! What this process has begun to write, or is about to: whoever interrupts it then is told that it never was.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What stdout is called among places.
pub(super) const STDOUT: &str = "stdout";

/// The places, in the order in which they are written to.
static PLACES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Something will be written to this place.
pub(super) fn add(place: &str) {
    let mut places = places();
    if !places.iter().any(|known| known == place) {
        places.push(place.to_owned());
    }
}

/// Nothing more will be.
pub(super) fn settle(place: &str) {
    places().retain(|known| known != place);
}

/// The places that wait.
pub(super) fn list() -> Vec<String> {
    places().clone()
}

fn places() -> MutexGuard<'static, Vec<String>> {
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}
