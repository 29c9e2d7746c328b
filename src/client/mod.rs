//! A client of the service: what commands with `--server` and the stepper speak to it with.
//!
//! Every call may be made twice: a connection that breaks before the answer came says nothing of what became of the request.
//! So runs are created under a key of the caller's, records are written under the version that was seen, and all else has the
//! same effect once or twice. What may pass (no connection, 502 to 504, 429) is asked again for as long as the options say.

mod canaries;
mod error;
mod link;
mod options;
mod request;
mod rollouts;
mod templates;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::domain::run::{Run, RunId};
use crate::ports::Clock;
use crate::wire::{MeasurementRequest, RunRequest, read};
use link::{Call, Link};

pub use canaries::CanaryName;
pub use error::{ClientError, Problem};
pub use options::{Absence, Options, OptionsError, Token};
pub use request::{Filter, Page};
pub use rollouts::{Accepted, KeptRollout, RolloutName, Stepper};
pub use templates::Manifest;

/// How long one call waits for news of a run; well below the time after which proxies give up on silence.
const NEWS_WITHIN: Duration = Duration::from_secs(25);

/// A client of one service. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    link: Arc<Link>,
}

impl Client {
    /// A client for the service that `options` name.
    pub fn new(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, OptionsError> {
        Ok(Self {
            link: Arc::new(Link::new(options, clock)?),
        })
    }

    /// The service's URL, without credentials.
    pub fn server(&self) -> &str {
        self.link.server()
    }

    /// Starts a run. However often it is called with the same `key`, there is one run.
    pub async fn create_run(&self, new: &RunRequest, key: &str) -> Result<Run, ClientError> {
        let call = Call::new(Method::POST, ["runs"]).json(new).key(key);
        self.run(call).await
    }

    /// A run as it is now.
    pub async fn get_run(&self, id: &RunId) -> Result<Run, ClientError> {
        self.run(Call::new(Method::GET, ["runs", &id.0])).await
    }

    /// A run as it is now, and then whatever becomes of it.
    pub fn news(&self, id: &RunId) -> News {
        News {
            client: self.clone(),
            id: id.clone(),
            seen: None,
        }
    }

    /// One page of the runs that `filter` describes, newest first: a flat row each.
    pub async fn list_runs(&self, filter: &Filter) -> Result<Page, ClientError> {
        let mut call = Call::new(Method::GET, ["runs"]);
        for (name, value) in filter.parameters() {
            call = call.parameter(name, value);
        }
        self.page(call).await
    }

    /// Wants a run to end. What it is then is known a moment later.
    pub async fn terminate(&self, id: &RunId) -> Result<(), ClientError> {
        let call = Call::new(Method::POST, ["runs", &id.0, "terminate"]);
        self.link.call(call).await.map(drop)
    }

    /// Forgets a run, whether it is over or not.
    pub async fn delete_run(&self, id: &RunId) -> Result<(), ClientError> {
        self.remove(Call::new(Method::DELETE, ["runs", &id.0]))
            .await
    }

    /// Starts a run of what another one ran. However often it is called with the same `key`, there is one new run.
    pub async fn rerun(&self, id: &RunId, key: &str) -> Result<Run, ClientError> {
        let call = Call::new(Method::POST, ["runs", &id.0, "rerun"]).key(key);
        self.run(call).await
    }

    /// Measures once.
    pub async fn measure(&self, new: &MeasurementRequest) -> Result<read::Measured, ClientError> {
        let call = Call::new(Method::POST, ["measurements"]).json(new);
        self.read(call, read::measured).await
    }

    /// Where a try broke off before its answer came, what isn't there any more was removed by that.
    async fn remove(&self, call: Call) -> Result<(), ClientError> {
        match self.link.call(call).await {
            Err(ClientError::Problem(gone))
                if gone.tries > 1 && gone.status == StatusCode::NOT_FOUND =>
            {
                Ok(())
            }
            removed => removed.map(drop),
        }
    }

    async fn run(&self, call: Call) -> Result<Run, ClientError> {
        self.read(call, read::run).await
    }

    async fn read<T>(
        &self,
        call: Call,
        read: impl FnOnce(&Value) -> Result<T, read::ReadError>,
    ) -> Result<T, ClientError> {
        let answer = self.link.call(call).await?;
        let document = answer.document()?;
        read(&document).map_err(|error| answer.unreadable(error.to_string()))
    }

    /// A list and where it goes on.
    async fn page(&self, call: Call) -> Result<Page, ClientError> {
        let answer = self.link.call(call).await?;
        let document = answer.document()?;
        Page::read(&document).ok_or_else(|| {
            let expected = "a list of `items` and a `next` were expected";
            answer.unreadable(expected.to_owned())
        })
    }
}

/// Follows one run.
#[derive(Debug)]
pub struct News {
    client: Client,
    id: RunId,
    /// What tells the newest state that was seen from others: its `ETag`.
    seen: Option<String>,
}

impl News {
    /// The run as it is now, the first time; then once it is another than it was, is over, or nothing has become of it for a while.
    pub async fn next(&mut self) -> Result<Run, ClientError> {
        let mut call = Call::new(Method::GET, ["runs", &self.id.0]);
        if let Some(seen) = &self.seen {
            let wait = format!("{}s", NEWS_WITHIN.as_secs());
            call = call
                .parameter("wait", wait)
                .header(http::header::IF_NONE_MATCH, seen)
                .patient(NEWS_WITHIN);
        }
        let answer = self.client.link.call(call).await?;
        let run = read::run(&answer.document()?);
        let run = run.map_err(|error| answer.unreadable(error.to_string()))?;
        self.seen = answer.etag;
        Ok(run)
    }
}
