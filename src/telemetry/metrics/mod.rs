//! Every family that Prometheus collects, named once.
//!
//! `analysis_run_*` have the names of Argo Rollouts' controller. Runs come and go, so nothing is labelled by them: a run is counted
//! under its namespace and its name, which is that of its templates, or that of its canary and template without the number of an
//! attempt, and from a certain number of those on as `other`. What is counted under a name goes some time after the last run of it.
//!
//! Alerts go by increases, and what begins at 1 has none: whatever they count is there, at zero, before it can happen, as far as its
//! labels are known by then.

mod sets;

use std::time::Duration;

use http::Method;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use tokio::time::Instant;

use self::sets::Sets;
use super::observed::OPERATIONS;
use crate::domain::flagger::counted_as;
use crate::domain::measurement::Phase;
use crate::domain::reading::ErrorClass;
use crate::domain::run::{Run, RunId};
use crate::domain::verdict::TERMINATED;
use crate::ports::{Observer, Tally};

/// The statuses of answers that are no fault of who asked.
const SERVER_ERRORS: [&str; 2] = ["500", "503"];

/// What stands for the others.
const OTHER: &str = "other";

/// What is counted and timed.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    run_phase: IntGaugeVec,
    run_metric_phase: IntGaugeVec,
    runs_ended: IntCounterVec,
    measurements: IntCounterVec,
    lateness: Histogram,
    oap_reads: HistogramVec,
    oap_errors: IntCounterVec,
    store_calls: HistogramVec,
    store_errors: IntCounterVec,
    http_requests: IntCounterVec,
    http_time: HistogramVec,
    http_waiting: IntGauge,
    sets: Sets,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Sockets and disks: from a tenth of a millisecond to half a minute.
const FAST: [f64; 12] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0,
];

/// How late measurements are: from a hundredth of a second to five minutes.
const LATE: [f64; 10] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

impl Metrics {
    /// Every family, at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let build = GaugeVec::new(
            Opts::new("skygate_build_info", "Which version this is; always 1"),
            &["version"],
        );
        let build = registered(&registry, build);
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let store_errors = counters(
            &registry,
            "skygate_store_errors_total",
            "Calls in which the store itself failed",
            &["operation"],
        );
        for operation in OPERATIONS {
            store_errors.with_label_values(&[operation]);
        }
        Self {
            run_phase: gauges(
                &registry,
                "analysis_run_phase",
                "How many analysis runs are kept, by phase",
                &["phase"],
            ),
            run_metric_phase: gauges(
                &registry,
                "analysis_run_metric_phase",
                "The phase of a metric in the run of that namespace and name that was measured last: 1 for that phase, 0 for the others",
                &["namespace", "name", "metric", "dry_run", "phase"],
            ),
            runs_ended: counters(
                &registry,
                "skygate_runs_ended_total",
                "Analysis runs that ended, by phase",
                &["namespace", "name", "phase"],
            ),
            measurements: counters(
                &registry,
                "skygate_measurements_total",
                "Measurements taken, by phase",
                &["phase"],
            ),
            lateness: registered(
                &registry,
                Histogram::with_opts(options(
                    "skygate_measurement_lateness_seconds",
                    "How long after they were due measurements were begun",
                    &LATE,
                )),
            ),
            oap_reads: histograms(
                &registry,
                "skygate_oap_read_duration_seconds",
                "How long reading a metric from an OAP took, waits and further tries included",
                &["server"],
            ),
            oap_errors: counters(
                &registry,
                "skygate_oap_errors_total",
                "Readings that failed, by class",
                &["server", "class"],
            ),
            store_calls: histograms(
                &registry,
                "skygate_store_duration_seconds",
                "How long calls of the store took",
                &["operation"],
            ),
            store_errors,
            http_requests: counters(
                &registry,
                "skygate_http_requests_total",
                "Requests answered, by the template of their route",
                &["method", "route", "status"],
            ),
            http_time: histograms(
                &registry,
                "skygate_http_request_duration_seconds",
                "How long requests took, waits that callers asked for included",
                &["route"],
            ),
            http_waiting: registered(
                &registry,
                IntGauge::new(
                    "skygate_http_waiting",
                    "Callers that wait for news of a run",
                ),
            ),
            sets: Sets::default(),
            registry,
        }
    }

    /// All families in Prometheus' text form.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Takes over how many runs there are.
    pub fn count_runs(&self, tally: &Tally) {
        for phase in Phase::ALL {
            let count = tally.get(phase.name()).copied().unwrap_or_default();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.run_phase.with_label_values(&[phase.name()]).set(count);
        }
    }

    /// Takes over how many callers wait for news of a run.
    pub fn count_waiting(&self, count: usize) {
        self.http_waiting
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A request was answered. `route` is the template of its path, and empty where it has none.
    pub fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        // Callers can make methods up.
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => OTHER,
        };
        let mut digits = [0; 3];
        let status = three_digits(status, &mut digits);
        self.http_requests
            .with_label_values(&[method, route, status])
            .inc();
        for error in SERVER_ERRORS {
            self.http_requests
                .with_label_values(&[method, route, error]);
        }
        self.http_time
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }

    /// A metric was read, or could not be.
    pub(super) fn read(&self, server: &str, error: Option<ErrorClass>, took: Duration) {
        let server = if self.sets.has(server) { server } else { OTHER };
        self.oap_reads
            .with_label_values(&[server])
            .observe(took.as_secs_f64());
        for class in ErrorClass::ALL {
            let errors = self.oap_errors.with_label_values(&[server, class.name()]);
            errors.inc_by(u64::from(error == Some(class)));
        }
    }

    /// The store was called.
    pub(super) fn stored(&self, operation: &str, failed: bool, took: Duration) {
        self.store_calls
            .with_label_values(&[operation])
            .observe(took.as_secs_f64());
        let errors = self.store_errors.with_label_values(&[operation]);
        errors.inc_by(u64::from(failed));
    }

    /// Counts an end of `run`, as often as it came.
    fn count_end(&self, run: &Run, end: &str, ends: u64) {
        let (namespace, name) = if self.sets.has_run(run) {
            (run.namespace.as_str(), counted_as(run))
        } else {
            (OTHER, OTHER)
        };
        self.runs_ended
            .with_label_values(&[namespace, name, end])
            .inc_by(ends);
    }

    fn show(&self, run: &Run, index: usize) {
        let (metric, state) = (&run.plan.metrics[index], &run.metrics[index]);
        let dry_run = if metric.dry_run { "true" } else { "false" };
        if !self.sets.has_metric(run, &metric.name, dry_run) {
            return;
        }
        let (namespace, name) = (run.namespace.as_str(), counted_as(run));
        for phase in Phase::ALL {
            let labels = [namespace, name, &metric.name, dry_run, phase.name()];
            let value = i64::from(phase == state.phase);
            self.run_metric_phase.with_label_values(&labels).set(value);
        }
    }

    /// Leaves out what is counted under names that no run has had for a while.
    fn drop_idle(&self) {
        for gone in self.sets.take_idle(Instant::now()) {
            let (namespace, name) = (gone.namespace.as_str(), gone.name.as_str());
            // What was never counted cannot be left out, and need not be.
            for end in ends() {
                let _ = self.runs_ended.remove_label_values(&[namespace, name, end]);
            }
            for phase in Phase::ALL {
                for (metric, dry_run) in &gone.metrics {
                    let labels = [namespace, name, metric, dry_run, phase.name()];
                    let _ = self.run_metric_phase.remove_label_values(&labels);
                }
            }
        }
    }
}

/// How runs end: in a phase, or by somebody's hand where that alone made them Successful.
fn ends() -> impl Iterator<Item = &'static str> {
    let phases = Phase::ALL.into_iter().filter(|phase| phase.is_over());
    phases.map(Phase::name).chain([TERMINATED])
}

impl Observer for Metrics {
    fn taken_up(&self, run: &Run) {
        for end in ends() {
            self.count_end(run, end, 0);
        }
    }

    fn began(&self, late: Duration) {
        self.lateness.observe(late.as_secs_f64());
    }

    fn measured(&self, run: &Run, metric: usize, phase: Phase) {
        self.measurements.with_label_values(&[phase.name()]).inc();
        self.show(run, metric);
    }

    fn ended(&self, run: &Run) {
        self.count_end(run, run.end_word(), 1);
        for index in 0..run.metrics.len() {
            self.show(run, index);
        }
    }

    fn forgotten(&self, runs: &[RunId]) {
        self.sets.forget(runs, Instant::now());
        self.drop_idle();
    }
}

fn three_digits(number: u16, digits: &mut [u8; 3]) -> &str {
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    std::str::from_utf8(digits).unwrap_or(OTHER)
}

fn options(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(buckets.to_vec())
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn histograms(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    registered(
        registry,
        HistogramVec::new(options(name, help, &FAST), labels),
    )
}

fn registered<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    family: prometheus::Result<C>,
) -> C {
    let family = family.expect("names and labels are constants that a test goes through");
    registry
        .register(Box::new(family.clone()))
        .expect("each name is given once");
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_there_from_the_start() {
        let metrics = Metrics::new();
        metrics.count_runs(&Tally::from([("Running", 3)]));
        metrics.answered(&Method::GET, "/healthz", 200, Duration::from_millis(1));
        metrics.answered(
            &Method::from_bytes(b"BREW").unwrap(),
            "",
            404,
            Duration::ZERO,
        );
        metrics.stored("get", false, Duration::ZERO);
        let text = metrics.text().unwrap();
        for expected in [
            "skygate_store_errors_total{operation=\"get\"} 0",
            "analysis_run_phase{phase=\"Running\"} 3",
            "analysis_run_phase{phase=\"Failed\"} 0",
            "skygate_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1",
            "skygate_http_requests_total{method=\"other\",route=\"\",status=\"404\"} 1",
            "skygate_measurement_lateness_seconds_count 0",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
