//! Ends that others decide: signals, readers that go away, ports that are taken.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use super::APDEX;
use super::process::{Follow, Oap, Running, command, skygate};

/// A run that waits five minutes for its second measurement.
fn waiting_run(oap: &Oap) -> Running {
    let args = [
        "run",
        "-f",
        APDEX,
        "--arg",
        "service-name=checkout",
        "--oap",
        &oap.url,
    ];
    let run = Running::start(command(&args), Follow::Stderr);
    run.line_with("apdex #1 Successful");
    run
}

#[test]
fn an_interrupted_run_is_130_and_says_how_far_it_came() {
    let oap = Oap::start(&["checkout=healthy"]);
    for signal in ["INT", "TERM"] {
        let run = waiting_run(&oap);
        run.signal(signal);
        let (code, stdout) = run.end();
        assert_eq!(code, Some(130), "{signal}");
        assert!(
            stdout.starts_with("Running: interrupted before it was over\n"),
            "{stdout}"
        );
        assert!(stdout.contains("\napdex   Running  1 "), "{stdout}");
    }
}

/// A template of so many metrics, each of which fails once.
fn template(metrics: usize) -> String {
    let mut template =
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: { name: many }\nspec:\n  metrics:\n".to_owned();
    for n in 0..metrics {
        let _ = write!(
            template,
            r#"  - name: apdex-{n}
    count: 1
    failureLimit: 1
    successCondition: "all(values > 10000)"
    provider:
      skywalking:
        interval: 3m
        expression: service_apdex
        entity: {{ serviceName: checkout, normal: true }}
"#
        );
    }
    template
}

/// More than a pipe holds goes to a reader that stays and takes nothing.
#[test]
fn a_report_that_nobody_takes_does_not_outlast_a_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("ASCII").to_owned();
    let (file, xml, word) = (path("many.yaml"), path("skygate.xml"), path("verdict"));
    fs::write(&file, template(100)).expect("room");
    let junit = format!("junit={xml}");
    let args = [
        "run",
        "-f",
        &file,
        "--simulate",
        "checkout=healthy",
        "--speed",
        "1200",
        "-q",
        "-o",
        "json",
        "-o",
        &junit,
        "--result-file",
        &word,
    ];
    for signal in ["INT", "TERM"] {
        let run = Running::start(command(&args), Follow::Unread);
        // It is over by then.
        run.line_with("{");
        run.signal(signal);
        let (code, stderr) = run.end();
        assert_eq!(code, Some(130), "{signal}");
        assert_eq!(
            stderr,
            format!("interrupted before this was written: stdout, {xml}, {word}\n"),
        );
    }
}

#[test]
fn a_summary_that_nobody_takes_does_not_outlast_a_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("ASCII").to_owned();
    let (file, summary, outputs) = (path("one.yaml"), path("summary"), path("outputs"));
    fs::write(&file, template(1)).expect("room");
    let made = Command::new("mkfifo").arg(&summary).status();
    assert!(made.expect("there is a `mkfifo`").success());
    let args = [
        "run",
        "-f",
        &file,
        "--simulate",
        "checkout=healthy",
        "--speed",
        "1200",
    ];
    let mut command = command(&args);
    command.env("GITHUB_ACTIONS", "true");
    command.env("GITHUB_STEP_SUMMARY", &summary);
    command.env("GITHUB_OUTPUT", &outputs);
    let run = Running::start(command, Follow::Stdout);
    run.line_with("apdex-0");
    run.signal("TERM");
    let (code, stderr) = run.end();
    assert_eq!(code, Some(130), "{stderr}");
    let expected = format!("interrupted before this was written: {summary}, {outputs}\n");
    assert!(stderr.ends_with(&expected), "{stderr}");
}

#[test]
fn an_unreachable_oap_is_waited_for_aloud_and_not_after_an_interrupt() {
    // Nobody listens on the discard port of a test machine, and nobody can resolve `.invalid`.
    let ask = |name, address| {
        let args = [
            "-f",
            APDEX,
            "--arg",
            "service-name=checkout",
            "--oap",
            address,
        ];
        let process = Running::start(
            command(&[&[name], args.as_slice()].concat()),
            Follow::Stderr,
        );
        (process, format!("waiting for {address} …"))
    };
    let asking = [
        ask("measure", "http://127.0.0.1:9"),
        ask("validate", "http://oap.invalid:12800"),
    ];
    for (process, notice) in asking {
        assert_eq!(process.line_with("waiting"), notice);
        process.signal("INT");
        assert_eq!(process.end().0, Some(130), "{notice}");
    }
}

#[test]
fn an_interrupted_demo_plays_no_second_act() {
    let demo = Running::start(command(&["demo", "--speed", "60"]), Follow::Stderr);
    demo.line_with("weight 10: Paused");
    demo.signal("INT");
    let (code, stdout) = demo.end();
    assert_eq!(code, Some(130));
    assert!(!stdout.contains("Version 3"), "{stdout}");
}

#[test]
fn the_simulator_ends_well_when_it_is_told_to() {
    for signal in ["INT", "TERM"] {
        let oap = Oap::start(&["checkout=healthy"]);
        oap.process.signal(signal);
        let (code, stderr) = oap.process.end();
        assert_eq!(code, Some(0), "{signal}: {stderr}");
    }
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let oap = Oap::start(&["checkout=healthy"]);
    let address = oap.url.strip_prefix("http://").expect("its URL");
    let ended = skygate(&["simulate-oap", "--listen", address]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""));
    insta::assert_snapshot!(super::process::stable(&ended.stderr), @r#"
    error: failed to listen on 127.0.0.1:PORT
      caused by: Address already in use (os error 98)

    hint: --listen 127.0.0.1:PORT takes a port that is free
    "#);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for args in [["completions", "bash"].as_slice(), &["run", "--help"]] {
        let mut child = command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        let status = child.wait().expect("a child of ours");
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}
