//! What a call is answered, and what it means for the attempt and its run.

use jiff::Timestamp;

use super::asked::Asked;
use super::{Answer, Call, Entry, Hook, Record, RunView, Start};
use crate::domain::run::{Command, RunId};

/// What comes of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do before the record is saved: once it is, nothing in it remembers that run.
    pub ends: Option<(RunId, Command)>,
    /// What is remembered from now on, the answer included.
    pub record: Record,
    /// What to do once the record is saved.
    pub effects: Vec<Effect>,
    /// What Flagger is told.
    pub answer: Answer,
    /// Whether the effects may change the answer within moments, so that it is worth deciding again before Flagger's patience ends.
    pub may_change: bool,
    /// The arguments of the call that the attempt's run does not have, or has with another value. That run's hold, and a call that is
    /// to judge by others is refused.
    pub ignored: Vec<String>,
}

/// What is to be done about a call. Doing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// See whether the template and its arguments are valid and the OAP answers; where not, [`refuse`].
    Check,
    /// Start the run where there is none of that id. Where the template or its arguments are invalid, [`refuse`] before anything is saved.
    Start(Start),
    /// Tell a run something.
    Tell(RunId, Command),
}

/// Decides what `call` of `hook` is answered at `now`. `run` is the one of the record's newest attempt, if it is still kept,
/// and `fresh` what the next one may be called.
pub fn decide(
    hook: Hook,
    call: &Call,
    record: Record,
    run: Option<&RunView>,
    fresh: RunId,
    now: Timestamp,
) -> Decision {
    Asked::of(call, record, run, fresh, now).decided(hook)
}

/// Decides that `call` is refused for `why`, whatever the attempt and its run have come to: its template isn't valid, say.
pub fn refuse(hook: Hook, call: &Call, mut record: Record, why: &str, now: Timestamp) -> Decision {
    let answer = Answer::no(why);
    let attempt = record.current(call).map(|attempt| attempt.number);
    record.note(Entry::of(hook, call, &answer, attempt, now));
    Decision {
        ends: None,
        record,
        effects: Vec::new(),
        answer,
        may_change: false,
        ignored: Vec::new(),
    }
}
