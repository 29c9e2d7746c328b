//! Skygate judges canaries by what Apache SkyWalking measured of them.
//!
//! An Argo Rollouts `AnalysisTemplate` and its arguments go in; "this run is Failed, and this is why" comes out.
//! In between, [`domain`] decides and everything else acts:
//!
//! ```text
//! cli ──▶ engine ──▶ ports ──▶ domain        what to measure, what it means, when to look again
//!  │                   ▲
//!  └──▶ adapters ──────┘                      the world behind the ports: oap, store, routers
//!       sim                                   an OAP of our own, for demonstrations and tests
//! ```
//!
//! - [`domain`]: pure. Templates, arguments, windows, conditions, counting. No IO, no clock.
//! - [`documents`]: files of manifests, YAML or JSON, as values for the domain to judge.
//! - [`ports`]: what the domain's decisions need of the world: a clock, a source of metrics, a store of runs.
//! - [`clock`]: the system's, and one that runs fast.
//! - [`engine`]: leases due runs, performs their effects, saves what came of it.
//! - [`oap`]: the source of metrics that asks a SkyWalking OAP.
//! - [`hooks`]: what makes a new version the stable one: a command, a URL. [`webhook`]: signed calls of URLs.
//! - [`stepper`]: plays a rollout by asking the service for verdicts and a router for traffic.
//! - [`store`]: where runs are kept.
//! - [`routers`]: what shares traffic out: Istio in a cluster or in files, a webhook.
//! - [`sim`]: a simulated OAP that answers as a real one does, its unsettled minutes included.
//! - [`secrets`], [`telemetry`]: secrets from files, logs to stderr.
//! - [`wire`]: what programs read, and the way back.
//! - [`client`]: asks a service on another machine.
//! - [`cli`]: commands; the only place that knows which adapter fills which port.

pub mod documents;
pub mod domain;
pub mod ports;

pub mod clock;

pub mod engine;

pub mod api;
pub mod hooks;
pub mod oap;
pub mod routers;
pub mod stepper;
pub mod store;

pub mod sim;

pub mod cli;
pub mod client;
pub mod secrets;
pub mod telemetry;
pub mod webhook;
pub mod wire;
