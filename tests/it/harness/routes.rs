//! Ways to a secret: whatever a caller may write around a placeholder to be told a part of its value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The secret `vault/token`: no name, and in parts of four none that any text of ours has.
pub(crate) const SECRET: &str = "zQ7xVk9jW2-gH4uYt8p";

/// The secret `vault/name`: one word.
pub(crate) const NAME: &str = "qX3vZk8wJ5";

/// The secret `vault/query`: nearly a query.
pub(crate) const QUERY: &str = "query { wK6yQz2v(jX9 pV7qYw }";

/// The arguments that the metrics are written with.
pub(crate) fn arguments() -> Value {
    let secret = |name: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "vault", "key": name}}});
    json!([secret("token"), secret("name"), secret("query")])
}

/// Metrics that cannot be planned: each is wrong, and what is wrong is a part of a secret.
pub(crate) fn refused() -> Vec<Value> {
    let with = |provider: Value| metric("refused", "all(values > 0)", "expr", provider);
    let judging = |condition: &str, language: &str| metric("refused", condition, language, apdex());
    vec![
        with(json!({"query": "{{args.token}}"})),
        with(json!({"query": "{{args.query}}"})),
        with(json!({"query": "{ version(x: ${{args.name}}) }"})),
        with(json!({"query": "{ a(b: \"{{args.token}}\" }"})),
        with(json!({"query": "{ ...{{args.name}} }"})),
        judging("{{args.token}}", "expr"),
        judging("{{args.query}}", "cel"),
        judging("result.x({{args.name}}", "expr"),
        judging("'{{args.token}}' +", "cel"),
        judging("\"{{args.name}}\" > 1", "expr"),
    ]
}

/// Metrics that are measured.
pub(crate) fn measured() -> Vec<Value> {
    let asking = [
        expression("{{args.token}}", "checkout"),
        expression("{{args.name}}", "checkout"),
        expression("{{args.query}}", "checkout"),
        expression("service_{{args.name}}", "checkout"),
        expression("service_apdex > '{{args.token}}'", "checkout"),
        expression("service_apdex", "{{args.token}}"),
        query("a", "{{args.token}}", "checkout"),
        query("a", "service_{{args.name}}", "checkout"),
        query("{{args.name}}", "service_apdex", "checkout"),
        query("a", "service_apdex", "{{args.token}}"),
        json!({"query": "{ {{args.name}} }"}),
        json!({"query": "{ version(x: {{args.name}}) }"}),
    ];
    let expr = [
        r#"upper("{{args.token}}") == "x""#,
        r#"toBase64("{{args.token}}") == "x""#,
        r#"split("{{args.token}}", "k")[0] == "x""#,
        r#""{{args.token}}"[0:5] == "x""#,
        r#"all(split("{{args.token}}", ""), # == "z")"#,
        r#"none(split("{{args.token}}", ""), # == "z")"#,
        r#"trimPrefix("{{args.token}}", "z") == "x""#,
        r#"toPairs({"{{args.token}}": 1})[0][0][1:8] == "x""#,
        r#"int("{{args.token}}"[0:7]) > 1"#,
        r#"fromJSON("{{args.token}}"[1:7]) == 1"#,
        r#"duration("{{args.token}}"[2:9]) == duration("1s")"#,
        r#"result["{{args.token}}"[0:8]].x == 1"#,
        r#"all(values > len("{{args.token}}") * 100000)"#,
    ];
    let cel = [
        r#""{{args.token}}" + "x" == "y""#,
        r#"["{{args.token}}"].all(x, x + "x" == "y")"#,
        r#"string(bytes("{{args.token}}")) == "x""#,
        r#"int("{{args.token}}") > 1"#,
        r#"{"{{args.token}}": 1}["x"] == 1"#,
        r#"timestamp("{{args.token}}") > timestamp("2026-01-01T00:00:00Z")"#,
    ];
    // What the OAP repeats is computed with by conditions without a secret.
    let repeated = [
        r#"upper(keys(result)[0]) == "x""#,
        r#"keys(result)[0][0:6] == "x""#,
        "int(keys(result)[0][0:6]) > 1",
        r#"all(series["no such"] > 1)"#,
    ];
    let mut metrics = Vec::new();
    let mut add = |condition: &str, language: &str, provider: Value| {
        let name = format!("m{}", metrics.len());
        metrics.push(metric(&name, condition, language, provider));
    };
    for provider in asking {
        add("all(values > 0)", "expr", provider);
    }
    for condition in expr {
        add(condition, "expr", apdex());
    }
    for condition in cel {
        add(condition, "cel", apdex());
    }
    for condition in repeated {
        add(
            condition,
            "expr",
            query("{{args.name}}", "service_apdex", "checkout"),
        );
    }
    metrics
}

/// Whether `text` has five characters of a secret in a row, in capitals or not, as they are or in base64.
pub(crate) fn tells(text: &str) -> bool {
    let text = text.to_lowercase();
    [SECRET, NAME, QUERY].iter().any(|secret| {
        let encoded = STANDARD.encode(secret);
        // Words that are no secret.
        let secret = secret.trim_start_matches("query { ");
        [secret, encoded.as_str()].iter().any(|secret| {
            let secret = secret.to_lowercase();
            (5..=secret.len()).any(|end| text.contains(&secret[end - 5..end]))
        })
    })
}

fn metric(name: &str, condition: &str, language: &str, provider: Value) -> Value {
    let mut provider = provider;
    provider["oap"] = json!("sim");
    provider["interval"] = json!("3m");
    provider["noData"] = json!("Inconclusive");
    json!({
        "name": name,
        "consecutiveErrorLimit": 0,
        "conditionLanguage": language,
        "successCondition": condition,
        "provider": {"skywalking": provider},
    })
}

fn apdex() -> Value {
    expression("service_apdex", "checkout")
}

fn expression(expression: &str, service: &str) -> Value {
    json!({"expression": expression, "entity": {"serviceName": service, "normal": true}})
}

fn query(alias: &str, name: &str, service: &str) -> Value {
    let query = format!(
        "query q($duration: Duration!) {{ {alias}: readMetricsValues(condition: {{name: \"{name}\", entity: {{scope: Service, serviceName: \"{service}\", normal: true}}}}, duration: $duration) {{ values {{ values {{ value }} }} }} }}"
    );
    json!({"query": query})
}
