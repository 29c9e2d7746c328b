//! Files, documents and templates that refer to each other.

use serde_json::{Value, json};
use skygate::documents::Documents;
use skygate::domain::analysis::{Analysis, Context, Library, Request};
use skygate::domain::spec::{Kind, Template, TemplateRef};

use super::{inline, read, spec_with, template};

#[test]
fn documents_of_a_file_are_told_apart() {
    let good = spec_with(&json!({}), &json!({}));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [template("b", &json!({"metrics": 1}))]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    let typo = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplates"});
    let text = format!(
        "{}\n---\n{list}\n---\n{pod}\n---\n---\n{typo}\n",
        serde_json::to_string_pretty(&template("a", &good)).expect("JSON"),
    );
    // Not JSON, for the dashes: YAML in braces.
    let documents = Documents::read(text.as_bytes());
    let names: Vec<&str> = documents
        .templates
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        documents.notes,
        ["passed over Pod `p`: it is no AnalysisTemplate"]
    );
    let faults: Vec<String> = documents
        .all_faults()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        faults,
        [
            "document 5: is of the unknown kind `AnalysisTemplates` (hint: did you mean `AnalysisTemplate`?)",
            "AnalysisTemplate/b:spec.metrics: expected a list, found the number `1`",
        ]
    );
}

#[test]
fn a_manifest_needs_a_name_and_a_spec() {
    let check = |document: Value, expected: &str| {
        let faults: Vec<String> = read(&[document])
            .all_faults()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(faults.join("\n"), expected);
    };
    check(
        json!({"kind": "AnalysisTemplate"}),
        "apiVersion: missing: `argoproj.io/v1alpha1` is expected\n\
         metadata.name: missing: a template is referred to by its name\n\
         spec: missing: it holds the metrics",
    );
    check(
        json!({
            "apiVersion": "argoproj.io/v1beta1",
            "kind": "ClusterAnalysisTemplate",
            "metadata": {"name": "Ünïcode/..", "namespace": "a.b"},
            "spec": {"metrics": []},
            "status": {},
        }),
        "apiVersion: expected `argoproj.io/v1alpha1`, found `argoproj.io/v1beta1`\n\
         metadata.namespace: `a.b` is no namespace for Kubernetes: lower-case letters, digits and inner dashes are allowed\n\
         metadata.name: `Ünïcode/..` is no name for Kubernetes: lower-case letters, digits and inner dashes are allowed\n\
         status: unknown field; known here: `apiVersion`, `kind`, `metadata`, `spec`",
    );
}

fn assemble(library: &Library, names: &[&str]) -> Analysis {
    let request = Request {
        namespace: "default".to_owned(),
        templates: names
            .iter()
            .map(|name| TemplateRef::new(Kind::Namespaced, *name))
            .collect(),
        ..Request::default()
    };
    Analysis::assemble(library, &request)
}

#[test]
fn several_templates_name_themselves_in_faults() {
    let bad = |name: &str, limit: &str| {
        template(
            name,
            &json!({
                "args": [{"name": "x", "value": limit}],
                "metrics": [{"name": "m", "interval": "1m", "count": limit, "provider": {}}],
            }),
        )
    };
    let library =
        Library::gather(read(&[bad("a", "1"), bad("b", "2")]).templates).expect("two names");
    assert_eq!(
        assemble(&library, &["a", "b"])
            .check(Context::Free)
            .unwrap_err()
            .to_string(),
        "AnalysisTemplate/b:spec.args[0]: argument `x` specified multiple times with different values: `1`, `2` (hint: give them the same default, or two names)\n\
         AnalysisTemplate/a:spec.metrics[0].provider: no provider specified\n\
         AnalysisTemplate/b:spec.metrics[0].name: two metrics have the same name `m`; the first is AnalysisTemplate/a:spec.metrics[0]\n\
         AnalysisTemplate/b:spec.metrics[0].provider: no provider specified"
    );
    let twice = Library::gather(read(&[bad("a", "1"), bad("a", "2")]).templates).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "AnalysisTemplate/a: is given twice (hint: remove one, or give them two names)"
    );
}

#[test]
fn references_that_lead_nowhere_are_told() {
    let mut elsewhere = template("apdex", &json!({"metrics": []}));
    elsewhere["metadata"]["namespace"] = json!("prod");
    let library = Library::gather(read(&[elsewhere, template("errors", &json!({}))]).templates)
        .expect("two names");
    let faults = assemble(&library, &["apdex", "error", "nothing"])
        .check(Context::Free)
        .unwrap_err();
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "AnalysisTemplate 'apdex' not found (hint: there is one in the namespace `prod`; it is looked for in `default`)",
            "AnalysisTemplate 'error' not found (hint: did you mean `errors`?)",
            "AnalysisTemplate 'nothing' not found",
        ]
    );
    let nothing = Analysis::assemble(&library, &Request::default())
        .check(Context::Free)
        .unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "templates: nothing to analyse: name a template or give a spec"
    );
}

#[test]
fn a_chain_of_thousands_of_templates_is_no_trouble() {
    const LENGTH: usize = 5_000;
    let link = |i: usize| {
        let next = (i + 1) % LENGTH;
        template(
            &format!("t{i}"),
            &json!({
                "metrics": [{"name": format!("m{i}"), "provider": {"web": {}}}],
                "templates": [{"templateName": format!("t{next}")}],
            }),
        )
    };
    let templates = (0..LENGTH).map(|i| Template::read(Kind::Namespaced, &link(i)));
    let library = Library::gather(templates).expect("many names");
    let faults = assemble(&library, &["t0"])
        .check(Context::Free)
        .unwrap_err();
    assert_eq!(
        faults.to_string(),
        "AnalysisTemplate/t4999:spec.templates[0]: AnalysisTemplate/t0 nests itself through this reference"
    );
}

#[test]
fn a_step_of_a_rollout_ends_by_itself() {
    let spec =
        json!({"metrics": [{"name": "m", "interval": "1m", "provider": {"skywalking": {}}}]});
    let analysis = inline(&spec, &[]);
    assert!(analysis.check(Context::Free).is_ok());
    let faults = analysis.check(Context::Step).unwrap_err().into_vec();
    assert_eq!(faults[0].path, "spec.metrics[0].count");
    assert!(
        faults[0].message.contains("runs indefinitely"),
        "{faults:?}"
    );
}
