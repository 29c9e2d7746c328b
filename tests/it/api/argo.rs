//! The templates in `api/argo`, evaluated as Argo's `web` provider does. Argo's own code evaluates them in `tests/peers`.

use std::fs;
use std::path::Path;

use jiff::tz::Offset;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use skygate::domain::condition::{Condition, Language, Scope};
use skygate::domain::measurement::Phase;

use crate::harness::{Answer, SEED, Served, start};

/// What a template asks: its only metric, with its arguments filled in.
struct Web(Value);

impl Web {
    /// Reads a template of `api/argo`. Argo fills arguments into the JSON of a metric, each as the inside of a JSON string.
    fn read(file: &str, given: &[(&str, &str)]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/argo");
        let text = fs::read_to_string(path.join(file)).expect("a template");
        let template: Value = serde_norway::from_str(&text).expect("YAML");
        assert_eq!(template["kind"], "AnalysisTemplate", "{file}");
        let metrics = template["spec"]["metrics"].as_array().expect("metrics");
        let [metric] = metrics.as_slice() else {
            panic!("{file}: {metrics:?}")
        };
        let mut metric = metric.to_string();
        for argument in template["spec"]["args"].as_array().expect("arguments") {
            let name = argument["name"].as_str().expect("a name");
            let value = given.iter().find(|(given, _)| *given == name);
            let value = value.map_or_else(|| argument["value"].as_str(), |(_, value)| Some(value));
            let quoted = json!(value.expect("a value")).to_string();
            let inside = &quoted[1..quoted.len() - 1];
            metric = metric.replace(&format!("{{{{ args.{name} }}}}"), inside);
        }
        assert!(!metric.contains("{{"), "{file}: {metric}");
        Self(serde_json::from_str(&metric).expect("JSON"))
    }

    fn provider(&self) -> &Value {
        &self.0["provider"]["web"]
    }

    /// Takes one measurement. Whatever is no 2xx is an Error, as is whatever a condition cannot be evaluated on.
    async fn measure(&self, served: &Served) -> (Phase, Answer) {
        let provider = self.provider();
        let url = provider["url"].as_str().expect("a URL");
        let path = url.strip_prefix("http://skygate.skygate:8480");
        let method = provider["method"].as_str().expect("a method").parse();
        let method: Method = method.expect("a method");
        let mut request = served.request(method.clone(), path.expect("the service's address"));
        let mut headers = HeaderMap::new();
        for header in provider["headers"].as_array().into_iter().flatten() {
            let name: HeaderName = text(&header["key"]).parse().expect("a name");
            let value: HeaderValue = text(&header["value"]).parse().expect("a value");
            headers.insert(name, value);
        }
        match &provider["jsonBody"] {
            Value::Null => {}
            body => {
                assert_ne!(method, Method::GET, "Argo sends no body with it");
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                request = request.body(body.to_string());
            }
        }
        let answer = Answer::of(request.headers(headers)).await;
        assert_eq!(text(&provider["jsonPath"]), "{$}", "all of the answer");
        let phase = if (200..300).contains(&answer.status) {
            self.phase(&answer.json())
        } else {
            Phase::Error
        };
        (phase, answer)
    }

    fn phase(&self, result: &Value) -> Phase {
        let holds = |side: &str| {
            let condition = Condition::parse_as(Language::Expr, text(&self.0[side]));
            let scope = Scope {
                result,
                series: &[],
                zone: Offset::UTC,
                step: skygate::domain::window::Step::Minute,
                now: start(),
            };
            condition.expect("Go's expr").holds(&scope)
        };
        match (holds("failureCondition"), holds("successCondition")) {
            (Ok(true), Ok(_)) => Phase::Failed,
            (Ok(false), Ok(true)) => Phase::Successful,
            (Ok(false), Ok(false)) => Phase::Inconclusive,
            (Err(_), _) | (_, Err(_)) => Phase::Error,
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

async fn served() -> Served {
    let (served, _sim) = Served::simulated(&["good=healthy", "bad=degraded", "away=outage"]).await;
    let kept = served.post("/api/v1/templates", SEED).await;
    assert_eq!(kept.status, 200, "{kept}");
    served
}

#[tokio::test]
async fn a_measurement_per_call() {
    let served = served().await;
    for (service, expected) in [
        ("good", Phase::Successful),
        ("bad", Phase::Failed),
        // Neither good nor bad: nothing is known of it, and it cannot be asked for.
        ("nobody", Phase::Inconclusive),
        ("away", Phase::Inconclusive),
        // An argument is a text, whatever it looks like.
        ("a\"b", Phase::Inconclusive),
    ] {
        let web = Web::read("measure-per-call.yaml", &[("service-name", service)]);
        let (phase, answer) = web.measure(&served).await;
        assert_eq!(phase, expected, "{service}: {answer}");
        assert_eq!(answer.status, 200, "{service}: {answer}");
    }
    let args = [("service-name", "good"), ("template", "none")];
    let (phase, answer) = Web::read("measure-per-call.yaml", &args)
        .measure(&served)
        .await;
    assert_eq!(phase, Phase::Error, "{answer}");
}

#[tokio::test]
async fn a_run_that_is_followed() {
    let served = served().await;
    let begin = async |service: &str| {
        let body = json!({
            "templates": [{ "templateName": "apdex" }],
            "args": [{ "name": "service-name", "value": service }],
            "concludeAfter": "30m",
        });
        let path = served.start_run(body.to_string()).await;
        let id = path.rsplit('/').next().expect("an id").to_owned();
        (Web::read("follow-a-run.yaml", &[("run-id", &id)]), path)
    };
    // While it is under way it is neither, and so many calls of that are waited for.
    for (service, expected) in [("good", Phase::Successful), ("bad", Phase::Failed)] {
        let (web, _) = begin(service).await;
        let mut waited = 0;
        let phase = loop {
            match web.measure(&served).await {
                (Phase::Inconclusive, _) => waited += 1,
                (phase, _) => break phase,
            }
        };
        let limit = web.0["inconclusiveLimit"].as_u64().expect("a limit");
        assert_eq!(phase, expected, "{service}");
        assert!((1..=limit).contains(&waited), "{service}: {waited}");
    }
    // Successful, as Argo calls it, with nothing behind it.
    let (web, path) = begin("nobody").await;
    let ended = served.post(&format!("{path}/terminate"), "").await;
    assert_eq!(ended.status, 200, "{ended}");
    served.await_end(&path).await;
    let (phase, answer) = web.measure(&served).await;
    assert_eq!(answer.json()["phase"], "Successful", "{answer}");
    assert_eq!(phase, Phase::Failed, "{answer}");
    let unknown = Web::read("follow-a-run.yaml", &[("run-id", "nowhere")]);
    assert_eq!(unknown.measure(&served).await.0, Phase::Error);
}

#[test]
fn the_service_answers_before_argo_gives_up() {
    let web = Web::read("measure-per-call.yaml", &[("service-name", "good")]);
    let timeout = web.provider()["timeoutSeconds"].as_u64();
    assert!(timeout > Some(8), "a measurement ends within 8 s");
    let web = Web::read("follow-a-run.yaml", &[("run-id", "x")]);
    let url = text(&web.provider()["url"]);
    let wait = url.rsplit_once("?wait=").expect("a wait").1;
    let wait = wait.strip_suffix('s').and_then(|it| it.parse().ok());
    assert!(wait < web.provider()["timeoutSeconds"].as_u64(), "{url}");
}

/// Argo's pause begins at the end of a measurement, so a call takes its own time and the interval.
#[test]
fn a_run_is_followed_for_half_an_hour() {
    let web = Web::read("follow-a-run.yaml", &[("run-id", "x")]);
    let seconds = |text: &str| -> u64 {
        let number = text.strip_suffix('s').and_then(|it| it.parse().ok());
        number.expect("seconds")
    };
    let url = text(&web.provider()["url"]);
    let wait = seconds(url.rsplit_once("?wait=").expect("a wait").1);
    let call = wait + seconds(text(&web.0["interval"]));
    let calls = web.0["inconclusiveLimit"].as_u64().expect("a limit");
    assert_eq!(call * calls, 30 * 60, "{call} s, {calls} times");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/argo/follow-a-run.yaml");
    let written = fs::read_to_string(path).expect("a template");
    let told = format!("{calls} of them, of {call} seconds each, are half an hour");
    assert!(written.contains(&told), "{told}");
}
