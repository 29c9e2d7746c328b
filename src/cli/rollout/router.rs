//! What shares out the traffic, as the command line names it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;

use crate::cli::outcome::{Failure, tell};
use crate::domain::rollout::RolloutSpec;
use crate::domain::routes::{Owner, Traffic};
use crate::ports::{Clock, Observed, Remedy, RouterError, TrafficRouter};
use crate::routers::file::FileRouter;
use crate::routers::istio::{IstioRouter, KubeOptions, connect};
use crate::routers::webhook::{SigningKeys, WebhookOptions, WebhookRouter};
use crate::secrets::without_url_credentials;

/// A router that was found to work.
pub(super) struct Opened {
    pub(super) router: Arc<dyn TrafficRouter>,
    /// What it is and where, as [`RouterArgs`] names it.
    pub(super) place: String,
    /// How the traffic is shared out; `None` where it cannot tell.
    pub(super) observed: Option<Observed>,
}

/// Through what the traffic is moved.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Router")]
pub(super) struct RouterArgs {
    /// What shares out the traffic: istio, file:PATH[,PATH] or webhook:URL
    ///
    /// istio edits the VirtualService in a cluster, file the same in manifests on disk, webhook posts the weights.
    /// Without it istio, where the rollout has trafficRouting.istio.
    #[arg(long, value_name = "ROUTER", env = "SKYGATE_ROUTER")]
    router: Option<RouterKind>,

    /// Kubeconfig of the cluster; without it as kubectl has it, KUBECONFIG included, else the pod's service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig other than its current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Take the routes over that another rollout moves; without it that is refused
    ///
    /// For one whose stepper is gone for good: that it had ended, it could not leave in the routes. It finds itself refused where it is not.
    /// Also goes on in the middle where the Rollout names other routes than before, or where they carry no mark of it: the former ones stay as they are.
    #[arg(long)]
    pub(super) take_route: bool,

    /// File of the secrets that webhooks are signed with, one a line: whsec_ and base64, or any text
    #[arg(long, value_name = "FILE", env = "SKYGATE_WEBHOOK_SECRET_FILE")]
    webhook_secret_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RouterKind {
    Istio,
    File(Vec<PathBuf>),
    Webhook(String),
}

impl RouterKind {
    /// The same wherever it is said: paths from the root on, and nothing of a URL that is a secret.
    fn place(&self) -> String {
        match self {
            Self::Istio => "istio".to_owned(),
            Self::File(paths) => {
                let paths = paths.iter().map(|path| {
                    let whole = std::fs::canonicalize(path);
                    whole.as_ref().unwrap_or(path).display().to_string()
                });
                format!("file:{}", paths.collect::<Vec<_>>().join(","))
            }
            Self::Webhook(url) => {
                let url = without_url_credentials(url);
                let end = url.find(['?', '#']).unwrap_or(url.len());
                format!("webhook:{}", &url[..end])
            }
        }
    }
}

impl FromStr for RouterKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "istio" => Ok(Self::Istio),
            Some(("file", paths)) if !paths.is_empty() => {
                Ok(Self::File(paths.split(',').map(PathBuf::from).collect()))
            }
            Some(("webhook", url)) if !url.is_empty() => Ok(Self::Webhook(url.to_owned())),
            _ => Err("istio, file:PATH or webhook:URL was expected".to_owned()),
        }
    }
}

impl RouterArgs {
    /// The router, found to work as far as that can be known before anything is moved.
    pub(super) async fn open(
        &self,
        spec: &RolloutSpec,
        namespace: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Opened, Failure> {
        let mut traffic = spec.traffic(namespace);
        if let Some(traffic) = &mut traffic {
            traffic.takes_routes = self.take_route;
        }
        let kind = match (&self.router, &traffic) {
            (Some(kind), _) => kind.clone(),
            (None, Some(_)) => RouterKind::Istio,
            (None, None) => {
                return Err(Failure::usage(anyhow!(
                    "nothing says how the traffic is moved: the rollout has no trafficRouting.istio"
                ))
                .hint("--router webhook:URL posts the weights to a URL"));
            }
        };
        let clock = Arc::clone(clock);
        let can_tell = !matches!(kind, RouterKind::Webhook(_));
        let place = kind.place();
        let router: Arc<dyn TrafficRouter> = match kind {
            RouterKind::Istio => {
                let options = KubeOptions {
                    kubeconfig: self.kubeconfig.clone(),
                    context: self.context.clone(),
                };
                let traffic = needed(traffic)?;
                let client = connect(&options).await.map_err(failure)?;
                Arc::new(IstioRouter::new(traffic, client, clock))
            }
            RouterKind::File(paths) => Arc::new(FileRouter::new(needed(traffic)?, paths, clock)),
            RouterKind::Webhook(url) => {
                let owner = Owner {
                    namespace: namespace.to_owned(),
                    name: spec.name.clone(),
                };
                let options = WebhookOptions {
                    keys: self.keys()?,
                    ..WebhookOptions::new(url)
                };
                Arc::new(WebhookRouter::new(owner, options, clock).map_err(failure)?)
            }
        };
        let observed = match router.observe().await {
            Ok(observed) => can_tell.then_some(observed),
            Err(error) if error.remedy() == Remedy::TryAgain => {
                tell(&format!("warning: {error}; it is tried again"));
                None
            }
            Err(error) => return Err(failure(error)),
        };
        Ok(Opened {
            router,
            place,
            observed,
        })
    }

    /// What webhooks are signed with.
    pub(super) fn keys(&self) -> Result<Option<SigningKeys>, Failure> {
        let keys = self.webhook_secret_file.as_deref().map(SigningKeys::read);
        keys.transpose().map_err(Failure::usage)
    }
}

fn needed(traffic: Option<Traffic>) -> Result<Traffic, Failure> {
    traffic.ok_or_else(|| {
        Failure::usage(anyhow!(
            "the rollout has no trafficRouting.istio, which names the VirtualService to edit"
        ))
        .hint("--router webhook:URL needs none")
    })
}

fn failure(error: RouterError) -> Failure {
    let allow = match &error {
        RouterError::Forbidden { allow, .. } => allow.clone(),
        RouterError::Fenced { .. }
        | RouterError::TakenBack(_)
        | RouterError::NotFound(_)
        | RouterError::Invalid(_)
        | RouterError::Unreachable { .. }
        | RouterError::Conflict(_) => None,
    };
    let failure = match error.remedy() {
        Remedy::AskPerson => Failure::usage(error),
        Remedy::StandDown | Remedy::TryAgain => Failure::broken(error),
    };
    match allow {
        Some(allow) => failure.hint(format!("this would allow it:\n{allow}")),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routers_are_named_in_three_ways() {
        let check = |text: &str, expected: Option<RouterKind>| {
            assert_eq!(text.parse().ok(), expected, "{text}");
        };
        check("istio", Some(RouterKind::Istio));
        check(
            "file:a.yaml,b.yaml",
            Some(RouterKind::File(vec!["a.yaml".into(), "b.yaml".into()])),
        );
        check(
            "webhook:https://a/b",
            Some(RouterKind::Webhook("https://a/b".to_owned())),
        );
        for text in ["", "file", "file:", "nginx", "webhook:"] {
            check(text, None);
        }
    }
}
