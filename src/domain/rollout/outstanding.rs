//! What is to be done for a rollout, read off its state.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::fault::{Fault, Faults};
use super::super::metric_run::after;
use super::super::run_name::shortened;
use super::Weight;
use super::arguments::{Sources, resolve};
use super::event::{Effect, Outcome};
use super::spec::{AnalysisSite, Step};
use super::state::{AnalysisKey, AnalysisKind, Promotion, Rollout, Supplied};

/// An analysis as the service is asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisRequest<'a> {
    /// The same for the same analysis, and never again for another: the service answers it with the run that there is.
    pub idempotency_key: String,
    /// What the run should be called.
    pub name: &'a str,
    /// The namespace of its templates.
    pub namespace: &'a str,
    /// Its templates, dry runs and retention.
    pub site: &'a AnalysisSite,
    /// Its arguments.
    pub args: &'a [Supplied],
    /// Its labels: those of the site, and [`Rollout::labels`] to find it by.
    pub labels: BTreeMap<String, String>,
    /// The moment before which its version took no traffic, where one was known when the analysis was asked for.
    pub not_before: Option<Timestamp>,
    /// Whether it has to end by itself: the steps wait for it.
    pub must_end: bool,
}

/// The shortest time there is. So much later than a pause's end it is looked at again: a pause is over once its end is past.
pub(super) const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(1);

impl Rollout {
    /// All that is to be done at `now`, for whoever takes over a saved rollout as for whoever has just moved it.
    pub fn outstanding(&self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let may_be_set = self.weight <= self.routed || !self.awaits_sight();
        if !self.is_at(self.weight) && may_be_set {
            effects.push(Effect::SetWeight {
                weight: self.weight,
                change: self.changes,
            });
        }
        let to_end = self.earlier.iter().filter(|analysis| analysis.may_run());
        effects.extend(to_end.map(|analysis| Effect::EndAnalysis {
            key: analysis.key.clone(),
            run: analysis.run.clone(),
        }));
        let current = self.analyses().filter(|analysis| analysis.may_run());
        effects.extend(current.map(|analysis| match &analysis.run {
            None => Effect::StartAnalysis {
                key: analysis.key.clone(),
            },
            Some(run) => Effect::Watch { run: run.clone() },
        }));
        if let Promotion::Hook { number, begins_at } = self.promotion
            && self.is_at(Weight::ALL)
            && begins_at <= now
        {
            let key = self.hook_key(number);
            effects.push(Effect::RunHook { key });
        }
        if let Some(at) = self.wakes_at(now) {
            effects.push(Effect::WakeAt { at });
        }
        if effects.is_empty()
            && let Some(outcome) = self.outcome()
        {
            effects.push(Effect::Done { outcome });
        }
        effects
    }

    /// How it came out; `None` while something may still happen by itself, or once somebody has promoted it.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.aborted.is_some() {
            return Some(Outcome::Aborted);
        }
        if self.is_promoted() {
            return Some(Outcome::Promoted);
        }
        match self.promotion {
            Promotion::Unconfirmed => Some(Outcome::Unconfirmed),
            Promotion::HookFailed { .. } => Some(Outcome::PromotionFailed),
            Promotion::NotDue | Promotion::Hook { .. } => None,
        }
    }

    /// What the service is asked for; `None` where the rollout wants no such analysis any more.
    pub fn request(&self, key: &AnalysisKey) -> Option<AnalysisRequest<'_>> {
        let analysis = self.analyses().find(|analysis| analysis.key == *key)?;
        let site = self.site(key.kind)?;
        let version = &self.revision.version.name;
        let mut labels = site.labels.clone();
        labels.insert("rollouts-pod-template-hash".to_owned(), version.clone());
        labels.extend(self.labels(key));
        let begun_at = self.revision.begun_at.as_millisecond();
        Some(AnalysisRequest {
            idempotency_key: format!(
                "rollout/{}/{}/{}/{begun_at}/{}/{}",
                self.namespace, self.name, key.revision, key.attempt, key.kind
            ),
            name: &analysis.name,
            namespace: &self.namespace,
            site,
            args: &analysis.args,
            labels,
            not_before: analysis.not_before,
            must_end: key.kind != AnalysisKind::Background,
        })
    }

    /// What tells the run of an analysis from those of all others, be it asked for or long dropped.
    pub fn labels(&self, key: &AnalysisKey) -> BTreeMap<String, String> {
        let mut labels: BTreeMap<String, String> = [
            ("rollout", self.name.clone()),
            ("rollout-revision", key.revision.to_string()),
            ("rollout-attempt", key.attempt.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let kind = match key.kind {
            AnalysisKind::Background => "Background",
            AnalysisKind::Step(index) => {
                labels.insert("step-index".to_owned(), index.to_string());
                "Step"
            }
        };
        labels.insert("rollout-type".to_owned(), kind.to_owned());
        labels
    }

    /// What is wrong with the arguments of its analyses, as far as that can be told before they are asked for.
    pub fn check_arguments(&self) -> Result<(), Faults> {
        let is_later = |site: &AnalysisSite, fault: &Fault| {
            site.args.iter().any(|argument| {
                let from = argument.value_from.as_ref();
                let path = from.and_then(|from| from.field_path.as_deref());
                fault.path.starts_with(&argument.at)
                    && path.is_some_and(|path| path.starts_with("status"))
            })
        };
        let mut found = Vec::new();
        for site in self.spec.analyses() {
            let faults = self.arguments(site).err().unwrap_or_default();
            found.extend(faults.into_iter().filter(|fault| !is_later(site, fault)));
        }
        Faults::none_or(found, ())
    }

    pub(super) fn arguments(&self, site: &AnalysisSite) -> Result<Vec<Supplied>, Vec<Fault>> {
        let object = self.object();
        let sources = Sources {
            object: &object,
            latest: &self.revision.version.name,
            stable: self.stable.as_ref().map(|version| version.name.as_str()),
        };
        resolve(site, sources)
    }

    pub(super) fn site(&self, kind: AnalysisKind) -> Option<&AnalysisSite> {
        match kind {
            AnalysisKind::Background => self.spec.analysis.as_ref().map(|it| &it.site),
            AnalysisKind::Step(index) => match self.spec.steps.get(index)? {
                Step::Analysis(site) => Some(site),
                Step::SetWeight(_) | Step::Pause(_) => None,
            },
        }
    }

    /// Argo's name for it: `ROLLOUT-VERSION-REVISION`, the step behind it, and `.1`, `.2` where it is done again.
    pub(super) fn analysis_name(&self, key: &AnalysisKey) -> String {
        let mut end = format!("-{}", key.revision);
        if let AnalysisKind::Step(index) = key.kind {
            end = format!("{end}-{index}");
        }
        if key.attempt > 1 {
            end = format!("{end}.{}", key.attempt - 1);
        }
        let name = format!("{}-{}", self.name, self.revision.version.name);
        format!("{}{end}", shortened(name, end.len()))
    }

    /// When something follows from nothing but time. A moment that has passed meanwhile counts until its consequences are drawn:
    /// saving takes time, and nobody would bring another event.
    fn wakes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let blind_since = [self.blind_since, self.out_of_sight_since()];
        let blindness = blind_since.into_iter().flatten().min();
        let blindness = blindness
            .zip(self.settings.abort_when_blind)
            .filter(|_| self.is_stepping() && self.has_traffic())
            .map(|(since, limit)| after(since, limit));
        let is_held = self.is_paused || self.blind_since.is_some() || self.awaits_sight();
        let is_going = self.is_stepping() && !is_held;
        let pause = match self.spec.steps.get(self.step) {
            Some(Step::Pause(Some(duration))) if is_going => self
                .pause_step_since()
                .map(|since| after(after(since, *duration), A_MOMENT)),
            Some(Step::Pause(_) | Step::SetWeight(_) | Step::Analysis(_)) | None => None,
        };
        let hook = match self.promotion {
            // From then on it is the hook that is listed.
            Promotion::Hook { begins_at, .. } if begins_at > now => Some(begins_at),
            Promotion::Hook { .. }
            | Promotion::NotDue
            | Promotion::HookFailed { .. }
            | Promotion::Unconfirmed => None,
        };
        [blindness, pause, hook].into_iter().flatten().min()
    }
}
