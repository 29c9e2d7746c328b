//! Flagger's client, Argo's `web` provider and a Prometheus, their own code, against this program: `tests/peers` has them, in Go.
//!
//! To build them takes minutes, so these tests run only when they are asked for, and else say that they were skipped.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Once;

/// Whether they are asked for: set to anything.
const VARIABLE: &str = "SKYGATE_TEST_PEERS";

fn has_go() -> bool {
    let version = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

fn check(peer: &str) {
    static SAID: Once = Once::new();
    let is_asked_for = std::env::var_os(VARIABLE).is_some();
    let why = match (is_asked_for, has_go()) {
        (true, true) => None,
        (false, true) => Some(format!("{VARIABLE} isn't set; `just test-peers` runs them")),
        (_, false) => Some("they are written in Go, which is missing here".to_owned()),
    };
    if let Some(why) = why {
        SAID.call_once(|| {
            let said =
                format!("\nSKIPPED: Flagger, Argo and Prometheus against this program: {why}\n");
            let _ = std::io::stderr().write_all(said.as_bytes());
        });
        return;
    }
    let run = Command::new("tests/peers/run.sh")
        .arg(peer)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("SKYGATE", env!("CARGO_BIN_EXE_skygate"))
        .status();
    assert!(run.expect("a script").success(), "{peer}");
}

#[test]
fn flagger() {
    check("flagger");
}

#[test]
fn argo() {
    check("argo");
}

#[test]
fn prometheus() {
    check("prometheus");
}
