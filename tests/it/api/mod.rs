//! The service, from outside: what callers over HTTP rely on.
//!
//! - `stories`: every endpoint through its contract, request by request, as snapshots to read.
//! - `refusals`: every way in which a request can be wrong.
//! - `races`, `waiting`, `clients`: many callers at once, callers that wait, callers that misbehave.
//! - `access`: who may do what. `secrets`: what nobody is told. (See `cli::serve` as well.)
//! - `oaps`: an OAP that fails in every way it can. `stopping`: the end.
//! - `dashboards`: what panels show, and whether those of the Grafana dashboard find it.
//! - `desks`: what steppers and people do with a rollout.
//! - `description`, `examples`, `argo`: what is told of the API is true.

mod access;
mod argo;
mod clients;
mod dashboards;
mod description;
mod desks;
mod examples;
mod oaps;
mod races;
mod refusals;
mod secrets;
mod stopping;
mod stories;
mod waiting;

use std::fmt::Write as _;

use reqwest::Method;

use crate::harness::{Answer, Served, stable};

/// A run of one metric, which a fake source answers for; `more` are further fields of it as in `interval: 1m, count: 3`.
fn run_of(more: &str) -> String {
    format!("spec: {{ metrics: [{}] }}", metric("a", more))
}

/// A metric for a fake source.
fn metric(name: &str, more: &str) -> String {
    let separator = if more.is_empty() { "" } else { ", " };
    format!(
        r#"{{ name: {name}{separator}{more}, successCondition: "values[0] > 0", failureCondition: "values[0] < 0",
             provider: {{ skywalking: {{ oap: sim, interval: 1m, expression: {name}, entity: {{ scope: Service, serviceName: a, normal: true }} }} }} }}"#
    )
}

/// A template of one metric, for the simulated OAP or a fake source.
fn template(name: &str, more: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: {{ name: {name} }}\nspec: {{ metrics: [{}] }}\n",
        metric("a", more)
    )
}

/// Requests and their answers, one after another, as a text to read and to keep.
struct Story<'s> {
    served: &'s Served,
    text: String,
}

impl<'s> Story<'s> {
    fn of(served: &'s Served) -> Self {
        Self {
            served,
            text: String::new(),
        }
    }

    /// Says what comes next.
    fn tell(&mut self, words: &str) {
        writeln!(self.text, "# {words}\n").expect("a string takes everything");
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    async fn post(&mut self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, &[], body).await
    }

    async fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = self.served.request(method.clone(), path);
        writeln!(self.text, "{method} {path}").expect("a string takes everything");
        for (name, value) in headers {
            writeln!(self.text, "{name}: {value}").expect("a string takes everything");
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            writeln!(self.text, "\n{}", body.trim_end()).expect("a string takes everything");
            request = request.body(body.to_owned());
        }
        let answer = Answer::of(request).await;
        writeln!(self.text, "\n{answer}").expect("a string takes everything");
        answer
    }

    /// Compares it with what is kept under this name.
    fn end(self, name: &str) {
        let text = stable(&self.text);
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../../data/snapshots"}, {
            insta::assert_snapshot!(format!("api_{name}"), text.trim_end());
        });
    }
}
