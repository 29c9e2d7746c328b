//! The way to a cluster.

use std::path::PathBuf;
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::ports::RouterError;

/// Which cluster, and who we are there.
#[derive(Clone, Debug, Default)]
pub struct KubeOptions {
    /// A kubeconfig. Without it what `KUBECONFIG` names, `~/.kube/config`, or the service account of the pod that we run in.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig other than its current one.
    pub context: Option<String>,
}

/// A client for the cluster that `options` name. Nothing is sent yet.
pub async fn connect(options: &KubeOptions) -> Result<Client, RouterError> {
    super::super::install_crypto();
    let mut config = config(options).await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(15));
    config.write_timeout = Some(Duration::from_secs(15));
    // Who steps a rollout knows better when to try again than a layer below, which would hold a step up for minutes.
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config);
    let builder = builder.map_err(|error| {
        RouterError::Invalid(format!("no client for the cluster can be built: {error}"))
    })?;
    Ok(builder.build())
}

async fn config(options: &KubeOptions) -> Result<Config, RouterError> {
    let wanted = KubeConfigOptions {
        context: options.context.clone(),
        ..KubeConfigOptions::default()
    };
    let invalid = |error: &dyn std::fmt::Display| {
        RouterError::Invalid(format!("the kubeconfig can't be used: {error}"))
    };
    match &options.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| invalid(&error))?;
            let config = Config::from_custom_kubeconfig(file, &wanted).await;
            config.map_err(|error| invalid(&error))
        }
        None if options.context.is_some() => {
            let config = Config::from_kubeconfig(&wanted).await;
            config.map_err(|error| invalid(&error))
        }
        None => Config::infer().await.map_err(|error| {
            RouterError::Invalid(format!(
                "no cluster is known: {error}; give a kubeconfig, or run in a pod with a service account"
            ))
        }),
    }
}
