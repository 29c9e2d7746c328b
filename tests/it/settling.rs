//! Why Skygate reads settled minutes only: the seed's template, started at every second of a minute, against an OAP that writes
//! its newest minutes in rounds, as real ones do. A healthy service never fails a measurement; in Argo's window it does.
//!
//! `cargo test --test it settling -- --nocapture` prints the figures.

use std::fmt::{self, Write as _};
use std::time::Duration;

use skygate::domain::measurement::Phase;
use skygate::domain::run::Run;
use skygate::sim::{Behaviour, Service};
use tokio::task::JoinSet;

use crate::harness::{SEED, Stage, at, history, moments};

/// A run starts at each of these seconds after the full minute.
const STARTS: u64 = 60;

/// How far the OAP's rounds, which are 25 s apart, are shifted against the minute in each of the repetitions, in seconds.
const ROUNDS: [u64; 5] = [0, 5, 10, 15, 20];

/// Long enough for seven measurements, five minutes apart.
const CONCLUDE_AFTER: Duration = Duration::from_mins(31);

const HEALTHY: &str = "canary|reviews|bookinfo|cp-cluster-1|-";
const QUIET: &str = "quiet|reviews|bookinfo|cp-cluster-1|-";
const DEGRADED: &str = "degraded|reviews|bookinfo|cp-cluster-1|-";

/// Which minutes a run looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// The template as it is: the newest settled minutes.
    Settled,
    /// The same with `settle: 0s` and `gaps: zero`: from now minus the interval to now, minutes without data being 0.
    AsArgo,
}

impl Reads {
    fn template(self) -> String {
        match self {
            Self::Settled => SEED.to_owned(),
            Self::AsArgo => {
                let provider = "        interval: 3m\n";
                assert_eq!(SEED.matches(provider).count(), 1, "{SEED}");
                SEED.replace(
                    provider,
                    &format!("{provider}        settle: 0s\n        gaps: zero\n"),
                )
            }
        }
    }
}

/// What became of all runs about one service that read alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    runs: usize,
    runs_failed: usize,
    measurements: usize,
    measurements_failed: usize,
}

impl Tally {
    fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.runs_failed += usize::from(run.phase == Phase::Failed);
        self.measurements += history(run).len();
        self.measurements_failed += history(run).matches('F').count();
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.runs_failed += other.runs_failed;
        self.measurements += other.measurements;
        self.measurements_failed += other.measurements_failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>3} of {:>3} runs, {:>4} of {:>4} measurements",
            self.runs_failed, self.runs, self.measurements_failed, self.measurements
        )
    }
}

/// The three services, each read in both ways, in the order of the table. The quiet one's only request of a minute comes in its
/// first second, which is the best place for Argo's window that there is.
const CASES: [(&str, &str, Reads); 6] = [
    ("healthy, 12 requests a minute", HEALTHY, Reads::Settled),
    ("healthy, 12 requests a minute", HEALTHY, Reads::AsArgo),
    ("healthy, 1 request a minute", QUIET, Reads::Settled),
    ("healthy, 1 request a minute", QUIET, Reads::AsArgo),
    ("degraded, 12 requests a minute", DEGRADED, Reads::Settled),
    ("degraded, 12 requests a minute", DEGRADED, Reads::AsArgo),
];

/// Plays all cases from every second of a minute on, with the OAP's rounds shifted by so many seconds.
async fn play(shift: u64) -> [Tally; 6] {
    let services = vec![
        Service::new(HEALTHY, Behaviour::Healthy),
        Service::new(QUIET, Behaviour::Healthy).rate(1),
        Service::new(DEGRADED, Behaviour::Degraded),
    ];
    let mut stage = Stage::playing(services, |config| config.flush.anchor = at(shift)).await;
    let plans = CASES.map(|(_, service, reads)| stage.plan(service, &reads.template()));
    let mut started = Vec::new();
    for second in 0..STARTS {
        stage.clock.move_to(at(second));
        for (case, plan) in plans.iter().enumerate() {
            let mut run = stage.run_of(plan);
            run.conclude_after = Some(CONCLUDE_AFTER);
            started.push((case, run.id.clone()));
            stage.engine.start(&run).await.expect("a new run");
        }
        stage.tick().await;
    }
    stage.play_until(at(3_600)).await;

    let mut tallies = [Tally::default(); 6];
    for (case, id) in started {
        let run = stage.get(&id).await;
        assert!(run.phase.is_over(), "{run:?}");
        let measured = moments(&run);
        assert!(measured.iter().zip(0..).all(|(at, i)| *at == i * 300));
        assert!(measured.len() == 7 || run.phase == Phase::Failed, "{run:?}");
        tallies[case].add(&run);
    }
    tallies
}

#[expect(clippy::print_stdout, reason = "the figures are for people to read")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_minutes_fail_no_healthy_service_and_argos_window_does() {
    let mut playing = JoinSet::new();
    for shift in ROUNDS {
        playing.spawn(play(shift));
    }
    let mut tallies = [Tally::default(); 6];
    for round in playing.join_all().await {
        for (sum, tally) in tallies.iter_mut().zip(round) {
            *sum += tally;
        }
    }
    println!("{}", table(&tallies));

    let [
        ours,
        argos,
        ours_quiet,
        argos_quiet,
        ours_degraded,
        argos_degraded,
    ] = tallies;
    for healthy in [ours, ours_quiet] {
        assert_eq!((healthy.runs_failed, healthy.measurements_failed), (0, 0));
        assert_eq!((healthy.runs, healthy.measurements), (300, 7 * 300));
    }
    // Nothing here is random: whoever changes these figures changes them in the README too.
    for healthy in [argos, argos_quiet] {
        assert_eq!((healthy.runs_failed, healthy.runs), (67, 300));
        assert_eq!(
            (healthy.measurements_failed, healthy.measurements),
            (335, 1_929)
        );
    }
    for degraded in [ours_degraded, argos_degraded] {
        assert_eq!((degraded.runs_failed, degraded.runs), (300, 300));
        assert_eq!(
            (degraded.measurements_failed, degraded.measurements),
            (4 * 300, 4 * 300)
        );
    }
}

fn table(tallies: &[Tally; 6]) -> String {
    let mut table = format!(
        "failed, of {STARTS} starts in each of {} phases of the OAP's rounds:",
        ROUNDS.len()
    );
    for ((service, _, reads), tally) in CASES.iter().zip(tallies) {
        let window = match reads {
            Reads::Settled => "the template as it is",
            Reads::AsArgo => "settle: 0s, gaps: zero",
        };
        write!(table, "\n  {service:<31} {window:<23} {tally}").expect("a string takes everything");
    }
    table
}
