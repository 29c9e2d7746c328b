//! `skygate demo`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::options::OapArgs;
use super::outcome::{Failure, Outcome as Exit, print, tell};
use super::prepare;
use super::rollout::{Played, play};
use super::serve::{Parts, RETAIN, in_memory};
use super::show;
use super::signals::interrupted;
use super::simulate::{Stage, listen};
use crate::api::{Access, Died, Limits, Service, Settings as ServiceSettings};
use crate::client::{Client, Options};
use crate::documents::rollouts;
use crate::domain::fault::Faults;
use crate::domain::plan::Overrides;
use crate::domain::rollout::{HookPolicy, Outcome, Rollout, RolloutSpec, Settings, Version};
use crate::hooks::CommandHook;
use crate::ports::Hook;
use crate::routers::file::FileRouter;
use crate::secrets::SecretFiles;
use crate::sim::Service as Simulated;
use crate::stepper::{Ended, Orders, RemoteService, Stepper};

/// The original use case, as it is in `api/examples`: its template, its rollout, and the routes that it edits.
const TEMPLATE: &str = include_str!("../../api/examples/apdex.yaml");
const ROLLOUT: &str = include_str!("../../api/examples/rollout/rollout.yaml");
const ROUTES: &str = include_str!("../../api/examples/rollout/routes.yaml");

/// The canary, as SkyWalking calls it.
const CANARY: &str = "canary|reviews|bookinfo|cp-cluster-1|-";

/// Where the template says that the OAP is.
const OAP: &str = "http://oap.istio-system:12800";

const NAMESPACE: &str = "bookinfo";

/// Roll out a good version and a bad one, with everything that takes
///
/// Needs nothing but this binary: a simulated OAP, the service, the stepper and a manifest of routes play the original use case,
/// fast. A good version is promoted through all of its steps, a bad one is rolled back by its analysis.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Demo {
    /// How many times as fast as real time it plays
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=600))]
    speed: u32,

    /// Leave the service, the OAP and the routes there at the end, until it is interrupted
    #[arg(long)]
    keep: bool,
}

const EXAMPLES: &str = "\
Examples:
  skygate demo
  skygate demo --keep --speed 30";

impl Demo {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let house = House::open(self.speed).await?;
        house.introduce(self.speed)?;
        let acts = [
            Act {
                title: "Version 2: every request is answered within 200 ms",
                version: "v2",
                is_good: true,
                expected: Outcome::Promoted,
            },
            Act {
                title: "Version 3: it is slow, and a fifth of its requests fails",
                version: "v3",
                is_good: false,
                expected: Outcome::Aborted,
            },
        ];
        for act in acts {
            if house.play(&act).await? == Ended::Held {
                return Ok(Exit::Interrupted);
            }
        }
        print("\nVersion 2 has all of the traffic; version 3 has none any more.\n")?;
        if self.keep {
            house.keep().await?;
        }
        Ok(Exit::Successful)
    }
}

/// One version and what becomes of it.
struct Act {
    title: &'static str,
    version: &'static str,
    is_good: bool,
    expected: Outcome,
}

/// Everything that a rollout needs, in this process.
struct House {
    stage: Stage,
    /// What the stage's clock showed at its beginning: scripts count from there.
    begun: jiff::Timestamp,
    url: String,
    client: Client,
    spec: Arc<RolloutSpec>,
    folder: TempDir,
    // Dropping these ends the service.
    _stop: oneshot::Sender<()>,
    _service: JoinSet<Result<(), Died>>,
}

impl House {
    async fn open(speed: u32) -> Result<Self, Failure> {
        let stage = Stage::open(vec![simulated("healthy")?], speed).await?;
        let clock = stage.clock();
        let oap = OapArgs {
            servers: vec![format!("{OAP}={}", stage.url())],
            ..OapArgs::default()
        };
        let parts = Parts {
            source: prepare::closed_oap(&oap, Arc::clone(&clock))?,
            clock: Arc::clone(&clock),
            kept: in_memory(),
            secrets: SecretFiles::of_service(None),
            overrides: Overrides::default(),
            access: Access::Loopback,
            settings: ServiceSettings::default(),
        };
        let service = Service {
            app: parts.joined(),
            limits: Limits::default(),
            retain: RETAIN,
        };
        let (listener, url) = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let mut running = JoinSet::new();
        let beside = service.app.health.stopped();
        running.spawn(service.run(listener, beside, async {
            drop(stopped.await);
        }));

        let client = Client::new(&Options::new(&url), Arc::clone(&clock));
        let client = client.map_err(Failure::broken)?;
        let applied = client.apply_templates(TEMPLATE.as_bytes().to_vec(), Some(NAMESPACE));
        applied.await?;
        let (documents, faults) = rollouts(ROLLOUT.as_bytes());
        let document = Faults::none_or(faults, documents.first())?;
        let document = document.ok_or_else(|| Failure::broken(anyhow!("there is no Rollout")))?;
        let folder = tempfile::Builder::new().prefix("skygate-demo-").tempdir();
        let folder = folder
            .context("failed to make a folder for the routes")
            .map_err(Failure::broken)?;
        std::fs::write(folder.path().join("routes.yaml"), ROUTES)
            .context("failed to write the routes")
            .map_err(Failure::broken)?;
        Ok(Self {
            begun: clock.now(),
            stage,
            url,
            client,
            spec: Arc::new(RolloutSpec::read(document)?),
            folder,
            _stop: stop,
            _service: running,
        })
    }

    fn routes(&self) -> PathBuf {
        self.folder.path().join("routes.yaml")
    }

    fn name(&self) -> &str {
        &self.spec.name
    }

    fn introduce(&self, speed: u32) -> Result<(), Failure> {
        let (url, oap, name) = (&self.url, self.stage.url(), self.name());
        let routes = self.routes();
        let routes = routes.display();
        let hour = took(Duration::from_hours(1) / speed);
        print(&format!(
            "\
New versions of `reviews` get 10, 20, 40, 60 and 80 % of its traffic, ten minutes each, and
then all of it. SkyWalking knows whoever gets it as the service
`{CANARY}`. From the second weight on an Argo AnalysisTemplate asks
for its Apdex every 5 minutes: in each of the 3 newest settled minutes it must be 9900 or more,
and more than 3 misses send all traffic back. An hour takes {hour} here.

  service  {url}
  OAP      {oap} (a simulated one)
  routes   {routes} (an Istio VirtualService)

To look on or interfere, in another terminal:

  skygate rollout get {name} -n {NAMESPACE} --server {url} --watch
  skygate rollout abort {name} -n {NAMESPACE} --server {url}
"
        ))
    }

    async fn play(&self, act: &Act) -> Result<Ended, Failure> {
        let clock = self.stage.clock();
        print(&format!("\n== {}\n\n", act.title))?;
        let passed = clock.now().duration_since(self.begun).as_secs();
        let script = if act.is_good {
            "healthy".to_owned()
        } else {
            format!("degraded@{passed}s")
        };
        self.stage.sim().set_service(simulated(&script)?);
        let begun = clock.now();
        let stepper = self.stepper(act)?;
        // Listens from now on: nothing is begun that an interrupt would miss.
        let interrupt = Box::pin(interrupted());
        let Played { ended, scene, .. } = play(&stepper, None, false, interrupt).await?;
        let ended = ended.map_err(Failure::broken)?;
        let Some(scene) = scene else {
            return Ok(ended);
        };
        let now = clock.now();
        print(&scene.draw(now))?;
        let Ended::Over(outcome) = ended else {
            return Ok(ended);
        };
        let took = took(Duration::try_from(now.duration_since(begun)).unwrap_or_default());
        let version = act.version;
        print(&match outcome {
            Outcome::Promoted => format!("\n`{version}` is the stable version after {took}.\n"),
            Outcome::Aborted => format!(
                "\n`{version}` was taken back after {took}, with no more than {} % of the traffic.\n",
                most(&scene.rollout)
            ),
            Outcome::Unconfirmed | Outcome::PromotionFailed => String::new(),
        })?;
        // Somebody may have interfered, who was invited to.
        if outcome != act.expected && scene.rollout.commands_taken == 0 {
            return Err(Failure::broken(anyhow!(
                "`{version}` came out {outcome:?} where {:?} was expected",
                act.expected
            )));
        }
        Ok(ended)
    }

    fn stepper(&self, act: &Act) -> Result<Stepper, Failure> {
        let clock = self.stage.clock();
        let traffic = self.spec.traffic(NAMESPACE);
        let traffic = traffic.ok_or_else(|| Failure::broken(anyhow!("there are no routes")))?;
        // Here a cluster would be told.
        let hook = CommandHook::new(
            "echo \"$SKYGATE_ROLLOUT_REVISION is the stable version now\"",
            Duration::from_mins(10),
            Arc::clone(&clock),
        );
        Ok(Stepper {
            service: Arc::new(RemoteService::new(
                self.client.clone(),
                NAMESPACE,
                self.name(),
            )),
            router: Arc::new(FileRouter::new(
                traffic,
                vec![self.routes()],
                Arc::clone(&clock),
            )),
            hook: Some(Arc::new(hook) as Arc<dyn Hook>),
            clock,
            orders: Orders {
                stable: Some(Version::named("v1")),
                settings: Settings {
                    hook: Some(HookPolicy::default()),
                    ..Settings::default()
                },
                ..Orders::new(
                    NAMESPACE,
                    "demo",
                    Arc::clone(&self.spec),
                    Version::named(act.version),
                )
            },
            stage: watch::Sender::new(None),
        })
    }

    /// Stays as it is until somebody interrupts.
    async fn keep(&self) -> Result<(), Failure> {
        let (url, name) = (&self.url, self.name());
        let interrupted = interrupted();
        print(&format!(
            "
The service stays, until it is interrupted. It can be asked:

  skygate rollout get {name} -n {NAMESPACE} --server {url}
  skygate runs list -n {NAMESPACE} --server {url}
  curl {url}/api/v1/rollouts/{NAMESPACE}/{name}
"
        ))?;
        interrupted.await;
        tell("");
        Ok(())
    }
}

fn simulated(script: &str) -> Result<Simulated, Failure> {
    format!("{CANARY}={script}")
        .parse()
        .map_err(Failure::broken)
}

/// The most that the canary of the current revision ever got, in percent.
fn most(rollout: &Rollout) -> u8 {
    let history = rollout.history.iter();
    let ours = history.filter(|it| it.revision == rollout.revision.number);
    ours.map(|it| it.weight.percent()).max().unwrap_or_default()
}

fn took(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => show::counted(seconds, "second"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
