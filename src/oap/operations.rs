//! The operations in `queries/`, compiled against its schema: one that asks for a field that the schema lacks doesn't build.

use graphql_client::{GraphQLQuery, QueryBody};
use serde::{Deserialize, Serialize};

use super::answer::{ExpressionResult, MetricType};

type Long = i64;

/// What kind of metric a name is, for both operations that tell it.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct MetricsType(pub(super) MetricType);

impl From<String> for MetricsType {
    fn from(name: String) -> Self {
        Self(MetricType::named(&name))
    }
}

/// What the server calls itself: `10.4.0-b272da3`.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "queries/schema.graphql",
    query_path = "queries/version.graphql"
)]
pub(super) struct Version;

/// Its clock and its zone.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "queries/schema.graphql",
    query_path = "queries/time_info.graphql"
)]
pub(super) struct TimeInfo;

/// What kind of metric a name is.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "queries/schema.graphql",
    query_path = "queries/type_of_metrics.graphql",
    extern_enums("MetricsType")
)]
pub(super) struct TypeOfMetrics;

/// Every metric, for the nearest name.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "queries/schema.graphql",
    query_path = "queries/list_metrics.graphql",
    extern_enums("MetricsType")
)]
pub(super) struct ListMetrics;

/// Whether a service was ever seen.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "queries/schema.graphql",
    query_path = "queries/find_service.graphql"
)]
pub(super) struct FindService;

/// Every service, for the nearest name.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "queries/schema.graphql",
    query_path = "queries/list_services.graphql"
)]
pub(super) struct ListServices;

/// An MQE expression for an entity.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "queries/schema.graphql",
    query_path = "queries/exec_expression.graphql",
    skip_serializing_none
)]
pub(super) struct ExecExpression;

/// What [`ExecExpression`] is answered with.
#[derive(Deserialize)]
pub(super) struct Evaluated {
    #[serde(rename = "execExpression")]
    pub(super) result: ExpressionResult,
}

/// Which fields a type has: one type a query, since newer servers refuse two.
///
/// By hand, for a schema doesn't describe introspection.
pub(super) struct TypeFields;

impl GraphQLQuery for TypeFields {
    type Variables = TypeName;
    type ResponseData = TypeAnswer;

    fn build_query(variables: TypeName) -> QueryBody<TypeName> {
        QueryBody {
            variables,
            query: include_str!("../../queries/type_fields.graphql"),
            operation_name: "TypeFields",
        }
    }
}

/// The type that [`TypeFields`] asks about.
#[derive(Serialize)]
pub(super) struct TypeName {
    pub(super) name: &'static str,
}

/// What it is answered with.
#[derive(Deserialize)]
pub(super) struct TypeAnswer {
    #[serde(rename = "__type")]
    found: Option<Described>,
}

impl TypeAnswer {
    /// Whether the server has such a type.
    pub(super) fn is_known(&self) -> bool {
        self.found.is_some()
    }

    /// Whether the type has this field.
    pub(super) fn has(&self, field: &str) -> bool {
        let fields = self.found.iter().flat_map(|found| &found.fields);
        fields.flatten().any(|found| found.name == field)
    }
}

#[derive(Deserialize)]
struct Described {
    fields: Option<Vec<Field>>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
}
