//! What a simulated service does, and when: its script.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use thiserror::Error;

/// How many requests a minute a service takes where its script doesn't say.
pub const DEFAULT_RATE: u32 = 12;

/// The most requests a minute that a script may ask for.
pub const MAX_RATE: u32 = 6_000;

/// The name under which a script is about every request, whatever it asks for: `*=outage@5m+1m`.
pub const EVERY_SERVICE: &str = "*";

/// What a service does at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// Every request under 200 ms, none fails: Apdex 10000.
    Healthy,
    /// 0.4 to 2.6 s, a fifth of the requests fails.
    Degraded,
    /// Every request above 2.5 s: Apdex is a true 0.
    Frustrated,
    /// Healthy, but every fourth minute has no request.
    Gappy,
    /// Healthy, but with one request in ten minutes.
    Rare,
    /// Not there: no request at all.
    Absent,
    /// Healthy, but whoever asks the OAP for it gets HTTP 503.
    Outage,
    /// Healthy, but whoever asks the OAP for it waits longer than anyone does: 45 s on the simulator's clock, or more where that is fast.
    Slow,
    /// Healthy, but whoever asks the OAP for it gets a body that isn't JSON.
    Malformed,
}

impl Behaviour {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 9] = [
        Self::Healthy,
        Self::Degraded,
        Self::Frustrated,
        Self::Gappy,
        Self::Rare,
        Self::Absent,
        Self::Outage,
        Self::Slow,
        Self::Malformed,
    ];

    /// Its name in a script.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Frustrated => "frustrated",
            Self::Gappy => "gappy",
            Self::Rare => "rare",
            Self::Absent => "absent",
            Self::Outage => "outage",
            Self::Slow => "slow",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A scripted service, written `NAME=BEHAVIOUR[:RATE][@FROM[+FOR]][,…]`.
///
/// `RATE` is requests a minute; `FROM` counts from the simulation's start, `FOR` says for how long.
/// Without `FROM` a behaviour has always been. Where several apply the last one written does;
/// where none applies the service is healthy: `checkout=degraded@2m+5m` has one bad spell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    name: String,
    acts: Vec<Act>,
}

/// One part of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Act {
    behaviour: Behaviour,
    rate: Option<u32>,
    from: Option<Duration>,
    lasting: Option<Duration>,
}

/// What a service does at one moment, and how often it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) behaviour: Behaviour,
    /// Requests a minute.
    pub(super) rate: u32,
}

impl Service {
    /// A service that has always behaved so.
    pub fn new(name: impl Into<String>, behaviour: Behaviour) -> Self {
        Self {
            name: name.into(),
            acts: vec![Act {
                behaviour,
                rate: None,
                from: None,
                lasting: None,
            }],
        }
    }

    /// The same with another number of requests a minute, throughout; at least 1, at most [`MAX_RATE`].
    #[must_use]
    pub fn rate(mut self, requests_a_minute: u32) -> Self {
        for act in &mut self.acts {
            act.rate = Some(requests_a_minute.clamp(1, MAX_RATE));
        }
        self
    }

    /// Its name, as SkyWalking knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The services of the recorded servers, with their loads.
    pub fn recorded() -> Vec<Self> {
        let named = |name: &str, behaviour| {
            Self::new(format!("{name}|reviews|bookinfo|cp-cluster-1|-"), behaviour)
        };
        // In the order in which the recorded servers list them.
        vec![
            named("stable", Behaviour::Healthy),
            named("gappy", Behaviour::Gappy).rate(6),
            named("degraded", Behaviour::Degraded),
            named("canary", Behaviour::Healthy),
            named("rare", Behaviour::Rare),
            Self::new("checkout", Behaviour::Healthy).rate(8),
            named("frustrated", Behaviour::Frustrated).rate(6),
            named("absent", Behaviour::Absent),
        ]
    }

    /// What it does `elapsed` after the simulation's start, which is negative for the time before.
    pub(super) fn scene(&self, elapsed: SignedDuration) -> Scene {
        let act = self.acts.iter().rev().find(|act| act.applies(elapsed));
        Scene {
            behaviour: act.map_or(Behaviour::Healthy, |act| act.behaviour),
            rate: act.and_then(|act| act.rate).unwrap_or(DEFAULT_RATE),
        }
    }

    /// Whether it is never there.
    pub(super) fn is_always_absent(&self) -> bool {
        self.acts
            .iter()
            .all(|act| act.behaviour == Behaviour::Absent && act.from.is_none())
    }
}

impl Act {
    fn applies(&self, elapsed: SignedDuration) -> bool {
        let Some(from) = self.from else {
            return true;
        };
        let Ok(elapsed) = Duration::try_from(elapsed) else {
            return false;
        };
        elapsed >= from
            && self
                .lasting
                .is_none_or(|lasting| elapsed < from.saturating_add(lasting))
    }
}

/// Why a text is no script.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ScriptError {
    /// There is no `=` or nothing on one of its sides.
    #[error(
        "`{0}` is no script; write NAME=BEHAVIOUR, as in `checkout=healthy` or `checkout=degraded@2m`"
    )]
    Form(String),
    /// The behaviour isn't one of ours.
    #[error("no behaviour named `{given}`; there are {}", names())]
    Behaviour {
        /// What was written.
        given: String,
    },
    /// The rate isn't a number of requests a minute.
    #[error("`{0}` is no number of requests a minute between 1 and 6000")]
    Rate(String),
    /// A time isn't a duration.
    #[error("`{0}` is no duration; write `90s`, `2m` or `1h30m`")]
    Duration(String),
}

fn names() -> String {
    let names: Vec<String> = Behaviour::ALL
        .iter()
        .map(|behaviour| format!("`{behaviour}`"))
        .collect();
    names.join(", ")
}

impl FromStr for Service {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let form = || ScriptError::Form(text.to_owned());
        // A name may hold `=`; a script never does.
        let (name, script) = text.rsplit_once('=').ok_or_else(form)?;
        let (name, script) = (name.trim(), script.trim());
        if name.is_empty() || script.is_empty() {
            return Err(form());
        }
        let acts = script
            .split(',')
            .map(|act| act.trim().parse())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: name.to_owned(),
            acts,
        })
    }
}

impl FromStr for Act {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let (what, when) = match text.split_once('@') {
            Some((what, when)) => (what, Some(when)),
            None => (text, None),
        };
        let (behaviour, rate) = match what.split_once(':') {
            Some((behaviour, rate)) => (behaviour, Some(parse_rate(rate)?)),
            None => (what, None),
        };
        let behaviour = Behaviour::ALL
            .into_iter()
            .find(|known| known.name() == behaviour)
            .ok_or_else(|| ScriptError::Behaviour {
                given: behaviour.to_owned(),
            })?;
        let (from, lasting) = match when.map(|when| when.split_once('+').ok_or(when)) {
            None => (None, None),
            Some(Ok((from, lasting))) => {
                (Some(parse_duration(from)?), Some(parse_duration(lasting)?))
            }
            Some(Err(from)) => (Some(parse_duration(from)?), None),
        };
        Ok(Self {
            behaviour,
            rate,
            from,
            lasting,
        })
    }
}

fn parse_rate(text: &str) -> Result<u32, ScriptError> {
    match text.parse() {
        Ok(rate @ 1..=MAX_RATE) => Ok(rate),
        _ => Err(ScriptError::Rate(text.to_owned())),
    }
}

/// Reads `90s`, `2m`, `1h30m`.
fn parse_duration(text: &str) -> Result<Duration, ScriptError> {
    let wrong = || ScriptError::Duration(text.to_owned());
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            _ => return Err(wrong()),
        };
        seconds = number
            .checked_mul(unit)
            .and_then(|more| seconds.checked_add(more))
            .ok_or_else(wrong)?;
        rest = &rest[digits + 1..];
    }
    if text.is_empty() || seconds > u64::from(u32::MAX) {
        return Err(wrong());
    }
    Ok(Duration::from_secs(seconds))
}

/// The text that [`Service::from_str`] reads.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.name)?;
        for (i, act) in self.acts.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", act.behaviour)?;
            if let Some(rate) = act.rate {
                write!(f, ":{rate}")?;
            }
            if let Some(from) = act.from {
                write!(f, "@{}s", from.as_secs())?;
            }
            if let Some(lasting) = act.lasting {
                write!(f, "+{}s", lasting.as_secs())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(script: &str, elapsed: i64) -> (Behaviour, u32) {
        let service: Service = script.parse().unwrap();
        let scene = service.scene(SignedDuration::from_secs(elapsed));
        (scene.behaviour, scene.rate)
    }

    #[test]
    fn a_script_says_what_happens_when() {
        assert_eq!(scene("a=healthy", -1), (Behaviour::Healthy, 12));
        assert_eq!(scene("a=degraded", -1), (Behaviour::Degraded, 12));
        assert_eq!(scene("a=degraded@2m", -1), (Behaviour::Healthy, 12));
        assert_eq!(scene("a=degraded@2m", 119), (Behaviour::Healthy, 12));
        assert_eq!(scene("a=degraded@2m", 120), (Behaviour::Degraded, 12));
        assert_eq!(scene("a=outage@5m+1m", 359), (Behaviour::Outage, 12));
        assert_eq!(scene("a=outage@5m+1m", 360), (Behaviour::Healthy, 12));
        assert_eq!(scene("a=healthy:1", 0), (Behaviour::Healthy, 1));
        assert_eq!(
            scene("a=healthy:30,gappy:2@1h30m+10s", 5_400),
            (Behaviour::Gappy, 2)
        );
        assert_eq!(
            scene("a=healthy:30,gappy:2@1h30m+10s", 5_410),
            (Behaviour::Healthy, 30)
        );
    }

    #[test]
    fn names_may_hold_anything_that_skywalking_takes() {
        let service: Service = "a=b|c:d@e,f=healthy".parse().unwrap();
        assert_eq!(service.name(), "a=b|c:d@e,f");
    }

    #[test]
    fn what_is_wrong_with_a_script() {
        let check = |text: &str, message: &str| {
            assert_eq!(text.parse::<Service>().unwrap_err().to_string(), message);
        };
        check(
            "checkout",
            "`checkout` is no script; write NAME=BEHAVIOUR, as in `checkout=healthy` or `checkout=degraded@2m`",
        );
        check(
            "a=bad",
            "no behaviour named `bad`; there are `healthy`, `degraded`, `frustrated`, `gappy`, `rare`, `absent`, `outage`, `slow`, `malformed`",
        );
        check(
            "a=healthy:0",
            "`0` is no number of requests a minute between 1 and 6000",
        );
        for given in ["2", "m", "", "2m3", "2d", "99999999999999999999h", "2µ"] {
            check(
                &format!("a=healthy@{given}"),
                &format!("`{given}` is no duration; write `90s`, `2m` or `1h30m`"),
            );
        }
    }

    #[test]
    fn a_printed_script_reads_back() {
        for text in [
            "a|b=healthy",
            "a=degraded:3@120s",
            "a=healthy:1,outage@60s+5s",
        ] {
            assert_eq!(text.parse::<Service>().unwrap().to_string(), text);
        }
        for service in Service::recorded() {
            assert_eq!(service.to_string().parse(), Ok(service));
        }
    }
}
