//! A rollout's stored form.

use serde_json::{Value, json};
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{Command, Event, Rollout};

use super::driver::{Stage, hook};

/// A rollout with something in every field.
fn eventful() -> Stage {
    let canary = json!({
        "steps": [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "smoke"}]}}, {"pause": {"duration": "1m"}}],
        "analysis": {
            "templates": [{"templateName": "apdex"}],
            "args": [{"name": "version", "valueFrom": {"podTemplateHashValue": "Latest"}}],
        },
    });
    let mut stage = Stage::new(&canary, hook());
    stage.pass(5);
    stage.begin(&canary, "v3");
    stage.say(Command::Abort);
    stage.pass(5);
    stage.say(Command::Retry);
    stage.see_background(Phase::Inconclusive, false);
    stage.feed_only(Event::TakenOver(hook()));
    stage.feed_only(Event::Unroutable {
        message: "the API server does not answer".to_owned(),
    });
    stage.feed_only(Event::Blind { since: stage.now });
    stage
}

/// What is stored must be readable for as long as its version is: a change here wants a new version, or a default.
#[test]
fn the_stored_form_is_this_one() {
    let record = eventful().rollout.to_record();
    insta::with_settings!({snapshot_path => "../../data/snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("rollout_record", serde_json::to_string_pretty(&record).expect("JSON"));
    });
}

#[test]
fn what_was_stored_is_found_again() {
    let stage = eventful();
    let text = stage.rollout.to_record().to_string();
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(Rollout::from_record(&found), Ok(stage.rollout));
}

#[test]
fn what_is_no_stored_rollout_is_refused() {
    let good = eventful().rollout.to_record();
    let check = |path: &str, value: Value, expected: &str| {
        let mut record = good.clone();
        *record.pointer_mut(path).expect("a field") = value;
        let error = Rollout::from_record(&record).expect_err(path);
        assert_eq!(error.to_string(), expected, "{path}");
    };
    check(
        "/version",
        json!(2),
        "the rollout was stored in version 2; up to 1 can be read: use the newer skygate",
    );
    check(
        "/version",
        json!("1"),
        "no stored rollout: it carries no version",
    );
    check(
        "/weight",
        json!(101),
        "malformed stored rollout: a weight of 101 is beyond a hundred",
    );
    check(
        "/weight",
        json!(-1),
        "malformed stored rollout: invalid value: integer `-1`, expected u8",
    );
    check(
        "/step",
        json!(4),
        "malformed stored rollout: it is at step 4 of 3",
    );
    check(
        "/background/phase",
        json!("Fine"),
        "malformed stored rollout: no phase is called `Fine`",
    );
    check(
        "/settings/hook/retryAfter",
        json!("-1s"),
        "malformed stored rollout: a duration of `-1s` is negative",
    );
    check(
        "/document/spec/strategy",
        json!({"blueGreen": {}}),
        "the stored rollout's document is not accepted: spec.strategy.blueGreen: needs a controller in the cluster: blue-green moves workloads (hint: a stepper plays `canary`; without steps it sends all traffic over at once)",
    );
    assert!(Rollout::from_record(&json!(null)).is_err());
}
