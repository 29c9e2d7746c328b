//! A rollout and how far it has come.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::measurement::Phase;
use super::super::run::RunId;
use super::spec::RolloutSpec;
use super::status::RolloutPhase;
use super::{Weight, stored};

/// A rollout: what it is to do, how far it has come, and what it waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it is to do: what the document said last.
    pub spec: Arc<RolloutSpec>,
    /// How its stepper was told to go about it.
    pub settings: Settings,
    /// When its first revision began.
    pub created_at: Timestamp,
    /// What is being rolled out.
    pub revision: Revision,
    /// The newest revisions before that, oldest first.
    pub former: Vec<Revision>,
    /// What the stable version is; `None`: there is one, and nobody has told its name.
    pub stable: Option<Version>,
    /// How often the steps, or an analysis, were begun in this revision; what tells their analyses apart.
    pub attempt: u32,
    /// The step that is being worked on, from 0; the number of steps once all are done.
    pub step: usize,
    /// What the canary is to get.
    pub weight: Weight,
    /// How often that has changed, over the rollout's life.
    pub changes: u64,
    /// What the canary was last known to get.
    pub routed: Weight,
    /// Whether whoever holds the rollout has seen to it that the canary gets what `routed` says.
    pub is_routed: bool,
    /// When the canary of this attempt first took traffic.
    pub traffic_since: Option<Timestamp>,
    /// Why it waits, where it does.
    pub pauses: Vec<Pause>,
    /// Whether somebody paused it by hand.
    pub is_paused: bool,
    /// Whether it was aborted.
    pub aborted: Option<Aborted>,
    /// What somebody let it off.
    pub waived: Waived,
    /// How far the canary is on its way to be the stable version.
    pub promotion: Promotion,
    /// What the hook last said.
    pub hook_output: String,
    /// The analysis beside the steps.
    pub background: Option<Analysis>,
    /// The analysis that is the current step.
    pub step_analysis: Option<Analysis>,
    /// Analyses that no longer matter, oldest first; those that may still run are to be ended.
    pub earlier: Vec<Analysis>,
    /// Since when the service has not been seen.
    pub blind_since: Option<Timestamp>,
    /// What keeps a weight from being set.
    pub trouble: Option<Trouble>,
    /// The number of the last command that was taken in.
    pub commands_taken: u64,
    /// What changed, oldest first.
    pub history: VecDeque<Transition>,
}

/// How a stepper was told to go about a rollout. The newest one's settings hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// What makes the new version the stable one; `None`: somebody does and says so.
    pub hook: Option<HookPolicy>,
    /// How long the service may be out of sight before traffic goes back to the stable version.
    #[serde(with = "stored::optional_duration")]
    pub abort_when_blind: Option<Duration>,
    /// What moves the traffic and where, in the command line's words: `file:/mesh/routes.yaml`. `None`: nobody said.
    #[serde(default)]
    pub router: Option<String>,
}

/// How often the hook is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookPolicy {
    /// How often at most.
    pub tries: u32,
    /// The time after the first failure; it doubles with each further one, up to five minutes.
    #[serde(with = "stored::duration")]
    pub retry_after: Duration,
}

impl Default for HookPolicy {
    fn default() -> Self {
        Self {
            tries: 3,
            retry_after: Duration::from_secs(10),
        }
    }
}

/// What a revision rolls out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Its name: what tells it from others.
    pub name: String,
    /// Its image.
    pub image: Option<String>,
}

impl Version {
    /// A version that has no more than a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            image: None,
        }
    }
}

/// One version on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its number, from 1; each new version gets the next one.
    pub number: u64,
    /// What it rolls out.
    pub version: Version,
    /// When it began.
    pub begun_at: Timestamp,
}

/// Why a rollout waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// The reason.
    pub reason: PauseReason,
    /// Since when.
    pub since: Timestamp,
}

/// The reasons to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseReason {
    /// A step says so.
    CanaryPauseStep,
    /// An analysis ended neither well nor badly.
    InconclusiveAnalysisRun,
    /// Ours: an analysis has measured nothing good yet, so nothing is promoted on it.
    NoEvidence,
}

impl PauseReason {
    /// Its name, as people see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CanaryPauseStep => "CanaryPauseStep",
            Self::InconclusiveAnalysisRun => "InconclusiveAnalysisRun",
            Self::NoEvidence => "NoEvidence",
        }
    }
}

/// What somebody let a rollout off by promoting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waived {
    /// It has to do all its steps, and to have evidence.
    Nothing,
    /// It may come to its end without evidence.
    Evidence,
    /// It is promoted without steps, pauses and analyses.
    Everything,
}

/// That a rollout was aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Aborted {
    /// When.
    pub at: Timestamp,
    /// Why; empty where somebody asked for it.
    pub reason: String,
}

/// How far the canary is on its way to be the stable version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Promotion {
    /// The steps are not done, or all is done.
    #[default]
    NotDue,
    /// All traffic goes to the canary, and the hook is making it the stable version.
    #[serde(rename_all = "camelCase")]
    Hook {
        /// The how-manieth try it is, from 1.
        number: u32,
        /// When this try begins.
        begins_at: Timestamp,
    },
    /// All traffic goes to the canary, and the hook has failed for good.
    HookFailed {
        /// What it said.
        message: String,
    },
    /// All traffic goes to the canary, and nobody has said yet that it is the stable version.
    Unconfirmed,
}

impl Promotion {
    /// The first try of the hook, which begins at this moment.
    pub(super) fn first_try(begins_at: Timestamp) -> Self {
        Self::Hook {
            number: 1,
            begins_at,
        }
    }

    /// Whether a try of the hook is still to begin after `moment`: between two tries, or before the first, nothing is being done.
    pub fn waits(&self, moment: Timestamp) -> bool {
        matches!(self, Self::Hook { begins_at, .. } if *begins_at > moment)
    }
}

/// What keeps something from being done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// What it is, as whoever met it told it last.
    pub message: String,
}

/// What tells the analyses of a rollout apart. Asking the service for the same one again gives the run that there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisKey {
    /// The revision's number.
    pub revision: u64,
    /// The attempt.
    pub attempt: u32,
    /// Beside the steps, or which one.
    pub kind: AnalysisKind,
}

/// Where an analysis stands among the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AnalysisKind {
    /// Beside them.
    Background,
    /// It is the step of this index.
    Step(usize),
}

/// An analysis as the rollout knows it; the run itself is the service's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// What tells it apart.
    pub key: AnalysisKey,
    /// What it is called.
    pub name: String,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Its arguments, as they were when it was asked for.
    pub args: Vec<Supplied>,
    /// The moment before which its version took no traffic, where one was known when the analysis was asked for.
    pub not_before: Option<Timestamp>,
    /// Its run; `None`: the service has not answered yet.
    #[serde(with = "stored::run_id")]
    pub run: Option<RunId>,
    /// What it was last seen to have come to.
    #[serde(with = "stored::phase")]
    pub phase: Phase,
    /// What was said about that.
    pub message: String,
    /// Whether it had a good measurement of everything that counts.
    pub evidence: bool,
    /// Whether it was seen to that it runs no more.
    pub is_ended: bool,
    /// Since when it may have come to something else than what was last seen: nobody looked, or nobody could.
    #[serde(default)]
    pub out_of_sight_since: Option<Timestamp>,
}

impl Analysis {
    /// Whether it may still run, as far as is known.
    pub fn may_run(&self) -> bool {
        !self.phase.is_over() && !self.is_ended
    }
}

/// An argument with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supplied {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What a rollout had become when something changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// The revision's number.
    pub revision: u64,
    /// The step.
    pub step: usize,
    /// What the canary got.
    #[serde(with = "stored::weight")]
    pub weight: Weight,
    /// The phase.
    pub phase: RolloutPhase,
    /// Its message.
    pub message: String,
    /// What somebody asked for, or what the hook did; empty where neither was the cause.
    pub note: String,
}

impl Rollout {
    /// A rollout whose first revision nothing has happened to yet.
    ///
    /// With `stable` equal to `version` there is nothing to step through: it is the first version ever, and stable at once.
    pub fn new(
        namespace: impl Into<String>,
        spec: Arc<RolloutSpec>,
        version: Version,
        stable: Option<Version>,
        settings: Settings,
        now: Timestamp,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: spec.name.clone(),
            is_paused: spec.is_paused,
            spec,
            settings,
            created_at: now,
            revision: Revision {
                number: 1,
                version,
                begun_at: now,
            },
            former: Vec::new(),
            stable,
            attempt: 1,
            step: 0,
            weight: Weight::NONE,
            changes: 0,
            routed: Weight::NONE,
            is_routed: false,
            traffic_since: None,
            pauses: Vec::new(),
            aborted: None,
            waived: Waived::Nothing,
            promotion: Promotion::NotDue,
            hook_output: String::new(),
            background: None,
            step_analysis: None,
            earlier: Vec::new(),
            blind_since: None,
            trouble: None,
            commands_taken: 0,
            history: VecDeque::new(),
        }
    }

    /// Whether this is the stable version.
    pub fn is_stable(&self, version: &Version) -> bool {
        self.stable.as_ref().is_some_and(|it| it.is_same(version))
    }

    /// Whether what is rolled out is the stable version.
    pub fn is_promoted(&self) -> bool {
        self.is_stable(&self.revision.version)
    }

    /// Whether it is working through its steps: neither promoted nor about to be, nor aborted.
    pub fn is_stepping(&self) -> bool {
        self.aborted.is_none() && !self.is_promoted() && self.promotion == Promotion::NotDue
    }

    /// The analysis beside the steps and the one that is the current step, where there are any.
    pub fn analyses(&self) -> impl Iterator<Item = &Analysis> {
        self.background.iter().chain(&self.step_analysis)
    }

    /// Since when an analysis has to be seen before anything may follow from what is known of it: whatever it was good for, it may have
    /// failed since.
    pub(super) fn out_of_sight_since(&self) -> Option<Timestamp> {
        let current = self.analyses().filter(|_| self.is_stepping());
        current.filter_map(|it| it.out_of_sight_since).min()
    }

    pub(super) fn awaits_sight(&self) -> bool {
        self.out_of_sight_since().is_some()
    }

    pub(super) fn is_waiting_for(&self, reason: PauseReason) -> bool {
        self.pauses.iter().any(|pause| pause.reason == reason)
    }
}

impl fmt::Display for AnalysisKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Background => f.write_str("background"),
            Self::Step(index) => write!(f, "step-{index}"),
        }
    }
}
