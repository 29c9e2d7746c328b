//! A stepper that dies anywhere, and another one that goes on: the same end.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{
    Command, Effect, Event, HookKey, HookPolicy, Outcome, Posted, Rollout, Settings, step,
};
use skygate::domain::run::RunId;

use super::driver::at;
use super::laws::{canaries, commands, rollout, settings};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The same story with crashes in it: before a save, after it, after an effect whose answer is lost, and answers that come twice.
    #[test]
    fn crashes_change_nothing(
        canary in canaries(),
        settings in settings(),
        script in scripts(),
        crashes in vec(crashes(), 0..60),
    ) {
        let straight = Simulation::play(&canary, &settings, &script, &[]);
        let crooked = Simulation::play(&canary, &settings, &script, &crashes);
        prop_assert_eq!(&crooked.weights, &straight.weights);
        prop_assert_eq!(crooked.outcome, straight.outcome);
        prop_assert_eq!(
            crooked.runs.keys().collect::<Vec<_>>(),
            straight.runs.keys().collect::<Vec<_>>()
        );
        prop_assert_eq!(&crooked.hooks, &straight.hooks);
        prop_assert_eq!(crooked.ended(), straight.ended());
    }
}

/// Where a stepper dies while it deals with one event.
#[derive(Clone, Copy, Debug)]
enum Crash {
    None,
    BeforeSave,
    AfterSave,
    /// No crash: the event comes twice.
    Twice,
}

fn crashes() -> impl Strategy<Value = Crash> {
    select(vec![
        Crash::None,
        Crash::BeforeSave,
        Crash::AfterSave,
        Crash::Twice,
    ])
}

/// What the world does, by its own clock.
#[derive(Clone, Debug)]
struct Script {
    /// What the n-th run of the service comes to, and after how many seconds.
    verdicts: Vec<(Phase, u64)>,
    /// How the n-th try of the hook ends.
    hooks: Vec<bool>,
    /// When somebody says what.
    commands: Vec<(u64, Command)>,
}

fn scripts() -> impl Strategy<Value = Script> {
    let verdict = (
        select(vec![
            Phase::Successful,
            Phase::Successful,
            Phase::Failed,
            Phase::Inconclusive,
        ]),
        1..120u64,
    );
    (
        vec(verdict, 1..4),
        vec(any::<bool>(), 1..3),
        vec((0..200u64, commands()), 0..6),
    )
        .prop_map(|(verdicts, hooks, mut commands)| {
            commands.sort_by_key(|(at, _)| *at);
            Script {
                verdicts,
                hooks,
                commands,
            }
        })
}

/// A run in the service.
#[derive(Clone, Debug)]
struct Run {
    id: RunId,
    over_at: Timestamp,
    phase: Phase,
    is_ended: bool,
}

/// A stepper with a service and a router around it, driven as the module says.
struct Simulation<'a> {
    script: &'a Script,
    settings: &'a Settings,
    crashes: std::slice::Iter<'a, Crash>,
    rollout: Rollout,
    saved: Value,
    now: Timestamp,
    /// The runs by their idempotency keys.
    runs: BTreeMap<String, Run>,
    created: usize,
    hooks: Vec<HookKey>,
    weights: Vec<u8>,
    outcome: Option<Outcome>,
}

impl<'a> Simulation<'a> {
    fn play(
        canary: &Value,
        settings: &'a Settings,
        script: &'a Script,
        crashes: &'a [Crash],
    ) -> Self {
        let rollout = rollout(canary, settings.clone());
        let mut simulation = Self {
            script,
            settings,
            crashes: crashes.iter(),
            saved: rollout.to_record(),
            rollout,
            now: at(0),
            runs: BTreeMap::new(),
            created: 0,
            hooks: Vec::new(),
            weights: Vec::new(),
            outcome: None,
        };
        simulation.deliver(Event::TakenOver(settings.clone()));
        for _ in 0..400 {
            match simulation.next() {
                Some(event) => simulation.deliver(event),
                None => return simulation,
            }
        }
        panic!("it never ends: {:?}", simulation.rollout);
    }

    /// The rollout at its end. How it came to it may take a line more where a weight was set again.
    fn ended(&self) -> Rollout {
        let mut rollout = self.rollout.clone();
        rollout.history.clear();
        rollout
    }

    fn deliver(&mut self, event: Event) {
        let crash = self.crashes.next().copied().unwrap_or(Crash::None);
        let (rollout, _) = step(self.rollout.clone(), event.clone(), self.now);
        match crash {
            Crash::BeforeSave => return self.restart(),
            Crash::None | Crash::AfterSave | Crash::Twice => {}
        }
        self.saved = rollout.to_record();
        self.rollout = rollout;
        match crash {
            Crash::None | Crash::BeforeSave => {}
            Crash::AfterSave => self.restart(),
            Crash::Twice => self.take_in(event),
        }
    }

    fn restart(&mut self) {
        self.rollout = Rollout::from_record(&self.saved).expect("it was saved");
        self.take_in(Event::TakenOver(self.settings.clone()));
    }

    fn take_in(&mut self, event: Event) {
        self.rollout = step(self.rollout.clone(), event, self.now).0;
        self.saved = self.rollout.to_record();
    }

    /// The next event: what is routed, what is posted, what an effect brings, or what time does.
    ///
    /// A weight is seen to before anything else happens: what people say may mean another thing until then.
    fn next(&mut self) -> Option<Event> {
        let effects = self.rollout.outstanding(self.now);
        if let Some(effect @ Effect::SetWeight { .. }) = effects.first() {
            return self.perform(effect);
        }
        if let Some(analysis) = self
            .rollout
            .analyses()
            .find(|it| it.out_of_sight_since.is_some())
            && let Some(run) = analysis.run.clone()
        {
            // What people say at the moment at which it ends comes first, as it does without a crash.
            return Some(self.look(run, |over_at, now| over_at < now));
        }
        let due = |(number, (at_second, command)): (usize, &(u64, Command))| {
            let number = number as u64 + 1;
            let is_due = at(i64::try_from(*at_second).expect("small")) <= self.now;
            (is_due && number > self.rollout.commands_taken).then_some(Posted {
                number,
                command: *command,
                seen: None,
            })
        };
        if let Some(posted) = self.script.commands.iter().enumerate().find_map(due) {
            return Some(Event::Command(posted));
        }
        for effect in &effects {
            if let Some(event) = self.perform(effect) {
                return Some(event);
            }
        }
        self.pass(&effects)
    }

    /// A run as it is.
    fn look(&self, id: RunId, is_over: impl Fn(Timestamp, Timestamp) -> bool) -> Event {
        let run = self.runs.values().find(|it| it.id == id).expect("a run");
        let phase = if is_over(run.over_at, self.now) {
            run.phase
        } else {
            Phase::Pending
        };
        Event::AnalysisSeen {
            run: id,
            phase,
            message: String::new(),
            evidence: phase == Phase::Successful,
        }
    }

    fn perform(&mut self, effect: &Effect) -> Option<Event> {
        Some(match effect.clone() {
            Effect::SetWeight { weight, .. } => {
                if self.weights.last() != Some(&weight.percent()) {
                    self.weights.push(weight.percent());
                }
                Event::Routed { weight }
            }
            Effect::StartAnalysis { key } => {
                let request = self.rollout.request(&key).expect("it is asked for");
                let (verdicts, created, now) = (&self.script.verdicts, &mut self.created, self.now);
                let run = self.runs.entry(request.idempotency_key).or_insert_with(|| {
                    let (phase, after) = verdicts[*created % verdicts.len()];
                    *created += 1;
                    Run {
                        id: RunId(format!("run-{created}")),
                        over_at: now + Duration::from_secs(after),
                        phase,
                        is_ended: false,
                    }
                });
                Event::AnalysisStarted {
                    key,
                    run: run.id.clone(),
                }
            }
            Effect::Watch { run } => {
                let run = self.runs.values().find(|it| it.id == run).expect("a run");
                if run.over_at > self.now {
                    return None;
                }
                self.look(run.id.clone(), |over_at, now| over_at <= now)
            }
            Effect::EndAnalysis { key, run } => {
                if let Some(run) = self
                    .runs
                    .values_mut()
                    .find(|it| Some(&it.id) == run.as_ref())
                {
                    run.is_ended = true;
                }
                Event::AnalysisEnded { key }
            }
            Effect::RunHook { key } => {
                if self.hooks.last() != Some(&key) {
                    self.hooks.push(key.clone());
                }
                let tries = self.hooks.len() - 1;
                Event::HookEnded {
                    key,
                    is_success: self.script.hooks[tries % self.script.hooks.len()],
                    output: String::new(),
                }
            }
            Effect::WakeAt { .. } => return None,
            Effect::Done { outcome } => {
                self.outcome = Some(outcome);
                return None;
            }
        })
    }

    /// Lets time pass until something happens; `None` where nothing will.
    fn pass(&mut self, effects: &[Effect]) -> Option<Event> {
        let by_effect = |effect: &Effect| match effect {
            Effect::WakeAt { at } => Some(*at),
            Effect::Watch { run } => {
                let run = self.runs.values().find(|it| it.id == *run)?;
                Some(run.over_at)
            }
            _ => None,
        };
        let posted = self.script.commands.iter();
        let posted = posted.map(|(second, _)| at(i64::try_from(*second).expect("small")));
        let moments = effects.iter().filter_map(by_effect).chain(posted);
        self.now = moments.filter(|at| *at > self.now).min()?;
        Some(Event::Tick)
    }
}

#[test]
fn a_simulation_comes_to_its_end() {
    let canary = json!({
        "steps": [{"setWeight": 20}, {"pause": {"duration": 60}}],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    });
    let script = Script {
        verdicts: vec![(Phase::Successful, 90)],
        hooks: vec![false, true],
        commands: Vec::new(),
    };
    let settings = Settings {
        hook: Some(HookPolicy::default()),
        abort_when_blind: None,
        router: None,
    };
    let crashes = [Crash::BeforeSave, Crash::AfterSave, Crash::None].repeat(10);
    let simulation = Simulation::play(&canary, &settings, &script, &crashes);
    assert_eq!(simulation.weights, [20, 100, 0]);
    assert_eq!(simulation.outcome, Some(Outcome::Promoted));
    assert_eq!(simulation.runs.len(), 1);
    assert_eq!(simulation.hooks.len(), 2);
}
