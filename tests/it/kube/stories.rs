//! What goes well, with others at work on the same objects.

use serde_json::{Value, json};
use skygate::domain::routes::{FENCE_ANNOTATION, Weight};
use skygate::ports::{Remedy, RouterError, Shifted, TrafficRouter};
use tokio::task::JoinSet;

use super::Cluster;
use crate::routers::corpus::{cases, compare, desired, id, judge, traffic_of};
use crate::routers::{destinations, shift, subsets, weight};

#[tokio::test]
async fn the_seed_goes_its_way() {
    let Some(cluster) = Cluster::shared("seed").await else {
        return;
    };
    cluster.add_seed().await;
    let router = cluster.router("admin", cluster.traffic(subsets())).await;
    for percent in [10, 20, 40, 60, 80, 100, 0] {
        let set = router.set(&shift(percent, 3)).await;
        assert_eq!(set, Ok(Shifted::Written));
        let observed = router.observe().await.expect("it can be read");
        assert_eq!(
            (observed.canary, observed.fence),
            (Weight::new(percent), Some(3))
        );
        let object = cluster.reviews().await;
        let route = &object["spec"]["http"][0]["route"];
        assert_eq!(*route, destinations(100 - percent, percent));
    }
}

#[tokio::test]
async fn routes_are_edited_as_argo_does() {
    let Some(cluster) = Cluster::shared("corpus").await else {
        return;
    };
    let mut outcomes = Vec::new();
    for case in cases() {
        cluster.add_routes(&case["http"]).await;
        let mut traffic = traffic_of(&case);
        traffic.owner.namespace.clone_from(&cluster.namespace);
        traffic.virtual_services[0].name = cluster.named("reviews");
        let router = cluster.router("admin", traffic).await;
        let ours = match router.set(&shift(desired(&case), 1)).await {
            Ok(shifted) => {
                let http = cluster.reviews().await["spec"]["http"].clone();
                Ok((http, shifted == Shifted::Written))
            }
            Err(RouterError::Invalid(what)) => Err(what),
            Err(other) => panic!("{}: {other:?}", id(&case)),
        };
        outcomes.push((id(&case).to_owned(), compare(&case, &ours)));
        let path = format!("{}/reviews", cluster.path("virtualservices"));
        cluster
            .send("DELETE", &path, None)
            .await
            .expect("it is there");
    }
    judge(&outcomes);
}

/// An object without what changes with every write, and without what is ours.
fn of_others(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for field in ["resourceVersion", "generation", "managedFields"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations") {
        annotations
            .as_object_mut()
            .expect("a map")
            .remove(FENCE_ANNOTATION);
    }
    for destination in object["spec"]["http"][0]["route"]
        .as_array_mut()
        .expect("a list")
    {
        destination.as_object_mut().expect("a map").remove("weight");
    }
    object
}

#[tokio::test]
async fn fields_of_others_and_watches_are_left_alone() {
    let Some(cluster) = Cluster::shared("others").await else {
        return;
    };
    cluster.add_seed().await;
    let theirs = |object: &mut Value| {
        object["metadata"]["labels"] = json!({"istio.io/rev": "tsb"});
        object["metadata"]["annotations"] = json!({"tsb.tetrate.io/tenant": "bookinfo"});
        object["metadata"]["finalizers"] = json!(["example.com/keep"]);
        object["spec"]["http"][0]["retries"] = json!({"attempts": 3, "odd": [1.25, null, "é"]});
        object["spec"]["exportTo"] = json!(["*"]);
        object["status"] = json!({"observed": 1});
    };
    cluster.edit_reviews(theirs).await;
    let before = cluster.reviews().await;
    let version = before["metadata"]["resourceVersion"].clone();

    let router = cluster.router("admin", cluster.traffic(subsets())).await;
    assert_eq!(router.set(&shift(10, 1)).await, Ok(Shifted::Written));
    assert_eq!(router.set(&shift(10, 1)).await, Ok(Shifted::AsItWas));
    let after = cluster.reviews().await;
    assert_eq!(of_others(&after), of_others(&before));
    assert_eq!(after["spec"]["http"][0]["route"], destinations(90, 10));
    // One event for the one change; nothing was sent where nothing changed.
    assert_eq!(cluster.events_since(&version).await, ["MODIFIED"]);

    // Who owns which field is on record: what they set is still theirs.
    let managers = after["metadata"]["managedFields"]
        .as_array()
        .expect("a list");
    let owned = |manager: &str| {
        let of_manager = managers.iter().filter(|it| it["manager"] == manager);
        of_manager
            .map(|it| it["fieldsV1"].to_string())
            .collect::<String>()
    };
    assert!(owned("somebody").contains("f:istio.io/rev"), "{managers:?}");
    assert!(
        owned("skygate").contains("f:skygate.io/fence"),
        "{managers:?}"
    );
    assert!(!owned("skygate").contains("f:istio.io/rev"), "{managers:?}");

    let free = |object: &mut Value| object["metadata"]["finalizers"] = json!([]);
    cluster.edit_reviews(free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_loses_nothing() {
    let Some(cluster) = Cluster::shared("writers").await else {
        return;
    };
    cluster.add_seed().await;
    let router = cluster.router("admin", cluster.traffic(subsets())).await;
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        for percent in 1..=30 {
            let set = router.set(&shift(percent, 1)).await;
            assert_eq!(set, Ok(Shifted::Written), "{percent}");
        }
    });
    for round in 0..30 {
        let edit = |object: &mut Value| {
            object["metadata"]["labels"][format!("round-{round}")] = json!("theirs");
        };
        cluster.edit_reviews(edit).await;
    }
    while let Some(done) = writing.join_next().await {
        done.expect("no conflict was too many");
    }
    let object = cluster.reviews().await;
    assert_eq!(object["spec"]["http"][0]["route"], destinations(70, 30));
    assert_eq!(
        object["metadata"]["labels"]
            .as_object()
            .expect("labels")
            .len(),
        30
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_steppers_never_fight() {
    let Some(cluster) = Cluster::shared("steppers").await else {
        return;
    };
    cluster.add_seed().await;
    let mut steppers = JoinSet::new();
    for fence in [5, 6] {
        let router = cluster.router("admin", cluster.traffic(subsets())).await;
        steppers.spawn(async move {
            let mut outcomes = Vec::new();
            for percent in 1..=15 {
                // The older one heads for other weights, which must be gone in the end.
                let percent = if fence == 5 { 100 - percent } else { percent };
                outcomes.push((fence, router.set(&shift(percent, fence)).await));
            }
            outcomes
        });
    }
    while let Some(finished) = steppers.join_next().await {
        for (fence, outcome) in finished.expect("no panic") {
            match outcome {
                Ok(_) => {}
                Err(RouterError::Fenced { found, .. }) => {
                    assert_eq!((fence, found), (5, Some(6)));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    let router = cluster.router("admin", cluster.traffic(subsets())).await;
    let observed = router.observe().await.expect("it can be read");
    assert_eq!(
        (observed.canary, observed.fence),
        (Some(weight(15)), Some(6))
    );
    let late = router.set(&shift(85, 5)).await.expect_err("it is refused");
    assert_eq!(late.remedy(), Remedy::StandDown);
}
