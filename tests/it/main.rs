//! Behaviour through public surfaces: one binary, a module per subject.

mod api;
mod architecture;
mod cel;
mod cli;
mod client;
mod conditions;
mod engine;
mod flagger;
mod flagger_http;
mod fuzz_smoke;
mod harness;
mod judging;
mod kube;
mod oap_client;
mod packaging;
mod peers;
mod queries;
mod recordings;
mod rollout;
mod routers;
mod settling;
mod simulation;
mod stepper;
mod store;
mod templates;
mod wire;
