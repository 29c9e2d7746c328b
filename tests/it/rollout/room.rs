//! What is accepted at the beginning fits into what the service takes, to the very end.

use std::cell::Cell;
use std::sync::Arc;

use serde_json::{Value, json};
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{
    AnalysisKind, Command, Event, LONGEST_DOCUMENT, Outcome, Posted, Rollout, RolloutSpec,
    Settings, Version, Weight,
};

use super::driver::{Stage, at, document, hook};

/// The longest body that the service takes.
const LONGEST_BODY: usize = 1 << 20;

/// Six bytes of JSON for each: nothing takes more.
fn noise() -> String {
    "\u{1}".repeat(5_000)
}

/// Two analyses whose arguments are as long as they may be.
fn judged() -> Value {
    let args = json!([{"name": "a", "value": "x".repeat((8 << 10) - 30)}]);
    let analysis = |name: &str| json!({"templates": [{"templateName": name}], "args": args});
    json!({
        "steps": [{"setWeight": 10}, {"analysis": analysis("smoke")}, {"pause": {}}],
        "analysis": analysis("apdex"),
    })
}

/// `document` with an annotation that makes it `size` bytes long.
fn padded(document: &Value, size: usize) -> Value {
    let mut document = document.clone();
    document["metadata"]["annotations"] = json!({"a": ""});
    let left = size - document.to_string().len();
    document["metadata"]["annotations"]["a"] = "x".repeat(left).into();
    assert_eq!(document.to_string().len(), size);
    document
}

fn body(rollout: &Rollout) -> usize {
    let body = json!({"fence": u64::MAX, "rollout": rollout.to_record()});
    body.to_string().len()
}

#[test]
fn a_document_that_leaves_no_room_is_refused() {
    let document = document(&judged());
    assert!(RolloutSpec::read(&padded(&document, LONGEST_DOCUMENT)).is_ok());
    // What is not kept does not count.
    let mut with_status = padded(&document, LONGEST_DOCUMENT);
    with_status["status"] = json!({"message": "x".repeat(1_000)});
    assert!(RolloutSpec::read(&with_status).is_ok());

    let longer = padded(&document, LONGEST_DOCUMENT + 1);
    let faults = RolloutSpec::read(&longer).expect_err("it is too long");
    assert_eq!(
        faults.to_string(),
        "the Rollout has 524289 bytes as JSON; up to 524288 are kept, beside its history (hint: leave out annotations that only tools read, such as kubectl.kubernetes.io/last-applied-configuration)"
    );
}

/// A field of the document may be taken many times.
#[test]
fn arguments_that_leave_no_room_are_refused() {
    let mut document = padded(&document(&judged()), 60_000);
    let from = json!({"fieldRef": {"fieldPath": "metadata.annotations['a']"}});
    document["spec"]["strategy"]["canary"]["analysis"]["args"] =
        json!([{"name": "a", "valueFrom": from}]);
    let spec = RolloutSpec::read(&document).expect("short enough itself");
    let version = Version::named("v2");
    let settings = Settings::default();
    let rollout = Rollout::new("bookinfo", spec.into(), version, None, settings, at(0));
    let faults = rollout.check_arguments().expect_err("it is too long");
    let text = faults.to_string();
    assert!(
        text.starts_with("spec.strategy.canary.analysis: its arguments have ")
            && text.ends_with(" bytes as JSON; up to 8192 are kept"),
        "{text}"
    );
}

/// With everything that can be said about it said at length, and often.
#[test]
fn the_longest_document_is_played_to_its_end() {
    let document = padded(&document(&judged()), LONGEST_DOCUMENT);
    let spec = Arc::new(RolloutSpec::read(&document).expect("short enough"));
    let long = |letter: &str| Version {
        name: letter.repeat(253),
        image: Some("x".repeat(1_000)),
    };
    let rollout = Rollout::new(
        "n".repeat(253),
        Arc::clone(&spec),
        long("b"),
        Some(long("a")),
        Settings {
            router: Some("x".repeat(4_096)),
            ..hook()
        },
        at(0),
    );
    let mut stage = Stage::of(rollout);
    let largest = Cell::new(0);
    let check = |stage: &Stage| {
        let size = body(&stage.rollout);
        assert!(size <= LONGEST_BODY, "{size}");
        largest.set(size.max(largest.get()));
    };
    for round in 0..60 {
        for kind in [AnalysisKind::Background, AnalysisKind::Step(1)] {
            let found = stage.rollout.analyses().find(|it| it.key.kind == kind);
            let run = found.expect("it has begun").run.clone().expect("its run");
            // Both kinds of end, as each has its own place.
            let is_good = round % 2 == 0 && kind == AnalysisKind::Step(1);
            let phase = if is_good {
                Phase::Successful
            } else {
                Phase::Failed
            };
            stage.feed(Event::AnalysisSeen {
                run,
                phase: if kind == AnalysisKind::Background && round % 2 == 0 {
                    Phase::Running
                } else {
                    phase
                },
                message: noise(),
                evidence: true,
            });
            check(&stage);
            if stage.rollout.aborted.is_some() {
                break;
            }
        }
        for found in [None, Weight::new(33)] {
            stage.feed_only(Event::Displaced { found });
            stage.feed_only(Event::Unroutable { message: noise() });
            check(&stage);
        }
        stage.feed(Event::TakenOver(stage.rollout.settings.clone()));
        if stage.rollout.aborted.is_none() {
            stage.say(Command::Abort);
        }
        stage.say(Command::Retry);
        check(&stage);
    }
    assert!(largest.get() > 800 << 10, "a hard test: {largest:?}");

    // On to the end, with a hook that fails at first.
    stage.say(Command::PromoteFull);
    for _ in 0..3 {
        stage.hook_ends(false, &noise());
        check(&stage);
        if stage.outcome().is_none() {
            stage.wake();
        }
    }
    assert_eq!(stage.outcome(), Some(Outcome::PromotionFailed));
    stage.say(Command::Retry);
    stage.wake();
    stage.hook_ends(true, &noise());
    check(&stage);
    assert_eq!(stage.outcome(), Some(Outcome::Promoted));
    // What was said last is still told.
    let told = stage.rollout.history.back().expect("a history");
    assert!(stage.rollout.history.len() > 10);
    assert_eq!(told.weight, Weight::NONE);
}

/// An ordinary history is as long as ever.
#[test]
fn what_is_said_in_short_stays() {
    let mut stage = Stage::new(&json!({"steps": [{"pause": {}}]}), Settings::default());
    for _ in 0..150 {
        stage.posted += 1;
        let command = if stage.posted % 2 == 1 {
            Command::Pause
        } else {
            Command::Resume
        };
        stage.feed(Event::Command(Posted {
            number: stage.posted,
            command,
            seen: None,
        }));
    }
    assert!(stage.rollout.history.len() > 150);
}
