//! The simulated OAP with faults, which keeps what it answered.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::Listener;
use jiff::Timestamp;
use serde_json::Value;
use skygate::clock::SystemClock;
use skygate::ports::Clock;
use skygate::sim::{self, Behaviour, Config, Service, Sim};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::plot::{Dice, GOOD, Kind, Plot};

/// How long nobody listens where an OAP has gone away.
const AWAY: Duration = Duration::from_millis(400);

/// What a service got as an answer to a question about a window.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) service: String,
    /// Whether it was asked as a query, not as an expression.
    pub(super) is_query: bool,
    /// Both ends, as they were sent.
    pub(super) window: (String, String),
    pub(super) at: Timestamp,
    pub(super) said: Said,
}

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// This number for every bucket: no other answer has it.
    Values(u64),
    /// That there is no data.
    Nothing,
    /// Something that is no answer.
    Garbage,
    /// That it is not there.
    Away,
}

/// An OAP on loopback, until it is dropped.
pub(super) struct RecordingOap {
    pub(super) url: String,
    desk: Arc<Desk>,
    _serving: JoinSet<()>,
}

struct Desk {
    sim: Sim,
    kinds: HashMap<String, Kind>,
    book: Mutex<Book>,
    leave: Notify,
    is_away: AtomicBool,
}

struct Book {
    answers: Vec<Answer>,
    dice: Dice,
}

impl RecordingOap {
    /// One that has the services of these runs.
    pub(super) async fn start(plots: &[Plot]) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut config = Config::new(clock.now());
        let names = plots.iter().map(Plot::service);
        config.services = names
            .map(|name| Service::new(name, Behaviour::Healthy))
            .collect();
        let kinds = plots.iter().map(|plot| (plot.service(), plot.kind));
        let desk = Arc::new(Desk {
            sim: Sim::new(config, clock),
            kinds: kinds.collect(),
            book: Mutex::new(Book {
                answers: Vec::new(),
                dice: Dice::new(7),
            }),
            leave: Notify::new(),
            is_away: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let door = Door {
            listener,
            address,
            desk: Arc::clone(&desk),
        };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&desk));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(door, router).await.expect("it serves") });
        Self {
            url: format!("http://{address}"),
            desk,
            _serving: serving,
        }
    }

    /// Has nobody listen for a moment.
    pub(super) fn go_away(&self) {
        self.desk.leave.notify_one();
    }

    /// What it has answered so far.
    pub(super) fn answers(&self) -> Vec<Answer> {
        self.desk.book.lock().expect("no panic").answers.clone()
    }
}

/// A listener that can be closed for a while.
struct Door {
    listener: TcpListener,
    address: SocketAddr,
    desk: Arc<Desk>,
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    if let Ok(accepted) = accepted {
                        return accepted;
                    }
                }
                () = self.desk.leave.notified() => self.close_for_a_while().await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Door {
    async fn close_for_a_while(&mut self) {
        self.desk.is_away.store(true, Ordering::Relaxed);
        // Another one takes its place, so that nobody listens here.
        let elsewhere = TcpListener::bind("127.0.0.1:0").await;
        self.listener = elsewhere.expect("a free port");
        tokio::time::sleep(AWAY).await;
        self.listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        self.desk.is_away.store(false, Ordering::Relaxed);
    }
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let body = to_bytes(request.into_body(), 1 << 20).await;
    let body = body.expect("a body");
    let reply = desk.sim.answer(&sim::Request::graphql(&body));
    let Some(question) = Question::read(&body) else {
        return respond(reply.status, reply.body);
    };
    let kind = desk.kinds[&question.service];
    let (said, delay) = desk.decide(kind);
    tokio::time::sleep(delay).await;
    // What is on record was said no earlier, and by then the service may be dead.
    let said = desk.record(question, said);
    match said {
        Said::Away => respond(503, b"no healthy upstream".to_vec()),
        Said::Garbage => respond(200, b"<html>It works!</html>".to_vec()),
        Said::Values(number) => respond(reply.status, rewritten(&reply.body, Some(number))),
        Said::Nothing => respond(reply.status, rewritten(&reply.body, None)),
    }
}

impl Desk {
    /// What is to be said, with no number yet, and how long that takes.
    fn decide(&self, kind: Kind) -> (Said, Duration) {
        let (good, bad) = (Said::Values(GOOD), Said::Values(0));
        let mut book = self.book.lock().expect("no panic");
        let dice = &mut book.dice;
        let said = match kind {
            _ if self.is_away.load(Ordering::Relaxed) => Said::Away,
            Kind::Flaky if dice.one_in(3) => Said::Away,
            Kind::Mixed if dice.one_in(3) => bad,
            Kind::Gappy if dice.one_in(3) => Said::Nothing,
            Kind::Good | Kind::Mixed | Kind::Gappy | Kind::Slow | Kind::Flaky | Kind::Endless => {
                good
            }
            Kind::Bad => bad,
            Kind::Silent => Said::Nothing,
            Kind::Broken => Said::Garbage,
        };
        let longest = if kind == Kind::Slow { 600 } else { 10 };
        let delay = dice.below(0..longest);
        (said, Duration::from_millis(delay as u64))
    }

    fn record(&self, question: Question, said: Said) -> Said {
        let mut book = self.book.lock().expect("no panic");
        let number = book.answers.len() as u64 + 1;
        let said = match said {
            Said::Values(base) => Said::Values(base + number),
            Said::Nothing | Said::Garbage | Said::Away => said,
        };
        book.answers.push(Answer {
            service: question.service,
            is_query: question.is_query,
            window: question.window,
            at: SystemClock.now(),
            said,
        });
        said
    }
}

/// What somebody wants to know about a service in a window.
struct Question {
    service: String,
    is_query: bool,
    window: (String, String),
}

impl Question {
    /// `None`: something else is asked, about the server itself.
    fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let duration = &body["variables"]["duration"];
        let end = |name: &str| Some(duration[name].as_str()?.to_owned());
        let window = (end("start")?, end("end")?);
        let asked = body["variables"]["entity"]["serviceName"].as_str();
        let service = if let Some(service) = asked {
            service
        } else {
            let query = body["query"].as_str()?;
            let from = query.find("service-")?;
            &query[from..from + "service-0000".len()]
        };
        Some(Self {
            service: service.to_owned(),
            is_query: asked.is_none(),
            window,
        })
    }
}

/// The simulator's answer with this number in every bucket, or with no data in any.
fn rewritten(body: &[u8], number: Option<u64>) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(body).expect("JSON");
    rewrite(&mut body, number);
    body.to_string().into_bytes()
}

fn rewrite(part: &mut Value, number: Option<u64>) {
    match part {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, number)),
        Value::Object(fields) => {
            if let Some(value) = fields.get_mut("value") {
                *value = match (&value, number) {
                    // A point of an expression is a text, and null where there is no data; a point of a query is a number.
                    (Value::Number(_), _) => number.unwrap_or(0).into(),
                    (_, Some(number)) => number.to_string().into(),
                    (_, None) => Value::Null,
                };
            }
            let is_empty = fields.keys().find(|name| name.ends_with("isEmptyValue"));
            if let Some(is_empty) = is_empty.cloned() {
                fields.insert(is_empty, number.is_none().into());
            }
            fields.values_mut().for_each(|field| rewrite(field, number));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn respond(status: u16, body: Vec<u8>) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .expect("a response")
}
