//! Traffic that somebody else has moved: it is set again, and the history says so.

use super::Weight;
use super::state::Rollout;

/// How each note about it begins.
const TRAFFIC_WAS: &str = "traffic was ";

/// How many of these notes are kept: whoever keeps editing the routes shall not push out the rest of the history.
const MOST_NOTES: usize = 10;

impl Rollout {
    /// The routes are not as they were left. What is being set anyway needs no more.
    pub(super) fn displaced(&mut self, found: Option<Weight>) -> String {
        let weight = self.weight;
        if !self.is_at(weight) {
            return String::new();
        }
        self.is_routed = false;
        self.forget_oldest_note();
        match found {
            Some(found) if found != weight => {
                self.routed = found;
                format!("{TRAFFIC_WAS}at {found} and is set to {weight} again")
            }
            Some(_) => format!("{TRAFFIC_WAS}without the number of this lease, which is set again"),
            None => {
                format!("{TRAFFIC_WAS}not as a rollout leaves it: {weight} is to be set again")
            }
        }
    }

    /// Makes room for one more note: the oldest goes, with what was said when the weight was set again.
    fn forget_oldest_note(&mut self) {
        let notes = self.history.iter().enumerate();
        let notes: Vec<usize> = notes
            .filter(|(_, it)| it.note.starts_with(TRAFFIC_WAS))
            .map(|(i, _)| i)
            .collect();
        if notes.len() < MOST_NOTES {
            return;
        }
        let oldest = notes[0];
        let told = self.history.remove(oldest);
        let is_answer = |told: &super::Transition| {
            let next = self.history.get(oldest);
            next.is_some_and(|next| next.note.is_empty() && next.step == told.step)
        };
        // The last one is what the next is compared with.
        if told.is_some_and(|told| is_answer(&told)) && oldest + 1 < self.history.len() {
            self.history.remove(oldest);
        }
    }
}
