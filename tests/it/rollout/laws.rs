//! What holds for every rollout, whatever happens to it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{
    AnalysisKey, Command, Effect, Event, HookPolicy, Posted, Promotion, Rollout, RolloutPhase,
    Settings, Step, Version, Weight, step,
};
use skygate::domain::run::RunId;

use super::driver::{at, spec, weight};

fn steps() -> impl Strategy<Value = Value> {
    let step = prop_oneof![
        4 => (0..=100u8).prop_map(|percent| json!({"setWeight": percent})),
        1 => Just(json!({"pause": {}})),
        3 => (0..90u32).prop_map(|seconds| json!({"pause": {"duration": seconds}})),
        1 => Just(json!({"analysis": {"templates": [{"templateName": "smoke"}]}})),
    ];
    vec(step, 0..7).prop_map(Value::from)
}

pub(super) fn canaries() -> impl Strategy<Value = Value> {
    (steps(), any::<bool>(), any::<prop::sample::Index>()).prop_map(|(steps, is_judged, first)| {
        let count = steps.as_array().map_or(0, Vec::len);
        let mut canary = json!({"steps": steps});
        if is_judged {
            canary["analysis"] = json!({
                "templates": [{"templateName": "apdex"}],
                "startingStep": if count == 0 { 0 } else { first.index(count) },
            });
        }
        canary
    })
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    (any::<bool>(), any::<bool>()).prop_map(|(has_hook, minds_blindness)| Settings {
        hook: has_hook.then(|| HookPolicy {
            tries: 2,
            retry_after: Duration::from_secs(10),
        }),
        abort_when_blind: minds_blindness.then(|| Duration::from_mins(1)),
        router: None,
    })
}

pub(super) fn commands() -> impl Strategy<Value = Command> {
    select(vec![
        Command::Promote,
        Command::Promote,
        Command::PromoteFull,
        Command::Confirm,
        Command::Abort,
        Command::Retry,
        Command::Pause,
        Command::Resume,
    ])
}

fn phases() -> impl Strategy<Value = Phase> {
    select(vec![
        Phase::Running,
        Phase::Successful,
        Phase::Failed,
        Phase::Error,
        Phase::Inconclusive,
    ])
}

fn documents() -> impl Strategy<Value = Document> {
    select(vec![Document::Same, Document::Short, Document::Corrected])
}

pub(super) fn rollout(canary: &Value, settings: Settings) -> Rollout {
    let v1 = Some(Version::named("v1"));
    Rollout::new(
        "bookinfo",
        spec(canary),
        Version::named("v2"),
        v1,
        settings,
        at(0),
    )
}

/// What is given to be rolled out.
#[derive(Clone, Copy, Debug)]
enum Document {
    /// What is being rolled out.
    Same,
    /// Other steps.
    Short,
    /// The steps as they were at first, and another analysis beside them, if any.
    Corrected,
}

/// Something that happens to a rollout.
#[derive(Clone, Debug)]
enum Op {
    Pass(u64),
    Wake,
    /// One of the effects is answered as it should be.
    Answer(prop::sample::Index),
    /// It goes wrong.
    Fail(prop::sample::Index),
    /// An answer to something that was asked long ago.
    Stray(u8),
    /// Somebody edits the routes; `None`: out of their shape.
    Edit(Option<u8>),
    See(bool, Phase, bool),
    Say(Command),
    Begin(u8, Document),
    /// What was saved last is found by somebody else.
    Crash,
    /// The same, but the last save was lost.
    CrashUnsaved,
    Blind(u64),
    Sighted,
    Interrupted,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let index = any::<prop::sample::Index>;
    let op = prop_oneof![
        4 => (0..100u64).prop_map(Op::Pass),
        12 => Just(Op::Wake),
        40 => index().prop_map(Op::Answer),
        4 => index().prop_map(Op::Fail),
        2 => (0..=100u8).prop_map(Op::Stray),
        4 => prop::option::of(0..=100u8).prop_map(Op::Edit),
        10 => (any::<bool>(), phases(), any::<bool>()).prop_map(|(a, b, c)| Op::See(a, b, c)),
        8 => commands().prop_map(Op::Say),
        3 => (1..5u8, documents()).prop_map(|(a, b)| Op::Begin(a, b)),
        4 => Just(Op::Crash),
        4 => Just(Op::CrashUnsaved),
        1 => (0..100u64).prop_map(Op::Blind),
        2 => Just(Op::Sighted),
        1 => Just(Op::Interrupted),
    ];
    vec(op, 0..80)
}

/// A rollout, what was saved of it, and who else wants something of it.
struct World {
    canary: Value,
    rollout: Rollout,
    /// What the service was asked for, by its idempotency key.
    asked: BTreeMap<String, String>,
    saved: [Value; 2],
    settings: Settings,
    now: Timestamp,
    posted: u64,
    named: u32,
}

impl World {
    fn new(canary: &Value, settings: Settings) -> Self {
        let rollout = rollout(canary, settings.clone());
        let record = rollout.to_record();
        let mut world = Self {
            canary: canary.clone(),
            rollout,
            asked: BTreeMap::new(),
            saved: [record.clone(), record],
            settings,
            now: at(0),
            posted: 0,
            named: 0,
        };
        world.tell(Event::Tick);
        world
    }

    fn tell(&mut self, event: Event) {
        let (rollout, effects) = step(self.rollout.clone(), event, self.now);
        assert_eq!(effects, rollout.outstanding(self.now));
        self.saved.swap(0, 1);
        self.saved[0] = rollout.to_record();
        self.rollout = rollout;
    }

    fn recover(&mut self, record: &Value) {
        self.rollout = Rollout::from_record(record).expect("it was stored");
        self.tell(Event::TakenOver(self.settings.clone()));
    }

    fn effect(&self, index: prop::sample::Index) -> Option<Effect> {
        let effects = self.rollout.outstanding(self.now);
        (!effects.is_empty()).then(|| index.get(&effects).clone())
    }

    fn live(&mut self, op: &Op) {
        match op {
            Op::Pass(seconds) => {
                self.now += Duration::from_secs(*seconds);
                self.tell(Event::Tick);
            }
            Op::Wake => {
                let effects = self.rollout.outstanding(self.now);
                let wake = effects.iter().find_map(|effect| match effect {
                    Effect::WakeAt { at } => Some(*at),
                    _ => None,
                });
                if let Some(wake) = wake {
                    self.now = wake;
                    self.tell(Event::Tick);
                }
            }
            Op::Answer(index) => {
                if let Some(event) = self.effect(*index).and_then(|it| self.answer(it, true)) {
                    self.tell(event);
                }
            }
            Op::Fail(index) => {
                if let Some(event) = self.effect(*index).and_then(|it| self.answer(it, false)) {
                    self.tell(event);
                }
            }
            Op::Stray(percent) => self.tell(Event::Routed {
                weight: weight(*percent),
            }),
            Op::Edit(percent) => self.tell(Event::Displaced {
                found: percent.map(weight),
            }),
            Op::See(is_background, phase, evidence) => {
                let analysis = if *is_background {
                    &self.rollout.background
                } else {
                    &self.rollout.step_analysis
                };
                let run = analysis.as_ref().and_then(|analysis| analysis.run.clone());
                if let Some(run) = run {
                    self.tell(Event::AnalysisSeen {
                        run,
                        phase: *phase,
                        message: String::new(),
                        evidence: *evidence,
                    });
                }
            }
            Op::Say(command) => {
                self.posted += 1;
                self.tell(Event::Command(Posted {
                    number: self.posted,
                    command: *command,
                    seen: None,
                }));
            }
            Op::Begin(version, document) => {
                let spec = match document {
                    Document::Same => self.rollout.spec.clone(),
                    Document::Short => {
                        spec(&json!({"steps": [{"setWeight": 50}, {"pause": {"duration": 1}}]}))
                    }
                    Document::Corrected => {
                        let mut canary = self.canary.clone();
                        if let Some(templates) = canary.pointer_mut("/analysis/templates") {
                            *templates = json!([{"templateName": "latency"}]);
                        }
                        spec(&canary)
                    }
                };
                let version = Version::named(format!("v{version}"));
                self.tell(Event::Begun { spec, version });
            }
            Op::Crash => {
                let record = self.saved[0].clone();
                self.recover(&record);
            }
            Op::CrashUnsaved => {
                let record = self.saved[1].clone();
                self.recover(&record);
            }
            Op::Blind(ago) => {
                let since = self.now - Duration::from_secs(*ago);
                self.tell(Event::Blind { since });
            }
            Op::Sighted => self.tell(Event::Sighted),
            Op::Interrupted => self.tell(Event::Interrupted),
        }
    }

    /// The service is asked for an analysis: by one key it is never asked for two.
    fn ask(&mut self, key: &AnalysisKey) {
        let request = self.rollout.request(key).expect("it is wanted");
        let body = format!("{request:?}");
        let before = self.asked.entry(request.idempotency_key);
        assert_eq!(before.or_insert_with(|| body.clone()), &body);
    }

    fn answer(&mut self, effect: Effect, is_well: bool) -> Option<Event> {
        if let Effect::StartAnalysis { key } = &effect {
            self.ask(key);
        }
        Some(match effect {
            Effect::SetWeight { weight, .. } if is_well => Event::Routed { weight },
            Effect::SetWeight { .. } => Event::Unroutable {
                message: "no answer".to_owned(),
            },
            Effect::StartAnalysis { key } if is_well => {
                self.named += 1;
                let run = RunId(format!("run-{}", self.named));
                Event::AnalysisStarted { key, run }
            }
            Effect::StartAnalysis { key } => Event::AnalysisRefused {
                key,
                message: "no such template".to_owned(),
            },
            Effect::Watch { run } => Event::AnalysisGone { run },
            Effect::EndAnalysis { key, .. } => Event::AnalysisEnded { key },
            Effect::RunHook { key } => Event::HookEnded {
                key,
                is_success: is_well,
                output: String::new(),
            },
            Effect::WakeAt { .. } | Effect::Done { .. } => return None,
        })
    }
}

/// Whether somebody gave leave to send traffic again.
fn is_leave(op: &Op) -> bool {
    matches!(
        op,
        Op::Say(Command::Retry | Command::PromoteFull) | Op::Begin(..) | Op::CrashUnsaved
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        // What a law finds becomes a story of its own.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn weights_are_those_of_the_steps_and_none_where_there_must_be_none(
        canary in canaries(),
        settings in settings(),
        ops in ops(),
    ) {
        let mut world = World::new(&canary, settings);
        for op in &ops {
            let was_aborted = world.rollout.aborted.is_some();
            world.live(op);
            let rollout = &world.rollout;
            let is_of_a_step = rollout.spec.steps.contains(&Step::SetWeight(rollout.weight));
            prop_assert!(is_of_a_step || [Weight::NONE, Weight::ALL].contains(&rollout.weight));
            prop_assert!(rollout.step <= rollout.spec.steps.len());
            if was_aborted && !is_leave(op) {
                prop_assert!(rollout.aborted.is_some());
            }
            if rollout.aborted.is_some() || rollout.is_promoted() {
                prop_assert_eq!(rollout.weight, Weight::NONE);
            }
            if rollout.promotion != Promotion::NotDue {
                prop_assert_eq!(rollout.weight, Weight::ALL);
            }
            for effect in rollout.outstanding(world.now) {
                match effect {
                    Effect::SetWeight { weight, .. } => prop_assert_eq!(weight, rollout.weight),
                    Effect::RunHook { .. } => {
                        prop_assert!(rollout.is_routed && rollout.routed == Weight::ALL);
                    }
                    Effect::Done { .. } => {
                        prop_assert!(rollout.is_routed && rollout.routed == rollout.weight);
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn what_is_stored_is_found_and_does_not_grow(
        canary in canaries(),
        settings in settings(),
        ops in ops(),
    ) {
        let mut world = World::new(&canary, settings);
        for op in &ops {
            world.live(op);
            let record = world.rollout.to_record().to_string();
            let record: Value = serde_json::from_str(&record).expect("JSON");
            let found = Rollout::from_record(&record);
            prop_assert_eq!(found.as_ref(), Ok(&world.rollout));
            let settled = world.rollout.earlier.iter().filter(|it| !it.may_run()).count();
            prop_assert!(settled <= 10, "{settled} are kept");
            prop_assert!(world.rollout.history.len() <= 200);
        }
    }

    #[test]
    fn there_is_always_something_to_do_or_to_wait_for(
        canary in canaries(),
        settings in settings(),
        ops in ops(),
    ) {
        let mut world = World::new(&canary, settings);
        for op in &ops {
            world.live(op);
            let effects = world.rollout.outstanding(world.now);
            if effects.is_empty() {
                let is_paused = world.rollout.status().0 == RolloutPhase::Paused;
                prop_assert!(is_paused || world.rollout.blind_since.is_some());
            }
            let wakes = |effect: &Effect| match effect {
                Effect::WakeAt { at } => Some(*at),
                _ => None,
            };
            for at in effects.iter().filter_map(wakes) {
                prop_assert!(at > world.now);
            }
            let is_done = effects.iter().any(|it| matches!(it, Effect::Done { .. }));
            prop_assert!(!is_done || effects.len() == 1);
        }
    }

    #[test]
    fn a_second_look_in_the_same_moment_changes_nothing(
        canary in canaries(),
        settings in settings(),
        ops in ops(),
    ) {
        let mut world = World::new(&canary, settings);
        for op in &ops {
            world.live(op);
            let (again, _) = step(world.rollout.clone(), Event::Tick, world.now);
            prop_assert_eq!(&again, &world.rollout);
        }
    }

    /// Steps are done in their order, each once, but for what people skip.
    #[test]
    fn steps_are_neither_skipped_nor_repeated(
        canary in canaries(),
        settings in settings(),
        ops in ops(),
    ) {
        let mut world = World::new(&canary, settings);
        for op in &ops {
            let before = world.rollout.clone();
            world.live(op);
            let after = &world.rollout;
            let is_same = before.revision == after.revision && before.spec == after.spec;
            if !is_same || matches!(op, Op::CrashUnsaved | Op::Say(_)) {
                continue;
            }
            if after.aborted.is_some() || after.is_promoted() {
                continue;
            }
            prop_assert!(after.step >= before.step);
            // Whatever was passed had come to its end.
            for passed in &before.spec.steps[before.step..after.step] {
                match passed {
                    Step::SetWeight(weight) => prop_assert_eq!(after.routed, *weight),
                    Step::Pause(duration) => prop_assert!(duration.is_some()),
                    Step::Analysis(_) => {
                        let seen = matches!(op, Op::See(false, Phase::Successful, true));
                        let was_seen = before.step_analysis.as_ref().is_some_and(|it| it.evidence);
                        prop_assert!(seen || was_seen);
                    }
                }
            }
        }
    }
}
