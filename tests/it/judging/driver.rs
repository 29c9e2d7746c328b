//! A run on a virtual clock, fed with scripted measurements.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use skygate::domain::analysis::Analysis;
use skygate::domain::args::Masker;
use skygate::domain::measurement::{Measurement, Phase};
use skygate::domain::plan::{
    Ask, Entity, Gaps, Limits, MetricPlan, NoData, Plan, Server, SourcePlan, Ttl,
};
use skygate::domain::run::{Effect, Event, Run, RunId, step};
use skygate::domain::window::{Step, WindowSpec};

/// The moment at which the virtual clock shows `ms`.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + ms).expect("a moment near 2027")
}

/// What the virtual clock shows at `moment`, in seconds.
pub(super) fn seconds(moment: Timestamp) -> f64 {
    moment.duration_since(at(0)).as_secs_f64()
}

/// A metric that reads something, with Argo's defaults.
pub(crate) fn metric(name: &str, interval: Option<u64>) -> MetricPlan {
    MetricPlan {
        name: name.to_owned(),
        interval: interval.map(Duration::from_secs),
        initial_delay: Duration::ZERO,
        limits: Limits::default(),
        success: None,
        failure: None,
        dry_run: false,
        retention: 10,
        source: Arc::new(SourcePlan {
            server: Server::Named("oap".to_owned()),
            ask: Ask::Expression {
                expression: "service_apdex".to_owned(),
                entity: Entity::default(),
            },
            window: WindowSpec {
                interval: Duration::from_mins(3),
                step: Step::Minute,
                settle: Duration::from_secs(90),
            },
            gaps: Gaps::Skip,
            holds_secret: false,
        }),
        no_data: NoData::Wait,
        no_data_timeout: Duration::from_mins(10),
    }
}

/// A run of these metrics, created at 0.
pub(crate) fn run_of(metrics: Vec<MetricPlan>) -> Run {
    let plan = Plan {
        analysis: Arc::new(Analysis::of_written("bookinfo", &Value::Null)),
        metrics,
        ttl: Ttl::default(),
        masker: Masker::default(),
        warnings: Vec::new(),
        unready: None,
    };
    Run::new(
        RunId("7f1c".to_owned()),
        "bookinfo",
        "reviews-1",
        Arc::new(plan),
        at(0),
    )
}

/// A finished measurement without anything to explain it.
pub(crate) fn measured(number: u64, phase: Phase, ms: i64) -> Measurement {
    Measurement {
        number,
        phase,
        counts: true,
        message: String::new(),
        value: String::new(),
        started_at: at(ms),
        finished_at: Some(at(ms)),
        explanation: None,
    }
}

/// One that found no data and waits for some.
pub(super) fn waiting(number: u64, ms: i64) -> Measurement {
    Measurement {
        counts: false,
        ..measured(number, Phase::Inconclusive, ms)
    }
}

pub(super) fn phase(name: &str) -> Phase {
    match name {
        "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Successful" => Phase::Successful,
        "Failed" => Phase::Failed,
        "Error" => Phase::Error,
        "Inconclusive" => Phase::Inconclusive,
        other => panic!("no phase is called {other}"),
    }
}

/// What a metric's source answers when it is asked the next time.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) phase: Phase,
    pub(super) counts: bool,
    pub(super) message: String,
    pub(super) value: String,
    pub(super) takes: Duration,
    /// What a source that doesn't answer says when the run wants no more of it.
    pub(super) terminated_as: Option<Phase>,
}

impl Answer {
    pub(super) fn new(phase: Phase) -> Self {
        Self {
            phase,
            counts: true,
            message: String::new(),
            value: String::new(),
            takes: Duration::ZERO,
            terminated_as: None,
        }
    }

    /// Answers written as their first letters; `W` waits for data.
    pub(super) fn script(letters: &str) -> VecDeque<Self> {
        letters
            .chars()
            .map(|letter| match letter {
                'S' => Self::new(Phase::Successful),
                'F' => Self::new(Phase::Failed),
                'I' => Self::new(Phase::Inconclusive),
                'E' => Self::new(Phase::Error),
                'R' => Self::new(Phase::Running),
                'W' => Self {
                    counts: false,
                    ..Self::new(Phase::Inconclusive)
                },
                other => panic!("no answer is written {other}"),
            })
            .collect()
    }

    /// An answer as the corpus writes it: a phase, or an object.
    pub(super) fn from_json(json: &Value) -> Self {
        let Value::Object(fields) = json else {
            return Self::new(phase(json.as_str().expect("a phase")));
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        Self {
            message: text("message").unwrap_or_default().to_owned(),
            value: text("value").unwrap_or_default().to_owned(),
            takes: fields
                .get("takesSeconds")
                .and_then(Value::as_f64)
                .map_or(Duration::ZERO, Duration::from_secs_f64),
            terminated_as: text("terminatedAs").map(phase),
            ..Self::new(phase(text("phase").expect("a phase")))
        }
    }
}

/// A run, its clock, what its sources will answer, and what has happened.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) run: Run,
    pub(super) now: Timestamp,
    scripts: Vec<VecDeque<Answer>>,
    on_the_way: Vec<(usize, Measurement)>,
    unanswered: Vec<(usize, u64, Answer)>,
    /// When which metric was begun to be measured, and what came of it.
    pub(super) timeline: Vec<(f64, String, Phase)>,
}

impl Rig {
    pub(super) fn new(run: Run, scripts: Vec<VecDeque<Answer>>) -> Self {
        Self {
            run,
            now: at(0),
            scripts,
            on_the_way: Vec::new(),
            unanswered: Vec::new(),
            timeline: Vec::new(),
        }
    }

    /// Lives through the run until it is over, has nothing to do, or asks a source that has nothing left to say.
    pub(super) fn play(&mut self) {
        loop {
            let arrival = self
                .on_the_way
                .iter()
                .enumerate()
                .min_by_key(|(_, (_, measurement))| measurement.finished_at)
                .map(|(i, (_, measurement))| (i, measurement.finished_at.expect("set")));
            match (arrival, self.run.next_due()) {
                (Some((i, arrives)), due) if due.is_none_or(|due| arrives <= due) => {
                    let (metric, measurement) = self.on_the_way.remove(i);
                    self.now = self.now.max(arrives);
                    self.tell(Event::Measured {
                        metric,
                        measurement,
                    });
                    self.dismiss_the_unanswered();
                }
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    if !self.tick() {
                        return;
                    }
                }
                (_, None) => return,
            }
        }
    }

    pub(super) fn tell(&mut self, event: Event) -> Vec<Effect> {
        let (run, effects) = step(self.run.clone(), event, self.now);
        self.run = run;
        effects
    }

    /// Begins what is due; false if the script doesn't say what comes of it.
    fn tick(&mut self) -> bool {
        let (run, effects) = step(self.run.clone(), Event::Due, self.now);
        let is_scripted =
            |&Effect::Measure { metric, .. }: &Effect| !self.scripts[metric].is_empty();
        if !effects.iter().all(is_scripted) {
            return false;
        }
        self.run = run;
        for Effect::Measure { metric, number } in effects {
            let answer = self.scripts[metric].pop_front().expect("looked at above");
            let name = self.run.plan.metrics[metric].name.clone();
            self.timeline.push((seconds(self.now), name, answer.phase));
            if answer.phase == Phase::Running {
                self.unanswered.push((metric, number, answer));
                continue;
            }
            let measurement = Measurement {
                number,
                phase: answer.phase,
                counts: answer.counts,
                message: answer.message,
                value: answer.value,
                started_at: self.now,
                finished_at: self.now.checked_add(answer.takes).ok(),
                explanation: None,
            };
            self.on_the_way.push((metric, measurement));
        }
        true
    }

    /// Once the run wants nothing more, a source that has not answered says so.
    fn dismiss_the_unanswered(&mut self) {
        if self.run.stop.is_none() {
            return;
        }
        for (metric, number, answer) in std::mem::take(&mut self.unanswered) {
            let phase = answer.terminated_as.expect("said by the script");
            let name = self.run.plan.metrics[metric].name.clone();
            self.timeline.push((seconds(self.now), name, phase));
            let measurement = Measurement {
                number,
                phase,
                message: "Metric Terminated".to_owned(),
                started_at: self.now,
                finished_at: Some(self.now),
                ..measured(number, phase, 0)
            };
            self.on_the_way.push((metric, measurement));
        }
    }
}
