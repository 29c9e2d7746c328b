//! A Kubernetes API of a few lines, for what needs no real one: faults on demand, requests counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// What is to happen with a request before the objects are looked at: an answer in their place.
pub(super) type Fault = Box<dyn FnMut(&Method, &str, &Api) -> Option<(u16, Value)> + Send>;

#[derive(Default)]
struct State {
    /// Objects by path.
    objects: BTreeMap<String, Value>,
    version: u64,
    requests: Vec<String>,
}

/// Objects behind HTTP, as far as a router can tell.
#[derive(Clone, Default)]
pub(super) struct Api {
    state: Arc<Mutex<State>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Api {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces an object, as somebody else would.
    pub(super) fn add(&self, mut object: Value) {
        let mut state = self.state.lock().expect("no panic");
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .expect("a text")
        };
        let plural = format!("{}s", text("/kind").to_lowercase());
        let path = path(&plural, text("/metadata/namespace"), text("/metadata/name"));
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.objects.insert(path, object);
    }

    pub(super) fn virtual_service(&self, name: &str) -> Value {
        let state = self.state.lock().expect("no panic");
        state.objects[&path("virtualservices", "bookinfo", name)].clone()
    }

    /// The requests since they were last taken: `PUT reviews`.
    pub(super) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("no panic").requests)
    }

    pub(super) fn fail(
        &self,
        fault: impl FnMut(&Method, &str, &Self) -> Option<(u16, Value)> + Send + 'static,
    ) {
        *self.fault.lock().expect("no panic") = Some(Box::new(fault));
    }

    pub(super) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, std::io::Error>(api.answer(request).await) }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.expect("a body");
        let path = parts.uri.path();
        let last = path.rsplit('/').next().unwrap_or_default();
        {
            let mut state = self.state.lock().expect("no panic");
            state.requests.push(format!("{} {last}", parts.method));
        }
        let mut fault = self.fault.lock().expect("no panic").take();
        let failed = fault
            .as_mut()
            .and_then(|fault| fault(&parts.method, path, self));
        if let Some(fault) = fault {
            self.fault.lock().expect("no panic").get_or_insert(fault);
        }
        let (status, answer) = failed.unwrap_or_else(|| self.serve(&parts.method, path, &body));
        Response::builder()
            .status(StatusCode::from_u16(status).expect("a status"))
            .body(Body::from(answer.to_string().into_bytes()))
            .expect("a response")
    }

    fn serve(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        if path == "/apis/networking.istio.io" {
            let version = json!({"groupVersion": "networking.istio.io/v1", "version": "v1"});
            return (
                200,
                json!({"kind": "APIGroup", "preferredVersion": version}),
            );
        }
        let mut state = self.state.lock().expect("no panic");
        let Some(object) = state.objects.get(path).cloned() else {
            let name = path.rsplit('/').next().unwrap_or_default();
            return (404, status(404, "NotFound", name));
        };
        if *method != Method::PUT {
            return (200, object);
        }
        let mut new: Value = serde_json::from_slice(body).expect("JSON");
        if new["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return (409, status(409, "Conflict", "reviews"));
        }
        state.version += 1;
        new["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.objects.insert(path.to_owned(), new.clone());
        (200, new)
    }
}

fn path(plural: &str, namespace: &str, name: &str) -> String {
    format!("/apis/networking.istio.io/v1/namespaces/{namespace}/{plural}/{name}")
}

pub(super) fn status(code: u16, reason: &str, name: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{name}: {reason}"), "reason": reason, "code": code,
        "details": {"name": name, "kind": "virtualservices"},
    })
}
