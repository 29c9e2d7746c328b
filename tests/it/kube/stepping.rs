//! A whole stepper on real objects, with somebody at work on them by hand.

use std::sync::Arc;

use serde_json::{Value, json};
use skygate::client::{Client, Options};
use skygate::domain::rollout::{Command, Outcome, Rollout, RolloutSpec, Version};
use skygate::stepper::{Ended, Orders, RemoteService, Scene, Stepper};
use tokio::sync::{mpsc, watch};

use super::Cluster;
use crate::harness::{LIMIT, Served};
use crate::routers::destinations;

fn document(namespace: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "reviews", "namespace": namespace},
        "spec": {"strategy": {"canary": {
            "steps": [{"setWeight": 20}, {"pause": {}}],
            "trafficRouting": {"istio": {
                "virtualService": {"name": "reviews"},
                "destinationRule": {"name": "reviews", "canarySubsetName": "canary", "stableSubsetName": "stable"},
            }},
        }}},
    })
}

async fn until(stepper: &Stepper, is_so: impl Fn(&Rollout) -> bool) {
    let mut scenes = stepper.stage.subscribe();
    let is_so = |scene: &Option<Scene>| scene.as_ref().is_some_and(|it| is_so(&it.rollout));
    let seen = tokio::time::timeout(LIMIT, scenes.wait_for(is_so));
    drop(seen.await.expect("it comes about").expect("it is there"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_edited_by_hand_come_back() {
    let Some(cluster) = Cluster::shared("by-hand").await else {
        return;
    };
    cluster.add_seed().await;
    let (served, _) = Served::simulated(&[]).await;
    let clock = Arc::clone(&served.app.ports.clock);
    let client = Client::new(&Options::new(&served.url), Arc::clone(&clock));
    let client = client.expect("usable options");
    let spec = RolloutSpec::read(&document(&cluster.namespace)).expect("no faults");
    let traffic = spec.traffic(&cluster.namespace).expect("routes");
    let stepper = Stepper {
        service: Arc::new(RemoteService::new(
            client.clone(),
            &cluster.namespace,
            "reviews",
        )),
        router: Arc::new(cluster.router("admin", traffic).await),
        hook: None,
        clock,
        orders: Orders::new(
            &cluster.namespace,
            "a",
            Arc::new(spec),
            Version::named("v2"),
        ),
        stage: watch::Sender::new(None),
    };
    let route = async || cluster.reviews().await["spec"]["http"][0]["route"].clone();
    let (_interrupt, interrupts) = mpsc::channel(1);
    let person = async {
        until(&stepper, |it| it.step == 1 && !it.pauses.is_empty()).await;
        assert_eq!(route().await, destinations(80, 20));
        let by_hand = |object: &mut Value| {
            object["spec"]["http"][0]["route"] = destinations(65, 35);
        };
        cluster.edit_reviews(by_hand).await;
        let is_told = |it: &Rollout| {
            let note = "traffic was at 35 and is set to 20 again";
            it.is_at(it.weight) && it.history.iter().any(|told| told.note == note)
        };
        until(&stepper, is_told).await;
        assert_eq!(route().await, destinations(80, 20));

        // Without its number in the annotation a late stepper would not be kept away.
        let bare = |object: &mut Value| object["metadata"]["annotations"] = json!({});
        cluster.edit_reviews(bare).await;
        until(&stepper, |it| {
            it.is_at(it.weight)
                && it
                    .history
                    .iter()
                    .any(|told| told.note.contains("without the number"))
        })
        .await;
        let name = skygate::client::RolloutName {
            namespace: &cluster.namespace,
            name: "reviews",
        };
        let aborted = client.command_rollout(name, Command::Abort, None).await;
        aborted.expect("it is kept");
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = stepper.run(interrupts) => ended,
        () = person => unreachable!(),
    };
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    let object = cluster.reviews().await;
    assert_eq!(object["spec"]["http"][0]["route"], destinations(100, 0));
    let fence = object["metadata"]["annotations"]["skygate.io/fence"].as_str();
    let fence = fence.expect("a number");
    assert!(
        fence.starts_with("by-hand/reviews=") && fence.ends_with("/over@http.0"),
        "{fence}"
    );
}
