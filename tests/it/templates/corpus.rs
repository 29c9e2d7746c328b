//! Argo's own checking, as the corpus records it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skygate::domain::analysis::{Analysis, Checked, Context, Library, Request};
use skygate::domain::args::{Arguments, render};
use skygate::domain::fault::{Fault, Faults};
use skygate::domain::measurement::Phase;
use skygate::domain::plan::{Overrides, Plan};
use skygate::domain::spec::{AnalysisSpec, Kind, Template, TemplateRef};

use super::inline;

const VALIDATION: &str = include_str!("../../data/conformance/validation.json");
const RENDERING: &str = include_str!("../../data/conformance/rendering.json");
const SCHEDULE: &str = include_str!("../../data/conformance/schedule.json");

/// Cases that we decide otherwise, each with its reason.
const DEVIATIONS: &[(&str, &str)] = &[(
    "r-072",
    "Argo looks a placeholder up in serialised JSON, where `&` has another form; here the argument is found",
)];

/// Messages that we word otherwise: the case, and what ours contains instead.
const REWORDED: &[(&str, &str)] = &[
    (
        "r-043",
        "cannot find the end tag `}}`", // Argo shows the whole text and where in it, twice.
    ),
    ("r-058", "control character U+007F"), // Argo stumbles over its own JSON.
    ("r-067", "failed to resolve {{\"a\": #}}"), // Argo shows the tag as serialised.
];

fn cases(corpus: &str) -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(corpus).expect("the corpus is JSON");
    cases
        .into_iter()
        .filter(|case| case["id"].is_string())
        .collect()
}

fn id(case: &Value) -> &str {
    case["id"].as_str().expect("a case has an id")
}

fn is_deviation(case: &Value) -> bool {
    DEVIATIONS.iter().any(|(listed, _)| *listed == id(case))
}

/// One case of validation.json through reading, merging and Argo's level of checking.
fn validate(case: &Value) -> Result<(Analysis, Checked), Faults> {
    let mut library = Library::default();
    let mut everything = Vec::new();
    for (field, kind) in [
        ("templates", Kind::Namespaced),
        ("clusterTemplates", Kind::Cluster),
    ] {
        for template in case[field].as_array().into_iter().flatten() {
            let mut manifest = template.clone();
            manifest["apiVersion"] = json!("argoproj.io/v1alpha1");
            let template = Template::read(kind, &manifest);
            everything.push(TemplateRef::new(kind, template.name.clone()));
            library.insert(template);
        }
    }
    let mut faults = Vec::new();
    let site = json!({
        "args": case["args"],
        "dryRun": case["dryRun"],
        "measurementRetention": case["measurementRetention"],
        "templates": case["refs"],
    });
    let site = AnalysisSpec::read(&site, "", &mut faults);
    let request = Request {
        namespace: "default".to_owned(),
        templates: if case["refs"].is_null() {
            everything
        } else {
            site.templates
        },
        args: site.args,
        dry_run: site.dry_run,
        measurement_retention: site.measurement_retention,
        faults,
        ..Request::default()
    };
    let context = match case["context"].as_str() {
        Some("inline") => Context::Step,
        _ => Context::Free,
    };
    let analysis = Analysis::assemble(&library, &request);
    let checked = analysis.check(context)?;
    Ok((analysis, checked))
}

#[test]
fn validation_is_argos() {
    let mut wrong = Vec::new();
    for case in cases(VALIDATION) {
        if is_deviation(&case) {
            continue;
        }
        let outcome = match (validate(&case), case["expect"].as_str()) {
            (Ok((analysis, checked)), Some("ok")) => {
                compare_resolved(&case["resolved"], &analysis, &checked)
            }
            (Err(faults), Some("reject")) => compare_message(&case, &faults.into_vec()),
            (Ok(_), _) => Err("accepted".to_owned()),
            (Err(faults), _) => Err(faults.to_string()),
        };
        if let Err(why) = outcome {
            wrong.push(format!("{}: {why}", id(&case)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn compare_resolved(
    expected: &Value,
    analysis: &Analysis,
    checked: &Checked,
) -> Result<(), String> {
    let args: serde_json::Map<String, Value> = analysis
        .args
        .iter()
        .map(|arg| {
            let value = match &arg.value {
                Some(value) => json!(value),
                None => json!({"valueFrom": arg.value_from.is_some()}),
            };
            (arg.name.clone(), value)
        })
        .collect();
    let names: Vec<&str> = analysis.metrics.iter().map(|it| it.name.as_str()).collect();
    let found = json!({
        "args": args,
        "metricOrder": names,
        "dryRunMetrics": checked.dry_run,
        "retention": checked.retention,
    });
    if found == *expected {
        Ok(())
    } else {
        Err(format!("resolved to {found}"))
    }
}

/// The corpus has Argo's first error, ours are all of them: one of ours must say the same, quotes and capitals aside.
fn compare_message(case: &Value, faults: &[Fault]) -> Result<(), String> {
    let Some(message) = case["message"].as_str() else {
        return Ok(());
    };
    let reworded = REWORDED.iter().find(|(listed, _)| *listed == id(case));
    let core = match reworded {
        Some((_, ours)) => ours,
        None => core_of(message),
    };
    let plain = |text: &str| text.to_lowercase().replace(['\'', '"', '`'], "");
    let found: Vec<String> = faults.iter().map(|fault| plain(&fault.message)).collect();
    if found.iter().any(|text| text.contains(&plain(core))) {
        Ok(())
    } else {
        Err(format!("`{core}` is not in {found:?}"))
    }
}

/// Argo's text without where it stands, which is in our path.
fn core_of(message: &str) -> &str {
    let message = [
        "Analysis spec invalid: ",
        "Unable to resolve metric arguments: ",
    ]
    .iter()
    .find_map(|prefix| message.strip_prefix(prefix))
    .unwrap_or(message);
    match message.split_once("]: ") {
        Some((place, rest)) if !place.contains(' ') => rest,
        _ => message,
    }
}

fn arguments(case: &Value) -> Result<Arguments, Vec<Fault>> {
    let spec = json!({
        "args": case["args"],
        "metrics": [{"name": "m", "provider": {"skywalking": {}}}],
    });
    let mut faults = Vec::new();
    let spec = AnalysisSpec::read(&spec, "spec", &mut faults);
    let args = skygate::domain::analysis::arguments(&spec.args, &mut faults);
    if faults.is_empty() {
        Ok(args)
    } else {
        Err(faults)
    }
}

#[test]
fn text_is_rendered_as_argo_does() {
    for case in cases(RENDERING) {
        if case["kind"] != "text" || is_deviation(&case) {
            continue;
        }
        let template = case["template"].as_str().expect("a text");
        let rendered = arguments(&case).and_then(|args| render(template, &args));
        match (rendered, case["expect"].as_str()) {
            (Err(faults), Some("error")) => {
                compare_message(&case, &faults)
                    .unwrap_or_else(|why| panic!("{}: {why}", id(&case)));
            }
            // Argo renders serialised JSON and quotes values before; we serialise afterwards.
            (Ok(text), Some(expected)) if case["quoted"] == true => {
                assert_eq!(
                    json!(text).to_string(),
                    format!("\"{expected}\""),
                    "{}",
                    id(&case)
                );
            }
            (Ok(text), Some(expected)) => assert_eq!(text, expected, "{}", id(&case)),
            (outcome, expected) => panic!("{}: {outcome:?}, expected {expected:?}", id(&case)),
        }
    }
}

#[test]
fn metrics_are_rendered_as_argo_does() {
    let read = |metric: &Value| {
        let mut faults = Vec::new();
        let spec = AnalysisSpec::read(&json!({"metrics": [metric]}), "spec", &mut faults);
        assert_eq!(faults, []);
        spec.metrics[0].clone()
    };
    for case in cases(RENDERING) {
        if case["kind"] != "metric" || is_deviation(&case) {
            continue;
        }
        let rendered = arguments(&case).and_then(|args| {
            let mut faults = Vec::new();
            let metric = read(&case["metric"]).render(&args, &mut faults);
            if faults.is_empty() {
                Ok(metric)
            } else {
                Err(faults)
            }
        });
        match (rendered, &case["expect"]) {
            (Err(faults), Value::String(_)) => {
                compare_message(&case, &faults)
                    .unwrap_or_else(|why| panic!("{}: {why}", id(&case)));
            }
            (Ok(metric), expected @ Value::Object(_)) => {
                assert_eq!(metric, read(expected), "{}", id(&case));
            }
            (outcome, expected) => panic!("{}: {outcome:?}, expected {expected}", id(&case)),
        }
    }
}

#[test]
fn secrets_are_masked_as_argo_does() {
    for case in cases(RENDERING) {
        if case["kind"] != "redaction" {
            continue;
        }
        let spec = json!({
            "args": case["args"],
            "metrics": [{
                "name": "m",
                "provider": {"skywalking": {"address": "http://oap", "query": "{a}", "interval": "3m"}},
            }],
        });
        let secret = |_: &str, name: &str, key: &str| {
            case["secrets"][name][key]
                .as_str()
                .map(str::to_owned)
                .ok_or(format!("key '{key}' does not exist in secret '{name}'"))
        };
        let planned = Plan::make(&inline(&spec, &[]), &Overrides::default(), &secret);
        match (planned, case["expect"].as_str()) {
            (Err(faults), Some("error")) => {
                compare_message(&case, &faults.into_vec())
                    .unwrap_or_else(|why| panic!("{}: {why}", id(&case)));
            }
            (Ok(plan), Some(expected)) => {
                let message = case["measurementMessage"].as_str().expect("a text");
                assert_eq!(plan.masker.mask(message), expected, "{}", id(&case));
            }
            (outcome, expected) => panic!("{}: {outcome:?}, expected {expected:?}", id(&case)),
        }
    }
}

/// Nothing of rendering.json passes by unlooked at.
#[test]
fn every_kind_of_case_is_dealt_with() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases(RENDERING) {
        *counts.entry(case["kind"].to_string()).or_default() += 1;
    }
    // `fieldPath` reads fields of a Rollout, which is the stepper's; `fact` has no input.
    assert_eq!(
        counts.keys().collect::<Vec<_>>(),
        [
            "\"fact\"",
            "\"fieldPath\"",
            "\"metric\"",
            "\"redaction\"",
            "\"text\""
        ]
    );
}

#[test]
fn runs_are_forgotten_as_argo_does() {
    for case in cases(SCHEDULE) {
        if case["kind"] != "ttl" {
            continue;
        }
        let mut faults = Vec::new();
        let spec = AnalysisSpec::read(
            &json!({"ttlStrategy": case["ttlStrategy"]}),
            "",
            &mut faults,
        );
        assert_eq!(faults, [], "{}", id(&case));
        let phase = match case["phase"].as_str() {
            Some("Successful") => Phase::Successful,
            Some("Failed") => Phase::Failed,
            Some("Error") => Phase::Error,
            Some("Inconclusive") => Phase::Inconclusive,
            Some("Running") => Phase::Running,
            other => panic!("{}: the phase {other:?}", id(&case)),
        };
        let ago = case["completedSecondsAgo"].as_f64().expect("a number");
        let expired = spec
            .ttl
            .unwrap_or_default()
            .after(phase)
            .is_some_and(|limit| std::time::Duration::from_secs_f64(ago) >= limit);
        assert_eq!(Some(expired), case["expect"].as_bool(), "{}", id(&case));
    }
}
