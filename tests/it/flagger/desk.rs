//! Somebody who answers Flagger's calls, with a run that does as it is told.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use skygate::domain::flagger::{
    Call, Decision, Effect, Hook, Record, RunView, Start, TemplateName, decide,
};
use skygate::domain::measurement::Phase;
use skygate::domain::run::{Command, RunId};

/// The moment `seconds` after the first call.
pub(super) fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T10:13:00Z".parse().expect("a moment");
    start
        .checked_add(SignedDuration::from_secs(seconds))
        .expect("a moment near it")
}

/// What Flagger says of the version `checksum` while it works on it.
pub(super) fn call(checksum: &str) -> Call {
    Call {
        namespace: "bookinfo".to_owned(),
        canary: "reviews".to_owned(),
        phase: "Progressing".to_owned(),
        checksum: checksum.to_owned(),
        template: Some(TemplateName {
            namespace: "bookinfo".to_owned(),
            name: "apdex".to_owned(),
            cluster_scope: false,
        }),
        args: BTreeMap::from([("service-name".to_owned(), "x".to_owned())]),
        token: None,
        message: None,
        sent_at: None,
    }
}

/// What is said of a measurement that could not be made.
pub(super) const UNREACHABLE: &str =
    "the newest measurement of metric \"apdex\" is Error: the connection was refused";

/// A run under way that goes on until it is concluded, without a measurement so far. Its template has a default for `threshold`, and a
/// secret for `password`.
pub(super) fn fresh_run(not_before: Timestamp) -> RunView {
    RunView {
        args: BTreeMap::from([
            ("service-name".to_owned(), Some("x".to_owned())),
            ("threshold".to_owned(), Some("9900".to_owned())),
            ("password".to_owned(), None),
        ]),
        phase: Phase::Running,
        why: "good measurements: apdex 0 of 0".to_owned(),
        evidence: false,
        not_before: Some(not_before),
        measured_since: None,
        has_judged: false,
        is_terminated: false,
        is_endless: true,
        lacking: vec!["metric \"apdex\": no good measurement".to_owned()],
        doubts: Vec::new(),
    }
}

/// The record, the runs that were started, and the clock. Every record goes through the form it is kept in, as if the process had been
/// started again between any two calls.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) now: i64,
    pub(super) record: Record,
    pub(super) runs: BTreeMap<String, RunView>,
    /// What runs were told: which, and what.
    pub(super) told: Vec<(String, Command)>,
    pub(super) started: u64,
}

impl Desk {
    /// Decides on a call, without doing anything about it.
    pub(super) fn decision(&self, hook: Hook, call: &Call) -> Decision {
        let run = self
            .record
            .attempt
            .as_ref()
            .and_then(|attempt| self.runs.get(&attempt.run.0));
        let fresh = RunId(format!("run-{}", self.started + 1));
        decide(hook, call, self.record.clone(), run, fresh, at(self.now))
    }

    /// Answers a call: the status and the text.
    pub(super) fn answer(&mut self, hook: Hook, call: &Call) -> (u16, String) {
        let decision = self.decision(hook, call);
        let answer = (decision.answer.status(), decision.answer.text.clone());
        self.perform(decision);
        answer
    }

    /// The same for a version that Flagger works on.
    pub(super) fn ask(&mut self, hook: Hook, checksum: &str) -> (u16, String) {
        self.answer(hook, &call(checksum))
    }

    /// The status alone.
    pub(super) fn status(&mut self, hook: Hook, checksum: &str) -> u16 {
        self.ask(hook, checksum).0
    }

    /// Does what a decision says, in the order that it says.
    pub(super) fn perform(&mut self, decision: Decision) {
        self.save(&decision);
        for effect in decision.effects {
            match effect {
                Effect::Check => {}
                Effect::Start(Start {
                    run, not_before, ..
                }) => {
                    if !self.runs.contains_key(&run.0) {
                        self.started += 1;
                        let mut view = fresh_run(not_before);
                        let attempt = self.record.attempt.as_ref();
                        let begun_with = attempt.and_then(|it| it.args.clone());
                        for (name, value) in begun_with.unwrap_or_default() {
                            // A secret's value is kept out of sight.
                            if view.args.get(&name) != Some(&None) {
                                view.args.insert(name, Some(value));
                            }
                        }
                        self.runs.insert(run.0, view);
                    }
                }
                Effect::Tell(run, command) => self.tell(&run, command),
            }
        }
    }

    /// Does it up to the moment at which the record is saved, and dies.
    pub(super) fn save(&mut self, decision: &Decision) {
        if let Some((run, command)) = &decision.ends {
            self.tell(run, *command);
        }
        self.record = Record::from_json(&decision.record.to_json()).expect("what was written");
        assert_eq!(
            self.record, decision.record,
            "nothing is lost where it is kept"
        );
    }

    fn tell(&mut self, run: &RunId, command: Command) {
        self.told.push((run.0.clone(), command));
        let Some(view) = self.runs.get_mut(&run.0) else {
            return;
        };
        match command {
            Command::NoTrafficBefore(moment) => view.not_before = Some(moment),
            Command::NotBefore(moment) => {
                view.not_before.get_or_insert(moment);
            }
            Command::Terminate => {
                view.is_terminated |= !view.phase.is_over();
                end(view, Phase::Successful, "terminated");
            }
            Command::Conclude if view.lacking.is_empty() => {
                end(view, Phase::Successful, "concluded after 5m");
            }
            Command::Conclude => end(view, Phase::Inconclusive, "concluded after 5m"),
        }
    }

    /// The run of the newest attempt.
    pub(super) fn run(&mut self) -> &mut RunView {
        let attempt = self.record.attempt.as_ref().expect("an attempt");
        self.runs.get_mut(&attempt.run.0).expect("a run")
    }

    /// A good measurement, whose window began now.
    pub(super) fn measure_well(&mut self) {
        let now = at(self.now);
        let run = self.run();
        run.measured_since = Some(now);
        run.has_judged = true;
        run.evidence = true;
        run.lacking.clear();
        run.doubts.clear();
    }

    /// A measurement that could not be made.
    pub(super) fn measure_in_vain(&mut self) {
        let run = self.run();
        run.has_judged = true;
        run.doubts = vec![UNREACHABLE.to_owned()];
    }

    /// The run's end.
    pub(super) fn end_run(&mut self, phase: Phase, why: &str) {
        end(self.run(), phase, why);
    }

    /// The commands that the newest attempt's run was told.
    pub(super) fn commands(&self) -> Vec<Command> {
        let attempt = self.record.attempt.as_ref().expect("an attempt");
        let own = self.told.iter().filter(|(run, _)| *run == attempt.run.0);
        own.map(|(_, command)| *command).collect()
    }
}

fn end(view: &mut RunView, phase: Phase, why: &str) {
    if !view.phase.is_over() {
        view.phase = phase;
        why.clone_into(&mut view.why);
        view.is_endless = false;
    }
}
