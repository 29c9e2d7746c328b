//! The OAP client against stubs that answer as recorded servers did, or worse.

mod failures;
mod knowledge;
mod preflight;
mod real;
mod sharing;
mod simulated;
mod stub;
mod tls;
mod windows;
