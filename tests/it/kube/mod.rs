//! The router for clusters against a real Kubernetes API server, which `tests/kube/run.sh` starts.
//!
//! Without one these tests say that they were skipped. Each works in a namespace of its own, so they run side by side;
//! those that take the server or the kinds away wait until they are alone.

mod api;
mod faults;
mod stepping;
mod stories;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Once};
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use skygate::clock::SystemClock;
use skygate::domain::routes::{ObjectName, Traffic, Versions};
use skygate::routers::istio::{IstioRouter, KubeOptions, connect};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::routers::{destinations, traffic, virtual_service};

const ISTIO: &str = include_str!("../../kube/istio.yaml");

/// Where the server's kubeconfig is.
const VARIABLE: &str = "SKYGATE_TEST_KUBECONFIG";

/// Held for writing by whoever takes away what the others need.
static SERVER: RwLock<()> = RwLock::const_new(());
static READY: OnceCell<()> = OnceCell::const_new();

/// What keeps the server as it is for as long as a test runs.
enum Held {
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

/// The server, and a namespace in it.
struct Cluster {
    folder: PathBuf,
    admin: Client,
    namespace: String,
    _held: Held,
}

impl Cluster {
    /// The server with a new namespace; `None` without a server, which is said.
    async fn shared(namespace: &str) -> Option<Self> {
        let folder = folder()?;
        Some(Self::open(folder, namespace, Held::Shared(SERVER.read().await)).await)
    }

    /// The same, with no other test at work.
    async fn alone(namespace: &str) -> Option<Self> {
        let folder = folder()?;
        Some(Self::open(folder, namespace, Held::Alone(SERVER.write().await)).await)
    }

    async fn open(folder: PathBuf, namespace: &str, held: Held) -> Self {
        let admin = client(&folder, "admin").await;
        let cluster = Self {
            folder,
            admin,
            namespace: namespace.to_owned(),
            _held: held,
        };
        READY
            .get_or_init(|| async {
                cluster.until_ready().await;
                cluster.define_istio().await;
            })
            .await;
        let manifest = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
        });
        cluster.create("/api/v1/namespaces", &manifest).await;
        cluster
    }

    /// The traffic of the rollout in this namespace: the VirtualService `reviews`.
    fn traffic(&self, versions: Versions) -> Traffic {
        let mut traffic = traffic(versions);
        traffic.owner.namespace.clone_from(&self.namespace);
        traffic.virtual_services[0].name = self.named("reviews");
        traffic
    }

    fn named(&self, name: &str) -> ObjectName {
        ObjectName::written(name, &self.namespace).expect("a name")
    }

    /// A router in the name of `user`.
    async fn router(&self, user: &str, traffic: Traffic) -> IstioRouter {
        let client = client(&self.folder, user).await;
        IstioRouter::new(traffic, client, Arc::new(SystemClock))
    }

    /// Adds a VirtualService `reviews` with these routes.
    async fn add_routes(&self, http: &Value) -> Value {
        let mut object = virtual_service(http);
        object["metadata"]["namespace"] = json!(self.namespace);
        self.create(&self.path("virtualservices"), &object).await
    }

    /// Adds the seed's two objects: all traffic to stable.
    async fn add_seed(&self) -> Value {
        let rule = json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "DestinationRule",
            "metadata": {"name": "reviews", "namespace": self.namespace},
            "spec": {"host": "reviews", "subsets": [{"name": "stable"}, {"name": "canary"}]},
        });
        self.create(&self.path("destinationrules"), &rule).await;
        self.add_routes(&json!([{"route": destinations(100, 0)}]))
            .await
    }

    fn path(&self, plural: &str) -> String {
        let namespace = &self.namespace;
        format!("/apis/networking.istio.io/v1alpha3/namespaces/{namespace}/{plural}")
    }

    async fn reviews(&self) -> Value {
        let path = format!("{}/reviews", self.path("virtualservices"));
        self.send("GET", &path, None).await.expect("it is there")
    }

    /// Starts or kills the server's process.
    fn control(&self, what: &str) {
        let status = Command::new(self.folder.join("control"))
            .arg(what)
            .status()
            .expect("it can be run");
        assert!(status.success(), "control {what}: {status}");
    }
}

/// The folder of the server's files; `None` without a server, which is said once, where nobody swallows it.
fn folder() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let Some(kubeconfig) = std::env::var_os(VARIABLE) else {
        SAID.call_once(|| {
            let said = format!(
                "\nSKIPPED: the tests of `kube`, for want of a Kubernetes API server ({VARIABLE} isn't set; `just test-kube` brings one)\n"
            );
            let _ = std::io::stderr().write_all(said.as_bytes());
        });
        return None;
    };
    let folder = Path::new(&kubeconfig).parent().expect("a path");
    Some(folder.to_owned())
}

async fn client(folder: &Path, user: &str) -> Client {
    let options = KubeOptions {
        kubeconfig: Some(folder.join(format!("{user}.kubeconfig"))),
        context: None,
    };
    connect(&options).await.expect("a kubeconfig")
}

/// Asks again and again until there is an answer, for a minute.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not come about within a minute");
}
