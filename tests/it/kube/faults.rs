//! What goes wrong, and what is said then.

use serde::Deserialize;
use serde_json::{Value, json};
use skygate::ports::{Remedy, RouterError, Shifted, TrafficRouter};

use super::{Cluster, eventually};
use crate::routers::{destinations, shift, subsets};

#[tokio::test]
async fn what_is_missing_is_named() {
    let Some(cluster) = Cluster::shared("missing").await else {
        return;
    };
    let router = cluster.router("admin", cluster.traffic(subsets())).await;
    let refused = router.set(&shift(10, 1)).await.expect_err("it is refused");
    assert_eq!(refused.remedy(), Remedy::AskPerson);
    assert_eq!(
        refused.to_string(),
        "there is no VirtualService `reviews` in the namespace `missing` of the cluster"
    );
    let refused = router.observe().await.expect_err("it is refused");
    assert_eq!(
        refused.to_string(),
        "there is no DestinationRule `reviews` in the namespace `missing` of the cluster"
    );
    // Gone between two steps.
    cluster.add_seed().await;
    assert_eq!(router.set(&shift(10, 1)).await, Ok(Shifted::Written));
    let path = format!("{}/reviews", cluster.path("virtualservices"));
    cluster
        .send("DELETE", &path, None)
        .await
        .expect("it is there");
    let refused = router.set(&shift(20, 1)).await.expect_err("it is refused");
    assert!(matches!(refused, RouterError::NotFound(_)), "{refused:?}");
}

#[tokio::test]
async fn the_rule_that_is_missing_is_the_one_to_add() {
    let Some(cluster) = Cluster::shared("rights").await else {
        return;
    };
    cluster.add_seed().await;
    let router = cluster.router("stepper", cluster.traffic(subsets())).await;
    let refused = router.set(&shift(10, 1)).await.expect_err("it is refused");
    assert_eq!(refused.remedy(), Remedy::AskPerson);
    let RouterError::Forbidden {
        what,
        allow: Some(allow),
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(
        what,
        "not allowed to read the VirtualService `rights/reviews`: virtualservices.networking.istio.io \"reviews\" is forbidden: User \"stepper\" cannot get resource \"virtualservices\" in API group \"networking.istio.io\" in the namespace \"rights\""
    );

    // Applied as it stands it is enough for all that a router does, and for no more.
    for document in serde_norway::Deserializer::from_str(&allow) {
        let object = Value::deserialize(document).expect("YAML");
        let plural = format!(
            "{}s",
            object["kind"].as_str().expect("a kind").to_lowercase()
        );
        let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/rights";
        cluster.create(&format!("{group}/{plural}"), &object).await;
    }
    eventually("the right", async || router.observe().await.ok()).await;
    assert_eq!(router.set(&shift(10, 1)).await, Ok(Shifted::Written));
    let mut more = cluster.traffic(subsets());
    more.virtual_services[0].name = cluster.named("ratings");
    let other = cluster.router("stepper", more).await;
    let refused = other.set(&shift(10, 1)).await.expect_err("it is refused");
    assert!(
        matches!(refused, RouterError::Forbidden { allow: Some(_), .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_right_to_read_is_none_to_write() {
    let Some(cluster) = Cluster::shared("readers").await else {
        return;
    };
    cluster.add_seed().await;
    let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/readers";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "read"},
        "rules": [{"apiGroups": ["networking.istio.io"], "resources": ["*"], "verbs": ["get"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "read"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "stepper"}],
    });
    cluster.create(&format!("{group}/roles"), &role).await;
    cluster
        .create(&format!("{group}/rolebindings"), &binding)
        .await;
    let router = cluster.router("stepper", cluster.traffic(subsets())).await;
    eventually("the right", async || router.observe().await.ok()).await;
    let refused = router.set(&shift(10, 1)).await.expect_err("it is refused");
    let said = refused.to_string();
    assert!(
        said.starts_with("not allowed to update the VirtualService"),
        "{said}"
    );
    assert!(
        matches!(refused, RouterError::Forbidden { allow: Some(_), .. }),
        "{refused:?}"
    );
    let object = cluster.reviews().await;
    assert_eq!(object["spec"]["http"][0]["route"], destinations(100, 0));
}

#[tokio::test]
async fn a_token_that_nobody_knows() {
    let Some(cluster) = Cluster::shared("stranger").await else {
        return;
    };
    cluster.add_seed().await;
    let router = cluster.router("stranger", cluster.traffic(subsets())).await;
    let refused = router.set(&shift(10, 1)).await.expect_err("it is refused");
    assert_eq!(refused.remedy(), Remedy::AskPerson);
    let said = refused.to_string();
    assert!(
        said.contains("doesn't know who we are (Unauthorized)"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back() {
    let Some(cluster) = Cluster::alone("restart").await else {
        return;
    };
    cluster.add_seed().await;
    let router = cluster.router("admin", cluster.traffic(subsets())).await;
    assert_eq!(router.set(&shift(10, 1)).await, Ok(Shifted::Written));
    cluster.control("kill");
    let refused = router.set(&shift(20, 1)).await.expect_err("nobody answers");
    assert_eq!(refused.remedy(), Remedy::TryAgain, "{refused}");
    let said = refused.to_string();
    assert!(
        said.starts_with(
            "failed to read the VirtualService `restart/reviews`: no answer from the Kubernetes API"
        ),
        "{said}"
    );
    cluster.control("start");
    // The same router, with whatever connections it kept.
    let set = eventually("the shift", async || {
        match router.set(&shift(20, 1)).await {
            Ok(shifted) => Some(shifted),
            Err(error) => {
                // A server that has just begun doesn't know all its users' rights yet.
                let is_young = matches!(error, RouterError::Forbidden { .. });
                assert!(is_young || error.remedy() == Remedy::TryAgain, "{error}");
                None
            }
        }
    })
    .await;
    assert_eq!(set, Shifted::Written);
    let object = cluster.reviews().await;
    assert_eq!(object["spec"]["http"][0]["route"], destinations(80, 20));
    cluster.until_ready().await;
}

#[tokio::test]
async fn a_cluster_without_istio() {
    let Some(cluster) = Cluster::alone("bare").await else {
        return;
    };
    let router = cluster.router("admin", cluster.traffic(subsets())).await;
    // It has seen Istio once; then the kinds go away.
    let refused = router.observe().await.expect_err("nothing is there yet");
    assert!(matches!(refused, RouterError::NotFound(_)), "{refused:?}");
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for plural in ["virtualservices", "destinationrules"] {
        let path = format!("{path}/{plural}.networking.istio.io");
        cluster
            .send("DELETE", &path, None)
            .await
            .expect("it is there");
        eventually("its end", async || {
            cluster
                .send("GET", &path, None)
                .await
                .is_err()
                .then_some(())
        })
        .await;
    }
    let said = eventually("the end of the group", async || {
        let refused = router.set(&shift(10, 1)).await.expect_err("it is refused");
        let said = refused.to_string();
        said.contains("Istio's CRDs aren't installed")
            .then_some(said)
    })
    .await;
    assert!(
        said.starts_with("the cluster has no VirtualServices"),
        "{said}"
    );
    cluster.define_istio().await;
    cluster.add_seed().await;
    let set = eventually("the shift", async || router.set(&shift(10, 1)).await.ok()).await;
    assert_eq!(set, Shifted::Written);
}
