//! Which runs are due when, and who holds their leases.
//!
//! Nobody but this process works on the runs of its file, so leases live in memory: they end with the process, and whoever opens the
//! file next finds every run due when it said so. Taking a lease writes nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::measurement::Phase;
use crate::domain::run::{Run, RunId};
use crate::ports::{Lease, Next};

/// The number of a run within its file; never used again.
pub(super) type Seq = i64;

/// A moment as the file has it: nanoseconds since 1970.
pub(super) type Stamp = i64;

/// A moment before all others.
pub(super) const AT_ONCE: Stamp = Stamp::MIN;

/// How many leases one opening of the file can grant, in bits.
const LEASE_BITS: u32 = 40;

/// The agenda and the leases.
#[derive(Debug)]
pub(super) struct Desk {
    // A std mutex: it is held for moments, never across an await or a wait for the disk.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When to look at which run next: its due time, or the end of its lease.
    agenda: BTreeSet<(Stamp, Seq)>,
    /// Where each run stands in the agenda.
    noted: HashMap<Seq, Stamp>,
    held: HashMap<Seq, Held>,
    /// The runs that are held, by their ids.
    seqs: HashMap<RunId, Seq>,
    granted: u64,
}

/// A run that somebody holds.
#[derive(Debug)]
struct Held {
    lease: Lease,
    /// `None` until it has been read for its holder.
    holding: Option<Holding>,
    /// Whether anything is in its inbox, delivered or not.
    has_post: bool,
    /// How many of the holder's saves are under way: until they are done, nobody takes the run over.
    saves: u32,
}

/// What is known of a run that is held, so that a save writes what is new and no more.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub(super) id: RunId,
    /// The phase that is in the file.
    pub(super) phase: Phase,
    /// The first and the last number of each metric's measurements in the file.
    pub(super) stored: Vec<Option<(u64, u64)>>,
    /// The last command that its holder has been given; 0: none.
    pub(super) delivered: i64,
}

impl Holding {
    /// What is known of a run that is in the file as it is here.
    pub(super) fn of(run: &Run, delivered: i64) -> Self {
        Self {
            id: run.id.clone(),
            phase: run.phase,
            stored: numbers(run),
            delivered,
        }
    }
}

/// The first and the last number of the measurements of each metric of `run`.
pub(super) fn numbers(run: &Run) -> Vec<Option<(u64, u64)>> {
    let numbers = |measurements: &std::collections::VecDeque<_>| {
        let (first, last): (&crate::domain::measurement::Measurement, _) =
            (measurements.front()?, measurements.back()?);
        Some((first.number, last.number))
    };
    let metrics = run.metrics.iter();
    metrics
        .map(|metric| numbers(&metric.measurements))
        .collect()
}

/// A lease that was granted on a run that has still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) seq: Seq,
    pub(super) lease: Lease,
    /// Where the run stood in the agenda before.
    before: Stamp,
}

/// What its holder may write of a run. Nobody takes the run over until this is dropped.
#[derive(Debug)]
pub(super) struct Saving {
    pub(super) seq: Seq,
    pub(super) lease: Lease,
    pub(super) holding: Holding,
    /// Whether there may be something in the inbox that goes with this save, or has to be looked for.
    pub(super) has_post: bool,
    desk: Arc<Desk>,
}

/// What came of a save.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) next: Next,
    pub(super) phase: Phase,
    pub(super) stored: Vec<Option<(u64, u64)>>,
    pub(super) due: Option<Stamp>,
    /// Whether anything is left in the inbox; `None` where nobody has looked, because nothing was.
    pub(super) has_post: Option<bool>,
}

impl Desk {
    /// A desk for the runs that are `due`, in a file that has been opened so many times.
    pub(super) fn new(openings: i64, due: impl IntoIterator<Item = (Seq, Stamp)>) -> Self {
        let mut state = State {
            granted: openings.unsigned_abs() << LEASE_BITS,
            ..State::default()
        };
        for (seq, at) in due {
            state.note(seq, Some(at));
        }
        Self {
            state: Mutex::new(state),
        }
    }

    /// When the first run is due, or the first lease ends.
    pub(super) fn next_due(&self) -> Option<Stamp> {
        self.state().agenda.first().map(|(at, _)| *at)
    }

    /// Says when to look at a run that nobody holds.
    pub(super) fn note(&self, seq: Seq, at: Option<Stamp>) {
        self.state().note(seq, at);
    }

    /// Something has come into a run's inbox.
    pub(super) fn posted(&self, seq: Seq) {
        let mut state = self.state();
        match state.held.get_mut(&seq) {
            Some(held) => held.has_post = true,
            None => state.note(seq, Some(AT_ONCE)),
        }
    }

    /// A run is gone from the file.
    pub(super) fn gone(&self, seq: Seq) {
        let mut state = self.state();
        state.note(seq, None);
        state.release(seq);
    }

    /// Grants leases until `until` on up to `limit` of the runs that are due at `now`, the longest due first.
    pub(super) fn take(&self, now: Stamp, until: Stamp, limit: usize) -> Vec<Taken> {
        let mut state = self.state();
        let is_saved = |state: &State, seq: Seq| {
            let held = state.held.get(&seq);
            held.is_some_and(|held| held.saves > 0)
        };
        let due: Vec<(Stamp, Seq)> = state
            .agenda
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter(|(_, seq)| !is_saved(&state, *seq))
            .take(limit)
            .copied()
            .collect();
        due.into_iter()
            .map(|(before, seq)| {
                state.granted += 1;
                let lease = Lease(state.granted);
                state.release(seq);
                state.note(seq, Some(until));
                let held = Held {
                    lease,
                    holding: None,
                    has_post: false,
                    saves: 0,
                };
                state.held.insert(seq, held);
                Taken { seq, lease, before }
            })
            .collect()
    }

    /// A run that was taken has been read. `false`: its lease has gone to somebody else meanwhile.
    pub(super) fn hand_over(&self, taken: Taken, holding: Holding) -> bool {
        let mut state = self.state();
        let Some(held) = state.held_by(taken.seq, taken.lease) else {
            return false;
        };
        held.has_post |= holding.delivered > 0;
        let id = holding.id.clone();
        held.holding = Some(holding);
        state.seqs.insert(id, taken.seq);
        true
    }

    /// A lease that nobody has been told of is undone.
    pub(super) fn give_back(&self, taken: Taken) {
        let mut state = self.state();
        let Some(held) = state.held_by(taken.seq, taken.lease) else {
            return;
        };
        let at = if held.has_post { AT_ONCE } else { taken.before };
        state.release(taken.seq);
        state.note(taken.seq, Some(at));
    }

    /// A run that was taken can't be read: it is left alone until the file is opened anew.
    pub(super) fn set_aside(&self, taken: Taken) {
        let mut state = self.state();
        if state.held_by(taken.seq, taken.lease).is_some() {
            state.release(taken.seq);
            state.note(taken.seq, None);
        }
    }

    /// What is known of a run to the holder of its lease; `None`: `lease` is not it.
    pub(super) fn holding(&self, lease: Lease, id: &RunId) -> Option<(Seq, Holding, bool)> {
        let mut state = self.state();
        let (seq, held) = state.held(lease, id)?;
        Some((seq, held.holding.clone()?, held.has_post))
    }

    /// Has a lease end at `until` instead. `false`: it is not held.
    pub(super) fn renew(&self, lease: Lease, id: &RunId, until: Stamp) -> bool {
        let mut state = self.state();
        let Some((seq, _)) = state.held(lease, id) else {
            return false;
        };
        state.note(seq, Some(until));
        true
    }

    /// The holder has been given the commands up to `last`. `false`: somebody else holds the run by now.
    pub(super) fn delivered(&self, lease: Lease, id: &RunId, last: i64) -> bool {
        let mut state = self.state();
        let Some((_, held)) = state.held(lease, id) else {
            return false;
        };
        if let Some(holding) = &mut held.holding {
            holding.delivered = last.max(holding.delivered);
        }
        true
    }

    /// Begins a save; `None`: `lease` is not held.
    pub(super) fn begin_save(self: &Arc<Self>, lease: Lease, id: &RunId) -> Option<Saving> {
        let mut state = self.state();
        let (seq, held) = state.held(lease, id)?;
        let holding = held.holding.clone()?;
        held.saves += 1;
        Some(Saving {
            seq,
            lease,
            holding,
            has_post: held.has_post,
            desk: Arc::clone(self),
        })
    }

    /// A save is in the file.
    pub(super) fn saved(&self, saving: &Saving, saved: Saved) {
        let mut state = self.state();
        let Some(held) = state.held_by(saving.seq, saving.lease) else {
            return;
        };
        if let Some(has_post) = saved.has_post {
            held.has_post = has_post;
        }
        match saved.next {
            Next::Hold => {
                if let Some(holding) = &mut held.holding {
                    holding.phase = saved.phase;
                    holding.stored = saved.stored;
                }
            }
            Next::Release => {
                let due = if held.has_post {
                    Some(AT_ONCE)
                } else {
                    saved.due
                };
                state.release(saving.seq);
                state.note(saving.seq, due);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes when to look at a run next, in place of what was noted before.
    fn note(&mut self, seq: Seq, at: Option<Stamp>) {
        let before = match at {
            Some(at) => {
                self.agenda.insert((at, seq));
                self.noted.insert(seq, at)
            }
            None => self.noted.remove(&seq),
        };
        if let Some(before) = before.filter(|before| Some(*before) != at) {
            self.agenda.remove(&(before, seq));
        }
    }

    fn release(&mut self, seq: Seq) {
        let holding = self.held.remove(&seq).and_then(|held| held.holding);
        if let Some(Holding { id, .. }) = holding {
            self.seqs.remove(&id);
        }
    }

    fn held_by(&mut self, seq: Seq, lease: Lease) -> Option<&mut Held> {
        let held = self.held.get_mut(&seq)?;
        (held.lease == lease).then_some(held)
    }

    fn held(&mut self, lease: Lease, id: &RunId) -> Option<(Seq, &mut Held)> {
        let seq = *self.seqs.get(id)?;
        Some((seq, self.held_by(seq, lease)?))
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        if let Some(held) = state.held_by(self.seq, self.lease) {
            held.saves -= 1;
        }
    }
}
