//! The original use case end to end: its three files, a simulated OAP, the service and the client over sockets, the file router.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use skygate::client::{Client, Options, RolloutName};
use skygate::documents::rollouts;
use skygate::domain::rollout::{
    Command, HookPolicy, Outcome, Rollout, RolloutSpec, Settings, Version,
};
use skygate::hooks::CommandHook;
use skygate::ports::{Clock, Hook};
use skygate::routers::file::FileRouter;
use skygate::stepper::{Ended, Orders, RemoteService, Stepper, StepperError};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::harness::{LIMIT, Served};

const ROLLOUT: &str = include_str!("../../data/seed/rollout.yaml");
const ANALYSIS: &str = include_str!("../../data/seed/analysis.yaml");
const MESH: &str = include_str!("../../data/seed/mesh.yaml");
const CANARY: &str = "canary|reviews|bookinfo|cp-cluster-1|-";

const REVIEWS: RolloutName<'static> = RolloutName {
    namespace: "bookinfo",
    name: "reviews-rollout",
};

struct Bookinfo {
    served: Served,
    client: Client,
    folder: TempDir,
}

impl Bookinfo {
    /// The use case, with a canary that plays by this script.
    async fn playing(script: &str) -> Self {
        let (served, _) = Served::simulated(&[&format!("{CANARY}={script}")]).await;
        let clock = Arc::clone(&served.app.ports.clock);
        let client = Client::new(&Options::new(&served.url), clock).expect("usable options");
        let applied = client.apply_templates(ANALYSIS.as_bytes().to_vec(), Some("bookinfo"));
        applied.await.expect("a valid template");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("mesh.yaml"), MESH).expect("a file");
        Self {
            served,
            client,
            folder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.served.app.ports.clock)
    }

    /// A stepper of `version`, whose hook writes down what it is called for.
    fn stepper(&self, holder: &str, version: &str) -> Stepper {
        let (documents, faults) = rollouts(ROLLOUT.as_bytes());
        assert_eq!(faults, []);
        let spec = Arc::new(RolloutSpec::read(&documents[0]).expect("no faults"));
        let traffic = spec.traffic("bookinfo").expect("trafficRouting.istio");
        let file = self.path().join("mesh.yaml");
        let command = format!(
            "echo \"$SKYGATE_ROLLOUT_REVISION $SKYGATE_ROLLOUT_KEY\" >> {}/promoted",
            self.path().display()
        );
        Stepper {
            service: Arc::new(RemoteService::new(
                self.client.clone(),
                REVIEWS.namespace,
                REVIEWS.name,
            )),
            router: Arc::new(FileRouter::new(traffic, vec![file], self.clock())),
            hook: Some(Arc::new(CommandHook::new(
                command,
                Duration::from_mins(1),
                self.clock(),
            )) as Arc<dyn Hook>),
            clock: self.clock(),
            orders: Orders {
                settings: Settings {
                    hook: Some(HookPolicy::default()),
                    ..Settings::default()
                },
                ..Orders::new(REVIEWS.namespace, holder, spec, Version::named(version))
            },
            stage: watch::Sender::new(None),
        }
    }

    async fn play(&self, stepper: &Stepper) -> Result<Ended, StepperError> {
        let (_interrupt, interrupts) = mpsc::channel(1);
        let played = tokio::time::timeout(LIMIT, stepper.run(interrupts));
        played.await.expect("it ends in time")
    }

    /// Plays until the rollout is at `step`, and is gone then without a word; how it ended where it came to its end before.
    async fn play_up_to(&self, stepper: &Stepper, step: usize) -> Option<Ended> {
        let mut scenes = stepper.stage.subscribe();
        let reached = scenes.wait_for(|scene| {
            let rollout = scene.as_ref().map(|scene| &scene.rollout);
            rollout.is_some_and(|rollout| rollout.step == step)
        });
        tokio::select! {
            biased;
            ended = self.play(stepper) => Some(ended.expect("it may go on")),
            reached = reached => {
                drop(reached.expect("it is there"));
                None
            }
        }
    }

    async fn rollout(&self) -> Rollout {
        let kept = self.client.rollout(REVIEWS).await.expect("it is kept");
        let record = kept.record.expect("it was saved");
        Rollout::from_record(&record).expect("a readable record")
    }

    /// The manifest's lines that are not as they were.
    fn changed(&self) -> Vec<String> {
        let now = std::fs::read_to_string(self.path().join("mesh.yaml")).expect("a file");
        let is_new = |line: &&str| !MESH.lines().any(|it| it == *line);
        now.lines()
            .filter(is_new)
            .map(|it| it.trim().to_owned())
            .collect()
    }
}

/// The shares that the canary got, each once until the next other one.
fn weights(rollout: &Rollout) -> Vec<u8> {
    let mut weights: Vec<u8> = rollout
        .history
        .iter()
        .map(|it| it.weight.percent())
        .collect();
    weights.dedup();
    weights
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_version_is_promoted_and_a_bad_one_rolled_back() {
    let story = Bookinfo::playing("healthy").await;
    let ended = story.play(&story.stepper("a", "v2")).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    let rollout = story.rollout().await;
    assert_eq!(rollout.step, 10);
    assert_eq!(weights(&rollout), [0, 10, 20, 40, 60, 80, 100, 0]);
    let run = rollout.earlier[0].run.clone().expect("it was begun");
    let run = story.client.get_run(&run).await.expect("a run");
    // Over HTTP moments are told in milliseconds.
    let milliseconds = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    let traffic_since = milliseconds(rollout.traffic_since);
    assert!(traffic_since.is_some());
    assert_eq!(milliseconds(run.not_before), traffic_since);
    assert!(run.has_evidence());
    let promoted = std::fs::read_to_string(story.path().join("promoted")).expect("it was run");
    assert!(
        promoted.starts_with("v2 rollout/bookinfo/reviews-rollout/1/"),
        "{promoted}"
    );
    // Nothing is left behind but who was there last.
    let changed = story.changed();
    assert!(
        changed.iter().all(|line| line.contains("skygate.io/fence")),
        "{changed:?}"
    );

    let second = Bookinfo::playing("degraded").await;
    let ended = second.play(&second.stepper("a", "v3")).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    let rollout = second.rollout().await;
    let (_, message) = rollout.status();
    assert!(
        message.ends_with("Metric \"apdex\" assessed Failed due to failed (4) > failureLimit (3)"),
        "{message}"
    );
    let weights = weights(&rollout);
    assert_eq!(weights.last(), Some(&0));
    assert!(weights.iter().all(|it| *it <= 60), "{weights:?}");
    assert!(!second.path().join("promoted").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stepper_that_dies_at_each_step_skips_and_repeats_none() {
    let story = Bookinfo::playing("healthy").await;
    for step in 0..10 {
        // Started again as it was, it need not wait for its own lease to end.
        let ended = story.play_up_to(&story.stepper("a", "v2"), step).await;
        assert_eq!(ended, None, "before step {step}");
    }
    let ended = story.play(&story.stepper("a", "v2")).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    let rollout = story.rollout().await;
    assert_eq!(weights(&rollout), [0, 10, 20, 40, 60, 80, 100, 0]);
    let mut steps: Vec<usize> = rollout.history.iter().map(|it| it.step).collect();
    steps.dedup();
    assert_eq!(steps, (0..=10).collect::<Vec<_>>());
    let runs: Vec<_> = rollout.earlier.iter().map(|it| it.run.clone()).collect();
    assert_eq!(runs.len(), 1, "one analysis for all of it");
    let promoted = std::fs::read_to_string(story.path().join("promoted")).expect("it was run");
    assert_eq!(promoted.lines().count(), 1, "{promoted}");

    let second = Bookinfo::playing("degraded").await;
    for step in 0..10 {
        let ended = second.play_up_to(&second.stepper("a", "v3"), step).await;
        if let Some(ended) = ended {
            assert_eq!(ended, Ended::Over(Outcome::Aborted));
            break;
        }
    }
    let rollout = second.rollout().await;
    assert!(rollout.aborted.is_some());
    let weights = weights(&rollout);
    assert_eq!(weights.last(), Some(&0));
    assert!(weights.iter().all(|it| *it <= 60), "{weights:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_heard_over_http() {
    let story = Bookinfo::playing("healthy").await;
    let stepper = story.stepper("a", "v2");
    let mut scenes = stepper.stage.subscribe();
    let (ended, ()) = tokio::join!(story.play(&stepper), async {
        let seen = scenes.wait_for(|scene| {
            let rollout = scene.as_ref().map(|scene| &scene.rollout);
            rollout.is_some_and(|rollout| rollout.step == 1)
        });
        drop(seen.await.expect("it is there"));
        let refused = story.client.take_rollout(REVIEWS, "b").await;
        let refused = refused.expect_err("another one has it");
        assert!(refused.is_conflict(), "{refused}");
        let aborted = story
            .client
            .command_rollout(REVIEWS, Command::Abort, None)
            .await
            .expect("it is kept");
        assert_eq!(aborted.stepper.expect("it is stepped").holder, "a");
    });
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    assert_eq!(
        story.rollout().await.status().1,
        "RolloutAborted: Rollout aborted update to revision 1"
    );
}
