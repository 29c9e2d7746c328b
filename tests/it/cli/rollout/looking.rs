//! What people are told who look at a rollout or want something of it.

use super::House;
use crate::cli::process::{Follow, Running, command, finish};

/// Longer than it takes to see that somebody edited the routes.
const SEEN_WITHIN: std::time::Duration = std::time::Duration::from_secs(25);

#[test]
fn an_unknown_rollout_is_told_with_those_there_are() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let check = |args: &[&str], what: &str, hint: &str| {
        let ended = finish(house.command(args), "");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let expected = format!("there is no rollout `{what}` at {}", house.url);
        assert!(ended.stderr.contains(&expected), "{ended:?}");
        assert!(ended.stderr.contains(hint), "{hint}: {ended:?}");
        assert!(!ended.stderr.contains("/api/v1"), "{ended:?}");
    };
    let begins = "hint: it has none: `skygate rollout run -f …` begins one";
    check(
        &["get", "reviews", "-n", "bookinfo"],
        "bookinfo/reviews",
        begins,
    );
    let ended = finish(house.run(&["--revision", "v2", "--timeout", "1s"]), "");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    for verb in ["get", "promote", "abort", "pause"] {
        check(
            &[verb, "reviws", "-n", "bookinfo"],
            "bookinfo/reviws",
            "hint: did you mean `reviews`?",
        );
        check(
            &[verb, "reviews"],
            "default/reviews",
            "hint: there is one in another namespace: -n bookinfo",
        );
        check(&[verb, "x"], "default/x", "hint: it has `bookinfo/reviews`");
    }
}

#[test]
fn what_is_refused_says_of_what_and_by_whom() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let ended = finish(house.run(&["--revision", "v2", "--timeout", "1s"]), "");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let refused = house.done(&["resume"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let expected = format!(
        "error: rollout `bookinfo/reviews`: revision 1 is not paused by hand: promote ends a pause step (said by {})\n\nhint: `skygate rollout get reviews -n bookinfo` shows where it is\n",
        house.url
    );
    assert_eq!(refused.stderr, expected);
}

#[test]
fn whether_anybody_steps_it_is_told_and_what_waits() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}, {setWeight: 20}, {pause: {}}");
    let run = Running::start(house.run(&["--revision", "v2"]), Follow::Stderr);
    run.line_with("weight 10: Paused");
    let shown = house.done(&["get"]).stdout;
    let stepper = shown.lines().find(|line| line.starts_with("Stepper:"));
    let stepper = stepper.unwrap_or_else(|| panic!("{shown}"));
    assert!(
        stepper.contains(", seen ") && stepper.ends_with("s ago"),
        "{stepper}"
    );
    assert!(house.kept()["lease"]["seenAt"].is_string());
    run.signal("INT");
    assert_eq!(run.end().0, Some(130));

    let posted = house.done(&["promote"]);
    assert!(
        posted.stderr.contains("so nothing happens yet"),
        "{posted:?}"
    );
    let shown = house.done(&["get"]).stdout;
    assert!(shown.contains("Status:          ॥ Paused\n"), "{shown}");
    assert!(
        shown.contains("Stepper:         none, nothing moves: run `skygate rollout run -f …`\n"),
        "{shown}"
    );
    assert!(
        shown.contains("Waiting:         promote (posted "),
        "{shown}"
    );
    let kept = house.kept();
    assert_eq!(
        (&kept["waiting"], &kept["stepper"]),
        (&1.into(), &serde_json::Value::Null)
    );
    let run = Running::start(house.run(&[]), Follow::Stderr);
    run.line_with("weight 20: Paused");
    assert!(!house.done(&["get"]).stdout.contains("Waiting:"));
}

#[test]
fn weights_edited_by_hand_come_back_in_the_pause() {
    let house = House::with_steps("{setWeight: 20}, {pause: {}}");
    let run = Running::start(house.run(&["--revision", "v2"]), Follow::Stderr);
    run.line_with("weight 20: Paused");
    let edited = house
        .read("routes.yaml")
        .replace("weight: 20", "weight: 35");
    house.write("routes.yaml", &edited.replace("weight: 80", "weight: 65"));
    assert_eq!(house.weights(), (65, 35));
    run.line_within(SEEN_WITHIN, "(traffic was at 35 and is set to 20 again)");
    run.line_with("weight 20: Paused");
    assert_eq!(house.weights(), (80, 20));

    // A route that lost its canary cannot be set, which is said until somebody has mended it.
    let whole = house.read("routes.yaml");
    house.write(
        "routes.yaml",
        &whole.replace("subset: canary", "subset: beta"),
    );
    run.line_within(SEEN_WITHIN, "the weight cannot be set");
    let shown = house.done(&["get"]).stdout;
    assert!(
        shown.contains("Trouble:") && shown.contains("subset 'canary' not found"),
        "{shown}"
    );
    house.write("routes.yaml", &whole.replace("weight: 20", "weight: 1"));
    run.line_within(SEEN_WITHIN, "the weight is set again");
    assert_eq!(house.weights(), (80, 20));
}

#[test]
fn a_route_has_one_rollout_at_a_time() {
    let house = House::with_steps("{setWeight: 20}, {pause: {}}");
    let other = house
        .read("rollout.yaml")
        .replace("{name: reviews, namespace", "{name: second, namespace");
    house.write("second.yaml", &other);
    let second = |more: &[&str]| {
        let args = [
            "run",
            "-f",
            "second.yaml",
            "--router",
            "file:routes.yaml",
            "--revision",
            "x",
        ];
        let args = [&args, more].concat();
        finish(
            house.command(&[&args[..], &["--timeout", "1s"]].concat()),
            "",
        )
    };
    let held = finish(house.run(&["--revision", "v2", "--timeout", "1s"]), "");
    assert_eq!(held.code, Some(5), "{held:?}");
    let refused = second(&[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("the rollout `bookinfo/reviews` moves the route `http.0` already")
            && refused.stderr.contains("--take-route"),
        "{refused:?}"
    );
    assert_eq!(house.weights(), (80, 20));

    // Once the first has ended, the route is free.
    assert_eq!(house.done(&["abort"]).code, Some(0));
    assert_eq!(finish(house.run(&[]), "").code, Some(1));
    assert_eq!(second(&[]).code, Some(5));
    assert_eq!(house.weights(), (80, 20));
    // And it is the second one's now, unless it is taken from it.
    assert_eq!(house.done(&["retry"]).code, Some(0));
    let refused = finish(house.run(&["--timeout", "1s"]), "");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let taken = finish(house.run(&["--timeout", "1s", "--take-route"]), "");
    assert_eq!(taken.code, Some(5), "{taken:?}");
    assert_eq!(second(&[]).code, Some(2));
}

#[test]
fn an_absent_service_is_told_of_at_the_first_try() {
    let args = [
        "rollout",
        "get",
        "reviews",
        "--server",
        "http://127.0.0.1:1",
    ];
    let patient = ["--server-patience", "30s"];
    let waiting = Running::start(command(&[&args[..], &patient].concat()), Follow::Stderr);
    let line = waiting.line_with("127.0.0.1:1");
    assert!(
        line.starts_with("no answer from") && line.ends_with("; it is asked again"),
        "{line}"
    );
    let hasty = finish(
        command(&[&args[..], &["--server-patience", "500ms"]].concat()),
        "",
    );
    assert_eq!(
        hasty.stderr.matches("it is asked again").count(),
        1,
        "{hasty:?}"
    );
    assert_eq!(hasty.code, Some(4), "{hasty:?}");
}
