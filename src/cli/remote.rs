//! Runs and measurements that a service does: what is sent to it, and how it is waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::options::{OapArgs, TemplateArgs};
use super::outcome::{Failure, Outcome, tell};
use super::prepare::{self, Prepared};
use super::progress::Progress;
use super::run::{Ending, REDRAW};
use super::service::Remote;
use super::show;
use crate::client::{ClientError, News};
use crate::domain::analysis::{Analysis, Library, Request};
use crate::domain::fault::{Fault, Faults};
use crate::domain::plan::{Overrides, Plan, Server};
use crate::domain::run::{Run, RunId};
use crate::domain::spec::{Argument, Template};
use crate::ports::Clock;
use crate::wire::{ArgumentValue, TemplateReference};

/// What a service is to analyse.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) namespace: String,
    /// What it is called: its only template, or all of them joined.
    pub(super) name: String,
    /// Templates that it has.
    pub(super) templates: Vec<TemplateReference>,
    /// Templates that it need not have, merged.
    pub(super) spec: Option<Value>,
    pub(super) args: Vec<ArgumentValue>,
}

impl Asked {
    /// Reads what the command line names. Files are sent as one spec, found right here as far as that can be known without the secrets;
    /// without files `--template` names what the service has.
    pub(super) fn from_args(args: &TemplateArgs) -> Result<Self, Failure> {
        prepare::refuse_repeated(&args.args)?;
        let values = args.args.iter().map(|(name, value)| ArgumentValue {
            name: name.clone(),
            value: Some(value.clone()),
            value_from: None,
        });
        let values = values.collect();
        if args.input.files.is_empty() {
            if args.templates.is_empty() {
                return Err(Failure::from(
                    Fault::new("", "nothing says what to measure").hint(
                        "-f FILE sends a template, --template NAME names one that the service has",
                    ),
                ));
            }
            return Ok(Self {
                namespace: args
                    .input
                    .namespace
                    .clone()
                    .unwrap_or_else(|| "default".to_owned()),
                name: joined(args.templates.iter().map(String::as_str)),
                templates: args.templates.iter().map(|name| reference(name)).collect(),
                spec: None,
                args: values,
            });
        }
        let prepare::Files { templates, faults } = prepare::read(args)?;
        let chosen = prepare::choose(&templates, &args.templates)?;
        let namespace = prepare::namespace(args, &templates, &chosen);
        let name = joined(chosen.iter().map(|reference| reference.name.as_str()));
        let request = Request {
            namespace: namespace.clone(),
            templates: chosen,
            ..Request::default()
        };
        let spec = spec_of(&templates, &request);
        let library = Library::gather(templates)?;
        check(&library, &request, &args.args, faults)?;
        Ok(Self {
            namespace,
            name,
            templates: Vec::new(),
            spec: Some(spec?),
            args: values,
        })
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names
        .map(|name| name.strip_prefix(OF_CLUSTER).unwrap_or(name))
        .collect();
    names.join("-")
}

/// What stands before the name of a template that every namespace sees.
const OF_CLUSTER: &str = "clustertemplates/";

/// `apdex`, or `clustertemplates/apdex` for one that every namespace sees.
fn reference(name: &str) -> TemplateReference {
    let of_cluster = name.strip_prefix(OF_CLUSTER);
    TemplateReference {
        template_name: Some(of_cluster.unwrap_or(name).to_owned()),
        name: None,
        cluster_scope: of_cluster.is_some(),
    }
}

/// The merged templates as one spec. An argument that any of them takes from a secret is one in it too,
/// so that the service treats whatever is supplied for it as it has to.
fn spec_of(templates: &[Template], request: &Request) -> Result<Value, Failure> {
    let secrets: Vec<Argument> = templates
        .iter()
        .flat_map(|template| &template.spec.args)
        .filter(|argument| {
            let from = argument.value_from.as_ref();
            from.is_some_and(|from| from.secret.is_some())
        })
        .cloned()
        .collect();
    let library = Library::gather(templates.iter().cloned())?;
    let mut spec = Analysis::assemble(&library, request).written();
    let args = spec.get_mut("args").and_then(Value::as_array_mut);
    for argument in args.into_iter().flatten() {
        let name = argument.get("name").and_then(Value::as_str);
        let secret = secrets
            .iter()
            .find(|secret| Some(secret.name.as_str()) == name)
            .and_then(|secret| secret.value_from.as_ref()?.secret.as_ref());
        if let Some(secret) = secret
            && argument.get("valueFrom").is_none()
        {
            *argument = json!({
                "name": name,
                "valueFrom": { "secretKeyRef": { "name": secret.name, "key": secret.key } },
            });
        }
    }
    Ok(spec)
}

/// What stands for a secret, which only the service knows.
const MASKED: &str = "*****";

/// Finds what is wrong before anything is sent, in the words and with the places that a run in this process has.
fn check(
    library: &Library,
    request: &Request,
    args: &[(String, String)],
    faults: Vec<Fault>,
) -> Result<(), Failure> {
    let supplied = args.iter().map(|(name, value)| Argument::new(name, value));
    let request = Request {
        args: supplied.collect(),
        ..request.clone()
    };
    let analysis = Analysis::assemble(library, &request);
    let takes_secrets = analysis.args.iter().any(|argument| {
        let from = argument.value_from.as_ref();
        from.is_some_and(|from| from.secret.is_some())
    });
    // Whom to ask is the service's affair.
    let overrides = Overrides {
        server: Some(Server::Named(String::new())),
    };
    match Plan::make(&analysis, &overrides, &|_, _, _| Ok(MASKED.to_owned())) {
        Err(found) if !takes_secrets => Err(found.after(faults).into()),
        // What stands for a secret may be what is wrong, and the service says better.
        Err(_) | Ok(_) => Ok(Faults::none_or(faults, ())?),
    }
}

/// Refuses what only a run in this process goes by: a service asks the OAPs and knows the secrets of its operator.
pub(super) fn refuse_own(oap: &OapArgs, template: &TemplateArgs) -> Result<(), Failure> {
    if !oap.servers.is_empty() {
        let fault = Fault::new("--oap", "has no meaning with --server")
            .hint("a service asks the OAPs that its operator named: leave out --oap (or SKYGATE_OAP), or --server (or SKYGATE_SERVER)");
        return Err(fault.into());
    }
    if template.secrets.is_some() {
        let fault = Fault::new("--secrets", "has no meaning with --server")
            .hint("a service looks secrets up in the folder that its operator gave it: leave out --secrets (or SKYGATE_SECRETS), or --server (or SKYGATE_SERVER)");
        return Err(fault.into());
    }
    Ok(())
}

/// A key that no other command has.
pub(super) fn key() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Says what to mind of a run that has begun, and where it is.
pub(super) fn announce(service: &Remote, run: &Run) {
    let prepared = Prepared {
        namespace: run.namespace.clone(),
        name: run.name.clone(),
        plan: Arc::clone(&run.plan),
    };
    for warning in prepared.warnings(run.conclude_after) {
        tell(&format!("warning: {warning}"));
    }
    tell(&format!("run {} on {}", run.id, service.client.server()));
    for metric in &run.plan.metrics {
        tell(&format!("  {}", show::metric(metric)));
    }
}

/// How long a service may take to hear that a run is not wanted any more.
const FAREWELL: Duration = Duration::from_secs(5);

/// After how long without news a person is told; the service itself answers well before.
const SILENCE: Duration = Duration::from_secs(30);

/// The least time between two questions, whatever the service answers.
const PAUSE: Duration = Duration::from_millis(100);

/// What becomes of a run that nobody here waits for any more because of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// It is terminated, as a run in this process would be.
    Terminate,
    /// It goes on.
    Leave,
}

/// Ready after this time; never, without one.
async fn deadline(clock: &dyn Clock, timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => clock.sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// How a run at a service is watched.
#[derive(Debug)]
pub(super) struct RemoteWatch<'a> {
    pub(super) service: &'a Remote,
    pub(super) timeout: Option<Duration>,
    pub(super) quiet: bool,
    pub(super) interrupted: Interrupted,
}

impl RemoteWatch<'_> {
    /// Starts a run and watches it to its end. An interrupt before the service has answered is one after it.
    pub(super) async fn start(
        &self,
        create: impl Future<Output = Result<Run, ClientError>>,
        begun: impl FnOnce(&Run),
        mut interrupt: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(Run, Ending), Failure> {
        let Remote { client, clock } = self.service;
        let creating = prepare::patiently(client.server(), create);
        let begun_at = clock.now();
        let late = deadline(clock.as_ref(), self.timeout);
        tokio::pin!(creating, late);
        let ending = tokio::select! {
            created = &mut creating => {
                let run = created?;
                begun(&run);
                let spent = clock.now().duration_since(begun_at);
                let spent = Duration::try_from(spent).unwrap_or_default();
                let left = Self {
                    timeout: self.timeout.map(|timeout| timeout.saturating_sub(spent)),
                    ..*self
                };
                return left.to_end(run, interrupt).await;
            }
            () = &mut interrupt => Ending::Interrupted,
            () = &mut late => Ending::TimedOut,
        };
        if let Ok(created) = tokio::time::timeout(FAREWELL, creating).await {
            match created {
                Ok(run) => {
                    self.part(&run.id, ending).await;
                    return Ok((run, ending));
                }
                // It says what is wrong with the run that was wanted.
                Err(error) if error.problem().is_some() => return Err(error.into()),
                Err(_) => {}
            }
        }
        let server = client.server();
        let (outcome, why) = match ending {
            Ending::TimedOut => (Outcome::TimedOut, "not begun at --timeout"),
            Ending::Interrupted | Ending::Over => {
                (Outcome::Interrupted, "interrupted before it was begun")
            }
        };
        let why = format!("{why}, as far as is known: {server} has not answered");
        let failure = Failure::cut_short(outcome, why);
        Err(failure.hint(format!(
            "it may have begun the run all the same: skygate runs list --server {server}"
        )))
    }

    /// Shows a run until there is nothing more to wait for.
    pub(super) async fn to_end(
        &self,
        mut run: Run,
        mut interrupt: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(Run, Ending), Failure> {
        let Remote { client, clock } = self.service;
        let id = run.id.clone();
        let deadline = deadline(clock.as_ref(), self.timeout);
        tokio::pin!(deadline);
        let mut progress = Progress::new(&run.plan.metrics, self.quiet);
        let mut redraw = tokio::time::interval(REDRAW);
        let listen = async |mut news: News| {
            tokio::time::sleep(PAUSE).await;
            let told = news.next().await;
            (told, news)
        };
        let mut news = Box::pin(listen(client.news(&id)));
        let mut silence = Box::pin(tokio::time::sleep(SILENCE));
        let mut is_silent = false;
        let ending = loop {
            progress.show(&run, clock.now());
            if run.phase.is_over() {
                break Ending::Over;
            }
            tokio::select! {
                (told, told_by) = &mut news => match told {
                    Ok(newer) => {
                        run = newer;
                        news = Box::pin(listen(told_by));
                        silence = Box::pin(tokio::time::sleep(SILENCE));
                        is_silent = false;
                    }
                    Err(error) => {
                        progress.finish();
                        return Err(self.lost(&id, error));
                    }
                },
                () = &mut silence, if !is_silent => {
                    progress.note(&format!("waiting for {} …", client.server()));
                    is_silent = true;
                }
                _ = redraw.tick() => {}
                () = &mut deadline => break Ending::TimedOut,
                () = &mut interrupt => break Ending::Interrupted,
            }
        };
        progress.finish();
        self.part(&id, ending).await;
        Ok((run, ending))
    }

    /// Leaves a run that isn't over, and says what becomes of it.
    async fn part(&self, id: &RunId, ending: Ending) {
        let server = self.service.client.server();
        let said = match (ending, self.interrupted) {
            (Ending::Over, _) => return,
            (Ending::Interrupted, Interrupted::Terminate) => {
                let terminated = self.service.client.terminate(id);
                match tokio::time::timeout(FAREWELL, terminated).await {
                    Ok(Ok(())) => format!("terminated the run {id} on {server}"),
                    Ok(Err(error)) => {
                        format!("the run {id} goes on, for it could not be terminated: {error}")
                    }
                    Err(_) => format!(
                        "the run {id} goes on, for {server} did not answer within {FAREWELL:?}"
                    ),
                }
            }
            (Ending::Interrupted | Ending::TimedOut, _) => {
                format!("the run goes on: skygate runs watch {id} --server {server}")
            }
        };
        if !self.quiet {
            tell(&said);
        }
    }

    /// The service is away, or has forgotten the run.
    fn lost(&self, id: &RunId, error: ClientError) -> Failure {
        let is_passing = error.is_passing();
        let failure = if error.is_not_found() {
            Failure::broken(error)
                .hint("it was deleted, or the service was started anew without what it had stored")
        } else {
            Failure::from(error)
        };
        if !is_passing {
            return failure;
        }
        let server = self.service.client.server();
        failure.hint(format!(
            "the run goes on once the service does: skygate runs watch {id} --server {server}"
        ))
    }
}
