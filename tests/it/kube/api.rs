//! The administrator's way to the server: plain requests, so that nothing of the router's stands between.

use http::Request;
use serde::Deserialize;
use serde_json::Value;

use super::{Cluster, ISTIO, eventually};

impl Cluster {
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, kube::Error> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body.into_bytes())
            .expect("a request");
        self.admin.request(request).await
    }

    pub(super) async fn create(&self, path: &str, object: &Value) -> Value {
        let created = self.send("POST", path, Some(object)).await;
        created.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Edits the VirtualService `reviews` as somebody else would, again after each conflict.
    pub(super) async fn edit_reviews(&self, edit: impl Fn(&mut Value)) {
        let path = format!("{}/reviews", self.path("virtualservices"));
        eventually("an edit", async || {
            let mut object = self.reviews().await;
            edit(&mut object);
            let path = format!("{path}?fieldManager=somebody");
            self.send("PUT", &path, Some(&object)).await.ok()
        })
        .await;
    }

    /// The types of the events of VirtualServices since `version`, in order, as a watch has them.
    pub(super) async fn events_since(&self, version: &Value) -> Vec<String> {
        let version = version.as_str().expect("a version");
        let path = format!(
            "{}?watch=1&timeoutSeconds=2&resourceVersion={version}",
            self.path("virtualservices")
        );
        let request = Request::get(path).body(Vec::new()).expect("a request");
        let lines = self.admin.request_text(request).await.expect("a watch");
        let events = lines.lines().map(|line| {
            let event: Value = serde_json::from_str(line).expect("an event");
            event["type"].as_str().expect("a type").to_owned()
        });
        events.collect()
    }

    pub(super) async fn until_ready(&self) {
        eventually("the server", async || {
            let request = Request::get("/readyz").body(Vec::new()).expect("a request");
            self.admin.request_text(request).await.ok()
        })
        .await;
    }

    /// Defines Istio's kinds, and waits until they are served.
    pub(super) async fn define_istio(&self) {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        for document in serde_norway::Deserializer::from_str(ISTIO) {
            let mut document = serde_norway::Value::deserialize(document).expect("YAML");
            document.apply_merge().expect("a merge");
            let definition = serde_json::to_value(document).expect("JSON");
            eventually("a definition", async || {
                // The one before may still be going away.
                self.send("POST", path, Some(&definition)).await.ok()
            })
            .await;
        }
        for plural in ["virtualservices", "destinationrules"] {
            let path = format!("/apis/networking.istio.io/v1alpha3/{plural}");
            eventually(plural, async || self.send("GET", &path, None).await.ok()).await;
        }
        eventually("Istio's group", async || {
            let group = self.send("GET", "/apis/networking.istio.io", None).await;
            group.ok()
        })
        .await;
    }
}
