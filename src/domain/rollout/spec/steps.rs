//! The steps of a canary.

use std::time::Duration;

use serde_json::Value;

use super::super::super::duration::GoDuration;
use super::super::super::fault::{Fault, listed, shown};
use super::super::super::spec::reader::{Fields, wrong_kind};
use super::super::Weight;
use super::analysis::AnalysisSite;
use super::needs_a_controller;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `setWeight`: the canary gets this much of the traffic.
    SetWeight(Weight),
    /// `pause`: time passes, or without a duration somebody promotes.
    Pause(Option<Duration>),
    /// `analysis`: the rollout waits for its verdict.
    Analysis(Box<AnalysisSite>),
}

/// What a step can be that a stepper plays.
const PLAYED: [&str; 3] = ["setWeight", "pause", "analysis"];

/// What a step can be that it doesn't, with the reason.
const REFUSED: [(&str, &str); 6] = [
    ("experiment", "it runs versions beside each other"),
    ("setCanaryScale", "it scales the canary"),
    ("setHeaderRoute", "it keeps routes of its own"),
    ("setMirrorRoute", "it keeps routes of its own"),
    ("plugin", "it runs in the controller"),
    (
        "replicaProgressThreshold",
        "a stepper does not know how many replicas are ready",
    ),
];

const DURATION_HINT: &str =
    "pauses last 90 (seconds), 10m or 1h30m; `pause: {}` lasts until somebody promotes";

/// Reads one step; `None` where it is none.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<Step> {
    for (name, why) in REFUSED {
        if fields.value(name).is_some() {
            let path = fields.path(name);
            fields.add(needs_a_controller(&path, why).hint(format!(
                "a stepper plays {}; leave the step out",
                listed(PLAYED)
            )));
        }
    }
    let is_refused = REFUSED.iter().any(|(name, _)| fields.value(name).is_some());
    let kinds: Vec<&str> = PLAYED
        .into_iter()
        .filter(|name| fields.value(name).is_some())
        .collect();
    if kinds.is_empty() && !is_refused {
        let nulls = fields.names().any(|name| name == "pause");
        let fault = Fault::new(
            fields.at(),
            format!("is no step: one of {} is expected", listed(PLAYED)),
        );
        fields.add(if nulls {
            fault.hint("a pause until somebody promotes is written `pause: {}`")
        } else {
            fault
        });
    }
    if kinds.len() > 1 {
        let fault = Fault::new(
            fields.at(),
            format!("has {}: a step is one thing", listed(kinds.iter().copied())),
        );
        fields.add(fault.hint("make them steps of their own, in the order they are meant"));
    }

    let weight = read_weight(fields).map(Step::SetWeight);
    let pause = fields
        .object("pause", read_pause)
        .flatten()
        .map(Step::Pause);
    let analysis = fields
        .object("analysis", AnalysisSite::read)
        .map(|site| Step::Analysis(Box::new(site)));
    weight.or(pause).or(analysis)
}

fn read_weight(fields: &mut Fields<'_, '_>) -> Option<Weight> {
    let number = fields.int("setWeight")?;
    let weight = u8::try_from(number).ok().and_then(Weight::new);
    if weight.is_none() {
        fields.fault(
            "setWeight",
            format!("a weight is between 0 and 100, found `{number}`"),
        );
    }
    weight
}

/// The duration of a pause: a number of seconds, quoted or not, or a Go duration, cut to whole seconds. `Some(None)`: no end.
#[expect(
    clippy::option_option,
    reason = "outside: whether it could be read; inside: whether the pause has an end"
)]
fn read_pause(fields: &mut Fields<'_, '_>) -> Option<Option<Duration>> {
    let Some(value) = fields.value("duration") else {
        return Some(None);
    };
    let path = fields.path("duration");
    let seconds = match value {
        Value::Number(number) => number
            .as_i64()
            .and_then(|it| i32::try_from(it).ok())
            .ok_or_else(|| {
                Fault::new(
                    &path,
                    format!("{number} is no number of seconds that fits 32 bits"),
                )
            }),
        Value::String(text) => seconds_of(text)
            .map_err(|why| Fault::new(&path, format!("{} is no duration: {why}", shown(text)))),
        other => Err(wrong_kind(&path, "a duration", other)),
    };
    let seconds = seconds.and_then(|seconds| {
        u64::try_from(seconds)
            .map_err(|_| Fault::new(&path, format!("a pause cannot last {seconds} seconds")))
    });
    match seconds {
        Ok(seconds) => Some(Some(Duration::from_secs(seconds))),
        Err(fault) => {
            fields.add(fault.hint(DURATION_HINT));
            None
        }
    }
}

fn seconds_of(text: &str) -> Result<i32, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let duration = GoDuration::parse(text).map_err(|error| error.to_string())?;
    i32::try_from(duration.as_nanos() / 1_000_000_000)
        .map_err(|_| "it has more seconds than fit 32 bits".to_owned())
}
