//! What happened, as marks on a dashboard's time line.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::time;
use crate::domain::flagger::{Entry, Hook};
use crate::domain::measurement::Phase;
use crate::domain::rollout::{RolloutPhase, Transition, Weight};
use crate::domain::run::Run;

/// A mark on a time line: a run from its start to its end, or a moment of a rollout. Every field is always there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Annotation {
    /// What tells it apart.
    id: String,
    #[schema(format = DateTime)]
    time: String,
    /// When a run ended; null while it is under way, and for what is but a moment.
    #[schema(format = DateTime)]
    time_end: Option<String>,
    title: String,
    /// Why, in one line.
    text: String,
    /// What it can be found by, with commas between: what it is of, the namespace, how that stood.
    tags: String,
    /// `run`, `rollout`, or `flagger` for one of its canaries.
    kind: &'static str,
    namespace: String,
    /// The name of the run, the rollout or the canary.
    name: String,
}

impl Annotation {
    /// A run, from the moment that it was asked for.
    pub fn of_run(run: &Run) -> Self {
        let text = match (run.phase.is_over(), run.explanation()) {
            (false, _) => "it is under way".to_owned(),
            (true, explanation) if explanation.is_empty() => run.message.clone(),
            (true, explanation) => explanation,
        };
        let is_unfounded = run.phase == Phase::Successful && !run.has_evidence();
        let founded = if is_unfounded { ",no evidence" } else { "" };
        Self {
            id: run.id.to_string(),
            time: time(run.created_at),
            time_end: run.completed_at.map(time),
            title: format!("{}: {}", run.name, run.end_word()),
            text,
            tags: format!("run,{},{}{founded}", run.namespace, run.end_word()),
            kind: "run",
            namespace: run.namespace.clone(),
            name: run.name.clone(),
        }
    }

    /// What became of a rollout, if people look for it: another weight, another version, a good or bad end, somebody's command.
    /// `before` is what it had become before that.
    pub fn of_transition(
        namespace: &str,
        name: &str,
        before: Option<&Transition>,
        now: &Transition,
    ) -> Option<Self> {
        let what = news(before, now)?;
        let parts = [now.message.as_str(), now.note.as_str()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Some(Self::of_moment(
            "rollout",
            namespace,
            name,
            now.at,
            &what,
            parts.join("; "),
            now.phase.name(),
        ))
    }

    /// What Flagger was told about a canary or told about it, if traffic moves by it.
    pub fn of_call(namespace: &str, canary: &str, call: &Entry) -> Option<Self> {
        let is_yes = (200..300).contains(&call.status);
        let what = match call.hook {
            Hook::ConfirmTrafficIncrease if is_yes => "more traffic is allowed",
            Hook::ConfirmPromotion if is_yes => "its promotion is allowed",
            Hook::Rollback if is_yes => "it must go back",
            Hook::PostRollout => "the rollout is over",
            Hook::Event => "Flagger says",
            Hook::ConfirmRollout
            | Hook::PreRollout
            | Hook::Rollout
            | Hook::ConfirmTrafficIncrease
            | Hook::ConfirmPromotion
            | Hook::Rollback => return None,
        };
        Some(Self::of_moment(
            "flagger",
            namespace,
            canary,
            call.at,
            what,
            call.text.clone(),
            &call.phase,
        ))
    }

    fn of_moment(
        kind: &'static str,
        namespace: &str,
        name: &str,
        at: Timestamp,
        what: &str,
        text: String,
        phase: &str,
    ) -> Self {
        Self {
            id: format!("{kind}/{namespace}/{name}/{}/{what}", at.as_nanosecond()),
            time: time(at),
            time_end: None,
            title: format!("{name}: {what}"),
            text,
            tags: format!("{kind},{namespace},{phase}"),
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// What tells it apart.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// What is new about a rollout, in few words.
fn news(before: Option<&Transition>, now: &Transition) -> Option<String> {
    let weight = now.weight;
    let Some(before) = before else {
        // The first that is known of it need not be the first that there was.
        let is_begun = now.step == 0 && weight == Weight::NONE;
        return Some(match now.phase {
            RolloutPhase::Healthy => "stable".to_owned(),
            RolloutPhase::Degraded => bad_end(now),
            RolloutPhase::Progressing | RolloutPhase::Paused if is_begun => {
                format!("revision {} begins", now.revision)
            }
            RolloutPhase::Progressing | RolloutPhase::Paused => weight_text(weight),
        });
    };
    let is_same = before.revision == now.revision;
    let is_news = |phase| now.phase == phase && !(is_same && before.phase == phase);
    if is_news(RolloutPhase::Degraded) {
        Some(bad_end(now))
    } else if is_news(RolloutPhase::Healthy) {
        Some("promoted".to_owned())
    } else if !is_same {
        Some(format!("revision {} begins", now.revision))
    } else if before.weight != weight {
        Some(weight_text(weight))
    } else if !now.note.is_empty() {
        Some(now.note.clone())
    } else {
        None
    }
}

fn bad_end(now: &Transition) -> String {
    if now.message.starts_with("PromotionFailed") {
        "its promotion failed".to_owned()
    } else {
        "aborted".to_owned()
    }
}

fn weight_text(weight: Weight) -> String {
    format!("weight {} %", weight.percent())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transition(
        revision: u64,
        weight: u8,
        phase: RolloutPhase,
        message: &str,
        note: &str,
    ) -> Transition {
        Transition {
            at: Timestamp::UNIX_EPOCH,
            revision,
            step: usize::from(weight > 0),
            weight: Weight::new(weight).expect("a percentage"),
            phase,
            message: message.to_owned(),
            note: note.to_owned(),
        }
    }

    #[test]
    fn what_moves_traffic_is_news() {
        use RolloutPhase::{Degraded, Healthy, Paused, Progressing};
        let history = [
            (transition(1, 0, Progressing, "", ""), "revision 1 begins"),
            (transition(1, 20, Progressing, "", ""), "weight 20 %"),
            (transition(1, 20, Paused, "CanaryPauseStep", ""), ""),
            (transition(1, 20, Progressing, "", "promote"), "promote"),
            (transition(1, 60, Progressing, "", ""), "weight 60 %"),
            (
                transition(1, 60, Degraded, "RolloutAborted: …", ""),
                "aborted",
            ),
            (
                transition(1, 0, Degraded, "RolloutAborted: …", ""),
                "weight 0 %",
            ),
            (transition(2, 0, Progressing, "", ""), "revision 2 begins"),
            (
                transition(2, 100, Degraded, "PromotionFailed: no", ""),
                "its promotion failed",
            ),
            (transition(2, 100, Healthy, "", ""), "promoted"),
            (transition(2, 0, Healthy, "", ""), "weight 0 %"),
        ];
        let mut before = None;
        for (now, expected) in &history {
            let found = news(before, now).unwrap_or_default();
            assert_eq!(found, *expected, "{now:?}");
            before = Some(now);
        }
        let later = &history[4].0;
        assert_eq!(news(None, later).as_deref(), Some("weight 60 %"));
        let stable = &history[9].0;
        assert_eq!(news(None, stable).as_deref(), Some("stable"));
    }
}
