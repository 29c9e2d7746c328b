//! What is remembered of a canary between Flagger's calls.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::answer::one_line;
use super::{Answer, Call, Hook, RunView, Standing};
use crate::domain::measurement::Phase;
use crate::domain::run::RunId;

/// How many attempts are remembered besides the newest.
const MOST_EARLIER: usize = 9;

/// How many calls are remembered of the newest attempt, and how many that belong to none.
const MOST_CALLS: usize = 50;

/// How many calls are remembered of each attempt before the newest.
const MOST_EARLIER_CALLS: usize = 20;

/// What Flagger has asked about one canary by one template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The newest attempt at a version.
    pub attempt: Option<Attempt>,
    /// Those before it, oldest first.
    pub earlier: VecDeque<Attempt>,
    /// The newest calls of each attempt, and of none, with what they were answered, oldest first.
    pub history: VecDeque<Entry>,
}

/// What is left of a record once what is old was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// All of it.
    All,
    /// Less than there was.
    Less,
    /// What nobody needs any more, unless the run of the attempt that is still open goes on.
    Nothing,
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
    /// The arguments that it was begun with; `None` where an earlier version of this program began it.
    pub args: Option<BTreeMap<String, String>>,
    /// When it was opened. The version took no traffic before.
    pub opened_at: Timestamp,
    /// Whether `pre-rollout` or an event came, so that another would show it had the yes to the first traffic been lost.
    pub is_witnessed: bool,
    /// When it was first allowed to take traffic, or began with some.
    pub traffic_since: Option<Timestamp>,
    /// When it was last allowed to take some, or more.
    pub last_increase: Option<Timestamp>,
    /// Whether Flagger has asked what it only asks once traffic flows, or the first iteration is done.
    pub is_under_way: bool,
    /// Whether its version was found fit to be promoted: its run is over then, and measures nothing more.
    pub is_promotable: bool,
    /// When the newest good measurement's window began, as far as that has been seen.
    pub measured_since: Option<Timestamp>,
    /// How its run ended, once that has been seen: the run itself may be forgotten before the attempt is over.
    pub end: Option<Standing>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
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

impl Entry {
    /// `call` of `hook`, which belongs to the attempt of that number and was answered so at `now`.
    pub(super) fn of(
        hook: Hook,
        call: &Call,
        answer: &Answer,
        attempt: Option<u64>,
        now: Timestamp,
    ) -> Self {
        let told = call.message.as_deref().filter(|_| hook == Hook::Event);
        Self {
            at: now,
            hook,
            phase: call.phase.clone(),
            checksum: call.checksum.clone(),
            attempt,
            status: answer.status(),
            text: told.map_or_else(|| answer.text.clone(), one_line),
        }
    }
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

    /// The number of the attempt under way where that is at another version than `call`, and an attempt at the version of `call` came before it.
    ///
    /// Flagger may go back to an older version, and begins it with `pre-rollout` then. Anything else of such a version is late.
    pub(super) fn successor(&mut self, call: &Call) -> Option<u64> {
        let is_of_call = |attempt: &Attempt| attempt.checksum == call.checksum;
        let was_before = self.earlier.iter().any(is_of_call);
        let open = self.open()?;
        (was_before && !is_of_call(open)).then_some(open.number)
    }

    /// Begins an attempt at the version of `call`, judged by a run that will be called `run`.
    pub(super) fn begin(&mut self, call: &Call, run: RunId, now: Timestamp) {
        let before = self.attempt.as_ref().map_or(0, |attempt| attempt.number);
        let attempt = Attempt {
            number: before + 1,
            checksum: call.checksum.clone(),
            run,
            args: Some(call.args.clone()),
            opened_at: now,
            is_witnessed: false,
            traffic_since: None,
            last_increase: None,
            is_under_way: false,
            is_promotable: false,
            measured_since: None,
            end: None,
            closed_at: None,
        };
        self.earlier.extend(self.attempt.replace(attempt));
        while self.earlier.len() > MOST_EARLIER {
            self.earlier.pop_front();
        }
        self.thin_out(Some(before), MOST_EARLIER_CALLS);
        self.forget_lost_calls();
    }

    /// Remembers a call.
    pub(super) fn note(&mut self, entry: Entry) {
        let attempt = entry.attempt;
        self.history.push_back(entry);
        self.thin_out(attempt, MOST_CALLS);
    }

    /// The same without the newest call: its answer is still to be decided.
    #[must_use]
    pub fn without_newest_call(&self) -> Self {
        let mut record = self.clone();
        record.history.pop_back();
        record
    }

    /// Every attempt that is remembered, newest first.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempt.iter().chain(self.earlier.iter().rev())
    }

    /// The calls of the attempt of this number, or of none, newest first.
    pub fn calls(&self, attempt: Option<u64>) -> impl Iterator<Item = &Entry> {
        let is_of_it = move |entry: &&Entry| entry.attempt == attempt;
        self.history.iter().rev().filter(is_of_it)
    }

    /// Forgets attempts that were over before `moment`, and calls of none that came before it.
    /// The newest attempt stays as long as anything does: the next one's number follows from its.
    pub fn forget(&mut self, moment: Timestamp) -> Left {
        let heard = self.history.back().map(|entry| entry.at);
        let heard = heard.max(self.attempt.as_ref().map(|attempt| attempt.opened_at));
        if heard.is_none_or(|heard| heard < moment) {
            return Left::Nothing;
        }
        let size = (self.earlier.len(), self.history.len());
        let is_new = |at: Option<Timestamp>| at.is_none_or(|at| at >= moment);
        self.earlier.retain(|attempt| is_new(attempt.closed_at));
        self.history
            .retain(|entry| entry.attempt.is_some() || entry.at >= moment);
        self.forget_lost_calls();
        if size == (self.earlier.len(), self.history.len()) {
            Left::All
        } else {
            Left::Less
        }
    }

    /// Leaves `most` of the calls of an attempt, or of none: the newest.
    fn thin_out(&mut self, attempt: Option<u64>, most: usize) {
        let is_of_it = |entry: &Entry| entry.attempt == attempt;
        let count = self.history.iter().filter(|entry| is_of_it(entry)).count();
        let mut surplus = count.saturating_sub(most);
        self.history.retain(|entry| {
            let is_kept = surplus == 0 || !is_of_it(entry);
            surplus -= usize::from(!is_kept);
            is_kept
        });
    }

    /// Forgets the calls of attempts that are not remembered.
    fn forget_lost_calls(&mut self) {
        let (newest, earlier) = (self.attempt.as_ref(), &self.earlier);
        let is_known = |number| {
            let mut kept = newest.into_iter().chain(earlier);
            kept.any(|attempt| attempt.number == number)
        };
        self.history
            .retain(|entry| entry.attempt.is_none_or(is_known));
    }
}

impl Attempt {
    /// Takes in what its run looks like by now.
    pub(super) fn observe(&mut self, run: &RunView) {
        self.measured_since = self.measured_since.max(run.measured_since);
        if run.phase.is_over() {
            self.end = Some(Standing::of(run));
        }
    }

    /// Whether a good measurement says something about the traffic since `moment`.
    pub(super) fn is_measured_since(&self, moment: Timestamp) -> bool {
        self.measured_since.is_some_and(|began| began >= moment)
    }

    /// Whether Flagger may not have heard that its version may take traffic, and will not show that by itself: it would go on asking for more.
    pub(super) fn may_be_stuck(&self) -> bool {
        !self.is_witnessed && !self.has_flowed() && self.last_increase == self.traffic_since
    }

    /// Whether it has come so far that a `pre-rollout` can only be another attempt's.
    ///
    /// Where an increase was allowed, that is once traffic has certainly flowed. Where none was, Flagger may count iterations, and takes
    /// one back where a promotion is refused: where that was the only one it begins with `pre-rollout` again. So the attempt goes on
    /// until its version may be promoted or must go back, and holds the canary where its run says neither.
    pub(super) fn has_flowed(&self) -> bool {
        if self.last_increase.is_none() {
            let end = self.end.as_ref().map(|end| end.phase);
            let is_bad = matches!(end, Some(Phase::Failed | Phase::Error));
            return self.is_under_way && (self.is_promotable || is_bad);
        }
        let is_measured = |since| self.is_measured_since(since);
        self.is_under_way || self.end.is_some() || self.traffic_since.is_some_and(is_measured)
    }
}
