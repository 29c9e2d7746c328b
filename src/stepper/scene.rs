//! What can be seen of a rollout while it is stepped.

use jiff::Timestamp;

use crate::domain::rollout::desk::Letter;
use crate::domain::rollout::{Around, Rollout, RunSummary, Stepping, draw};

/// A rollout and its surroundings at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The rollout as it was saved last; while the service is out of sight, as it looks without it.
    pub rollout: Rollout,
    /// What is known of its runs.
    pub runs: Vec<RunSummary>,
    /// What people want that was not taken in yet.
    pub posted: Vec<Letter>,
    /// Since when the service is out of sight, and what was said when it was asked last.
    pub away: Option<Away>,
}

impl Scene {
    /// The tree of it, as its stepper sees it.
    pub fn draw(&self, now: Timestamp) -> String {
        let around = Around {
            runs: &self.runs,
            waiting: &self.posted,
            stepping: Stepping::Here,
        };
        draw(&self.rollout, &around, now)
    }
}

/// That the service is out of sight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: String,
}
