//! Behaviour through public surfaces: one binary, a module per subject.

mod conditions;
mod judging;
mod recordings;
mod templates;
