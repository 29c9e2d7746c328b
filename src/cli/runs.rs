//! `skygate runs`.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::options::{Output, When, name_and_value, positive_duration, when};
use super::outcome::{Failure, Outcome, print, tell, write};
use super::remote::{self, Interrupted, RemoteWatch};
use super::report::{Delivery, Report, ReportArgs, Told};
use super::run::Ending;
use super::service::{Remote, ServiceArgs, idempotency_key};
use super::signals::interrupted;
use super::{or_interrupted, prepare, show, unless_interrupted};
use crate::client::Filter;
use crate::domain::duration::short;
use crate::domain::run::{Run, RunId};
use crate::wire;

/// See and steer the runs of a service
#[derive(Args, Debug)]
pub(super) struct Runs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Get(Get),
    Watch(Watch),
    Terminate(Terminate),
    Delete(Delete),
    Rerun(Rerun),
}

/// List runs, newest first
#[derive(Args, Debug)]
struct List {
    /// Only those of this namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", env = "SKYGATE_NAMESPACE")]
    namespace: Option<String>,

    /// Only those started by this template's name; clustertemplates/NAME is one that every namespace sees
    #[arg(long, value_name = "NAME")]
    template: Option<String>,

    /// Only those in this phase; repeatable
    #[arg(long = "phase", value_name = "PHASE")]
    phases: Vec<String>,

    /// Only those with this label; repeatable
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = name_and_value)]
    labels: Vec<(String, String)>,

    /// Only those that were not over before this moment, or so long ago
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,

    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Show a run as it is now
///
/// Shows what `skygate run` shows at its end. The exit code is that of the run's phase, 5 while it is under way.
#[derive(Args, Debug)]
#[command(after_help = super::EXIT_CODES)]
struct Get {
    /// Id of the run
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Watch a run to its end
///
/// Progress goes to stderr, the result to stdout, the verdict into the exit code, as with `skygate run`.
/// An interrupt ends the watching and not the run.
#[derive(Args, Debug)]
#[command(after_help = super::EXIT_CODES)]
struct Watch {
    /// Id of the run
    #[arg(value_name = "ID")]
    id: String,

    /// Stop waiting after this time, with exit code 5
    #[arg(long, value_name = "DURATION", env = "SKYGATE_TIMEOUT", value_parser = positive_duration)]
    timeout: Option<Duration>,

    /// No progress on stderr
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// End runs before their end
///
/// Argo calls a run Successful that was ended before a limit was struck; whether there is evidence is another matter.
#[derive(Args, Debug)]
struct Terminate {
    /// Id of a run; repeatable
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Forget runs, whether they are over or not
#[derive(Args, Debug)]
struct Delete {
    /// Id of a run; repeatable
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Start a run of what another one ran, and print its id
#[derive(Args, Debug)]
struct Rerun {
    /// Id of the run
    #[arg(value_name = "ID")]
    id: String,

    /// Key under which one run is started, however often this command is repeated
    #[arg(long, value_name = "KEY", env = "SKYGATE_IDEMPOTENCY_KEY", value_parser = idempotency_key)]
    idempotency_key: Option<String>,

    #[command(flatten)]
    service: ServiceArgs,
}

impl Runs {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        match self.command {
            Command::List(command) => or_interrupted(Box::pin(command.execute())).await,
            Command::Get(command) => command.execute().await,
            Command::Watch(command) => command.execute().await,
            Command::Terminate(command) => or_interrupted(Box::pin(command.execute())).await,
            Command::Delete(command) => or_interrupted(Box::pin(command.execute())).await,
            Command::Rerun(command) => or_interrupted(Box::pin(command.execute())).await,
        }
    }
}

impl List {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let (rows, is_all) = patiently(&service, self.rows(&service)).await?;
        let items = json!({ "items": rows });
        match self.output {
            Output::Text if rows.is_empty() => tell("no runs"),
            Output::Text => print(&listed(&rows))?,
            Output::Json => write(&wire::json(&items).map_err(Failure::broken)?)?,
            Output::Yaml => write(&wire::yaml(&items).map_err(Failure::broken)?)?,
        }
        if !is_all {
            tell(&format!(
                "note: there are more than {}; --limit N shows more",
                self.limit
            ));
        }
        Ok(Outcome::Successful)
    }

    /// As many rows as are wanted, and whether that is all there are.
    async fn rows(&self, service: &Remote) -> Result<(Vec<Value>, bool), Failure> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut filter = Filter {
            namespace: self.namespace.clone(),
            template: self.template.clone(),
            phases: self.phases.clone(),
            labels: self
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            from: self.since.map(|since| since.resolve(service.clock.now())),
            ..Filter::default()
        };
        let mut rows = Vec::new();
        loop {
            filter.limit = Some((limit - rows.len()).min(LONGEST_PAGE));
            let page = service.client.list_runs(&filter).await?;
            rows.extend(page.items);
            if page.next.is_none() || rows.len() >= limit {
                return Ok((rows, page.next.is_none()));
            }
            filter.cursor = page.next;
        }
    }
}

/// So many rows are asked for at a time.
const LONGEST_PAGE: usize = 500;

/// The longest verdict in a table, in characters.
const LONGEST_VERDICT: usize = 60;

fn listed(rows: &[Value]) -> String {
    let mut out = String::new();
    let cells = rows.iter().map(|row| {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let took = row["durationSeconds"].as_f64();
        let took = took.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        [
            text("id"),
            text("namespace"),
            text("name"),
            text("phase"),
            to_the_second(&text("createdAt")),
            took.map_or_else(String::new, |took| {
                short(Duration::from_secs(took.as_secs()))
            }),
            cut(&text("explanation")),
        ]
    });
    let heads = [
        "ID",
        "NAMESPACE",
        "NAME",
        "PHASE",
        "CREATED",
        "TOOK",
        "VERDICT",
    ];
    show::table(&mut out, heads, cells);
    out
}

fn to_the_second(moment: &str) -> String {
    match moment.parse::<Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => moment.to_owned(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VERDICT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Get {
    async fn execute(self) -> Result<Outcome, Failure> {
        let delivery = Delivery::open(&self.report, self.service.inputs(), false)?;
        delivery.close(unless_interrupted(self.found()).await.transpose())
    }

    async fn found(&self) -> Result<Told<wire::AnalysisRun>, Failure> {
        let service = self.service.required()?;
        let id = RunId(self.id.clone());
        let run = patiently(&service, service.client.get_run(&id)).await?;
        Ok(told(&run, Ending::Over))
    }
}

impl Watch {
    async fn execute(self) -> Result<Outcome, Failure> {
        let delivery = Delivery::open(&self.report, self.service.inputs(), self.quiet)?;
        delivery.close(self.seen().await)
    }

    /// `None`: it was interrupted before the service had answered.
    async fn seen(&self) -> Result<Option<Told<wire::AnalysisRun>>, Failure> {
        let interrupt = interrupted();
        tokio::pin!(interrupt);
        let service = self.service.required()?;
        let id = RunId(self.id.clone());
        let watch = RemoteWatch {
            service: &service,
            timeout: self.timeout,
            quiet: self.quiet,
            interrupted: Interrupted::Leave,
        };
        let run = patiently(&service, service.client.get_run(&id));
        let run = tokio::select! {
            run = run => run?,
            () = &mut interrupt => return Ok(None),
        };
        let (run, ending) = watch.to_end(run, interrupt).await?;
        Ok(Some(told(&run, ending)))
    }
}

impl Terminate {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        for id in self.ids.into_iter().map(RunId) {
            patiently(&service, service.client.terminate(&id)).await?;
            print(&format!("terminated {id}\n"))?;
        }
        Ok(Outcome::Successful)
    }
}

impl Delete {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        for id in self.ids.into_iter().map(RunId) {
            patiently(&service, service.client.delete_run(&id)).await?;
            print(&format!("deleted {id}\n"))?;
        }
        Ok(Outcome::Successful)
    }
}

impl Rerun {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let key = self.idempotency_key.unwrap_or_else(remote::key);
        let id = RunId(self.id);
        let run = patiently(&service, service.client.rerun(&id, &key)).await?;
        print(&format!("{}\n", run.id))?;
        Ok(Outcome::Successful)
    }
}

/// Awaits a service, and says so once a person may wonder.
async fn patiently<T>(service: &Remote, answer: impl Future<Output = T>) -> T {
    prepare::patiently(service.client.server(), answer).await
}

/// A run as `skygate run` tells it.
fn told(run: &Run, ending: Ending) -> Told<wire::AnalysisRun> {
    Told {
        report: Report::of_run(run, ending),
        text: show::run(run, ending),
        whole: wire::AnalysisRun::new(run),
        hint: None,
    }
}
