//! What lies in `docker/`: no engine is needed to see that it says what the program understands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    Container, PodSpec, Probe, Secret, Service, ServiceAccount, Volume,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skygate::api::{Access, Scope, Tokens};
use skygate::documents::Documents;
use skygate::domain::analysis::{Analysis, Library, Request};
use skygate::domain::flagger::{Call, Hook};
use skygate::domain::plan::{Overrides, Plan};
use skygate::domain::spec::{Argument, Template, TemplateRef};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    serde_norway::Deserializer::from_str(&text(path))
        .map(|document| {
            Value::deserialize(document).unwrap_or_else(|error| panic!("{path}: {error}"))
        })
        .collect()
}

/// The only document of `kind` in `path`, with no field that Kubernetes doesn't know.
fn manifest<T: DeserializeOwned + Serialize>(path: &str, kind: &str) -> T {
    let found: Vec<Value> = documents(path)
        .into_iter()
        .filter(|document| document["kind"] == kind)
        .collect();
    let [written] = found.as_slice() else {
        panic!("{} documents of {kind} in {path}", found.len())
    };
    let read: T =
        serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{kind}: {error}"));
    let understood = serde_json::to_value(&read).expect("JSON");
    assert_lies_within(written, &understood, kind);
    read
}

/// Whatever is written was understood: a field that is unknown is not in what was read.
fn assert_lies_within(written: &Value, understood: &Value, at: &str) {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            for (name, value) in written {
                let at = format!("{at}.{name}");
                let other = understood
                    .get(name)
                    .unwrap_or_else(|| panic!("{at} is unknown"));
                assert_lies_within(value, other, &at);
            }
        }
        (Value::Array(written), Value::Array(understood)) => {
            assert_eq!(written.len(), understood.len(), "{at}");
            for (i, (value, other)) in written.iter().zip(understood).enumerate() {
                assert_lies_within(value, other, &format!("{at}[{i}]"));
            }
        }
        (written, understood) => assert_eq!(written, understood, "{at}"),
    }
}

/// That the program takes this command line.
fn assert_taken(args: &[String]) {
    let line = std::iter::once("skygate".to_owned()).chain(args.iter().cloned());
    if let Err(error) = skygate::cli::command().try_get_matches_from(line) {
        panic!("{args:?}: {error}");
    }
}

/// Every variable that the program or its libraries read.
fn variables() -> BTreeSet<String> {
    fn add(command: &clap::Command, found: &mut BTreeSet<String>) {
        let variables = command.get_arguments().filter_map(clap::Arg::get_env);
        found.extend(variables.map(|name| name.to_string_lossy().into_owned()));
        for command in command.get_subcommands() {
            add(command, found);
        }
    }
    let mut found: BTreeSet<String> = ["SKYGATE_TOKEN", "SSL_CERT_FILE", "TMPDIR"]
        .map(str::to_owned)
        .into();
    add(&skygate::cli::command(), &mut found);
    found
}

/// The instructions of the Dockerfile, each on one line.
fn instructions() -> Vec<(String, String)> {
    let text = text("docker/Dockerfile").replace("\\\n", " ");
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, rest) = line.split_once(' ').expect("an instruction");
            let rest: Vec<&str> = rest.split_whitespace().collect();
            (name.to_owned(), rest.join(" "))
        })
        .collect()
}

/// What of the Dockerfile makes the image that is built with `--target` this, or without one; what stands before all stages is "".
fn stage(target: Option<&str>) -> Vec<(String, String)> {
    let mut stages: Vec<(Option<String>, Vec<_>)> = vec![(Some(String::new()), Vec::new())];
    for (name, rest) in instructions() {
        if name == "FROM" {
            let target = rest.split_once(" AS ").map(|(_, target)| target.to_owned());
            stages.push((target, Vec::new()));
        }
        stages.last_mut().expect("a stage").1.push((name, rest));
    }
    let found = match target {
        Some(target) => stages
            .into_iter()
            .find(|(name, _)| name.as_deref() == Some(target)),
        None => stages.pop(),
    };
    found.expect("a stage").1
}

/// All that `name` is given in a stage.
fn given(target: Option<&str>, name: &str) -> Vec<String> {
    stage(target)
        .into_iter()
        .filter(|(given, _)| given == name)
        .map(|(_, rest)| rest)
        .collect()
}

fn only_given(target: Option<&str>, name: &str) -> String {
    let found = given(target, name);
    let [only] = found.as_slice() else {
        panic!("{name}: {found:?}")
    };
    only.clone()
}

/// Of the image that is built without a target.
fn instruction(name: &str) -> String {
    only_given(None, name)
}

#[test]
fn a_ci_system_finds_a_shell_and_the_program() {
    // Debian's has `sh` and a PATH with /usr/local/bin; nothing here takes either away.
    assert_eq!(only_given(Some("ci"), "FROM"), "debian:trixie-slim AS ci");
    let copied = given(Some("ci"), "COPY");
    assert!(
        copied.contains(&"--from=build /out/skygate /usr/local/bin/skygate".to_owned()),
        "{copied:?}"
    );
    let set = only_given(Some("ci"), "ENV");
    let certificates = set.strip_prefix("SSL_CERT_FILE=").expect("the variable");
    assert!(
        copied.iter().any(|copy| copy.ends_with(certificates)),
        "{copied:?}"
    );
    // It brings its own command, and a folder that it expects root to write to.
    for name in ["ENTRYPOINT", "CMD", "USER", "SHELL"] {
        assert_eq!(given(Some("ci"), name), [""; 0], "{name}");
    }
}

#[test]
fn the_image_is_one_static_file_that_nobody_in_particular_runs() {
    assert_eq!(
        only_given(Some("build"), "FROM"),
        "rust:${RUST}-slim AS build"
    );
    assert_eq!(instruction("FROM"), "scratch");
    let cargo: toml_of_cargo::Cargo = toml_of_cargo::read(&text("Cargo.toml"));
    assert_eq!(
        only_given(Some(""), "ARG"),
        format!("RUST={}", cargo.rust_version)
    );
    let build = only_given(Some("build"), "RUN");
    assert!(build.contains("+crt-static"));
    assert!(build.contains("--locked --bin skygate"));

    let user = instruction("USER");
    let (user, group) = user.split_once(':').expect("a user and a group");
    assert!(user.parse::<u32>().expect("a number") > 0);
    assert!(group.parse::<u32>().expect("a number") > 0);

    let entry: Vec<String> = serde_json::from_str(&instruction("ENTRYPOINT")).expect("a list");
    let command: Vec<String> = serde_json::from_str(&instruction("CMD")).expect("a list");
    assert_taken(&command);
    let copied: Vec<String> = given(None, "COPY")
        .iter()
        .filter(|rest| rest.starts_with("--from=build"))
        .map(|rest| rest.rsplit(' ').next().expect("a place").to_owned())
        .collect();
    assert_eq!(
        copied,
        ["/etc/ssl/certs/ca-certificates.crt", "/skygate", "/data"]
    );
    assert_eq!(entry, ["/skygate"]);

    let known = variables();
    let set = instruction("ENV");
    let set: Vec<(&str, &str)> = set
        .split(' ')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    for (name, _) in &set {
        assert!(known.contains(*name), "nobody reads {name}");
    }
    let listen = set
        .iter()
        .find(|(name, _)| *name == "SKYGATE_LISTEN")
        .expect("it listens")
        .1;
    assert_eq!(
        listen.rsplit(':').next(),
        Some(instruction("EXPOSE").as_str())
    );
}

/// The two lines of the manifest that matter here.
mod toml_of_cargo {
    pub(super) struct Cargo {
        pub(super) rust_version: String,
    }

    pub(super) fn read(text: &str) -> Cargo {
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("rust-version = \""))
            .and_then(|rest| rest.strip_suffix('"'));
        Cargo {
            rust_version: version.expect("a version").to_owned(),
        }
    }
}

/// Every file that the sources bring in is sent to the builder.
#[test]
fn nothing_that_the_build_needs_is_left_out_of_its_context() {
    let rules = text(".dockerignore");
    let sent: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    for path in &sent {
        assert!(root().join(path).exists(), "{path} does not exist");
    }
    for needed in ["Cargo.toml", "Cargo.lock", "src", "queries"] {
        assert!(sent.contains(&needed), "{needed} is not sent");
    }
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(source) = fs::read_to_string(&path) else {
                continue;
            };
            for included in included(&source) {
                let file = path.parent().expect("a folder").join(included);
                let file = file
                    .canonicalize()
                    .unwrap_or_else(|error| panic!("{file:?}: {error}"));
                let below = file.strip_prefix(root()).expect("a file of ours");
                assert!(
                    sent.iter().any(|sent| below.starts_with(sent)),
                    "{below:?} is not sent"
                );
            }
        }
    }
}

/// The paths of `include_str!("…")` and `include_bytes!("…")`.
fn included(source: &str) -> impl Iterator<Item = PathBuf> {
    source
        .split("include_")
        .skip(1)
        .filter_map(|rest| {
            rest.strip_prefix("str!(\"")
                .or(rest.strip_prefix("bytes!(\""))
        })
        .filter_map(|rest| rest.split('"').next())
        .map(PathBuf::from)
}

/// The words of a command, be it a list or a text.
fn words(command: &Value) -> Vec<String> {
    match command {
        Value::Null => Vec::new(),
        Value::Array(items) => {
            let word = |item: &Value| item.as_str().expect("a word").to_owned();
            items.iter().map(word).collect()
        }
        other => panic!("{other}: a list is clearer"),
    }
}

#[test]
fn the_compose_demo_says_what_the_program_understands() {
    let [compose] = documents("docker/compose.yaml")
        .try_into()
        .expect("one document");
    let services = compose["services"].as_object().expect("services");
    let known = variables();
    let mut built = 0;
    for (name, service) in services {
        let is_ours = service["image"] == "skygate";
        if !is_ours {
            // Nobody who only wants the demo waits for the images of others.
            assert_eq!(
                service["profiles"],
                serde_json::json!(["dashboards"]),
                "{name}"
            );
        }
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        if is_ours {
            assert_taken(&words(&service["command"]));
        }
        for variable in service["environment"].as_object().into_iter().flatten() {
            assert!(
                !is_ours || known.contains(variable.0),
                "{name}: nobody reads {}",
                variable.0
            );
        }
        for other in words(&service["depends_on"]) {
            assert!(services.contains_key(&other), "{name} depends on {other}");
        }
        if let Some(build) = service.get("build") {
            built += 1;
            let context = root()
                .join("docker")
                .join(build["context"].as_str().expect("a path"));
            assert!(
                context
                    .join(build["dockerfile"].as_str().expect("a path"))
                    .exists()
            );
        }
        for volume in words(&service["volumes"]) {
            let mut parts = volume.split(':');
            let (from, to) = (
                parts.next().expect("a source"),
                parts.next().expect("a place"),
            );
            if from.starts_with('.') {
                assert!(root().join("docker").join(from).exists(), "{from}");
                if is_ours {
                    assert_files_are_mounted(&words(&service["command"]), from, to);
                }
            } else {
                assert!(compose["volumes"].get(from).is_some(), "{from}");
            }
        }
        // Nobody outside this machine reaches what is open to everybody.
        for port in words(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
    assert_eq!(built, 1);
}

#[test]
fn the_dashboards_of_the_compose_demo_find_what_they_show() {
    let only = |path: &str| -> Value {
        let [document] = documents(path).try_into().expect("one document");
        document
    };
    let compose = only("docker/compose.yaml");
    let mounted =
        |service: &str| -> Vec<String> { words(&compose["services"][service]["volumes"]) };
    // Prometheus reads its folder, the rules beside its configuration, and scrapes the service.
    assert!(mounted("prometheus").contains(&"./prometheus:/etc/prometheus:ro".to_owned()));
    let prometheus = only("docker/prometheus/prometheus.yaml");
    for rules in words(&prometheus["rule_files"]) {
        assert!(
            root().join("docker/prometheus").join(&rules).exists(),
            "{rules}"
        );
    }
    let target = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"];
    assert_eq!(words(target), ["skygate:8480"]);
    // Grafana has the dashboard where it looks for it, and asks that Prometheus.
    let files = mounted("grafana");
    let place = |file: &str| {
        let from = format!("./grafana/{file}:");
        let place = files.iter().find_map(|volume| volume.strip_prefix(&from));
        place.unwrap_or_else(|| panic!("{file} is not mounted"))
    };
    let provider = only("docker/grafana/provider.yaml");
    let folder = provider["providers"][0]["options"]["path"].as_str();
    assert!(place("skygate.json").starts_with(folder.expect("a folder")));
    assert!(place("provider.yaml").starts_with("/etc/grafana/provisioning/dashboards/"));
    assert!(place("datasource.yaml").starts_with("/etc/grafana/provisioning/datasources/"));
    let source = &only("docker/grafana/datasource.yaml")["datasources"][0];
    assert_eq!(source["type"], "prometheus");
    assert_eq!(source["url"], "http://prometheus:9090");
    // It asks the service itself by a plugin, which it has to get, and which it has to be able to run.
    let source = &only("docker/grafana/datasource.yaml")["datasources"][1];
    assert_eq!(source["url"], "http://skygate:8480");
    let plugin = source["type"].as_str().expect("a type");
    let grafana = &compose["services"]["grafana"];
    assert_eq!(grafana["environment"]["GF_INSTALL_PLUGINS"], plugin);
    assert!(files.contains(&"plugins:/var/lib/grafana/plugins".to_owned()));
    assert_eq!(words(&grafana["depends_on"]), ["prometheus", "skygate"]);
    // The dashboard leaves it to whoever looks which of the sources there are it asks.
    let dashboard: Value =
        serde_json::from_str(&text("docker/grafana/skygate.json")).expect("JSON");
    let variables = dashboard["templating"]["list"].as_array().expect("some");
    let mut asked = BTreeSet::new();
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let annotations = dashboard["annotations"]["list"].as_array();
    for part in panels.chain(annotations.expect("annotations")) {
        let source = &part["datasource"];
        let is_it = |variable: &&Value| {
            let name = variable["name"].as_str().expect("a name");
            source["uid"] == format!("${{{name}}}")
        };
        let variable = variables.iter().find(is_it);
        let variable = variable.unwrap_or_else(|| panic!("{source}"));
        assert_eq!(variable["type"], "datasource", "{variable}");
        assert_eq!(variable["query"], source["type"], "{variable}");
        asked.insert(source["type"].to_string());
    }
    assert_eq!(asked.len(), 2, "{asked:?}");
}

/// The parts of a service in a file for compose that are used here, by the names that compose knows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "they are read to see whether they can be")]
struct ComposeService {
    image: String,
    build: Option<ComposeBuild>,
    #[serde(default)]
    profiles: Vec<String>,
    command: Option<Vec<String>>,
    #[serde(default)]
    environment: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    tmpfs: Vec<String>,
    #[serde(default)]
    depends_on: Vec<String>,
    restart: Option<String>,
    stop_grace_period: Option<String>,
    read_only: bool,
    cap_drop: Vec<String>,
    security_opt: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "they are read to see whether they can be")]
struct ComposeBuild {
    context: String,
    dockerfile: String,
}

#[test]
fn the_compose_demo_has_no_word_that_compose_does_not_know() {
    let [compose] = documents("docker/compose.yaml")
        .try_into()
        .expect("one document");
    let parts: BTreeSet<&str> = compose
        .as_object()
        .expect("parts")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(parts, BTreeSet::from(["name", "services", "volumes"]));
    let volumes = compose["volumes"].as_object().expect("volumes");
    let mut used = BTreeSet::new();
    for (name, service) in compose["services"].as_object().expect("services") {
        let service: ComposeService = serde_json::from_value(service.clone())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        // An image of others stays the one that it was tried with.
        let is_ours = service.image == "skygate";
        assert!(is_ours || service.image.contains(':'), "{name}");
        for volume in &service.volumes {
            let (from, to) = volume.split_once(':').expect("a place");
            assert!(to.starts_with('/'), "{name}: {volume}");
            if !from.starts_with('.') {
                used.insert(from.to_owned());
            }
        }
        for port in &service.ports {
            let numbers: Vec<Result<u16, _>> = port.split(':').skip(1).map(str::parse).collect();
            assert!(
                numbers.len() == 2 && numbers.iter().all(Result::is_ok),
                "{port}"
            );
        }
    }
    assert_eq!(used, volumes.keys().cloned().collect());
}

/// Whatever file a command names is in the folder that is mounted.
fn assert_files_are_mounted(command: &[String], from: &str, to: &str) {
    let files: Vec<&str> = command
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(_, value)| value)
        .filter(|value| value.starts_with('/'))
        .collect();
    assert!(!files.is_empty(), "nothing of {from} is used");
    for file in files {
        let below = Path::new(file).strip_prefix(to).expect("a mounted file");
        assert!(
            root().join("docker").join(from).join(below).exists(),
            "{file}"
        );
    }
}

#[test]
fn the_demos_template_is_one() {
    let documents = Documents::read(text("docker/demo/template.yaml").as_bytes());
    assert_eq!(documents.all_faults(), []);
    assert_eq!(documents.templates.len(), 1);
}

const SERVICE: &str = "docker/kubernetes/skygate.yaml";

fn only(containers: &[Container]) -> &Container {
    let [container] = containers else {
        panic!("{} containers", containers.len())
    };
    container
}

/// What holds for every pod of ours.
fn assert_safe(pod: &PodSpec) {
    assert_eq!(pod.automount_service_account_token, Some(false));
    let context = pod.security_context.as_ref().expect("a context");
    assert_eq!(context.run_as_non_root, Some(true));
    let user = instruction("USER");
    let (user, group) = user.split_once(':').expect("a user and a group");
    assert_eq!(context.run_as_user, user.parse().ok());
    assert_eq!(context.run_as_group, group.parse().ok());
    let profile = context.seccomp_profile.as_ref().expect("a profile");
    assert_eq!(profile.type_, "RuntimeDefault");
    let container = only(&pod.containers);
    assert_eq!(container.image.as_deref(), Some("skygate"));
    let context = container.security_context.as_ref().expect("a context");
    assert_eq!(context.allow_privilege_escalation, Some(false));
    assert_eq!(context.read_only_root_filesystem, Some(true));
    let dropped = context
        .capabilities
        .as_ref()
        .and_then(|it| it.drop.as_deref());
    assert_eq!(dropped, Some(&["ALL".to_owned()][..]));
    let resources = container.resources.as_ref().expect("resources");
    assert!(
        resources
            .requests
            .as_ref()
            .expect("requests")
            .contains_key("cpu")
    );
    assert!(
        resources
            .limits
            .as_ref()
            .expect("limits")
            .contains_key("memory")
    );
    let known = variables();
    for variable in container.env.iter().flatten() {
        assert!(
            known.contains(&variable.name),
            "nobody reads {}",
            variable.name
        );
    }
    assert_taken(container.args.as_deref().expect("arguments"));
}

/// The value of a flag that is written `--name=value`.
fn flag<'a>(container: &'a Container, name: &str) -> &'a str {
    let mut args = container.args.iter().flatten();
    args.find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn the_service_in_a_cluster_is_complete_and_consistent() {
    let account: ServiceAccount = manifest(SERVICE, "ServiceAccount");
    let service: Service = manifest(SERVICE, "Service");
    let set: StatefulSet = manifest(SERVICE, "StatefulSet");
    let policy: NetworkPolicy = manifest(SERVICE, "NetworkPolicy");
    assert_eq!(documents(SERVICE).len(), 4);

    let spec = set.spec;
    assert_eq!(spec.replicas, Some(1), "SQLite has one writer");
    let template = spec.template;
    let labels = template
        .metadata
        .as_ref()
        .and_then(|it| it.labels.clone())
        .expect("labels");
    assert_eq!(spec.selector.match_labels.as_ref(), Some(&labels));
    assert_eq!(
        service.spec.as_ref().and_then(|it| it.selector.as_ref()),
        Some(&labels)
    );
    let policed = policy
        .spec
        .expect("a spec")
        .pod_selector
        .expect("a selector");
    assert_eq!(policed.match_labels, Some(labels));

    let pod = template.spec.expect("a spec");
    assert_safe(&pod);
    assert_eq!(pod.service_account_name, account.metadata.name);
    let container = only(&pod.containers);
    let port = container.ports.as_ref().expect("ports")[0].container_port;
    assert_eq!(flag(container, "--listen"), format!("0.0.0.0:{port}"));
    assert_eq!(port.to_string(), instruction("EXPOSE"));

    for (probe, path) in [
        (container.startup_probe.as_ref(), "/healthz"),
        (container.liveness_probe.as_ref(), "/healthz"),
        (container.readiness_probe.as_ref(), "/readyz"),
    ] {
        assert_eq!(probed(probe), path);
    }

    let mounts = container.volume_mounts.as_deref().expect("mounts");
    let mount = |name: &str| {
        let mount = mounts.iter().find(|mount| mount.name == name);
        mount.unwrap_or_else(|| panic!("{name} is mounted"))
    };
    let claims = spec.volume_claim_templates.expect("claims");
    let claimed = claims[0].metadata.name.as_deref().expect("a name");
    let store = flag(container, "--store")
        .strip_prefix("sqlite:")
        .expect("SQLite");
    assert!(
        Path::new(store).starts_with(&mount(claimed).mount_path),
        "{store}"
    );
    assert_eq!(mount(claimed).read_only, None);
    assert_eq!(flag(container, "--secrets"), mount("secrets").mount_path);
    let tokens = Path::new(flag(container, "--tokens"));
    assert_eq!(
        tokens.parent(),
        Some(Path::new(&mount("tokens").mount_path))
    );

    let volumes = pod.volumes.as_deref().expect("volumes");
    for path in secret_paths(volumes) {
        assert_eq!(path.split('/').count(), 3, "{path} is NAMESPACE/NAME/KEY");
    }
    let used: BTreeSet<&str> = mounts.iter().map(|mount| mount.name.as_str()).collect();
    let there: BTreeSet<&str> = volumes
        .iter()
        .map(|it| it.name.as_str())
        .chain([claimed])
        .collect();
    assert_eq!(used, there);
}

fn probed(probe: Option<&Probe>) -> &str {
    let get = probe.and_then(|probe| probe.http_get.as_ref());
    get.and_then(|get| get.path.as_deref()).expect("a path")
}

/// Where the volume of secrets puts them.
fn secret_paths(volumes: &[Volume]) -> Vec<&str> {
    let secrets = volumes.iter().find(|volume| volume.name == "secrets");
    let projected = secrets.and_then(|volume| volume.projected.as_ref());
    let sources = projected
        .and_then(|it| it.sources.as_deref())
        .expect("sources");
    let items = sources
        .iter()
        .filter_map(|source| source.secret.as_ref()?.items.as_deref())
        .flatten();
    items.map(|item| item.path.as_str()).collect()
}

#[test]
fn the_examples_of_secrets_are_what_the_service_mounts() {
    let path = "docker/kubernetes/secrets.example.yaml";
    let secrets: Vec<Secret> = documents(path)
        .into_iter()
        .map(|document| serde_json::from_value(document).expect("a secret"))
        .collect();
    let names: Vec<&str> = secrets
        .iter()
        .filter_map(|it| it.metadata.name.as_deref())
        .collect();
    let set = text(SERVICE);
    for name in names {
        assert!(set.contains(name), "{name} is mounted nowhere");
    }
    let tokens = secrets[0].string_data.as_ref().expect("data")["tokens"].clone();
    // As they stand they are nobody's.
    let parse = Tokens::parse;
    let error = parse(&tokens).expect_err("examples").to_string();
    assert!(error.contains("that of an example"), "{error}");
    let changed = tokens.replace("CHANGE-ME", "0123456789abcdef");
    assert_eq!(parse(&changed).expect("tokens").count(), 4);
}

#[test]
fn a_job_judges_as_a_pipeline_does() {
    let job: Job = manifest("docker/kubernetes/run.yaml", "Job");
    let spec = job.spec.expect("a spec");
    assert_eq!(spec.backoff_limit, Some(0));
    let pod = spec.template.spec.expect("a spec");
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    assert_safe(&pod);
    let service: Service = manifest(SERVICE, "Service");
    let name = service.metadata.name.expect("a name");
    let port = service.spec.expect("a spec").ports.expect("ports")[0].port;
    let server = flag(only(&pod.containers), "--server");
    assert_eq!(server, format!("http://{name}:{port}"));
}

/// The families that a text of `PromQL` names, without what a histogram's series add to them.
fn families(text: &str) -> BTreeSet<String> {
    let pattern = regex::Regex::new(r"\b(?:skygate|analysis_run)_[a-z_]+").expect("a pattern");
    pattern
        .find_iter(text)
        .map(|found| {
            let name = found.as_str();
            let family = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            family.unwrap_or(name).to_owned()
        })
        .collect()
}

#[test]
fn dashboards_and_alerts_name_families_that_there_are() {
    let declared = text("src/telemetry/metrics/mod.rs");
    for path in [
        "docker/grafana/skygate.json",
        "docker/prometheus/alerts.yaml",
    ] {
        let named = families(&text(path));
        assert!(named.len() >= 5, "{path}: {named:?}");
        for family in named {
            let is_there = declared.contains(&format!("\"{family}\""));
            assert!(is_there, "{path}: nothing counts {family}");
        }
    }
}

/// The Canary for Flagger, and what it is judged by.
fn canary() -> (Value, Template) {
    let canaries = documents("docker/flagger/canary.yaml");
    let [canary] = canaries.try_into().expect("one document");
    let read = Documents::read(text("docker/flagger/template.yaml").as_bytes());
    assert_eq!(read.all_faults(), []);
    let [template] = read.templates.try_into().expect("one template");
    (canary, template)
}

#[test]
fn the_canary_of_flagger_asks_every_hook_about_the_template_beside_it() {
    let (canary, template) = canary();
    let webhooks = canary["spec"]["analysis"]["webhooks"].as_array();
    let webhooks = webhooks.expect("webhooks");
    let mut asked = BTreeSet::new();
    for webhook in webhooks {
        let name = webhook["type"].as_str().expect("a type");
        let hook = Hook::named(name).expect("a hook");
        assert!(asked.insert(hook), "{hook} is asked twice");
        // The address of the service in `docker/kubernetes`.
        let url = format!("http://skygate.skygate:8480/flagger/{hook}");
        assert_eq!(webhook["url"], url);
        let body = serde_json::json!({
            "name": canary["metadata"]["name"],
            "namespace": canary["metadata"]["namespace"],
            "phase": "Progressing",
            "checksum": "v2",
            "metadata": webhook["metadata"],
        });
        let call = Call::read(hook, body.to_string().as_bytes(), &[]);
        let call = call.unwrap_or_else(|error| panic!("{hook}: {error}"));
        let named = call.template.expect("a template");
        assert_eq!(named.name, template.name, "{hook}");
        let namespace = template.namespace.as_deref();
        assert_eq!(namespace, Some(named.namespace.as_str()), "{hook}");
        assert!(!named.cluster_scope, "{hook}");

        // With these arguments it can be run, and has no end of its own.
        let request = Request {
            namespace: named.namespace,
            templates: vec![TemplateRef::new(template.kind, &template.name)],
            args: call
                .args
                .iter()
                .map(|(name, value)| Argument::new(name, value))
                .collect(),
            ..Request::default()
        };
        let library = Library::gather(vec![template.clone()]).expect("one template");
        let analysis = Analysis::assemble(&library, &request);
        let plan = Plan::make(&analysis, &Overrides::default(), &|_, _, _| {
            Err("there are none".to_owned())
        });
        let plan = plan.unwrap_or_else(|faults| panic!("{hook}: {faults}"));
        assert!(plan.metrics.iter().all(|metric| metric.limits.count == 0));
    }
    assert_eq!(asked.len(), Hook::ALL.len());
}

#[test]
fn the_canary_of_flagger_brings_a_token_that_the_service_is_given() {
    let secrets = documents("docker/kubernetes/secrets.example.yaml");
    let tokens = secrets[0]["stringData"]["tokens"].as_str().expect("tokens");
    let own = |text: &str| text.replace("CHANGE-ME", "0123456789abcdef");
    let tokens = Tokens::parse(&own(tokens)).expect("tokens of one's own");
    let access = Access::Tokens(Arc::new(tokens));
    let (canary, _) = canary();
    let webhooks = canary["spec"]["analysis"]["webhooks"].as_array();
    for webhook in webhooks.expect("webhooks") {
        let token = own(webhook["metadata"]["token"].as_str().expect("a token"));
        let caller = access
            .allows(Some(&token), Scope::Run)
            .expect("it may call");
        assert_eq!(caller.name(), "flagger");
        // It can be read in the Canary.
        assert!(access.allows(Some(&token), Scope::Admin).is_err());
    }
}
