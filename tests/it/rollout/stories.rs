//! What a real Argo controller did with the seed's Rollout, change by change, played through the machine.

use serde_json::Value;
use skygate::documents::rollouts;
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{AnalysisKind, Effect, Event, Rollout, RolloutSpec, Version};

use super::driver::{Stage, at, hook};

const STORIES: &str = include_str!("../../data/conformance/argo-stories.md");
const SEED: &str = include_str!("../../data/seed/rollout.yaml");

/// The lines of a story: phase, step, weights, and what stands behind them.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    phase: String,
    step: usize,
    weights: [u8; 2],
}

/// The lines of the story under this heading, and the last thing that is said about its analysis.
fn story(heading: &str) -> (Vec<Line>, String) {
    let story = STORIES
        .split("\n## ")
        .find(|story| story.starts_with(heading))
        .expect("there is such a story");
    let lines: Vec<&str> = story
        .lines()
        .filter(|line| line.starts_with("10:"))
        // Argo's replicas come up meanwhile; a stepper has none.
        .filter(|line| !line.contains("more replicas need to be updated"))
        .collect();
    let read = |line: &str| {
        let mut words = line.split([' ', '[', ']', ',']).filter(|it| !it.is_empty());
        let _time = words.next();
        let phase = words.next().expect("a phase").to_owned();
        let mut number = || {
            words
                .next()
                .and_then(|it| it.parse().ok())
                .expect("a number")
        };
        Line {
            phase,
            step: usize::from(number()),
            weights: [number(), number()],
        }
    };
    let last = lines.last().and_then(|line| line.rsplit_once(", '"));
    let message = last.map_or("", |(_, rest)| rest.trim_end_matches("')]"));
    (
        settled(lines.iter().map(|line| read(line)).collect()),
        message.to_owned(),
    )
}

/// Without the looks at which a weight had not been set yet that Argo sets a look later.
fn settled(lines: Vec<Line>) -> Vec<Line> {
    let mut settled: Vec<Line> = Vec::new();
    for line in lines {
        let last = settled.last();
        let is_overtaken = last.is_some_and(|last| {
            last.phase == "Paused" && last.step == line.step && line.phase == "Paused"
        });
        if is_overtaken {
            settled.pop();
        }
        if settled.last() != Some(&line) {
            settled.push(line);
        }
    }
    settled
}

/// What the history of the rollout shows, in the same form; what goes on by itself is not in it.
fn played(stage: &Stage) -> Vec<Line> {
    let lines = stage.rollout.history.iter().map(|it| Line {
        phase: it.phase.to_string(),
        step: it.step,
        weights: [it.weight.rest().percent(), it.weight.percent()],
    });
    settled(lines.filter(|line| line.phase != "Progressing").collect())
}

fn seed() -> Stage {
    let (documents, _) = rollouts(SEED.as_bytes());
    let spec = RolloutSpec::read(&documents[0]).expect("no faults");
    let mut stage = Stage::of(Rollout::new(
        "bookinfo",
        spec.into(),
        Version::named("v1"),
        Some(Version::named("v1")),
        hook(),
        at(0),
    ));
    // Argo's was its second revision, too.
    let spec = stage.rollout.spec.clone();
    stage.rollout.history.clear();
    stage.feed(Event::Begun {
        spec,
        version: Version::named("v2"),
    });
    stage
}

#[test]
fn a_healthy_version_is_promoted() {
    let mut stage = seed();
    for _ in 0..4 {
        stage.wake();
        if stage.rollout.background.is_some() {
            stage.see_background(Phase::Running, true);
        }
    }
    stage.wake();
    stage.hook_ends(true, "");
    let (expected, _) = story("Promoted");
    assert_eq!(played(&stage), expected);
    assert_eq!(stage.weights, [0, 10, 20, 40, 60, 80, 100, 0]);
    assert_eq!(stage.started, ["reviews-rollout-v2-2"]);
    assert_eq!(stage.ended, stage.started, "it would measure for ever");
    assert_eq!(stage.rollout.step, 10);
}

/// Both stories of a version that went back: the first at its second weight, the other at its last.
#[test]
fn a_version_that_fails_its_analysis_goes_back() {
    for (heading, pauses) in [("Rolled back:", 1), ("Rolled back although", 4)] {
        let mut stage = seed();
        for _ in 0..pauses {
            stage.wake();
        }
        let (mut expected, message) = story(heading);
        assert!(
            message.starts_with("Metric \"apdex\" assessed Failed"),
            "{message}"
        );
        let background = stage.rollout.background.clone().expect("it runs");
        stage.feed(Event::AnalysisSeen {
            run: background.run.expect("it was started"),
            phase: Phase::Failed,
            message: message.clone(),
            evidence: false,
        });
        if pauses == 4 {
            // Its record ends a look too early.
            let mut last = expected.last().expect("there are lines").clone();
            last.weights = [100, 0];
            expected.push(last);
        }
        assert_eq!(played(&stage), expected, "{heading}");
        let (_, shown) = stage.rollout.status();
        assert_eq!(
            shown,
            format!(
                "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: {message}"
            )
        );
    }
}

#[test]
fn the_analysis_starts_with_the_third_step() {
    let mut stage = seed();
    assert_eq!(stage.started, [""; 0]);
    stage.wake();
    assert_eq!(stage.started, ["reviews-rollout-v2-2"]);
    let background = stage.rollout.background.as_ref().expect("it runs");
    assert_eq!(background.key.kind, AnalysisKind::Background);
    let watched = stage
        .effects
        .iter()
        .any(|it| matches!(it, Effect::Watch { .. }));
    assert!(watched);
    assert_eq!(
        background.not_before,
        Some(at(0)),
        "the canary has had traffic since"
    );
}

#[test]
fn the_stored_seed_is_the_same_rollout() {
    let stage = seed();
    let record: Value = stage.rollout.to_record();
    let text = record.to_string();
    let found = serde_json::from_str(&text).expect("JSON");
    assert_eq!(Rollout::from_record(&found), Ok(stage.rollout));
}
