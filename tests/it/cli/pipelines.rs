//! Inside a pipeline: what GitHub Actions is told, the verdict in one word, and what fails a job.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::APDEX;
use super::process::{Ended, Follow, Oap, Running, command, finish, skygate, stable};

/// The files that GitHub Actions gives a step.
struct Step {
    folder: tempfile::TempDir,
}

impl Step {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["summary", "output"] {
            fs::write(folder.path().join(name), format!("{name} of before\n")).expect("a file");
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("a file")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.env("GITHUB_ACTIONS", "true");
        command.env("GITHUB_STEP_SUMMARY", self.file("summary"));
        command.env("GITHUB_OUTPUT", self.file("output"));
        command
    }

    fn run(&self, more: &[&str]) -> Ended {
        finish(self.command(&run(more)), "")
    }
}

/// The arguments of a run that fails within a second.
fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        "run",
        "-f",
        APDEX,
        "--arg",
        "service-name=checkout",
        "--simulate",
        "checkout=frustrated",
        "--speed",
        "1200",
    ];
    [args.as_slice(), more].concat()
}

const ANNOTATION: &str = "::error title=Skygate%3A apdex Failed::apdex failed 4 of 4 ";

#[test]
fn a_step_of_github_actions_is_told() {
    let step = Step::new();
    let ended = step.run(&[]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended.stdout.starts_with("Failed: apdex failed 4 of 4 "),
        "{ended:#?}"
    );
    assert!(!ended.stdout.contains("::error"), "{ended:#?}");
    assert_eq!(ended.stderr.matches(ANNOTATION).count(), 1, "{ended:#?}");
    let summary = step.read("summary");
    assert!(
        summary.starts_with("summary of before\n\n## Failed: apdex\n"),
        "{summary}"
    );
    let outputs = step.read("output");
    let lines: Vec<&str> = outputs.lines().collect();
    assert_eq!(lines[..2], ["output of before", "phase=Failed"]);
    assert!(
        lines[2].starts_with("explanation=apdex failed 4 of 4 "),
        "{outputs}"
    );
    assert_eq!(lines[3], "evidence=false");
    assert_eq!(
        (lines.len(), lines[4].len()),
        (5, "id=".len() + 36),
        "{outputs}"
    );
}

#[test]
fn outputs_begin_a_line() {
    let step = Step::new();
    for (before, first) in [("a=b", "a=b\n"), ("a=b\n", "a=b\n"), ("", "")] {
        fs::write(step.file("output"), before).expect("room");
        let ended = step.run(&[]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        let outputs = step.read("output");
        let begins_so = outputs.starts_with(&format!("{first}phase=Failed\n"));
        assert!(begins_so, "{before:?}: {outputs}");
    }
}

#[test]
fn a_step_is_left_alone_where_that_is_asked_for() {
    let untouched = |step: &Step| {
        step.read("summary") == "summary of before\n" && step.read("output") == "output of before\n"
    };
    let step = Step::new();
    let ended = step.run(&["--no-github"]);
    assert!(
        !ended.stderr.contains("::error") && untouched(&step),
        "{ended:#?}"
    );
    let mut elsewhere = step.command(&run(&[]));
    elsewhere.env_remove("GITHUB_ACTIONS");
    let ended = finish(elsewhere, "");
    assert!(
        !ended.stderr.contains("::error") && untouched(&step),
        "{ended:#?}"
    );
    // Annotations are for whoever reads the log.
    let ended = step.run(&["--quiet"]);
    assert_eq!(ended.stderr, "", "{ended:#?}");
    assert!(!untouched(&step));
}

/// What an earlier command of the step has written would be gone, and the report be there twice.
#[test]
fn the_files_of_a_step_are_not_replaced() {
    let step = Step::new();
    fs::hard_link(step.file("summary"), step.file("same")).expect("a link");
    let path = |name: &str| step.file(name).to_str().expect("ASCII").to_owned();
    let markdown = |name: &str| format!("markdown={}", path(name));
    let (summary, same, output) = (markdown("summary"), markdown("same"), path("output"));
    for (args, what) in [
        (
            ["-o", &summary],
            "-o markdown would be written over the step's summary, to `",
        ),
        (
            ["-o", &same],
            "-o markdown would be written over the step's summary, to `",
        ),
        (
            ["--result-file", &output],
            "--result-file would be written over the step's outputs, to `",
        ),
    ] {
        let ended = step.run(&args);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(what), "{ended:#?}");
        assert!(ended.stderr.contains("with --no-github"), "{ended:#?}");
        assert_eq!(step.read("summary"), "summary of before\n");
        assert_eq!(step.read("output"), "output of before\n");
    }
    // One that is not there yet has no name but its path.
    let mut command = step.command(&run(&["--result-file", &path("new")]));
    command.env("GITHUB_OUTPUT", step.folder.path().join(".").join("new"));
    let ended = finish(command, "");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(!fs::exists(step.file("new")).expect("a folder"));

    let ended = step.run(&["--no-github", "-o", &summary, "--result-file", &output]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(step.read("summary").starts_with("## Failed: apdex\n"));
    assert_eq!(step.read("output"), "Failed");
}

#[test]
fn annotations_on_stdout_are_not_said_twice() {
    let ended = Step::new().run(&["-o", "github"]);
    assert!(ended.stdout.starts_with(ANNOTATION), "{ended:#?}");
    assert!(!ended.stderr.contains("::error"), "{ended:#?}");
}

#[test]
fn a_summary_leaves_out_what_there_is_no_room_for() {
    const ROOM: usize = 1 << 20;
    let step = Step::new();
    let check = |left: usize, expected: &dyn Fn(&str) -> bool| {
        fs::write(step.file("summary"), "x".repeat(ROOM - left)).expect("room on the disk");
        let ended = step.run(&[]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        let summary = step.read("summary");
        assert!(summary.len() <= ROOM);
        assert!(expected(summary.trim_start_matches('x')), "{left}");
        ended
    };
    check(100_000, &|added| added.contains("How it was measured"));
    check(800, &|added| {
        added.starts_with("\n## Failed: apdex\n") && !added.contains("How it was measured")
    });
    let ended = check(10, &str::is_empty);
    assert!(
        ended.stderr.contains("the step's summary is full"),
        "{ended:#?}"
    );
}

#[test]
fn what_github_cannot_take_changes_no_verdict() {
    let mut command = Step::new().command(&run(&[]));
    command.env("GITHUB_STEP_SUMMARY", "no/such/summary");
    command.env("GITHUB_OUTPUT", "");
    let ended = finish(command, "");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended
            .stderr
            .contains("warning: failed to write to no/such/summary: "),
        "{ended:#?}"
    );
}

#[test]
fn an_invalid_template_is_annotated() {
    let step = Step::new();
    let ended = finish(step.command(&["run", "-f", "no-such.yaml"]), "");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(
        ended
            .stderr
            .contains("::error title=Skygate::failed to read no-such.yaml"),
        "{ended:#?}"
    );
    assert!(step.read("summary").contains("## Invalid: skygate\n"));
    assert!(step.read("output").contains("\nphase=Invalid\n"));
}

#[test]
fn the_verdict_in_one_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("verdict");
    let path = file.to_str().expect("ASCII");
    let check = |args: &[&str], code, expected: &str| {
        fs::write(&file, "something of before").expect("a file");
        let ended = skygate(&[args, &["--result-file", path]].concat());
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert_eq!(fs::read_to_string(&file).expect("a file"), expected);
    };
    check(&run(&[]), 1, "Failed");
    check(&run(&["--fail-on", "none"]), 0, "Failed");
    check(&run(&["--timeout", "1m"]), 5, "Running");
    check(&["run", "-f", "no-such.yaml"], 2, "Invalid");
    let oap = Oap::start(&["checkout=healthy"]);
    let measure = ["measure", "-f", APDEX, "--oap", &oap.url, "--arg"];
    check(
        &[measure.as_slice(), &["service-name=checkout"]].concat(),
        0,
        "Successful",
    );
    check(
        &[measure.as_slice(), &["service-name=chekout"]].concat(),
        3,
        "Inconclusive",
    );
}

#[test]
fn an_interrupted_run_leaves_its_word_and_reports() {
    let oap = Oap::start(&["checkout=healthy"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("ASCII").to_owned();
    let (word, xml) = (path("verdict"), path("skygate.xml"));
    for signal in ["INT", "TERM"] {
        let junit = format!("junit={xml}");
        let args = [
            "run",
            "-f",
            APDEX,
            "--arg",
            "service-name=checkout",
            "--oap",
            &oap.url,
            "--result-file",
            &word,
            "-o",
            &junit,
        ];
        let run = Running::start(command(&args), Follow::Stderr);
        run.line_with("apdex #1 Successful");
        run.signal(signal);
        let (code, stdout) = run.end();
        assert_eq!(code, Some(130), "{signal}");
        assert!(
            stdout.starts_with("Running: interrupted before it was over\n"),
            "{stdout}"
        );
        let read = |path: &str| fs::read_to_string(Path::new(path)).expect("a file");
        assert_eq!(read(&word), "Interrupted");
        assert!(
            read(&xml).contains("<skipped message=\"interrupted before it was over\"/>"),
            "{}",
            read(&xml)
        );
    }
}

#[test]
fn an_interrupted_measurement_leaves_its_word() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("ASCII");
    let args = [
        "measure",
        "-f",
        APDEX,
        "--arg",
        "service-name=checkout",
        "--oap",
        "http://127.0.0.1:9",
        "--result-file",
        path,
    ];
    let measure = Running::start(command(&args), Follow::Stderr);
    measure.line_with("waiting for");
    measure.signal("TERM");
    assert_eq!(measure.end().0, Some(130));
    assert_eq!(fs::read_to_string(path).expect("a file"), "Interrupted");
}

#[test]
fn what_fails_a_job_can_be_chosen() {
    let check = |fail_on: &str, code, note: &str| {
        let ended = skygate(&run(&["--fail-on", fail_on]));
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert!(ended.stdout.starts_with("Failed: "), "{ended:#?}");
        assert_eq!(
            ended.stderr.contains("which --fail-on allows"),
            !note.is_empty()
        );
        assert!(ended.stderr.contains(note), "{ended:#?}");
    };
    check("failed", 1, "");
    check("failed,error,inconclusive", 1, "");
    check("error,running", 0, "note: Failed, which --fail-on allows");
    check("none", 0, "note: Failed, which --fail-on allows");
    let mut by_variable = command(&run(&[]));
    by_variable.env("SKYGATE_FAIL_ON", "inconclusive,error");
    assert_eq!(finish(by_variable, "").code, Some(0));
}

#[test]
fn evidence_can_be_asked_for() {
    let template = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: lenient}
spec:
  metrics:
  - name: traffic
    successCondition: all(values > 0)
    provider:
      skywalking:
        interval: 3m
        noData: Successful
        expression: service_cpm
        entity: { serviceName: checkout, normal: true }
";
    let check = |asked: &[&str], code, beginning: &str| {
        let args = [
            "run",
            "-f",
            "-",
            "--simulate",
            "checkout=absent",
            "--speed",
            "1200",
        ];
        let command = command(&[args.as_slice(), asked].concat());
        let ended = finish(command, template);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert!(ended.stdout.starts_with(beginning), "{ended:#?}");
        ended
    };
    let text = "Successful: without evidence";
    check(&[], 0, text);
    check(&["--fail-on", "no-evidence"], 3, text);
    // It is worth a look even where nobody asks for evidence.
    let warning = "::warning title=Skygate%3A lenient Successful::without evidence";
    check(&["-o", "github"], 0, warning);
    let ended = check(&["--fail-on", "failed,no-evidence"], 3, text);
    assert!(
        ended.stderr.contains("note: --fail-on asks for evidence"),
        "{ended:#?}"
    );
}

#[test]
fn elsewhere_than_in_a_terminal_a_measurement_is_one_line() {
    let ended = skygate(&run(&[]));
    let lines: Vec<String> = ended.stderr.lines().map(stable).collect();
    let measured: Vec<&String> = lines.iter().filter(|line| line.contains(" #")).collect();
    assert_eq!(measured.len(), 4, "{lines:#?}");
    assert!(!ended.stderr.contains('\r') && !ended.stderr.contains('\u{1b}'));
}

#[test]
fn nothing_that_is_said_commands_the_pipeline() {
    let template = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: obeyed}
spec:
  metrics:
  - name: \"::add-mask::a ##vso[task.complete]\"
    count: 1
    successCondition: |
      all(values < 0) or `
      ::set-output name=phase::Successful` == \"\"
    provider:
      skywalking:
        interval: 3m
        expression: service_cpm
        entity: { serviceName: checkout, normal: true }
";
    for form in ["text", "markdown", "junit", "github"] {
        let step = Step::new();
        let args = [
            "run",
            "-f",
            "-",
            "--simulate",
            "checkout=healthy",
            "--speed",
            "1200",
            "-o",
            form,
        ];
        let ended = finish(step.command(&args), template);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        let is_command =
            |line: &&str| line.trim_start().starts_with("::") || line.contains("##vso[");
        for line in ended
            .stdout
            .lines()
            .chain(ended.stderr.lines())
            .filter(is_command)
        {
            assert!(line.starts_with("::error title=Skygate"), "{line}");
        }
    }
}
