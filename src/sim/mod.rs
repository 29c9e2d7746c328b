//! A simulated OAP: scripted services behind OAP's GraphQL, for demonstrations and tests.
//!
//! It answers as the recorded servers do (`tests/data/oap`), word for word where they complain, and with their settling:
//! the newest minute is empty until the first flush within it, then partial, and grows with every flush.
//!
//! ```text
//! serve ─▶ http ─▶ graphql ─▶ fields, mqe ─▶ metrics ─▶ traffic   what the script did
//!                  schema                              flush     what of it can be seen by now
//! ```
//!
//! Nothing here is random: the same configuration at the same moment gives the same answer, so [`Sim::answer_at`]
//! can be asked about thousands of moments without a socket and without waiting.

mod buckets;
mod fault;
mod fields;
mod flush;
mod generation;
mod graphql;
mod http;
mod metrics;
mod mqe;
mod schema;
mod script;
mod serve;
mod traffic;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::ports::Clock;

pub use fault::{Fault, Served};
pub use flush::Flush;
pub use generation::{Generation, UnknownGeneration};
pub use http::{Pace, Reply, Request};
pub use script::{Behaviour, DEFAULT_RATE, EVERY_SERVICE, MAX_RATE, ScriptError, Service};
pub use serve::serve;

use fault::Ledger;
use fields::Fields;
use graphql::{Outcome, RootField};
use http::Question;
use metrics::Reader;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which OAP.
    pub generation: Generation,
    /// The zone that the OAP lives in.
    pub zone: Offset,
    /// How far the OAP's clock is ahead of the simulator's; negative where it is behind.
    pub skew: SignedDuration,
    /// The services and what they do.
    pub services: Vec<Service>,
    /// The moment on the OAP's clock that scripts count from.
    pub start: Timestamp,
    /// The moment on the OAP's clock before which no service took a request; `None`: they always have.
    pub traffic_since: Option<Timestamp>,
    /// When the OAP writes.
    pub flush: Flush,
    /// How long every answer takes, on the simulator's clock.
    pub latency: Duration,
}

impl Config {
    /// A 10.4 in UTC with the recorded services, whose scripts count from `start`.
    pub fn new(start: Timestamp) -> Self {
        Self {
            generation: Generation::default(),
            zone: Offset::UTC,
            skew: SignedDuration::ZERO,
            services: Service::recorded(),
            start,
            traffic_since: None,
            flush: Flush::default(),
            latency: Duration::ZERO,
        }
    }
}

/// A simulated OAP.
#[derive(Debug)]
pub struct Sim {
    /// Without its services: they can change.
    config: Config,
    services: RwLock<Vec<Service>>,
    clock: Arc<dyn Clock>,
    ledger: Mutex<Ledger>,
}

impl Sim {
    /// A server that tells the time from `clock`.
    pub fn new(mut config: Config, clock: Arc<dyn Clock>) -> Self {
        Self {
            services: RwLock::new(std::mem::take(&mut config.services)),
            config,
            clock,
            ledger: Mutex::default(),
        }
    }

    /// Answers a request now: injected faults apply, and it is counted.
    pub fn answer(&self, request: &Request<'_>) -> Reply {
        let now = self.clock.now();
        let fault = self.ledger().take();
        let reply = match fault {
            None => self.answer_at(request, now),
            Some(Fault::Refuse { status }) => Reply::refusal(status),
            Some(Fault::Hang) => Reply {
                pace: Pace::Never,
                ..Reply::refusal(503)
            },
            Some(Fault::Late(delay)) => self.answer_at(request, now).later(delay),
            Some(Fault::Garbage) => Reply::garbage(),
            Some(Fault::Huge { bytes }) => Reply::huge(bytes),
            Some(Fault::Redirect { to }) => Reply::redirect(&to),
        };
        self.ledger().record(Served {
            at: now,
            operation: self.operation_of(request),
            body: String::from_utf8_lossy(request.body).into_owned(),
            status: reply.status,
        });
        reply
    }

    /// What the server would answer at `now` on the simulator's clock. Depends on its arguments and the scripts alone.
    pub fn answer_at(&self, request: &Request<'_>, now: Timestamp) -> Reply {
        let oap_now = now.checked_add(self.config.skew).unwrap_or(now);
        let services = self.services();
        let server = Server {
            config: &self.config,
            services: &services,
            now: oap_now,
        };
        server.answer(request).later(self.config.latency)
    }

    /// Gives a service another script, or adds it. Scripts are evaluated from their beginning: the past changes with them.
    pub fn set_service(&self, service: Service) {
        let mut services = self
            .services
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match services
            .iter_mut()
            .find(|known| known.name() == service.name())
        {
            Some(known) => *known = service,
            None => services.push(service),
        }
    }

    /// From now on every request meets `fault`.
    pub fn set_fault(&self, fault: Fault) {
        self.ledger().set(fault);
    }

    /// The next `times` requests meet `fault`.
    pub fn fail_next(&self, times: usize, fault: &Fault) {
        self.ledger().fail_next(times, fault);
    }

    /// No injected fault any more.
    pub fn clear_faults(&self) {
        self.ledger().clear();
    }

    /// How many requests were served, by operation.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.ledger().counts()
    }

    /// The newest 10000 requests served, oldest first.
    pub fn served(&self) -> Vec<Served> {
        self.ledger().served()
    }

    /// The clock that it tells the time from.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    fn operation_of(&self, request: &Request<'_>) -> String {
        match http::question(request, self.config.generation) {
            Ok(question) => graphql::operation_name(&question.query()),
            Err(_) => format!("{} {}", request.method, request.path),
        }
    }

    fn services(&self) -> RwLockReadGuard<'_, Vec<Service>> {
        self.services.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server at one moment.
struct Server<'a> {
    config: &'a Config,
    services: &'a [Service],
    /// On the OAP's clock.
    now: Timestamp,
}

impl Server<'_> {
    fn answer(&self, request: &Request<'_>) -> Reply {
        let at_large = self.disturbance(EVERY_SERVICE);
        disturbed(at_large, || {
            match http::question(request, self.config.generation) {
                Ok(question) => self.answer_question(&question),
                Err(reply) => reply,
            }
        })
    }

    fn answer_question(&self, question: &Question) -> Reply {
        let now = self.now.as_millisecond();
        let fields = Fields {
            config: self.config,
            reader: Reader::new(self.config, self.services, now),
            now,
        };
        let prepared = graphql::prepare(&question.query(), self.config.generation, |prepared| {
            let disturbance = self.disturbance_of(&prepared.root_fields());
            disturbed(disturbance, || outcome(&prepared.execute(&fields)))
        });
        prepared.unwrap_or_else(|stopped| outcome(&stopped))
    }

    /// The worst disturbance among the services that a request asks for.
    fn disturbance_of(&self, fields: &[RootField]) -> Option<Disturbance> {
        let mut names = Vec::new();
        for field in fields {
            collect_names(&field.arguments, &mut names);
        }
        names
            .into_iter()
            .filter_map(|name| self.disturbance(name))
            .max()
    }

    fn disturbance(&self, name: &str) -> Option<Disturbance> {
        let service = self
            .services
            .iter()
            .find(|service| service.name() == name)?;
        let elapsed = self.now.duration_since(self.config.start);
        match service.scene(elapsed).behaviour {
            Behaviour::Slow => Some(Disturbance::Slow),
            Behaviour::Malformed => Some(Disturbance::Malformed),
            Behaviour::Outage => Some(Disturbance::Outage),
            Behaviour::Healthy
            | Behaviour::Degraded
            | Behaviour::Frustrated
            | Behaviour::Gappy
            | Behaviour::Rare
            | Behaviour::Absent => None,
        }
    }
}

/// What can come between a question and its answer; worse ones later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Disturbance {
    Slow,
    Malformed,
    Outage,
}

/// The answer as it is under a disturbance.
fn disturbed(disturbance: Option<Disturbance>, answer: impl FnOnce() -> Reply) -> Reply {
    match disturbance {
        None => answer(),
        Some(Disturbance::Outage) => Reply::refusal(503),
        Some(Disturbance::Slow) => answer().too_late(),
        Some(Disturbance::Malformed) => Reply::garbage(),
    }
}

/// The services that a request names, wherever it names them.
fn collect_names<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("serviceName").and_then(Value::as_str) {
                names.push(name);
            }
            fields
                .values()
                .for_each(|value| collect_names(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn outcome(outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Invalid(body) => Reply::of_json(400, body),
        Outcome::Answered(body) => Reply::of_json(200, body),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const START: &str = "2026-11-23T10:00:00Z";

    /// Broken queries, and one that hands its expression on.
    const QUERY: &str = "[a-z{}(): $!\"]{0,30}|query\\(\\$x: String!, \\$e: Entity!, \\$d: Duration!\\) \\{ execExpression\\(expression: \\$x, entity: \\$e, duration: \\$d\\) \\{ type error results \\{ values \\{ id value \\} \\} \\} \\}";

    /// How many requests `a` had in the fifth minute.
    const COUNT: &str = r#"{ readMetricsValue(
        condition: {name: "service_cpm", entity: {serviceName: "a", normal: true}},
        duration: {start: "2026-11-23 1005", end: "2026-11-23 1005", step: MINUTE}) }"#;

    /// Always at the scripts' start.
    #[derive(Debug)]
    struct AtStart;

    #[async_trait]
    impl Clock for AtStart {
        fn now(&self) -> Timestamp {
            START.parse().unwrap()
        }

        async fn sleep(&self, _duration: Duration) {}
    }

    fn sim(scripts: &[&str]) -> Sim {
        let config = Config {
            services: scripts
                .iter()
                .map(|script| script.parse().unwrap())
                .collect(),
            ..Config::new(START.parse().unwrap())
        };
        Sim::new(config, Arc::new(AtStart))
    }

    fn at(seconds: i64) -> Timestamp {
        START.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    fn about(service: &str) -> Vec<u8> {
        let query = format!("{{ findService(serviceName: \"{service}\") {{ name }} }}");
        json!({ "query": query }).to_string().into_bytes()
    }

    #[test]
    fn a_disturbed_service_disturbs_whoever_asks_for_it() {
        let sim = sim(&["a=outage@10s+10s,malformed@30s,slow@40s", "b=healthy"]);
        let check = |service: &str, seconds, status, is_json, pace| {
            let reply = sim.answer_at(&Request::graphql(&about(service)), at(seconds));
            assert_eq!(
                (reply.status, reply.json().is_some(), reply.pace),
                (status, is_json, pace),
                "{service} after {seconds} s"
            );
        };
        check("a", 9, 200, true, Pace::AtOnce);
        check("a", 10, 503, false, Pace::AtOnce);
        check("b", 10, 200, true, Pace::AtOnce);
        check("a", 20, 200, true, Pace::AtOnce);
        check("a", 30, 200, false, Pace::AtOnce);
        check("a", 40, 200, true, Pace::TooLate);
    }

    #[test]
    fn a_star_disturbs_every_request() {
        let sim = sim(&["*=outage@10s", "a=healthy"]);
        let ask = |seconds| {
            let body = br#"{"query": "{ listServices(layer: \"GENERAL\") { name } }"}"#;
            sim.answer_at(&Request::graphql(body), at(seconds))
        };
        assert_eq!(
            ask(9).json().unwrap(),
            json!({"data": {"listServices": [{"name": "a"}]}})
        );
        assert_eq!(ask(10).status, 503);
    }

    #[test]
    fn injected_faults_are_used_up_or_last() {
        let sim = sim(&["a=healthy"]);
        let body = about("a");
        let status = || sim.answer(&Request::graphql(&body)).status;
        sim.set_fault(Fault::Refuse { status: 502 });
        sim.fail_next(1, &Fault::Refuse { status: 429 });
        assert_eq!([status(), status(), status()], [429, 502, 502]);
        sim.clear_faults();
        assert_eq!(status(), 200);

        sim.set_fault(Fault::Huge { bytes: 1_000 });
        let reply = sim.answer(&Request::graphql(&body));
        assert_eq!(reply.body.len(), 1_000);
        assert!(reply.json().is_some());

        assert_eq!(
            sim.counts(),
            BTreeMap::from([("findService".to_owned(), 5)])
        );
        let served: Vec<u16> = sim.served().iter().map(|served| served.status).collect();
        assert_eq!(served, [429, 502, 502, 200, 200]);
    }

    #[test]
    fn a_skewed_server_lives_at_another_time() {
        let config = Config {
            skew: SignedDuration::from_secs(-90),
            zone: Offset::from_seconds(-12_600).unwrap(),
            ..Config::new(START.parse().unwrap())
        };
        let sim = Sim::new(config, Arc::new(AtStart));
        let body = br#"{"query": "{ getTimeInfo { timezone currentTimestamp } }"}"#;
        assert_eq!(
            sim.answer_at(&Request::graphql(body), at(0))
                .json()
                .unwrap(),
            json!({"data": {"getTimeInfo": {
                "timezone": "-0330",
                "currentTimestamp": at(-90).as_millisecond(),
            }}})
        );
    }

    proptest! {
        /// Whatever is asked, there is an answer in JSON; and the same question at the same moment has the same one.
        #[test]
        fn no_question_upsets_it(query in QUERY, expression in "[a-z_0-9(){}=',. +*/<>-]{0,40}") {
            let sim = sim(&["a=degraded"]);
            let body = json!({"query": query, "variables": {
                "x": expression,
                "e": {"serviceName": "a", "normal": true},
                "d": {"start": "2026-11-23 0950", "end": "2026-11-23 1000", "step": "MINUTE"},
            }});
            let body = body.to_string();
            let ask = || sim.answer_at(&Request::graphql(body.as_bytes()), at(0));
            prop_assert!(query.is_empty() || ask().json().is_some());
            prop_assert_eq!(ask(), ask());
        }

        /// A bucket only ever grows.
        #[test]
        fn what_was_seen_stays_seen(second in 0..600_i64, later in 0..600_i64) {
            let sim = sim(&["a=healthy"]);
            let body = json!({"query": COUNT}).to_string();
            let count = |seconds| {
                let reply = sim.answer_at(&Request::graphql(body.as_bytes()), at(seconds));
                reply.json().unwrap()["data"]["readMetricsValue"].as_i64().unwrap()
            };
            prop_assert!(count(second) <= count(second + later));
        }
    }

    #[test]
    fn a_service_can_be_given_another_script() {
        let sim = sim(&["a=healthy"]);
        let status = || sim.answer_at(&Request::graphql(&about("a")), at(0)).status;
        assert_eq!(status(), 200);
        sim.set_service("a=outage".parse().unwrap());
        assert_eq!(status(), 503);
    }
}
