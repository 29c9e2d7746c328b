//! `skygate rollout get`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use jiff::Timestamp;

use super::{Live, Which};
use crate::cli::options::Output;
use crate::cli::outcome::{Failure, Outcome, print, write};
use crate::cli::prepare;
use crate::cli::reader;
use crate::cli::service::{Remote, ServiceArgs};
use crate::client::{ClientError, KeptRollout, Stepper};
use crate::domain::rollout::desk::Letter;
use crate::domain::rollout::{Around, Rollout, RunSummary, Stepping, draw};
use crate::domain::run::RunId;
use crate::wire;

/// How often a rollout that is watched is drawn anew: the newest values come without news of the rollout itself.
const REDRAW: Duration = Duration::from_secs(2);

/// Show a rollout: the tree that users of kubectl argo rollouts know, and the newest values
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Get {
    #[command(flatten)]
    which: Which,

    /// Go on showing it until interrupted, or until nobody reads it any more
    #[arg(short, long)]
    watch: bool,

    /// Form of the result; json and yaml are all that the service keeps of it
    #[arg(short, long, value_enum, default_value_t, conflicts_with = "watch")]
    output: Output,

    #[command(flatten)]
    service: ServiceArgs,
}

const EXAMPLES: &str = "\
Examples:
  skygate rollout get reviews -n bookinfo --watch
  skygate rollout get reviews -n bookinfo -o json | jq -r .phase";

/// What was asked of runs that are over, and is not asked again.
type Known = HashMap<RunId, RunSummary>;

impl Get {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let client = &service.client;
        let kept = prepare::patiently(client.server(), client.rollout(self.which.name())).await;
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => return Err(self.which.explain(error, client).await),
        };
        match self.output {
            Output::Text if self.watch => return watch(&service, &self.which, kept).await,
            Output::Text => {
                let scene = Drawn::of(&service, &kept, &mut Known::new()).await?;
                print(&scene.at(service.clock.now()))?;
            }
            Output::Json => write(&wire::json(&kept.view).map_err(Failure::broken)?)?,
            Output::Yaml => write(&wire::yaml(&kept.view).map_err(Failure::broken)?)?,
        }
        Ok(Outcome::Successful)
    }
}

async fn watch(service: &Remote, which: &Which, mut kept: KeptRollout) -> Result<Outcome, Failure> {
    let mut live = Live::on_stdout();
    let mut known = Known::new();
    let mut shown = None;
    let unread = reader::gone();
    tokio::pin!(unread);
    loop {
        let scene = Drawn::of(service, &kept, &mut known).await?;
        // Where trees stand one below the other, one that is only older is no news.
        if live.is_in_place() || !shown.as_ref().is_some_and(|it| scene.is_like(it)) {
            live.draw(&scene.at(service.clock.now()))?;
        }
        shown = Some(scene);
        let client = &service.client;
        let newer = tokio::select! {
            newer = client.rollout_news(which.name(), &kept.tag) => newer,
            // A lease that is renewed, or ends, is no news.
            () = tokio::time::sleep(REDRAW) => client.rollout(which.name()).await,
            // Nobody would hear of what comes next, be it soon or never.
            () = &mut unread => return Ok(Outcome::Successful),
        };
        kept = match newer {
            Ok(newer) => newer,
            Err(error) => return Err(which.explain(error, client).await),
        };
    }
}

/// What there is to be drawn.
#[derive(Clone, Debug, PartialEq)]
enum Drawn {
    /// No record was saved yet.
    Nothing { stepper: Option<String> },
    Tree {
        rollout: Box<Rollout>,
        runs: Vec<RunSummary>,
        waiting: Vec<Letter>,
        stepper: Option<Stepper>,
    },
}

impl Drawn {
    async fn of(service: &Remote, kept: &KeptRollout, known: &mut Known) -> Result<Self, Failure> {
        let Some(record) = &kept.record else {
            let stepper = kept.stepper.as_ref().map(|it| it.holder.clone());
            return Ok(Self::Nothing { stepper });
        };
        let rollout = Rollout::from_record(record).map_err(|error| {
            Failure::broken(anyhow!(error).context("this rollout cannot be shown"))
        })?;
        Ok(Self::Tree {
            runs: runs(service, &rollout, known).await?,
            rollout: Box::new(rollout),
            waiting: kept.waiting.clone(),
            stepper: kept.stepper.clone(),
        })
    }

    /// Whether it tells the same as `other` but for when somebody was last seen.
    fn is_like(&self, other: &Self) -> bool {
        let timeless = |drawn: &Self| {
            let mut drawn = drawn.clone();
            if let Self::Tree {
                stepper: Some(stepper),
                ..
            } = &mut drawn
            {
                stepper.seen_at = Timestamp::UNIX_EPOCH;
            }
            drawn
        };
        timeless(self) == timeless(other)
    }

    fn at(&self, now: Timestamp) -> String {
        match self {
            Self::Nothing { stepper: None } => "nothing has been rolled out yet\n".to_owned(),
            Self::Nothing {
                stepper: Some(holder),
            } => format!("nothing has been rolled out yet; `{holder}` is about to\n"),
            Self::Tree {
                rollout,
                runs,
                waiting,
                stepper,
            } => {
                let stepping = match stepper {
                    Some(Stepper { holder, seen_at }) => Stepping::By {
                        holder,
                        seen_at: *seen_at,
                    },
                    None => Stepping::Nobody,
                };
                let around = Around {
                    runs,
                    waiting,
                    stepping,
                };
                draw(rollout, &around, now)
            }
        }
    }
}

/// What the service knows of the runs of a rollout; those that it has forgotten are left out.
async fn runs(
    service: &Remote,
    rollout: &Rollout,
    known: &mut Known,
) -> Result<Vec<RunSummary>, ClientError> {
    let mut runs = Vec::new();
    for analysis in rollout.earlier.iter().chain(rollout.analyses()) {
        let Some(id) = &analysis.run else { continue };
        if let Some(summary) = known.get(id) {
            runs.push(summary.clone());
            continue;
        }
        match service.client.get_run(id).await {
            Ok(run) => {
                let summary = RunSummary::of(&run);
                if run.phase.is_over() {
                    known.insert(id.clone(), summary.clone());
                }
                runs.push(summary);
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(runs)
}
