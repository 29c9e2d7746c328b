//! Everything that a run needs, down to an OAP that it can ask.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use skygate::domain::plan::{Plan, Server};
use skygate::domain::run::{Run, RunId};
use skygate::engine::Engine;
use skygate::oap::{Directory, Oap, Options};
use skygate::ports::Clock;
use skygate::sim::{Behaviour, Config, Service, Sim};
use skygate::store::MemoryStore;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{HandClock, plan_of, run_of, start};

/// More ticks than any run in a test takes: one that comes here never ends.
const TOO_MANY_TICKS: usize = 100_000;

/// A simulated OAP on a free port, the client that asks it, and an engine over a store in memory, all on one clock.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) sim: Arc<Sim>,
    pub(crate) engine: Engine,
    url: String,
    service: String,
    begun: u32,
    // Dropping the set ends the server.
    _serving: JoinSet<()>,
}

impl Stage {
    /// A stage where the service `name` has always behaved so.
    pub(crate) async fn with(name: &str, behaviour: Behaviour) -> Self {
        Self::playing(vec![Service::new(name, behaviour)], |_| {}).await
    }

    /// A stage where a service plays by its script, `canary=degraded@10m`.
    pub(crate) async fn script(script: &str) -> Self {
        let service: Service = script.parse().expect("a script");
        Self::playing(vec![service], |_| {}).await
    }

    /// A stage of these services, the first of which templates are about, with whatever else `change` sets.
    pub(crate) async fn playing(services: Vec<Service>, change: impl FnOnce(&mut Config)) -> Self {
        let clock = HandClock::new();
        let service = services[0].name().to_owned();
        let mut config = Config {
            services,
            ..Config::new(start())
        };
        change(&mut config);
        let sim = Arc::new(Sim::new(config, Arc::clone(&clock) as Arc<dyn Clock>));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut serving = JoinSet::new();
        let served = Arc::clone(&sim);
        serving.spawn(async move {
            let stopped = skygate::sim::serve(listener, served, std::future::pending()).await;
            stopped.expect("it serves");
        });
        let source = Oap::new(
            Options::default(),
            Directory::default(),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        let engine = Engine::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(MemoryStore::default()),
            Arc::new(source.expect("usable options")),
        );
        Self {
            engine,
            clock,
            sim,
            url,
            service,
            begun: 0,
            _serving: serving,
        }
    }

    /// The plan of `template` about one of the stage's services.
    pub(crate) fn plan(&self, service: &str, template: &str) -> Arc<Plan> {
        let server = Server::Address(self.url.clone());
        plan_of(template, &[("service-name", service)], server)
    }

    /// A run of `plan`, created now.
    pub(crate) fn run_of(&mut self, plan: &Arc<Plan>) -> Run {
        self.begun += 1;
        run_of(&format!("run-{}", self.begun), plan, self.clock.now())
    }

    /// A run of `template`, created now, about the stage's first service.
    pub(crate) fn run(&mut self, template: &str) -> Run {
        let plan = self.plan(&self.service, template);
        self.run_of(&plan)
    }

    /// Plays `template` to the end that it comes to by itself.
    pub(crate) async fn run_to_end(&mut self, template: &str) -> Run {
        let run = self.run(template);
        self.play(run).await
    }

    /// Plays `template`, and concludes it after so many minutes if it hasn't ended by then.
    pub(crate) async fn run_for(&mut self, template: &str, minutes: u64) -> Run {
        let mut run = self.run(template);
        run.conclude_after = Some(Duration::from_mins(minutes));
        self.play(run).await
    }

    /// Plays `run` to its end.
    pub(crate) async fn play(&self, run: Run) -> Run {
        let id = run.id.clone();
        self.engine.start(&run).await.expect("a new run");
        self.play_until(Timestamp::MAX).await;
        let run = self.get(&id).await;
        assert!(run.phase.is_over(), "{} has nothing left to do", run.id);
        run
    }

    /// Ticks at every moment at which anything is due, until nothing is before `end`.
    pub(crate) async fn play_until(&self, end: Timestamp) {
        for _ in 0..TOO_MANY_TICKS {
            match self.tick().await {
                Some(due) if due < end => self.clock.move_to(due),
                Some(_) | None => return,
            }
        }
        panic!("it goes on and on");
    }

    /// Does what is due now; returns when something is due next.
    pub(crate) async fn tick(&self) -> Option<Timestamp> {
        self.engine
            .tick(self.clock.now())
            .await
            .expect("a working store")
    }

    /// A run as it was last saved.
    pub(crate) async fn get(&self, id: &RunId) -> Run {
        let watched = self.engine.watch(id).await.expect("a working store");
        Run::clone(watched.expect("a known run").run())
    }
}
