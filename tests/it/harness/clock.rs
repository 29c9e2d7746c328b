//! A clock that stands still until somebody moves it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use skygate::ports::Clock;

/// A clock that only moves by hand, and by those who wait on it.
///
/// Real sockets and a paused runtime don't mix, so nothing here depends on real time: a wait takes none, it moves the hand to its own
/// end, since nobody else would while a test waits for whoever is waiting. Waits that begin at the same moment end at the same one.
/// On this clock wait the client between two tries and the simulator with a slow answer. The engine's schedule doesn't: tests tick it.
#[derive(Debug)]
pub(crate) struct HandClock(Mutex<Timestamp>);

impl HandClock {
    /// One that shows [`super::start`].
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(super::start())))
    }

    /// Moves the hand on to `moment`; never back.
    pub(crate) fn move_to(&self, moment: Timestamp) {
        let mut now = self.0.lock().expect("no panic");
        *now = moment.max(*now);
    }

    /// Moves the hand on.
    pub(crate) fn advance(&self, by: Duration) {
        self.move_to(self.now().checked_add(by).expect("a moment"));
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no panic")
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.now().checked_add(duration).expect("a moment");
        // Whoever waits beside gets to begin first.
        tokio::task::yield_now().await;
        self.move_to(end);
    }
}
