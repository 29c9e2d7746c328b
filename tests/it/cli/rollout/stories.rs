//! What becomes of a rollout, and of whoever steps it.

use std::time::Duration;

use super::House;
use crate::cli::process::{Follow, Running, finish};

/// Longer than a lease.
const A_LEASE: Duration = Duration::from_secs(45);

#[test]
fn a_version_is_promoted_by_its_hook() {
    let house = House::with_steps("{setWeight: 10}, {pause: {duration: 1s}}, {setWeight: 50}");
    let hook = "echo \"$SKYGATE_ROLLOUT_REVISION $SKYGATE_ROLLOUT_IMAGE\" > stable; echo done";
    let ended = finish(
        house.run(&["--image", "registry:5000/reviews:v2", "--on-promote", hook]),
        "",
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("✔ Healthy"), "{ended:?}");
    assert!(ended.stdout.contains("Step:          3/3"), "{ended:?}");
    assert!(
        ended.stderr.contains("weight 10: Paused, CanaryPauseStep"),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("(on-promote hook: done)"),
        "{ended:?}"
    );
    assert_eq!(house.read("stable"), "v2 registry:5000/reviews:v2\n");
    assert_eq!(house.weights(), (100, 0));
    let kept = house.kept();
    assert_eq!(kept["outcome"], "Promoted");
    assert_eq!(kept["rollout"]["hookOutput"], "done");
    let shown = house.done(&["get"]);
    assert_eq!(shown.code, Some(0));
    assert!(
        shown.stdout.contains("registry:5000/reviews:v2 (stable)"),
        "{shown:?}"
    );
    // Once more there is nothing to do, and that is said with the same code.
    let again = finish(house.run(&[]), "");
    assert_eq!(again.code, Some(0), "{again:?}");
}

#[test]
fn without_a_hook_somebody_says_that_it_is_stable() {
    let house = House::with_steps("{setWeight: 50}");
    let ended = finish(house.run(&["--revision", "v2"]), "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("make `v2` the stable version, then say so with `rollout promote`"),
        "{ended:?}"
    );
    assert_eq!(house.weights(), (0, 100));
    let refused = finish(house.run(&["--revision", "v3"]), "");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("`v3` cannot be rolled out now: revision 1 has all traffic as the canary"),
        "{refused:?}"
    );
    let said = house.done(&["promote"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), "posted to bookinfo/reviews: confirm (number 1)\n"),
        "{said:?}"
    );
    assert!(said.stderr.contains("nobody steps it now"), "{said:?}");
    let ended = finish(house.run(&[]), "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(house.weights(), (100, 0));
    let next = finish(house.run(&["--revision", "v3"]), "");
    assert_eq!(next.code, Some(0), "{next:?}");
    assert_eq!(house.kept()["revision"], 2);
}

#[test]
fn people_steer_it_from_elsewhere() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}, {setWeight: 20}, {pause: {}}");
    let run = Running::start(house.run(&["--revision", "v2"]), Follow::Stderr);
    run.line_with("weight 10: Paused, CanaryPauseStep");
    let said = house.done(&["promote"]);
    assert!(said.stdout.ends_with("promote (number 1)\n"), "{said:?}");
    assert!(
        said.stderr.contains("steps it and takes this in"),
        "{said:?}"
    );
    run.line_with("weight 20: Paused, CanaryPauseStep");
    assert_eq!(house.done(&["pause"]).code, Some(0));
    run.line_with("manually paused (pause)");
    let twice = house.done(&["pause"]);
    assert_eq!(twice.code, Some(2), "{twice:?}");
    assert!(
        twice.stderr.contains("is paused by hand already"),
        "{twice:?}"
    );
    assert_eq!(house.done(&["resume"]).code, Some(0));
    run.line_with("CanaryPauseStep (resume)");
    assert_eq!(house.done(&["abort"]).code, Some(0));
    run.line_with("weight 0: Degraded");
    let (code, stdout) = run.end();
    assert_eq!(code, Some(1), "{stdout}");
    assert!(
        stdout.contains("RolloutAborted: Rollout aborted update to revision 1"),
        "{stdout}"
    );
    assert_eq!(house.weights(), (100, 0));

    // Begun anew after that, and then straight to its end.
    assert_eq!(house.done(&["retry"]).code, Some(0));
    let run = Running::start(house.run(&["--on-promote", "true"]), Follow::Stderr);
    run.line_with("weight 10: Paused, CanaryPauseStep");
    assert_eq!(house.done(&["promote", "--full"]).code, Some(0));
    assert_eq!(run.end().0, Some(0));
    assert_eq!(house.kept()["outcome"], "Promoted");
}

#[test]
fn killed_it_is_taken_over_by_another_process() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}, {setWeight: 20}, {pause: {}}");
    let mut first = Running::start(house.run(&["--revision", "v2"]), Follow::Stderr);
    first.line_with("weight 10: Paused, CanaryPauseStep");
    assert_eq!(house.done(&["promote"]).code, Some(0));
    first.line_with("weight 20: Paused, CanaryPauseStep");
    first.kill();
    // Somebody edits what the dead one left.
    let routes = house
        .read("routes.yaml")
        .replace("weight: 20", "weight: 35");
    house.write("routes.yaml", &routes.replace("weight: 80", "weight: 65"));
    assert_eq!(house.weights(), (65, 35));

    let second = Running::start(house.run(&["--on-promote", "true"]), Follow::Stderr);
    second.line_with("has the lease until");
    second.line_within(A_LEASE, "step 3/4, weight 20: Paused, CanaryPauseStep");
    assert_eq!(house.done(&["promote"]).code, Some(0));
    assert_eq!(second.end().0, Some(0));
    assert_eq!(house.weights(), (100, 0));
    let kept = house.kept();
    let history = kept["history"].as_array().expect("a list");
    let steps: Vec<u64> = history
        .iter()
        .filter_map(|it| it["step"].as_u64())
        .collect();
    assert!(steps.is_sorted(), "{steps:?}");
    let mut weights: Vec<u64> = history
        .iter()
        .filter_map(|it| it["weight"].as_u64())
        .collect();
    weights.dedup();
    assert_eq!(weights, [0, 10, 20, 100, 0]);
}

#[test]
fn interrupted_it_holds_or_aborts() {
    for (how, code, weights) in [("hold", 130, (90, 10)), ("abort", 1, (100, 0))] {
        let house = House::with_steps("{setWeight: 10}, {pause: {}}");
        let run = house.run(&["--revision", "v2", "--on-interrupt", how]);
        let run = Running::start(run, Follow::Stderr);
        run.line_with("weight 10: Paused");
        run.signal("TERM");
        let (ended, stdout) = run.end();
        assert_eq!(ended, Some(code), "{how}: {stdout}");
        assert_eq!(house.weights(), weights, "{how}");
        // The lease was given back: whoever goes on need not wait.
        assert_eq!(house.kept()["stepper"], serde_json::Value::Null, "{how}");
    }
}

/// A service that takes connections and answers nothing is as good as away, and must not eat up the time that an abort has.
#[test]
fn interrupted_beside_a_service_that_hangs_it_aborts() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let run = house.run(&["--revision", "v2", "--on-interrupt", "abort"]);
    let run = Running::start(run, Follow::Stderr);
    run.line_with("weight 10: Paused");
    house.service.signal("STOP");
    run.signal("TERM");
    let (ended, stdout) = run.end();
    house.service.signal("CONT");
    assert_eq!(ended, Some(1), "{stdout}");
    assert_eq!(house.weights(), (100, 0));
}

/// Whoever interrupts again waits for nothing.
#[test]
fn interrupted_twice_beside_a_service_that_hangs_it_ends() {
    for (how, code) in [("hold", 130), ("abort", 4)] {
        let house = House::with_steps("{setWeight: 10}, {pause: {}}");
        let run = house.run(&["--revision", "v2", "--on-interrupt", how, "--timeout", "3s"]);
        let run = Running::start(run, Follow::Stderr);
        run.line_with("weight 10: Paused");
        house.service.signal("STOP");
        // With the end of its time that makes four.
        for _ in 0..3 {
            run.signal("INT");
        }
        let (ended, stdout) = run.end();
        house.service.signal("CONT");
        assert_eq!(ended, Some(code), "{how}: {stdout}");
    }
    // What was done by then counts: traffic is back, and only the service does not hear of it.
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let run = house.run(&["--revision", "v2", "--on-interrupt", "abort"]);
    let run = Running::start(run, Follow::Stderr);
    run.line_with("weight 10: Paused");
    house.service.signal("STOP");
    run.signal("INT");
    run.line_within(A_LEASE, "weight 0: Degraded");
    run.signal("INT");
    let (ended, stdout) = run.end();
    house.service.signal("CONT");
    assert_eq!(ended, Some(1), "{stdout}");
    assert_eq!(house.weights(), (100, 0));
}

/// Weights in a file that is no longer looked at would stay for good.
#[test]
fn other_routes_than_before_are_asked_about() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let untouched = house.read("routes.yaml");
    let ended = finish(house.run(&["--revision", "v2", "--timeout", "1s"]), "");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let marked = house.read("routes.yaml");

    // The same file, put back as it was: the weight is set again, and its mark.
    house.write("routes.yaml", &untouched);
    let ended = finish(house.run(&["--timeout", "1s"]), "");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(house.weights(), (90, 10));
    // A copy that carries the mark is the same routes in another place, a clone of their repository, say.
    house.write("clone.yaml", &marked);
    let by = |router: &str| {
        let args = [
            "run",
            "-f",
            "rollout.yaml",
            "--timeout",
            "1s",
            "--router",
            router,
        ];
        finish(house.command(&args), "")
    };
    assert_eq!(by("file:clone.yaml").code, Some(5));

    house.write("moved.yaml", &untouched);
    for other in ["file:moved.yaml", "webhook:http://127.0.0.1:1/weights"] {
        let ended = by(other);
        assert_eq!(ended.code, Some(2), "{other}: {ended:?}");
        assert!(
            ended
                .stderr
                .contains("the canary has 10 % of the traffic by `--router file:/")
                && ended.stderr.contains("--take-route goes on with this one"),
            "{other}: {ended:?}"
        );
    }
    assert_eq!(house.read("moved.yaml"), untouched);
    let insisting = [
        "run",
        "-f",
        "rollout.yaml",
        "--timeout",
        "1s",
        "--take-route",
    ];
    let insisting = [&insisting[..], &["--router", "file:moved.yaml"]].concat();
    let ended = finish(house.command(&insisting), "");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(house.read("moved.yaml").contains("weight: 10"));
}

#[test]
fn at_its_timeout_it_is_5_and_goes_on_later() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let ended = finish(house.run(&["--revision", "v2", "--timeout", "1s"]), "");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(
        ended.stderr.contains("the same command goes on from here"),
        "{ended:?}"
    );
    assert_eq!(house.done(&["promote"]).code, Some(0));
    let ended = finish(house.run(&["--on-promote", "true", "-q", "-o", "yaml"]), "");
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("\noutcome: Promoted\n"), "{ended:?}");
}

#[test]
fn a_hook_that_fails_leaves_the_canary_with_all_traffic() {
    let house = House::with_steps("{setWeight: 50}");
    let args = [
        "--revision",
        "v2",
        "--on-promote-tries",
        "1",
        "--on-promote",
    ];
    let ended = finish(
        house.run(&[&args[..], &["echo no quota; exit 3"]].concat()),
        "",
    );
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stdout.contains("✖ Degraded"), "{ended:?}");
    assert!(
        ended.stderr.contains("the on-promote hook said:\nno quota"),
        "{ended:?}"
    );
    assert_eq!(house.weights(), (0, 100));
    assert_eq!(house.done(&["retry"]).code, Some(0));
    let ended = finish(house.run(&["--on-promote", "true"]), "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(house.weights(), (100, 0));
}

#[test]
fn a_version_goes_on_whether_its_image_is_told_again_or_not() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    for version in [
        ["--image", "here/reviews:v2"],
        ["--revision", "v2"],
        ["--image", "here/reviews:v2"],
    ] {
        let more = [&version[..], &["--timeout", "1s"]].concat();
        let ended = finish(house.run(&more), "");
        assert_eq!(ended.code, Some(5), "{version:?}: {ended:?}");
        let kept = house.kept();
        assert_eq!(kept["revision"], 1, "{version:?}");
        assert_eq!(kept["image"], "here/reviews:v2", "{version:?}");
    }
}

#[test]
fn the_first_version_ever_is_stable_at_once() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let ended = finish(house.run(&["--revision", "v1", "--initial"]), "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(house.kept()["outcome"], "Promoted");
    assert_eq!(house.weights(), (100, 0));
}

#[test]
fn it_is_watched_from_elsewhere() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let run = Running::start(house.run(&["--revision", "v2"]), Follow::Stderr);
    run.line_with("weight 10: Paused");
    let get = house.command(&["get", "reviews", "-n", "bookinfo", "--watch"]);
    let watch = Running::start(get, Follow::Stdout);
    watch.line_with("Status:          ॥ Paused");
    assert_eq!(house.done(&["abort"]).code, Some(0));
    watch.line_with("Status:          ✖ Degraded");
    watch.signal("INT");
    assert_eq!(watch.end().0, Some(130));
    assert_eq!(run.end().0, Some(1));
}

#[test]
fn a_service_that_lost_all_it_kept_gets_it_back() {
    let mut house = House::with_canary(
        "steps: [{setWeight: 10}, {pause: {}}, {setWeight: 20}, {pause: {}}]
      analysis: {startingStep: 2, templates: [{templateName: apdex}], args: [{name: service-name, value: x}]}",
    );
    let template = std::fs::read_to_string("api/examples/apdex.yaml").expect("an example");
    house.write("apdex.yaml", &template);
    let run = house.run(&["-f", "apdex.yaml", "--revision", "v2"]);
    let run = Running::start(run, Follow::Stderr);
    run.line_with("weight 10: Paused");
    house.forget();
    run.line_within(
        A_LEASE,
        "the service had lost this rollout, and has it back",
    );
    let said = house.done(&["promote"]);
    assert!(said.stdout.ends_with("promote (number 1)\n"), "{said:?}");
    run.line_with("weight 20: Paused");
    // Its template is there again too: the analysis is not refused.
    let phase = || house.kept()["rollout"]["background"]["phase"].clone();
    let begun = (0..100).map(|_| phase()).find(|phase| phase != "Pending");
    assert_eq!(begun, Some("Running".into()));
    assert_eq!(house.done(&["abort"]).code, Some(0));
    assert_eq!(run.end().0, Some(1));
    assert_eq!(house.weights(), (100, 0));
}
