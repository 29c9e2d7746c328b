//! What the corpus leaves open: TLS and TCP routes, odd forms, several objects, fences.

use serde_json::{Value, json};
use skygate::domain::routes::{
    Choice, FENCE_ANNOTATION, RouteError, Routed, TcpRoute, TlsRoute, Traffic, Versions, Weight,
};

use super::{destinations, named, owner, services, subsets, traffic, virtual_service, weight};

fn with(versions: Versions, choice: Choice) -> Traffic {
    Traffic {
        owner: owner(),
        versions,
        virtual_services: vec![Routed {
            name: named("reviews"),
            choice,
        }],
        takes_routes: false,
    }
}

/// The object after the canary got `percent`, or why it didn't.
fn set(traffic: &Traffic, object: &Value, percent: u8) -> Result<Value, String> {
    let routed = &traffic.virtual_services[0];
    let change = traffic
        .change(object, routed, weight(percent), 1)
        .map_err(|error| error.to_string())?;
    let mut edited = object.clone();
    change.apply(&mut edited);
    Ok(edited)
}

/// The weights of `list` of the edited object, a list for each route.
fn weights(object: &Value, list: &str) -> Value {
    let routes = object["spec"][list].as_array().expect("routes");
    let of_route = |route: &Value| -> Value {
        let destinations = route["route"].as_array().expect("destinations");
        destinations.iter().map(|it| it["weight"].clone()).collect()
    };
    routes.iter().map(of_route).collect()
}

fn routed(spec: &Value) -> Value {
    let mut object = virtual_service(&Value::Null);
    object["spec"] = spec.clone();
    object
}

fn tls(port: u64, hosts: &[&str]) -> Value {
    json!({"match": [{"port": port, "sniHosts": hosts}], "route": destinations(100, 0)})
}

#[test]
fn tls_routes_are_known_by_port_and_hosts() {
    let object = routed(&json!({"tls": [
        tls(443, &["a.example", "b.example"]), tls(443, &["a.example"]), tls(8443, &["a.example"]),
    ]}));
    let check = |port: u64, hosts: &[&str], expected: Value| {
        let choice = Choice {
            tls: vec![TlsRoute {
                port,
                sni_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            }],
            ..Choice::default()
        };
        let edited = set(&with(subsets(), choice), &object, 20);
        let ours = edited.map_or_else(Value::from, |edited| weights(&edited, "tls"));
        assert_eq!(ours, expected);
    };
    let untouched = json!([100, 0]);
    check(
        443,
        &["b.example", "a.example"],
        json!([[80, 20], untouched, untouched]),
    );
    check(443, &["a.example"], json!([untouched, [80, 20], untouched]));
    check(
        8443,
        &["a.example"],
        json!([untouched, untouched, [80, 20]]),
    );
    check(
        9443,
        &["a.example"],
        json!(
            "No matching TLS routes found in the defined Virtual Service: none for port 9443 and a.example. Its TLS routes: `port 443 and a.example b.example`, `port 443 and a.example`, `port 8443 and a.example`"
        ),
    );
}

#[test]
fn tcp_routes_are_known_by_port() {
    let tcp = |ports: &[u64]| {
        let matches: Vec<Value> = ports.iter().map(|port| json!({"port": port})).collect();
        json!({"match": matches, "route": destinations(100, 0)})
    };
    let object = routed(&json!({"tcp": [tcp(&[3306]), tcp(&[3306, 3307]), tcp(&[])]}));
    let check = |port: u64, expected: Value| {
        let choice = Choice {
            tcp: vec![TcpRoute { port }],
            ..Choice::default()
        };
        let edited = set(&with(subsets(), choice), &object, 20);
        let ours = edited.map_or_else(Value::from, |edited| weights(&edited, "tcp"));
        assert_eq!(ours, expected, "{port}");
    };
    let untouched = json!([100, 0]);
    check(3306, json!([[80, 20], untouched, untouched]));
    check(0, json!([untouched, untouched, [80, 20]]));
    check(
        3307,
        json!(
            "No matching TCP routes found in the defined Virtual Service: none for port 3307. Its TCP routes: `port 3306`, `port 3306`, `port 3307`"
        ),
    );
}

#[test]
fn every_kind_of_route_is_edited() {
    let route = || json!([{"route": destinations(100, 0)}]);
    let object = routed(&json!({"http": route(), "tls": route(), "tcp": route()}));
    let edited = set(&traffic(subsets()), &object, 35).expect("it can be");
    for list in ["http", "tls", "tcp"] {
        assert_eq!(weights(&edited, list), json!([[65, 35]]), "{list}");
    }
}

#[test]
fn what_is_refused_says_what_is_there() {
    let check = |traffic: &Traffic, spec: Value, expected: &str| {
        assert_eq!(set(traffic, &routed(&spec), 20), Err(expected.to_owned()));
    };
    let bare = traffic(subsets());
    let one = |route: Value| json!({"http": [{"route": route}]});
    check(
        &bare,
        json!({"hosts": ["reviews"]}),
        "spec.http[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.routes",
    );
    check(
        &bare,
        json!({"tcp": [{}, {}]}),
        "spec.tcp[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.tcpRoutes",
    );
    check(
        &bare,
        one(
            json!([{"destination": {"host": "reviews", "subset": "v1"}}, {"destination": {"host": "reviews"}}]),
        ),
        "Canary DestinationRule subset 'canary' not found in route; `spec.http[0]` goes to `v1`",
    );
    check(
        &traffic(services()),
        one(json!([{"destination": {"host": "canary-svc"}}, {"destination": {"host": "other"}}])),
        "Stable Service 'stable-svc' not found in route; `spec.http[0]` goes to `canary-svc`, `other`",
    );
    let mut odd = destinations(100, 0);
    odd[1]["weight"] = json!("0");
    check(
        &bare,
        one(odd),
        "`spec.http[0].route[1].weight` is `\"0\"`; a whole number was expected",
    );
    check(
        &bare,
        json!({"http": {"route": []}}),
        "`spec.http` is `{\"route\":[]}`; a list of routes was expected",
    );
    let choice = Choice {
        managed: vec!["header".to_owned()],
        ..Choice::default()
    };
    check(
        &with(subsets(), choice),
        json!({"http": [{"name": "header"}, {"name": "primary", "route": destinations(100, 0)}]}),
        "no routes are listed, and beside managed routes only one without a name is edited; list `primary` in spec.strategy.canary.trafficRouting.istio.virtualService.routes",
    );
}

#[test]
fn a_removal_moves_nothing_that_is_still_to_be_edited() {
    let mut route = destinations(50, 10);
    let other = json!({"destination": {"host": "reviews", "subset": "v1"}, "weight": 20});
    let list = route.as_array_mut().expect("a list");
    list.insert(0, other.clone());
    list.insert(2, other);
    let object = virtual_service(&json!([{"route": route}]));
    let edited = set(&traffic(subsets()), &object, 30).expect("it can be");
    assert_eq!(edited["spec"]["http"][0]["route"], destinations(70, 30));
}

#[test]
fn more_than_is_left_never_makes_a_weight_negative() {
    let mut versions = subsets();
    if let Some(subsets) = &mut versions.subsets {
        subsets.additional = vec!["experiment".to_owned()];
    }
    let mut route = destinations(80, 0);
    route
        .as_array_mut()
        .expect("a list")
        .push(json!({"destination": {"host": "reviews", "subset": "experiment"}, "weight": 20}));
    let object = virtual_service(&json!([{"route": route}]));
    let edited = set(&traffic(versions), &object, 95).expect("it can be");
    assert_eq!(weights(&edited, "http"), json!([[0, 95, 20]]));
}

#[test]
fn a_share_is_what_setting_again_would_not_change() {
    let check = |route: Value, expected: Option<u8>| {
        let traffic = traffic(subsets());
        let object = virtual_service(&json!([{"route": route}]));
        let observed = traffic.observe(&object, &traffic.virtual_services[0]);
        assert_eq!(observed, Ok(expected.and_then(Weight::new)), "{object}");
    };
    check(destinations(100, 0), Some(0));
    check(destinations(65, 35), Some(35));
    check(destinations(50, 49), None);
    check(destinations(1, 1), None);
    let mut extra = destinations(60, 40);
    extra
        .as_array_mut()
        .expect("a list")
        .push(json!({"destination": {"host": "x"}, "weight": 5}));
    check(extra, None);
}

#[test]
fn a_newer_fence_stops_everything() {
    let traffic = traffic(subsets());
    let routed = &traffic.virtual_services[0];
    let mut object = virtual_service(&json!([{"route": destinations(90, 10)}]));
    object["metadata"]["annotations"] = json!({"a": "b", FENCE_ANNOTATION: "x/y=99"});
    let set =
        |object: &Value, percent, fence| traffic.change(object, routed, weight(percent), fence);

    let change = set(&object, 20, 7).expect("it can be");
    change.apply(&mut object);
    let annotations =
        json!({"a": "b", FENCE_ANNOTATION: "x/y=99,bookinfo/reviews-rollout=7@http.0"});
    assert_eq!(object["metadata"]["annotations"], annotations);
    assert_eq!(traffic.fence(&object), Ok(Some(7)));

    let refused = RouteError::Fenced {
        owner: owner(),
        found: 7,
        ours: 6,
    };
    assert_eq!(set(&object, 30, 6), Err(refused.clone()));
    // Even where there is nothing to do: whoever is told so stands down.
    assert_eq!(set(&object, 20, 6), Err(refused));
    assert!(set(&object, 20, 7).expect("it can be").is_nothing());
    // A new lease leaves its number even where the weights are right.
    let change = set(&object, 20, 8).expect("it can be");
    assert!(change.edits.is_empty() && change.annotation.is_some());
}

/// Two rollouts of one VirtualService that has two routes.
fn rivals() -> (Traffic, Traffic, Value) {
    let on = |name: &str, route: &str| {
        let mut traffic = with(
            subsets(),
            Choice {
                http: vec![route.to_owned()],
                ..Choice::default()
            },
        );
        name.clone_into(&mut traffic.owner.namespace);
        traffic
    };
    let object = virtual_service(&json!([
        {"name": "a, b", "route": destinations(100, 0)},
        {"name": "c", "route": destinations(100, 0)},
    ]));
    (on("one", "a, b"), on("two", "a, b"), object)
}

fn moved(traffic: &Traffic, object: &Value, percent: u8, fence: u64) -> Result<Value, RouteError> {
    let routed = &traffic.virtual_services[0];
    let change = traffic.change(object, routed, weight(percent), fence)?;
    let mut edited = object.clone();
    change.apply(&mut edited);
    Ok(edited)
}

/// Whoever lost its routes to another has nothing left to send back, so that an abort comes to its end.
#[test]
fn what_was_taken_by_another_is_not_sent_back() {
    let (one, mut two, object) = rivals();
    two.takes_routes = true;
    let object = moved(&one, &object, 20, 7).expect("it is free");
    let taken = moved(&two, &object, 10, 9).expect("it is taken");
    let routed = &one.virtual_services[0];
    for (name, change) in [
        ("abort", one.finish(&taken, routed, 7)),
        ("unsaved", one.take_back(&taken, routed, 7)),
    ] {
        assert!(change.expect("nothing to do").is_nothing(), "{name}");
    }
    assert!(
        moved(&one, &taken, 20, 7).is_err(),
        "no more traffic for it"
    );
    // A newer stepper of its own is another matter.
    assert!(one.finish(&taken, routed, 6).is_err());
}

#[test]
fn two_rollouts_never_move_one_route() {
    let (one, two, object) = rivals();
    let object = moved(&one, &object, 20, 7).expect("it is free");
    let refused = RouteError::Occupied {
        other: "one/reviews-rollout".to_owned(),
        number: 7,
        route: "http.a%2c%20b".to_owned(),
    };
    assert_eq!(moved(&two, &object, 10, 9), Err(refused.clone()));
    let routed = &two.virtual_services[0];
    assert_eq!(two.observe(&object, routed), Err(refused.clone()));
    assert_eq!(two.finish(&object, routed, 9), Err(refused));
    // Another route of the same object is nobody's.
    let mut beside = two.clone();
    beside.virtual_services[0].choice.http = vec!["c".to_owned()];
    let object = moved(&beside, &object, 30, 9).expect("it is another route");
    assert_eq!(weights(&object, "http"), json!([[80, 20], [70, 30]]));
    assert_eq!(one.fence(&object), Ok(Some(7)));
    let again = one.change(&object, &one.virtual_services[0], weight(20), 7);
    assert!(again.expect("it is its own").is_nothing());
}

#[test]
fn a_route_is_free_once_its_rollout_has_ended() {
    let (one, two, object) = rivals();
    let mut object = moved(&one, &object, 20, 7).expect("it is free");
    let change = one.finish(&object, &one.virtual_services[0], 7);
    change.expect("it is its own").apply(&mut object);
    assert_eq!(weights(&object, "http")[0], json!([100, 0]));
    let object = moved(&two, &object, 10, 9).expect("it is free again");
    // Late steppers of the one that has ended are kept away as before; and so is its next one, until the other has ended.
    let late = moved(&one, &object, 20, 6).expect_err("it is too old");
    assert!(
        matches!(late, RouteError::Fenced { found: 7, .. }),
        "{late}"
    );
    let next = moved(&one, &object, 20, 8).expect_err("it is another's");
    assert!(
        matches!(next, RouteError::Occupied { number: 9, .. }),
        "{next}"
    );
}

#[test]
fn a_route_can_be_taken_from_a_rollout_that_is_gone() {
    let (one, mut two, object) = rivals();
    let object = moved(&one, &object, 20, 7).expect("it is free");
    two.takes_routes = true;
    assert_eq!(
        two.observe(&object, &two.virtual_services[0]),
        Ok(Some(weight(20)))
    );
    let object = moved(&two, &object, 10, 9).expect("it is taken");
    // Whoever was thought gone finds itself refused.
    let refused = moved(&one, &object, 20, 7).expect_err("it is another's");
    assert!(matches!(refused, RouteError::Occupied { .. }), "{refused}");
    // Whoever follows needs no flag.
    two.takes_routes = false;
    moved(&two, &object, 30, 10).expect("it is its own");
}
