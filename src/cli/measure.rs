//! `skygate measure`.

use std::sync::Arc;

use clap::Args;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::options::{OapArgs, TemplateArgs, When, when};
use super::outcome::{Failure, Outcome};
use super::prepare::{self, Prepared};
use super::remote::{self, Asked};
use super::report::{Delivery, Report, ReportArgs, Told};
use super::service::{Remote, ServiceArgs};
use super::show;
use super::unless_interrupted;
use crate::domain::assess::worst;
use crate::domain::fault::{Fault, listed, shown};
use crate::domain::judge::judge;
use crate::domain::measurement::Measurement;
use crate::domain::plan::MetricPlan;
use crate::ports::{MetricSource, Moment};
use crate::wire::{self, MeasurementRequest};

/// Measure once and explain
///
/// Prints what was asked, for which window, what came back and what the conditions made of it.
/// The exit code is that of the worst metric.
#[derive(Args, Debug)]
#[command(after_help = super::EXIT_CODES, after_long_help = EXAMPLES)]
pub(super) struct Measure {
    /// A past moment, 2026-11-23T09:12:00Z, or how long ago, 15m
    #[arg(long, value_name = "TIME", value_parser = when)]
    at: Option<When>,

    /// When the version first took traffic, or how long ago: older buckets are another version's
    #[arg(long, value_name = "TIME", value_parser = when)]
    not_before: Option<When>,

    /// Take only this metric; repeatable
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    template: TemplateArgs,

    #[command(flatten)]
    oap: OapArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

const EXAMPLES: &str = "\
Examples:
  skygate measure -f apdex.yaml --arg service-name=checkout --oap http://localhost:12800
  skygate measure -f apdex.yaml --arg service-name=checkout --at 2026-11-23T03:12:00Z -o json

Exit codes:
  0  Successful
  1  Failed: the condition was evaluated and not met
  2  usage, or an invalid template
  3  Inconclusive
  4  Error: it could not be measured";

impl Measure {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        let inputs = self.template.inputs().chain(self.oap.inputs());
        let inputs = inputs.chain(self.service.inputs());
        let delivery = Delivery::open(&self.report, inputs, false)?;
        delivery.close(unless_interrupted(self.judge()).await.transpose())
    }

    async fn judge(&self) -> Result<Told<wire::Measured>, Failure> {
        match self.service.open()? {
            Some(service) => self.there(&service).await,
            None => self.here().await,
        }
    }

    /// Measures in this process.
    async fn here(&self) -> Result<Told<wire::Measured>, Failure> {
        let clock = prepare::clock(None);
        let moment = self.moment(clock.now())?;
        let prepared = Prepared::from_args(&self.template, self.oap.anywhere())?;
        let oap = prepare::oap(&self.oap, None, Arc::clone(&clock), &prepared.plan)?;

        let measuring = self.chosen(&prepared)?.into_iter().map(async |metric| {
            let started_at = clock.now();
            let server = prepare::whom(&oap, &prepared.plan, metric);
            let reading = prepare::patiently(&server, oap.read(&metric.source, moment)).await;
            let masker = &prepared.plan.masker;
            let measurement = judge(metric, reading, 1, started_at, clock.now(), masker);
            (metric, measurement)
        });
        let measured = join_all(measuring).await;
        Ok(self.told(&prepared, &measured))
    }

    /// Has a service measure.
    async fn there(&self, service: &Remote) -> Result<Told<wire::Measured>, Failure> {
        remote::refuse_own(&self.oap, &self.template)?;
        let moment = self.moment(service.clock.now())?;
        let asked = Asked::from_args(&self.template)?;
        let (namespace, name) = (asked.namespace.clone(), asked.name);
        let new = MeasurementRequest {
            namespace: Some(asked.namespace),
            templates: asked.templates,
            spec: asked.spec,
            args: asked.args,
            not_before: moment.not_before.map(wire::time),
            at: moment.at.map(wire::time),
            metrics: self.metrics.clone(),
            ..MeasurementRequest::default()
        };
        let measured = service.client.measure(&new);
        let measured = prepare::patiently(service.client.server(), measured).await?;
        let measurements: Vec<(&MetricPlan, Measurement)> = measured
            .metrics()
            .map(|(metric, measurement)| (metric, measurement.clone()))
            .collect();
        let prepared = Prepared {
            namespace,
            name,
            plan: Arc::clone(&measured.plan),
        };
        Ok(self.told(&prepared, &measurements))
    }

    fn moment(&self, now: Timestamp) -> Result<Moment, Failure> {
        let at = self.at.map(|at| at.resolve(now));
        if at.is_some_and(|at| at > now) {
            return Err(
                Fault::new("--at", "is in the future; nothing was measured then yet").into(),
            );
        }
        let not_before = self.not_before.map(|at| at.resolve(now));
        Ok(Moment { at, not_before })
    }

    fn chosen<'a>(&self, prepared: &'a Prepared) -> Result<Vec<&'a MetricPlan>, Failure> {
        let metrics = &prepared.plan.metrics;
        let names = || metrics.iter().map(|metric| metric.name.as_str());
        let is_unknown = |name: &&String| !names().any(|known| known == name.as_str());
        if let Some(name) = self.metrics.iter().find(is_unknown) {
            let message = format!("no metric {}; there are {}", shown(name), listed(names()));
            return Err(Fault::new("--metric", message).into());
        }
        let is_wanted =
            |metric: &&MetricPlan| self.metrics.is_empty() || self.metrics.contains(&metric.name);
        Ok(metrics.iter().filter(is_wanted).collect())
    }

    fn told(
        &self,
        prepared: &Prepared,
        measured: &[(&MetricPlan, Measurement)],
    ) -> Told<wire::Measured> {
        let texts = measured.iter().map(|(metric, it)| {
            let measurement = show::measurement(metric, it, &prepared.plan.masker);
            measurement + &show::in_a_run(metric, it)
        });
        let texts: Vec<String> = texts.collect();
        let named = measured.iter();
        let named = named.map(|(metric, it)| (metric.name.as_str(), it));
        let measurements = || measured.iter().map(|(_, measurement)| measurement);
        let outcome = worst(measurements().map(|measurement| measurement.phase)).into();
        Told {
            report: Report::of_measurements(prepared, measured, outcome),
            text: texts.join("\n"),
            whole: wire::Measured::new(named).with_spec(&prepared.plan),
            hint: prepare::elsewhere(&self.oap, measurements())
                .filter(|_| self.service.server.is_none()),
        }
    }
}
