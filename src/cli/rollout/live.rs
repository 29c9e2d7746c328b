//! How a rollout shows itself while it goes on: a tree that stays in place in a terminal, a line a transition and a measurement elsewhere.

use std::collections::{HashMap, VecDeque};
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use terminal_size::{Height, Width, terminal_size_of};

use crate::cli::outcome::{Failure, print, printable, tell};
use crate::cli::progress::cut;
use crate::domain::measurement::Phase;
use crate::domain::rollout::{MetricSummary, RunSummary, Transition, Trouble};
use crate::domain::run::RunId;
use crate::stepper::{Away, Scene};
use crate::telemetry;

/// A rollout on its way.
#[derive(Debug)]
pub(super) struct Live {
    form: Form,
    told: Told,
}

/// What was told already, where each thing is told once.
#[derive(Debug, Default)]
struct Told {
    /// What happened before is not told: whoever goes on tells where it is.
    since: Timestamp,
    /// The newest transition.
    transition: Option<Transition>,
    /// When each metric was last measured.
    measured: HashMap<(RunId, String), Timestamp>,
    trouble: Option<Trouble>,
    away: Option<Away>,
}

#[derive(Debug)]
enum Form {
    /// A tree that is drawn again in its place.
    Tree(ProgressBar),
    /// A line for whatever happens, on stderr.
    Lines,
    /// Each tree below the one before it, on stdout.
    Trees,
    /// Nothing.
    Quiet,
}

impl Live {
    /// In the form that stderr is fit for.
    pub(super) fn on_stderr(quiet: bool, now: Timestamp) -> Self {
        let form = if quiet {
            Form::Quiet
        } else if std::io::stderr().is_terminal() && !telemetry::is_chatty() {
            Form::tree(ProgressDrawTarget::stderr_with_hz(10))
        } else {
            Form::Lines
        };
        Self::of(form, now)
    }

    /// In the form that stdout is fit for.
    pub(super) fn on_stdout() -> Self {
        let form = if std::io::stdout().is_terminal() {
            Form::tree(ProgressDrawTarget::stdout_with_hz(10))
        } else {
            Form::Trees
        };
        Self::of(form, Timestamp::UNIX_EPOCH)
    }

    fn of(form: Form, since: Timestamp) -> Self {
        let told = Told {
            since,
            ..Told::default()
        };
        Self { form, told }
    }

    /// Whether what is drawn takes the place of what was drawn before.
    pub(super) fn is_in_place(&self) -> bool {
        matches!(self.form, Form::Tree(_))
    }

    /// Shows a text in place of the one before it.
    pub(super) fn draw(&mut self, text: &str) -> Result<(), Failure> {
        match &self.form {
            Form::Tree(bar) => {
                let (rows, columns) = room();
                let lines = printable(text);
                let lines = lines.lines().take(rows.saturating_sub(1));
                let lines: Vec<String> = lines
                    .map(|line| cut(line, columns.saturating_sub(1)))
                    .collect();
                bar.set_message(lines.join("\n"));
                bar.tick();
                Ok(())
            }
            Form::Trees => print(&format!("{text}\n")),
            Form::Lines | Form::Quiet => Ok(()),
        }
    }

    /// Shows how a rollout stands at `now`.
    pub(super) fn show(&mut self, scene: &Scene, now: Timestamp) -> Result<(), Failure> {
        match self.form {
            Form::Tree(_) | Form::Trees => self.draw(&scene.draw(now)),
            Form::Lines => {
                self.told.tell(scene, now);
                Ok(())
            }
            Form::Quiet => Ok(()),
        }
    }

    /// Leaves a terminal's line behind.
    pub(super) fn finish(self) {
        if let Form::Tree(bar) = self.form {
            bar.finish_and_clear();
        }
    }
}

impl Told {
    fn tell(&mut self, scene: &Scene, now: Timestamp) {
        let Scene {
            rollout,
            runs,
            away,
            ..
        } = scene;
        for run in runs {
            for metric in &run.metrics {
                self.tell_measurement(run, metric);
            }
        }
        let steps = rollout.spec.steps.len();
        let mut message = self.transition.as_ref().map(|told| told.message.clone());
        for transition in self.untold(&rollout.history) {
            let is_news = message.as_ref() != Some(&transition.message);
            tell(&line(transition, steps, is_news));
            message = Some(transition.message.clone());
        }
        self.transition = rollout.history.back().cloned().or(self.transition.take());
        let now = now.strftime("%H:%M:%SZ");
        match (&self.trouble, &rollout.trouble) {
            (Some(told), Some(trouble)) if told.message == trouble.message => {}
            (_, Some(trouble)) => {
                let why = &trouble.message;
                tell(&format!(
                    "{now} the weight cannot be set, which is tried again: {why}"
                ));
            }
            (Some(_), None) if away.is_none() => tell(&format!("{now} the weight is set again")),
            (Some(_) | None, None) => {}
        }
        self.trouble.clone_from(&rollout.trouble);
        match (&self.away, away) {
            (None, Some(Away { why, .. })) => {
                let held = match rollout.aborted {
                    None => ", and the weight is held",
                    Some(_) => "",
                };
                tell(&format!("{now} the service is out of sight{held}: {why}"));
            }
            (Some(_), None) => tell(&format!("{now} the service is in sight again")),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.away.clone_from(away);
    }

    /// What happened since; at first since this began, and at least where the rollout is.
    fn untold<'h>(
        &self,
        history: &'h VecDeque<Transition>,
    ) -> impl Iterator<Item = &'h Transition> {
        let known = self.transition.as_ref();
        let known = known.and_then(|told| history.iter().rposition(|it| it == told));
        // One that was only seen while the service was away may be told otherwise once that is back.
        let since = self.transition.as_ref().map_or(self.since, |told| told.at);
        let first = known.map_or_else(
            || {
                let begun = history.iter().position(|it| it.at >= since);
                begun.unwrap_or(history.len().saturating_sub(1))
            },
            |known| known + 1,
        );
        history.iter().skip(first)
    }

    fn tell_measurement(&mut self, run: &RunSummary, metric: &MetricSummary) {
        let Some(latest) = &metric.latest else { return };
        let told = (run.run.clone(), metric.name.clone());
        let told = self.measured.insert(told, latest.at);
        if latest.at < self.since || told == Some(latest.at) {
            return;
        }
        let at = latest.at.strftime("%H:%M:%SZ");
        let (name, phase) = (&metric.name, latest.phase);
        let against = match (phase, latest.condition.as_str()) {
            (Phase::Successful, _) | (_, "") => String::new(),
            (_, condition) => format!(" against {condition}"),
        };
        let counts = [
            ("good", metric.successful),
            ("failed", metric.failed),
            ("inconclusive", metric.inconclusive),
            ("errors", metric.error),
        ];
        let counts: Vec<String> = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(word, count)| format!("{word} {count}"))
            .collect();
        let counts = match counts.join(", ") {
            counts if counts.is_empty() => counts,
            counts => format!(" [{counts}]"),
        };
        let values = &latest.values;
        tell(&format!("{at} {name} {phase}: {values}{against}{counts}"));
    }
}

/// How many lines and columns the terminal has.
fn room() -> (usize, usize) {
    let size = terminal_size_of(std::io::stderr()).or_else(|| terminal_size_of(std::io::stdout()));
    size.map_or((24, 80), |(Width(columns), Height(rows))| {
        (rows.into(), columns.into())
    })
}

impl Form {
    fn tree(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{msg}");
        Self::Tree(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())))
    }
}

/// `10:48:06Z revision 2, step 5/10, weight 40: Paused, CanaryPauseStep (promote)`.
/// The message only where it is another one than before.
fn line(transition: &Transition, steps: usize, is_news: bool) -> String {
    let Transition {
        at,
        revision,
        step,
        weight,
        phase,
        message,
        note,
    } = transition;
    let at = at.strftime("%H:%M:%SZ");
    let mut line =
        format!("{at} revision {revision}, step {step}/{steps}, weight {weight}: {phase}");
    if is_news && !message.is_empty() {
        line = format!("{line}, {message}");
    }
    // What a hook says is both: what happened, and how things are since.
    let is_told = is_news && message.ends_with(note);
    if !note.is_empty() && !is_told {
        line = format!("{line} ({note})");
    }
    line
}
