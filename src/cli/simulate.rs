//! `skygate simulate-oap`, and the simulated OAP that other commands bring along.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::tz::Offset;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::options::positive_duration;
use super::outcome::{Failure, Outcome, print, tell};
use super::show::zone_text;
use super::signals::interrupted;
use crate::clock::{FastClock, SystemClock};
use crate::domain::window::parse_zone;
use crate::ports::Clock;
use crate::sim::{self, Config, Generation, Service, Sim};

/// Serve a simulated SkyWalking OAP
///
/// It answers GraphQL as a real OAP does: its settling, its caps, its error bodies.
/// It prints its address on stdout once it is ready, and serves until it is interrupted.
#[derive(Args, Debug)]
#[command(after_help = "Scripts: see --help", after_long_help = SCRIPTS)]
pub(super) struct SimulateOap {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", env = "SKYGATE_LISTEN", default_value = "127.0.0.1:12800", value_parser = socket_address)]
    listen: SocketAddr,

    /// Service and what it does, see Scripts; repeatable; without any, eight services, good and bad ones
    #[arg(long = "service", value_name = "NAME=SCRIPT")]
    services: Vec<Service>,

    /// Zone that the OAP lives in
    #[arg(long, value_name = "+HHMM", default_value = "+0000", allow_hyphen_values = true, value_parser = zone)]
    zone: Offset,

    /// Generation of OAP that it is, 10.4 or 9.7
    #[arg(long, value_name = "VERSION", default_value_t)]
    generation: Generation,

    /// Time that every answer takes
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    latency: Option<Duration>,

    /// How many times as fast as real time its clock runs, from now on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    speed: u32,
}

pub(super) const SCRIPTS: &str = "\
Scripts:
  NAME=BEHAVIOUR[:RATE][@FROM[+FOR]][,...]

  BEHAVIOUR is one of
    healthy     every request under 200 ms, no error: Apdex 10000
    degraded    0.4 to 2.6 s, a fifth of the requests fails
    frustrated  every request above 2.5 s: Apdex is a true 0
    gappy       healthy, but every fourth minute has no request
    rare        one request in ten minutes
    absent      never seen
    outage      whoever asks for it gets HTTP 503
    slow        whoever asks for it waits too long: 45 s, or more at high speed
    malformed   whoever asks for it gets no JSON
  RATE is requests a minute, 12 by default. FROM counts from the start; without it a behaviour has always been.
  A service is healthy when none applies. One that no script names does not exist.

  checkout=degraded@2m        healthy at first, degraded after two minutes
  checkout=degraded@2m+5m     one bad spell
  checkout=healthy, and *=outage@5m+1m beside it: the OAP itself is away for a minute";

impl SimulateOap {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        let clock: Arc<dyn Clock> = match self.speed {
            1 => Arc::new(SystemClock),
            speed => Arc::new(FastClock::new(SystemClock.now(), speed)),
        };
        let mut config = Config {
            zone: self.zone,
            generation: self.generation,
            ..Config::new(clock.now())
        };
        if !self.services.is_empty() {
            config.services = self.services;
        }
        config.latency = self.latency.unwrap_or(config.latency);
        let mut ready = format!(
            "a simulated OAP {} in zone {}, until it is interrupted; its services:",
            self.generation,
            zone_text(self.zone)
        );
        for service in &config.services {
            let _ = write!(ready, "\n  {service}");
        }
        let (listener, url) = listen(self.listen).await?;
        // Whoever reads the address may end this at once.
        let interrupted = interrupted();
        tell(&ready);
        print(&format!("{url}\n"))?;
        sim::serve(listener, Arc::new(Sim::new(config, clock)), interrupted)
            .await
            .context("the simulated OAP stopped serving")
            .map_err(Failure::broken)?;
        Ok(Outcome::Successful)
    }
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an address and a port such as 127.0.0.1:12800 were expected".to_owned())
}

fn zone(text: &str) -> Result<Offset, String> {
    parse_zone(text).ok_or_else(|| "an offset such as +0530 or -0330 was expected".to_owned())
}

/// A listener, and the URL at which it is reached.
pub(super) async fn listen(address: SocketAddr) -> Result<(TcpListener, String), Failure> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address}"))
        .map_err(|error| {
            Failure::broken(error).hint("--listen 127.0.0.1:0 takes a port that is free")
        })?;
    let bound = listener
        .local_addr()
        .context("failed to read the address listened on")
        .map_err(Failure::broken)?;
    Ok((listener, format!("http://{bound}")))
}

/// A simulated OAP within this process, on a clock that runs fast. It is taken down when this is dropped.
#[derive(Debug)]
pub(super) struct Stage {
    url: String,
    clock: Arc<FastClock>,
    sim: Arc<Sim>,
    // Dropping the set ends the server.
    _server: JoinSet<std::io::Result<()>>,
}

impl Stage {
    /// Serves `services`, or the default ones where there are none, `speed` times as fast as real time.
    pub(super) async fn open(services: Vec<Service>, speed: u32) -> Result<Self, Failure> {
        let clock = Arc::new(FastClock::new(SystemClock.now(), speed));
        let mut config = Config::new(clock.now());
        if !services.is_empty() {
            config.services = services;
        }
        let (listener, url) = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let sim = Arc::new(Sim::new(config, Arc::clone(&clock) as Arc<dyn Clock>));
        let mut server = JoinSet::new();
        server.spawn(sim::serve(
            listener,
            Arc::clone(&sim),
            std::future::pending(),
        ));
        Ok(Self {
            url,
            clock,
            sim,
            _server: server,
        })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What is served.
    pub(super) fn sim(&self) -> &Sim {
        &self.sim
    }

    /// The clock that it lives by.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }
}
