//! Templates that the service keeps.

use http::Method;
use serde_json::Value;

use super::link::Call;
use super::request::Page;
use super::{Client, ClientError};
use crate::domain::spec::Kind;

/// Which template somebody means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest<'a> {
    /// Whether it lives in a namespace.
    pub kind: Kind,
    /// Its namespace; without a meaning for a cluster template.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl Manifest<'_> {
    fn call(&self, method: Method) -> Call {
        match self.kind {
            Kind::Namespaced => Call::new(method, ["templates", self.namespace, self.name]),
            Kind::Cluster => Call::new(method, ["clustertemplates", self.name]),
        }
    }
}

impl Client {
    /// Applies a file of manifests, YAML or JSON, all of it or nothing. `namespace` is for those that name none.
    pub async fn apply_templates(
        &self,
        manifests: Vec<u8>,
        namespace: Option<&str>,
    ) -> Result<Value, ClientError> {
        let mut call = Call::new(Method::POST, ["templates"]).body("application/yaml", manifests);
        if let Some(namespace) = namespace {
            call = call.parameter("namespace", namespace.to_owned());
        }
        self.document(call).await
    }

    /// One page of the templates of a kind, in one namespace or in all.
    pub async fn list_templates(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page, ClientError> {
        let path = match kind {
            Kind::Namespaced => "templates",
            Kind::Cluster => "clustertemplates",
        };
        let mut call = Call::new(Method::GET, [path]);
        for (name, value) in [("namespace", namespace), ("cursor", cursor)] {
            if let Some(value) = value {
                call = call.parameter(name, value.to_owned());
            }
        }
        self.page(call).await
    }

    /// A template's manifest.
    pub async fn get_template(&self, which: Manifest<'_>) -> Result<Value, ClientError> {
        self.document(which.call(Method::GET)).await
    }

    /// Removes a template. Runs that were started from it are not touched.
    pub async fn delete_template(&self, which: Manifest<'_>) -> Result<(), ClientError> {
        self.remove(which.call(Method::DELETE)).await
    }

    async fn document(&self, call: Call) -> Result<Value, ClientError> {
        let answer = self.link.call(call).await?;
        answer.document()
    }
}
