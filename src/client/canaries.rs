//! What Flagger has asked the service about canaries.

use http::Method;
use serde_json::Value;

use super::link::Call;
use super::request::Page;
use super::{Client, ClientError};

/// A canary by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryName<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl CanaryName<'_> {
    fn call(&self, method: Method) -> Call {
        Call::new(method, ["flagger", "canaries", self.namespace, self.name])
    }
}

impl Client {
    /// One page of the canaries in one namespace or in all, a flat row for each template that one is judged by.
    pub async fn list_canaries(
        &self,
        namespace: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page, ClientError> {
        let mut call = Call::new(Method::GET, ["flagger", "canaries"]);
        for (name, value) in [("namespace", namespace), ("cursor", cursor)] {
            if let Some(value) = value {
                call = call.parameter(name, value.to_owned());
            }
        }
        self.page(call).await
    }

    /// All that is kept of a canary.
    pub async fn get_canary(&self, of: CanaryName<'_>) -> Result<Value, ClientError> {
        let answer = self.link.call(of.call(Method::GET)).await?;
        answer.document()
    }

    /// Forgets a canary, and ends the run of an attempt that is under way.
    pub async fn delete_canary(&self, of: CanaryName<'_>) -> Result<(), ClientError> {
        self.remove(of.call(Method::DELETE)).await
    }
}
