//! What callers cannot get out of a service: its secrets, neither whole nor in parts.

use serde_json::{Value, json};
use skygate::secrets::SecretFiles;

use crate::harness::routes::{NAME, QUERY, SECRET, arguments, measured, refused, tells};
use crate::harness::{Answer, Served, simulated};

/// A service with the secrets, and the folder that they are in.
async fn with_secrets() -> (Served, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let vault = folder.path().join("default/vault");
    std::fs::create_dir_all(&vault).expect("a folder");
    for (key, secret) in [("token", SECRET), ("name", NAME), ("query", QUERY)] {
        std::fs::write(vault.join(key), secret).expect("a file");
    }
    let (mut setup, _) = simulated(&["checkout=healthy"]).await;
    setup.secrets = SecretFiles::of_service(Some(folder.path().to_owned()));
    (setup.start().await, folder)
}

fn asking_for(metrics: &[Value]) -> String {
    json!({"spec": {"args": arguments(), "metrics": metrics}}).to_string()
}

fn check_untold(answer: &Answer, asked: &str) {
    // Tags and numbers of requests are made at random, and sooner or later like a part of anything.
    let headers = answer.headers.iter();
    let made: Vec<&String> = headers
        .filter(|(name, _)| !matches!(name.as_str(), "etag" | "x-request-id" | "location"))
        .map(|(_, value)| value)
        .collect();
    assert!(
        !tells(&format!("{}{made:?}", answer.body)),
        "{asked}: {answer}"
    );
}

#[tokio::test]
async fn no_fault_tells_a_part_of_one() {
    let (served, _folder) = with_secrets().await;
    for metric in refused() {
        let body = asking_for(std::slice::from_ref(&metric));
        for path in ["/api/v1/measurements", "/api/v1/runs"] {
            let answer = served.post(path, body.clone()).await;
            assert_eq!(answer.status, 422, "{metric}: {answer}");
            check_untold(&answer, &body);
        }
    }
}

#[tokio::test]
async fn no_measurement_tells_a_part_of_one() {
    let (served, _folder) = with_secrets().await;
    for metric in measured() {
        let body = asking_for(std::slice::from_ref(&metric));
        let answer = served.post("/api/v1/measurements", body.clone()).await;
        assert_eq!(answer.status, 200, "{metric}: {answer}");
        check_untold(&answer, &body);
    }
}

#[tokio::test]
async fn no_run_tells_a_part_of_one() {
    let (served, _folder) = with_secrets().await;
    let run = served.start_run(asking_for(&measured())).await;
    served.await_end(&run).await;
    for path in ["", "/summary", "/events"] {
        let path = format!("{run}{path}");
        check_untold(&served.get(&path).await, &path);
    }
    for path in [
        "/api/v1/runs",
        "/api/v1/measurements",
        "/api/v1/annotations",
    ] {
        let answer = served.get(path).await;
        assert!(!answer.json()["items"][0].is_null(), "{answer}");
        check_untold(&answer, path);
    }
}

#[tokio::test]
async fn no_hook_tells_a_part_of_one() {
    let (served, _folder) = with_secrets().await;
    for (number, metric) in measured().iter().enumerate() {
        let template = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": format!("t{number}")},
            "spec": {"args": arguments(), "metrics": [metric]},
        });
        let applied = served.post("/api/v1/templates", template.to_string()).await;
        assert_eq!(applied.status, 200, "{applied}");
        let call = json!({
            "name": "c", "namespace": "default", "phase": "Progressing", "checksum": "1",
            "metadata": {"template": format!("t{number}")},
        });
        let answer = served
            .post("/flagger/confirm-rollout", call.to_string())
            .await;
        assert!([200, 403].contains(&answer.status), "{answer}");
        check_untold(&answer, &template.to_string());
    }
}

#[tokio::test]
async fn the_verdict_is_told_all_the_same() {
    let (served, _folder) = with_secrets().await;
    let check = async |condition: &str, phase: &str| {
        let mut metric = measured().pop().expect("a metric");
        metric["successCondition"] = json!(condition);
        let answer = served
            .post("/api/v1/measurements", asking_for(&[metric]))
            .await
            .json();
        let measurement = &answer["metrics"][0];
        assert_eq!(measurement["phase"], phase, "{condition}: {answer:#}");
        answer
    };
    let yes = format!("\"{{{{args.token}}}}\" == \"{SECRET}\"");
    let answer = check(&yes, "Successful").await;
    let reason = "the reason is kept back: it would quote a secret";
    let why = &answer["metrics"][0]["explanation"];
    assert_eq!(why["reason"], reason, "{answer:#}");
    assert_eq!(why["condition"], r#""*****" == "*****""#);
    assert_eq!(why["holds"], true);
    check(r#""{{args.token}}" startsWith "a""#, "Failed").await;
    let answer = check(r#"int("{{args.token}}") > 1"#, "Error").await;
    assert_eq!(
        answer["metrics"][0]["message"],
        format!("could not evaluate successCondition \"int(\"*****\") > 1\": {reason}")
    );
    // A reason of what repeats a secret is kept back, and no other.
    let answer = check("all(values > 100000)", "Failed").await;
    let metric = &mut measured()[0];
    metric["provider"]["skywalking"]["expression"] = json!("service_apdex");
    metric["successCondition"] = json!("all(values > 100000)");
    let plain = served
        .post(
            "/api/v1/measurements",
            asking_for(std::slice::from_ref(metric)),
        )
        .await
        .json();
    let of = |answer: &Value| answer["metrics"][0]["explanation"]["reason"].clone();
    assert_eq!(of(&answer), reason);
    let told = of(&plain).to_string();
    assert!(told.contains("3 of 3 points"), "{told}");
}
