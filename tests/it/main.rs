//! Behaviour through public surfaces: one binary, a module per subject.

mod architecture;
mod cli;
mod conditions;
mod engine;
mod fuzz_smoke;
mod harness;
mod judging;
mod oap_client;
mod queries;
mod recordings;
mod settling;
mod simulation;
mod store;
mod templates;
