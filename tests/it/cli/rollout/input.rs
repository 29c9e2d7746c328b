//! What is wrong with what was given is said before any traffic is moved, with the way out.

use super::{House, rollout};
use crate::cli::process::{Ended, finish, prepared};

fn check(house: &House, args: &[&str], expected: &[&str]) {
    let before = house.read("routes.yaml");
    let ended: Ended = finish(house.command(args), "");
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{args:?}: {ended:?}"
    );
    for text in expected {
        assert!(ended.stderr.contains(text), "{text} in {}", ended.stderr);
    }
    assert_eq!(house.read("routes.yaml"), before, "{args:?}");
}

const RUN: [&str; 5] = ["run", "-f", "rollout.yaml", "--router", "file:routes.yaml"];

#[test]
fn a_template_that_is_not_there_is_told_at_once() {
    let house = House::with_canary(
        "steps: [{setWeight: 10}, {pause: {}}]
      analysis: {startingStep: 1, templates: [{templateName: apdx}], args: [{name: service-name, value: x}]}",
    );
    let run = [&RUN[..], &["--revision", "v2"]].concat();
    let path = "spec.strategy.canary.analysis.templates[0]";
    check(
        &house,
        &run,
        &[
            path,
            "the service has no AnalysisTemplate `apdx` in the namespace `bookinfo`",
            "hint: give its file as well, with -f, or apply it with `skygate templates apply`",
        ],
    );
    let template = std::fs::read_to_string("api/examples/apdex.yaml").expect("an example");
    house.write("apdex.yaml", &template);
    let with_file = [&run[..], &["-f", "apdex.yaml"]].concat();
    check(&house, &with_file, &["hint: did you mean `apdex`?"]);
    assert_eq!(house.done(&["get"]).code, Some(2), "nothing was begun");
}

#[test]
fn an_argument_that_nobody_gives_is_told_at_once() {
    let house = House::with_canary(
        "steps: [{setWeight: 10}, {pause: {}}]
      analysis: {startingStep: 1, templates: [{templateName: apdex}], args: [{name: service, value: x}]}",
    );
    let template = std::fs::read_to_string("api/examples/apdex.yaml").expect("an example");
    house.write("apdex.yaml", &template);
    let args = [&RUN[..], &["-f", "apdex.yaml", "--revision", "v2"]].concat();
    check(
        &house,
        &args,
        &["spec.strategy.canary.analysis: ", "service-name"],
    );
}

#[test]
fn an_analysis_that_is_a_step_has_to_end() {
    let house = House::with_steps(
        "{setWeight: 10}, {analysis: {templates: [{templateName: apdex}], args: [{name: service-name, value: x}]}}",
    );
    let template = std::fs::read_to_string("api/examples/apdex.yaml").expect("an example");
    house.write("apdex.yaml", &template);
    let args = [&RUN[..], &["-f", "apdex.yaml", "--revision", "v2"]].concat();
    check(
        &house,
        &args,
        &[
            "metric `apdex` has no count",
            "hint: give the metric a `count`",
        ],
    );
}

#[test]
fn what_is_wrong_is_said_with_the_way_out() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let run = |more: &[&'static str]| [&RUN[..], more].concat();
    let check = |args: &[&str], expected: &[&str]| check(&house, args, expected);
    check(
        &run(&[]),
        &[
            "nothing is being rolled out, and no version was named to begin with",
            "hint: --revision NAME or --image IMAGE says what to roll out",
        ],
    );
    check(
        &run(&["--image", "registry:5000/reviews"]),
        &[
            "the image `registry:5000/reviews` has no tag",
            "hint: --revision names the version",
        ],
    );
    check(
        &run(&["--initial"]),
        &["--initial needs a --revision or an --image"],
    );
    check(
        &run(&["--initial", "--stable", "v1", "--revision", "v1"]),
        &["cannot be used with"],
    );
    check(
        &run(&["--revision", "v2", "--abort-when-blind", "0s"]),
        &["a duration above zero was expected"],
    );
    check(
        &[
            "run",
            "-f",
            "rollout.yaml",
            "--revision",
            "v2",
            "--router",
            "nginx",
        ],
        &["istio, file:PATH or webhook:URL was expected"],
    );
    check(
        &[
            "run",
            "-f",
            "rollout.yaml",
            "--revision",
            "v2",
            "--router",
            "file:nowhere.yaml",
        ],
        &["nowhere.yaml"],
    );
    check(
        &["run", "-f", "routes.yaml", "--revision", "v2"],
        &["no Rollout in `routes.yaml`"],
    );
    check(
        &run(&["-f", "rollout.yaml", "--revision", "v2"]),
        &["; one is stepped at a time"],
    );
    check(&["run", "--revision", "v2"], &["--file <FILE>"]);
    check(&["get", "reviews"], &["no rollout `default/reviews`"]);
    check(
        &["abort", "reviews", "-n", "bookinfo"],
        &["no rollout `bookinfo/reviews`"],
    );
    house.write(
        "other.yaml",
        &rollout("steps: [{setWeigth: 10}, {setCanaryScale: {}}]"),
    );
    check(
        &[
            "run",
            "-f",
            "other.yaml",
            "--revision",
            "v2",
            "--router",
            "file:routes.yaml",
        ],
        &["steps[0]", "steps[1]", "needs a controller"],
    );
}

#[test]
fn a_router_has_to_be_named_or_written() {
    let house = House::with_steps("{setWeight: 10}");
    house.write(
        "plain.yaml",
        "{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: plain}, spec: {strategy: {canary: {steps: [{setWeight: 10}]}}}}",
    );
    check(
        &house,
        &["run", "-f", "plain.yaml", "--revision", "v2"],
        &[
            "nothing says how the traffic is moved: the rollout has no trafficRouting.istio",
            "hint: --router webhook:URL posts the weights to a URL",
        ],
    );
}

#[test]
fn a_service_that_is_away_is_no_fault_of_the_input() {
    let house = House::with_steps("{setWeight: 10}");
    let mut command = house.run(&["--revision", "v2", "--server-patience", "1s"]);
    command.env("SKYGATE_SERVER", "http://127.0.0.1:9");
    let ended = finish(command, "");
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended.stderr.contains("no answer from `http://127.0.0.1:9"),
        "{ended:?}"
    );
}

#[test]
fn variables_stand_in_for_flags() {
    let house = House::with_steps("{setWeight: 50}");
    let mut command = prepared(house.command(&["run"]));
    command
        .current_dir(house.path())
        .env("SKYGATE_SERVER", &house.url)
        .env("SKYGATE_FILE", "rollout.yaml")
        .env("SKYGATE_ROUTER", "file:routes.yaml")
        .env("SKYGATE_REVISION", "v2")
        .env("SKYGATE_ON_PROMOTE", "true");
    let ended = finish(command, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(house.kept()["outcome"], "Promoted");
}

/// It would outgrow what the service takes in the middle of its way, where nothing helps any more.
#[test]
fn a_rollout_that_leaves_no_room_for_its_history_is_refused() {
    let house = House::with_steps("{setWeight: 10}, {pause: {duration: 1s}}, {setWeight: 20}");
    let annotated = |length: usize| {
        let annotation = format!("annotations: {{a: \"{}\"}}, namespace", "x".repeat(length));
        let text = rollout("steps: [{setWeight: 10}, {pause: {duration: 1s}}, {setWeight: 20}]");
        house.write("rollout.yaml", &text.replacen("namespace", &annotation, 1));
    };
    annotated(600_000);
    let run = [&RUN[..], &["--revision", "v2", "--on-promote", "true"]].concat();
    let ended: Ended = finish(house.command(&run), "");
    let said = ended.stderr.split("the Rollout has ").nth(1);
    let size = said.and_then(|it| it.split(' ').next()?.parse::<usize>().ok());
    let size = size.unwrap_or_else(|| panic!("{ended:?}"));
    let longest = 600_000 - (size - skygate::domain::rollout::LONGEST_DOCUMENT);
    annotated(longest + 1);
    check(
        &house,
        &run,
        &[
            "error: the Rollout has 524289 bytes as JSON; up to 524288 are kept",
            "hint: leave out",
        ],
    );
    annotated(longest);
    let ended = finish(house.command(&run), "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(house.weights(), (100, 0));
    assert_eq!(house.kept()["outcome"], "Promoted");
}
