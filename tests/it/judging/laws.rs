//! What holds for every run, whatever happens to it.

use std::time::Duration;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use skygate::domain::assess::{Counts, assess};
use skygate::domain::measurement::{Measurement, Phase};
use skygate::domain::plan::{Limits, MetricPlan};
use skygate::domain::run::{Command, Effect, Event, Run, step};

use super::driver::{at, measured, metric, run_of, waiting};

/// Something that happens to a run. Indexes are taken modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Nothing but time.
    Sleep(i64),
    /// Time until the run wants to be looked at, and a little more.
    Wake(i64),
    /// One of the measurements in flight comes back.
    Answer {
        which: usize,
        kind: Kind,
    },
    /// An answer that was given before comes again.
    Repeat(usize),
    /// An answer that nobody asked for.
    Stray {
        metric: usize,
        number: u64,
    },
    Terminate,
    Conclude,
    NotBefore(i64),
    NoTrafficBefore(i64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Phase(Phase),
    Waiting,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        9 => phases().prop_map(Kind::Phase),
        1 => Just(Kind::Waiting),
    ]
}

fn phases() -> impl Strategy<Value = Phase> {
    prop_oneof![
        4 => Just(Phase::Successful),
        2 => Just(Phase::Failed),
        1 => Just(Phase::Inconclusive),
        2 => Just(Phase::Error),
    ]
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        10 => (0..200_000i64).prop_map(Op::Sleep),
        60 => (0..2_000i64).prop_map(Op::Wake),
        80 => (0..4usize, kinds()).prop_map(|(which, kind)| Op::Answer { which, kind }),
        10 => (0..50usize).prop_map(Op::Repeat),
        10 => (0..4usize, 0..9u64).prop_map(|(metric, number)| Op::Stray { metric, number }),
        1 => Just(Op::Terminate),
        1 => Just(Op::Conclude),
        10 => (0..100i64).prop_map(Op::NotBefore),
        5 => (0..100i64).prop_map(Op::NoTrafficBefore),
    ];
    vec(op, 0..80)
}

fn limits() -> impl Strategy<Value = Limits> {
    (0..6i64, -1..4i64, 0..3i64, 0..5i64, 0..4i64, 0..4i64).prop_map(
        |(count, failure, inconclusive, error, success, failures)| Limits {
            count,
            failure,
            inconclusive,
            consecutive_error: error,
            consecutive_success: success,
            consecutive_failure: failures,
        },
    )
}

fn metrics() -> impl Strategy<Value = MetricPlan> {
    // Few values, so that metrics are often due in the same moment.
    let interval = prop_oneof![Just(None), Just(Some(0)), Just(Some(10)), Just(Some(60))];
    let delay = prop_oneof![3 => Just(0), 1 => Just(10u64)];
    (interval, delay, limits(), any::<bool>(), 1..5usize).prop_map(
        |(interval, delay, limits, dry_run, retention)| MetricPlan {
            initial_delay: Duration::from_secs(delay),
            // A count of several needs an interval: checking refuses anything else.
            limits: Limits {
                count: interval.map_or(0, |_| limits.count),
                ..limits
            },
            dry_run,
            retention,
            no_data_timeout: Duration::from_mins(2),
            ..metric("m", interval)
        },
    )
}

fn runs() -> impl Strategy<Value = Run> {
    let conclude_after = prop_oneof![Just(None), (0..600u64).prop_map(Some)];
    (vec(metrics(), 1..4), conclude_after).prop_map(|(metrics, conclude_after)| {
        let mut run = run_of(metrics);
        run.conclude_after = conclude_after.map(Duration::from_secs);
        run
    })
}

/// A run with its history.
pub(crate) struct World {
    pub(crate) run: Run,
    now: i64,
    history: Vec<(Event, Timestamp)>,
    answers: Vec<Event>,
    begun: usize,
}

impl World {
    pub(crate) fn new(run: Run) -> Self {
        Self {
            run,
            now: 0,
            history: Vec::new(),
            answers: Vec::new(),
            begun: 0,
        }
    }

    pub(crate) fn live(&mut self, op: &Op) {
        match op {
            Op::Sleep(ms) => self.now += ms,
            Op::Wake(late) => {
                if let Some(due) = self.run.next_due() {
                    let due = due.as_millisecond() - at(0).as_millisecond();
                    self.now = self.now.max(due + late);
                }
                self.tell(Event::Due);
            }
            Op::Answer { which, kind } => {
                let outstanding = self.run.outstanding();
                if outstanding.is_empty() {
                    return;
                }
                let Effect::Measure { metric, number } = outstanding[which % outstanding.len()];
                let event = Event::Measured {
                    metric,
                    measurement: self.measurement(number, *kind),
                };
                self.answers.push(event.clone());
                self.tell(event);
            }
            Op::Repeat(which) => {
                if !self.answers.is_empty() {
                    self.tell(self.answers[which % self.answers.len()].clone());
                }
            }
            Op::Stray { metric, number } => {
                // A number that is not in flight.
                let stray = Effect::Measure {
                    metric: *metric,
                    number: *number,
                };
                if !self.run.outstanding().contains(&stray) {
                    let measurement = self.measurement(*number, Kind::Phase(Phase::Failed));
                    self.tell(Event::Measured {
                        metric: *metric,
                        measurement,
                    });
                }
            }
            Op::Terminate => self.tell(Event::Command(Command::Terminate)),
            Op::Conclude => self.tell(Event::Command(Command::Conclude)),
            Op::NotBefore(ms) => self.tell(Event::Command(Command::NotBefore(at(*ms)))),
            Op::NoTrafficBefore(ms) => {
                self.tell(Event::Command(Command::NoTrafficBefore(at(*ms))));
            }
        }
    }

    fn measurement(&self, number: u64, kind: Kind) -> Measurement {
        match kind {
            Kind::Phase(phase) => measured(number, phase, self.now),
            Kind::Waiting => waiting(number, self.now),
        }
    }

    fn tell(&mut self, event: Event) {
        self.history.push((event.clone(), at(self.now)));
        let (run, effects) = step(self.run.clone(), event, at(self.now));
        self.begun += effects.len();
        self.run = run;
    }
}

fn shown(run: &Run) -> String {
    format!("{run:?}")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        // What a law finds becomes a story of its own.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_ended_run_stays_ended(run in runs(), ops in ops()) {
        let mut world = World::new(run);
        let mut ended = None;
        for op in &ops {
            world.live(op);
            match &ended {
                Some(ended) => prop_assert_eq!(ended, &shown(&world.run)),
                None if world.run.phase.is_over() => {
                    prop_assert!(world.run.completed_at.is_some());
                    prop_assert_eq!(world.run.next_due(), None);
                    prop_assert_eq!(world.run.outstanding(), []);
                    for state in &world.run.metrics {
                        prop_assert!(state.phase.is_over() || state.cut_short.is_some());
                    }
                    ended = Some(shown(&world.run));
                }
                None => prop_assert!(world.run.completed_at.is_none()),
            }
        }
    }

    #[test]
    fn replaying_the_events_gives_the_same_run(run in runs(), ops in ops()) {
        let mut world = World::new(run.clone());
        for op in &ops {
            world.live(op);
        }
        let replayed = world
            .history
            .iter()
            .fold(run, |run, (event, now)| step(run, event.clone(), *now).0);
        prop_assert_eq!(shown(&replayed), shown(&world.run));
    }

    #[test]
    fn nothing_is_counted_that_was_not_measured(run in runs(), ops in ops()) {
        let mut world = World::new(run);
        let mut waited = vec![0; world.run.metrics.len()];
        for op in &ops {
            let before: Vec<_> = world.run.metrics.iter().map(|m| (m.taken, m.counts)).collect();
            world.live(op);
            for (i, (plan, state)) in world.run.metrics().enumerate() {
                let (taken, counts) = before[i];
                let waits = matches!(op, Op::Answer { kind: Kind::Waiting, .. });
                if waits && state.taken > taken {
                    prop_assert_eq!(state.counts, counts, "waiting for data never counts");
                    waited[i] += 1;
                }
                let counts = &state.counts;
                prop_assert_eq!(counts.total() + waited[i], state.taken);
                prop_assert_eq!(counts.successful + counts.failed + counts.inconclusive, counts.count);
                prop_assert!(counts.consecutive_success <= counts.successful);
                prop_assert!(counts.consecutive_failure <= counts.failed);
                prop_assert!(counts.consecutive_error <= counts.error);
                prop_assert!(state.good <= counts.successful);
                prop_assert!(state.measurements.len() <= plan.retention);
            }
        }
        let taken: u64 = world.run.metrics.iter().map(|state| state.taken).sum();
        prop_assert!(taken <= u64::try_from(world.begun).unwrap());
    }

    #[test]
    fn a_run_under_way_always_has_something_to_wait_for(run in runs(), ops in ops()) {
        let mut world = World::new(run);
        for op in &ops {
            world.live(op);
            if world.run.phase.is_over() {
                continue;
            }
            let next = world.run.next_due();
            prop_assert!(next.is_some() || !world.run.outstanding().is_empty());
            if matches!(op, Op::Wake(_)) {
                prop_assert!(next.is_none_or(|next| next > at(world.now)), "{next:?}");
            }
        }
    }

    /// The answers of one moment: in any order, some of them twice, from an engine that looks at the clock too often.
    #[test]
    fn order_repetition_and_crashes_change_nothing(
        run in runs(),
        rounds in vec((vec(kinds(), 3), any::<bool>(), 0..3usize), 0..20),
    ) {
        let mut straight = World::new(run.clone());
        let mut crooked = World::new(run);
        for (kinds, reversed, again) in rounds {
            straight.live(&Op::Wake(0));
            crooked.live(&Op::Wake(0));
            crooked.tell(Event::Due);
            let effects = straight.run.outstanding();
            prop_assert_eq!(&effects, &crooked.run.outstanding());
            let answers: Vec<Event> = effects
                .iter()
                .map(|&Effect::Measure { metric, number }| Event::Measured {
                    metric,
                    measurement: straight.measurement(number, kinds[metric]),
                })
                .collect();
            for answer in &answers {
                straight.tell(answer.clone());
            }
            let mut shuffled = answers.clone();
            if reversed {
                shuffled.reverse();
            }
            shuffled.extend(answers.iter().take(again).cloned());
            for answer in shuffled {
                crooked.tell(answer);
            }
        }
        prop_assert_eq!(shown(&crooked.run), shown(&straight.run));
    }

    /// A failure in place of a success: never a better end.
    #[test]
    fn a_worse_measurement_never_improves_the_phase(
        limits in limits(),
        before in vec(phases(), 0..10),
        after in vec(phases(), 0..10),
    ) {
        let with = |phase| end_of(&limits, &[&before[..], &[phase], &after[..]].concat());
        let (better, worse) = (with(Phase::Successful), with(Phase::Failed));
        prop_assert!(rank(worse) >= rank(better), "{better} became {worse}");
    }
}

/// The phase of a metric after these measurements, or as far as it takes them.
fn end_of(limits: &Limits, phases: &[Phase]) -> Phase {
    let mut counts = Counts::default();
    let mut end = Phase::Pending;
    for phase in phases {
        counts.record(*phase);
        end = assess(limits, true, &counts, Some(*phase), false).0;
        if end.is_over() {
            break;
        }
    }
    end
}

/// How bad it is; going on is worse than success and better than any bad end.
fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Successful => 0,
        Phase::Pending | Phase::Running => 1,
        Phase::Inconclusive | Phase::Error => 2,
        Phase::Failed => 3,
    }
}
