//! `skygate demo`.

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use super::options::{OapArgs, TemplateArgs};
use super::outcome::{Failure, Outcome, print};
use super::prepare::{self, Prepared};
use super::run::{Ending, Watch};
use super::show;
use super::simulate::Stage;
use crate::documents::Documents;
use crate::domain::measurement::Phase;
use crate::sim::Service;

/// The template of the original use case, as it is in `api/examples`.
const TEMPLATE: &str = include_str!("../../api/examples/apdex.yaml");

/// The canary that it judges.
const SERVICE: &str = "canary|reviews|bookinfo|cp-cluster-1|-";

/// Judge one template for a healthy and a degraded canary
///
/// Needs nothing but this binary: a simulated OAP plays both, and time runs fast.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// How many times as fast as real time it plays
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    speed: u32,
}

impl Demo {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        print(&format!(
            "\
A new version of `reviews` gets its first traffic. Should it get all of it?

SkyWalking knows it as the service `{SERVICE}`.
An Argo AnalysisTemplate asks for its Apdex every 5 minutes: in each of the
3 newest settled minutes it must be 9900 or more, and more than 3 misses fail.
The OAP is a simulated one, and an hour takes {}.
",
            took(Duration::from_hours(1) / self.speed)
        ))?;
        let healthy = Act {
            title: "Version 2: every request is answered within 200 ms",
            script: "healthy",
            expected: Phase::Successful,
            patience: Duration::from_mins(25),
        };
        let degraded = Act {
            title: "Version 3: after 2 minutes it gets slow, and a fifth of its requests fails",
            script: "degraded@2m",
            expected: Phase::Failed,
            patience: Duration::from_hours(1),
        };
        for act in [healthy, degraded] {
            if act.play(self.speed).await? == Ending::Interrupted {
                return Ok(Outcome::Interrupted);
            }
        }
        print("\nVersion 2 may have all of the traffic; version 3 goes back.\n")?;
        Ok(Outcome::Successful)
    }
}

/// One canary and what becomes of it.
struct Act {
    title: &'static str,
    script: &'static str,
    expected: Phase,
    /// When the run is concluded if no limit has ended it by then. The bad one ends by its limit well before.
    patience: Duration,
}

impl Act {
    async fn play(&self, speed: u32) -> Result<Ending, Failure> {
        print(&format!("\n== {}\n\n", self.title))?;
        let service = format!("{SERVICE}={}", self.script);
        let service: Service = service.parse().map_err(Failure::broken)?;
        let stage = Stage::open(vec![service], speed).await?;
        let clock = stage.clock();
        let args = TemplateArgs {
            args: vec![("service-name".to_owned(), SERVICE.to_owned())],
            ..TemplateArgs::default()
        };
        let templates = Documents::read(TEMPLATE.as_bytes()).templates;
        let prepared = Prepared::of(templates, &args, Some(stage.url()))?;
        let oap = prepare::oap(
            &OapArgs::default(),
            Some(&stage),
            stage.clock(),
            &prepared.plan,
        )?;
        let mut run = prepared.run(clock.now());
        run.conclude_after = Some(self.patience);
        let watch = Watch {
            clock,
            timeout: None,
            quiet: false,
        };
        let (run, ending) = watch.to_end(run, oap).await?;
        print(&show::run(&run, ending))?;
        if ending == Ending::Over && run.phase != self.expected {
            return Err(Failure::broken(anyhow!(
                "this run came out {} where {} was expected",
                run.phase,
                self.expected
            )));
        }
        Ok(ending)
    }
}

fn took(real: Duration) -> String {
    match real.as_secs() {
        seconds @ 0..120 => show::counted(seconds, "second"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
