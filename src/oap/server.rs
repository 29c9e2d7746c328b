//! One OAP, and how a template's question is put to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use graphql_client::GraphQLQuery;
use serde::Serialize;
use serde_json::Value;

use super::answer::{self, ExpressionResult, MetricTypes};
use super::error::OapError;
use super::graphql::{self, written};
use super::knowledge::Knowledge;
use super::operations::{Evaluated, ExecExpression, exec_expression};
use super::transport::Transport;
use crate::domain::args::Masker;
use crate::domain::plan::{Ask, Entity, SourcePlan};
use crate::domain::query::{Added, Extras, Query};
use crate::domain::reading::{Answer, ErrorClass, SourceError};
use crate::domain::window::Window;
use crate::ports::Clock;

/// An OAP. Everyone who asks the same address shares one.
#[derive(Debug)]
pub(super) struct Server {
    transport: Arc<Transport>,
    knowledge: Knowledge,
    masker: Masker,
    /// Whether there are credentials that don't go there.
    withheld: bool,
}

impl Server {
    pub(super) fn new(
        transport: Transport,
        clock: Arc<dyn Clock>,
        masker: Masker,
        withheld: bool,
    ) -> Self {
        let transport = Arc::new(transport);
        Self {
            knowledge: Knowledge::new(Arc::clone(&transport), clock),
            transport,
            masker,
            withheld,
        }
    }

    /// What there is to say where our credentials don't go there.
    pub(super) fn withheld(&self) -> Option<&'static str> {
        self.withheld.then_some(WITHHELD)
    }

    /// How it was last asked in vain; `None` where it answers.
    pub(super) fn trouble(&self) -> Option<OapError> {
        self.transport.trouble()
    }

    /// Its address as people may see it.
    pub(super) fn shown(&self) -> &str {
        self.transport.server()
    }

    /// What it told about itself.
    pub(super) fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Finds out what has to be known before `ask` is asked, and whether the server can answer it at all.
    pub(super) async fn prepare(&self, ask: &Ask) -> Result<MetricTypes, OapError> {
        let Ask::Query(query) = ask else {
            return Ok(MetricTypes::new());
        };
        // What can be asked for in addition is looked up again when the query is put; by then it is known.
        let (extras, types) = tokio::join!(self.knowledge.extras(), self.knowledge.types(query));
        let types = extras.and(types)?;
        match answer::check_kinds(query, &types) {
            Ok(()) => Ok(types),
            Err(error) => Err(self.with_nearest(error).await),
        }
    }

    /// Asks for a window.
    pub(super) async fn ask(
        &self,
        source: &SourcePlan,
        types: &MetricTypes,
        window: &Window,
    ) -> Result<Answer, OapError> {
        let answer = match &source.ask {
            Ask::Query(query) => {
                let (data, added) = self.query(query, window).await?;
                answer::decode_query(query, &added, data, window, source.gaps, types)
            }
            Ask::Expression { expression, entity } => {
                let result = self.expression(expression, entity, window).await?;
                answer::decode_expression(expression, &result, window, source.gaps)
                    .and_then(|answer| answer::check_times(&answer, window).map(|()| answer))
            }
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.with_nearest(error).await),
        }
    }

    /// `error`, with the nearest name where it is about a metric that doesn't exist.
    pub(super) async fn with_nearest(&self, error: SourceError) -> OapError {
        if error.class != ErrorClass::UnknownMetric {
            return error.into();
        }
        let metrics = self.knowledge.metrics().await;
        answer::suggest(error, metrics.iter().map(String::as_str)).into()
    }

    /// Asks a user's query. With its `data` comes what was asked for in addition: the second time without what the server
    /// turned out to lack.
    async fn query(&self, query: &Query, window: &Window) -> Result<(Value, Added), OapError> {
        let mut extras = self.knowledge.extras().await?;
        loop {
            let (text, added) = query.asking(extras);
            let error = match self.post(&text, window).await {
                Ok(data) => return Ok((data, added)),
                Err(error) => error,
            };
            let Some(fewer) = without(extras, &error) else {
                return Err(self.with_version(error).await);
            };
            extras = fewer;
            self.knowledge.learn_extras(extras);
        }
    }

    async fn post(&self, text: &str, window: &Window) -> Result<Value, OapError> {
        let body = Body {
            query: text,
            variables: QueryVariables {
                duration: QueryDuration {
                    start: window.start_text(),
                    end: window.end_text(),
                    step: window.step().name(),
                },
            },
        };
        let exchange = self.transport.ask(written(&body)).await?;
        graphql::open(self.shown(), &exchange)
    }

    async fn expression(
        &self,
        expression: &str,
        entity: &Entity,
        window: &Window,
    ) -> Result<ExpressionResult, OapError> {
        let variables = exec_expression::Variables {
            expression: expression.to_owned(),
            entity: entity_of(entity),
            duration: exec_expression::Duration {
                start: window.start_text(),
                end: window.end_text(),
                step: exec_expression::Step::Other(window.step().name().to_owned()),
            },
        };
        let question = ExecExpression::build_query(variables);
        let exchange = self.transport.ask(written(&question)).await?;
        match graphql::open::<Evaluated>(self.shown(), &exchange) {
            Ok(data) => Ok(data.result),
            Err(error) => Err(self.with_version(error).await),
        }
    }

    /// The service nearest to `name` of `source`; none where that may be nearly a secret.
    pub(super) async fn nearest_service(&self, source: &SourcePlan, name: &str) -> Option<String> {
        if source.holds_secret {
            return None;
        }
        self.knowledge.nearest_service(name).await
    }

    /// A note for each service of `source` that the server never saw: a likely reason for a lack of data, and no more than that.
    pub(super) async fn unseen_services(&self, source: &SourcePlan) -> Vec<String> {
        let mut notes = Vec::new();
        for name in services(&source.ask) {
            if matches!(self.knowledge.knows_service(name).await, Ok(false)) {
                let nearest = self.nearest_service(source, name).await;
                notes.push(unseen(name, nearest.as_deref()));
            }
        }
        notes
    }

    /// An error of `source` as it leaves us: without secrets, and with what it makes doubtful forgotten.
    pub(super) fn report(&self, error: OapError, source: &SourcePlan) -> SourceError {
        self.knowledge.doubt(&error);
        let error = SourceError::from(if source.holds_secret {
            error.without_quotes()
        } else {
            error
        });
        let mut message = self.masker.mask(&error.message);
        if self.withheld && error.class == ErrorClass::Refused {
            message = format!("{message}; {WITHHELD}");
        }
        SourceError {
            message,
            class: error.class,
        }
    }

    /// `error`, with the server's version where that explains it.
    async fn with_version(&self, mut error: OapError) -> OapError {
        if let OapError::UndefinedField { version, .. } = &mut error {
            *version = self
                .knowledge
                .version()
                .await
                .ok()
                .filter(|it| !it.is_empty());
        }
        error
    }
}

/// What there is to say of an address that only a template names, where there are credentials of ours.
pub(super) const WITHHELD: &str = "the credentials that were given were not sent there: they go to OAPs that are named beside the template (--oap URL or NAME=URL) and to no other";

/// What is still worth asking for after `error`; `None` where it is about something else.
fn without(extras: Extras, error: &OapError) -> Option<Extras> {
    let OapError::UndefinedField { field, .. } = error else {
        return None;
    };
    match field.as_str() {
        "isEmptyValue" if extras.is_empty_value => Some(Extras {
            is_empty_value: false,
            ..extras
        }),
        "id" if extras.id => Some(Extras {
            id: false,
            ..extras
        }),
        _ => None,
    }
}

/// The services that `ask` is about and that a server can be asked about: those that are observed themselves.
pub(super) fn services(ask: &Ask) -> BTreeSet<&str> {
    let entities: Vec<&Entity> = match ask {
        Ask::Query(query) => query
            .reads()
            .iter()
            .filter_map(|it| it.entity.as_ref())
            .collect(),
        Ask::Expression { entity, .. } => vec![entity],
    };
    entities
        .into_iter()
        .filter(|entity| entity.normal != Some(false))
        .filter_map(|entity| entity.service_name.as_deref())
        .collect()
}

/// What there is to say of a service that the server never saw.
pub(super) fn unseen(name: &str, nearest: Option<&str>) -> String {
    let nearest = nearest.map_or_else(String::new, |it| {
        format!("; the nearest that it knows is `{it}`")
    });
    format!("this OAP has never seen a service `{name}`{nearest}")
}

/// The body of a user's query.
#[derive(Serialize)]
struct Body<'a> {
    query: &'a str,
    variables: QueryVariables,
}

#[derive(Serialize)]
struct QueryVariables {
    duration: QueryDuration,
}

/// OAP's `Duration`.
#[derive(Serialize)]
struct QueryDuration {
    start: String,
    end: String,
    step: &'static str,
}

fn entity_of(entity: &Entity) -> exec_expression::Entity {
    exec_expression::Entity {
        scope: entity.scope.clone().map(exec_expression::Scope::Other),
        service_name: entity.service_name.clone(),
        normal: entity.normal,
        service_instance_name: entity.service_instance_name.clone(),
        endpoint_name: entity.endpoint_name.clone(),
        process_name: entity.process_name.clone(),
        dest_service_name: entity.dest_service_name.clone(),
        dest_normal: entity.dest_normal,
        dest_service_instance_name: entity.dest_service_instance_name.clone(),
        dest_endpoint_name: entity.dest_endpoint_name.clone(),
        dest_process_name: entity.dest_process_name.clone(),
    }
}
