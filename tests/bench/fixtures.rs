//! What the benchmarks stand on: the example's template about a healthy service, and answers in the shape that a 10.4 gives them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::{Value, json};
use skygate::documents::Documents;
use skygate::domain::analysis::{Analysis, Library, Request};
use skygate::domain::plan::{Ask, Gaps, MetricPlan, Overrides, Plan, Server};
use skygate::domain::query::{Added, Extras, Query};
use skygate::domain::reading::{Answer, Reading};
use skygate::domain::spec::{Argument, Template, TemplateRef};
use skygate::domain::window::{OapTime, Step, Window, WindowSpec};
use skygate::oap::answer::{ExpressionResult, MetricType, MetricTypes};
use skygate::oap::answer::{decode_expression, decode_query};

/// The example as it stands: its window has three buckets.
pub(super) const TEMPLATE: &str = include_str!("../../api/examples/apdex.yaml");

pub(super) const SERVICE: &str = "canary|reviews|bookinfo|cp-cluster-1|-";

/// What a modern OAP is asked for in addition.
const EXTRAS: Extras = Extras {
    id: true,
    is_empty_value: true,
};

/// The moment of every measurement.
pub(super) fn now() -> Timestamp {
    "2026-11-23T09:12:30Z".parse().expect("a moment")
}

/// Parses the only template in `text`.
pub(super) fn read(text: &str) -> Template {
    let mut documents = Documents::read(text.as_bytes());
    documents.templates.pop().expect("a template")
}

/// Merges the template with the argument that it wants.
pub(super) fn assemble(template: Template) -> Analysis {
    let request = Request {
        namespace: "bookinfo".to_owned(),
        templates: vec![TemplateRef::new(template.kind, &template.name)],
        args: vec![Argument::new("service-name", SERVICE)],
        ..Request::default()
    };
    let library = Library::gather([template]).expect("a template without faults");
    Analysis::assemble(&library, &request)
}

/// Plans the analysis; `server` instead of the template's address.
pub(super) fn plan(analysis: &Analysis, server: Option<Server>) -> Plan {
    let no_secrets = |_: &str, _: &str, _: &str| Err("there are no secrets".to_owned());
    Plan::make(analysis, &Overrides { server }, &no_secrets).expect("a plan")
}

/// The example's plan with a window of so many minutes.
pub(super) fn plan_of(minutes: u64, server: Option<Server>) -> Plan {
    let text = TEMPLATE.replace("interval: 3m", &format!("interval: {minutes}m"));
    plan(&assemble(read(&text)), server)
}

/// The only metric of a plan.
pub(super) fn metric(plan: &Plan) -> &MetricPlan {
    plan.metrics.first().expect("a metric")
}

/// A window of so many settled minutes.
pub(super) fn window_of(minutes: u64) -> Window {
    let spec = WindowSpec {
        interval: Duration::from_secs(minutes * 60),
        step: Step::Minute,
        settle: Duration::from_secs(90),
    };
    let choice = Window::choose(&spec, now(), Offset::UTC, None);
    choice.window.expect("nothing is stale")
}

/// The n-th value of a healthy service, which every condition has to look at.
fn healthy(n: usize) -> usize {
    9_900 + n % 101
}

/// What an OAP answers to the example's query.
pub(super) fn query_body(window: &Window) -> String {
    let points = window.buckets().enumerate().map(|(n, at)| {
        let bucket = at.strftime("%Y%m%d%H%M");
        json!({
            "value": healthy(n),
            "skygate_id": format!("service_apdex_{bucket}_Y2FuYXJ5fHJldmlld3N8Ym9va2luZm98Y3AtY2x1c3Rlci0xfC0=.1"),
            "skygate_isEmptyValue": false,
        })
    });
    let points: Vec<Value> = points.collect();
    json!({"data": {"service_apdex": {"label": null, "values": {"values": points}}}}).to_string()
}

/// What it answers to the same as an expression.
pub(super) fn expression_body(window: &Window) -> String {
    let values = window.buckets().enumerate().map(
        |(n, at)| json!({"id": at.as_millisecond().to_string(), "value": healthy(n).to_string()}),
    );
    let values: Vec<Value> = values.collect();
    json!({"data": {"execExpression": {
        "type": "TIME_SERIES_VALUES",
        "error": null,
        "results": [{"metric": {"labels": []}, "values": values}],
    }}})
    .to_string()
}

/// What is known when an answer comes in.
pub(super) struct Asked {
    pub(super) window: Window,
    query: Query,
    added: Added,
    types: MetricTypes,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Executed {
    #[serde(rename = "execExpression")]
    result: ExpressionResult,
}

impl Asked {
    /// The example's question for a window of so many minutes.
    pub(super) fn about(minutes: u64) -> Self {
        let plan = plan_of(3, None);
        let Ask::Query(query) = &metric(&plan).source.ask else {
            panic!("the example has a query");
        };
        Self {
            window: window_of(minutes),
            query: query.clone(),
            added: query.asking(EXTRAS).1,
            types: [("service_apdex".to_owned(), MetricType::Regular)].into(),
        }
    }

    /// From the bytes of an answer to what conditions see.
    pub(super) fn decode_query(&self, body: &[u8]) -> Answer {
        let envelope: Envelope<Value> = serde_json::from_slice(body).expect("JSON");
        decode_query(
            &self.query,
            &self.added,
            envelope.data,
            &self.window,
            Gaps::Skip,
            &self.types,
        )
        .expect("an answer")
    }

    /// The same of an answer to an expression.
    pub(super) fn decode_expression(&self, body: &[u8]) -> Answer {
        let envelope: Envelope<Executed> = serde_json::from_slice(body).expect("JSON");
        let result = &envelope.data.result;
        decode_expression("service_apdex", result, &self.window, Gaps::Skip).expect("an answer")
    }

    /// A reading with so many points.
    pub(super) fn reading(&self) -> Reading {
        Reading {
            server: "http://oap.istio-system:12800".to_owned(),
            request: self.query.text().to_owned(),
            window: Some(self.window),
            time: Some(OapTime {
                zone: Offset::UTC,
                skew: jiff::SignedDuration::ZERO,
            }),
            answer: Ok(self.decode_query(query_body(&self.window).as_bytes())),
        }
    }
}

/// The points of an answer as JSON: of the whole of it, or of its `data`.
pub(super) fn points(answer: &Value) -> &[Value] {
    let data = answer.get("data").unwrap_or(answer);
    let points = data.pointer("/service_apdex/values/values");
    points.and_then(Value::as_array).expect("points")
}

/// The example's condition in the least code.
pub(super) fn all_healthy(points: &[Value]) -> bool {
    points
        .iter()
        .all(|point| point["value"].as_f64() >= Some(9_900.0))
}
