//! `skygate run`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::options::{OapArgs, TemplateArgs, When, name_and_value, positive_duration, when};
use super::outcome::{Failure, Outcome, tell};
use super::prepare::{self, Prepared};
use super::progress::Progress;
use super::remote::{self, Asked, Interrupted, RemoteWatch};
use super::report::{Delivery, Report, ReportArgs, Told};
use super::service::{Remote, ServiceArgs, idempotency_key};
use super::show;
use super::signals::interrupted;
use super::simulate::Stage;
use crate::domain::duration::short;
use crate::domain::measurement::Phase;
use crate::domain::run::{Run as AnalysisRun, RunId};
use crate::engine::{Engine, Watched};
use crate::oap::Oap;
use crate::ports::{Clock, MetricSource};
use crate::sim::Service;
use crate::store::MemoryStore;
use crate::wire::{self, RunRequest};

/// Judge one analysis to its end
///
/// Measures at the template's intervals until its limits, its count or --conclude-after end it: in this process, or with --server at a service.
/// Progress goes to stderr, the result to stdout, the verdict into the exit code.
#[derive(Args, Debug)]
#[command(after_help = super::EXIT_CODES, after_long_help = EXAMPLES)]
pub(super) struct Run {
    /// End a run that has no `count` after this time
    ///
    /// Successful if every metric has a good measurement by then, else Inconclusive.
    #[arg(long, value_name = "DURATION", env = "SKYGATE_CONCLUDE_AFTER", value_parser = positive_duration)]
    conclude_after: Option<Duration>,

    /// Stop waiting after this time, with exit code 5
    #[arg(long, value_name = "DURATION", env = "SKYGATE_TIMEOUT", value_parser = positive_duration)]
    timeout: Option<Duration>,

    /// When the version first took traffic, or how long ago: older buckets are another version's
    #[arg(long, value_name = "TIME", value_parser = when)]
    not_before: Option<When>,

    /// No progress and no warnings on stderr
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    template: TemplateArgs,

    #[command(flatten)]
    oap: OapArgs,

    #[command(flatten)]
    service: ServiceArgs,

    /// Label of a run at a service, to find it by; repeatable
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = name_and_value, help_heading = "Service")]
    labels: Vec<(String, String)>,

    /// Key under which a service starts one run, however often this command is repeated
    #[arg(
        long,
        value_name = "KEY",
        env = "SKYGATE_IDEMPOTENCY_KEY",
        value_parser = idempotency_key,
        help_heading = "Service"
    )]
    idempotency_key: Option<String>,

    /// On an interrupt, leave the run to the service instead of terminating it
    #[arg(long, help_heading = "Service")]
    leave: bool,

    /// Ask a simulated OAP with these services instead; repeatable
    ///
    /// `skygate simulate-oap --help` tells what a script may say. Without a value the services are its default ones.
    #[arg(long, value_name = "NAME=SCRIPT", num_args = 0.., conflicts_with = "server", help_heading = "Simulation")]
    simulate: Option<Vec<Service>>,

    /// How many times as fast as real time the simulation runs
    #[arg(long, value_name = "N", default_value_t = 60, requires = "simulate", help_heading = "Simulation", value_parser = clap::value_parser!(u32).range(1..=3600))]
    speed: u32,
}

const EXAMPLES: &str = "\
Examples:
  skygate run -f apdex.yaml --arg service-name=checkout --oap http://localhost:12800 --conclude-after 30m
  skygate run -f apdex.yaml --arg service-name=checkout --simulate checkout=degraded@10m
  skygate run -f apdex.yaml --arg service-name=checkout -o json | jq .status.phase
  skygate run --server http://skygate:8080 --template apdex --arg service-name=checkout
  skygate run -f apdex.yaml --arg service-name=checkout -o junit=skygate.xml --fail-on failed,error

Exit codes:
  0    Successful
  1    Failed: the condition was evaluated and not met
  2    usage, or an invalid template
  3    Inconclusive
  4    Error: it could not be measured
  5    still Running at --timeout
  130  interrupted";

impl Run {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        let inputs = self.template.inputs().chain(self.oap.inputs());
        let inputs = inputs.chain(self.service.inputs());
        let delivery = Delivery::open(&self.report, inputs, self.quiet)?;
        let judged = self.judge().await;
        delivery.close(judged.map(Some))
    }

    async fn judge(&self) -> Result<Told<wire::AnalysisRun>, Failure> {
        let (run, ending) = match self.service.open()? {
            Some(service) => self.there(&service).await?,
            None => self.here().await?,
        };
        let measurements = run.metrics.iter().flat_map(|metric| &metric.measurements);
        let is_local = self.simulate.is_none() && self.service.server.is_none();
        let is_at_a_loss = is_local && run.phase == Phase::Error;
        Ok(Told {
            report: Report::of_run(&run, ending),
            text: show::run(&run, ending),
            whole: wire::AnalysisRun::new(&run),
            hint: prepare::elsewhere(&self.oap, measurements).filter(|_| is_at_a_loss),
        })
    }

    /// Judges it at a service.
    async fn there(&self, service: &Remote) -> Result<(AnalysisRun, Ending), Failure> {
        // From here on an interrupt is about the run.
        let interrupt = interrupted();
        tokio::pin!(interrupt);
        remote::refuse_own(&self.oap, &self.template)?;
        let asked = Asked::from_args(&self.template)?;
        let now = service.clock.now();
        let new = RunRequest {
            namespace: Some(asked.namespace),
            name: asked.spec.is_some().then_some(asked.name),
            templates: asked.templates,
            spec: asked.spec,
            args: asked.args,
            labels: self.labels.iter().cloned().collect(),
            not_before: self.not_before.map(|when| wire::time(when.resolve(now))),
            conclude_after: self.conclude_after.map(short),
            ..RunRequest::default()
        };
        let key = self.idempotency_key.clone().unwrap_or_else(remote::key);
        let watch = RemoteWatch {
            service,
            timeout: self.timeout,
            quiet: self.quiet,
            interrupted: if self.leave {
                Interrupted::Leave
            } else {
                Interrupted::Terminate
            },
        };
        let announce = |run: &AnalysisRun| {
            if !self.quiet {
                remote::announce(service, run);
            }
        };
        watch
            .start(service.client.create_run(&new, &key), announce, interrupt)
            .await
    }

    /// Judges it in this process.
    async fn here(&self) -> Result<(AnalysisRun, Ending), Failure> {
        let stage = match &self.simulate {
            None => None,
            Some(services) => Some(Stage::open(services.clone(), self.speed).await?),
        };
        let clock = prepare::clock(stage.as_ref());
        let server = stage.as_ref().map(Stage::url).or(self.oap.anywhere());
        let prepared = Prepared::from_args(&self.template, server)?;
        let oap = prepare::oap(
            &self.oap,
            stage.as_ref(),
            Arc::clone(&clock),
            &prepared.plan,
        )?;
        if !self.quiet {
            self.announce(&prepared, &oap);
        }

        let now = clock.now();
        let mut run = prepared.run(now);
        run.not_before = self.not_before.map(|when| when.resolve(now));
        run.conclude_after = self.conclude_after;
        run.labels = self.labels.iter().cloned().collect();
        let watch = Watch {
            clock,
            timeout: self.timeout,
            quiet: self.quiet,
        };
        watch.to_end(run, oap).await
    }

    /// Says what to mind, and what will be asked of whom.
    fn announce(&self, prepared: &Prepared, oap: &Oap) {
        for warning in prepared.warnings(self.conclude_after) {
            tell(&format!("warning: {warning}"));
        }
        let mut asked = String::new();
        for metric in &prepared.plan.metrics {
            let server = prepare::whom(oap, &prepared.plan, metric);
            if server != asked {
                let simulated = self.simulate.as_ref().map(|_| ", simulated");
                tell(&format!("asking {server}{}", simulated.unwrap_or_default()));
                asked = server;
            }
            tell(&format!("  {}", show::metric(metric)));
        }
    }
}

/// Why watching a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Over,
    TimedOut,
    Interrupted,
}

/// How often the screen is brought up to date while nothing happens.
pub(super) const REDRAW: Duration = Duration::from_millis(250);

/// How a run in this process is watched.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeout: Option<Duration>,
    pub(super) quiet: bool,
}

impl Watch {
    /// Runs `run` through an engine of its own until it is over, its time is, or somebody wants it to end.
    pub(super) async fn to_end(
        &self,
        run: AnalysisRun,
        source: Arc<dyn MetricSource>,
    ) -> Result<(AnalysisRun, Ending), Failure> {
        let engine = Engine::new(
            Arc::clone(&self.clock),
            Arc::new(MemoryStore::default()),
            source,
        );
        let progress = Progress::new(&run.plan.metrics, self.quiet);
        engine.start(&run).await.map_err(Failure::broken)?;
        let watched = engine.watch(&run.id).await.map_err(Failure::broken)?;
        let watched = watched.ok_or_else(|| gone(&run.id))?;

        let (stop, stopped) = oneshot::channel::<()>();
        let mut loops = JoinSet::new();
        loops.spawn({
            let engine = engine.clone();
            async move { engine.run(async { drop(stopped.await) }).await }
        });
        let (run, ending) = tokio::select! {
            watched = self.watch(watched, progress) => watched?,
            Some(ended) = loops.join_next() => {
                let cause = ended.err().map_or_else(|| "it stopped".to_owned(), |error| error.to_string());
                return Err(Failure::broken(anyhow!("{cause}").context("the engine is gone")));
            }
        };
        // What was not waited for is not waited for now either: dropping the loop ends it.
        if ending == Ending::Over {
            let _ = stop.send(());
            loops.join_all().await;
        }
        Ok((run, ending))
    }

    /// Shows the run until there is nothing more to wait for.
    async fn watch(
        &self,
        mut watched: Watched,
        mut progress: Progress,
    ) -> Result<(AnalysisRun, Ending), Failure> {
        let deadline = async {
            match self.timeout {
                Some(timeout) => self.clock.sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(deadline);
        let interrupt = interrupted();
        tokio::pin!(interrupt);
        let mut redraw = tokio::time::interval(REDRAW);
        loop {
            let run = Arc::clone(watched.run());
            progress.show(&run, self.clock.now());
            let ending = if run.phase.is_over() {
                Ending::Over
            } else {
                tokio::select! {
                    is_there = watched.changed() => {
                        if !is_there {
                            return Err(gone(&run.id));
                        }
                        continue;
                    }
                    _ = redraw.tick() => continue,
                    () = &mut deadline => Ending::TimedOut,
                    () = &mut interrupt => Ending::Interrupted,
                }
            };
            progress.finish();
            return Ok((AnalysisRun::clone(&run), ending));
        }
    }
}

fn gone(id: &RunId) -> Failure {
    Failure::broken(anyhow!("the run `{id}` is gone from the store"))
}
