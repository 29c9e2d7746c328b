//! The pure core: values in, values out.
//!
//! Nothing here performs IO, reads a clock, draws a random number, logs or awaits; `now` is always an argument.
//! `tests/it/architecture.rs` holds this folder to it.
//!
//! The way of a measurement through it:
//!
//! ```text
//! spec ─▶ analysis ─▶ plan ─▶ run ──Measure──▶ (the shell reads) ──Reading──▶ judge ─▶ Measurement ─▶ run ─▶ assess
//!          args, query       window                                condition
//! ```

pub mod backoff;
pub mod duration;
pub mod fault;
pub mod nearest;

pub mod analysis;
pub mod args;
pub mod plan;
pub mod query;
pub mod spec;

pub mod bounds;
pub mod measurement;
pub mod reading;
pub mod recorded;
pub mod window;

pub mod cel;
pub mod condition;
pub mod expr;
pub mod judge;

pub mod assess;
pub mod metric_run;
pub mod run;
pub mod run_name;
pub mod verdict;

pub mod flagger;
pub mod rollout;
pub mod routes;
