//! `skygate canaries`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::options::Output;
use super::outcome::{Failure, Outcome, print, tell, write};
use super::service::{Remote, ServiceArgs};
use super::{prepare, show};
use crate::client::CanaryName;
use crate::wire;

/// See what Flagger has asked a service about its canaries, and what it was answered
#[derive(Args, Debug)]
pub(super) struct Canaries {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Get(Get),
    Delete(Delete),
}

/// List canaries with their newest attempts
#[derive(Args, Debug)]
struct List {
    /// Only those of this namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", env = "SKYGATE_NAMESPACE", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Show a canary's attempts, and the newest calls
#[derive(Args, Debug)]
struct Get {
    #[command(flatten)]
    which: Which,

    /// Form of the result; json and yaml are all that the service keeps of it
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Forget a canary, and end the run of an attempt that is under way
///
/// Whatever Flagger asks next begins a new attempt.
#[derive(Args, Debug)]
struct Delete {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Which canary is meant.
#[derive(Args, Debug)]
struct Which {
    /// Name of the canary
    #[arg(value_name = "NAME")]
    name: String,

    /// Its namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", env = "SKYGATE_NAMESPACE", default_value = "default", value_parser = NonEmptyStringValueParser::new())]
    namespace: String,
}

impl Canaries {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        match self.command {
            Command::List(command) => command.execute().await,
            Command::Get(command) => command.execute().await,
            Command::Delete(command) => command.execute().await,
        }
    }
}

impl List {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let rows = prepare::patiently(service.client.server(), self.rows(&service)).await?;
        let items = json!({ "items": rows });
        match self.output {
            Output::Text if rows.is_empty() => tell("no canaries"),
            Output::Text => print(&listed(&rows))?,
            Output::Json => write(&wire::json(&items).map_err(Failure::broken)?)?,
            Output::Yaml => write(&wire::yaml(&items).map_err(Failure::broken)?)?,
        }
        Ok(Outcome::Successful)
    }

    async fn rows(&self, service: &Remote) -> Result<Vec<Value>, Failure> {
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let namespace = self.namespace.as_deref();
            let page = service.client.list_canaries(namespace, cursor.as_deref());
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
        let call = &row["lastCall"];
        let told = match row["trouble"].as_str() {
            Some(trouble) => trouble.to_owned(),
            None => format!("{} {}", text(&call["hook"]), text(&call["status"])),
        };
        [
            text(&row["namespace"]),
            text(&row["name"]),
            text(&row["template"]),
            text(&row["attempt"]),
            text(&row["checksum"]),
            text(&row["phase"]),
            state(row).to_owned(),
            text(&call["at"]),
            told,
        ]
    });
    let heads = [
        "NAMESPACE",
        "NAME",
        "TEMPLATE",
        "ATTEMPT",
        "CHECKSUM",
        "PHASE",
        "STATE",
        "LAST CALL",
        "ANSWER",
    ];
    show::table(&mut out, heads, cells);
    out
}

/// Whether an attempt is under way.
fn state(attempt: &Value) -> &'static str {
    match (attempt["isOpen"].as_bool(), attempt["openedAt"].is_string()) {
        (Some(true), _) => "open",
        (_, true) => "closed",
        (_, false) => "",
    }
}

/// A field of a row; nothing for what is absent.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

impl Get {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let canary = service.client.get_canary(self.which.name());
        let canary = prepare::patiently(service.client.server(), canary).await?;
        match self.output {
            Output::Text => print(&drawn(&canary))?,
            Output::Json => write(&wire::json(&canary).map_err(Failure::broken)?)?,
            Output::Yaml => write(&wire::yaml(&canary).map_err(Failure::broken)?)?,
        }
        Ok(Outcome::Successful)
    }
}

/// The attempts, and then the calls of the newest and those of none, as they came.
fn drawn(canary: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut out = String::new();
    for trouble in list(&canary["troubles"]) {
        out.extend(["warning: ", &text(&trouble), "\n"]);
    }
    let attempts = list(&canary["attempts"]);
    let cells = attempts.iter().map(|attempt| {
        [
            text(&attempt["number"]),
            text(&attempt["template"]),
            text(&attempt["checksum"]),
            state(attempt).to_owned(),
            text(&attempt["phase"]),
            text(&attempt["openedAt"]),
            text(&attempt["closedAt"]),
            text(&attempt["run"]),
        ]
    });
    let heads = [
        "ATTEMPT", "TEMPLATE", "CHECKSUM", "STATE", "PHASE", "OPENED", "CLOSED", "RUN",
    ];
    show::table(&mut out, heads, cells);

    let newest = attempts.first().map(|attempt| list(&attempt["calls"]));
    let mut calls: Vec<Value> = newest.unwrap_or_default();
    calls.extend(list(&canary["calls"]));
    // They come newest first.
    calls.reverse();
    calls.sort_by_key(|call| text(&call["at"]).parse::<Timestamp>().ok());
    out.push('\n');
    let cells = calls.iter().map(|call| {
        [
            text(&call["at"]),
            text(&call["hook"]),
            text(&call["phase"]),
            text(&call["status"]),
            text(&call["text"]),
        ]
    });
    let heads = ["CALLED", "HOOK", "CANARY", "ANSWER", "SAYING"];
    show::table(&mut out, heads, cells);
    out
}

impl Delete {
    async fn execute(self) -> Result<Outcome, Failure> {
        let service = self.service.required()?;
        let deleted = service.client.delete_canary(self.which.name());
        prepare::patiently(service.client.server(), deleted).await?;
        let Which { name, namespace } = self.which;
        print(&format!("deleted {namespace}/{name}\n"))?;
        Ok(Outcome::Successful)
    }
}

impl Which {
    fn name(&self) -> CanaryName<'_> {
        CanaryName {
            namespace: &self.namespace,
            name: &self.name,
        }
    }
}
