//! What happens to a rollout, and what is to be done about it.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::measurement::Phase;
use super::super::run::RunId;
use super::Weight;
use super::command::Posted;
use super::spec::RolloutSpec;
use super::state::{AnalysisKey, Settings, Version};

/// What happens to a rollout. Whatever comes twice, late or unasked is counted once or never.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// Somebody holds the rollout who did not a moment ago: what is routed is to be seen to again.
    TakenOver(Settings),
    /// A version, or other steps, are to be rolled out. Where that is what is rolled out already, the document is taken over.
    Begun {
        /// What the document says now.
        spec: Arc<RolloutSpec>,
        /// What is to be rolled out.
        version: Version,
    },
    /// The canary gets this weight, the router says.
    Routed {
        /// The weight.
        weight: Weight,
    },
    /// The router will not give the canary any traffic: it was taken back while the service was out of sight, by a stepper that is gone.
    TakenBack,
    /// Somebody else has moved the traffic: it is not as it was left.
    Displaced {
        /// What the canary gets; `None`: the routes are as no rollout leaves them.
        found: Option<Weight>,
    },
    /// The service had lost what it kept of the rollout, and gets it back from whoever stepped it last.
    Restored,
    /// A weight could not be set yet, and is being tried again.
    Unroutable {
        /// Why.
        message: String,
    },
    /// The service has a run for an analysis.
    AnalysisStarted {
        /// Which analysis.
        key: AnalysisKey,
        /// Its run.
        run: RunId,
    },
    /// The service will have no run for an analysis, however often it is asked.
    AnalysisRefused {
        /// Which analysis.
        key: AnalysisKey,
        /// Why.
        message: String,
    },
    /// A run was looked at.
    AnalysisSeen {
        /// The run.
        run: RunId,
        /// Its phase.
        phase: Phase,
        /// Its message.
        message: String,
        /// Whether it has a good measurement of everything that counts.
        evidence: bool,
    },
    /// An analysis could not be begun or looked at, and that is being tried again.
    AnalysisOutOfSight {
        /// Which analysis.
        key: AnalysisKey,
        /// Why.
        message: String,
    },
    /// A run is no longer to be found.
    AnalysisGone {
        /// The run.
        run: RunId,
    },
    /// It was seen to that an analysis runs no more.
    AnalysisEnded {
        /// Which analysis.
        key: AnalysisKey,
    },
    /// A try of the hook came to its end.
    HookEnded {
        /// Which try.
        key: HookKey,
        /// Whether it did what it is for.
        is_success: bool,
        /// What it said.
        output: String,
    },
    /// Somebody wants something.
    Command(Posted),
    /// The service has been out of sight since then.
    Blind {
        /// Since when.
        since: Timestamp,
    },
    /// The service is in sight again.
    Sighted,
    /// The stepper was interrupted, and is to abort then.
    Interrupted,
}

/// What is to be done for a rollout. Doing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Give the canary this weight, and bring [`Event::Routed`].
    SetWeight {
        /// The weight.
        weight: Weight,
        /// Which change of it this is, over the rollout's life; the same where it is only seen to again.
        change: u64,
    },
    /// Have the service run [`Rollout::request`](super::Rollout::request), and bring [`Event::AnalysisStarted`] or
    /// [`Event::AnalysisRefused`].
    StartAnalysis {
        /// Which analysis.
        key: AnalysisKey,
    },
    /// Look at a run until it is over; bring [`Event::AnalysisSeen`] each time that it has changed.
    Watch {
        /// The run.
        run: RunId,
    },
    /// See to it that an analysis runs no more, and bring [`Event::AnalysisEnded`].
    EndAnalysis {
        /// Which analysis.
        key: AnalysisKey,
        /// Its run; `None`: the service may have one and may have none. It has the labels of the request.
        run: Option<RunId>,
    },
    /// Run the hook, and bring [`Event::HookEnded`].
    RunHook {
        /// Which try.
        key: HookKey,
    },
    /// Bring [`Event::Tick`] at this moment, or at once where it has passed.
    WakeAt {
        /// The moment.
        at: Timestamp,
    },
    /// Nothing more happens by itself.
    Done {
        /// How it came out.
        outcome: Outcome,
    },
}

/// What tells the tries of the hook apart; a try that is begun again after a crash has the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HookKey {
    /// The revision's number.
    pub revision: u64,
    /// The attempt.
    pub attempt: u32,
    /// The how-manieth try, from 1.
    pub number: u32,
}

/// How a rollout came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The new version is the stable one and has all traffic as such.
    Promoted,
    /// The new version has all traffic as the canary: somebody makes it the stable one and says so.
    Unconfirmed,
    /// The stable version has all traffic.
    Aborted,
    /// The new version has all traffic as the canary, and the hook could not make it the stable one.
    PromotionFailed,
}
