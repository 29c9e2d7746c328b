//! Behaviour through public surfaces: one binary, a module per subject.

mod architecture;
mod cli;
mod conditions;
mod engine;
mod fuzz_smoke;
mod harness;
mod judging;
mod kube;
mod oap_client;
mod queries;
mod recordings;
mod routers;
mod settling;
mod stepper;
mod templates;
