//! How an attempt stands.

use super::{Answer, Call};
use crate::domain::measurement::Phase;

/// What an attempt's run has come to, as far as is known.
pub(super) struct Standing {
    pub(super) phase: Phase,
    pub(super) why: String,
    pub(super) evidence: bool,
    pub(super) is_terminated: bool,
}

impl Standing {
    /// `Failed: apdex failed 4 of 4 measurements …`.
    pub(super) fn text(&self) -> String {
        match self.why.as_str() {
            "" => self.phase.to_string(),
            why => format!("{}: {why}", self.phase),
        }
    }

    /// The answer where somebody ended the run before its time: it judges its version no more, and nobody has said what comes instead.
    pub(super) fn cut_off(&self, call: &Call) -> Answer {
        Answer::no(format!(
            "somebody ended the run before its time; `skygate canaries delete {} -n {}` lets the next call begin another; {}",
            call.canary,
            call.namespace,
            self.text()
        ))
    }
}
