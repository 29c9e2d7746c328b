//! Traffic routers: the rules that they share, and what each does to its own world.

mod api_stub;
pub(crate) mod corpus;
mod file;
mod file_laws;
mod istio;
mod rules;
mod webhook;

use std::path::PathBuf;

use serde_json::{Value, json};
use skygate::domain::routes::{
    Choice, ObjectName, Owner, Routed, Subsets, Traffic, Versions, Weight,
};
use skygate::ports::{RouterError, Shift, Shifted, TrafficRouter};
use skygate::routers::file::FileRouter;
use tempfile::TempDir;

use crate::harness::HandClock;

pub(crate) fn weight(percent: u8) -> Weight {
    Weight::new(percent).expect("at most 100")
}

pub(crate) fn owner() -> Owner {
    Owner {
        namespace: "bookinfo".to_owned(),
        name: "reviews-rollout".to_owned(),
    }
}

/// The subsets of the seed.
pub(crate) fn subsets() -> Versions {
    Versions {
        subsets: Some(Subsets {
            rule: "reviews".to_owned(),
            canary: "canary".to_owned(),
            stable: "stable".to_owned(),
            additional: Vec::new(),
        }),
        ..Versions::default()
    }
}

pub(crate) fn services() -> Versions {
    Versions {
        canary_service: Some("canary-svc".to_owned()),
        stable_service: Some("stable-svc".to_owned()),
        subsets: None,
    }
}

pub(crate) fn named(name: &str) -> ObjectName {
    ObjectName::written(name, "bookinfo").expect("a name")
}

/// The VirtualService `reviews` with `versions`, no routes listed.
pub(crate) fn traffic(versions: Versions) -> Traffic {
    Traffic {
        owner: owner(),
        versions,
        virtual_services: vec![Routed {
            name: named("reviews"),
            choice: Choice::default(),
        }],
        takes_routes: false,
    }
}

/// A shift to `percent` under the lease `fence`.
pub(crate) fn shift(percent: u8, fence: u64) -> Shift {
    Shift {
        canary: weight(percent),
        fence,
        revision: "v2".to_owned(),
        step: 0,
        is_unsaved: false,
        is_last: false,
        change: 1,
    }
}

/// A VirtualService `reviews` with these HTTP routes.
pub(crate) fn virtual_service(http: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "bookinfo"},
        "spec": {"hosts": ["reviews"], "http": http},
    })
}

/// Two destinations by subset, as the seed has them.
pub(crate) fn destinations(stable: u8, canary: u8) -> Value {
    json!([
        {"destination": {"host": "reviews", "subset": "stable"}, "weight": stable},
        {"destination": {"host": "reviews", "subset": "canary"}, "weight": canary},
    ])
}

/// A folder with a manifest in it, and a router of it.
pub(crate) struct Manifest {
    folder: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) router: FileRouter,
}

impl Manifest {
    pub(crate) fn new(text: &str, traffic: Traffic) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mesh.yaml");
        std::fs::write(&path, text).expect("a file");
        let clock = HandClock::new();
        Self {
            router: FileRouter::new(traffic, vec![path.clone()], clock),
            path,
            folder,
        }
    }

    pub(crate) fn seed() -> Self {
        Self::new(&seed(), traffic(subsets()))
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.path).expect("a text")
    }

    pub(crate) async fn set(&self, percent: u8, fence: u64) -> Result<Shifted, RouterError> {
        self.router.set(&shift(percent, fence)).await
    }

    /// The names in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("a folder");
        entries
            .map(|entry| {
                let name = entry.expect("an entry").file_name();
                name.to_string_lossy().into_owned()
            })
            .collect()
    }
}

/// The seed's manifest.
pub(crate) fn seed() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/seed/mesh.yaml");
    std::fs::read_to_string(path).expect("the seed is in the repository")
}

/// The lines that differ, as `- old` and `+ new`.
pub(crate) fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut longest = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] = if old[i] == new[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || longest[i + 1][j] >= longest[i][j + 1]) {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines
}
