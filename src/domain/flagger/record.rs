//! What is remembered of a canary between Flagger's calls.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{Call, Hook, RunView};
use crate::domain::measurement::Phase;
use crate::domain::run::RunId;

/// How many calls are remembered.
const LONGEST_HISTORY: usize = 100;

/// What Flagger has asked about one canary by one template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The newest attempt at a version.
    pub attempt: Option<Attempt>,
    /// The newest calls and what they were answered, oldest first.
    pub history: VecDeque<Entry>,
}

/// One attempt at a version: from the first hook of its rollout to `post-rollout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which attempt of this canary by this template it is, from 1.
    pub number: u64,
    /// The version.
    pub checksum: String,
    /// The run that judges it. It is named before it is started, so that no crash in between starts a second one.
    pub run: RunId,
    /// When it was opened. The version took no traffic before.
    pub opened_at: Timestamp,
    /// When it was first allowed to take traffic.
    pub traffic_since: Option<Timestamp>,
    /// When it was last allowed to take more.
    pub last_increase: Option<Timestamp>,
    /// Whether Flagger has asked what it only asks once traffic flows.
    pub is_under_way: bool,
    /// When the newest good measurement's window began, as far as that has been seen.
    pub measured_since: Option<Timestamp>,
    /// How its run ended, once that has been seen: the run itself may be forgotten before the attempt is over.
    pub end: Option<End>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its phase.
    pub phase: Phase,
    /// Why, in one line.
    pub why: String,
    /// Whether it has a good measurement of every metric that counts.
    pub evidence: bool,
}

/// One call and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it came.
    pub at: Timestamp,
    /// Which hook it was.
    pub hook: Hook,
    /// The canary's phase, in Flagger's words.
    pub phase: String,
    /// The version that it was about.
    pub checksum: String,
    /// The attempt that was under way by then, if one was.
    pub attempt: Option<u64>,
    /// The status it was answered with.
    pub status: u16,
    /// The text it was answered with; of an event, what it said.
    pub text: String,
}

impl Record {
    /// The attempt at the version of `call` that is under way.
    pub(super) fn current(&mut self, call: &Call) -> Option<&mut Attempt> {
        self.open()
            .filter(|attempt| attempt.checksum == call.checksum)
    }

    /// The attempt that is under way, at whatever version.
    pub(super) fn open(&mut self) -> Option<&mut Attempt> {
        let attempt = self.attempt.as_mut();
        attempt.filter(|attempt| attempt.closed_at.is_none())
    }

    /// Begins an attempt at the version of `call`, judged by a run that will be called `run`.
    pub(super) fn begin(&mut self, call: &Call, run: RunId, now: Timestamp) -> &mut Attempt {
        let before = self.attempt.as_ref().map_or(0, |attempt| attempt.number);
        self.attempt.insert(Attempt {
            number: before + 1,
            checksum: call.checksum.clone(),
            run,
            opened_at: now,
            traffic_since: None,
            last_increase: None,
            is_under_way: false,
            measured_since: None,
            end: None,
            closed_at: None,
        })
    }

    /// Remembers a call.
    pub(super) fn note(&mut self, entry: Entry) {
        self.history.push_back(entry);
        while self.history.len() > LONGEST_HISTORY {
            self.history.pop_front();
        }
    }
}

impl Attempt {
    /// Takes in what its run looks like by now.
    pub(super) fn observe(&mut self, run: &RunView) {
        self.measured_since = self.measured_since.max(run.measured_since);
        if run.phase.is_over() {
            self.end = Some(End {
                phase: run.phase,
                why: run.why.clone(),
                evidence: run.evidence,
            });
        }
    }

    /// Whether a good measurement says something about the traffic since `moment`.
    pub(super) fn is_measured_since(&self, moment: Timestamp) -> bool {
        self.measured_since.is_some_and(|began| began >= moment)
    }

    /// Whether its version has certainly taken traffic, so that a `pre-rollout` can only be another attempt's.
    pub(super) fn has_flowed(&self) -> bool {
        let since_traffic = self.traffic_since;
        self.is_under_way
            || since_traffic
                .is_some_and(|since| self.end.is_some() || self.is_measured_since(since))
    }
}
