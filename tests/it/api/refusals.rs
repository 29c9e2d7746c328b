//! Every way in which a request can be wrong, and what its sender is told.

use reqwest::Method;
use serde_json::json;

use super::{Story, run_of, template};
use crate::harness::{Answer, Served, Setup, simulated};

const RUNS: &str = "/api/v1/runs";

/// What a body is refused as, and where it is wrong.
async fn check(served: &Served, path: &str, body: &str, problem: &str, paths: &[&str]) {
    let answer = served.post(path, body).await;
    assert_eq!(answer.problem(), problem, "{body}\n{answer}");
    assert_eq!(answer.fault_paths(), paths, "{body}\n{answer}");
}

#[tokio::test]
async fn all_that_is_wrong_with_a_run_is_told_at_once() {
    let served = Setup::saying("S").start().await;
    let mut story = Story::of(&served);
    story
        .post(
            RUNS,
            &json!({
                "namespace": "Book Info",
                "templates": [{"name": "apdx"}, {"templateName": "a", "clusterscope": true}],
                "spec": {"metrics": [{
                    "name": "m", "interval": "1x", "succesCondition": "x",
                    "provider": {"skywalking": {"oap": "sim", "interval": "0s", "query": "{ a }"}}
                }]},
                "args": [{"name": "nobody-declares-it", "value": "1"}, {"name": "n", "value": 1}],
                "labels": {"a=b": "c"},
                "notBefore": "yesterday",
                "concludeAfter": "30",
                "ttlStrategy": {"secondsAfterSuccess": -1},
                "dryRun": [{"metricName": "["}],
                "wait": true
            })
            .to_string(),
        )
        .await;
    story.end("faults");
}

#[tokio::test]
async fn bodies_that_say_nothing() {
    let served = Setup::saying("S").start().await;
    check(&served, RUNS, "", "invalid", &[""]).await;
    check(&served, RUNS, "{}", "invalid", &["templates"]).await;
    check(&served, RUNS, "[]", "invalid", &[""]).await;
    check(&served, RUNS, "x", "invalid", &[""]).await;
    check(&served, RUNS, "{\"a\": ", "malformed", &["a"]).await;
    check(&served, RUNS, "{a: 1}\n---\n{b: 1}", "malformed", &[""]).await;
    let deep = served.post(RUNS, "[".repeat(1_000)).await;
    assert_eq!(deep.problem(), "malformed", "{deep}");
    check(&served, "/api/v1/templates", "", "malformed", &[""]).await;
    check(
        &served,
        "/api/v1/templates",
        "kind: Rollout",
        "malformed",
        &[""],
    )
    .await;
    check(
        &served,
        "/api/v1/measurements",
        "{}",
        "invalid",
        &["templates"],
    )
    .await;
    for spec in ["[null]", "x", "1", "true", "{metrics: {}}"] {
        for path in [RUNS, "/api/v1/measurements"] {
            let refused = served.post(path, format!("spec: {spec}")).await;
            assert_eq!(refused.problem(), "invalid", "{path} {spec}: {refused}");
        }
        let template = format!("kind: AnalysisTemplate\nmetadata: {{name: a}}\nspec: {spec}");
        let refused = served.post("/api/v1/templates", template).await;
        assert_eq!(refused.problem(), "invalid", "{spec}: {refused}");
    }
}

#[tokio::test]
async fn bodies_of_another_form_or_too_long() {
    let served = Setup::saying("S").start().await;
    let send = async |kind: &str, body: String| {
        let request = served
            .request(Method::POST, RUNS)
            .header("content-type", kind);
        Answer::of(request.body(body)).await
    };
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "application/yaml",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/vnd.argo+yaml",
    ] {
        let answer = send(kind, run_of("count: 1")).await;
        assert_eq!(answer.status, 201, "{kind}: {answer}");
    }
    for kind in [
        "multipart/form-data; boundary=x",
        "application/xml",
        "image/png",
        "nonsense",
    ] {
        let answer = send(kind, run_of("count: 1")).await;
        assert_eq!(answer.problem(), "unsupported-media-type", "{kind}");
    }
    let long = format!("{}# {}", run_of("count: 1"), "x".repeat(1 << 20));
    assert_eq!(served.post(RUNS, long).await.problem(), "too-large");
    assert_eq!(served.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn parameters_and_headers() {
    let served = Setup::saying("S").start().await;
    let run = served.start_run(run_of("count: 1")).await;
    for (path, at) in [
        ("/api/v1/runs?phase=Fine", "phase"),
        ("/api/v1/runs?limit=0", "limit"),
        ("/api/v1/runs?limit=501", "limit"),
        ("/api/v1/runs?from=yesterday", "from"),
        ("/api/v1/runs?from=99999999999999999", "from"),
        ("/api/v1/runs?label=app", "label"),
        ("/api/v1/runs?cursor=x", "cursor"),
        ("/api/v1/runs?namespace=a&namespace=b", "namespace"),
        ("/api/v1/runs?namspace=a", "namspace"),
        ("/api/v1/measurements?limit=5001", "limit"),
        ("/api/v1/measurements?from=soon", "from"),
        ("/api/v1/measurements?to=1795425120000000", "to"),
        ("/api/v1/measurements?phase=Fine", "phase"),
        ("/api/v1/measurements?cursor=x", "cursor"),
        ("/api/v1/measurements?metrc=a", "metrc"),
        ("/api/v1/annotations?kind=run,canary", "kind"),
        ("/api/v1/annotations?limit=0", "limit"),
        ("/api/v1/annotations?cursor=x", "cursor"),
        ("/api/v1/annotations?phase=Failed", "phase"),
        ("/api/v1/templates?cursor=%00", "cursor"),
        (&format!("{run}?wait=soon"), "wait"),
        (&format!("{run}?wiat=1s"), "wiat"),
        (&format!("{run}/summary?wait=-1s"), "wait"),
    ] {
        let answer = served.get(path).await;
        assert_eq!(answer.problem(), "malformed", "{path}");
        assert_eq!(answer.fault_paths(), [at], "{path}: {answer}");
    }
    for key in ["", " ", &"k".repeat(256), "ä"] {
        let request = served
            .request(Method::POST, RUNS)
            .header("idempotency-key", key);
        let answer = Answer::of(request.body(run_of("count: 1"))).await;
        assert_eq!(answer.problem(), "malformed", "{key}");
    }
    for path in [
        "/api/v1/runs/%FF",
        "/api/v1/runs/%FF/summary",
        "/api/v1/templates/%FF/x",
    ] {
        assert_eq!(served.get(path).await.problem(), "malformed", "{path}");
    }
    for path in [
        "/api/v1/runs/none",
        "/api/v1/runs/none/summary",
        "/api/v1/runs/none/events",
        "/api/v1/runs/none?wait=1s",
        "/api/v1/runs/%2E%2E%2Fx",
        "/api/v1/templates/a/b",
        "/api/v1/clustertemplates/a",
        "/api/v2/runs",
        "/",
    ] {
        assert_eq!(served.get(path).await.problem(), "not-found", "{path}");
    }
    for path in ["/api/v1/runs/none/terminate", "/api/v1/runs/none/rerun"] {
        assert_eq!(served.post(path, "").await.problem(), "not-found", "{path}");
    }
    let patch = r#"{"notBefore": "2026-11-23T09:00:00Z"}"#;
    assert_eq!(
        served.patch("/api/v1/runs/none", patch).await.problem(),
        "not-found"
    );
    for body in [
        "{}",
        "",
        r#"{"notBefore": 1}"#,
        r#"{"notBefore": "now"}"#,
        r#"{"phase": "Failed"}"#,
    ] {
        assert_eq!(
            served.patch(&run, body).await.problem(),
            "invalid",
            "{body}"
        );
    }
    for (method, path, allow) in [
        (Method::PUT, "/api/v1/runs", "GET,HEAD,POST"),
        (Method::DELETE, "/healthz", "GET,HEAD"),
        (Method::OPTIONS, "/api/v1/measurements", "GET,HEAD,POST"),
        (Method::POST, "/api/v1/annotations", "GET,HEAD"),
    ] {
        let answer = Answer::of(served.request(method, path)).await;
        assert_eq!(answer.problem(), "method-not-allowed", "{path}");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[tokio::test]
async fn an_oap_that_nobody_named_is_not_asked() {
    let (setup, sim) = simulated(&["checkout=healthy"]).await;
    let served = setup.start().await;
    let body = |server: &str| {
        format!(
            "spec: {{ metrics: [{{ name: m, provider: {{ skywalking: {{ {server}, interval: 3m, expression: service_apdex, entity: {{ serviceName: checkout, normal: true }} }} }} }}] }}"
        )
    };
    for (server, flag) in [
        (
            "address: \"http://169.254.169.254/latest\"",
            "serve --oap NAME=http://169.254.169.254/latest",
        ),
        (
            "address: \"http://127.0.0.1:12800\"",
            "serve --oap NAME=http://127.0.0.1:12800",
        ),
        ("oap: production", "serve --oap production=URL"),
    ] {
        for path in [RUNS, "/api/v1/measurements"] {
            let answer = served.post(path, body(server)).await;
            assert_eq!(answer.problem(), "invalid", "{server}");
            assert_eq!(
                answer.fault_paths(),
                ["spec.metrics[0].provider.skywalking"]
            );
            assert!(answer.body.contains(flag), "{answer}");
        }
    }
    assert!(sim.served().is_empty(), "nothing was sent");
    for server in ["oap: sim", "address: \"http://oap.istio-system:12800\""] {
        assert_eq!(
            served.post(RUNS, body(server)).await.status,
            201,
            "{server}"
        );
    }
}

#[tokio::test]
async fn there_are_only_so_many_runs() {
    let mut setup = Setup::saying("S");
    setup.settings.most_runs = 2;
    let served = setup.start().await;
    let start = async |key: &str| {
        let request = served
            .request(Method::POST, RUNS)
            .header("idempotency-key", key);
        Answer::of(request.body(run_of("interval: 5h"))).await
    };
    let first = start("a").await;
    assert_eq!(first.status, 201);
    assert_eq!(start("b").await.status, 201);
    let refused = start("c").await;
    assert_eq!(refused.problem(), "too-many");
    assert_eq!(refused.header("retry-after"), "10");
    let rerun = served
        .post(&format!("{}/rerun", first.header("location")), "")
        .await;
    assert_eq!(rerun.problem(), "too-many");
    // What has begun already is no new run.
    assert_eq!(start("a").await.status, 200);
}

#[tokio::test]
async fn a_template_that_argo_would_refuse_is_not_kept() {
    let served = Setup::saying("S").start().await;
    let path = "/api/v1/templates";
    let argument = |metric: &str| {
        template("t", metric).replace("spec: {", "spec: { args: [{ name: every }], ")
    };
    // What callers will say is not known yet, nor what a template declares that nests this one.
    for fine in [
        template("t", "interval: \"{{ args.every }}\", count: 1"),
        argument("interval: \"{{ args.every }}\", count: \"{{ args.count }}\""),
    ] {
        assert_eq!(served.post(path, fine.as_str()).await.status, 200, "{fine}");
    }
    check(
        &served,
        path,
        &template("t", "count: 2"),
        "invalid",
        &["spec.metrics[0].interval"],
    )
    .await;
    check(
        &served,
        path,
        &argument("interval: 1x, failureLimit: -2"),
        "invalid",
        &["spec.metrics[0].failureLimit", "spec.metrics[0].interval"],
    )
    .await;
    let twice = format!("{0}---\n{0}", template("t", "count: 1"));
    check(&served, path, &twice, "invalid", &["AnalysisTemplate/t"]).await;
    let elsewhere = template("t", "count: 1").replace("name: t }", "name: t, namespace: a }");
    let path = "/api/v1/templates?namespace=b";
    check(
        &served,
        path,
        &elsewhere,
        "invalid",
        &["metadata.namespace"],
    )
    .await;
    assert_eq!(served.get("/api/v1/templates/a/t").await.status, 404);
}
