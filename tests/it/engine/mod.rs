//! The engine through its public API: what it measures when, and what becomes of a run when something goes wrong.

mod laws;
mod looping;
mod schedule;
mod stories;
mod taking_over;
