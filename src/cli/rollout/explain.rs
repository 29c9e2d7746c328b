//! Why a service would not, as people are told: which rollout, where, and what to do.

use anyhow::anyhow;

use super::Which;
use crate::cli::outcome::Failure;
use crate::client::{Client, ClientError};
use crate::domain::nearest::nearest;

/// How many rollouts are named where the one that was asked for is not there.
const MOST_NAMED: usize = 10;

/// A rollout that a service knows.
struct Known {
    namespace: String,
    name: String,
}

impl Which {
    /// What to tell of an `error` that the service of `client` gave about this rollout.
    pub(super) async fn explain(&self, error: ClientError, client: &Client) -> Failure {
        let Some(problem) = error.problem() else {
            return error.into();
        };
        let Self { name, namespace } = self;
        let server = client.server();
        match problem.status.as_u16() {
            404 => {
                let absent = anyhow!("there is no rollout `{namespace}/{name}` at {server}");
                match self.way_out(client).await {
                    Some(hint) => Failure::usage(absent).hint(hint),
                    None => Failure::usage(absent),
                }
            }
            409 if !problem.detail.is_empty() => {
                let refused = anyhow!("{} (said by {server})", problem.detail);
                Failure::usage(refused).hint(format!(
                    "`skygate rollout get {name} -n {namespace}` shows where it is"
                ))
            }
            _ => error.into(),
        }
    }

    /// Which one may have been meant; `None` where the service cannot tell what it has.
    async fn way_out(&self, client: &Client) -> Option<String> {
        let Self { name, namespace } = self;
        let page = client.list_rollouts(None, None).await.ok()?;
        let known = page.items.iter().filter_map(|row| {
            Some(Known {
                namespace: row.get("namespace")?.as_str()?.to_owned(),
                name: row.get("name")?.as_str()?.to_owned(),
            })
        });
        let known: Vec<Known> = known.collect();
        if let Some(elsewhere) = known.iter().find(|it| it.name == *name) {
            let there = &elsewhere.namespace;
            return Some(if there == namespace {
                format!(
                    "a stepper is about to begin it: `skygate rollout get {name} -n {namespace}` shows it"
                )
            } else {
                format!("there is one in another namespace: -n {there}")
            });
        }
        let beside = known.iter().filter(|it| it.namespace == *namespace);
        if let Some(meant) = nearest(name, beside.map(|it| it.name.as_str())) {
            return Some(format!("did you mean `{meant}`?"));
        }
        if known.is_empty() {
            return Some("it has none: `skygate rollout run -f …` begins one".to_owned());
        }
        let named: Vec<String> = known
            .iter()
            .take(MOST_NAMED)
            .map(|it| format!("`{}/{}`", it.namespace, it.name))
            .collect();
        let more = if known.len() > MOST_NAMED {
            ", …"
        } else {
            ""
        };
        Some(format!("it has {}{more}", named.join(", ")))
    }
}
