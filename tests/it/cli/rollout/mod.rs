//! Rollouts from the command line: one process serves, others step, look and command.

mod hooks;
mod input;
mod interrupting;
mod looking;
mod stories;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Ended, Follow, Running, command, finish};

/// A service, and a folder with a Rollout and its routes.
struct House {
    folder: TempDir,
    url: String,
    service: Running,
}

impl House {
    /// One whose Rollout has these steps, in YAML's flow style.
    fn with_steps(steps: &str) -> Self {
        Self::with_canary(&format!("steps: [{steps}]"))
    }

    /// The same where more than the steps is said.
    fn with_canary(canary: &str) -> Self {
        let (service, url) = service("127.0.0.1:0");
        let folder = tempfile::tempdir().expect("a folder");
        let routes = "api/examples/rollout/routes.yaml";
        fs::copy(routes, folder.path().join("routes.yaml")).expect("an example");
        let house = Self {
            folder,
            url,
            service,
        };
        house.write("rollout.yaml", &rollout(canary));
        house
    }

    /// Kills the service and starts it anew, without what it had stored.
    fn forget(&mut self) {
        self.service.kill();
        let address = self.url.strip_prefix("http://").expect("an address");
        (self.service, _) = service(address);
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("a file")
    }

    /// The stable version's weight and the canary's.
    fn weights(&self) -> (u64, u64) {
        let routes = self.read("routes.yaml");
        let weights = routes
            .lines()
            .filter_map(|it| it.trim().strip_prefix("weight: "));
        let weights: Vec<u64> = weights.map(|it| it.parse().expect("a number")).collect();
        let [stable, canary] = weights[..] else {
            panic!("{routes}")
        };
        (stable, canary)
    }

    /// `skygate rollout …` about this service, in this folder.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(&[&["rollout"], args].concat());
        command
            .current_dir(self.path())
            .env("SKYGATE_SERVER", &self.url);
        command
    }

    /// `rollout run` by the file router, with more.
    fn run(&self, more: &[&str]) -> Command {
        let args = ["run", "-f", "rollout.yaml", "--router", "file:routes.yaml"];
        self.command(&[&args, more].concat())
    }

    /// Any other of its commands, done.
    fn done(&self, args: &[&str]) -> Ended {
        let (verb, more) = args.split_first().expect("a command");
        let args = [&[*verb, "reviews", "-n", "bookinfo"], more].concat();
        finish(self.command(&args), "")
    }

    /// What the service keeps of it.
    fn kept(&self) -> Value {
        let got = self.done(&["get", "-o", "json"]);
        assert_eq!(got.code, Some(0), "{got:?}");
        serde_json::from_str(&got.stdout).expect("JSON")
    }
}

/// A service without a file for its store, and where it is. The OAP that it knows never answers.
fn service(listen: &str) -> (Running, String) {
    let oap = "http://oap.istio-system:12800=http://127.0.0.1:1";
    let args = [
        "serve", "--listen", listen, "--store", "memory:", "--oap", oap,
    ];
    let service = Running::start(command(&args), Follow::Stdout);
    let url = service.line_with("http://");
    (service, url)
}

fn rollout(canary: &str) -> String {
    format!(
        "\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: reviews, namespace: bookinfo}}
spec:
  strategy:
    canary:
      trafficRouting:
        istio:
          virtualService: {{name: reviews}}
          destinationRule: {{name: reviews, canarySubsetName: canary, stableSubsetName: stable}}
      {canary}
"
    )
}
