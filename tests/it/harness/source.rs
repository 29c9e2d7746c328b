//! A source of metrics without an OAP.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::json;
use skygate::domain::plan::{Ask, SourcePlan};
use skygate::domain::reading::{
    Answer, ErrorClass, Point, PointKind, Reading, Series, SourceError,
};
use skygate::domain::window::{Step, Window, WindowSpec};
use skygate::ports::{Clock, MetricSource, Moment};
use tokio::sync::Semaphore;

/// What a [`FakeSource`] says: for a metric as [`super::metric`] writes it, the phases of those names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Successful,
    Failed,
    Inconclusive,
    Error,
    /// No point with data.
    NoData,
    /// Nothing, ever.
    Never,
    /// It panics.
    Panic,
}

impl Say {
    /// What a letter stands for: the phases' first ones, `W` for no data, `-` for silence, `!` for a panic.
    pub(crate) fn from_letter(letter: char) -> Self {
        match letter {
            'S' => Self::Successful,
            'F' => Self::Failed,
            'I' => Self::Inconclusive,
            'E' => Self::Error,
            'W' => Self::NoData,
            '-' => Self::Never,
            '!' => Self::Panic,
            other => panic!("nothing is written {other}"),
        }
    }
}

/// What a source says, and how long that takes it.
type Script = Box<dyn Fn(&str, usize) -> (Say, Duration) + Send + Sync>;

/// A source that answers by script.
pub(crate) struct FakeSource {
    clock: Arc<dyn Clock>,
    script: Script,
    gate: Option<Semaphore>,
    asked: Mutex<Vec<(String, Timestamp)>>,
}

impl FakeSource {
    /// One that says what `script` makes of the metric's expression and of how often it was asked for before.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        script: impl Fn(&str, usize) -> (Say, Duration) + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock,
            script: Box::new(script),
            gate: None,
            asked: Mutex::default(),
        }
    }

    /// One that says these letters one after another of every metric, the last one for ever.
    pub(crate) fn saying(clock: Arc<dyn Clock>, letters: &str) -> Self {
        Self::taking(Duration::ZERO, clock, letters)
    }

    /// The same, where every answer takes so long.
    pub(crate) fn taking(takes: Duration, clock: Arc<dyn Clock>, letters: &str) -> Self {
        let script: Vec<Say> = letters.chars().map(Say::from_letter).collect();
        Self::new(clock, move |_, before| {
            (script[before.min(script.len() - 1)], takes)
        })
    }

    /// The same, where every answer waits for [`FakeSource::open`].
    pub(crate) fn gated(self) -> Self {
        Self {
            gate: Some(Semaphore::new(0)),
            ..self
        }
    }

    /// Lets all answers through from now on.
    pub(crate) fn open(&self) {
        let gate = self.gate.as_ref().expect("a gate");
        gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// What it was asked for, and when.
    pub(crate) fn asked(&self) -> Vec<(String, Timestamp)> {
        self.asked.lock().expect("no panic").clone()
    }

    /// When it was asked for anything, in seconds since [`super::start`].
    pub(crate) fn moments(&self) -> Vec<i64> {
        let asked = self.asked();
        let moments = asked
            .iter()
            .map(|(_, at)| super::since(super::start(), *at));
        moments.collect()
    }

    fn note(&self, metric: &str) -> (Say, Duration) {
        let mut asked = self.asked.lock().expect("no panic");
        let before = asked.iter().filter(|(name, _)| name == metric).count();
        asked.push((metric.to_owned(), self.clock.now()));
        drop(asked);
        (self.script)(metric, before)
    }
}

impl fmt::Debug for FakeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeSource")
    }
}

#[async_trait]
impl MetricSource for FakeSource {
    async fn read(&self, source: &SourcePlan, _moment: Moment) -> Reading {
        let Ask::Expression { expression, .. } = &source.ask else {
            panic!("a fake source knows expressions only");
        };
        let (say, takes) = self.note(expression);
        if let Some(gate) = &self.gate {
            drop(gate.acquire().await.expect("never closed"));
        }
        if !takes.is_zero() {
            self.clock.sleep(takes).await;
        }
        if say == Say::Never {
            return std::future::pending().await;
        }
        reading(expression, say, self.clock.now())
    }
}

/// What a source reads that says what `letter` stands for.
pub(crate) fn read_by_letter(expression: &str, letter: char, now: Timestamp) -> Reading {
    reading(expression, Say::from_letter(letter), now)
}

fn reading(expression: &str, say: Say, now: Timestamp) -> Reading {
    let number = match say {
        Say::Successful => Ok(Some(1.0)),
        Say::Failed => Ok(Some(-1.0)),
        Say::Inconclusive => Ok(Some(0.0)),
        Say::NoData => Ok(None),
        Say::Error => Err(SourceError {
            class: ErrorClass::Unreachable,
            message: "no answer".to_owned(),
        }),
        Say::Never | Say::Panic => panic!("as the script says"),
    };
    let window = window(now);
    Reading {
        server: "fake".to_owned(),
        request: expression.to_owned(),
        window: Some(window),
        time: None,
        answer: number.map(|number| answer(expression, &window, number)),
    }
}

fn window(now: Timestamp) -> Window {
    let spec = WindowSpec {
        interval: Duration::from_mins(1),
        step: Step::Minute,
        settle: Duration::from_secs(90),
    };
    let window = Window::choose(&spec, now, Offset::UTC, None).window;
    window.expect("nothing is left out")
}

fn answer(name: &str, window: &Window, number: Option<f64>) -> Answer {
    let kind = match number {
        Some(_) => PointKind::Data,
        None => PointKind::Gap,
    };
    let point = Point {
        at: Some(window.first()),
        value: number,
        kind,
    };
    Answer {
        result: json!({ "value": number }),
        series: vec![Series {
            name: name.to_owned(),
            path: None,
            points: vec![point],
        }],
        notes: Vec::new(),
    }
}
