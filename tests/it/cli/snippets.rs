//! The snippets for CI systems in `api/ci`: what they run works, and what they read is there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use super::APDEX;
use super::process::{Ended, finish, prepared};

/// A checkout of somebody's repository on somebody's runner: a template in it, and a `skygate` that has an OAP at hand.
struct Runner {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Runner {
    /// One whose canary behaves like `behaviour`.
    fn new(behaviour: &str) -> Self {
        let template = fs::read_to_string(APDEX).expect("a template");
        Self::with(&template, behaviour)
    }

    /// One whose template takes it for good that there are no numbers, and whose canary has none.
    fn without_evidence() -> Self {
        let template = fs::read_to_string(APDEX).expect("a template");
        let lenient = template
            .replace("skywalking:\n", "skywalking:\n        noData: Successful\n")
            .replace("interval: 5m\n", "interval: 5m\n    count: 4\n");
        Self::with(&lenient, "absent")
    }

    fn with(template: &str, behaviour: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "deploy"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        fs::write(at("deploy/apdex.yaml"), template).expect("a template");
        let wrapper = format!(
            "#!/bin/sh\nexec {} \"$@\" --simulate '{SERVICE}={behaviour}' --speed 1200\n",
            env!("CARGO_BIN_EXE_skygate")
        );
        fs::write(at("bin/skygate"), wrapper).expect("a file");
        fs::set_permissions(at("bin/skygate"), fs::Permissions::from_mode(0o755)).expect("a mode");
        Self {
            folder,
            environment: BTreeMap::new(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Runs a script as CI systems do: in a file, up to the first line that fails.
    fn run(&self, script: &str) -> Ended {
        let file = self.file("script.sh");
        fs::write(&file, script).expect("a file");
        let mut command = Command::new("sh");
        command.arg("-e").arg(file);
        let mut command = prepared(command);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut with_ours = self.file("bin").into_os_string();
        with_ours.push(":");
        with_ours.push(path);
        command
            .current_dir(self.folder.path())
            .envs(&self.environment)
            .env("PATH", with_ours);
        finish(command, "")
    }
}

/// The service that every snippet names.
const SERVICE: &str = "canary|reviews|bookinfo|cp-cluster-1|-";

/// The canaries that every snippet is tried with: behaviour, exit code, verdict.
const CANARIES: [(&str, i32, &str); 3] = [
    ("healthy", 0, "Successful"),
    ("degraded", 1, "Failed"),
    ("absent", 3, "Inconclusive"),
];

fn text(name: &str) -> String {
    fs::read_to_string(Path::new("api/ci").join(name)).expect("a snippet")
}

/// A snippet's documents.
fn documents(name: &str) -> Vec<Value> {
    let text = text(name);
    text.split("\n---\n")
        .map(|document| serde_norway::from_str(document).expect("YAML"))
        .collect()
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let fields = value.as_object().into_iter().flatten();
    let string = |value: &Value| value.as_str().expect("a string").to_owned();
    fields
        .map(|(name, value)| (name.clone(), string(value)))
        .collect()
}

/// All that `pattern`'s group matches in `text`.
fn found(pattern: &str, text: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).expect("a pattern of ours");
    pattern
        .captures_iter(text)
        .map(|found| found[1].to_owned())
        .collect()
}

#[test]
fn every_snippet_is_tried() {
    let folder = fs::read_dir("api/ci").expect("a folder");
    let names = folder.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.into_string().expect("ASCII"))
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["Jenkinsfile", "github.yaml", "gitlab.yaml", "tekton.yaml"]
    );
}

#[test]
fn github_actions() {
    let workflow = documents("github.yaml").remove(0);
    let judge = &workflow["jobs"]["judge"];
    let steps = judge["steps"].as_array().expect("steps");
    let step = steps
        .iter()
        .find(|step| step["id"] == "canary")
        .expect("the step");
    let default = &workflow["on"]["workflow_dispatch"]["inputs"]["service"]["default"];
    assert_eq!(default, SERVICE);
    for (behaviour, code, phase) in CANARIES {
        let mut runner = Runner::new(behaviour);
        for (name, value) in strings(&step["env"]) {
            let value = value.replace("${{ inputs.service }}", SERVICE);
            runner.set(
                &name,
                &value.replace("${{ vars.SKYGATE_OAP }}", "http://oap:12800"),
            );
        }
        runner.set("GITHUB_ACTIONS", "true");
        for name in ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"] {
            let path = runner.file(name);
            runner.set(name, path.to_str().expect("ASCII"));
        }
        let script = step["run"].as_str().expect("a script");
        assert!(!script.contains("${{"), "{script}");
        let ended = runner.run(script);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        // Whatever later jobs ask for is among the outputs.
        let outputs = runner.read("GITHUB_OUTPUT");
        for asked in strings(&judge["outputs"]).values() {
            let names = found(r"^\$\{\{ steps\.canary\.outputs\.([a-z]+) \}\}$", asked);
            assert!(
                outputs.contains(&format!("{}=", names[0])),
                "{asked}: {outputs}"
            );
        }
        assert!(
            outputs.starts_with(&format!("phase={phase}\n")),
            "{outputs}"
        );
        assert!(
            runner
                .read("GITHUB_STEP_SUMMARY")
                .starts_with(&format!("## {phase}: apdex\n"))
        );
        let artifact = steps.iter().find_map(|step| step["with"]["path"].as_str());
        assert!(
            runner
                .read(artifact.expect("an artifact"))
                .contains("<testsuite ")
        );
    }
    let asked = found(r"needs\.judge\.outputs\.([a-z]+)", &text("github.yaml"));
    assert_eq!(asked.len(), 4);
    for name in asked {
        assert!(judge["outputs"].get(&name).is_some(), "{name}");
    }
}

#[test]
fn gitlab() {
    let job = documents("gitlab.yaml").remove(0)["canary"].take();
    let lines = job["script"].as_array().expect("lines");
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.as_str().expect("a line"))
        .collect();
    for (behaviour, code, phase) in CANARIES {
        let mut runner = Runner::new(behaviour);
        for (name, value) in strings(&job["variables"]) {
            runner.set(&name, &value);
        }
        let ended = runner.run(&lines.join("\n"));
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert!(ended.stdout.starts_with(phase), "{ended:#?}");
        let artifacts = &job["artifacts"];
        let report = artifacts["reports"]["junit"].as_str().expect("a report");
        assert!(runner.read(report).contains("<testsuite "));
        for path in artifacts["paths"].as_array().expect("paths") {
            assert!(runner.read(path.as_str().expect("a path")).contains(phase));
        }
    }
    assert_eq!(job["allow_failure"], false);
    let mut runner = Runner::without_evidence();
    for (name, value) in strings(&job["variables"]) {
        runner.set(&name, &value);
    }
    let ended = runner.run(&lines.join("\n"));
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.stdout.starts_with("Successful"), "{ended:#?}");
}

#[test]
fn tekton() {
    let documents = documents("tekton.yaml");
    let [task, pipeline] = documents.as_slice() else {
        panic!("a Task and a Pipeline were expected")
    };
    let step = &task["spec"]["steps"][0];
    let default = |name: &str| {
        let params = task["spec"]["params"].as_array().expect("params");
        let param = params.iter().find(|param| param["name"] == name);
        let param = param.unwrap_or_else(|| panic!("no param {name}"));
        param["default"].as_str().expect("a default").to_owned()
    };
    assert_eq!(default("service"), SERVICE);
    let judge = |mut runner: Runner| {
        for variable in step["env"].as_array().expect("variables") {
            let value = variable["value"].as_str().expect("a value");
            let names = found(r"^\$\(params\.([a-z-]+)\)$", value);
            runner.set(
                variable["name"].as_str().expect("a name"),
                &default(&names[0]),
            );
        }
        let mut script = step["script"].as_str().expect("a script").to_owned();
        for result in ["verdict", "code"] {
            let path = runner.file(result);
            script = script.replace(
                &format!("$(results.{result}.path)"),
                path.to_str().expect("ASCII"),
            );
        }
        assert!(!script.contains("$("), "{script}");
        let ended = runner.run(&script);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let results = ["verdict", "code"].map(|name| (name.to_owned(), runner.read(name)));
        BTreeMap::from(results)
    };
    let words = declared(&task["spec"]["results"]);
    let mut ends = Vec::new();
    for (behaviour, code, phase) in CANARIES {
        let results = judge(Runner::new(behaviour));
        assert_eq!(results["verdict"], phase);
        assert_eq!(results["code"], code.to_string());
        ends.push(follow(pipeline, &words, &results));
    }
    let results = judge(Runner::without_evidence());
    assert_eq!(results["verdict"], "Successful");
    ends.push(follow(pipeline, &words, &results));
    assert_eq!(
        ends,
        [
            vec!["promote"],
            vec!["roll-back", "not-promoted"],
            vec!["not-promoted"],
            vec!["not-promoted"],
        ]
    );
    let last = &pipeline["spec"]["finally"][0]["taskSpec"]["steps"][0]["script"];
    let ended = Runner::new("healthy").run(last.as_str().expect("a script"));
    assert_eq!(ended.code, Some(1), "{ended:#?}");
}

/// What each of a Task's results may be.
fn declared(results: &Value) -> BTreeMap<&str, &str> {
    let results = results.as_array().expect("results");
    results
        .iter()
        .map(|result| {
            let name = result["name"].as_str().expect("a name");
            (name, result["description"].as_str().expect("a description"))
        })
        .collect()
}

/// The tasks of `pipeline` that are run once `canary` has come to `results`, in order.
fn follow<'a>(
    pipeline: &'a Value,
    declared: &BTreeMap<&str, &str>,
    results: &BTreeMap<String, String>,
) -> Vec<&'a str> {
    let tasks = ["tasks", "finally"].map(|field| pipeline["spec"][field].as_array());
    let tasks = tasks.into_iter().flat_map(|tasks| tasks.expect("tasks"));
    let is_run = |task: &&Value| {
        let mut conditions = task["when"].as_array().into_iter().flatten();
        conditions.all(|when| {
            let input = when["input"].as_str().expect("an input");
            let names = found(r"^\$\(tasks\.canary\.results\.([a-z]+)\)$", input);
            let values: Vec<&str> = when["values"]
                .as_array()
                .expect("values")
                .iter()
                .map(|value| value.as_str().expect("a string"))
                .collect();
            for value in &values {
                assert!(declared[names[0].as_str()].contains(value), "{value}");
            }
            let is_in = values.contains(&results[&names[0]].as_str());
            match when["operator"].as_str() {
                Some("in") => is_in,
                Some("notin") => !is_in,
                other => panic!("{other:?}"),
            }
        })
    };
    tasks
        .filter(|task| task.get("when").is_some())
        .filter(is_run)
        .map(|task| task["name"].as_str().expect("a name"))
        .collect()
}

#[test]
fn jenkins() {
    let file = text("Jenkinsfile");
    assert_eq!(file.matches('{').count(), file.matches('}').count());
    let [script] = found(r"(?s)script: '''\n(.*?)'''", &file)
        .try_into()
        .expect("one script");
    let [report] = found(r"junit '([^']*)'", &file)
        .try_into()
        .expect("one report");
    let [service] = found(r"name: 'SERVICE', defaultValue: '([^']*)'", &file)
        .try_into()
        .expect("one parameter");
    let [oap] = found(r"SKYGATE_OAP = '([^']*)'", &file)
        .try_into()
        .expect("one address");
    for (behaviour, code, phase) in CANARIES {
        let mut runner = Runner::new(behaviour);
        runner.set("SERVICE", &service);
        runner.set("SKYGATE_OAP", &oap);
        let ended = runner.run(&script);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert!(ended.stdout.starts_with(phase), "{ended:#?}");
        assert!(runner.read(&report).contains("<testsuite "));
    }
    let mut runner = Runner::without_evidence();
    runner.set("SERVICE", &service);
    runner.set("SKYGATE_OAP", &oap);
    let ended = runner.run(&script);
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    // A build that is only unstable goes on with its next stage.
    assert!(!file.contains("unstable("));
}

/// A script is run by a shell and finds `skygate` by its name: the image of one static file has neither.
#[test]
fn every_snippet_names_the_image_with_a_shell() {
    for name in ["Jenkinsfile", "github.yaml", "gitlab.yaml", "tekton.yaml"] {
        let text = text(name);
        assert!(text.contains("docker build --target ci "), "{name}");
        let images = found(r"registry\.example\.com/([a-z-]+):", &text);
        assert!(images.iter().all(|image| image == "skygate-ci"), "{name}");
        assert!(!images.is_empty(), "{name}");
    }
}
