//! What a document and a version change about a rollout that is known already.

use std::sync::Arc;

use jiff::Timestamp;

use super::command::Refusal;
use super::spec::RolloutSpec;
use super::state::{Promotion, Revision, Rollout, Version};

/// How many former revisions are kept.
const MOST_FORMER: usize = 10;

/// What a document and a version would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Neither version nor steps: that is what is being rolled out, or has been. What else the document says is taken over.
    None,
    /// Other steps for the same version: they are begun anew, unless it is the stable version.
    Steps,
    /// Another version: a new revision.
    Version,
}

impl Version {
    /// Whether both are the same, as far as that was said: of the same name, and not of two images.
    pub fn is_same(&self, other: &Self) -> bool {
        let images = self.image.as_ref().zip(other.image.as_ref());
        self.name == other.name && images.is_none_or(|(one, another)| one == another)
    }

    /// Takes over what `other` says of the same version.
    fn learn(&mut self, other: &Self) {
        if self.image.is_none() && self.is_same(other) {
            self.image.clone_from(&other.image);
        }
    }
}

impl Rollout {
    /// What a document and a version would change, or why nothing else can be rolled out now.
    pub fn compare(&self, spec: &RolloutSpec, version: &Version) -> Result<Difference, Refusal> {
        let is_same = version.is_same(&self.revision.version);
        if is_same && spec.steps == self.spec.steps {
            return Ok(Difference::None);
        }
        self.refuse_at_the_end()?;
        Ok(if is_same {
            Difference::Steps
        } else {
            Difference::Version
        })
    }

    pub(super) fn refuse_at_the_end(&self) -> Result<(), Refusal> {
        let number = self.revision.number;
        match self.promotion {
            Promotion::NotDue => Ok(()),
            Promotion::Hook { .. } => Err(Refusal::BeingPromoted(number)),
            Promotion::HookFailed { .. } => Err(Refusal::PromotionFailed(number)),
            Promotion::Unconfirmed => Err(Refusal::Unconfirmed(number)),
        }
    }

    /// Takes over what is to be rolled out, and says what the history should tell about it.
    pub(super) fn begin(
        &mut self,
        spec: Arc<RolloutSpec>,
        version: &Version,
        now: Timestamp,
    ) -> String {
        match self.compare(&spec, version) {
            Err(refusal) => return format!("revision `{}`: refused, {refusal}", version.name),
            Ok(Difference::None) => {
                self.know(version);
                return self.amend(spec);
            }
            Ok(Difference::Steps) => {
                self.know(version);
                self.attempt += 1;
            }
            Ok(Difference::Version) => {
                let next = Revision {
                    number: self.revision.number + 1,
                    version: version.clone(),
                    begun_at: now,
                };
                self.former
                    .push(std::mem::replace(&mut self.revision, next));
                let surplus = self.former.len().saturating_sub(MOST_FORMER);
                self.former.drain(..surplus);
                self.attempt = 1;
                self.know(version);
            }
        }
        self.is_paused = spec.is_paused;
        self.spec = spec;
        self.restart();
        String::new()
    }

    /// Completes what is known of the version that is rolled out, and of the stable one where they are the same.
    fn know(&mut self, version: &Version) {
        self.revision.version.learn(version);
        if let Some(stable) = &mut self.stable {
            stable.learn(&self.revision.version);
            self.revision.version.learn(stable);
        }
    }

    /// Takes over a document that has the same steps. What it says of the analysis beside them holds for the next one that is begun,
    /// as in Argo; one that the service has no run for yet is asked for anew, and one that is not wanted any more is ended.
    fn amend(&mut self, spec: Arc<RolloutSpec>) -> String {
        if *spec == *self.spec {
            return String::new();
        }
        let before = std::mem::replace(&mut self.spec, spec);
        if self.spec.is_paused != before.is_paused {
            self.is_paused = self.spec.is_paused;
        }
        let site = |spec: &RolloutSpec| spec.analysis.as_ref().map(|it| it.site.clone());
        if site(&self.spec) == site(&before) {
            return String::new();
        }
        if let Some(background) = &self.background
            && background.run.is_some()
            && self.spec.analysis.is_some()
        {
            return format!(
                "the document has another analysis: `{}` counts as it was begun, and a retry takes the new one",
                background.name
            );
        }
        if self.background.is_some() {
            self.renew_background();
        }
        "the document has another analysis".to_owned()
    }
}
