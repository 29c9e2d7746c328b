//! A rollout as programs read it: a flat row, and all that is kept of it; and what they send.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use utoipa::ToSchema;

use super::time;
use crate::domain::rollout::desk::{Desk, Lease, Letter};
use crate::domain::rollout::{Outcome, Rollout, Seen};

/// A rollout as a row of a table. Every field is always there; null where nothing was saved yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRow {
    namespace: String,
    name: String,
    /// The number of the revision.
    revision: Option<u64>,
    /// The name of what it rolls out.
    version: Option<String>,
    image: Option<String>,
    /// The name of the stable version, where it is known.
    stable: Option<String>,
    /// `Progressing`, `Paused`, `Healthy` or `Degraded`.
    phase: Option<String>,
    message: String,
    /// `Promoted`, `Unconfirmed`, `Aborted` or `PromotionFailed`; null while something may still happen by itself.
    outcome: Option<&'static str>,
    /// The step that is worked on, from 0; the number of steps once all are done.
    step: Option<u64>,
    steps: Option<u64>,
    /// What the canary is to get, in percent.
    weight: Option<u64>,
    /// What it was last known to get.
    actual_weight: Option<u64>,
    /// Who steps it now; null: nobody.
    stepper: Option<String>,
    /// How many commands wait for a stepper.
    waiting: usize,
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// When anything kept of it last changed.
    #[schema(format = DateTime)]
    changed_at: String,
}

/// All that is kept of a rollout.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutView {
    #[serde(flatten)]
    row: RolloutRow,
    /// Who steps it, or did last; null where that was given back.
    lease: Option<LeaseView>,
    /// What people wanted, oldest first: all that waits, and the newest of what was taken.
    commands: Vec<CommandView>,
    /// What changed, oldest first.
    #[schema(value_type = Vec<Object>)]
    history: Vec<Value>,
    /// The stepper's record; null where none was saved yet.
    #[schema(value_type = Option<Object>)]
    rollout: Option<Value>,
}

/// Who may save the record and move the traffic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaseView {
    /// Who has it, as they call themselves.
    holder: String,
    /// Its number: higher than that of every holder before.
    fence: u64,
    /// When it was taken or last renewed.
    #[schema(format = DateTime)]
    seen_at: String,
    /// When somebody else may have it.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// What somebody wants of a rollout.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandView {
    /// Its number among the rollout's commands, from 1.
    number: u64,
    /// `promote`, `promote --full`, `confirm`, `abort`, `retry`, `pause` or `resume`.
    command: &'static str,
    /// Where the rollout was that it is for; null: wherever it is.
    #[schema(value_type = Option<SeenAt>)]
    seen: Option<Seen>,
    /// The name of the token it was posted with; empty where none is needed.
    by: String,
    #[schema(format = DateTime)]
    at: String,
    /// Whether no stepper has taken it yet.
    is_waiting: bool,
}

/// Where a rollout was when somebody looked at it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes `Seen`")]
pub struct SeenAt {
    /// The revision's number.
    revision: u64,
    /// The step.
    step: u64,
}

/// A command that was kept for the stepper.
#[derive(Debug, Serialize, ToSchema)]
pub struct PostedView {
    command: CommandView,
    /// Who will take it; null: nobody steps the rollout now, and it waits for whoever does next.
    stepper: Option<LeaseView>,
}

/// A stepper's wish to step a rollout: to take the lease as `holder`, or to renew or give back the one with the number `fence`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LeaseRequest {
    /// Who wants it, by a name that nobody else has. Whoever has it already keeps it, and its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 253)]
    pub holder: Option<String>,
    /// The number of the lease that is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// Whether it is given back.
    pub release: bool,
}

/// A stepper's record, to be kept.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutSave {
    /// The number of the stepper's lease.
    pub fence: u64,
    /// The record.
    #[schema(value_type = Object)]
    pub rollout: Value,
}

/// What belongs to a command.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CommandRequest {
    /// Where the rollout was that it is for: a rollout that has moved on since refuses it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "seen")]
    #[schema(value_type = Option<SeenAt>)]
    pub seen: Option<Seen>,
    /// With `promote`: to the end at once, without further steps, pauses and analyses.
    pub full: bool,
}

/// Named fields: serde would take the items of a list for them as well.
fn seen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Seen>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Array(_) => Err(de::Error::custom("seen: expected an object, found a list")),
        seen => Seen::deserialize(seen).map(Some).map_err(de::Error::custom),
    }
}

/// A page of rollouts, by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutPage {
    /// One rollout a row.
    pub items: Vec<RolloutRow>,
    /// What to send as `cursor` for the page after it; null where this is the last one.
    pub next: Option<String>,
}

impl RolloutRow {
    /// The rollout that `desk` is of, as it is at `now`.
    pub fn new(
        namespace: &str,
        name: &str,
        desk: &Desk,
        changed_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        let at = |pointer: &str| desk.record.as_ref()?.pointer(pointer);
        let text = |pointer: &str| Some(at(pointer)?.as_str()?.to_owned());
        let number = |pointer: &str| at(pointer)?.as_u64();
        let read = desk.record.as_ref().map(Rollout::from_record);
        let outcome = read.and_then(|rollout| rollout.ok()?.outcome());
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            revision: number("/revision/number"),
            version: text("/revision/version/name"),
            image: text("/revision/version/image"),
            stable: text("/stable/name"),
            phase: text("/phase"),
            message: text("/message").unwrap_or_default(),
            outcome: outcome.map(|outcome| match outcome {
                Outcome::Promoted => "Promoted",
                Outcome::Unconfirmed => "Unconfirmed",
                Outcome::Aborted => "Aborted",
                Outcome::PromotionFailed => "PromotionFailed",
            }),
            step: number("/step"),
            steps: number("/steps"),
            weight: number("/weight"),
            actual_weight: number("/routed"),
            stepper: desk.stepper(now).map(|lease| lease.holder.clone()),
            waiting: desk.waiting().count(),
            created_at: text("/createdAt"),
            changed_at: time(changed_at),
        }
    }
}

impl RolloutView {
    /// All that `desk` keeps, with the row of it, and the lease as it is told.
    pub fn new(row: RolloutRow, desk: &Desk, lease: Option<LeaseView>) -> Self {
        let history = desk
            .record
            .as_ref()
            .and_then(|record| record.get("history"));
        Self {
            row,
            lease,
            commands: desk
                .letters
                .iter()
                .map(|letter| CommandView::new(letter, desk.commands_taken()))
                .collect(),
            history: history
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            rollout: desk.record.clone(),
        }
    }
}

impl LeaseView {
    /// The lease, which its holder took or last renewed at `seen_at`.
    pub fn new(lease: &Lease, seen_at: Timestamp) -> Self {
        Self {
            holder: lease.holder.clone(),
            fence: lease.fence,
            seen_at: time(seen_at),
            expires_at: time(lease.expires_at),
        }
    }
}

impl CommandView {
    fn new(letter: &Letter, taken: u64) -> Self {
        let posted = letter.posted;
        Self {
            number: posted.number,
            command: posted.command.name(),
            seen: posted.seen,
            by: letter.by.clone(),
            at: time(letter.at),
            is_waiting: posted.number > taken,
        }
    }
}

impl PostedView {
    /// `letter`, which has just been posted, and who has the rollout now.
    pub fn new(letter: &Letter, desk: &Desk, stepper: Option<LeaseView>) -> Self {
        Self {
            command: CommandView::new(letter, desk.commands_taken()),
            stepper,
        }
    }
}
