//! What is to become of each run: what its OAP answers, and so how it ends.

use std::time::Duration;

use skygate::domain::measurement::Phase;
use skygate::domain::plan::Limits;

/// How often a run measures.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// How long a run whose service is silent waits for data before it gives up.
pub(super) const NO_DATA: Duration = Duration::from_secs(3);

/// From this value on an answer is a good one; below it is a bad one.
pub(super) const GOOD: u64 = 1_000_000;

/// What a run's OAP does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All is well, in two metrics: by an expression and by a query.
    Good,
    /// All is bad.
    Bad,
    /// Good and bad by turns.
    Mixed,
    /// Now and then there is no data.
    Gappy,
    /// There never is any.
    Silent,
    /// The answer is an error.
    Broken,
    /// Each answer takes its time.
    Slow,
    /// Now and then whoever asks is turned away.
    Flaky,
    /// All is well, and it goes on until somebody ends it.
    Endless,
}

const KINDS: [Kind; 9] = [
    Kind::Good,
    Kind::Bad,
    Kind::Mixed,
    Kind::Gappy,
    Kind::Silent,
    Kind::Broken,
    Kind::Slow,
    Kind::Flaky,
    Kind::Endless,
];

/// One run before it is started.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) number: usize,
    pub(super) kind: Kind,
    /// How many measurements end it.
    count: usize,
}

impl Plot {
    /// So many runs, long enough for so many kills.
    pub(super) fn some(runs: usize, kills: usize) -> Vec<Self> {
        let mut dice = Dice::new(runs as u64);
        let longest = 4 + kills / 2;
        let plot = |number: usize| Self {
            number,
            kind: KINDS[number % KINDS.len()],
            count: dice.below(longest / 2..longest),
        };
        (0..runs).map(plot).collect()
    }

    /// The service that it is about.
    pub(super) fn service(&self) -> String {
        service(self.number)
    }

    /// Under which it is started once, however often that is asked for.
    pub(super) fn key(&self) -> String {
        format!("run-{}", self.number)
    }

    pub(super) fn is_endless(&self) -> bool {
        self.kind == Kind::Endless
    }

    pub(super) fn limits(&self) -> Limits {
        let count = match self.kind {
            Kind::Endless => 0,
            Kind::Good
            | Kind::Bad
            | Kind::Mixed
            | Kind::Gappy
            | Kind::Silent
            | Kind::Broken
            | Kind::Slow
            | Kind::Flaky => i64::try_from(self.count).expect("few"),
        };
        Limits {
            count,
            failure: match self.kind {
                Kind::Mixed => count / 2,
                Kind::Bad => 1,
                Kind::Good
                | Kind::Gappy
                | Kind::Silent
                | Kind::Broken
                | Kind::Slow
                | Kind::Flaky
                | Kind::Endless => 0,
            },
            consecutive_error: 0,
            ..Limits::default()
        }
    }

    /// How it ends, however often the service is killed; `None`: its measurements decide.
    pub(super) fn verdict(&self) -> Option<Phase> {
        match self.kind {
            Kind::Good | Kind::Gappy | Kind::Slow | Kind::Flaky | Kind::Endless => {
                Some(Phase::Successful)
            }
            Kind::Bad => Some(Phase::Failed),
            Kind::Silent => Some(Phase::Inconclusive),
            Kind::Broken => Some(Phase::Error),
            Kind::Mixed => None,
        }
    }

    /// The body that starts it.
    pub(super) fn body(&self) -> String {
        let service = self.service();
        let limits = self.limits();
        let count = match limits.count {
            0 => String::new(),
            count => format!("count: {count}, "),
        };
        let head = format!(
            "interval: {INTERVAL:?}, {count}failureLimit: {}, consecutiveErrorLimit: 0, successCondition: all(values >= {GOOD})",
            limits.failure
        );
        let patience = if self.kind == Kind::Silent {
            NO_DATA
        } else {
            Duration::from_hours(1)
        };
        let provider = format!("oap: sim, interval: 3m, noDataTimeout: {patience:?}");
        let mut metrics = format!(
            "{{ name: expression, {head}, provider: {{ skywalking: {{ {provider}, expression: service_apdex, entity: {{ serviceName: {service}, normal: true }} }} }} }}"
        );
        if self.kind == Kind::Good {
            let query = format!(
                "query q($duration: Duration!) {{ r: readMetricsValues(condition: {{ name: \\\"service_apdex\\\", entity: {{ scope: Service, serviceName: \\\"{service}\\\", normal: true }} }}, duration: $duration) {{ values {{ values {{ value }} }} }} }}"
            );
            metrics = format!(
                "{metrics}, {{ name: query, {head}, provider: {{ skywalking: {{ {provider}, query: \"{query}\" }} }} }}"
            );
        }
        let kept =
            ["expression", "query"].map(|name| format!("{{ metricName: {name}, limit: 10000 }}"));
        let kept = if self.kind == Kind::Good {
            kept.join(", ")
        } else {
            kept[0].clone()
        };
        format!("spec: {{ metrics: [{metrics}], measurementRetention: [{kept}] }}")
    }
}

/// The service of the run of this number.
pub(super) fn service(number: usize) -> String {
    format!("service-{number:04}")
}

/// Chance that is the same every time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number of this range.
    pub(super) fn below(&mut self, range: std::ops::Range<usize>) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let width = range.len().max(1) as u64;
        let within = usize::try_from((self.0 >> 16) % width).expect("less than a usize");
        range.start + within
    }

    /// Comes true once in so many throws.
    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(0..many) == 0
    }
}
