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
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "deploy"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        fs::copy(APDEX, at("deploy/apdex.yaml")).expect("a template");
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
        let allowed = job["allow_failure"]["exit_codes"]
            .as_array()
            .expect("codes");
        assert_eq!(allowed.contains(&code.into()), phase == "Inconclusive");
    }
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
    for (behaviour, _, phase) in CANARIES {
        let mut runner = Runner::new(behaviour);
        for variable in step["env"].as_array().expect("variables") {
            let value = variable["value"].as_str().expect("a value");
            let names = found(r"^\$\(params\.([a-z-]+)\)$", value);
            runner.set(
                variable["name"].as_str().expect("a name"),
                &default(&names[0]),
            );
        }
        let result = runner.file("verdict");
        let script = step["script"].as_str().expect("a script");
        let script = script.replace("$(results.verdict.path)", result.to_str().expect("ASCII"));
        assert!(!script.contains("$("), "{script}");
        let ended = runner.run(&script);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(runner.read("verdict"), phase);
    }
    let results = &task["spec"]["results"];
    assert_eq!(results[0]["name"], "verdict");
    let words = results[0]["description"].as_str().expect("a description");
    for task in pipeline["spec"]["tasks"].as_array().expect("tasks") {
        for when in task["when"].as_array().into_iter().flatten() {
            assert_eq!(when["input"], "$(tasks.canary.results.verdict)");
            for value in when["values"].as_array().expect("values") {
                assert!(words.contains(value.as_str().expect("a word")), "{value}");
            }
        }
    }
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
}
