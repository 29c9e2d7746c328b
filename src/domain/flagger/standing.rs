//! How an attempt stands.

use super::{Answer, Call, RunView};
use crate::domain::measurement::Phase;

/// What an attempt's run has come to, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its phase.
    pub phase: Phase,
    /// Why, in one line.
    pub why: String,
    /// Whether it has a good measurement of every metric that counts.
    pub evidence: bool,
    /// Whether somebody ended it before its time.
    pub is_terminated: bool,
}

impl Standing {
    /// How `run` stands.
    pub(super) fn of(run: &RunView) -> Self {
        Self {
            phase: run.phase,
            why: run.why.clone(),
            evidence: run.evidence,
            is_terminated: run.is_terminated,
        }
    }

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
