//! From a command line to what the engine needs: templates into a plan, flags into a source of metrics.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use super::options::{OapArgs, TemplateArgs};
use super::outcome::{Failure, tell};
use super::simulate::Stage;
use crate::clock::SystemClock;
use crate::documents::{self, Documents};
use crate::domain::analysis::{Analysis, Library, Request};
use crate::domain::fault::{Fault, Faults, listed, shown};
use crate::domain::measurement::Measurement;
use crate::domain::plan::{MetricPlan, Overrides, Plan, Server};
use crate::domain::reading::ErrorClass;
use crate::domain::run::{Run, RunId};
use crate::domain::spec::{Argument, Template, TemplateRef};
use crate::oap::{Address, Auth, ClientCertificate, Directory, Oap, Options, Secret, Tls};
use crate::ports::Clock;
use crate::secrets::SecretFiles;

/// An analysis that is ready to run.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) namespace: String,
    /// What the run is called: its only template, or all of them joined.
    pub(super) name: String,
    pub(super) plan: Arc<Plan>,
}

impl Prepared {
    /// Reads, merges, renders and checks what the command line names. `server` is asked instead of what the templates name.
    pub(super) fn from_args(args: &TemplateArgs, server: Option<&str>) -> Result<Self, Failure> {
        let files = read(args)?;
        Self::of_files(files, args, server)
    }

    /// Plans whatever could be read, so that all that is wrong is told at once.
    fn of_files(
        Files { templates, faults }: Files,
        args: &TemplateArgs,
        server: Option<&str>,
    ) -> Result<Self, Failure> {
        let chosen = choose(&templates, &args.templates)?;
        refuse_repeated(&args.args)?;
        let namespace = namespace(args, &templates, &chosen);
        let name = chosen
            .iter()
            .map(|reference| reference.name.as_str())
            .collect::<Vec<_>>()
            .join("-");
        let request = Request {
            namespace: namespace.clone(),
            templates: chosen,
            args: args
                .args
                .iter()
                .map(|(name, value)| Argument::new(name, value))
                .collect(),
            ..Request::default()
        };
        let analysis = Analysis::assemble(&Library::gather(templates)?, &request);
        let overrides = Overrides {
            server: server.map(|url| Server::Address(url.to_owned())),
        };
        let secrets = SecretFiles::new(args.secrets.clone(), std::env::vars());
        let plan = Plan::make(&analysis, &overrides, &|namespace, name, key| {
            secrets.find(namespace, name, key)
        });
        let plan = match plan {
            Ok(plan) => Faults::none_or(faults, plan)?,
            Err(found) => return Err(found.after(faults).into()),
        };
        Ok(Self {
            namespace,
            name,
            plan: Arc::new(plan),
        })
    }

    /// What a person should know before it runs, one line each.
    pub(super) fn warnings(&self, conclude_after: Option<Duration>) -> Vec<String> {
        let endless = |metric: &&MetricPlan| conclude_after.is_none() && metric.is_endless();
        let endless = self.plan.metrics.iter().filter(endless).map(|metric| {
            format!(
                "metric {}: has no count: without --conclude-after it runs until a limit strikes",
                shown(&metric.name)
            )
        });
        let warnings = self.plan.warnings.iter().cloned().chain(endless);
        warnings
            .map(|warning| self.plan.masker.mask(&warning))
            .collect()
    }

    /// A run of it, created now.
    pub(super) fn run(&self, now: Timestamp) -> Run {
        let id = RunId(uuid::Uuid::new_v4().to_string());
        Run::new(id, &self.namespace, &self.name, Arc::clone(&self.plan), now)
    }
}

/// What the files hold.
pub(super) struct Files {
    pub(super) templates: Vec<Template>,
    /// What is wrong with the form of the templates, with the file of each.
    pub(super) faults: Vec<Fault>,
}

/// Everything that the files hold. Where a text cannot be read as a whole nobody knows what else it would say: its faults are all that is told.
pub(super) fn read(args: &TemplateArgs) -> Result<Files, Failure> {
    let (mut templates, mut faults) = (Vec::new(), Vec::new());
    let mut is_complete = true;
    for path in &args.input.files {
        let documents = Documents::read(&text(path)?);
        let place = |inner: String| match (called(path), inner.as_str()) {
            (file, "") => file,
            (file, inner) => format!("{file}: {inner}"),
        };
        for note in &documents.notes {
            tell(&format!("note: {}", place(note.clone())));
        }
        faults.extend(documents.all_faults().into_iter().map(|fault| Fault {
            path: place(fault.path),
            ..fault
        }));
        is_complete &= documents.faults.is_empty();
        templates.extend(documents.templates);
    }
    if templates.is_empty() && faults.is_empty() {
        let files: Vec<String> = args.input.files.iter().map(|path| called(path)).collect();
        let files = listed(files.iter().map(String::as_str));
        faults.push(Fault::new(
            "",
            format!("no AnalysisTemplate and no ClusterAnalysisTemplate in {files}"),
        ));
    }
    if is_complete && !templates.is_empty() {
        return Ok(Files { templates, faults });
    }
    Ok(Faults::none_or(
        faults,
        Files {
            templates,
            faults: Vec::new(),
        },
    )?)
}

pub(super) fn called(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "stdin".to_owned(),
        _ => path.display().to_string(),
    }
}

/// What a file holds, or stdin. One byte more than a text may have is read of it, so that whoever gets it sees that it is too long.
pub(super) fn text(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        return up_to(documents::LONGEST_TEXT, std::io::stdin().lock())
            .context("failed to read stdin")
            .map_err(Failure::usage);
    }
    if path.is_dir() {
        let path = path.display();
        return Err(
            Failure::usage(anyhow!("{path} is a folder; a file was expected"))
                .hint(format!("name its files: -f {path}/… -f {path}/…")),
        );
    }
    read_up_to(documents::LONGEST_TEXT, path)
}

/// The templates to run: those that were named, else all that no other one nests.
pub(super) fn choose(
    templates: &[Template],
    named: &[String],
) -> Result<Vec<TemplateRef>, Failure> {
    let reference = |template: &Template| TemplateRef::new(template.kind, &template.name);
    if named.is_empty() {
        let is_nested = |template: &&Template| {
            templates
                .iter()
                .flat_map(|other| &other.spec.templates)
                .any(|nested| nested.kind() == template.kind && nested.name == template.name)
        };
        let outermost: Vec<TemplateRef> = templates
            .iter()
            .filter(|template| !is_nested(template))
            .map(reference)
            .collect();
        // Where they all nest each other the circle is named when they are merged.
        return Ok(if outermost.is_empty() {
            templates.iter().map(reference).collect()
        } else {
            outermost
        });
    }
    named
        .iter()
        .map(|name| {
            templates
                .iter()
                .find(|template| template.name == *name)
                .map(reference)
                .ok_or_else(|| {
                    let known = listed(templates.iter().map(|template| template.name.as_str()));
                    Failure::from(Fault::new(
                        "--template",
                        format!(
                            "no template {} in what was given; there are {known}",
                            shown(name)
                        ),
                    ))
                })
        })
        .collect()
}

/// Of two values for one argument nobody knows which was meant.
pub(super) fn refuse_repeated(args: &[(String, String)]) -> Result<(), Failure> {
    let names = || args.iter().map(|(name, _)| name);
    match names()
        .enumerate()
        .find(|(i, name)| names().take(*i).any(|other| other == *name))
    {
        None => Ok(()),
        Some((_, name)) => Err(Failure::from(Fault::new(
            "--arg",
            format!("{} is given twice", shown(name)),
        ))),
    }
}

/// The flag's, else the manifest's, else `default`.
pub(super) fn namespace(
    args: &TemplateArgs,
    templates: &[Template],
    chosen: &[TemplateRef],
) -> String {
    let of_manifest = || {
        templates
            .iter()
            .filter(|template| {
                chosen.iter().any(|reference| {
                    reference.name == template.name && reference.kind() == template.kind
                })
            })
            .find_map(|template| template.namespace.clone())
    };
    args.input
        .namespace
        .clone()
        .or_else(of_manifest)
        .unwrap_or_else(|| "default".to_owned())
}

/// The clock that a command works by: the system's, or the stage's.
pub(super) fn clock(stage: Option<&Stage>) -> Arc<dyn Clock> {
    stage.map_or_else(|| Arc::new(SystemClock) as Arc<dyn Clock>, Stage::clock)
}

/// The OAPs that the flags name. Whoever a metric of `plan` means is known by then.
pub(super) fn oap(
    args: &OapArgs,
    stage: Option<&Stage>,
    clock: Arc<dyn Clock>,
    plan: &Plan,
) -> Result<Arc<Oap>, Failure> {
    let mut directory = directory(args)?;
    if let Some(url) = stage.map(Stage::url).or(args.anywhere()) {
        directory = directory.only(address(url)?);
    }
    let oap = Oap::new(options(args)?, directory, clock).map_err(Failure::usage)?;
    for metric in &plan.metrics {
        oap.address(&metric.source).map_err(|error| {
            let message = plan.masker.mask(&error.to_string());
            Failure::from(Fault::new(format!("metric {}", shown(&metric.name)), message))
                .hint("--oap URL asks one OAP whatever the templates name, --oap NAME=URL the one that they call NAME")
        })?;
    }
    Ok(Arc::new(oap))
}

/// The OAPs that the flags name, and no others: whoever else a template names is refused.
pub(super) fn closed_oap(args: &OapArgs, clock: Arc<dyn Clock>) -> Result<Arc<Oap>, Failure> {
    let mut directory = directory(args)?.closed();
    if let Some(url) = args.anywhere() {
        directory = directory.only(address(url)?);
    }
    let oap = Oap::new(options(args)?, directory, clock).map_err(Failure::usage)?;
    Ok(Arc::new(oap))
}

fn directory(args: &OapArgs) -> Result<Directory, Failure> {
    let mut directory = Directory::default();
    for (name, url) in args.named() {
        let address = address(url)?;
        directory = match Address::parse(name) {
            Ok(written) => directory.instead_of(&written, address),
            Err(_) => directory.name(name, address),
        };
    }
    Ok(directory)
}

/// The address that a metric is asked of; a secret in it is masked.
pub(super) fn whom(oap: &Oap, plan: &Plan, metric: &MetricPlan) -> String {
    let shown = oap.address(&metric.source).map_or_else(
        |error| error.to_string(),
        |address| address.shown().to_owned(),
    );
    plan.masker.mask(&shown)
}

/// The flag that may help where a template's own address gave no answer.
pub(super) fn elsewhere<'a>(
    args: &OapArgs,
    mut measurements: impl Iterator<Item = &'a Measurement>,
) -> Option<&'static str> {
    let is_unreachable = |measurement: &Measurement| {
        let why = measurement.explanation.as_ref();
        why.is_some_and(|why| why.error == Some(ErrorClass::Unreachable))
    };
    (args.servers.is_empty() && measurements.any(is_unreachable))
        .then_some("--oap URL asks another OAP than the template's `address`")
}

/// Awaits an answer of `server`, and says so once a person may wonder.
pub(super) async fn patiently<T>(server: &str, answer: impl Future<Output = T>) -> T {
    const SOON: Duration = Duration::from_secs(3);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => return answer,
        () = tokio::time::sleep(SOON) => tell(&format!("waiting for {server} …")),
    }
    answer.await
}

fn address(url: &str) -> Result<Address, Failure> {
    Address::parse(url).map_err(|error| {
        Failure::usage(anyhow::Error::new(error).context("--oap gives no address"))
    })
}

fn options(args: &OapArgs) -> Result<Options, Failure> {
    let defaults = Options::default();
    let secret = |path: &Path| line(path).map(Secret::new);
    let auth = match (&args.user, &args.password_file, &args.token_file) {
        (Some(user), Some(password), _) => Auth::Basic {
            user: user.clone(),
            password: secret(password)?,
        },
        (_, _, Some(token)) => Auth::Bearer(secret(token)?),
        _ => Auth::None,
    };
    let header = |text: &String| -> Result<(String, Secret), Failure> {
        let (name, value) = text.split_once(':').ok_or_else(|| {
            Failure::usage(anyhow!(
                "a value of --oap-header has no colon; `Name: value` or `Name: @FILE` was expected"
            ))
        })?;
        let value = value.trim();
        let value = value
            .strip_prefix('@')
            .map_or_else(|| Ok(Secret::new(value)), |path| secret(Path::new(path)))?;
        Ok((name.trim().to_owned(), value))
    };
    let client = match (&args.cert, &args.key) {
        (Some(certificate), Some(key)) => Some(ClientCertificate {
            certificate: file(certificate)?,
            key: file(key)?,
        }),
        _ => None,
    };
    Ok(Options {
        timeout: args.timeout.unwrap_or(defaults.timeout),
        concurrency: args.concurrency.map_or(defaults.concurrency, usize::from),
        auth,
        headers: args.headers.iter().map(header).collect::<Result<_, _>>()?,
        tls: Tls {
            ca_bundle: args.ca.as_deref().map(file).transpose()?,
            client,
            insecure: args.insecure,
        },
        ..defaults
    })
}

/// Certificates, keys, passwords: none comes near it.
const LONGEST_FILE: usize = 1 << 20;

/// The secret that a file holds, without the line's end.
pub(super) fn line(path: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(file(path)?).map_err(|_| {
        Failure::usage(anyhow!("{} holds something else than text", path.display()))
    })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::usage(anyhow!(
            "{} is empty; a secret was expected in it",
            path.display()
        ))),
        secret => Ok(secret.to_owned()),
    }
}

/// What a file holds that is no template.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read_up_to(LONGEST_FILE, path)?;
    if bytes.len() > LONGEST_FILE {
        return Err(Failure::usage(anyhow!(
            "{} is longer than {LONGEST_FILE} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

pub(super) fn read_up_to(longest: usize, path: &Path) -> Result<Vec<u8>, Failure> {
    File::open(path)
        .and_then(|file| up_to(longest, file))
        .with_context(|| format!("failed to read {}", path.display()))
        .map_err(Failure::usage)
}

/// All that `from` has, or `longest` bytes and one more.
fn up_to(longest: usize, from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(longest as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        template: TemplateArgs,
    }

    #[test]
    fn faults_of_the_form_hide_none_of_the_plan() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.yaml");
        let text = r#"{apiVersion: argoproj.io/v1alpha1, kind: AnalysisTemplate, metadata: {name: t}, spec: {
            args: [{name: service}],
            metrics: [{name: m, foo: 1, successCondition: "all(valuess > 1)", provider: {skywalking: {
                address: "http://oap:12800", interval: 1m, query: "{ a }"}}}]}}"#;
        std::fs::write(&file, text).unwrap();
        let args = Cli::parse_from(["skygate", "-f", file.to_str().unwrap()]);
        let failure = Prepared::from_args(&args.template, None).unwrap_err();
        let failure = failure.text();
        for expected in [
            "metrics[0].foo: unknown field",
            "args.service was not resolved",
            "unknown name valuess",
        ] {
            assert_eq!(
                failure.matches(expected).count(),
                1,
                "{expected} in {failure}"
            );
        }
    }
}
