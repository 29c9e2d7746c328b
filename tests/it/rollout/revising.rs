//! A document that was corrected, and versions that were told in other words.

use serde_json::{Value, json};
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{
    AnalysisKind, Command, Difference, Effect, Event, Rollout, Settings, Version,
};

use super::driver::{Stage, at, canary, hook, spec, weight};

/// The usual rollout with this analysis beside its steps.
fn judged_by(template: &str) -> Value {
    let mut canary = canary();
    canary["analysis"]["templates"][0]["templateName"] = json!(template);
    canary
}

fn version(name: &str, image: Option<&str>) -> Version {
    Version {
        name: name.to_owned(),
        image: image.map(str::to_owned),
    }
}

/// The templates of the newest background analysis, as the service is asked for it.
fn asked(stage: &Stage) -> String {
    let analyses = stage.rollout.analyses();
    let mut background = analyses.filter(|it| it.key.kind == AnalysisKind::Background);
    let key = &background.next().expect("it is asked for").key;
    let request = stage.rollout.request(key).expect("it is wanted");
    format!(
        "{} of {}",
        request.site.templates[0].name, request.idempotency_key
    )
}

#[test]
fn a_retry_takes_the_analysis_that_the_document_has_by_then() {
    let mut stage = Stage::new(&judged_by("tpyo"), Settings::default());
    stage.see_background(Phase::Error, false);
    assert_eq!(stage.rollout.status().0.name(), "Degraded");
    stage.begin(&judged_by("apdex"), "v2");
    assert_eq!(
        stage.rollout.status().0.name(),
        "Degraded",
        "a document alone takes back no abort"
    );
    stage.say(Command::Retry);
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v2-1.1"]);
    assert!(asked(&stage).starts_with("apdex of "), "{}", asked(&stage));
}

#[test]
fn an_analysis_that_no_run_is_known_for_is_asked_for_anew() {
    let mut stage = Stage::new(&canary(), Settings::default());
    // Begun again, and before the service has answered the document is another.
    stage.say(Command::Abort);
    stage.posted += 1;
    let retry = skygate::domain::rollout::Posted {
        number: stage.posted,
        command: Command::Retry,
        seen: None,
    };
    stage.feed_only(Event::Command(retry));
    stage.feed_only(Event::Routed { weight: weight(20) });
    let before = asked(&stage);
    stage.feed_only(Event::Begun {
        spec: spec(&judged_by("other")),
        version: Version::named("v2"),
    });
    let after = asked(&stage);
    assert!(after.starts_with("other of "), "{after}");
    // What was asked for under the first key may run: it is ended, and its key stands for nothing else.
    assert_ne!(before.rsplit_once(' '), after.rsplit_once(' '));
    let is_ended = |effect: &Effect| matches!(effect, Effect::EndAnalysis { run: None, .. });
    assert!(stage.effects.iter().any(is_ended), "{:?}", stage.effects);
}

#[test]
fn an_analysis_that_runs_counts_as_it_was_begun() {
    let mut stage = Stage::new(&canary(), Settings::default());
    let before = stage.rollout.background.clone();
    stage.begin(&judged_by("other"), "v2");
    assert_eq!(stage.rollout.background, before);
    assert_eq!(stage.ended, [""; 0]);
    let told = &stage.rollout.history.back().expect("a history").note;
    assert_eq!(
        told,
        "the document has another analysis: `reviews-v2-1` counts as it was begun, and a retry takes the new one"
    );
    // Said again it is no news.
    let length = stage.rollout.history.len();
    stage.begin(&judged_by("other"), "v2");
    assert_eq!(stage.rollout.history.len(), length);
}

#[test]
fn an_analysis_that_the_document_no_longer_has_is_ended() {
    let mut stage = Stage::new(&canary(), Settings::default());
    stage.begin(&json!({"steps": canary()["steps"]}), "v2");
    assert_eq!(stage.ended, ["reviews-v2-1"]);
    assert_eq!(stage.rollout.background, None);
    // Nothing asks for evidence any more.
    stage.say(Command::Promote);
    assert_eq!(stage.weights, [20, 60, 100]);

    // And one that is new is begun where the rollout stands.
    let mut stage = Stage::new(&json!({"steps": canary()["steps"]}), Settings::default());
    assert_eq!(stage.started, [""; 0]);
    stage.begin(&canary(), "v2");
    assert_eq!(stage.started, ["reviews-v2-1"]);
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
}

#[test]
fn a_pause_by_hand_is_not_undone_by_a_document_that_says_nothing_new() {
    let mut stage = Stage::new(&canary(), Settings::default());
    stage.say(Command::Pause);
    stage.begin(&judged_by("other"), "v2");
    assert!(stage.rollout.is_paused);
    let mut document = super::driver::document(&canary());
    document["spec"]["paused"] = json!(true);
    let paused = skygate::domain::rollout::RolloutSpec::read(&document).expect("no faults");
    stage.say(Command::Resume);
    stage.feed(Event::Begun {
        spec: paused.into(),
        version: Version::named("v2"),
    });
    assert!(stage.rollout.is_paused, "now it says so");
    stage.begin(&canary(), "v2");
    assert!(!stage.rollout.is_paused, "and no longer");
}

#[test]
fn a_version_is_the_same_with_and_without_its_image() {
    let check = |before: Version, said: Version, expected: Difference, image: Option<&str>| {
        let rollout = Rollout::new(
            "bookinfo",
            spec(&canary()),
            before.clone(),
            None,
            hook(),
            at(0),
        );
        let mut stage = Stage::of(rollout);
        let found = stage.rollout.compare(&spec(&canary()), &said);
        assert_eq!(found, Ok(expected), "{before:?} then {said:?}");
        stage.feed(Event::Begun {
            spec: spec(&canary()),
            version: said.clone(),
        });
        let version = &stage.rollout.revision.version;
        assert_eq!(version.image.as_deref(), image, "{before:?} then {said:?}");
    };
    let (bare, here) = (version("v2", None), version("v2", Some("here/reviews:v2")));
    let there = version("v2", Some("there/reviews:v2"));
    check(
        here.clone(),
        bare.clone(),
        Difference::None,
        here.image.as_deref(),
    );
    check(
        bare.clone(),
        here.clone(),
        Difference::None,
        here.image.as_deref(),
    );
    check(bare.clone(), bare, Difference::None, None);
    check(
        here.clone(),
        there.clone(),
        Difference::Version,
        there.image.as_deref(),
    );
    check(here, version("v3", None), Difference::Version, None);
}

#[test]
fn back_to_the_stable_version_by_its_image() {
    let rollout = Rollout::new(
        "bookinfo",
        spec(&canary()),
        Version::named("v2"),
        Some(Version::named("v1")),
        hook(),
        at(0),
    );
    let mut stage = Stage::of(rollout);
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    let back = version("v1", Some("here/reviews:v1"));
    stage.feed(Event::Begun {
        spec: spec(&canary()),
        version: back.clone(),
    });
    assert_eq!(stage.line(), "Healthy 3 [100, 0]");
    assert_eq!(stage.rollout.stable, Some(back), "its image is known now");
}
