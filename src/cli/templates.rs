//! `skygate templates`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::options::{FileArgs, Output};
use super::outcome::{Failure, Outcome, print, tell, write};
use super::service::{Remote, ServiceArgs};
use super::{prepare, show};
use crate::client::Manifest;
use crate::domain::spec::Kind;
use crate::wire;

/// Keep templates at a service
#[derive(Args, Debug)]
pub(super) struct Templates {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Apply(Apply),
    List(List),
    Get(Get),
    Delete(Delete),
}

/// Create templates, or replace them
///
/// Runs that are under way go on with what they have.
#[derive(Args, Debug)]
struct Apply {
    #[command(flatten)]
    input: FileArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// List templates
#[derive(Args, Debug)]
struct List {
    /// Only those of this namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", env = "SKYGATE_NAMESPACE", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,

    /// ClusterAnalysisTemplates, which every namespace sees
    #[arg(long, conflicts_with = "namespace")]
    cluster: bool,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Show a template's manifest
#[derive(Args, Debug)]
struct Get {
    #[command(flatten)]
    which: Which,

    /// Form of the manifest
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Remove a template
///
/// Runs that were started from it go on with what they have.
#[derive(Args, Debug)]
struct Delete {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Which template is meant.
#[derive(Args, Debug)]
struct Which {
    /// Name of the template
    #[arg(value_name = "NAME")]
    name: String,

    /// Its namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", env = "SKYGATE_NAMESPACE", default_value = "default", value_parser = NonEmptyStringValueParser::new())]
    namespace: String,

    /// A ClusterAnalysisTemplate, which every namespace sees
    #[arg(long)]
    cluster: bool,
}

/// The form of a manifest on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// As people write it
    #[default]
    Yaml,
    /// For programs
    Json,
}

impl Templates {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        match self.command {
            Command::Apply(command) => command.execute().await,
            Command::List(command) => command.execute().await,
            Command::Get(command) => command.execute().await,
            Command::Delete(command) => command.execute().await,
        }
    }
}

impl Apply {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        // All are read before anything is sent.
        let FileArgs { files, namespace } = self.input;
        let texts: Vec<Vec<u8>> = files
            .iter()
            .map(|path| prepare::text(path))
            .collect::<Result<_, _>>()?;
        for (path, text) in files.iter().zip(texts) {
            let applied = service.client.apply_templates(text, namespace.as_deref());
            let applied = prepare::patiently(service.client.server(), applied).await;
            let applied = applied.map_err(|error| error.in_file(&prepare::called(path)))?;
            for note in texts_of(&applied["notes"]) {
                tell(&format!("note: {}: {note}", prepare::called(path)));
            }
            for item in applied["items"].as_array().into_iter().flatten() {
                let result = item["result"].as_str().unwrap_or("applied");
                print(&format!("{result} {}\n", label(item)))?;
            }
        }
        Ok(Outcome::Successful)
    }
}

fn texts_of(list: &Value) -> impl Iterator<Item = &str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str)
}

/// `AnalysisTemplate default/apdex`.
fn label(item: &Value) -> String {
    let text = |field: &str| item[field].as_str().unwrap_or_default();
    match text("namespace") {
        "" => format!("{} {}", text("kind"), text("name")),
        namespace => format!("{} {namespace}/{}", text("kind"), text("name")),
    }
}

impl List {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let rows = prepare::patiently(service.client.server(), self.rows(&service)).await?;
        let items = json!({ "items": rows });
        match self.output {
            Output::Text if rows.is_empty() => tell("no templates"),
            Output::Text => print(&listed(&rows))?,
            Output::Json => write(&wire::json(&items).map_err(Failure::broken)?)?,
            Output::Yaml => write(&wire::yaml(&items).map_err(Failure::broken)?)?,
        }
        Ok(Outcome::Successful)
    }

    async fn rows(&self, service: &Remote) -> Result<Vec<Value>, Failure> {
        let kind = if self.cluster {
            Kind::Cluster
        } else {
            Kind::Namespaced
        };
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let namespace = self.namespace.as_deref();
            let page = service
                .client
                .list_templates(kind, namespace, cursor.as_deref());
            let page = page.await?;
            rows.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }
}

fn listed(rows: &[Value]) -> String {
    let mut out = String::new();
    let cells = rows.iter().map(|row| {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();

        [
            text("namespace"),
            text("name"),
            text("metrics"),
            text("args"),
        ]
    });
    show::table(&mut out, ["NAMESPACE", "NAME", "METRICS", "ARGS"], cells);
    out
}

impl Get {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let manifest = service.client.get_template(self.which.manifest());
        let manifest = prepare::patiently(service.client.server(), manifest).await?;
        let text = match self.output {
            Form::Yaml => wire::yaml(&manifest),
            Form::Json => wire::json(&manifest),
        };
        write(&text.map_err(Failure::broken)?)?;
        Ok(Outcome::Successful)
    }
}

impl Delete {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let which = self.which.manifest();
        let deleted = service.client.delete_template(which);
        prepare::patiently(service.client.server(), deleted).await?;
        print(&format!("deleted {}\n", self.which.label()))?;
        Ok(Outcome::Successful)
    }
}

impl Which {
    fn kind(&self) -> Kind {
        if self.cluster {
            Kind::Cluster
        } else {
            Kind::Namespaced
        }
    }

    fn manifest(&self) -> Manifest<'_> {
        Manifest {
            kind: self.kind(),
            namespace: &self.namespace,
            name: &self.name,
        }
    }

    fn label(&self) -> String {
        match self.kind() {
            Kind::Namespaced => format!("AnalysisTemplate {}/{}", self.namespace, self.name),
            Kind::Cluster => format!("ClusterAnalysisTemplate {}", self.name),
        }
    }
}
