//! Rollouts at the service: what their steppers keep there, and what people want of them.

use std::time::Duration;

use http::Method;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use jiff::Timestamp;
use serde_json::Value;

use super::link::{Answer, Call};
use super::request::Page;
use super::{Client, ClientError, NEWS_WITHIN};
use crate::domain::rollout::desk::{Lease, Letter};
use crate::domain::rollout::{Command, Posted, Seen};
use crate::domain::run::{Run, RunId};
use crate::wire::{CommandRequest, LeaseRequest, RolloutSave, read};

/// A rollout by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutName<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// What the service keeps of a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRollout {
    /// What tells this state from others: an `ETag`.
    pub tag: String,
    /// The stepper's record; `None`: none was saved yet.
    pub record: Option<Value>,
    /// Who steps it, or did last.
    pub lease: Option<Lease>,
    /// Who steps it now, by the service's clock, and when they were last seen; `None`: nobody.
    pub stepper: Option<Stepper>,
    /// What people want that no stepper has taken yet, oldest first.
    pub waiting: Vec<Letter>,
    /// All of it as the service tells it.
    pub view: Value,
}

/// Who steps a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stepper {
    /// Who, as they call themselves.
    pub holder: String,
    /// When they took or last renewed the lease.
    pub seen_at: Timestamp,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its number among the rollout's commands.
    pub number: u64,
    /// What it is: to promote may mean to confirm.
    pub command: Command,
    /// Who will take it; `None`: nobody steps the rollout now.
    pub stepper: Option<Stepper>,
}

impl RolloutName<'_> {
    fn call(&self, method: Method) -> Call {
        Call::new(method, ["rollouts", self.namespace, self.name])
    }

    fn post(&self, what: &str) -> Call {
        Call::new(Method::POST, ["rollouts", self.namespace, self.name, what])
    }
}

impl Client {
    /// What is kept of a rollout.
    pub async fn rollout(&self, of: RolloutName<'_>) -> Result<KeptRollout, ClientError> {
        let answer = self.link.call(of.call(Method::GET)).await?;
        kept(&answer)
    }

    /// The same once it is another state than the one with the tag `seen`, or after a while.
    pub async fn rollout_news(
        &self,
        of: RolloutName<'_>,
        seen: &str,
    ) -> Result<KeptRollout, ClientError> {
        let call = of
            .call(Method::GET)
            .parameter("wait", seconds(NEWS_WITHIN))
            .header(IF_NONE_MATCH, seen)
            .patient(NEWS_WITHIN);
        let answer = self.link.call(call).await?;
        kept(&answer)
    }

    /// One page of the rollouts in one namespace or in all, a flat row each.
    pub async fn list_rollouts(
        &self,
        namespace: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page, ClientError> {
        let mut call = Call::new(Method::GET, ["rollouts"]);
        for (name, value) in [("namespace", namespace), ("cursor", cursor)] {
            if let Some(value) = value {
                call = call.parameter(name, value.to_owned());
            }
        }
        self.page(call).await
    }

    /// Takes a rollout's lease as `holder`, or keeps it.
    pub async fn take_rollout(
        &self,
        of: RolloutName<'_>,
        holder: &str,
    ) -> Result<Lease, ClientError> {
        let request = LeaseRequest {
            holder: Some(holder.to_owned()),
            ..LeaseRequest::default()
        };
        self.lease(of, &request).await
    }

    /// Keeps the lease of this number for longer.
    pub async fn renew_rollout(
        &self,
        of: RolloutName<'_>,
        fence: u64,
    ) -> Result<Lease, ClientError> {
        let request = LeaseRequest {
            fence: Some(fence),
            ..LeaseRequest::default()
        };
        self.lease(of, &request).await
    }

    /// Gives the lease of this number back.
    pub async fn release_rollout(
        &self,
        of: RolloutName<'_>,
        fence: u64,
    ) -> Result<(), ClientError> {
        let request = LeaseRequest {
            fence: Some(fence),
            release: true,
            ..LeaseRequest::default()
        };
        let call = of.post("lease").json(&request);
        self.link.call(call).await.map(drop)
    }

    /// Keeps a stepper's record in place of the one of the state with the tag `following`; answers with the new tag.
    ///
    /// It is not sent again once it may have arrived: a second time it would contradict its own first. Whoever gets an error that is
    /// [passing](ClientError::is_passing) reads the record again.
    pub async fn save_rollout(
        &self,
        of: RolloutName<'_>,
        fence: u64,
        following: &str,
        record: &Value,
    ) -> Result<String, ClientError> {
        let save = RolloutSave {
            fence,
            rollout: record.clone(),
        };
        let call = of
            .call(Method::PUT)
            .json(&save)
            .header(IF_MATCH, following)
            .once();
        let answer = self.link.call(call).await?;
        tag(&answer)
    }

    /// Tells a rollout what a person wants of it. Said twice it may mean something else, so it is not sent again once it may have arrived.
    pub async fn command_rollout(
        &self,
        of: RolloutName<'_>,
        command: Command,
        seen: Option<Seen>,
    ) -> Result<Accepted, ClientError> {
        let (what, full) = match command {
            Command::PromoteFull => ("promote", true),
            Command::Promote | Command::Confirm => ("promote", false),
            Command::Abort | Command::Retry | Command::Pause | Command::Resume => {
                (command.name(), false)
            }
        };
        let call = of.post(what).json(&CommandRequest { seen, full }).once();
        let answer = self.link.call(call).await?;
        let document = answer.document()?;
        let accepted = || {
            Some(Accepted {
                number: document.pointer("/command/number")?.as_u64()?,
                command: Command::named(document.pointer("/command/command")?.as_str()?)?,
                stepper: stepper(document.get("stepper")?).ok()?,
            })
        };
        accepted().ok_or_else(|| answer.unreadable("a `command` was expected".to_owned()))
    }

    /// A run as it is now, or with a tag in `seen` once it is another than that, is over, or nothing has become of it for a while; and its tag.
    pub async fn look_at_run(
        &self,
        id: &RunId,
        seen: Option<&str>,
    ) -> Result<(Run, String), ClientError> {
        let mut call = Call::new(Method::GET, ["runs", &id.0]);
        if let Some(seen) = seen {
            call = call
                .parameter("wait", seconds(NEWS_WITHIN))
                .header(IF_NONE_MATCH, seen)
                .patient(NEWS_WITHIN);
        }
        let answer = self.link.call(call).await?;
        let run = read::run(&answer.document()?);
        let run = run.map_err(|error| answer.unreadable(error.to_string()))?;
        Ok((run, tag(&answer)?))
    }

    async fn lease(
        &self,
        of: RolloutName<'_>,
        request: &LeaseRequest,
    ) -> Result<Lease, ClientError> {
        let answer = self.link.call(of.post("lease").json(request)).await?;
        let leased = lease(&answer.document()?).map_err(|why| answer.unreadable(why))?;
        leased.ok_or_else(|| answer.unreadable("a lease was expected".to_owned()))
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

fn tag(answer: &Answer) -> Result<String, ClientError> {
    answer
        .etag
        .clone()
        .ok_or_else(|| answer.unreadable("the header ETag is missing".to_owned()))
}

fn kept(answer: &Answer) -> Result<KeptRollout, ClientError> {
    let view = answer.document()?;
    let read = || -> Result<KeptRollout, String> {
        let field = |name: &str| {
            let found = view.get(name);
            found.ok_or_else(|| format!("the field `{name}` is missing"))
        };
        let record = field("rollout")?;
        let commands = field("commands")?.as_array();
        let commands = commands.ok_or("`commands` is no list")?;
        let is_waiting = |command: &&Value| command["isWaiting"] == true;
        Ok(KeptRollout {
            tag: String::new(),
            record: (!record.is_null()).then(|| record.clone()),
            lease: lease(field("lease")?)?,
            stepper: if field("stepper")?.is_null() {
                None
            } else {
                stepper(field("lease")?)?
            },
            waiting: commands
                .iter()
                .filter(is_waiting)
                .map(letter)
                .collect::<Result<_, _>>()?,
            view: view.clone(),
        })
    };
    let kept = read().map_err(|why| answer.unreadable(why))?;
    Ok(KeptRollout {
        tag: tag(answer)?,
        ..kept
    })
}

fn lease(value: &Value) -> Result<Option<Lease>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let read = || -> Option<Lease> {
        Some(Lease {
            holder: value.get("holder")?.as_str()?.to_owned(),
            fence: value.get("fence")?.as_u64()?,
            expires_at: value
                .get("expiresAt")?
                .as_str()?
                .parse::<Timestamp>()
                .ok()?,
        })
    };
    read()
        .map(Some)
        .ok_or_else(|| "a lease is malformed".to_owned())
}

/// Who has a lease that is held.
fn stepper(lease: &Value) -> Result<Option<Stepper>, String> {
    if lease.is_null() {
        return Ok(None);
    }
    let read = || -> Option<Stepper> {
        Some(Stepper {
            holder: lease.get("holder")?.as_str()?.to_owned(),
            seen_at: lease.get("seenAt")?.as_str()?.parse().ok()?,
        })
    };
    read()
        .map(Some)
        .ok_or_else(|| "a lease is malformed".to_owned())
}

fn letter(value: &Value) -> Result<Letter, String> {
    let read = || -> Option<Letter> {
        let seen = value.get("seen")?;
        let posted = Posted {
            number: value.get("number")?.as_u64()?,
            command: Command::named(value.get("command")?.as_str()?)?,
            seen: serde_json::from_value(seen.clone()).ok()?,
        };
        Some(Letter {
            posted,
            by: value.get("by")?.as_str()?.to_owned(),
            at: value.get("at")?.as_str()?.parse().ok()?,
        })
    };
    read().ok_or_else(|| format!("a command is malformed: {value}"))
}
