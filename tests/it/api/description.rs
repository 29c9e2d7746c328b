//! What is told of the API is what the API is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use skygate::api::description;

use crate::harness::Setup;

/// The description as people read it. Has it written anew where the environment says so.
#[test]
fn the_document_is_the_one_that_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/openapi.yaml");
    let made = skygate::wire::yaml(&description()).expect("it can be written");
    if std::env::var_os("SKYGATE_REWRITE").is_some() {
        fs::write(&path, &made).expect("it can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == kept,
        "api/openapi.yaml is not what the handlers say; SKYGATE_REWRITE=1 cargo test --test it api::description writes it anew"
    );
}

/// The routes of the table, as methods and paths.
fn routes() -> BTreeSet<String> {
    let table = include_str!("../../../src/api/mod.rs");
    let table: String = table.split_whitespace().collect();
    let route = Regex::new(r#"\.route\("([^"]+)",([a-z]+)\("#).expect("a pattern");
    route
        .captures_iter(&table)
        .map(|found| format!("{} {}", &found[2], &found[1]))
        .collect()
}

#[test]
fn it_has_every_route_and_no_other() {
    let described = serde_json::to_value(description()).expect("it is JSON");
    let mut operations = BTreeSet::new();
    for (path, item) in described["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            operations.insert(format!("{method} {path}"));
        }
    }
    assert_eq!(operations, routes());
    assert_eq!(described["openapi"], "3.1.0");
}

#[tokio::test]
async fn the_service_tells_it() {
    let served = Setup::saying("S").start().await;
    let told = served.get("/openapi.json").await;
    assert_eq!(told.status, 200);
    let described = serde_json::to_value(description()).expect("it is JSON");
    assert_eq!(told.json(), described);
}

/// Every field of what is read here is in the description, and every described one is read.
#[tokio::test]
async fn it_has_the_fields_that_are_taken() {
    let served = Setup::saying("S").start().await;
    let described = serde_json::to_value(description()).expect("it is JSON");
    let name_pattern = Regex::new("`([A-Za-z]+)`").expect("a pattern");
    for (path, schema) in [
        ("/api/v1/runs", "RunRequest"),
        ("/api/v1/measurements", "MeasurementRequest"),
    ] {
        let schema = &described["components"]["schemas"][schema];
        let fields = schema["properties"].as_object().expect("fields");
        let refused = served.post(path, r#"{"nobody-knows-it": 1}"#).await;
        let message = refused.json()["faults"][0]["message"].to_string();
        let known: BTreeSet<String> = name_pattern
            .captures_iter(&message)
            .map(|found| found[1].to_owned())
            .collect();
        assert_eq!(known, fields.keys().cloned().collect(), "{path}");
    }
}
