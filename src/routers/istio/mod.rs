//! The router for clusters: edits VirtualServices through the Kubernetes API.
//!
//! An object is read, edited and written back with the `resourceVersion` that it was read with, so nobody's change is lost:
//! where somebody was faster the API refuses, and the whole is done anew. Objects travel as plain JSON, so that fields which
//! nobody here has heard of come back as they were.

mod answer;
mod connect;
mod rbac;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request};
use kube::Client;
use serde_json::Value;

pub use connect::{KubeOptions, connect};

use self::answer::Refusal;
use super::{Read, fenced_or_invalid};
use crate::domain::routes::{Change, ObjectName, Routed, Traffic};
use crate::ports::{Clock, Observed, RouterError, Shift, Shifted, TrafficRouter};

/// Istio's API group.
const GROUP: &str = "networking.istio.io";

/// The version that every Istio serves, for a cluster that doesn't tell which it does.
const OLDEST_VERSION: &str = "v1alpha3";

/// How often an object is edited anew because somebody else was faster.
const TRIES: u32 = 8;

/// The wait after the first conflict; each is twice the one before it.
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// How long one request may take, its answer included.
const REQUEST_WITHIN: Duration = Duration::from_secs(15);

/// Edits VirtualServices in a cluster.
#[derive(Clone)]
pub struct IstioRouter {
    traffic: Arc<Traffic>,
    client: Client,
    clock: Arc<dyn Clock>,
    /// The version of Istio's group that the cluster prefers, once it is known.
    version: Arc<Mutex<Option<String>>>,
}

impl fmt::Debug for IstioRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IstioRouter")
            .field("owner", &self.traffic.owner)
            .finish_non_exhaustive()
    }
}

/// A kind of object, and how paths name it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    VirtualService,
    DestinationRule,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::VirtualService => "VirtualService",
            Self::DestinationRule => "DestinationRule",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::VirtualService => "virtualservices",
            Self::DestinationRule => "destinationrules",
        }
    }
}

impl IstioRouter {
    /// A router of `traffic` in the cluster that `client` talks to.
    pub fn new(traffic: Traffic, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            traffic: Arc::new(traffic),
            client,
            clock,
            version: Arc::default(),
        }
    }

    async fn get(&self, kind: Kind, name: &ObjectName) -> Result<Value, RouterError> {
        let path = self.path(kind, name).await?;
        let got = self.send(Method::GET, &path, None).await;
        got.map_err(|refusal| self.explain(refusal, "read", kind, name))
    }

    /// Writes `object` back; `None` where somebody was faster.
    async fn put(&self, name: &ObjectName, object: &Value) -> Result<Option<Value>, RouterError> {
        let kind = Kind::VirtualService;
        let path = self.path(kind, name).await?;
        let path = format!("{path}?fieldManager=skygate");
        match self.send(Method::PUT, &path, Some(object)).await {
            Ok(written) => Ok(Some(written)),
            Err(Refusal::Conflict) => Ok(None),
            Err(refusal) => Err(self.explain(refusal, "update", kind, name)),
        }
    }

    async fn path(&self, kind: Kind, name: &ObjectName) -> Result<String, RouterError> {
        if !name.is_plain() {
            return Err(RouterError::Invalid(format!(
                "`{name}` can't be the namespace and name of a {}",
                kind.name()
            )));
        }
        let version = self.version().await?;
        Ok(format!(
            "/apis/{GROUP}/{version}/namespaces/{}/{}/{}",
            name.namespace,
            kind.plural(),
            name.name
        ))
    }

    async fn version(&self) -> Result<String, RouterError> {
        if let Some(known) = self.known_version().as_ref() {
            return Ok(known.clone());
        }
        let version = match self
            .send(Method::GET, &format!("/apis/{GROUP}"), None)
            .await
        {
            Ok(group) => {
                let preferred = group.pointer("/preferredVersion/version");
                let preferred = preferred.and_then(Value::as_str);
                preferred.unwrap_or(OLDEST_VERSION).to_owned()
            }
            Err(Refusal::NoSuchKind | Refusal::NoSuchObject) => return Err(no_istio()),
            Err(Refusal::Later { what, after }) => {
                return Err(RouterError::Unreachable { what, after });
            }
            // Whoever may read objects need not be allowed to read lists of groups.
            Err(
                Refusal::Forbidden(_)
                | Refusal::Unknown(_)
                | Refusal::Conflict
                | Refusal::Invalid(_),
            ) => return Ok(OLDEST_VERSION.to_owned()),
        };
        *self.known_version() = Some(version.clone());
        Ok(version)
    }

    fn known_version(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json")
            .body(body.into_bytes())
            .map_err(|error| Refusal::Invalid(error.to_string()))?;
        let within = self.clock.deadline(REQUEST_WITHIN);
        let answer = tokio::time::timeout(within, self.client.request::<Value>(request)).await;
        match answer {
            Ok(answer) => answer.map_err(Refusal::of),
            Err(_) => Err(Refusal::Later {
                what: format!("the Kubernetes API did not answer within {within:?}"),
                after: None,
            }),
        }
    }

    fn explain(
        &self,
        refusal: Refusal,
        doing: &'static str,
        kind: Kind,
        name: &ObjectName,
    ) -> RouterError {
        let kind_name = kind.name();
        match refusal {
            Refusal::NoSuchObject => RouterError::NotFound(format!(
                "there is no {kind_name} `{}` in the namespace `{}` of the cluster",
                name.name, name.namespace
            )),
            Refusal::NoSuchKind => {
                // Istio may have been taken away or replaced since we asked.
                *self.known_version() = None;
                no_istio()
            }
            Refusal::Conflict => RouterError::Conflict(format!(
                "somebody else keeps writing the {kind_name} `{name}`"
            )),
            Refusal::Forbidden(said) => {
                let allow =
                    rbac::subject(&said).map(|subject| rbac::manifests(&self.traffic, &subject));
                let hint = if allow.is_some() {
                    ""
                } else {
                    "; this is no lack of RBAC, but something else that admits objects"
                };
                RouterError::Forbidden {
                    what: format!("not allowed to {doing} the {kind_name} `{name}`: {said}{hint}"),
                    allow,
                }
            }
            Refusal::Unknown(said) => RouterError::Forbidden {
                what: format!(
                    "the Kubernetes API doesn't know who we are ({said}): the token or certificate of the kubeconfig, or of the service account, is wrong or has expired"
                ),
                allow: None,
            },
            Refusal::Invalid(said) => RouterError::Invalid(format!(
                "failed to {doing} the {kind_name} `{name}`: {said}"
            )),
            Refusal::Later { what, after } => RouterError::Unreachable {
                what: format!("failed to {doing} the {kind_name} `{name}`: {what}"),
                after,
            },
        }
    }

    /// What has to be done to each object. Nothing is written before all have been looked at.
    async fn changes(&self, shift: &Shift) -> Result<Vec<(&Routed, Value, Change)>, RouterError> {
        let mut changes = Vec::with_capacity(self.traffic.virtual_services.len());
        for routed in &self.traffic.virtual_services {
            let object = self.get(Kind::VirtualService, &routed.name).await?;
            let change = super::change(&self.traffic, &object, routed, shift)
                .map_err(|error| fenced_or_invalid(error, &place(routed)))?;
            changes.push((routed, object, change));
        }
        Ok(changes)
    }
}

#[async_trait]
impl TrafficRouter for IstioRouter {
    async fn observe(&self) -> Result<Observed, RouterError> {
        if let Some(subsets) = &self.traffic.versions.subsets {
            let name = ObjectName {
                namespace: self.traffic.owner.namespace.clone(),
                name: subsets.rule.clone(),
            };
            let rule = self.get(Kind::DestinationRule, &name).await?;
            let checked = subsets.check(&rule);
            checked.map_err(|error| RouterError::Invalid(error.to_string()))?;
        }
        let mut reading = Read::default();
        for routed in &self.traffic.virtual_services {
            let object = self.get(Kind::VirtualService, &routed.name).await?;
            reading.add(&self.traffic, routed, &object, &place(routed))?;
        }
        Ok(reading.observed())
    }

    async fn set(&self, shift: &Shift) -> Result<Shifted, RouterError> {
        let mut shifted = Shifted::AsItWas;
        'again: for attempt in 0..TRIES {
            if attempt > 0 {
                self.clock.sleep(FIRST_WAIT * (1 << (attempt - 1))).await;
            }
            for (routed, mut object, change) in self.changes(shift).await? {
                if change.is_nothing() {
                    continue;
                }
                change.apply(&mut object);
                if self.put(&routed.name, &object).await?.is_none() {
                    continue 'again;
                }
                shifted = Shifted::Written;
            }
            return Ok(shifted);
        }
        let names: Vec<String> = self
            .traffic
            .virtual_services
            .iter()
            .map(|routed| format!("`{}`", routed.name))
            .collect();
        Err(RouterError::Conflict(format!(
            "the weights were not set: somebody else wrote {} each time that we did, {TRIES} times in a row",
            names.join(" or ")
        )))
    }
}

fn place(routed: &Routed) -> String {
    format!("VirtualService `{}`", routed.name)
}

fn no_istio() -> RouterError {
    RouterError::NotFound(format!(
        "the cluster has no VirtualServices (it serves no `virtualservices` of the group `{GROUP}`): Istio's CRDs aren't installed there, or the kubeconfig's context names another cluster"
    ))
}
