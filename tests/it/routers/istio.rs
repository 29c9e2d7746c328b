//! The router for clusters, against an API that misbehaves on demand. `kube` has the real one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use skygate::domain::routes::FENCE_ANNOTATION;
use skygate::ports::{Clock, Remedy, RouterError, Shifted, TrafficRouter};
use skygate::routers::istio::IstioRouter;

use super::api_stub::{Api, status};
use super::{destinations, shift, subsets, traffic, virtual_service, weight};
use crate::harness::{HandClock, start};

fn reviews() -> Value {
    virtual_service(&json!([{"route": destinations(100, 0), "fault": {"odd": [1.5, null]}}]))
}

fn rule(subsets: &[&str]) -> Value {
    let subsets: Vec<Value> = subsets.iter().map(|name| json!({"name": name})).collect();
    json!({
        "kind": "DestinationRule",
        "metadata": {"name": "reviews", "namespace": "bookinfo"},
        "spec": {"host": "reviews", "subsets": subsets},
    })
}

fn router(api: &Api) -> (IstioRouter, Arc<HandClock>) {
    let clock = HandClock::new();
    let router = IstioRouter::new(traffic(subsets()), api.client(), Arc::clone(&clock) as _);
    (router, clock)
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_changes() {
    let api = Api::new();
    api.add(reviews());
    let (router, _) = router(&api);
    assert_eq!(router.set(&shift(10, 7)).await, Ok(Shifted::Written));
    let asked = ["GET networking.istio.io", "GET reviews", "PUT reviews"];
    assert_eq!(api.take_requests(), asked);
    assert_eq!(router.set(&shift(10, 7)).await, Ok(Shifted::AsItWas));
    assert_eq!(api.take_requests(), ["GET reviews"]);

    let written = api.virtual_service("reviews");
    let fence = &written["metadata"]["annotations"][FENCE_ANNOTATION];
    assert_eq!(fence, "bookinfo/reviews-rollout=7@http.0");
    assert_eq!(
        written["spec"]["http"][0]["fault"],
        json!({"odd": [1.5, null]})
    );
}

#[tokio::test]
async fn whoever_was_faster_keeps_what_they_wrote() {
    let api = Api::new();
    api.add(reviews());
    let rounds = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&rounds);
    api.fail(move |method, _, api| {
        let mut rounds = counted.lock().expect("no panic");
        if *method == Method::PUT && *rounds < 3 {
            *rounds += 1;
            let mut theirs = api.virtual_service("reviews");
            theirs["metadata"]["labels"][format!("round-{rounds}")] = json!("theirs");
            api.add(theirs);
        }
        None
    });
    let (router, clock) = router(&api);
    assert_eq!(router.set(&shift(10, 7)).await, Ok(Shifted::Written));
    assert_eq!(*rounds.lock().expect("no panic"), 3);
    let written = api.virtual_service("reviews");
    assert_eq!(
        written["metadata"]["labels"]
            .as_object()
            .expect("labels")
            .len(),
        3
    );
    assert_eq!(written["spec"]["http"][0]["route"], destinations(90, 10));
    // 25, 50 and 100 ms, on the clock.
    let waited = clock.now().duration_since(start());
    assert_eq!(waited.as_millis(), 175);
}

#[tokio::test]
async fn conflicts_without_end_are_given_up() {
    let api = Api::new();
    api.add(reviews());
    api.fail(|method, _, _| {
        (*method == Method::PUT).then(|| (409, status(409, "Conflict", "reviews")))
    });
    let (router, _) = router(&api);
    let refused = router.set(&shift(10, 7)).await.expect_err("it is refused");
    assert_eq!(refused.remedy(), Remedy::TryAgain);
    assert_eq!(
        refused.to_string(),
        "the weights were not set: somebody else wrote `bookinfo/reviews` each time that we did, 8 times in a row"
    );
}

#[tokio::test]
async fn a_newer_stepper_that_comes_between_wins() {
    let api = Api::new();
    api.add(reviews());
    api.fail(|method, _, api| {
        if *method == Method::PUT {
            let mut theirs = api.virtual_service("reviews");
            theirs["metadata"]["annotations"][FENCE_ANNOTATION] =
                json!("bookinfo/reviews-rollout=8");
            api.add(theirs);
        }
        None
    });
    let (router, _) = router(&api);
    let refused = router.set(&shift(10, 7)).await.expect_err("it is refused");
    assert_eq!(refused.remedy(), Remedy::StandDown);
    assert!(
        matches!(refused, RouterError::Fenced { found: Some(8), .. }),
        "{refused:?}"
    );
    let written = api.virtual_service("reviews");
    assert_eq!(written["spec"]["http"][0]["route"], destinations(100, 0));
}

#[tokio::test]
async fn what_is_there_is_observed() {
    let api = Api::new();
    api.add(virtual_service(&json!([{"route": destinations(75, 25)}])));
    let (router, _) = router(&api);
    let refused = router.observe().await.expect_err("there is no rule");
    assert_eq!(
        refused.to_string(),
        "there is no DestinationRule `reviews` in the namespace `bookinfo` of the cluster"
    );
    api.add(rule(&["stable", "v2"]));
    let refused = router.observe().await.expect_err("a subset is missing");
    assert_eq!(
        refused.to_string(),
        "DestinationRule `reviews` has no subset `canary`; it has `stable`, `v2`"
    );
    // Going back to stable is never refused for that.
    assert_eq!(router.set(&shift(0, 1)).await, Ok(Shifted::Written));
    api.add(rule(&["stable", "canary"]));
    let observed = router.observe().await.expect("it can be read");
    assert_eq!(
        (observed.canary, observed.fence),
        (Some(weight(0)), Some(1))
    );
}

#[tokio::test]
async fn what_the_api_says_is_told_apart() {
    let check = async |code: u16, answer: Value, remedy: Remedy, expected: &str| {
        let api = Api::new();
        api.add(reviews());
        api.fail(move |_, path, _| {
            path.contains("/namespaces/")
                .then(|| (code, answer.clone()))
        });
        let (router, _) = router(&api);
        let refused = router.set(&shift(10, 7)).await.expect_err("it is refused");
        assert_eq!(
            (refused.to_string().as_str(), refused.remedy()),
            (expected, remedy)
        );
        refused
    };
    check(
        404,
        json!("404 page not found"),
        Remedy::AskPerson,
        "the cluster has no VirtualServices (it serves no `virtualservices` of the group `networking.istio.io`): Istio's CRDs aren't installed there, or the kubeconfig's context names another cluster",
    )
    .await;
    check(
        422,
        status(422, "Invalid", "reviews"),
        Remedy::AskPerson,
        "failed to read the VirtualService `bookinfo/reviews`: the Kubernetes API answered 422: reviews: Invalid",
    )
    .await;
    let mut busy = status(429, "TooManyRequests", "reviews");
    busy["details"]["retryAfterSeconds"] = json!(7);
    let refused = check(
        429,
        busy,
        Remedy::TryAgain,
        "failed to read the VirtualService `bookinfo/reviews`: the Kubernetes API answered 429: reviews: TooManyRequests",
    )
    .await;
    let after = Some(Duration::from_secs(7));
    assert!(matches!(refused, RouterError::Unreachable { after: it, .. } if it == after));
    check(
        401,
        status(401, "Unauthorized", "reviews"),
        Remedy::AskPerson,
        "the Kubernetes API doesn't know who we are (reviews: Unauthorized): the token or certificate of the kubeconfig, or of the service account, is wrong or has expired",
    )
    .await;
    let mut denied = status(403, "Forbidden", "reviews");
    denied["message"] = json!("admission webhook \"policy\" denied the request");
    let refused = check(
        403,
        denied.clone(),
        Remedy::AskPerson,
        "not allowed to read the VirtualService `bookinfo/reviews`: admission webhook \"policy\" denied the request; this is no lack of RBAC, but something else that admits objects",
    )
    .await;
    assert!(matches!(
        refused,
        RouterError::Forbidden { allow: None, .. }
    ));
    denied["message"] = json!(
        "virtualservices.networking.istio.io \"reviews\" is forbidden: User \"system:serviceaccount:ci:stepper\" cannot get resource \"virtualservices\" in API group \"networking.istio.io\" in the namespace \"bookinfo\""
    );
    let refused = check(
        403,
        denied,
        Remedy::AskPerson,
        "not allowed to read the VirtualService `bookinfo/reviews`: virtualservices.networking.istio.io \"reviews\" is forbidden: User \"system:serviceaccount:ci:stepper\" cannot get resource \"virtualservices\" in API group \"networking.istio.io\" in the namespace \"bookinfo\"",
    )
    .await;
    let RouterError::Forbidden {
        allow: Some(allow), ..
    } = refused
    else {
        panic!("{refused:?}");
    };
    insta::assert_snapshot!(allow, @r"
    apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata:
      name: skygate-reviews-rollout
      namespace: bookinfo
    rules:
    - apiGroups: [networking.istio.io]
      resources: [virtualservices]
      resourceNames: [reviews]
      verbs: [get, update]
    - apiGroups: [networking.istio.io]
      resources: [destinationrules]
      resourceNames: [reviews]
      verbs: [get]
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata:
      name: skygate-reviews-rollout
      namespace: bookinfo
    roleRef:
      apiGroup: rbac.authorization.k8s.io
      kind: Role
      name: skygate-reviews-rollout
    subjects:
    - kind: ServiceAccount
      namespace: ci
      name: stepper
    ");
}
