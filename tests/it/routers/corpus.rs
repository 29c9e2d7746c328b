//! Argo's edits of VirtualServices as recorded in `tests/data/conformance/istio_routes.json`: the rule itself, files, and a cluster's API.

use serde_json::{Value, json};
use skygate::domain::routes::{Choice, Routed, Subsets, Traffic, Versions, Weight};
use skygate::ports::{RouterError, Shifted, TrafficRouter};
use skygate::routers::istio::IstioRouter;

use super::api_stub::Api;
use super::{Manifest, named, owner, shift, traffic, virtual_service};
use crate::harness::HandClock;

/// Cases in which ours does something else, each with the reason. There are none.
const EXCEPTIONS: &[(&str, &str)] = &[];

pub(crate) fn cases() -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/conformance/istio_routes.json"
    );
    let text = std::fs::read_to_string(path).expect("the corpus is in the repository");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("a list of cases");
    let cases: Vec<Value> = cases
        .into_iter()
        .filter(|case| case.get("id").is_some())
        .collect();
    assert!(cases.len() > 20, "{} cases", cases.len());
    cases
}

pub(crate) fn id(case: &Value) -> &str {
    case["id"].as_str().expect("each case has an id")
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .map(|text| text.as_str().expect("a text").to_owned())
        .collect()
}

/// A case's settings.
pub(crate) fn traffic_of(case: &Value) -> Traffic {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let rule = &case["destinationRule"];
    let subsets = rule.is_object().then(|| Subsets {
        rule: text(&rule["name"]).expect("a name"),
        canary: text(&rule["canarySubsetName"]).expect("a name"),
        stable: text(&rule["stableSubsetName"]).expect("a name"),
        additional: texts(&rule["additionalSubsetNames"]),
    });
    let managed = case["managedRoutes"].as_array();
    let managed = managed.map(Vec::as_slice).unwrap_or_default();
    Traffic {
        owner: owner(),
        versions: Versions {
            canary_service: text(&case["canaryService"]),
            stable_service: text(&case["stableService"]),
            subsets,
        },
        virtual_services: vec![Routed {
            name: named("reviews"),
            choice: Choice {
                http: texts(&case["routes"]),
                managed: managed
                    .iter()
                    .map(|route| text(&route["name"]).expect("a name"))
                    .collect(),
                ..Choice::default()
            },
        }],
        takes_routes: false,
    }
}

pub(crate) fn desired(case: &Value) -> u8 {
    let weight = case["desiredWeight"].as_u64().expect("a weight");
    u8::try_from(weight).expect("a small number")
}

/// What a case says should come out: the routes and whether they were modified, or the beginning of an error.
pub(crate) fn compare(case: &Value, ours: &Result<(Value, bool), String>) -> Result<(), String> {
    let expect = &case["expect"];
    match (ours, expect["error"].as_str()) {
        (Err(ours), Some(expected)) if ours.contains(expected) => Ok(()),
        (Ok((http, modified)), None)
            if *http == expect["http"] && json!(modified) == expect["modified"] =>
        {
            Ok(())
        }
        _ => Err(format!("{}: {ours:?} instead of {expect}", id(case))),
    }
}

/// Each case must come out as it says, but for the exceptions, which must not.
pub(crate) fn judge(outcomes: &[(String, Result<(), String>)]) {
    let mut wrong = Vec::new();
    for (id, outcome) in outcomes {
        let exception = EXCEPTIONS.iter().find(|(other, _)| other == id);
        match (outcome, exception) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Err(difference), None) => wrong.push(difference.clone()),
            (Ok(()), Some((_, reason))) => {
                wrong.push(format!("{id} is no exception any more: {reason}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (exception, _) in EXCEPTIONS {
        assert!(
            outcomes.iter().any(|(id, _)| id == exception),
            "{exception}"
        );
    }
}

#[test]
fn routes_are_edited_as_argo_does() {
    let outcome = |case: &Value| {
        let traffic = traffic_of(case);
        let mut object = virtual_service(&case["http"]);
        let weight = Weight::new(desired(case)).expect("at most 100");
        let ours = traffic
            .change(&object, &traffic.virtual_services[0], weight, 1)
            .map(|change| {
                change.apply(&mut object);
                (object["spec"]["http"].clone(), !change.edits.is_empty())
            })
            .map_err(|error| error.to_string());
        (id(case).to_owned(), compare(case, &ours))
    };
    judge(&cases().iter().map(outcome).collect::<Vec<_>>());
}

/// The routes of the only object in a manifest, whose numbers YAML and JSON spell alike.
fn http_of(text: &str) -> Value {
    let object: Value = serde_norway::from_str(text).expect("a manifest");
    object["spec"]["http"].clone()
}

/// What a router did, for comparison.
fn done(
    shifted: Result<Shifted, RouterError>,
    http: impl FnOnce() -> Value,
) -> Result<(Value, bool), String> {
    match shifted {
        Ok(shifted) => Ok((http(), shifted == Shifted::Written)),
        Err(RouterError::Invalid(what)) => Err(what),
        Err(other) => Err(format!("not refused as invalid: {other:?}")),
    }
}

#[tokio::test]
async fn files_are_edited_as_argo_would() {
    let mut outcomes = Vec::new();
    for case in cases() {
        let object = virtual_service(&case["http"]);
        let yaml = serde_norway::to_string(&object).expect("it can be written");
        let pretty = serde_json::to_string_pretty(&object).expect("it can be written");
        for text in [yaml, pretty, object.to_string()] {
            let manifest = Manifest::new(&text, traffic_of(&case));
            let ours = manifest.set(desired(&case), 1).await;
            let is_error = ours.is_err();
            let ours = done(ours, || http_of(&manifest.text()));
            outcomes.push((id(&case).to_owned(), compare(&case, &ours)));
            if is_error {
                assert_eq!(manifest.text(), text, "{}", id(&case));
                continue;
            }
            // What was set is seen again, and setting it again changes nothing.
            let observed = manifest.router.observe().await.expect("it can be read");
            assert_eq!(
                observed.canary.map(Weight::percent),
                Some(desired(&case)),
                "{}",
                id(&case)
            );
            let before = manifest.text();
            let again = manifest.set(desired(&case), 1).await;
            assert_eq!(again, Ok(Shifted::AsItWas), "{}", id(&case));
            assert_eq!(manifest.text(), before, "{}", id(&case));
        }
    }
    judge(&outcomes);
}

#[tokio::test]
async fn clusters_are_edited_as_argo_does() {
    let mut outcomes = Vec::new();
    for case in cases() {
        let api = Api::new();
        api.add(virtual_service(&case["http"]));
        let router = IstioRouter::new(traffic_of(&case), api.client(), HandClock::new());
        let ours = router.set(&shift(desired(&case), 1)).await;
        let ours = done(ours, || {
            api.virtual_service("reviews")["spec"]["http"].clone()
        });
        outcomes.push((id(&case).to_owned(), compare(&case, &ours)));
    }
    judge(&outcomes);
}

#[test]
fn the_seeds_own_objects_are_understood() {
    let traffic = traffic(super::subsets());
    let mesh: Value = serde_norway::from_str(&super::seed()).expect("a manifest");
    let items = mesh["items"].as_array().expect("a list");
    let named = |kind: &str| {
        let is_it = |item: &&Value| item["kind"] == kind && item["metadata"]["name"] == "reviews";
        items.iter().find(is_it).expect("the seed has it")
    };
    let routed = &traffic.virtual_services[0];
    let observed = traffic.observe(named("VirtualService"), routed);
    assert_eq!(observed, Ok(Some(Weight::NONE)));
    let subsets = traffic.versions.subsets.as_ref().expect("subsets");
    assert_eq!(subsets.check(named("DestinationRule")), Ok(()));
}
