//! The service as a process: what its operator relies on.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::process::{Ended, Follow, Oap, Running, command, skygate, stable};
use crate::harness::{Answer, client};

/// A service on a port of its own, killed when it is dropped.
struct Serving {
    process: Running,
    url: String,
}

impl Serving {
    fn start(args: &[&str]) -> Self {
        let args = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        let process = Running::start(command(&args), Follow::Stdout);
        let url = process.line_with("http://");
        Self { process, url }
    }

    async fn send(&self, method: Method, path: &str, token: &str, body: &str) -> Answer {
        let request = client().request(method, format!("{}{path}", self.url));
        let request = request.header("authorization", format!("Bearer {token}"));
        Answer::of(request.body(body.to_owned())).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, "", body).await
    }

    /// Asks it to end, and what it had to say on stderr.
    fn stop(self, signal: &str) -> String {
        self.process.signal(signal);
        let (code, stderr) = self.process.end();
        assert_eq!(code, Some(0), "{stderr}");
        stderr
    }
}

fn failed(args: &[&str]) -> Ended {
    let ended = skygate(&[&["serve"], args].concat());
    assert_eq!(ended.stdout, "", "{ended:?}");
    ended
}

fn body(interval: &str, more: &str) -> String {
    format!(
        "spec: {{ metrics: [{{ name: m, interval: {interval}{more}, successCondition: all(values >= 9900), provider: {{ skywalking: {{ oap: prod, interval: 3m, expression: service_apdex, entity: {{ serviceName: checkout, normal: true }} }} }} }}] }}"
    )
}

#[test]
fn it_takes_nothing_that_would_not_be_safe() {
    let check = |args: &[&str], code: i32, expected: &str| {
        let ended = failed(args);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{expected} in {ended:?}");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    fs::write(&file, "ci run hunter2").expect("written");
    let file = file.to_str().expect("a path");
    check(
        &["--listen", "0.0.0.0:0", "--store", "memory:"],
        2,
        "hint: --tokens FILE says who may do what; --open lets everybody do everything",
    );
    check(&["--open", "--tokens", file], 2, "cannot be used with");
    check(&["--tokens", "/nowhere"], 2, "failed to read /nowhere");
    check(&["--tokens", file], 2, "its token is shorter");
    assert!(!failed(&["--tokens", file]).stderr.contains("hunter2"));
    check(
        &["--secrets", "/nowhere"],
        2,
        "--secrets /nowhere is no folder",
    );
    check(
        &["--store", "mysql://x"],
        2,
        "--store `mysql://x` names no store",
    );
    check(&["--retain", "0d"], 2, "a duration such as 7d, 12h");
    check(&["--max-runs", "0"], 2, "0");
    check(
        &["--oap", "prod=nonsense", "--store", "memory:"],
        2,
        "--oap gives no address",
    );
}

#[tokio::test]
async fn it_says_where_it_is_and_ends_well() {
    let oap = Oap::start(&["checkout=healthy"]);
    for signal in ["INT", "TERM"] {
        let prod = format!("prod={}", oap.url);
        let serving = Serving::start(&["--store", "memory:", "--oap", &prod]);
        assert_eq!(serving.get("/readyz").await.status, 200);
        let started = serving.post("/api/v1/runs", &body("5h", "")).await;
        assert_eq!(started.status, 201, "{started}");
        // Whoever waits is answered when it ends.
        let path = format!("{}?wait=60s", started.header("location"));
        let waiting = async {
            let mut seen = String::new();
            loop {
                let request = client().get(format!("{}{path}", serving.url));
                let request = request.header("if-none-match", &seen);
                let Some(answer) = Answer::try_of(request).await else {
                    return;
                };
                assert_eq!(answer.status, 200);
                seen = answer.header("etag").to_owned();
            }
        };
        let ending = async {
            let metrics = || serving.get("/metrics");
            while !metrics().await.body.contains("skygate_http_waiting 1\n") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            serving.process.signal(signal);
        };
        tokio::join!(waiting, ending);
        let (code, stderr) = serving.process.end();
        assert_eq!(code, Some(0), "{signal}: {stderr}");
        assert!(stderr.contains("the service stops"), "{stderr}");
    }
}

#[tokio::test]
async fn without_an_oap_it_warns_and_refuses() {
    let serving = Serving::start(&["--store", "memory:"]);
    let refused = serving.post("/api/v1/runs", &body("5h", "")).await;
    assert_eq!(refused.problem(), "invalid");
    assert!(refused.body.contains("serve --oap prod=URL"), "{refused}");
    let stderr = serving.stop("TERM");
    assert!(stderr.contains("warning: no --oap is given"), "{stderr}");
}

#[tokio::test]
async fn one_oap_for_everything_needs_no_name() {
    let oap = Oap::start(&["checkout=healthy"]);
    let serving = Serving::start(&["--store", "memory:", "--oap", &oap.url]);
    for server in [
        "oap: prod",
        "address: \"http://elsewhere:12800\"",
        "gaps: skip",
    ] {
        let body = body("1s", ", count: 1").replace("oap: prod", server);
        let measured = serving.post("/api/v1/measurements", &body).await;
        assert_eq!(
            measured.json()["phase"],
            "Successful",
            "{server}: {measured}"
        );
        assert_eq!(
            measured.json()["metrics"][0]["explanation"]["server"],
            Value::from(oap.url.as_str())
        );
    }
}

#[tokio::test]
async fn runs_and_templates_outlive_it() {
    let oap = Oap::start(&["checkout=healthy"]);
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}/skygate.db", folder.path().display());
    let prod = format!("prod={}", oap.url);
    let args = ["--store", &store, "--oap", &prod];
    let serving = Serving::start(&args);
    let in_use = failed(&[&["--listen", "127.0.0.1:0"], args.as_slice()].concat());
    assert_eq!(in_use.code, Some(4), "{in_use:?}");
    assert!(
        in_use.stderr.contains("is in use by another Skygate"),
        "{in_use:?}"
    );

    let started = serving
        .post("/api/v1/runs", &body("1s", ", count: 5"))
        .await;
    let run = started.header("location").to_owned();
    let applied = serving
        .post(
            "/api/v1/templates",
            &fs::read_to_string(super::APDEX).expect("a template"),
        )
        .await;
    assert_eq!((started.status, applied.status), (201, 200));
    loop {
        let seen = serving.get(&format!("{run}?wait=10s")).await.json();
        if seen["status"]["metricResults"][0]["taken"].as_u64() >= Some(2) {
            break;
        }
    }
    // Killed in the middle of it.
    drop(serving);

    let serving = Serving::start(&args);
    loop {
        let seen = serving.get(&format!("{run}?wait=30s")).await;
        assert_eq!(seen.status, 200, "{seen}");
        let status = seen.json()["status"].clone();
        if status["completedAt"].is_string() {
            assert_eq!(status["phase"], "Successful", "{seen}");
            let numbers: Vec<u64> = status["metricResults"][0]["measurements"]
                .as_array()
                .expect("measurements")
                .iter()
                .filter_map(|it| it["number"].as_u64())
                .collect();
            assert_eq!(numbers, [1, 2, 3, 4, 5]);
            break;
        }
    }
    let template = serving.get("/api/v1/templates/default/apdex").await;
    assert_eq!(template.status, 200);
    serving.stop("TERM");
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

#[tokio::test]
async fn tokens_are_read_again() {
    const OLD: &str = "old-0123456789abcdef";
    const NEW: &str = "new-0123456789abcdef";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    fs::write(&file, format!("ci read {OLD}\n")).expect("written");
    let path = file.to_str().expect("a path");
    let serving = Serving::start(&["--store", "memory:", "--tokens", path]);
    let status = async |token: &str| {
        serving
            .send(Method::GET, "/api/v1/runs", token, "")
            .await
            .status
    };
    assert_eq!((status(OLD).await, status(NEW).await), (200, 401));

    fs::write(
        &file,
        format!("- {{name: ci, scope: read, token: {NEW}}}\n"),
    )
    .expect("written");
    while status(NEW).await != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(OLD).await, 401);

    // A file that can't be used locks nobody out.
    fs::write(&file, "ci read x\n").expect("written");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!((status(OLD).await, status(NEW).await), (401, 200));
    let stderr = serving.stop("TERM");
    assert!(stderr.contains("the tokens stay as they were"), "{stderr}");
    assert!(!stderr.contains(OLD) && !stderr.contains(NEW), "{stderr}");
}

/// Everything that is nobody's business, in whatever place a service can have it.
const SECRET: &str = "hunter2-of-the-vault";
const PASSWORD: &str = "corr3ct-horse";
const TOKEN: &str = "t0ken-0123456789abcdef";
const LITERAL: &str = "l1teral-pass";

#[tokio::test]
async fn nothing_secret_is_shown_logged_or_kept() {
    let oap = Oap::start(&["checkout=healthy"]);
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "secrets/default/vault/api-token", SECRET);
    write(folder.path(), "tokens", &format!("root admin {TOKEN}\n"));
    write(folder.path(), "header", PASSWORD);
    let at = |path: &str| format!("{}/{path}", folder.path().display());
    let prod = format!(
        "prod={}",
        oap.url
            .replace("http://", &format!("http://jane:{PASSWORD}@"))
    );
    let elsewhere = format!("http://oap.example={}", oap.url);
    let header = format!("X-Key: @{}", at("header"));
    let store = format!("sqlite:{}", at("skygate.db"));
    for format in ["text", "json"] {
        let serving = Serving::start(&[
            "--store",
            &store,
            "--oap",
            &prod,
            "--oap",
            &elsewhere,
            "--oap-header",
            &header,
            "--secrets",
            &at("secrets"),
            "--tokens",
            &at("tokens"),
            "--log",
            "trace",
            "--log-format",
            format,
        ]);
        let mut said = Vec::new();
        let mut send = async |method: Method, path: &str, body: &str| {
            let answer = serving.send(method, path, TOKEN, body).await;
            said.push(format!("{path}: {answer}{:?}", answer.headers));
            answer
        };
        let metric = |name: &str, server: &str| {
            format!(
                r#"{{"name": "{name}", "interval": "1s", "count": 1, "consecutiveErrorLimit": 0, "successCondition": "all(values > 0) or \"{{{{args.token}}}}\" == \"x\"",
                    "provider": {{"skywalking": {{{server}, "interval": "3m", "noData": "Inconclusive",
                    "query": "query q($duration: Duration!) {{ a: readMetricsValues(condition: {{name: \"service_apdx\", entity: {{scope: Service, serviceName: \"{{{{args.token}}}}\", normal: true}}}}, duration: $duration) {{ values {{ values {{ value }} }} }} }}"}}}}}}"#
            )
        };
        let secret = r#"{"name": "token", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "api-token"}}}"#;
        let literal = format!(r#""address": "http://joe:{LITERAL}@oap.example""#);
        let spec = format!(
            r#"{{"args": [{secret}], "metrics": [{}, {}]}}"#,
            metric("named", r#""oap": "prod""#),
            metric("addressed", &literal)
        );
        let template = format!(
            r#"{{"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {{"name": "masked"}}, "spec": {spec}}}"#
        );
        assert_eq!(
            send(Method::POST, "/api/v1/templates", &template)
                .await
                .status,
            200
        );
        send(Method::GET, "/api/v1/templates/default/masked", "").await;
        for body in [
            r#"{"templates": [{"name": "masked"}]}"#.to_owned(),
            format!(r#"{{"spec": {spec}}}"#),
            format!(r#"{{"spec": {spec}, "args": [{{"name": "token", "value": "{SECRET}"}}]}}"#),
        ] {
            send(Method::POST, "/api/v1/measurements", &body).await;
            let started = send(Method::POST, "/api/v1/runs", &body).await;
            let run = started.header("location").to_owned();
            if run.is_empty() {
                assert_eq!(started.problem(), "invalid");
                assert!(started.body.contains("secretKeyRef"), "{started}");
                continue;
            }
            loop {
                let seen = send(Method::GET, &format!("{run}?wait=20s"), "").await;
                if seen.json()["status"]["completedAt"].is_string() {
                    break;
                }
            }
            send(Method::GET, &format!("{run}/summary"), "").await;
            send(Method::GET, &format!("{run}/events"), "").await;
            send(Method::POST, &format!("{run}/rerun"), "").await;
        }
        for path in [
            "/api/v1/runs",
            "/api/v1/templates",
            "/metrics",
            "/readyz",
            "/nothing",
        ] {
            send(Method::GET, path, "").await;
        }
        let with_wrong = format!("{TOKEN}x");
        let wrong = serving
            .send(Method::GET, "/api/v1/runs", &with_wrong, "")
            .await;
        assert_eq!(wrong.status, 401);
        said.push(format!("{wrong}"));
        let log = serving.stop("TERM");
        assert!(log.contains("was started"), "{log}");
        if format == "json" {
            for line in log.lines().filter(|line| line.starts_with('{')) {
                serde_json::from_str::<Value>(line).expect("a line of JSON");
            }
        }
        said.push(log);
        let said = said.join("\n");
        for secret in [SECRET, PASSWORD, TOKEN, LITERAL, "amFuZTpj"] {
            let seen = said.lines().find(|line| line.contains(secret));
            assert_eq!(seen, None, "{secret}");
        }
        assert!(said.contains("*****"), "it was masked somewhere");
    }
    let mut kept = 0;
    for entry in fs::read_dir(folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().contains("skygate.db") {
            let bytes = fs::read(&path).expect("a file");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            for secret in [SECRET, PASSWORD, TOKEN, LITERAL] {
                assert!(!text.contains(secret), "{secret} in {}", path.display());
            }
            kept += 1;
        }
    }
    assert!(kept > 0);
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let taken = Oap::start(&["checkout=healthy"]);
    let address = taken.url.strip_prefix("http://").expect("its URL");
    let ended = failed(&["--store", "memory:", "--listen", address]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        stable(&ended.stderr).contains("failed to listen on 127.0.0.1:PORT"),
        "{ended:?}"
    );
}

/// Whoever measures once doesn't wait for the last of the tries, and is told all the same what went wrong.
#[tokio::test]
async fn what_went_wrong_is_told_within_eight_seconds() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let prod = format!("prod=http://{address}");
    let serving = Serving::start(&["--store", "memory:", "--oap", &prod]);
    let answer = serving.post("/api/v1/measurements", &body("5h", "")).await;
    let told = answer.json()["explanation"].to_string();
    assert!(told.contains("refused"), "{answer}");
    assert!(told.contains("it was asked again for 7.5s"), "{answer}");
}

/// What can be read may still not be written.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_without_a_file_is_not_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}/skygate.db", folder.path().display());
    let serving = Serving::start(&["--store", &store]);
    assert_eq!(serving.get("/readyz").await.status, 200);
    for file in fs::read_dir(folder.path()).expect("a folder") {
        fs::remove_file(file.expect("a file").path()).expect("removed");
    }
    let answer = serving.get("/readyz").await;
    assert_eq!(answer.status, 503, "{answer}");
    assert!(answer.body.contains("the store fails"), "{answer}");
    assert_eq!(serving.get("/healthz").await.status, 200);
    serving.stop("TERM");
}
