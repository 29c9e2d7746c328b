//! `--server`: what a service does is shown as what this process does, and ends with the same exit codes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{
    Ended, Follow, Oap, Running, command, finish, skygate, skygate_reading, stable,
};

const TOKEN: &str = "0123456789abcdef-run";

/// A service on a port of its own, and a folder for whatever a test needs.
struct Service {
    process: Running,
    url: String,
    folder: TempDir,
}

impl Service {
    /// One that asks `oap`, whatever templates say.
    fn asking(oap: &Oap) -> Self {
        Self::start(&["--oap", &oap.url])
    }

    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (process, url) = Self::process(args);
        Self {
            process,
            url,
            folder,
        }
    }

    /// Kills it, as a crash would, and has another one take its place.
    fn restart(&mut self, args: &[&str]) {
        let listen = self.url.strip_prefix("http://").expect("its URL");
        let process = command(&[&["serve", "--listen", listen], args].concat());
        // The old one is gone, and its port free, once it has been waited for.
        self.process.kill();
        self.process = Running::start(process, Follow::Stdout);
        self.process.line_with("http://");
    }

    fn process(args: &[&str]) -> (Running, String) {
        let nowhere: &[&str] = if args.contains(&"--store") {
            &[]
        } else {
            &["--store", "memory:"]
        };
        let args = [&["serve", "--listen", "127.0.0.1:0"], nowhere, args].concat();
        let process = Running::start(command(&args), Follow::Stdout);
        let url = process.line_with("http://");
        (process, url)
    }

    /// A file in the folder.
    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("a path").to_owned()
    }

    /// `skygate` with these arguments and the service's URL.
    fn command(&self, args: &[&str]) -> Command {
        command(&[args, &["--server", &self.url]].concat())
    }

    fn skygate(&self, args: &[&str]) -> Ended {
        finish(self.command(args), "")
    }
}

/// A template of one metric with these fields.
fn template(fields: &str) -> String {
    format!(
        r#"
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {{ name: apdex }}
spec:
  args: [{{ name: service-name }}]
  metrics:
  - name: apdex
    successCondition: "all(values >= 9900)"
    {fields}
    provider:
      skywalking:
        address: http://oap.istio-system:12800
        interval: 1m
        noDataTimeout: 1s
        expression: service_apdex
        entity: {{ scope: Service, serviceName: "{{{{ args.service-name }}}}", normal: true }}
"#
    )
}

/// Every second until its count or a limit ends it.
const QUICK: &str = "{ interval: 1s, count: 2, failureLimit: 1, consecutiveErrorLimit: 0 }";

fn quick() -> String {
    let fields = QUICK.trim_matches(['{', '}', ' ']).replace(", ", "\n    ");
    template(&fields)
}

/// One measurement, and the next one in an hour.
fn endless() -> String {
    template("interval: 1h")
}

/// The exit code and stdout of `run` in this process and at a service.
fn both(
    service: &Service,
    oap: &Oap,
    name: &str,
    file: &str,
    more: &[&str],
) -> [(Option<i32>, String); 2] {
    let arg = format!("service-name={name}");
    let args = [&["run", "-f", file, "--arg", &arg], more].concat();
    let here = skygate(&[args.as_slice(), &["--oap", &oap.url]].concat());
    let there = service.skygate(&args);
    [here, there].map(|ended| {
        assert!(
            ended.stderr.contains("apdex: an expression every"),
            "{ended:#?}"
        );
        (ended.code, stable(&ended.stdout))
    })
}

#[test]
fn a_service_comes_to_the_same_verdicts_in_the_same_words() {
    let oap = Oap::start(&[
        "good=healthy",
        "bad=frustrated",
        "none=absent",
        "odd=malformed",
    ]);
    let service = Service::asking(&oap);
    let file = service.file("template.yaml", &quick());
    for (name, code, verdict) in [
        ("good", 0, "Successful: good measurements: apdex 2 of 2\n"),
        (
            "bad",
            1,
            "Failed: apdex failed 2 of 2 measurements (limit 1); the last: 1 of 1 points below 9900: ",
        ),
        (
            "none",
            3,
            "Inconclusive: apdex had no data for 1s; the last: ",
        ),
        (
            "odd",
            4,
            "Error: apdex could not be measured 1 times in a row (limit 0); the last: ",
        ),
    ] {
        let [here, there] = both(&service, &oap, name, &file, &[]);
        assert_eq!(here.0, Some(code), "{here:?}");
        assert!(here.1.starts_with(verdict), "{}", here.1);
        assert_eq!(here, there);
    }
}

#[test]
fn a_run_goes_on_when_nobody_waits_for_it_any_more() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let file = service.file("template.yaml", &endless());
    let [here, there] = both(&service, &oap, "checkout", &file, &["--timeout", "6s"]);
    assert_eq!(here.0, Some(5), "{here:?}");
    assert!(
        here.1.starts_with("Running: not over at --timeout\n"),
        "{}",
        here.1
    );
    assert_eq!(here, there);

    let rows = rows(&service, &[]);
    let [row] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!(row["phase"], "Running");
    let id = row["id"].as_str().expect("an id");
    let got = service.skygate(&["runs", "get", id]);
    assert_eq!(got.code, Some(5), "{got:?}");
    assert!(got.stdout.starts_with("Running: under way\n"), "{got:?}");
    let watched = service.skygate(&["runs", "watch", id, "--timeout", "1s"]);
    assert_eq!(watched.code, Some(5), "{watched:?}");
    assert!(
        watched.stderr.contains("apdex #1 Successful"),
        "{watched:?}"
    );
    assert!(
        watched
            .stderr
            .contains(&format!("the run goes on: skygate runs watch {id}"))
    );
}

/// What `runs list` has of the runs that `args` describe.
fn rows(service: &Service, args: &[&str]) -> Vec<Value> {
    let ended = service.skygate(&[&["runs", "list", "-o", "json"], args].concat());
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    document["items"].as_array().expect("a list").clone()
}

#[test]
fn a_run_as_json_is_the_one_that_the_service_has() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let file = service.file("template.yaml", &quick());
    let args = [
        "run",
        "-f",
        &file,
        "--arg",
        "service-name=checkout",
        "-o",
        "json",
        "--quiet",
    ];
    let ended = service.skygate(&[args.as_slice(), &["--label", "app=checkout"]].concat());
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    let run: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(run["metadata"]["labels"]["app"], "checkout");
    assert_eq!(run["spec"]["args"][0]["value"], "checkout");

    let id = run["metadata"]["uid"].as_str().expect("an id");
    let got = service.skygate(&["runs", "get", id, "-o", "json"]);
    assert_eq!((got.code, got.stdout), (Some(0), ended.stdout));
    let found = rows(
        &service,
        &["--label", "app=checkout", "--phase", "Successful"],
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["id"], id);
    assert_eq!(
        rows(&service, &["--label", "app=other"]),
        Vec::<Value>::new()
    );
}

#[test]
fn the_same_key_starts_one_run() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let file = service.file("template.yaml", &quick());
    let args = [
        "run",
        "-f",
        &file,
        "--arg",
        "service-name=checkout",
        "--idempotency-key",
        "job-7",
    ];
    let first = service.skygate(&args);
    let second = service.skygate(&args);
    assert_eq!(
        (first.code, second.code),
        (Some(0), Some(0)),
        "{first:?} {second:?}"
    );
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(rows(&service, &[]).len(), 1);
}

#[test]
fn pages_are_followed_up_to_the_limit() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let file = service.file("template.yaml", &quick());
    for _ in 0..3 {
        let run = service.skygate(&["run", "-f", &file, "--arg", "service-name=checkout", "-q"]);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    assert_eq!(rows(&service, &[]).len(), 3);
    let ended = service.skygate(&["runs", "list", "--limit", "2"]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.stderr,
        "note: there are more than 2; --limit N shows more\n"
    );
    insta::assert_snapshot!(shape(&ended.stdout), @r"
    ID NAMESPACE NAME PHASE CREATED TOOK VERDICT
    UUID default apdex Successful DATETTIME Ns good measurements: apdex N of N
    UUID default apdex Successful DATETTIME Ns good measurements: apdex N of N
    ");
    let none = service.skygate(&["runs", "list", "-n", "nowhere"]);
    assert_eq!(
        (none.code, none.stdout.as_str(), none.stderr.as_str()),
        (Some(0), "", "no runs\n")
    );
}

/// A table without its numbers and widths.
fn shape(text: &str) -> String {
    let numbers = regex::Regex::new(r"\b\d+").expect("a pattern");
    let lines = stable(text);
    let lines = lines.lines().map(|line| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        numbers.replace_all(&cells.join(" "), "N").into_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_wrong_is_said_in_the_same_words_before_anything_is_sent() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let wrong = quick()
        .replace("failureLimit", "failurelimit")
        .replace("values >=", "values >>");
    for args in [
        &["run", "-f", "-"][..],
        &["run", "-f", "-", "--arg", "service-name=a", "--arg", "x=y"],
    ] {
        let here = skygate_reading(args, &wrong);
        let there = finish(service.command(args), &wrong);
        assert_eq!(here.code, Some(2), "{here:?}");
        assert_eq!((here.code, &here.stderr), (there.code, &there.stderr));
    }
    assert_eq!(rows(&service, &[]).len(), 0);
}

#[test]
fn what_only_the_service_can_know_is_said_by_it() {
    let oap = Oap::start(&["checkout=healthy"]);
    let named = format!("production={}", oap.url);
    let service = Service::start(&["--oap", &named]);
    let file = service.file("template.yaml", &quick());
    let ended = service.skygate(&["run", "-f", &file, "--arg", "service-name=checkout"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:?}"
    );
    insta::assert_snapshot!(stable(&ended.stderr), @"error: spec.metrics[0].provider.skywalking: this service may not call `http://oap.istio-system:12800` (named are `production`); its operator can let it: serve --oap NAME=http://oap.istio-system:12800");

    let secretive = quick().replace(
        "args: [{ name: service-name }]",
        "args: [{ name: service-name, valueFrom: { secretKeyRef: { name: s, key: k } } }]",
    );
    let file = service.file("secretive.yaml", &secretive);
    let ended = service.skygate(&["run", "-f", &file]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:?}"
    );
    insta::assert_snapshot!(stable(&ended.stderr), @"error: spec.args[0].valueFrom.secretKeyRef: no secret `s` with the key `k`: this service has no secrets; its operator can give it some: serve --secrets DIR, with a file DIR/default/s/k");
    let ended = service.skygate(&["run", "-f", &file, "--arg", "service-name=hunter2"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    assert!(
        ended
            .stderr
            .starts_with("error: args[0].value: argument `service-name` is a secret"),
        "{ended:?}"
    );
}

#[test]
fn a_token_is_wanted_and_taken_from_a_file_or_the_environment() {
    let oap = Oap::start(&["checkout=healthy"]);
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, format!("ci run {TOKEN}\n")).expect("a file");
    let service = Service::start(&[
        "--oap",
        &oap.url,
        "--tokens",
        tokens.to_str().expect("a path"),
    ]);
    let with = |token: &str| {
        let mut command = service.command(&["runs", "list"]);
        command.env("SKYGATE_TOKEN", token);
        finish(command, "")
    };
    assert_eq!(with(TOKEN).code, Some(0));
    for token in ["", "0123456789abcdef-x"] {
        let ended = with(token);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:?}"
        );
        assert!(
            ended.stderr.contains("answered 401: A token is needed"),
            "{ended:?}"
        );
        assert!(
            ended.stderr.contains("hint: give a token of the service's"),
            "{ended:?}"
        );
        assert!(!ended.stderr.contains("0123456789abcdef"), "{ended:?}");
    }
    let file = service.file("token", &format!("{TOKEN}\n"));
    let ended = service.skygate(&["runs", "list", "--server-token-file", &file]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn an_unreachable_service_is_waited_for_and_then_an_error() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), quick()).expect("a file");
    let args = [
        "run",
        "-f",
        file.path().to_str().expect("a path"),
        "--arg",
        "service-name=a",
        "--server",
        "http://127.0.0.1:9",
        "--server-patience",
        "1s",
    ];
    let ended = skygate(&args);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(4), ""),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .starts_with("error: no answer from `http://127.0.0.1:9`: Connection refused")
    );
    assert!(
        ended
            .stderr
            .ends_with("\nhint: is `skygate serve` running there?\n"),
        "{ended:?}"
    );
}

#[test]
fn flags_that_contradict_each_other_are_usage() {
    let server = ["--server", "http://127.0.0.1:9"];
    let check = |args: &[&str], expected: &str| {
        let ended = skygate(&[args, &server].concat());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(expected), "{ended:?}");
    };
    check(
        &["run", "-f", "x", "--oap", "http://a"],
        "--oap: has no meaning with --server",
    );
    check(
        &["run", "-f", "x", "--secrets", "/tmp"],
        "--secrets: has no meaning with --server\n\nhint: a service looks secrets up",
    );
    check(
        &["measure", "-f", "x", "--secrets", "/tmp"],
        "--secrets: has no meaning with --server",
    );
    check(&["run", "-f", "x", "--simulate"], "cannot be used with");
    check(&["run"], "nothing says what to measure");
    check(
        &["run", "-f", "x", "--idempotency-key", "ä b"],
        "letters, digits and signs were expected",
    );
    let without = skygate(&["measure"]);
    assert!(without.stderr.contains("--file <FILE>"), "{without:?}");
}

/// Starts `run` with these arguments, interrupts it after its first measurement, and says what came of it.
fn interrupted(command: Command) -> (Option<i32>, String) {
    let run = Running::start(command, Follow::Stderr);
    run.line_with("apdex #1 Successful");
    run.signal("INT");
    let (code, stdout) = run.end();
    (code, stable(&stdout))
}

#[test]
fn an_interrupt_terminates_the_run_or_leaves_it() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let file = service.file("template.yaml", &endless());
    let args = ["run", "-f", &file, "--arg", "service-name=checkout"];
    let here = interrupted(command(&[args.as_slice(), &["--oap", &oap.url]].concat()));
    assert_eq!(here.0, Some(130), "{here:?}");
    assert!(
        here.1
            .starts_with("Running: interrupted before it was over\n"),
        "{here:?}"
    );

    let label = |name: &'static str| ["--label", name];
    let ended = [args.as_slice(), &label("run=ended")].concat();
    assert_eq!(interrupted(service.command(&ended)), here);
    let left = [args.as_slice(), &label("run=left"), &["--leave"]].concat();
    assert_eq!(interrupted(service.command(&left)), here);

    let phase = |name| rows(&service, &["--label", name])[0]["phase"].clone();
    assert_eq!(phase("run=ended"), "Successful", "Argo's word for it");
    let passed = &rows(&service, &["--label", "run=ended"])[0]["passed"];
    assert_eq!(
        passed, false,
        "whoever stops it says nothing of its version"
    );
    assert_eq!(phase("run=left"), "Running");
}

/// What a service answered goes to a reader that stays and takes nothing.
#[test]
fn an_answer_that_nobody_takes_does_not_outlast_a_signal() {
    let service = Service::start(&[]);
    // More than a pipe holds.
    let lines = "      and more, and more, and more, and more, and more\n".repeat(4_000);
    let note = format!("metadata:\n  annotations:\n    note: |\n{lines}  name: apdex");
    let template = quick().replace("metadata: { name: apdex }", &note);
    let file = service.file("template.yaml", &template);
    let applied = service.skygate(&["templates", "apply", "-f", &file]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let get = service.command(&["templates", "get", "apdex"]);
    let get = Running::start(get, Follow::Unread);
    get.line_with("apiVersion");
    get.signal("TERM");
    let (code, stderr) = get.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert_eq!(stderr, "interrupted before this was written: stdout\n");
}

/// A port that takes connections and answers nothing.
#[test]
fn a_service_that_does_not_answer_holds_up_neither_timeout_nor_interrupt() {
    let silent = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("template.yaml");
    std::fs::write(&file, endless()).expect("written");
    let run = |service: &std::net::TcpListener, more: &[&str]| {
        let url = format!("http://{}", service.local_addr().expect("an address"));
        let file = file.to_str().expect("a path");
        let args = [
            "run",
            "-f",
            file,
            "--arg",
            "service-name=checkout",
            "--server",
            &url,
        ];
        command(&[&args[..], more].concat())
    };
    let service = silent();
    let late = finish(run(&service, &["--timeout", "1s"]), "");
    assert_eq!(late.code, Some(5), "{late:?}");
    assert!(late.stderr.contains("not begun at --timeout"), "{late:?}");
    assert!(late.stderr.contains("skygate runs list"), "{late:?}");

    let service = silent();
    let waiting = Running::start(run(&service, &[]), Follow::Stderr);
    let (_asking, _) = service.accept().expect("it asks");
    waiting.signal("INT");
    assert_eq!(waiting.end().0, Some(130));
}

#[test]
fn runs_are_terminated_repeated_and_deleted() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let file = service.file("template.yaml", &endless());
    let args = [
        "run",
        "-f",
        &file,
        "--arg",
        "service-name=checkout",
        "-q",
        "--timeout",
        "6s",
    ];
    assert_eq!(service.skygate(&args).code, Some(5));
    let id = |row: &Value| row["id"].as_str().expect("an id").to_owned();
    let first = id(&rows(&service, &[])[0]);

    let again = service.skygate(&["runs", "rerun", &first]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let second = again.stdout.trim_end().to_owned();
    assert_eq!(id(&rows(&service, &[])[0]), second);

    let ended = service.skygate(&["runs", "terminate", &first, &second]);
    assert_eq!(
        ended.stdout,
        format!("terminated {first}\nterminated {second}\n"),
        "{ended:?}"
    );
    let watched = service.skygate(&["runs", "watch", &first]);
    assert_eq!(watched.code, Some(3), "nobody has judged it: {watched:?}");
    assert!(
        watched
            .stdout
            .starts_with("Successful: terminated; good measurements: apdex 1 of 1\n"),
        "{watched:?}"
    );

    let gone = service.skygate(&["runs", "delete", &first]);
    assert_eq!(
        (gone.code, gone.stdout),
        (Some(0), format!("deleted {first}\n"))
    );
    let missing = service.skygate(&["runs", "get", &first]);
    assert_eq!(
        (missing.code, missing.stdout.as_str()),
        (Some(2), ""),
        "{missing:?}"
    );
    assert!(
        missing
            .stderr
            .contains(&format!("There is no such thing: no run `{first}`")),
        "{missing:?}"
    );
}

#[test]
fn a_measurement_of_a_service_is_shown_as_one_of_this_process() {
    let oap = Oap::start(&["good=healthy", "bad=frustrated", "none=absent"]);
    let service = Service::asking(&oap);
    let file = service.file("template.yaml", &endless());
    let applied = service.skygate(&["templates", "apply", "-f", &file]);
    assert_eq!(
        (applied.code, applied.stdout.as_str()),
        (Some(0), "created AnalysisTemplate default/apdex\n"),
        "{applied:?}"
    );
    for (name, code) in [("good", 0), ("bad", 1), ("none", 3)] {
        let arg = format!("service-name={name}");
        let args = ["measure", "--arg", &arg];
        let here = skygate(&[args.as_slice(), &["-f", &file, "--oap", &oap.url]].concat());
        let sent = service.skygate(&[args.as_slice(), &["-f", &file]].concat());
        let stored = service.skygate(&[args.as_slice(), &["--template", "apdex"]].concat());
        assert_eq!(here.code, Some(code), "{here:?}");
        assert!(
            here.stdout.contains(&format!(
                "entity      scope Service, serviceName \"{name}\", normal true"
            )),
            "{here:?}"
        );
        for there in [sent, stored] {
            assert_eq!(there.code, here.code, "{there:?}");
            assert_eq!(stable(&there.stdout), stable(&here.stdout));
        }
    }
    let unknown = service.skygate(&[
        "measure",
        "-f",
        &file,
        "--arg",
        "service-name=good",
        "--metric",
        "x",
    ]);
    assert_eq!(
        (unknown.code, unknown.stdout.as_str()),
        (Some(2), ""),
        "{unknown:?}"
    );
    assert!(
        unknown.stderr.contains("no metric `x`; there are `apdex`"),
        "{unknown:?}"
    );
}

#[test]
fn templates_are_kept_and_run_by_name() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let none = service.skygate(&["templates", "list"]);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("", "no templates\n")
    );
    let cluster = quick()
        .replace("kind: AnalysisTemplate", "kind: ClusterAnalysisTemplate")
        .replace("name: apdex }", "name: everywhere }");
    let both = service.file("both.yaml", &format!("{}---{cluster}", quick()));
    let applied = service.skygate(&["templates", "apply", "-f", &both, "-n", "shop"]);
    assert_eq!(
        applied.stdout,
        "created AnalysisTemplate shop/apdex\ncreated ClusterAnalysisTemplate everywhere\n",
        "{applied:?}"
    );
    let again = service.skygate(&["templates", "apply", "-f", &both, "-n", "shop"]);
    assert!(
        again
            .stdout
            .starts_with("unchanged AnalysisTemplate shop/apdex\n"),
        "{again:?}"
    );
    insta::assert_snapshot!(service.skygate(&["templates", "list"]).stdout, @r"
    NAMESPACE  NAME   METRICS  ARGS
    shop       apdex  apdex    service-name
    ");
    insta::assert_snapshot!(service.skygate(&["templates", "list", "--cluster"]).stdout, @r"
    NAMESPACE  NAME        METRICS  ARGS
               everywhere  apdex    service-name
    ");

    let args = ["run", "--arg", "service-name=checkout", "-q"];
    let named =
        service.skygate(&[args.as_slice(), &["--template", "apdex", "-n", "shop"]].concat());
    assert_eq!(named.code, Some(0), "{named:?}");
    let everywhere = service.skygate(
        &[
            args.as_slice(),
            &["--template", "clustertemplates/everywhere"],
        ]
        .concat(),
    );
    assert_eq!(everywhere.code, Some(0), "{everywhere:?}");
    assert_eq!(
        rows(&service, &["--template", "clustertemplates/everywhere"]).len(),
        1
    );
    let missing =
        service.skygate(&[args.as_slice(), &["--template", "apdx", "-n", "shop"]].concat());
    assert_eq!(
        (missing.code, missing.stdout.as_str()),
        (Some(2), ""),
        "{missing:?}"
    );
    assert!(
        missing.stderr.contains("hint: did you mean `apdex`?"),
        "{missing:?}"
    );

    let got = service.skygate(&["templates", "get", "apdex", "-n", "shop"]);
    let manifest: Value = serde_norway::from_str(&got.stdout).expect("YAML");
    let written: Value = serde_norway::from_str(&quick()).expect("YAML");
    assert_eq!(manifest["spec"], written["spec"]);
    let deleted = service.skygate(&["templates", "delete", "apdex", "-n", "shop"]);
    assert_eq!(
        (deleted.code, deleted.stdout.as_str()),
        (Some(0), "deleted AnalysisTemplate shop/apdex\n")
    );
    assert_eq!(
        service
            .skygate(&["templates", "get", "apdex", "-n", "shop"])
            .code,
        Some(2)
    );

    let wrong = service.file(
        "wrong.yaml",
        &quick().replace("failureLimit", "failurelimit"),
    );
    let refused = service.skygate(&["templates", "apply", "-f", &wrong]);
    assert_eq!(
        (refused.code, refused.stdout.as_str()),
        (Some(2), ""),
        "{refused:?}"
    );
    assert!(
        stable(&refused.stderr).starts_with("error: TMP/wrong.yaml: spec.metrics[0].failurelimit: unknown field, did you mean `failureLimit`?\n"),
        "{refused:?}"
    );
}

/// A run that a service forgets because it is killed, and has nothing that lasts.
#[test]
fn a_service_that_has_lost_the_run_says_so() {
    let oap = Oap::start(&["checkout=healthy"]);
    let mut service = Service::start(&["--oap", &oap.url, "--store", "memory:"]);
    let file = service.file("template.yaml", &endless());
    let run = Running::start(
        service.command(&["run", "-f", &file, "--arg", "service-name=checkout"]),
        Follow::Stderr,
    );
    run.line_with("apdex #1 Successful");
    service.restart(&["--oap", &oap.url, "--store", "memory:"]);
    run.line_with("no run `");
    run.line_with("hint: it was deleted, or the service was started anew");
    assert_eq!(run.end(), (Some(4), String::new()));
}

#[test]
fn a_killed_service_that_is_back_ends_the_run_that_is_waited_for() {
    let oap = Oap::start(&["checkout=healthy"]);
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}", folder.path().join("skygate.db").display());
    let settings = ["--oap", &oap.url, "--store", &store];
    let mut service = Service::start(&settings);
    let file = service.file("template.yaml", &template("interval: 1s\n    count: 4"));
    let run = Running::start(
        service.command(&["run", "-f", &file, "--arg", "service-name=checkout"]),
        Follow::Stderr,
    );
    run.line_with("apdex #1 Successful");
    service.restart(&settings);
    run.line_with("apdex #4 Successful");
    let (code, stdout) = run.end();
    assert_eq!(code, Some(0), "{stdout}");
    assert!(
        stdout.starts_with("Successful: good measurements: apdex 4 of 4\n"),
        "{stdout}"
    );
    assert_eq!(rows(&service, &[]).len(), 1);
}

/// Calls a hook of the service as Flagger does.
fn flagger(service: &Service, hook: &str) {
    let body = serde_json::json!({
        "name": "reviews",
        "namespace": "bookinfo",
        "phase": "Progressing",
        "checksum": "758df7c9fc",
        "metadata": { "template": "apdex", "args.service-name": "checkout" },
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let status = runtime.expect("a runtime").block_on(async {
        let request = crate::harness::client().post(format!("{}/flagger/{hook}", service.url));
        let answer = request
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        answer.status().as_u16()
    });
    assert_eq!(status, 200, "{hook}");
}

#[test]
fn canaries_of_flagger_are_seen_and_deleted() {
    let oap = Oap::start(&["checkout=healthy"]);
    let service = Service::asking(&oap);
    let none = service.skygate(&["canaries", "list"]);
    assert_eq!(
        (none.code, none.stdout.as_str(), none.stderr.as_str()),
        (Some(0), "", "no canaries\n")
    );

    let file = service.file("apdex.yaml", &endless());
    let kept = service.skygate(&["templates", "apply", "-f", &file, "-n", "bookinfo"]);
    assert_eq!(kept.code, Some(0), "{kept:#?}");
    flagger(&service, "pre-rollout");
    flagger(&service, "confirm-traffic-increase");

    let words =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let listed = service.skygate(&["canaries", "list", "-n", "bookinfo"]);
    assert_eq!(listed.code, Some(0), "{listed:#?}");
    let row = words(listed.stdout.lines().nth(1).expect("a row"));
    assert_eq!(
        row[..7],
        [
            "bookinfo",
            "reviews",
            "apdex",
            "1",
            "758df7c9fc",
            "Running",
            "open"
        ]
    );
    assert_eq!(row[8..], ["confirm-traffic-increase", "200"], "{row:?}");

    let got = service.skygate(&["canaries", "get", "reviews", "-n", "bookinfo"]);
    let lines: Vec<Vec<String>> = got.stdout.lines().map(words).collect();
    assert_eq!(
        lines[1][..5],
        ["1", "apdex", "758df7c9fc", "open", "Running"],
        "{got:#?}"
    );
    // The calls as they came.
    let hooks: Vec<&str> = lines[4..].iter().map(|line| line[1].as_str()).collect();
    assert_eq!(
        hooks,
        ["pre-rollout", "confirm-traffic-increase"],
        "{got:#?}"
    );
    let got = service.skygate(&["canaries", "get", "reviews", "-n", "bookinfo", "-o", "json"]);
    let canary: Value = serde_json::from_str(&got.stdout).expect("JSON");
    assert_eq!(canary["attempts"][0]["number"], 1);

    let deleted = service.skygate(&["canaries", "delete", "reviews", "-n", "bookinfo"]);
    assert_eq!(
        (deleted.code, deleted.stdout.as_str()),
        (Some(0), "deleted bookinfo/reviews\n")
    );
    let gone = service.skygate(&["canaries", "get", "reviews", "-n", "bookinfo"]);
    assert_eq!(gone.code, Some(2), "{gone:#?}");
    assert!(gone.stderr.contains("no canary `reviews`"), "{gone:#?}");
}
