//! What the panels of a dashboard show, as flat rows: measurements as series, and annotations.
//!
//! A page has the newest rows that there are, in order of time: what plots it can take it as it is. `next` leads to older ones.

pub(super) mod annotations;
pub(super) mod measurements;

pub(super) use annotations::annotations;
pub(super) use measurements::measurements;
