//! The service over HTTP.

use std::collections::BTreeMap;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::Value;

use super::service::{Look, Service, ServiceError, Sheet};
use crate::client::{Client, ClientError, Filter, KeptRollout, RolloutName};
use crate::domain::measurement::Phase;
use crate::domain::rollout::AnalysisRequest;
use crate::domain::rollout::desk::Lease;
use crate::domain::run::{Run, RunId};
use crate::wire::{ArgumentValue, DryRun, MeasurementRetention, RunRequest, TemplateReference};

/// One rollout at a service.
#[derive(Clone, Debug)]
pub struct RemoteService {
    client: Client,
    namespace: String,
    name: String,
    /// The texts of the templates that its analyses need.
    templates: Vec<Vec<u8>>,
}

impl RemoteService {
    /// The rollout of this name at the service that `client` asks.
    pub fn new(client: Client, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            name: name.into(),
            templates: Vec::new(),
        }
    }

    /// With the texts of the templates that it needs, for a service that loses them.
    #[must_use]
    pub fn with_templates(self, templates: Vec<Vec<u8>>) -> Self {
        Self { templates, ..self }
    }

    fn rollout(&self) -> RolloutName<'_> {
        RolloutName {
            namespace: &self.namespace,
            name: &self.name,
        }
    }
}

#[async_trait]
impl Service for RemoteService {
    async fn take(&self, holder: &str) -> Result<Lease, ServiceError> {
        let took = self.client.take_rollout(self.rollout(), holder).await;
        took.map_err(|error| match status(&error) {
            Some(StatusCode::CONFLICT) => ServiceError::Held(what(&error)),
            // Nothing was begun yet: whoever started this can mend it.
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => refused(&error),
            _ => other(&error),
        })
    }

    async fn renew(&self, fence: u64) -> Result<Lease, ServiceError> {
        let renewed = self.client.renew_rollout(self.rollout(), fence).await;
        renewed.map_err(|error| under_the_lease(&error))
    }

    async fn release(&self, fence: u64) -> Result<(), ServiceError> {
        let released = self.client.release_rollout(self.rollout(), fence).await;
        released.map_err(|error| under_the_lease(&error))
    }

    async fn read(&self) -> Result<Sheet, ServiceError> {
        let kept = self.client.rollout(self.rollout()).await;
        kept.map(sheet).map_err(|error| other(&error))
    }

    async fn news(&self, seen: &str) -> Result<Sheet, ServiceError> {
        let kept = self.client.rollout_news(self.rollout(), seen).await;
        kept.map(sheet).map_err(|error| other(&error))
    }

    async fn save(
        &self,
        fence: u64,
        following: &str,
        record: &Value,
    ) -> Result<String, ServiceError> {
        let saved = self
            .client
            .save_rollout(self.rollout(), fence, following, record);
        saved.await.map_err(|error| match status(&error) {
            Some(StatusCode::PRECONDITION_FAILED) => ServiceError::Overtaken(what(&error)),
            _ => under_the_lease(&error),
        })
    }

    async fn restore(&self) -> Result<(), ServiceError> {
        for text in &self.templates {
            let namespace = Some(self.namespace.as_str());
            let applied = self.client.apply_templates(text.clone(), namespace);
            applied.await.map_err(|error| match status(&error) {
                Some(StatusCode::UNPROCESSABLE_ENTITY | StatusCode::FORBIDDEN) => refused(&error),
                _ => other(&error),
            })?;
        }
        Ok(())
    }

    async fn start(&self, request: &AnalysisRequest<'_>) -> Result<Run, ServiceError> {
        let (body, key) = (body(request), &request.idempotency_key);
        let run = self.client.create_run(&body, key);
        run.await.map_err(|error| match status(&error) {
            Some(
                StatusCode::BAD_REQUEST
                | StatusCode::NOT_FOUND
                | StatusCode::CONFLICT
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY,
            ) => refused(&error),
            _ => other(&error),
        })
    }

    async fn look(&self, run: &RunId, seen: Option<&str>) -> Result<Look, ServiceError> {
        let looked = self.client.look_at_run(run, seen).await;
        let (run, tag) = looked.map_err(|error| other(&error))?;
        Ok(Look { tag, run })
    }

    async fn terminate(&self, run: &RunId) -> Result<(), ServiceError> {
        let ended = self.client.terminate(run).await;
        ended.map_err(|error| other(&error))
    }

    async fn find(&self, labels: &BTreeMap<String, String>) -> Result<Vec<RunId>, ServiceError> {
        let name = |phase: Phase| phase.name().to_owned();
        let filter = Filter {
            namespace: Some(self.namespace.clone()),
            phases: vec![name(Phase::Pending), name(Phase::Running)],
            labels: labels
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            ..Filter::default()
        };
        let page = self.client.list_runs(&filter).await;
        let page = page.map_err(|error| other(&error))?;
        let id = |row: &Value| Some(RunId(row.get("id")?.as_str()?.to_owned()));
        Ok(page.items.iter().filter_map(id).collect())
    }
}

fn sheet(kept: KeptRollout) -> Sheet {
    let KeptRollout {
        tag,
        record,
        lease,
        waiting,
        stepper: _,
        view: _,
    } = kept;
    Sheet {
        tag,
        record,
        lease,
        waiting,
    }
}

fn body(request: &AnalysisRequest<'_>) -> RunRequest {
    let site = request.site;
    RunRequest {
        namespace: Some(request.namespace.to_owned()),
        name: Some(request.name.to_owned()),
        templates: site
            .templates
            .iter()
            .map(|template| TemplateReference {
                template_name: Some(template.name.clone()),
                name: None,
                cluster_scope: template.cluster_scope,
            })
            .collect(),
        args: request
            .args
            .iter()
            .map(|arg| ArgumentValue {
                name: arg.name.clone(),
                value: Some(arg.value.clone()),
                value_from: None,
            })
            .collect(),
        dry_run: site
            .dry_run
            .iter()
            .map(|rule| DryRun {
                metric_name: rule.metric_name.clone(),
            })
            .collect(),
        measurement_retention: site
            .measurement_retention
            .iter()
            .map(|rule| MeasurementRetention {
                metric_name: rule.metric_name.clone(),
                limit: rule.limit,
            })
            .collect(),
        labels: request.labels.clone(),
        not_before: request.not_before.map(|at| at.to_string()),
        ..RunRequest::default()
    }
}

fn status(error: &ClientError) -> Option<StatusCode> {
    error.problem().map(|problem| problem.status)
}

/// What the service said, without what was asked of it: people read this in a rollout's message.
fn what(error: &ClientError) -> String {
    match error.problem() {
        Some(problem) if problem.faults.len() > 1 => {
            let faults: Vec<String> = problem.faults.iter().map(ToString::to_string).collect();
            faults.join("; ")
        }
        Some(problem) if !problem.detail.is_empty() => problem.detail.clone(),
        Some(_) | None => error.to_string(),
    }
}

fn refused(error: &ClientError) -> ServiceError {
    ServiceError::Refused(what(error))
}

fn under_the_lease(error: &ClientError) -> ServiceError {
    match status(error) {
        Some(StatusCode::CONFLICT) => ServiceError::Lost(what(error)),
        // A record that the service does not take would not be taken the next time either.
        Some(StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE) => refused(error),
        _ => other(error),
    }
}

/// Whatever says nothing of the rollout: the service is out of sight, be it because it is away, in trouble, or hears us no more.
fn other(error: &ClientError) -> ServiceError {
    match status(error) {
        Some(StatusCode::NOT_FOUND) => ServiceError::Gone(what(error)),
        _ => ServiceError::Away(error.to_string()),
    }
}
