//! A rollout with a service and a router that do at once what they are asked for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{
    AnalysisKind, Command, Effect, Event, HookPolicy, Outcome, Posted, Rollout, RolloutSpec, Seen,
    Settings, Version, Weight, step,
};
use skygate::domain::run::RunId;

/// The moment at which the virtual clock shows `seconds`.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a moment near 2027")
}

pub(super) fn weight(percent: u8) -> Weight {
    Weight::new(percent).expect("a percentage")
}

/// A Rollout whose `strategy.canary` is `canary`.
pub(super) fn document(canary: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "reviews", "labels": {"app": "reviews"}},
        "spec": {"replicas": 5, "strategy": {"canary": canary}},
    })
}

pub(super) fn spec(canary: &Value) -> Arc<RolloutSpec> {
    let spec = RolloutSpec::read(&document(canary));
    Arc::new(spec.expect("a Rollout without faults"))
}

/// Two steps with a pause between, and an analysis beside them.
pub(super) fn canary() -> Value {
    json!({
        "steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    })
}

pub(super) fn hook() -> Settings {
    Settings {
        hook: Some(HookPolicy {
            tries: 3,
            retry_after: Duration::from_secs(10),
        }),
        abort_when_blind: None,
        router: None,
    }
}

/// A rollout, and everything around it.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) rollout: Rollout,
    pub(super) effects: Vec<Effect>,
    pub(super) now: Timestamp,
    /// The weights that were set, in order.
    pub(super) weights: Vec<u8>,
    /// The names of the analyses that were started, in order.
    pub(super) started: Vec<String>,
    /// The names of the runs that were ended before their end.
    pub(super) ended: Vec<String>,
    /// How many commands were posted.
    pub(super) posted: u64,
}

impl Stage {
    /// A rollout of `v2` over an unnamed stable version, just begun.
    pub(super) fn new(canary: &Value, settings: Settings) -> Self {
        Self::of(Rollout::new(
            "bookinfo",
            spec(canary),
            Version::named("v2"),
            None,
            settings,
            at(0),
        ))
    }

    pub(super) fn of(rollout: Rollout) -> Self {
        let mut stage = Self {
            effects: Vec::new(),
            now: at(0),
            weights: Vec::new(),
            started: Vec::new(),
            ended: Vec::new(),
            posted: 0,
            rollout,
        };
        stage.feed(Event::Tick);
        stage
    }

    /// Feeds one event, and whatever the service and the router answer to what follows.
    pub(super) fn feed(&mut self, event: Event) {
        self.feed_only(event);
        while let Some(answer) = self.answer() {
            self.feed_only(answer);
        }
    }

    /// Feeds one event; nobody answers.
    pub(super) fn feed_only(&mut self, event: Event) {
        let (rollout, effects) = step(self.rollout.clone(), event, self.now);
        assert_eq!(effects, rollout.outstanding(self.now));
        self.rollout = rollout;
        self.effects = effects;
    }

    fn answer(&mut self) -> Option<Event> {
        for effect in self.effects.clone() {
            match effect {
                Effect::SetWeight { weight, .. } => {
                    self.weights.push(weight.percent());
                    return Some(Event::Routed { weight });
                }
                Effect::StartAnalysis { key } => {
                    let request = self.rollout.request(&key).expect("it is asked for");
                    self.started.push(request.name.to_owned());
                    let run = RunId(request.name.to_owned());
                    return Some(Event::AnalysisStarted { key, run });
                }
                Effect::EndAnalysis { key, run } => {
                    self.ended.extend(run.map(|run| run.0));
                    return Some(Event::AnalysisEnded { key });
                }
                Effect::Watch { .. }
                | Effect::RunHook { .. }
                | Effect::WakeAt { .. }
                | Effect::Done { .. } => {}
            }
        }
        None
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += Duration::from_secs(seconds.unsigned_abs());
        self.feed(Event::Tick);
    }

    /// Time passes until the rollout wants to be looked at.
    pub(super) fn wake(&mut self) {
        let wake = self.effects.iter().find_map(|effect| match effect {
            Effect::WakeAt { at } => Some(*at),
            _ => None,
        });
        self.now = wake.expect("it wants to be looked at");
        self.feed(Event::Tick);
    }

    pub(super) fn say(&mut self, command: Command) {
        self.say_seen(command, None);
    }

    pub(super) fn say_seen(&mut self, command: Command, seen: Option<Seen>) {
        self.posted += 1;
        self.feed(Event::Command(Posted {
            number: self.posted,
            command,
            seen,
        }));
    }

    /// The analysis of this kind is seen.
    pub(super) fn see(&mut self, kind: AnalysisKind, phase: Phase, evidence: bool) {
        let analysis = self.rollout.analyses().find(|it| it.key.kind == kind);
        let run = analysis.expect("there is such an analysis").run.clone();
        self.feed(Event::AnalysisSeen {
            run: run.expect("it was started"),
            phase,
            message: match phase {
                Phase::Failed => "Metric \"apdex\" assessed Failed".to_owned(),
                _ => String::new(),
            },
            evidence,
        });
    }

    pub(super) fn see_background(&mut self, phase: Phase, evidence: bool) {
        self.see(AnalysisKind::Background, phase, evidence);
    }

    pub(super) fn hook_ends(&mut self, is_success: bool, output: &str) {
        let key = self.effects.iter().find_map(|effect| match effect {
            Effect::RunHook { key } => Some(key.clone()),
            _ => None,
        });
        self.feed(Event::HookEnded {
            key: key.expect("the hook is to be run"),
            is_success,
            output: output.to_owned(),
        });
    }

    /// Another version begins, and nobody answers.
    pub(super) fn begin_only(&mut self, canary: &Value, version: &str) {
        self.feed_only(Event::Begun {
            spec: spec(canary),
            version: Version::named(version),
        });
    }

    pub(super) fn begin(&mut self, canary: &Value, version: &str) {
        self.feed(Event::Begun {
            spec: spec(canary),
            version: Version::named(version),
        });
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.effects[..] {
            [Effect::Done { outcome }] => Some(outcome),
            _ => None,
        }
    }

    /// `Paused 1 [80, 20] CanaryPauseStep`.
    pub(super) fn line(&self) -> String {
        let (phase, message) = self.rollout.status();
        let routed = self.rollout.routed;
        let line = format!(
            "{phase} {} [{}, {routed}] {message}",
            self.rollout.step,
            routed.rest()
        );
        line.trim_end().to_owned()
    }
}
