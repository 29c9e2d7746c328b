//! A look at an OAP before anything runs.

use serde_json::json;
use skygate::domain::plan::{Ask, Entity, SourcePlan};
use skygate::oap::{Finding, Options};

use super::stub::{CANARY, Reply, Stub, client, expression, modern, query, read_of, seed};

#[tokio::test]
async fn a_preflight_says_all_that_can_be_said() {
    let check = async |plan: fn(&str) -> SourcePlan, expected: &[&str]| {
        let stub = Stub::modern(|seen| match seen.operation() {
            "ExecExpression" if seen.body["variables"]["expression"] == "nonsense(" => {
                Some(Reply::Json(json!({"data": {"execExpression": {"type": "UNKNOWN", "error": "line 1:9 mismatched input", "results": []}}})))
            }
            _ => Some(modern(seen)),
        })
        .await;
        let findings = client(Options::default()).preflight(&plan(&stub.url)).await;
        let texts: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(texts.len(), expected.len(), "{texts:#?}");
        for (text, expected) in texts.iter().zip(expected) {
            assert!(text.contains(expected), "{text}");
        }
        findings.iter().any(Finding::is_fault)
    };
    let known = [
        "the OAP is 10.4.0-b272da3",
        "its zone is +00:00, its clock is as ours",
    ];
    let service = "it knows the service `canary|reviews|bookinfo|cp-cluster-1|-`";
    let fails = check(
        |url| seed(url, CANARY),
        &[
            known[0],
            known[1],
            "it knows the metric `service_apdex`",
            service,
            "it answers with 1 series, all with data",
        ],
    )
    .await;
    assert!(!fails);
    let fails = check(
        |url| expression(url, "service_apdex"),
        &[
            known[0],
            known[1],
            service,
            "it answers with 1 series, all with data",
        ],
    )
    .await;
    assert!(!fails);
    let fails = check(
        |url| query(url, &read_of("service_apdx")),
        &[
            known[0],
            known[1],
            "knows no metric named `service_apdx`; did you mean `service_apdex`?",
            service,
        ],
    )
    .await;
    assert!(fails);
    let fails = check(
        |url| expression(url, "nonsense("),
        &[known[0], known[1], service, "line 1:9 mismatched input"],
    )
    .await;
    assert!(fails);
    let fails = check(
        |_| seed("oap", CANARY),
        &["`oap` is no `http` or `https` URL"],
    )
    .await;
    assert!(fails);
}

#[tokio::test]
async fn a_service_that_is_only_known_as_a_peer_is_not_looked_up() {
    let stub = Stub::modern(|_| None).await;
    let mut plan = expression(&stub.url, "service_apdex");
    plan.ask = Ask::Expression {
        expression: "service_apdex".into(),
        entity: Entity {
            service_name: Some("db:5432".into()),
            normal: Some(false),
            ..Entity::default()
        },
    };
    let findings = client(Options::default()).preflight(&plan).await;
    assert!(
        !findings
            .iter()
            .any(|it| matches!(it, Finding::Service(_) | Finding::UnseenService { .. })),
        "{findings:?}"
    );
}
