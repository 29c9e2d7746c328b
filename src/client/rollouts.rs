//! A stepper's record at the service, written by whoever has seen its newest version.

use http::Method;
use serde_json::Value;

use super::link::{Answer, Call};
use super::{Client, ClientError};

/// A record as it was read or written.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// What it says.
    pub body: Value,
    /// Its version: an `ETag`, for the next [`Client::put_rollout`].
    pub version: String,
}

impl Client {
    /// A rollout's record; `None`: there is none.
    pub async fn get_rollout(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Recorded>, ClientError> {
        let call = Call::new(Method::GET, ["rollouts", namespace, name]);
        match self.link.call(call).await {
            Ok(answer) => recorded(&answer).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a rollout's record where it is still at `version`, or where it isn't there for `None`; else [`ClientError::is_conflict`].
    ///
    /// It is not sent again once it may have arrived: a second time it would contradict its own first. Whoever gets an error that is
    /// [passing](ClientError::is_passing) reads the record again.
    pub async fn put_rollout(
        &self,
        namespace: &str,
        name: &str,
        body: &Value,
        version: Option<&str>,
    ) -> Result<Recorded, ClientError> {
        let call = Call::new(Method::PUT, ["rollouts", namespace, name]).json(body);
        let call = match version {
            Some(version) => call.header(http::header::IF_MATCH, version),
            None => call.header(http::header::IF_NONE_MATCH, "*"),
        };
        let answer = self.link.call(call.once()).await?;
        recorded(&answer)
    }

    /// Tells a rollout what a person wants of it: `promote`, `abort`, `retry` or `pause`, with what belongs to that.
    pub async fn command_rollout(
        &self,
        namespace: &str,
        name: &str,
        command: &str,
        body: &Value,
    ) -> Result<Value, ClientError> {
        let call = Call::new(Method::POST, ["rollouts", namespace, name, command]).json(body);
        let answer = self.link.call(call.once()).await?;
        answer.document()
    }
}

fn recorded(answer: &Answer) -> Result<Recorded, ClientError> {
    let body = answer.document()?;
    let version = answer.etag.clone().ok_or_else(|| {
        let missing = "the header ETag is missing, which is the record's version";
        answer.unreadable(missing.to_owned())
    })?;
    Ok(Recorded { body, version })
}
