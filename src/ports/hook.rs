//! The port behind which a new version is made the stable one.

use std::fmt::Debug;

use async_trait::async_trait;

/// What makes the new version the stable one, once it has all traffic: a command, a URL.
///
/// It may be run again after it has succeeded: nobody hears of a success whose stepper died.
#[async_trait]
pub trait Hook: Debug + Send + Sync {
    /// Does it, within limits of its own. Never fails as a whole: a failure is the answer.
    async fn run(&self, call: &HookCall) -> HookAnswer;
}

/// What is to become the stable version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// The same however often the same is to be done, and never again for anything else.
    pub key: String,
    /// The rollout's namespace.
    pub namespace: String,
    /// The rollout's name.
    pub rollout: String,
    /// The name of the new version.
    pub version: String,
    /// Its image, where it is known.
    pub image: Option<String>,
    /// The number of the revision that rolls it out.
    pub revision: u64,
    /// The how-manieth try it is, from 1.
    pub number: u32,
    /// The number of the stepper's lease.
    pub fence: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookAnswer {
    /// Whether the new version is the stable one now.
    pub is_success: bool,
    /// What was said about it: the end of it, where that was much.
    pub output: String,
}
