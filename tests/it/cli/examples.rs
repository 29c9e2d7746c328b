//! What the examples and the README promise: every template runs, every command line works.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::APDEX;
use super::process::{Follow, Oap, Running, finish, prepared, skygate};

/// The arguments that each example wants.
const ARGUMENTS: [(&str, &[&str]); 5] = [
    ("apdex.yaml", &["service-name=checkout"]),
    (
        "canary-and-stable.yaml",
        &["canary=checkout", "stable=stable"],
    ),
    ("errors-and-traffic.yaml", &["service-name=checkout"]),
    ("nested.yaml", &["service-name=checkout"]),
    ("percentile.yaml", &["service-name=checkout"]),
];

/// The examples with the flags that name them and give their arguments.
fn examples() -> BTreeMap<String, Vec<String>> {
    let arguments = |name: &str| {
        let known = ARGUMENTS.iter().find(|(known, _)| *known == name);
        known
            .unwrap_or_else(|| panic!("no arguments are known for {name}"))
            .1
    };
    let folder = fs::read_dir("api/examples").expect("a folder");
    let entries = folder.map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|entry| entry.file_name())
        .map(|name| name.into_string().expect("a name in ASCII"))
        .map(|name| {
            let mut flags = vec!["-f".to_owned(), format!("api/examples/{name}")];
            for argument in arguments(&name) {
                flags.extend(["--arg".to_owned(), (*argument).to_owned()]);
            }
            (name, flags)
        })
        .collect()
}

fn check(command: &str, flags: &[String], more: &[&str], code: i32) {
    let mut args = vec![command];
    args.extend(flags.iter().map(String::as_str));
    args.extend(more);
    let ended = skygate(&args);
    assert_eq!(ended.code, Some(code), "{args:?}: {ended:#?}");
}

#[test]
fn every_example_is_valid_and_tells_good_from_bad() {
    let examples = examples();
    assert_eq!(examples.len(), ARGUMENTS.len());
    for flags in examples.values() {
        check("validate", flags, &[], 0);
        let simulation = [
            "--speed",
            "1200",
            "--conclude-after",
            "12m",
            "--quiet",
            "--simulate",
            "stable=healthy",
        ];
        check(
            "run",
            flags,
            &[simulation.as_slice(), &["checkout=healthy"]].concat(),
            0,
        );
        let simulation = ["--speed", "1200", "--quiet", "--simulate", "stable=healthy"];
        check(
            "run",
            flags,
            &[simulation.as_slice(), &["checkout=degraded"]].concat(),
            1,
        );
    }
}

#[test]
fn the_reference_template_and_rollout_are_unchanged() {
    let read = |path: &str| fs::read_to_string(path).expect("a file");
    assert_eq!(read(APDEX), read("tests/data/seed/analysis.yaml"));
    assert_eq!(
        read("api/examples/rollout/rollout.yaml"),
        read("tests/data/seed/rollout.yaml")
    );
}

/// Where the README says that an OAP is.
const README_OAP: &str = "http://localhost:12800";

#[test]
fn every_command_line_of_the_readme_works() {
    let readme = fs::read_to_string("README.md").expect("a file");
    let lines = command_lines(&readme);
    assert!(
        lines.iter().any(|line| line.starts_with("skygate run ")),
        "{lines:#?}"
    );
    let oap = Oap::start(&[
        "checkout=healthy",
        "canary|reviews|bookinfo|cp-cluster-1|-=healthy",
    ]);
    // What needs a service is tried with one, in `server`.
    let needs_service = |line: &String| {
        line.starts_with("skygate serve")
            || line.starts_with("skygate templates")
            || line.starts_with("skygate rollout")
            || line.contains("--server")
    };
    let alone = lines
        .iter()
        .filter(|line| line.starts_with("skygate ") && !needs_service(line));
    for line in alone {
        try_out(&line.replace(README_OAP, &oap.url));
    }
}

fn try_out(line: &str) {
    if line.starts_with("skygate simulate-oap") {
        // Its port may be taken on this machine.
        let line = line.replace("127.0.0.1:12800", "127.0.0.1:0");
        let simulator = Running::start(shell(&format!("exec {line}")), Follow::Stdout);
        simulator.line_with("http://127.0.0.1:");
        return;
    }
    let is_run = line.starts_with("skygate run ");
    let faster = match (
        is_run,
        line.contains("--simulate"),
        line.contains("--speed"),
    ) {
        // At the pace of a real OAP it is enough to see that it goes on.
        (true, false, _) => " --timeout 1s",
        (true, true, false) => " --speed 1200",
        (true, true, true) | (false, _, _) => "",
    };
    let ended = finish(shell(&format!("{line}{faster}")), "");
    let is_verdict = matches!(ended.code, Some(0 | 1 | 3)) || (is_run && ended.code == Some(5));
    assert!(is_verdict, "{line}: {ended:#?}");
}

/// A shell that finds the binary on its path.
fn shell(line: &str) -> Command {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_skygate"));
    let mut path = binary.parent().expect("its folder").as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    let mut command = prepared(command);
    command.env("PATH", path);
    command
}

/// The command lines in the fences that are marked `sh`; a backslash joins a line with the next one.
fn command_lines(markdown: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_shell = false;
    let mut begun = String::new();
    for line in markdown.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            is_shell = language.trim() == "sh";
            continue;
        }
        if !is_shell {
            continue;
        }
        let line = line.trim();
        match line.strip_suffix('\\') {
            Some(part) => begun.push_str(part),
            None if line.is_empty() => {}
            None => lines.push(std::mem::take(&mut begun) + line),
        }
    }
    lines
}

#[test]
fn command_lines_are_found() {
    let markdown = "text\n```sh\na \\\n  b\n\nc\n```\n```yaml\nd\n```\n";
    assert_eq!(command_lines(markdown), ["a b", "c"]);
}
