//! What a test can make go wrong, and the record of what was served.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

/// A failure of the whole server, injected while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every request is answered with this status and a line of plain text.
    Refuse {
        /// The HTTP status.
        status: u16,
    },
    /// No request is ever answered.
    Hang,
    /// The answer is right, but comes so much later on the simulator's clock.
    Late(Duration),
    /// HTTP 200 with a body that isn't JSON.
    Garbage,
    /// HTTP 200 with a JSON text of so many bytes.
    Huge {
        /// How long the body is.
        bytes: usize,
    },
    /// HTTP 307 to another place.
    Redirect {
        /// The `Location`.
        to: String,
    },
}

/// A request that was served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// When, on the simulator's clock.
    pub at: Timestamp,
    /// The GraphQL operation's name, else its first field's; `GET /healthcheck` for anything else.
    pub operation: String,
    /// The body, as it came.
    pub body: String,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// How many requests the record keeps; the counts go on.
const KEPT: usize = 10_000;

/// The faults that wait, and what was served.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    lasting: Option<Fault>,
    /// Faults for the next requests, one each.
    next: VecDeque<Fault>,
    served: VecDeque<Served>,
    counts: BTreeMap<String, u64>,
}

impl Ledger {
    pub(super) fn set(&mut self, fault: Fault) {
        self.lasting = Some(fault);
    }

    pub(super) fn fail_next(&mut self, times: usize, fault: &Fault) {
        self.next.extend(std::iter::repeat_n(fault.clone(), times));
    }

    pub(super) fn clear(&mut self) {
        self.lasting = None;
        self.next.clear();
    }

    /// The fault for the request at hand; one of a limited number is used up.
    pub(super) fn take(&mut self) -> Option<Fault> {
        self.next.pop_front().or_else(|| self.lasting.clone())
    }

    pub(super) fn record(&mut self, served: Served) {
        *self.counts.entry(served.operation.clone()).or_default() += 1;
        if self.served.len() == KEPT {
            self.served.pop_front();
        }
        self.served.push_back(served);
    }

    pub(super) fn served(&self) -> Vec<Served> {
        self.served.iter().cloned().collect()
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.clone()
    }
}
