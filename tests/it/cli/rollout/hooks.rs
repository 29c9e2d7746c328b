//! The hooks of `api/examples/rollout`: what they do, and that it is as good done twice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::House;
use crate::cli::process::{Ended, finish, prepared};

const IMAGE: &str = "registry:5000/a&b/reviews:v2";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("api/examples/rollout")
        .join(name)
}

/// A hook as the stepper runs it, with more on its path.
fn hook(name: &str, path: Option<&Path>) -> Command {
    let mut command = prepared(Command::new(example(name)));
    command
        .env("SKYGATE_ROLLOUT_NAMESPACE", "bookinfo")
        .env("SKYGATE_ROLLOUT_NAME", "reviews")
        .env("SKYGATE_ROLLOUT_REVISION", "v2")
        .env("SKYGATE_ROLLOUT_IMAGE", IMAGE)
        .env(
            "SKYGATE_ROLLOUT_KEY",
            "rollout/bookinfo/reviews/1/0/1/promote",
        );
    if let Some(path) = path {
        command.env("PATH", with(path));
    }
    command
}

fn with(path: &Path) -> std::ffi::OsString {
    let mut found = path.as_os_str().to_owned();
    found.push(":");
    found.push(std::env::var_os("PATH").unwrap_or_default());
    found
}

/// A `kubectl` that writes down what it is told, and fails where a file `fail` is beside it.
fn fake_kubectl(folder: &Path) {
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho \"$*\" >>calls\nif [ -e fail ]; then echo no rights >&2; exit 1; fi\n";
    let path = folder.join("kubectl");
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an own file");
}

fn succeeded(command: Command) -> Ended {
    let ended = finish(command, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

#[test]
fn kubectl_gives_the_stable_deployment_the_image_and_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    fake_kubectl(folder.path());
    let run = || finish(hook("promote-kubectl.sh", Some(folder.path())), "");
    for _ in 0..2 {
        let ended = run();
        assert_eq!(
            (ended.code, ended.stdout),
            (Some(0), format!("deployment/reviews-stable runs {IMAGE}\n"))
        );
        let calls = fs::read_to_string(folder.path().join("calls")).expect("calls");
        fs::remove_file(folder.path().join("calls")).expect("a file");
        assert_eq!(
            calls,
            format!(
                "--namespace bookinfo set image deployment/reviews-stable *={IMAGE}\n\
                 --namespace bookinfo rollout status deployment/reviews-stable --timeout=8m\n"
            )
        );
    }
    fs::write(folder.path().join("fail"), "").expect("written");
    let ended = run();
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains("no rights"), "{ended:?}");
}

#[test]
fn a_hook_without_an_image_says_which_flag_gives_one() {
    for name in ["promote-kubectl.sh", "promote-git.sh"] {
        let mut command = hook(name, None);
        command.env("SKYGATE_ROLLOUT_IMAGE", "");
        let ended = finish(command, "");
        assert_ne!(ended.code, Some(0), "{name}");
        assert!(ended.stderr.contains("give --image"), "{ended:?}");
    }
}

#[test]
fn the_stepper_runs_the_example() {
    let house = House::with_steps("{setWeight: 50}");
    fake_kubectl(house.path());
    let hook = example("promote-kubectl.sh");
    let hook = hook.to_str().expect("a path");
    let mut run = house.run(&["--image", IMAGE, "--on-promote", hook]);
    run.env("PATH", with(house.path()));
    succeeded(run);
    assert!(house.read("calls").contains(IMAGE));
    assert_eq!(house.weights(), (100, 0));
}

/// A repository that others push to as well.
struct Remote {
    folder: tempfile::TempDir,
}

impl Remote {
    /// `None` where there is no git.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Self { folder };
        if Command::new("git").arg("--version").output().is_err() {
            eprintln!("skipped: there is no git");
            return None;
        }
        remote.git(&[
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            "deploy.git",
        ]);
        remote.git(&["clone", "--quiet", "deploy.git", "work"]);
        let manifest = "spec:\n  image: registry:5000/reviews:v1  # stable\n---\nspec:\n  image: registry:5000/reviews:v1\n";
        remote.push("reviews.yaml", manifest);
        Some(remote)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = prepared(Command::new("git"));
        command.args(args).current_dir(self.path());
        succeeded(self.identified(command)).stdout
    }

    /// With a name to commit by, and nobody's settings.
    fn identified(&self, mut command: Command) -> Command {
        command
            .env("HOME", self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "skygate")
                .env(format!("GIT_{role}_EMAIL"), "skygate@localhost");
        }
        command
    }

    fn push(&self, name: &str, text: &str) {
        fs::write(self.path().join("work").join(name), text).expect("written");
        self.git(&["-C", "work", "add", name]);
        self.git(&["-C", "work", "commit", "--quiet", "-m", name]);
        self.git(&["-C", "work", "push", "--quiet", "origin", "HEAD:main"]);
    }

    fn hook(&self, wait: &str) -> Command {
        let mut command = hook("promote-git.sh", None);
        command
            .env("REPOSITORY", self.path().join("deploy.git"))
            .env("MANIFEST", "reviews.yaml")
            .env("WAIT", wait);
        self.identified(command)
    }

    fn show(&self, what: &str) -> String {
        self.git(&["--git-dir=deploy.git", "show", "--format=%B", what])
    }

    fn commits(&self) -> usize {
        let log = self.git(&["--git-dir=deploy.git", "log", "--oneline", "main"]);
        log.lines().count()
    }
}

#[test]
fn git_gets_one_commit_however_often_it_is_run() {
    let Some(remote) = Remote::new() else { return };
    let ended = succeeded(remote.hook("echo waited"));
    assert_eq!(ended.stdout, format!("main has {IMAGE} now\nwaited\n"));
    assert_eq!(
        remote.show("main:reviews.yaml"),
        format!(
            "spec:\n  image: {IMAGE}  # stable\n---\nspec:\n  image: registry:5000/reviews:v1\n"
        )
    );
    let commit = remote.show("main");
    assert!(
        commit.starts_with(
            "reviews: v2 is the stable version\n\nRollout: rollout/bookinfo/reviews/1/0/1/promote\n"
        ),
        "{commit}"
    );
    let again = succeeded(remote.hook("echo waited"));
    assert_eq!(again.stdout, format!("main has {IMAGE} already\nwaited\n"));
    assert_eq!(remote.commits(), 2);
    // It is not done before the cluster has it.
    assert_ne!(finish(remote.hook("exit 7"), "").code, Some(0));
}

#[test]
fn git_lets_others_push_in_between() {
    let Some(remote) = Remote::new() else { return };
    // The first push is refused: somebody else was there.
    let refusing = remote.path().join("deploy.git/hooks/update");
    let script =
        "#!/bin/sh\nif [ ! -e \"$GIT_DIR/met\" ]; then touch \"$GIT_DIR/met\"; exit 1; fi\n";
    fs::write(&refusing, script).expect("written");
    fs::set_permissions(&refusing, fs::Permissions::from_mode(0o755)).expect("an own file");
    succeeded(remote.hook(""));
    assert_eq!(remote.commits(), 2);
}

#[test]
fn git_says_where_it_finds_no_image() {
    let Some(remote) = Remote::new() else { return };
    remote.push("reviews.yaml", "spec: {}\n");
    let ended = finish(remote.hook(""), "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("no line of reviews.yaml ends in '# stable'"),
        "{ended:?}"
    );
}

#[test]
fn a_hook_sees_no_credentials() {
    let house = House::with_steps("{setWeight: 50}");
    let mut run = house.run(&["--revision", "v2", "--on-promote", "env > seen"]);
    let secrets = [
        ("SKYGATE_TOKEN", "hunter2-token"),
        ("SKYGATE_SECRET_OAP_TOKEN", "hunter2-secret"),
        ("SKYGATE_SECRETS", "/hunter2-folder"),
        ("SKYGATE_OAP_TOKEN_FILE", "/hunter2-oap"),
        ("SKYGATE_WEBHOOK_SECRET", "hunter2-webhook"),
    ];
    run.envs(secrets)
        .env("KUBECONFIG", "/home/jane/.kube/config");
    let ended = finish(run, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let seen = house.read("seen");
    assert!(!seen.contains("hunter2"), "{seen}");
    for (name, _) in secrets {
        assert!(!seen.contains(name), "{name}: {seen}");
    }
    // What its own tools need it has.
    assert!(
        seen.contains("KUBECONFIG=/home/jane/.kube/config\n"),
        "{seen}"
    );
    assert!(seen.contains("SKYGATE_ROLLOUT_REVISION=v2\n"), "{seen}");
}
