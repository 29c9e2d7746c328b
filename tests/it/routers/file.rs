//! The file router: weights change, and not a byte else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skygate::domain::routes::{Choice, Routed};
use skygate::ports::{Observed, Remedy, RouterError, Shift, Shifted, TrafficRouter};
use skygate::routers::file::FileRouter;

use super::{Manifest, difference, named, seed, shift, subsets, traffic, weight};
use crate::harness::HandClock;

#[tokio::test]
async fn the_seeds_manifest_keeps_its_form() {
    let manifest = Manifest::seed();
    let before = manifest.text();
    assert_eq!(manifest.set(10, 7).await, Ok(Shifted::Written));
    assert_eq!(
        difference(&before, &manifest.text()),
        [
            "+      skygate.io/fence: \"bookinfo/reviews-rollout=7@http.0\"",
            "-        weight: 100",
            "+        weight: 90",
            "-        weight: 0",
            "+        weight: 10",
        ]
    );
    let observed = Observed {
        canary: Some(weight(10)),
        fence: Some(7),
        lacks_fence: false,
    };
    assert_eq!(manifest.router.observe().await, Ok(observed));
    assert_eq!(manifest.set(10, 7).await, Ok(Shifted::AsItWas));

    // And back again, by a later lease.
    assert_eq!(manifest.set(0, 8).await, Ok(Shifted::Written));
    assert_eq!(
        difference(&before, &manifest.text()),
        ["+      skygate.io/fence: \"bookinfo/reviews-rollout=8@http.0\""]
    );
    assert_eq!(manifest.names(), ["mesh.yaml"]);
}

#[tokio::test]
async fn what_was_taken_back_unsaved_is_given_back_by_nobody_who_does_not_know() {
    let manifest = Manifest::seed();
    manifest.set(20, 7).await.expect("it can be edited");
    let unsaved = Shift {
        is_unsaved: true,
        ..shift(0, 7)
    };
    assert_eq!(manifest.router.set(&unsaved).await, Ok(Shifted::Written));
    let mark = "skygate.io/fence: \"bookinfo/reviews-rollout=7/taken-back@http.0\"";
    assert!(manifest.text().contains(mark), "{}", manifest.text());
    let taken_back = manifest.text();
    for fence in [7, 8] {
        let refused = manifest.set(20, fence).await;
        assert!(
            matches!(refused, Err(RouterError::TakenBack(_))),
            "{refused:?}"
        );
        assert_eq!(manifest.text(), taken_back);
    }
    // Whoever takes it back as well knows, and may give it again.
    assert_eq!(manifest.set(0, 8).await, Ok(Shifted::Written));
    assert!(!manifest.text().contains("taken-back"));
    assert_eq!(manifest.set(10, 8).await, Ok(Shifted::Written));
}

/// Sets the canary of `before` to 20 under the lease 3 and expects `after`.
async fn check(before: &str, after: &str) {
    let manifest = Manifest::new(before, traffic(subsets()));
    let shifted = manifest.set(20, 3).await;
    assert_eq!(shifted, Ok(Shifted::Written), "{before}");
    assert_eq!(manifest.text(), after);
    assert_eq!(manifest.set(20, 3).await, Ok(Shifted::AsItWas), "{before}");
}

#[tokio::test]
async fn every_way_to_write_it_is_kept() {
    // Comments, quoting, order, an odd indentation, a trailing blank, no line end at the end.
    check(
        r#"# mesh of reviews
kind: VirtualService # the routes
apiVersion: "networking.istio.io/v1beta1"
metadata: {name: 'reviews', labels: {"istio.io/rev": tsb}}   
spec:
    # one route
    http:
        -   name: main
            route:
            # the old version
            -   weight: 100   # all of it
                destination: {host: reviews, subset: "stable"}

            - destination: # the new one
                  host: reviews
                  subset: canary
              weight:    0"#,
        r#"# mesh of reviews
kind: VirtualService # the routes
apiVersion: "networking.istio.io/v1beta1"
metadata: {name: 'reviews', labels: {"istio.io/rev": tsb}, annotations: {skygate.io/fence: "bookinfo/reviews-rollout=3@http.main"}}   
spec:
    # one route
    http:
        -   name: main
            route:
            # the old version
            -   weight: 80   # all of it
                destination: {host: reviews, subset: "stable"}

            - destination: # the new one
                  host: reviews
                  subset: canary
              weight:    20"#,
    )
    .await;

    // Weights that are missing, null or empty; annotations that are empty; others beside.
    check(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\n  annotations: # none yet\nspec:\n  http:\n  - route:\n    - destination:\n        host: reviews\n        subset: stable # old\n\n    # next\n    - destination: {host: reviews, subset: canary}\n      weight: ~\n    timeout: 5s\n",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\n  annotations: {skygate.io/fence: \"bookinfo/reviews-rollout=3@http.0\"} # none yet\nspec:\n  http:\n  - route:\n    - destination:\n        host: reviews\n        subset: stable # old\n      weight: 80\n\n    # next\n    - destination: {host: reviews, subset: canary}\n      weight: 20\n    timeout: 5s\n",
    )
    .await;
    check(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  annotations:\n    note: |\n      two\n      lines\n  name: reviews\nspec:\n  http:\n  - route:\n    - {destination: {host: reviews, subset: stable}}\n    - {destination: {host: reviews, subset: canary}, weight: }\n",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  annotations:\n    note: |\n      two\n      lines\n    skygate.io/fence: \"bookinfo/reviews-rollout=3@http.0\"\n  name: reviews\nspec:\n  http:\n  - route:\n    - {destination: {host: reviews, subset: stable}, weight: 80}\n    - {destination: {host: reviews, subset: canary}, weight: 20 }\n",
    )
    .await;

    // Windows' line ends, a byte order mark, several documents, another rollout's fence.
    check(
        "\u{feff}kind: Deployment\r\n---\r\napiVersion: networking.istio.io/v1\r\nkind: VirtualService\r\nmetadata:\r\n  name: reviews\r\n  annotations: {skygate.io/fence: 'a/b=9'}\r\nspec:\r\n  http:\r\n  - route:\r\n    - destination: {host: r, subset: stable}\r\n    - destination: {host: r, subset: canary}\r\n...\r\n# end\r\n",
        "\u{feff}kind: Deployment\r\n---\r\napiVersion: networking.istio.io/v1\r\nkind: VirtualService\r\nmetadata:\r\n  name: reviews\r\n  annotations: {skygate.io/fence: \"a/b=9,bookinfo/reviews-rollout=3@http.0\"}\r\nspec:\r\n  http:\r\n  - route:\r\n    - destination: {host: r, subset: stable}\r\n      weight: 80\r\n    - destination: {host: r, subset: canary}\r\n      weight: 20\r\n...\r\n# end\r\n",
    )
    .await;

    // A destination that is neither version's goes, with the comment on its lines; the comment above it stays.
    check(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\n  annotations:\n    skygate.io/fence: bookinfo/reviews-rollout=2@http.0\nspec:\n  http:\n  - route:\n    # an experiment - over\n    -\n      destination: {host: r, subset: v1} # gone\n      weight: 10\n    - destination: {host: r, subset: stable}\n      weight: 90\n    - destination: {host: r, subset: canary}\n    - destination: {host: r, subset: v9}\n      weight: 1\n      headers:\n        request: {}\n# end\n",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\n  annotations:\n    skygate.io/fence: \"bookinfo/reviews-rollout=3@http.0\"\nspec:\n  http:\n  - route:\n    # an experiment - over\n    - destination: {host: r, subset: stable}\n      weight: 80\n    - destination: {host: r, subset: canary}\n      weight: 20\n# end\n",
    )
    .await;
    check(
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: reviews, annotations: {}}, spec: {http: [{route: [{destination: {host: x}, weight: 1}, {destination: {host: r, subset: stable}, weight: 99}, {weight: 0, destination: {host: r, subset: canary}}, {destination: {host: y}, weight: 2},]}]}}\n",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: reviews, annotations: {skygate.io/fence: \"bookinfo/reviews-rollout=3@http.0\"}}, spec: {http: [{route: [{destination: {host: r, subset: stable}, weight: 80}, {weight: 20, destination: {host: r, subset: canary}},]}]}}\n",
    )
    .await;
}

#[tokio::test]
async fn json_stays_json() {
    check(
        "{\n\t\"apiVersion\": \"networking.istio.io/v1\", \"kind\": \"VirtualService\",\n\t\"metadata\": {\n\t\t\"name\": \"reviews\"\n\t},\n\t\"spec\": {\"http\": [{\"route\": [\n\t\t{\n\t\t\t\"destination\": {\"host\": \"r\", \"subset\": \"stable\"}\n\t\t},\n\t\t{\"destination\": {\"host\": \"r\", \"subset\": \"canary\"}, \"weight\": 0}\n\t]}]}\n}",
        "{\n\t\"apiVersion\": \"networking.istio.io/v1\", \"kind\": \"VirtualService\",\n\t\"metadata\": {\n\t\t\"name\": \"reviews\",\n\t\t\"annotations\": {\"skygate.io/fence\": \"bookinfo/reviews-rollout=3@http.0\"}\n\t},\n\t\"spec\": {\"http\": [{\"route\": [\n\t\t{\n\t\t\t\"destination\": {\"host\": \"r\", \"subset\": \"stable\"},\n\t\t\t\"weight\": 80\n\t\t},\n\t\t{\"destination\": {\"host\": \"r\", \"subset\": \"canary\"}, \"weight\": 20}\n\t]}]}\n}",
    )
    .await;
    check(
        r#"{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"reviews","annotations":{}},"spec":{"http":[{"route":[{"destination":{"host":"r","subset":"stable"},"weight":100},{"destination":{"host":"r","subset":"canary"},"weight":null}]}]}}"#,
        r#"{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"reviews","annotations":{"skygate.io/fence": "bookinfo/reviews-rollout=3@http.0"}},"spec":{"http":[{"route":[{"destination":{"host":"r","subset":"stable"},"weight":80},{"destination":{"host":"r","subset":"canary"},"weight":20}]}]}}"#,
    )
    .await;
}

const HEAD: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\n  annotations: {skygate.io/fence: \"bookinfo/reviews-rollout=3@http.0\"}\n";

#[tokio::test]
async fn anchors_are_edited_where_that_touches_nothing_else() {
    // A weight that is an alias; an anchor that nobody uses; routes that share their destinations, both edited alike.
    check(
        &format!(
            "{HEAD}x: &all 100\nspec:\n  http:\n  - route:\n    - destination: {{host: r, subset: stable}}\n      weight: *all\n    - destination: &d {{host: r, subset: canary}}\n      weight: &w 0\n    mirror: *d\n"
        ),
        &format!(
            "{HEAD}x: &all 100\nspec:\n  http:\n  - route:\n    - destination: {{host: r, subset: stable}}\n      weight: 80\n    - destination: &d {{host: r, subset: canary}}\n      weight: &w 20\n    mirror: *d\n"
        ),
    )
    .await;
    let head = HEAD.replace("@http.0", "@http.a+http.b");
    let shared = format!(
        "{head}spec:\n  http:\n  - route: &split\n    - destination: {{host: r, subset: stable}}\n      weight: 100\n    - destination: {{host: r, subset: canary}}\n      weight: 0\n    name: a\n  - route: *split\n    name: b\n"
    );
    let mut both = traffic(subsets());
    both.virtual_services[0].choice.http = vec!["a".to_owned(), "b".to_owned()];
    let manifest = Manifest::new(&shared, both.clone());
    assert_eq!(manifest.set(20, 3).await, Ok(Shifted::Written));
    assert_eq!(
        difference(&shared, &manifest.text()),
        [
            "-      weight: 100",
            "+      weight: 80",
            "-      weight: 0",
            "+      weight: 20"
        ]
    );
    // One of the two alone can't be edited in place.
    both.virtual_services[0].choice.http.pop();
    let manifest = Manifest::new(&shared, both);
    let refused = manifest.set(20, 3).await.expect_err("it is refused");
    assert!(refused.to_string().contains("anchors share"), "{refused}");
    assert_eq!(manifest.text(), shared);
}

#[tokio::test]
async fn what_can_not_be_edited_stays_as_it_is() {
    let route = "  http:\n  - route:\n    - destination: {host: r, subset: stable}\n      weight: 100\n    - destination: {host: r, subset: canary}\n      weight: 0\n";
    let check = async |text: String, remedy: Remedy, expected: &str| {
        let manifest = Manifest::new(&text, traffic(subsets()));
        let refused = manifest.set(20, 3).await.expect_err("it is refused");
        let path = manifest.path.display().to_string();
        let said = refused.to_string().replace(&path, "mesh.yaml");
        assert_eq!((said.as_str(), refused.remedy()), (expected, remedy));
        assert_eq!(manifest.text(), text);
        assert_eq!(manifest.names(), ["mesh.yaml"]);
    };
    let ask = Remedy::AskPerson;
    check(
        "a: {{ .Values.b }}\n---\n".to_owned(),
        ask,
        "there is no VirtualService `reviews` for the namespace `bookinfo` in `mesh.yaml`; one of the group networking.istio.io is looked for, by `metadata.name` and, where it is given, `metadata.namespace`",
    )
    .await;
    check(
        "a: [\n".to_owned(),
        ask,
        "`mesh.yaml` can't be read: unclosed bracket '[' at char 3 line 1 column 4",
    )
    .await;
    check(
        format!("{HEAD}spec:\n{route}---\n{HEAD}spec:\n{route}"),
        ask,
        "the VirtualService `bookinfo/reviews` is there more than once: `mesh.yaml`, line 1, `mesh.yaml`, line 14; which one traffic follows can't be told",
    )
    .await;
    check(
        format!("{}spec:\n{route}", HEAD.replace("name: reviews", "name: reviews\n  namespace: prod")),
        ask,
        "there is no VirtualService `reviews` for the namespace `bookinfo` in `mesh.yaml`; one of the group networking.istio.io is looked for, by `metadata.name` and, where it is given, `metadata.namespace`",
    )
    .await;
    check(
        format!("{HEAD}spec:\n{}", route.replace("subset: canary", "subset: v2")),
        ask,
        "`mesh.yaml`, line 1: Canary DestinationRule subset 'canary' not found in route; `spec.http[0]` goes to `stable`, `v2`",
    )
    .await;
    check(
        format!("{}spec:\n{route}", HEAD.replace("rollout=3", "rollout=4")),
        Remedy::StandDown,
        "`mesh.yaml`, line 1: a newer stepper of `bookinfo/reviews-rollout` was here: its lease has the number 4, ours 3; nothing was changed",
    )
    .await;
    check(
        format!("{}spec:\n{route}", HEAD.replace("bookinfo/reviews-rollout=3@http.0", "mine")),
        ask,
        "`mesh.yaml`, line 1: the annotation `skygate.io/fence` holds `mine`; `NAMESPACE/ROLLOUT=NUMBER` was expected. Remove it if no other stepper is at work",
    )
    .await;
    check(
        format!("{HEAD}spec:\n{route}spec: {{}}\n"),
        ask,
        "`mesh.yaml` gives `spec` twice, at line 13",
    )
    .await;
}

#[tokio::test]
async fn a_rule_without_the_subsets_is_found_before_traffic_moves() {
    let text = seed().replace("    - name: canary\n", "    - name: kanarie\n");
    let manifest = Manifest::new(&text, traffic(subsets()));
    let refused = manifest.router.observe().await.expect_err("it is refused");
    let said = refused.to_string();
    assert!(
        said.ends_with(
            "DestinationRule `reviews` has no subset `canary`; it has `stable`, `kanarie`"
        ),
        "{said}"
    );
    // Going back to stable is never refused for that.
    assert_eq!(manifest.set(0, 3).await, Ok(Shifted::Written));
}

#[tokio::test]
async fn several_objects_in_several_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["a.yaml", "b.yaml"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], seed()).expect("a file");
    std::fs::write(&paths[1], seed().replace("name: reviews", "name: gateway")).expect("a file");
    let mut traffic = traffic(subsets());
    traffic.virtual_services.push(Routed {
        name: named("gateway.bookinfo"),
        choice: Choice::default(),
    });
    let router = FileRouter::new(traffic, paths.to_vec(), HandClock::new());
    assert_eq!(router.set(&shift(30, 4)).await, Ok(Shifted::Written));
    for path in &paths {
        let text = std::fs::read_to_string(path).expect("a text");
        assert!(text.contains("weight: 70\n"), "{text}");
    }
    let both = router.observe().await.expect("it can be read");
    assert_eq!((both.canary, both.fence), (Some(weight(30)), Some(4)));

    // They disagree: nobody can tell the share. The higher fence counts.
    let text = std::fs::read_to_string(&paths[1]).expect("a text");
    let text = text.replace("weight: 70", "weight: 60").replace("=4", "=5");
    std::fs::write(&paths[1], text).expect("a file");
    let both = router.observe().await.expect("it can be read");
    assert_eq!((both.canary, both.fence), (None, Some(5)));
    let before = std::fs::read_to_string(&paths[0]).expect("a text");
    let refused = router.set(&shift(40, 4)).await.expect_err("it is refused");
    assert_eq!(refused.remedy(), Remedy::StandDown);
    let after = std::fs::read_to_string(&paths[0]).expect("a text");
    assert_eq!(before, after, "nothing is written where one object refuses");
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_permissions_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let manifest = Manifest::seed();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let real = elsewhere.path().join("real.yaml");
    std::fs::rename(&manifest.path, &real).expect("it can be moved");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
    symlink(&real, &manifest.path).expect("a link");
    assert_eq!(manifest.set(10, 1).await, Ok(Shifted::Written));
    assert!(manifest.path.is_symlink());
    let mode = std::fs::metadata(&real)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(manifest.text().contains("weight: 10"));
}

#[tokio::test]
async fn files_that_are_not_there() {
    let manifest = Manifest::seed();
    std::fs::remove_file(&manifest.path).expect("it is there");
    let missing = manifest.set(10, 1).await.expect_err("it is refused");
    assert!(matches!(missing, RouterError::NotFound(_)), "{missing}");
    std::fs::create_dir(&manifest.path).expect("a folder");
    let folder = manifest.set(10, 1).await.expect_err("it is refused");
    assert!(matches!(folder, RouterError::Invalid(_)), "{folder}");
    std::fs::remove_dir(&manifest.path).expect("it is empty");
    std::fs::write(&manifest.path, b"\xff").expect("a file");
    let binary = manifest.set(10, 1).await.expect_err("it is refused");
    assert!(binary.to_string().contains("no UTF-8"), "{binary}");
}

/// Whoever reads meanwhile sees one version or another, and never a part of one.
#[tokio::test(flavor = "multi_thread")]
async fn readers_never_see_half_a_file() {
    let manifest = Manifest::seed();
    assert_eq!(manifest.set(0, 1).await, Ok(Shifted::Written));
    let length = manifest.text().len();
    let (path, done) = (manifest.path.clone(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !done.load(Ordering::Relaxed) || read < 10 {
                let text = std::fs::read_to_string(&path).expect("it is always there");
                // `100` and `0` have as many digits as two numbers between them.
                assert_eq!(text.len(), length, "{text}");
                read += 1;
            }
        });
        let handle = tokio::runtime::Handle::current();
        let writes = async {
            for round in 0..60_u8 {
                let percent = 10 + round % 80;
                let set = manifest.set(percent, 1).await;
                assert_eq!(set, Ok(Shifted::Written));
            }
        };
        tokio::task::block_in_place(|| handle.block_on(writes));
        done.store(true, Ordering::Relaxed);
        reader.join().expect("no half was seen");
    });
}

/// Two steppers at once: whoever has the higher number wins, and the other is told so.
#[tokio::test(flavor = "multi_thread")]
async fn two_steppers_never_fight() {
    let manifest = Manifest::seed();
    let (mut shifts, mut told) = (tokio::task::JoinSet::new(), 0);
    for fence in [5, 6] {
        let router = manifest.router.clone();
        shifts.spawn(async move {
            let mut outcomes = Vec::new();
            for percent in 1..=25_u8 {
                // The older one heads for other weights, which must be gone in the end.
                let percent = if fence == 5 { 100 - percent } else { percent };
                outcomes.push(router.set(&shift(percent, fence)).await);
                tokio::task::yield_now().await;
            }
            (fence, outcomes)
        });
    }
    while let Some(finished) = shifts.join_next().await {
        let (fence, outcomes) = finished.expect("no panic");
        for outcome in outcomes {
            match outcome {
                Ok(_) | Err(RouterError::Conflict(_)) => {}
                Err(RouterError::Fenced { found, .. }) => {
                    assert_eq!((fence, found), (5, Some(6)));
                    told += 1;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    let observed = manifest.router.observe().await.expect("it can be read");
    assert_eq!(
        (observed.canary, observed.fence),
        (Some(weight(25)), Some(6))
    );
    let late = manifest.set(75, 5).await.expect_err("it is refused");
    assert_eq!(late.remedy(), Remedy::StandDown);
    assert!(told <= 25);
}

/// Not a test of its own: what [`a_writer_may_be_killed_at_any_moment`] runs in a process to kill.
#[tokio::test]
async fn writes_until_killed() {
    let Some(path) = std::env::var_os("SKYGATE_TEST_WRITES_UNTIL_KILLED") else {
        return;
    };
    let router = FileRouter::new(traffic(subsets()), vec![path.into()], HandClock::new());
    // Bounded, should nobody kill it.
    for round in 0..200_000_u32 {
        let percent = u8::try_from(round % 101).expect("small");
        router.set(&shift(percent, 1)).await.expect("it is written");
    }
}

#[tokio::test]
async fn a_writer_may_be_killed_at_any_moment() {
    let manifest = Manifest::seed();
    let original = manifest.text();
    for round in 0..6_u64 {
        let program = std::env::current_exe().expect("this program");
        let mut child = std::process::Command::new(program)
            .args(["--exact", "routers::file::writes_until_killed"])
            .env("SKYGATE_TEST_WRITES_UNTIL_KILLED", &manifest.path)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        let before = manifest.text();
        // It is at work once the file changes; then it dies somewhere else each time.
        for _ in 0..3_000 {
            if manifest.text() != before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_micros(700 * round)).await;
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let observed = manifest.router.observe().await.expect("it is whole");
        assert!(observed.canary.is_some(), "{}", manifest.text());
    }
    // The next one needs no clearing up by anybody, and leaves nothing of the dead behind.
    assert_eq!(manifest.set(0, 9).await, Ok(Shifted::Written));
    assert_eq!(manifest.names(), ["mesh.yaml"]);
    assert_eq!(
        difference(&original, &manifest.text()),
        ["+      skygate.io/fence: \"bookinfo/reviews-rollout=9@http.0\""]
    );
}
