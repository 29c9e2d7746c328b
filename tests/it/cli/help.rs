//! Every word of help, so that none changes by accident.

use super::process::{command, finish, skygate};

fn check(name: &str, args: &[&str]) {
    let ended = skygate(args);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{args:?}"
    );
    // Lines of nothing but blanks are clap's.
    let lines: Vec<&str> = ended.stdout.lines().map(str::trim_end).collect();
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../../data/snapshots"}, {
        insta::assert_snapshot!(name, lines.join("\n"));
    });
}

#[test]
fn of_all_commands() {
    check("help", &["--help"]);
    for command in [
        "serve",
        "run",
        "measure",
        "eval",
        "validate",
        "templates",
        "runs",
        "rollout",
        "canaries",
        "simulate-oap",
        "demo",
        "completions",
    ] {
        check(&format!("help_{command}"), &[command, "--help"]);
    }
}

#[test]
fn of_all_commands_about_a_service() {
    for command in [
        "templates apply",
        "templates list",
        "templates get",
        "templates delete",
        "runs list",
        "runs get",
        "runs watch",
        "runs terminate",
        "runs delete",
        "runs rerun",
        "rollout run",
        "rollout get",
        "rollout promote",
        "rollout abort",
        "rollout retry",
        "rollout pause",
        "rollout resume",
        "canaries list",
        "canaries get",
        "canaries delete",
    ] {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        check(&format!("help_{}", command.replace(' ', "_")), &args);
    }
}

#[test]
fn in_short() {
    check("help_run_short", &["run", "-h"]);
}

#[test]
fn shows_no_variables_value() {
    let mut command = command(&["run", "--help"]);
    command.env("SKYGATE_OAP", "http://jane:hunter2@oap");
    let ended = finish(command, "");
    assert!(ended.stdout.contains("SKYGATE_OAP") && !ended.stdout.contains("hunter2"));
}

#[test]
fn without_a_command_is_usage() {
    let ended = skygate(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("Usage: skygate"), "{ended:?}");
}
