//! How large a rollout may become. The service takes a record of a mebibyte: what is accepted at the beginning has to fit to the end.
//!
//! | part | bytes of JSON at most |
//! | --- | --- |
//! | the document | 512 KiB, else it is refused |
//! | the history | 192 KiB, else the oldest is forgotten |
//! | the arguments of an analysis, a dozen of which are kept | 8 KiB, else they are refused |
//! | messages, and what the hook says: cut to so many characters, of up to 6 bytes each | some 130 KiB |

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::super::fault::Fault;
use super::spec::AnalysisSite;
use super::state::{Supplied, Transition};

/// The longest document, in bytes of JSON.
pub const LONGEST_DOCUMENT: usize = 512 << 10;

/// The longest arguments of one analysis, in bytes of JSON.
const LONGEST_ARGUMENTS: usize = 8 << 10;

/// The longest history, in bytes of JSON.
const LONGEST_HISTORY: usize = 192 << 10;

/// That `document` leaves too little room for what is kept beside it.
pub(super) fn too_long(document: &Value) -> Option<Fault> {
    let size = size(document);
    let fault = || {
        Fault::new(
            "",
            format!(
                "the Rollout has {size} bytes as JSON; up to {LONGEST_DOCUMENT} are kept, beside its history"
            ),
        )
        .hint("leave out annotations that only tools read, such as kubectl.kubernetes.io/last-applied-configuration")
    };
    (size > LONGEST_DOCUMENT).then(fault)
}

/// That the arguments of `site` are more than a rollout keeps of one analysis.
pub(super) fn too_much(site: &AnalysisSite, args: &[Supplied]) -> Option<Fault> {
    let size = size(&args);
    let message =
        format!("its arguments have {size} bytes as JSON; up to {LONGEST_ARGUMENTS} are kept");
    (size > LONGEST_ARGUMENTS).then(|| Fault::new(site.at.clone(), message))
}

/// Forgets the oldest of `history` until it fits. The newest, which the next is compared with, always does.
pub(super) fn forget_oldest(history: &mut VecDeque<Transition>) {
    let mut whole = history.iter().map(size).sum::<usize>();
    while whole > LONGEST_HISTORY
        && let Some(oldest) = history.pop_front()
    {
        whole -= size(&oldest);
    }
}

fn size(of: &impl Serialize) -> usize {
    serde_json::to_vec(of).map_or(0, |json| json.len())
}
